//! Intake from the real RabbitMQ, with another client (pika) on the other side.
#![allow(missing_docs, reason = "a test")]
#![cfg(feature = "amqp")]

mod support;

use allim::app::{self, Purpose, World};
use allim::intake::amqp;
use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::broker::{Broker, Message, Wire};
use support::{Daemon, Setting, post, wait_until};

/// A limit, not a wait: a broker that restarts beside a compiler is slow.
const LIMIT: Duration = Duration::from_secs(60);

fn setting(broker: &Broker) -> Setting {
    Setting { amqp: Some(broker.url.clone()), queue: broker.queue.clone(), ..Setting::new() }
}

fn posts(range: std::ops::Range<usize>) -> Vec<Message> {
    let message = |number: usize| {
        let name = format!("post-{number}");
        Message::new(&name, post(&name, &format!("{number}번째 소식"), "ko", &["events"]).to_string())
    };
    range.map(message).collect()
}

/// Status and body of a GET.
fn get(setting: &Setting, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", setting.port)).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}

fn await_ready(setting: &Setting) {
    wait_until("the daemon to consume", LIMIT, || get(setting, "/readyz").0 == 200);
}

fn start_ready(setting: &Setting) -> Daemon {
    let daemon = setting.start();
    await_ready(setting);
    daemon
}

fn metric(setting: &Setting, line: &str) -> f64 {
    let (_, text) = get(setting, "/metrics");
    let found = text.lines().find_map(|l| l.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0.0, |value| value.parse().expect("a number"))
}

fn strings(setting: &Setting, sql: &str) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection =
        rusqlite::Connection::open_with_flags(setting.path().join("allim.sqlite"), flags).expect("a store");
    let mut statement = connection.prepare(sql).expect("SQL");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.map(|row| row.expect("a row")).collect()
}

fn stored(setting: &Setting) -> Vec<String> {
    strings(setting, "SELECT source_id FROM posts ORDER BY source_id")
}

fn quarantined(setting: &Setting) -> Vec<String> {
    strings(setting, "SELECT reason FROM quarantine WHERE replayed_at IS NULL ORDER BY reason")
}

fn await_stored(setting: &Setting, count: usize) {
    wait_until("the posts to be stored", LIMIT, || stored(setting).len() == count);
}

/// Every post is stored once, in one revision, and nothing is left in either queue.
fn assert_all_taken(broker: &Broker, setting: &Setting, count: usize) {
    let ids: BTreeSet<_> = stored(setting).into_iter().collect();
    assert_eq!(ids, posts(0..count).into_iter().map(|message| message.name).collect());
    assert_eq!(strings(setting, "SELECT DISTINCT CAST(revision AS TEXT) FROM posts"), ["1"]);
    assert_eq!(strings(setting, "SELECT post_id FROM revisions").len(), count);
    assert_eq!(quarantined(setting), Vec::<String>::new());
    assert_eq!((broker.ready(&broker.queue), broker.ready(&broker.dead())), (0, 0));
}

#[test]
fn five_hundred_posts_of_another_client() {
    let Some(broker) = Broker::shared("test.five-hundred") else { return };
    let setting = setting(&broker);
    let daemon = start_ready(&setting);
    broker.publish_all(posts(0..500));
    await_stored(&setting, 500);
    daemon.stop();
    assert_all_taken(&broker, &setting, 500);
}

#[test]
fn what_waits_is_committed_and_acknowledged_together() {
    let Some(broker) = Broker::shared("test.together") else { return };
    let setting = setting(&broker);
    start_ready(&setting).stop();
    broker.publish_all(posts(0..500));
    let daemon = start_ready(&setting);
    await_stored(&setting, 500);
    wait_until("the last acknowledgement", LIMIT, || {
        metric(&setting, "allim_intake_messages_total{verdict=\"stored\"}") == 500.0
    });
    let acks = metric(&setting, "allim_intake_amqp_acks_total");
    daemon.stop();
    println!("500 messages, {acks} acknowledgements");
    assert!((1.0..=100.0).contains(&acks), "{acks} acknowledgements for 500 messages");
    assert_all_taken(&broker, &setting, 500);
}

#[test]
fn poison_goes_to_both_places_and_the_stream_goes_on() {
    let Some(broker) = Broker::shared("test.poison") else { return };
    let setting = setting(&broker);
    let daemon = start_ready(&setting);
    let bare = |id: &str, topic: &str| post(id, "제목", "ko", &[topic]).to_string();
    let cloud = |id: &str, kind: &str, data: serde_json::Value| Message {
        content_type: Some("application/cloudevents+json"),
        ..Message::new(
            id,
            serde_json::json!({ "specversion": "1.0", "id": id, "source": "/cms", "type": kind, "data": data })
                .to_string(),
        )
    };
    let mut large = post("large", "제목", "ko", &["events"]);
    large["body"]["content"] = "가".repeat(700_000).into();
    let poison = vec![
        Message::new("not-json", "not JSON"),
        Message::new("not-utf8", [0xff, 0xfe, 0x00]),
        Message::new("empty", ""),
        Message::new("unknown-topic", bare("unknown-topic", "no-such-topic")),
        Message::new("large", large.to_string()),
        Message::new("no-title", r#"{"id":"no-title","language":"ko"}"#),
        cloud("unknown-type", "org.example.other", serde_json::json!({})),
        cloud("unknown-post", "org.allim.post.withdrawn.v1", serde_json::json!({ "id": "never-published" })),
    ];
    // An event in AMQP headers: the prefix that the CloudEvents binding names, and the one that the libraries write.
    let in_headers = |name: &str, prefix: &str| Message {
        headers: serde_json::json!({
            format!("{prefix}specversion"): "1.0", format!("{prefix}id"): name, format!("{prefix}source"): "/cms",
            format!("{prefix}type"): "org.allim.post.published.v1", "attempt": 1, "trace": { "nested": true },
        }),
        ..Message::new(name, bare(name, "events"))
    };
    let mut all = vec![Message::new("first", bare("first", "events"))];
    all.extend(poison.clone());
    all.extend([in_headers("colon", "cloudEvents:"), in_headers("underscore", "cloudEvents_")]);
    broker.publish_all(all);
    await_stored(&setting, 3);
    wait_until("the dead-letter queue", LIMIT, || broker.ready(&broker.dead()) == poison.len());
    let counted = metric(&setting, "allim_intake_messages_total{verdict=\"quarantined\"}");
    daemon.stop();
    assert_eq!(stored(&setting), ["colon", "first", "underscore"]);
    assert_eq!(strings(&setting, "SELECT event_id FROM events WHERE event_id = 'colon'"), ["colon"]);
    assert_eq!(
        quarantined(&setting),
        [
            "missing_field",
            "not_json",
            "not_json",
            "not_json",
            "too_large",
            "unknown_post",
            "unknown_topic",
            "unknown_type"
        ]
    );
    assert_eq!(counted, 8.0);
    let dead = broker.drain(&broker.dead());
    let bodies: BTreeSet<_> = dead.iter().map(|(body, _)| body.clone()).collect();
    assert_eq!(bodies, poison.into_iter().map(|message| message.body).collect());
    assert!(dead.iter().all(|(_, headers)| headers["x-first-death-reason"] == "rejected"), "{:?}", dead[0].1);
    assert_eq!(broker.ready(&broker.queue), 0);
}

#[test]
fn nothing_confirmed_is_lost_when_broker_and_daemon_die() {
    let Some(broker) = Broker::alone("test.dying") else { return };
    let setting = setting(&broker);
    let mut daemon = start_ready(&setting);
    let blows = ["", "kill", "daemon", "kill", "daemon"];
    let total = 300 * blows.len();
    let confirmed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let kept = confirmed.clone();
    let (flow, flowing) = std::sync::mpsc::channel();
    let publishing = broker.publish(flowing, move |name| {
        kept.lock().expect("not poisoned").insert(name);
    });
    let so_far = || confirmed.lock().expect("not poisoned").len();
    for (step, blow) in blows.into_iter().enumerate() {
        posts(300 * step..300 * (step + 1)).into_iter().for_each(|message| flow.send(message).expect("it takes them"));
        // Each blow falls while messages flow.
        wait_until("some posts", LIMIT, || so_far() >= 300 * step + 20);
        if blow == "daemon" {
            daemon.kill();
            daemon = setting.start();
        } else {
            broker.restart(blow);
        }
        await_ready(&setting);
        wait_until("the other posts", LIMIT, || so_far() >= 300 * (step + 1));
    }
    drop(flow);
    publishing.join().expect("published");
    assert_eq!(so_far(), total);
    await_stored(&setting, total);
    daemon.stop();
    assert_all_taken(&broker, &setting, total);
}

#[test]
fn a_deleted_queue_is_made_again() {
    let Some(broker) = Broker::shared("test.deleted") else { return };
    let setting = setting(&broker);
    let daemon = start_ready(&setting);
    broker.ctl(&["delete_queue", &broker.queue]);
    wait_until("the loss to be noticed", LIMIT, || daemon.log().contains("the queue is gone"));
    await_ready(&setting);
    broker.publish_all(posts(0..10));
    await_stored(&setting, 10);
    daemon.stop();
    assert_all_taken(&broker, &setting, 10);
}

#[test]
fn closed_connections_come_back() {
    let Some(broker) = Broker::alone("test.closed") else { return };
    let setting = setting(&broker);
    let daemon = start_ready(&setting);
    broker.ctl(&["close_all_connections", "for a test"]);
    wait_until("the loss to be noticed", LIMIT, || daemon.log().contains("no posts from RabbitMQ for now"));
    await_ready(&setting);
    broker.publish_all(posts(0..10));
    await_stored(&setting, 10);
    daemon.stop();
    assert_all_taken(&broker, &setting, 10);
}

#[test]
fn a_wire_that_falls_silent_is_noticed() {
    let Some(broker) = Broker::shared("test.silent") else { return };
    let url = url::Url::parse(&broker.url).expect("a URL");
    let wire = Wire::to(url.port().expect("a port"));
    let mut through = url.clone();
    through.set_port(Some(wire.port)).expect("a port");
    through.set_query(Some("heartbeat=1"));
    let setting = Setting { amqp: Some(through.to_string()), ..setting(&broker) };
    let daemon = start_ready(&setting);
    wire.fall_silent();
    broker.publish_all(posts(0..10));
    await_stored(&setting, 10);
    assert_eq!(wire.connections(), 2);
    daemon.stop();
    assert_all_taken(&broker, &setting, 10);
}

#[test]
fn a_queue_made_otherwise_is_named_and_http_goes_on() {
    let Some(broker) = Broker::shared("test.otherwise") else { return };
    broker.declare(&broker.queue, &serde_json::json!({ "x-queue-type": "classic" }));
    let setting = setting(&broker);
    let daemon = setting.start();
    wait_until("a second attempt", LIMIT, || daemon.log().matches("no posts from RabbitMQ for now").count() >= 2);
    let log = daemon.log();
    for words in [
        "test.otherwise",
        "x-queue-type=quorum, x-delivery-limit=20, x-dead-letter-exchange=test.otherwise.dead",
        "PRECONDITION_FAILED - inequivalent arg",
        "rabbitmqctl delete_queue",
    ] {
        assert!(log.contains(words), "{words} is not in {log}");
    }
    assert_eq!(get(&setting, "/readyz"), (503, "the connection to RabbitMQ is missing\n".to_owned()));
    assert_eq!(get(&setting, "/healthz").0, 200);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let body = post("by-http", "제목", "ko", &["events"]);
    runtime.block_on(support::publish(&reqwest::Client::new(), &setting.url("/api/v1/posts"), &body));
    assert_eq!(stored(&setting), ["by-http"]);
    // Once the other one is gone, it goes on by itself.
    broker.ctl(&["delete_queue", &broker.queue]);
    await_ready(&setting);
    broker.publish_all(posts(0..1));
    await_stored(&setting, 2);
    daemon.stop();
}

#[test]
fn topology_check_makes_nothing_and_says_what_is_missing() {
    let Some(broker) = Broker::shared("test.checked") else { return };
    let setting = Setting { amqp_extra: "topology = \"check\"".to_owned(), ..setting(&broker) };
    let daemon = setting.start();
    wait_until("an attempt", LIMIT, || daemon.log().contains("no posts from RabbitMQ for now"));
    let log = daemon.log();
    assert!(log.contains("no queue 'test.checked'"), "{log}");
    assert!(log.contains("rabbitmqadmin declare queue name=test.checked durable=true"), "{log}");
    assert_eq!(get(&setting, "/readyz").0, 503);
    broker.declare(&broker.queue, &serde_json::json!({ "x-queue-type": "quorum" }));
    await_ready(&setting);
    assert!(daemon.log().contains("no exchange of the usual name"), "{}", daemon.log());
    broker.publish_all(posts(0..1));
    await_stored(&setting, 1);
    daemon.stop();
}

#[test]
fn publishing_without_a_queue_is_an_error() {
    let Some(broker) = Broker::shared("test.published") else { return };
    let setting = setting(&broker);
    let config = allim::config::load(&setting.config(), std::iter::empty()).expect("a configuration");
    let queue = app::queue(&config).expect("a queue");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let body = post("post-0", "제목", "ko", &["events"]).to_string();
    let publish = || runtime.block_on(amqp::publish(&queue, body.as_bytes(), "application/json"));
    let error = format!("{:#}", publish().expect_err("no such queue"));
    assert!(error.contains("no queue `test.published`") && error.contains("NO_ROUTE"), "{error}");
    let daemon = start_ready(&setting);
    publish().expect("published");
    await_stored(&setting, 1);
    daemon.stop();
    assert_all_taken(&broker, &setting, 1);
}

#[test]
fn nothing_is_acknowledged_while_the_store_is_out_of_reach() {
    let Some(broker) = Broker::shared("test.held") else { return };
    let setting = setting(&broker);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let config = allim::config::load(&setting.config(), std::iter::empty()).expect("a configuration");
    let queue = amqp::Settings { hold_max: Duration::from_millis(300), ..app::queue(&config).expect("a queue") };
    let app = runtime.block_on(app::build(config, World::system(), Purpose::Command)).expect("an app");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let ready = Arc::new(AtomicBool::new(false));
    let is_ready = || ready.load(Ordering::SeqCst);
    let intake = amqp::run(queue, app.intake.clone(), app.world.chance.clone(), ready.clone(), stopping);
    let running = runtime.spawn(intake);
    wait_until("the consumer", LIMIT, is_ready);
    // Another process writes, and takes its time.
    let other = rusqlite::Connection::open(setting.path().join("allim.sqlite")).expect("a store");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    broker.publish_all(posts(0..10));
    wait_until("the messages to be handed back", LIMIT, || !is_ready());
    wait_until("the queue to have them", LIMIT, || broker.ready(&broker.queue) == 10);
    assert_eq!(stored(&setting), Vec::<String>::new());
    other.execute_batch("COMMIT").expect("the lock is given up");
    await_stored(&setting, 10);
    wait_until("the consumer", LIMIT, is_ready);
    wait_until("the queue to be empty", LIMIT, || broker.ready(&broker.queue) == 0);
    stop.send_replace(true);
    runtime.block_on(running).expect("an orderly end");
    assert_all_taken(&broker, &setting, 10);
}

#[test]
fn the_password_comes_from_its_file_and_into_no_log() {
    const CANARY: &str = "canary-8f2c17";
    let Some(broker) = Broker::shared("test.password") else { return };
    broker.ctl(&["add_user", "test-canary", CANARY]);
    broker.ctl(&["set_permissions", "test-canary", ".*", ".*", ".*"]);
    let mut url = url::Url::parse(&broker.url).expect("a URL");
    url.set_username("test-canary").expect("a user");
    url.set_password(Some("wrong-canary")).expect("a password");
    let setting = Setting {
        amqp: Some(url.to_string()),
        amqp_extra: "password_file = \"password\"".to_owned(),
        ..setting(&broker)
    };
    std::fs::write(setting.path().join("password"), "wrong-canary\n").expect("a file");
    let daemon = setting.start();
    wait_until("a refusal", LIMIT, || daemon.log().contains("ACCESS_REFUSED"));
    std::fs::write(setting.path().join("password"), format!("{CANARY}\n")).expect("a file");
    await_ready(&setting);
    broker.publish_all(posts(0..1));
    await_stored(&setting, 1);
    let log = daemon.log();
    daemon.stop();
    assert!(!log.contains("canary-8f2c17") && !log.contains("wrong-canary"), "{log}");
    broker.ctl(&["delete_user", "test-canary"]);
}

#[test]
fn tls_with_an_authority_of_ones_own() {
    let Some(broker) = Broker::shared("test.tls") else { return };
    let (Some(url), Some(ca)) = (support::server("ALLIM_TEST_AMQPS"), support::server("ALLIM_TEST_AMQP_CA")) else {
        return;
    };
    let mut setting = Setting { amqp: Some(url), ..setting(&broker) };
    let stranger = setting.start();
    wait_until("a refusal", LIMIT, || stranger.log().contains("UnknownIssuer"));
    stranger.stop();
    setting.amqp_extra = format!("ca_file = \"{ca}\"");
    let daemon = start_ready(&setting);
    broker.publish_all(posts(0..10));
    await_stored(&setting, 10);
    daemon.stop();
    assert_all_taken(&broker, &setting, 10);
}

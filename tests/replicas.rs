//! Several daemons on one PostgreSQL: what must happen once happens once.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::app::clock::{SystemChance, SystemClock};
use allim::app::{self, Purpose, World};
use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::clock::{Clock, ManualClock, UnixMillis};
use allim::domain::language::Language;
use allim::domain::schedule::Schedule;
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Revisions, Source};
use allim::intake::wire::{Incoming, SourcePolicy};
use allim::plan::digest::Digest;
use allim::plan::{Planner, Rules, release};
use allim::store::bell::Ring;
use allim::store::{Location, Store, Tx, deliveries, posts, subscribers};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;
use support::sink::posts_in;
use support::{Setting, post, publish, wait_until};
use tokio::sync::Notify;

/// 2026-11-23T00:00:00Z.
const START: i64 = 1_795_392_000_000;
/// A limit, not a wait: a machine that compiles meanwhile is slow.
const LIMIT: Duration = Duration::from_secs(60);
const OCCURRENCES: i64 = 1_000;
const READERS: i64 = 3;
const POST_EACH: i64 = 50;

/// A database whose clock is a row: `clock_timestamp()` of a schema that is looked into before the server's own.
async fn with_fake_clock(server: &str) -> String {
    let name = format!("replicas_{}", std::process::id());
    let url = support::create_database(server, &name).await;
    let statements = format!(
        "CREATE SCHEMA fake; CREATE TABLE fake.present (at TIMESTAMPTZ NOT NULL);
         INSERT INTO fake.present VALUES (to_timestamp({}));
         CREATE FUNCTION fake.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS 'SELECT at FROM fake.present';
         ALTER DATABASE {name} SET search_path = fake, pg_catalog, public",
        START / 1_000
    );
    let own = url.clone();
    let make = move || {
        let mut client = postgres::Client::connect(&own, postgres::NoTls).expect("the server answers");
        client.batch_execute(&statements).expect("a clock");
    };
    tokio::task::spawn_blocking(make).await.expect("a thread");
    url
}

async fn open(url: &str) -> Store {
    let location = Location::Postgres { url: url.to_owned(), connections: 2 };
    let open = move || Store::open(&location, Arc::new(ManualClock::default()));
    tokio::task::spawn_blocking(open).await.expect("a thread").expect("a store")
}

fn planner(store: &Store) -> Planner {
    let often = Digest {
        name: "often".to_owned(),
        schedule: Schedule::parse("* * * * * *", "Asia/Seoul").expect("a schedule"),
        max_late: Duration::from_secs(3_600),
        own_hour: false,
        commercial: false,
        quiet_hours: None,
        heartbeat: false,
    };
    let languages = vec![Language::parse("ko").expect("a tag")];
    let rules = Rules {
        release: release::Rules { languages, translation_wait: Duration::from_secs(1) },
        digests: BTreeMap::from([("often".to_owned(), often)]),
        template: "t1".to_owned(),
        chunk_recipients: 2,
        routes: BTreeMap::new(),
        route_default: ("news".to_owned(), "email:folder".to_owned()),
        classes: Default::default(),
        grace: Duration::ZERO,
        noting: Vec::new(),
        consent_kept: Duration::from_secs(1_825 * 86_400),
        accounts: Vec::new(),
    };
    Planner::new(store.clone(), rules)
}

fn intake(store: &Store) -> Intake {
    let policy =
        SourcePolicy { name: "cms".to_owned(), topics_known: vec!["events".to_owned()], ..SourcePolicy::default() };
    let sources = BTreeMap::from([(
        "cms".to_owned(),
        Source { policy, republish: Republish::Revise, revisions: Revisions::Silent },
    )]);
    Intake::new(store.clone(), sources, Backfill::OlderThan(Duration::from_secs(86_400)), Arc::new(Notify::new()))
}

async fn take_in(intake: &Intake, number: i64, at: UnixMillis) {
    let post = serde_json::json!({ "id": format!("post-{number}"), "title": "소식", "language": "ko", "topics": ["events"],
        "published_at": at.to_string(), "body": { "format": "text", "content": "본문" } });
    let message = Incoming {
        source: "cms".to_owned(),
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        bytes: post.to_string().into_bytes(),
    };
    intake.accept(vec![message]).await.expect("accepted");
}

fn subscribe(tx: &mut Tx<'_>) -> Result<(), allim::store::StoreError> {
    for id in 1..=READERS {
        let subscriber = Subscriber {
            id,
            address: Address::parse(&format!("reader-{id}@example.net")).expect("an address"),
            name: None,
            language: Language::parse("ko").expect("a tag"),
            text_only: false,
            unsubscribed_at: None,
        };
        subscribers::insert(tx, &subscriber, UnixMillis(START))?;
        subscribers::subscribe(tx, id, "events", &Slot::of("often"), UnixMillis(START))?;
    }
    Ok(())
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store.read(move |tx| tx.query(sql, &[])?[0].int(0)).await.expect("a number")
}

/// Three planners, each as fast as it can, while the database's clock goes from one second to the next.
#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_fire_each_of_a_thousand_occurrences_once() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = with_fake_clock(&server).await;
    let store = open(&url).await;
    store.write(subscribe).await.expect("subscribed");
    let intake = intake(&store);
    let stop = Arc::new(AtomicBool::new(false));
    let mut replicas = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (planner, stop) = (planner(&open(&url).await), stop.clone());
        replicas.spawn(async move {
            let mut fired = 0;
            while !stop.load(Ordering::SeqCst) {
                fired += planner.tick().await.expect("a tick").fired;
            }
            fired
        });
    }
    const AHEAD: &str = "UPDATE present SET at = at + CAST('1 second' AS INTERVAL)";
    const FIRED: &str = "SELECT COUNT(*) FROM occurrences";
    for step in 1..=OCCURRENCES {
        if step % POST_EACH == 0 {
            take_in(&intake, step, UnixMillis(START + (step - 1) * 1_000)).await;
        }
        store.write(|tx| tx.execute(AHEAD, &[])).await.expect("ahead");
        let fired = async {
            while number(&store, FIRED).await < step {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), fired).await.expect("each second fires");
    }
    const OPEN: &str = "SELECT COUNT(*) FROM occurrences WHERE planned_at IS NULL";
    while number(&store, OPEN).await > 0 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut shares = Vec::new();
    while let Some(fired) = replicas.join_next().await {
        shares.push(fired.expect("no panic"));
    }
    println!("fired by each replica: {shares:?}");
    assert_eq!(shares.iter().sum::<usize>(), usize::try_from(OCCURRENCES).expect("fits"));
    assert!(shares.iter().all(|share| *share > 0), "one replica did nothing: {shares:?}");
    assert_eq!(number(&store, FIRED).await, OCCURRENCES);
    const SPAN: &str = "SELECT COUNT(DISTINCT due_at) FROM occurrences WHERE skipped IS NULL AND MOD(due_at, 1000) = 0";
    assert_eq!(number(&store, SPAN).await, OCCURRENCES);
    assert_eq!(number(&store, "SELECT MAX(due_at) FROM occurrences").await, START + OCCURRENCES * 1_000);
    each_story_is_in_one_issue_of_each_reader(&store).await;
}

async fn each_story_is_in_one_issue_of_each_reader(store: &Store) {
    for step in (POST_EACH..=OCCURRENCES).step_by(POST_EACH as usize) {
        let post_id = allim::domain::ids::post_id("cms", &format!("post-{step}"));
        let look = move |tx: &mut Tx<'_>| {
            let story = posts::find(tx, &post_id)?.expect("a post").0.story_id;
            let mut open = Vec::new();
            for reader in 1..=READERS {
                let holding = deliveries::holding(tx, &story, reader)?;
                open.push(holding.iter().filter(|delivery| delivery.state == "due").count());
            }
            Ok(open)
        };
        assert_eq!(store.read(look).await.expect("read"), [1, 1, 1], "post-{step}");
    }
}

fn mails(setting: &Setting) -> BTreeSet<String> {
    let entries = std::fs::read_dir(setting.maildir()).into_iter().flatten();
    let posts = entries.flat_map(|entry| posts_in(&std::fs::read(entry.expect("an entry").path()).expect("a mail")));
    posts.collect()
}

/// Four daemons, each with a part of the work: together they are one.
#[tokio::test(flavor = "multi_thread")]
async fn daemons_share_the_work_by_roles() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&server, &format!("roles_{}", std::process::id())).await;
    let setting = |name: &str| Setting { store_url: url.clone(), name: name.to_owned(), spool: true, ..Setting::new() };
    let [intake, plan, send, web] = ["intake", "plan", "send", "web"].map(setting);
    intake.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemons = [(&intake, "intake"), (&plan, "plan"), (&send, "send")].map(|(one, role)| one.start_as(role));
    let serving = web.start_as("web");

    // What comes in by a folder at one machine and over HTTP at another leaves from a third.
    let body = post("by-folder", "폴더로", "ko", &["events"]).to_string();
    let spool = intake.path().join("spool");
    std::fs::write(spool.join(".by-folder"), body).expect("written");
    std::fs::rename(spool.join(".by-folder"), spool.join("by-folder.json")).expect("moved in");
    let by_folder = allim::domain::ids::post_id("cms", "by-folder");
    wait_until("the mail about the folder's", LIMIT, || mails(&send).contains(&by_folder));
    let client = reqwest::Client::new();
    let by_http = publish(&client, &web.url("/api/v1/posts"), &post("by-http", "웹으로", "ko", &["events"])).await;
    wait_until("the mail about the other", LIMIT, || mails(&send).contains(&by_http));
    for (page, known) in [(&by_folder, true), (&by_http, true), (&"nothing".to_owned(), false)] {
        let answer = client.get(web.url(&format!("/posts/{page}"))).send().await.expect("an answer");
        assert_eq!(answer.status().is_success(), known, "{page}");
    }
    for one in [&intake, &plan, &send] {
        assert!(std::net::TcpStream::connect(("127.0.0.1", one.port)).is_err(), "{} serves", one.name);
    }
    for one in [&intake, &plan, &web] {
        assert!(!one.maildir().exists(), "{} sends", one.name);
    }
    let store = open(&url).await;
    assert_eq!(number(&store, "SELECT COUNT(*) FROM processes").await, 1, "only who sends has a lease");
    daemons.into_iter().for_each(support::Daemon::stop);
    serving.stop();
    assert_eq!(number(&store, "SELECT COUNT(*) FROM processes WHERE ended_at IS NULL").await, 0);
}

/// A replica hears what others ring and not itself, also after its connection was cut.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_wake_each_other() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&server, &format!("bell_{}", std::process::id())).await;
    let (one, two) = (open(&url).await, open(&url).await);
    let mut heard_by_one = one.listen().expect("a thread").expect("a server");
    let mut heard_by_two = two.listen().expect("a thread").expect("a server");
    // What was rung before is unheard, so a new connection counts as a ring of everything.
    for heard in [&mut heard_by_one, &mut heard_by_two] {
        assert_eq!([hear(heard).await, hear(heard).await], [Ring::Accepted, Ring::Planned]);
    }
    for _ in 0..3 {
        one.ring(Ring::Planned).await.expect("rung");
        assert_eq!(hear(&mut heard_by_two).await, Ring::Planned);
    }
    let cut = "SELECT CAST(COUNT(pg_terminate_backend(pid)) AS BIGINT) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'SELECT CAST(pg_backend_pid()%' AND pid <> pg_backend_pid()";
    assert_eq!(number(&one, cut).await, 2, "both listeners");
    for heard in [&mut heard_by_one, &mut heard_by_two] {
        assert_eq!([hear(heard).await, hear(heard).await], [Ring::Accepted, Ring::Planned]);
    }
    two.ring(Ring::Accepted).await.expect("rung");
    assert_eq!(hear(&mut heard_by_one).await, Ring::Accepted);
    assert!(heard_by_two.try_recv().is_err(), "its own ring");
}

async fn hear(heard: &mut tokio::sync::mpsc::UnboundedReceiver<Ring>) -> Ring {
    tokio::time::timeout(LIMIT, heard.recv()).await.expect("in time").expect("a ring")
}

#[test]
fn roles_that_are_none_are_refused() {
    let setting = Setting::new();
    for (roles, code) in [("send,nonsense", 2), ("", 2)] {
        let output = setting.command(&["run", "--roles", roles]).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains("intake, plan, send, web"), "{told}");
    }
    for (roles, words) in [("[]", "instance.roles: name at least one"), ("[\"nonsense\"]", "expected one of `intake`")]
    {
        let mut command = setting.command(&["run"]);
        let output = command.env("ALLIM__INSTANCE__ROLES", roles).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(words), "{told}");
    }
    // Roles or not: an embedded database is one daemon's alone.
    let first = setting.start_as("plan,send");
    let output = setting.command(&["run", "--roles", "web"]).output().expect("it runs");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another allim runs"));
    first.stop();
}

/// The system's clock, set wrong.
#[derive(Default)]
struct Wrong {
    by_ms: AtomicI64,
}

impl Clock for Wrong {
    fn now(&self) -> UnixMillis {
        UnixMillis(SystemClock.now().0 + self.by_ms.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_whose_clock_is_off_is_not_ready() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&server, &format!("clock_{}", std::process::id())).await;
    let setting = Setting { store_url: url, ..Setting::new() };
    let config = allim::config::load(&setting.config(), std::iter::empty()).expect("a configuration");
    let clock = Arc::new(Wrong::default());
    clock.by_ms.store(-1_500, Ordering::SeqCst);
    let world = World { clock: clock.clone(), chance: Arc::new(SystemChance) };
    let app = app::build(config, world, Purpose::Daemon).await.expect("built");
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let running = tokio::spawn(app::lifecycle::run(app, Arc::new(String::new), stopping));
    let ready = async |wanted: (u16, &str)| {
        let asked = async {
            loop {
                if let Ok(answer) = reqwest::get(setting.url("/readyz")).await {
                    let found = (answer.status().as_u16(), answer.text().await.expect("a text"));
                    if found.0 == wanted.0 && found.1.contains(wanted.1) {
                        break;
                    }
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(LIMIT, asked).await.unwrap_or_else(|_| panic!("not {wanted:?}"));
    };
    ready((200, "ready\n")).await;
    for by_ms in [-2_500, 2_500] {
        clock.by_ms.store(by_ms, Ordering::SeqCst);
        ready((503, "clock is more than 2 s off the database's")).await;
        clock.by_ms.store(0, Ordering::SeqCst);
        ready((200, "ready\n")).await;
    }
    stop.send_replace(true);
    running.await.expect("no panic").expect("an orderly end");
}

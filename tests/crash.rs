//! Kill runs: a daemon is killed with SIGKILL again and again while posts and mail pass through it. At the end every
//! confirmed post is stored, every (story, subscriber) is delivered, and nothing is repeated but what is marked uncertain.
//! `ALLIM_SEED` repeats the draws of a run; `ALLIM_SOAK` makes it four times as long.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::clock::{Chance as _, ManualClock, SeededChance};
use allim::store::{Location, Store, deliveries};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::sink::{Received, Sink, posts_in};
use support::{Relay, Setting, post, publish, wait_until};

const SUBSCRIBERS: usize = 50;
/// Connections to the sink; without pipelining over messages, each can leave one delivery uncertain at a kill.
const CONNECTIONS: usize = 4;

/// One run at a time: each keeps both cores busy, and some restart servers that others use.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Fifty readers: most want mail at once, some a digest every other second, in three languages.
fn readers() -> Vec<String> {
    let line = |number: usize| {
        let language = ["ko", "en", "zh"][number % 3];
        let schedule = if number.is_multiple_of(5) { "often" } else { "immediate" };
        format!("reader{number}@example.net,,{language},events,{schedule}")
    };
    (0..SUBSCRIBERS).map(line).collect()
}

fn seed() -> u64 {
    let given = std::env::var("ALLIM_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::try_from(support::now_seconds()).expect("fits"))
}

fn length() -> usize {
    if std::env::var_os("ALLIM_SOAK").is_some() { 4 } else { 1 }
}

/// How posts are brought in.
enum Way {
    Http(String),
    Amqp { url: String, queue: String },
}

impl Way {
    /// Brings a post in and returns once it is confirmed, through any number of kills and restarts.
    async fn publish(&self, client: &reqwest::Client, body: &serde_json::Value) -> String {
        match self {
            Way::Http(url) => publish(client, url, body).await,
            Way::Amqp { url, queue } => {
                while !support::publish_amqp(url, queue, body).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                allim::domain::ids::post_id("cms", body["id"].as_str().expect("an id"))
            }
        }
    }
}

type Confirmed = Arc<Mutex<BTreeSet<String>>>;

/// Publishes `total` posts as the gate lets them, and keeps the ids of those confirmed.
fn publisher(way: Way, total: usize, gate: Arc<AtomicUsize>) -> (tokio::task::JoinHandle<()>, Confirmed) {
    let confirmed: Confirmed = Arc::default();
    let kept = confirmed.clone();
    let publishing = tokio::spawn(async move {
        let client = reqwest::Client::new();
        for number in 0..total {
            while gate.load(Ordering::SeqCst) <= number {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let body = post(&format!("post-{number}"), &format!("{number}번째 소식"), "ko", &["events"]);
            let id = way.publish(&client, &body).await;
            kept.lock().expect("not poisoned").insert(id);
        }
    });
    (publishing, confirmed)
}

/// Into a folder: a repeat replaces its file, so there is exactly one for each delivery.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_writing_into_a_folder_on_sqlite() {
    let _alone = ALONE.lock().await;
    let (kills, posts) = (20, 80);
    let seed = seed();
    let chance = SeededChance::new(seed);
    println!("seed {seed}");
    let setting = Setting::new();
    setting.subscribe(&readers());
    let gate = Arc::new(AtomicUsize::new(0));
    let (publishing, confirmed) = publisher(Way::Http(setting.url("/api/v1/posts")), posts, gate.clone());
    let files = || std::fs::read_dir(setting.maildir()).map_or(0, Iterator::count);
    for kill in 0..kills {
        let daemon = setting.start();
        let before = files();
        gate.store((kill + 1) * posts / (kills + 1), Ordering::SeqCst);
        wait_until("a delivery of this life", Duration::from_secs(20), || files() > before);
        tokio::time::sleep(Duration::from_millis(chance.draw() % 60)).await;
        daemon.kill();
    }
    gate.store(posts, Ordering::SeqCst);
    let daemon = setting.start();
    publishing.await.expect("published");
    let confirmed = confirmed.lock().expect("not poisoned").clone();
    assert_eq!(confirmed.len(), posts);
    let mut given = BTreeMap::new();
    wait_until("every story at every reader", Duration::from_secs(60), || {
        given = given_in_folder(&setting);
        given.len() == posts * SUBSCRIBERS
    });
    daemon.stop();
    let given = given_in_folder(&setting);
    let twice: Vec<_> = given.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    assert_eq!(given.keys().map(|(_, post)| post.clone()).collect::<BTreeSet<_>>(), confirmed, "seed {seed}");
}

/// How many files give a post to a reader.
fn given_in_folder(setting: &Setting) -> BTreeMap<(String, String), usize> {
    let mut given = BTreeMap::new();
    for entry in std::fs::read_dir(setting.maildir()).expect("a Maildir") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a mail");
        let parsed = mail_parser::MessageParser::default().parse(&bytes).expect("a mail");
        let to = parsed.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("a recipient").to_owned();
        for post in posts_in(&bytes) {
            *given.entry((to.clone(), post)).or_default() += 1;
        }
    }
    given
}

/// What a run saw.
struct Run {
    setting: Setting,
    sink: Sink,
    store: Location,
    seed: u64,
    kills: usize,
    posts: usize,
    kills_in_sending: usize,
}

impl Run {
    async fn new(setting: Setting, store: Location) -> Self {
        let sink = Sink::start().await;
        sink.behaviour.dot_delay_ms.store(3, Ordering::SeqCst);
        let relay = Some(Relay { port: sink.port, connections: CONNECTIONS });
        let setting = Setting { relay, ..setting };
        setting.subscribe(&readers());
        let (kills, posts) = (50 * length(), 200 * length());
        Self { setting, sink, store, seed: seed(), kills, posts, kills_in_sending: 0 }
    }

    async fn counted(&self) -> BTreeMap<String, i64> {
        let location = self.store.clone();
        let open = move || Store::open(&location, Arc::new(ManualClock::default())).expect("the store opens");
        let store = tokio::task::spawn_blocking(open).await.expect("a thread");
        store.read(deliveries::count).await.expect("counted").into_iter().collect()
    }

    /// Nothing waits, is claimed, is being sent or is uncertain.
    async fn wait_until_all_is_final(&self) {
        let is_final = |state: &str| matches!(state, "sent" | "cancelled");
        for _ in 0..600 {
            if self.counted().await.keys().all(|state| is_final(state)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("not final within a minute: {:?}", self.counted().await);
    }

    /// Kills the daemon once in each of its lives, at a random moment after a delivery of that life.
    async fn kill_again_and_again(&mut self, gate: &AtomicUsize) {
        let chance = SeededChance::new(self.seed);
        println!("seed {}", self.seed);
        for kill in 0..self.kills {
            let daemon = self.setting.start();
            let before = self.sink.count();
            gate.store((kill + 1) * self.posts / (self.kills + 1), Ordering::SeqCst);
            wait_until("a delivery of this life", Duration::from_secs(60), || self.sink.count() > before);
            tokio::time::sleep(Duration::from_millis(chance.draw() % 60)).await;
            daemon.kill();
            self.kills_in_sending += usize::from(self.counted().await.get("sending").is_some_and(|rows| *rows > 0));
        }
        gate.store(self.posts, Ordering::SeqCst);
    }

    /// Lets a last life finish the work and checks the promise.
    async fn finish(&self, publishing: tokio::task::JoinHandle<()>, confirmed: Confirmed) {
        let seed = self.seed;
        let daemon = self.setting.start();
        publishing.await.expect("published");
        let confirmed = confirmed.lock().expect("not poisoned").clone();
        assert_eq!(confirmed.len(), self.posts);
        let wanted = self.posts * SUBSCRIBERS;
        wait_until("every story at every reader", Duration::from_secs(120), || given(&self.received()).len() >= wanted);
        self.wait_until_all_is_final().await;
        daemon.stop();
        let received = self.received();
        let given = given(&received);
        let stories: BTreeSet<String> = given.keys().map(|(_, post)| post.clone()).collect();
        assert_eq!(stories, confirmed, "seed {seed}: what was confirmed is what was delivered");
        assert_eq!(given.len(), wanted, "seed {seed}");
        let twice: Vec<_> = given.iter().filter(|(_, mails)| mails.len() != 1).collect();
        assert!(twice.is_empty(), "seed {seed}: in more than one mail: {twice:?}");
        self.check_repeats(&received).await;
    }

    /// A repeat is byte-equal and its delivery is marked uncertain, of which there are no more than kills allow.
    async fn check_repeats(&self, received: &[Received]) {
        let mut by_id: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
        for mail in received {
            by_id.entry(&mail.message_id).or_default().push(mail);
        }
        let repeated: Vec<_> = by_id.values().filter(|mails| mails.len() > 1).collect();
        for mails in &repeated {
            assert!(mails.iter().all(|mail| mail.bytes == mails[0].bytes), "seed {}: a repeat differs", self.seed);
        }
        let location = self.store.clone();
        let open = move || Store::open(&location, Arc::new(ManualClock::default())).expect("the store opens");
        let store = tokio::task::spawn_blocking(open).await.expect("a thread");
        let sql = "SELECT plan_id, recipient_id FROM deliveries WHERE uncertain_at IS NOT NULL";
        let rows = store.read(move |tx| tx.query(sql, &[])).await.expect("read");
        let id = |row: &allim::store::Row| {
            allim::domain::ids::delivery_text_id(row.int(0).expect("a plan"), row.int(1).expect("a reader"), "email")
        };
        let uncertain: BTreeSet<String> = rows.iter().map(id).collect();
        for mails in &repeated {
            let local = mails[0].message_id.trim_start_matches('<').split('@').next().expect("an id");
            assert!(uncertain.contains(local), "seed {}: repeated and not marked uncertain", self.seed);
        }
        println!(
            "{} kills, {} of them with rows in `sending`; {} deliveries uncertain, {} repeated, {} mails",
            self.kills,
            self.kills_in_sending,
            uncertain.len(),
            repeated.len(),
            received.len()
        );
        // The one on its way, and the one that was announced after it.
        assert!(uncertain.len() <= self.kills * CONNECTIONS * 2, "seed {}", self.seed);
    }

    fn received(&self) -> Vec<Received> {
        self.sink.received.lock().expect("not poisoned").clone()
    }
}

/// In which mails each reader got each post.
fn given(received: &[Received]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut given: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for mail in received {
        for post in mail.posts() {
            given.entry((mail.recipient.clone(), post)).or_default().insert(mail.message_id.clone());
        }
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_while_sending_on_sqlite() {
    let _alone = ALONE.lock().await;
    let setting = Setting::new();
    let location = Location::Sqlite(setting.path().join("allim.sqlite"));
    let way = Way::Http(setting.url("/api/v1/posts"));
    let mut run = Run::new(setting, location).await;
    let gate = Arc::new(AtomicUsize::new(0));
    let (publishing, confirmed) = publisher(way, run.posts, gate.clone());
    run.kill_again_and_again(&gate).await;
    run.finish(publishing, confirmed).await;
    assert!(run.kills_in_sending >= 10, "only {} kills found a row in `sending`", run.kills_in_sending);
}

/// RabbitMQ in front, PostgreSQL below.
async fn on_servers(name: &str) -> Option<(Setting, Location, Way)> {
    let (postgres, amqp) = (support::server("ALLIM_TEST_POSTGRES")?, support::server("ALLIM_TEST_AMQP")?);
    let url = support::create_database(&postgres, &format!("{name}_{}", std::process::id())).await;
    let queue = format!("{name}-{}", std::process::id());
    let way = Way::Amqp { url: amqp.clone(), queue: queue.clone() };
    let setting = Setting { store_url: url.clone(), amqp: Some(amqp), queue, ..Setting::new() };
    Some((setting, Location::Postgres { url, connections: 2 }, way))
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_fifty_times_while_sending_on_postgres_and_rabbitmq() {
    let _alone = ALONE.lock().await;
    let Some((setting, location, way)) = on_servers("kills").await else { return };
    let mut run = Run::new(setting, location).await;
    // The first life declares the queue.
    let first = run.setting.start();
    let gate = Arc::new(AtomicUsize::new(1));
    let (publishing, confirmed) = publisher(way, run.posts, gate.clone());
    wait_until("the first delivery", Duration::from_secs(60), || run.sink.count() > 0);
    first.kill();
    run.kill_again_and_again(&gate).await;
    run.finish(publishing, confirmed).await;
    assert!(run.kills_in_sending >= 10, "only {} kills found a row in `sending`", run.kills_in_sending);
}

/// Broker and database are restarted, and killed, while posts and mail pass.
#[tokio::test(flavor = "multi_thread")]
async fn broker_and_database_restarted_in_mid_run() {
    let _alone = ALONE.lock().await;
    let Some((setting, location, way)) = on_servers("restarts").await else { return };
    let mut run = Run::new(setting, location).await;
    run.posts = 60;
    run.kills = 4;
    let daemon = run.setting.start();
    let gate = Arc::new(AtomicUsize::new(0));
    let (publishing, confirmed) = publisher(way, run.posts, gate.clone());
    let restarts =
        ["ALLIM_TEST_POSTGRES_RESTART", "ALLIM_TEST_AMQP_RESTART"].map(|name| support::server(name).expect(name));
    for (step, (script, how)) in
        [(&restarts[0], ""), (&restarts[1], ""), (&restarts[0], "kill"), (&restarts[1], "kill")].into_iter().enumerate()
    {
        let before = run.sink.count();
        gate.store((step + 1) * run.posts / 5, Ordering::SeqCst);
        wait_until("a delivery before the restart", Duration::from_secs(60), || run.sink.count() > before);
        let mut command = std::process::Command::new(script);
        if !how.is_empty() {
            command.arg(how);
        }
        let restarted = tokio::task::spawn_blocking(move || command.status()).await.expect("a thread");
        assert!(restarted.expect("it runs").success());
    }
    gate.store(run.posts, Ordering::SeqCst);
    daemon.stop();
    run.finish(publishing, confirmed).await;
}

/// A relay that falls silent after the final dot: the delivery is uncertain, and is repeated once with the same bytes.
#[tokio::test(flavor = "multi_thread")]
async fn silence_after_the_dot_is_uncertain_and_repeated_once() {
    let _alone = ALONE.lock().await;
    let setting = Setting::new();
    let location = Location::Sqlite(setting.path().join("allim.sqlite"));
    let url = setting.url("/api/v1/posts");
    let run = Run::new(setting, location).await;
    run.sink.behaviour.silent_dots.store(3, Ordering::SeqCst);
    let daemon = run.setting.start();
    publish(&reqwest::Client::new(), &url, &post("quiet", "조용한 중계", "ko", &["events"])).await;
    wait_until("three repeats", Duration::from_secs(60), || run.sink.count() == SUBSCRIBERS + 3);
    run.wait_until_all_is_final().await;
    daemon.stop();
    let received = run.received();
    assert_eq!(given(&received).len(), SUBSCRIBERS);
    run.check_repeats(&received).await;
    assert_eq!(received.len(), SUBSCRIBERS + 3);
    assert_eq!(run.counted().await, BTreeMap::from([("sent".to_owned(), SUBSCRIBERS as i64)]));
}

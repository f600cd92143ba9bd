//! A house to shake: daemons on one store, a sink that they send to, and someone who keeps publishing.

use crate::support::proxy::Proxy;
use crate::support::sink::{Received, Sink};
use crate::support::{self, Daemon, Relay, Setting, TOKEN, post};
use crate::verdict;
use allim::domain::clock::{Chance as _, ManualClock, SeededChance};
use allim::store::{Location, Store, deliveries};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

/// Connections of each daemon to the sink.
pub const CONNECTIONS: usize = 4;
/// The readers of a house: most want mail at once, some a digest every other second, in three languages.
pub const READERS: usize = 40;
/// The longest until the first delivery after a restart, or after a fault is over.
const RECOVERY_MAX: Duration = Duration::from_secs(10);
/// A limit, not a wait: a machine that compiles meanwhile is slow.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Lines of each daemon's log that are shown where that was not enough.
const LAST_WORDS: usize = 25;

/// Posts that were confirmed, by id.
pub type Confirmed = Arc<Mutex<BTreeMap<String, serde_json::Value>>>;

/// How posts are brought in, and where else when one daemon is away.
#[derive(Clone)]
pub enum Way {
    Http(Vec<String>),
    Amqp { url: String, queue: String },
}

/// A daemon that may be away.
pub struct Replica {
    pub setting: Setting,
    pub daemon: Option<Daemon>,
}

/// The house.
pub struct House {
    pub replicas: Vec<Replica>,
    pub sink: Sink,
    pub store: Store,
    /// What it is called in a failure, with its seed.
    pub name: String,
    pub confirmed: Confirmed,
    /// Connections that were open when their daemon was killed, stopped or cut off.
    pub connections_lost: usize,
    /// When something was last done to the house.
    pub disturbed_at: Instant,
    /// Kills that found a delivery in `sending`.
    pub kills_in_sending: usize,
    pub recovery_max: Duration,
    pub posts: usize,
    chance: SeededChance,
    permits: Arc<Semaphore>,
    publisher: tokio::task::JoinHandle<()>,
}

/// What a house is built from.
pub struct Plan {
    pub name: String,
    pub seed: u64,
    pub settings: Vec<Setting>,
    pub location: Location,
    pub ways: Vec<Way>,
    /// A wire before the sink.
    pub with_wire: bool,
    /// Not so when a test starts a daemon of its own kind.
    pub is_started: bool,
}

impl Plan {
    /// One daemon on an embedded database.
    pub fn sqlite(name: &str, seed: u64) -> Self {
        let setting = Setting::new();
        let location = Location::Sqlite(setting.path().join("allim.sqlite"));
        let ways = vec![Way::Http(vec![setting.url("/api/v1/posts")])];
        Self {
            name: format!("{name}, seed {seed}"),
            seed,
            settings: vec![setting],
            location,
            ways,
            with_wire: false,
            is_started: true,
        }
    }

    /// Daemons on PostgreSQL behind RabbitMQ. `None` when the servers are neither there nor needed.
    pub async fn servers(name: &str, seed: u64, replicas: usize) -> Option<Self> {
        static HOUSES: AtomicUsize = AtomicUsize::new(0);
        let (postgres, amqp) = (support::server("ALLIM_TEST_POSTGRES")?, support::server("ALLIM_TEST_AMQP")?);
        let number = HOUSES.fetch_add(1, Ordering::SeqCst);
        let queue = format!("chaos_{}_{number}", std::process::id());
        let url = support::create_database(&postgres, &queue).await;
        let setting = |number| Setting {
            name: format!("replica-{number}"),
            store_url: url.clone(),
            store_connections: 4,
            public_port: Some(80),
            amqp: Some(amqp.clone()),
            queue: queue.clone(),
            ..Setting::new()
        };
        let settings: Vec<Setting> = (0..replicas).map(setting).collect();
        let urls = settings.iter().map(|setting| setting.url("/api/v1/posts")).collect();
        let ways = vec![Way::Amqp { url: amqp, queue }, Way::Http(urls)];
        let location = Location::Postgres { url, connections: 2 };
        Some(Self {
            name: format!("{name}, seed {seed}"),
            seed,
            settings,
            location,
            ways,
            with_wire: false,
            is_started: true,
        })
    }

    /// Builds the house, with its daemons running and a first letter delivered: queue and connections stand.
    pub async fn build(self) -> (House, Proxy) {
        println!("{}", self.name);
        let sink = Sink::start().await;
        sink.behaviour.dot_delay_ms.store(3, Ordering::SeqCst);
        let wire = Proxy::to(sink.port).await;
        let port = if self.with_wire { wire.port } else { sink.port };
        let furnish = |setting| Setting { relay: Some(Relay { port, connections: CONNECTIONS }), ..setting };
        let replicas: Vec<Replica> =
            self.settings.into_iter().map(|setting| Replica { setting: furnish(setting), daemon: None }).collect();
        block_in_place(|| replicas[0].setting.subscribe(&readers()));
        let location = self.location;
        let open = move || Store::open(&location, Arc::new(ManualClock::default())).expect("the store opens");
        let store = tokio::task::spawn_blocking(open).await.expect("a thread");
        let (permits, confirmed) = (Arc::new(Semaphore::new(0)), Arc::default());
        let publisher = tokio::spawn(publish(self.ways, permits.clone(), Arc::clone(&confirmed)));
        let mut house = House {
            replicas,
            sink,
            store,
            name: self.name,
            confirmed,
            connections_lost: 0,
            disturbed_at: Instant::now(),
            kills_in_sending: 0,
            recovery_max: Duration::ZERO,
            posts: 0,
            chance: SeededChance::new(self.seed),
            permits,
            publisher,
        };
        if self.is_started {
            house.start(&house.everybody());
            house.deliver("the first delivery", 1).await;
        }
        (house, wire)
    }
}

fn readers() -> Vec<String> {
    let line = |number: usize| {
        let language = ["ko", "en", "zh"][number % 3];
        let schedule = if number.is_multiple_of(5) { "often" } else { "immediate" };
        format!("reader{number}@example.net,,{language},events,{schedule}")
    };
    (0..READERS).map(line).collect()
}

/// Publishes as many posts as there are permits, by each way in turn, and keeps the ids of those confirmed.
async fn publish(ways: Vec<Way>, permits: Arc<Semaphore>, confirmed: Confirmed) {
    let client = reqwest::Client::new();
    for number in 0.. {
        let Ok(permit) = permits.acquire().await else { return };
        permit.forget();
        let mut body = post(&format!("post-{number}"), &format!("{number}번째 소식"), "ko", &["events"]);
        // Long enough ago for a clock that is set back an hour.
        let at = jiff::Timestamp::from_second(support::now_seconds() - 2 * 3_600).expect("a time");
        body["published_at"] = serde_json::json!(at.to_string());
        let id = ways[number % ways.len()].publish(&client, &body).await;
        confirmed.lock().expect("not poisoned").insert(id, body);
    }
}

impl Way {
    /// Brings a post in and returns its id once it is confirmed, through any number of faults.
    pub async fn publish(&self, client: &reqwest::Client, body: &serde_json::Value) -> String {
        let id = allim::domain::ids::post_id("cms", body["id"].as_str().expect("an id"));
        for turn in 0.. {
            let is_taken = match self {
                Way::Http(urls) => {
                    let asked = client.post(&urls[turn % urls.len()]).bearer_auth(TOKEN).json(body);
                    let answer = asked.timeout(Duration::from_secs(3)).send().await;
                    answer.is_ok_and(|answer| answer.status().is_success())
                }
                Way::Amqp { url, queue } => support::publish_amqp(url, queue, body).await,
            };
            if is_taken {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        id
    }
}

impl House {
    pub fn everybody(&self) -> Vec<usize> {
        (0..self.replicas.len()).collect()
    }

    /// A random number below `limit`.
    pub fn draw(&self, limit: u64) -> u64 {
        self.chance.draw() % limit
    }

    pub fn start(&mut self, who: &[usize]) {
        block_in_place(|| {
            for one in who {
                let replica = &mut self.replicas[*one];
                replica.daemon = Some(replica.setting.start());
            }
        });
        self.disturbed_at = Instant::now();
    }

    /// SIGKILL.
    pub async fn kill(&mut self, who: &[usize]) {
        for one in who {
            self.replicas[*one].daemon.take().expect("it runs").kill();
            self.connections_lost += CONNECTIONS;
        }
        self.disturbed_at = Instant::now();
        self.kills_in_sending += usize::from(self.counted().await.get("sending").is_some_and(|rows| *rows > 0));
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn stop(&mut self, who: &[usize]) {
        let daemons: Vec<Daemon> = who.iter().filter_map(|one| self.replicas[*one].daemon.take()).collect();
        block_in_place(|| daemons.into_iter().for_each(Daemon::stop));
    }

    /// Sends a signal, such as `STOP`.
    pub fn signal(&mut self, who: usize, signal: &str) {
        let pid = self.replicas[who].daemon.as_ref().expect("it runs").pid().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{signal}"), &pid]).status();
        assert!(sent.expect("kill runs").success());
        self.disturbed_at = Instant::now();
    }

    /// Lets so many more posts be published.
    pub fn publish(&mut self, posts: usize) {
        self.permits.add_permits(posts);
        self.posts += posts;
    }

    /// Publishes so many posts and waits for a delivery. Returns how long it took.
    pub async fn deliver(&mut self, what: &str, posts: usize) -> Duration {
        let (before, started) = (self.sink.count(), Instant::now());
        self.publish(posts);
        let sink = self.sink.clone();
        self.until(what, move || sink.count() > before).await;
        started.elapsed()
    }

    /// Publishes a post, and holds the house to its promise of how soon after a fault something is delivered.
    pub async fn recover(&mut self, since: Instant) {
        self.deliver("a delivery after the fault", 1).await;
        let took = since.elapsed();
        self.recovery_max = self.recovery_max.max(took);
        assert!(took < RECOVERY_MAX, "{}: the first delivery after the fault took {took:?}", self.name);
        self.disturbed_at = Instant::now();
    }

    /// Waits for something that daemons or servers do; the time is a limit, not a wait.
    pub async fn until(&self, what: &str, mut check: impl FnMut() -> bool) {
        let waiting = async {
            while !check() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::time::timeout(LIMIT, waiting).await;
        if done.is_err() {
            panic!("{}: waited for {what}; {:?}{}", self.name, self.counted().await, self.last_words());
        }
    }

    /// The ends of the daemons' logs.
    fn last_words(&self) -> String {
        let mut words = String::new();
        for (number, replica) in self.replicas.iter().enumerate() {
            let log = std::fs::read_to_string(replica.setting.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
            words.push_str(&format!("\n-- the last words of replica {number}:\n{last}"));
        }
        words
    }

    /// Waits until each post that was let through is confirmed.
    pub async fn all_confirmed(&self) {
        let confirmed = self.confirmed.clone();
        let posts = self.posts;
        self.until("every post to be confirmed", || confirmed.lock().expect("not poisoned").len() == posts).await;
    }

    /// Deliveries by state.
    pub async fn counted(&self) -> BTreeMap<String, i64> {
        // The server itself may be away.
        self.store.read(deliveries::count).await.map_or_else(|_| BTreeMap::new(), |counts| counts.into_iter().collect())
    }

    pub fn received(&self) -> Vec<Received> {
        self.sink.received.lock().expect("not poisoned").clone()
    }

    pub fn log(&self) -> String {
        let logs = self.replicas.iter().map(|one| std::fs::read_to_string(one.setting.path().join("log")));
        logs.filter_map(Result::ok).collect()
    }

    /// Lets the daemons finish, holds what they did against the promise, and stops them.
    pub async fn close(mut self) -> verdict::Figures {
        let figures = verdict::hold(&self).await;
        self.publisher.abort();
        self.stop(&self.everybody());
        figures
    }
}

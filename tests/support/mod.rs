//! What the tests share: a daemon as a child process, its configuration, and the servers that `tests/run.sh` starts.
#![allow(dead_code, missing_docs, reason = "each test binary uses a part of this")]
#![allow(clippy::disallowed_methods, reason = "a limit on waiting for another process reads the clock")]

pub mod broker;
pub mod dns;
pub mod keys;
pub mod letters;
pub mod proxy;
pub mod sink;
pub mod tls;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The token whose hash stands in [`Setting::config`].
pub const TOKEN: &str = "test-token";

/// The address of a server that `tests/run.sh` started, or `None` when it isn't there and need not be.
///
/// # Panics
/// When the servers are required (in `tests/run.sh`) and this one is missing: nothing is skipped quietly there.
pub fn server(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    let required = std::env::var_os("ALLIM_TEST_REQUIRE_SERVICES").is_some();
    assert!(value.is_some() || !required, "{variable} is not set; run `bash tests/run.sh`");
    if value.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    value
}

/// A port that nobody listens at, and that no other test of this process was given: the system may hand out the same one twice
/// before it is used, and then one of two daemons ends while its test takes the other for it.
pub fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        if GIVEN.lock().expect("not poisoned").insert(port) {
            return port;
        }
    }
}

/// Waits for something that another process does, looking every few milliseconds; the time is a limit, not a wait.
pub fn wait_until(what: &str, limit: Duration, mut check: impl FnMut() -> bool) {
    let started = Instant::now();
    while !check() {
        assert!(started.elapsed() < limit, "waited {limit:?} for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A daemon's surroundings: folder, ports, and what it is connected to.
pub struct Setting {
    pub dir: tempfile::TempDir,
    pub name: String,
    pub port: u16,
    /// The port in links, if not `port`: replicas stand behind one address.
    pub public_port: Option<u16>,
    pub store_url: String,
    pub store_connections: usize,
    /// Where the state is kept, if not in `dir`.
    pub state_dir: Option<PathBuf>,
    pub relay: Option<Relay>,
    pub amqp: Option<String>,
    pub queue: String,
    /// More lines of `[intake.amqp]`.
    pub amqp_extra: String,
    pub spool: bool,
    /// The address in From. That of most tests is at a name for examples, which nobody looks up.
    pub sender_address: String,
    /// More lines of `[[sender]]`.
    pub sender_extra: String,
    /// How long immediate mail waits.
    pub grace: &'static str,
    /// More lines of `[send]`.
    pub send_extra: String,
    pub extra: String,
}

pub struct Relay {
    pub port: u16,
    pub connections: usize,
}

impl Setting {
    pub fn new() -> Self {
        Self {
            dir: tempfile::tempdir().expect("a folder"),
            name: "test".to_owned(),
            port: free_port(),
            public_port: None,
            store_url: "sqlite:allim.sqlite".to_owned(),
            store_connections: 8,
            state_dir: None,
            relay: None,
            amqp: None,
            queue: "allim.posts".to_owned(),
            amqp_extra: String::new(),
            spool: false,
            sender_address: "news@example.org".to_owned(),
            sender_extra: String::new(),
            grace: "0s",
            send_extra: String::new(),
            extra: String::new(),
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn maildir(&self) -> PathBuf {
        self.path().join("mail/new")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Writes the configuration file.
    pub fn config(&self) -> PathBuf {
        let hash = allim::domain::ids::content_hash(TOKEN.as_bytes());
        let relay = self.relay.as_ref().map_or(String::new(), |relay| {
            format!(
                "[[relay]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nconnections = {}\n",
                relay.port, relay.connections
            )
        });
        let amqp = self.amqp.as_ref().map_or(String::new(), |url| {
            format!(
                "[intake.amqp]\nurl = \"{url}\"\nqueue = \"{}\"\nsource = \"cms\"\n{}\n",
                self.queue, self.amqp_extra
            )
        });
        let spool = if self.spool { "[intake.spool]\nfolder = \"spool\"\nsource = \"cms\"\n" } else { "" };
        let text = format!(
            r#"
[instance]
name = "{name}"
state_dir = "{dir}"
[store]
url = "{store}"
connections = {connections}
[site]
name = {{ ko = "시험 연구원", en = "Test Institute" }}
tag_authority = "example.org,2026"
zone = "Asia/Seoul"
[languages]
readers = ["ko", "en", "zh"]
[[topic]]
name = "events"
title = {{ ko = "행사", en = "Events", zh = "活动" }}
[[topic]]
name = "notices"
title = {{ ko = "공지", en = "Notices", zh = "通知" }}
[[digest]]
name = "often"
title = {{ ko = "모음", en = "Digest", zh = "摘要" }}
schedule = "*/2 * * * * *"
[[sender]]
name = "news"
from = {{ ko = "연구원 소식", en = "Institute News" }}
address = "{address}"
list_id = "news.example.org"
{sender}
[[intake.source]]
name = "cms"
urgent = true
[[intake.token]]
name = "test"
sha256 = "{hash}"
source = "cms"
{amqp}{spool}
[immediate]
grace = "{grace}"
[send]
uncertain_wait = "1s"
{send}
[web]
listen = "127.0.0.1:{port}"
public_url = "http://127.0.0.1:{public_port}"
{relay}{extra}"#,
            name = self.name,
            dir = self.state_dir.as_deref().unwrap_or(self.path()).display(),
            store = self.store_url,
            connections = self.store_connections,
            port = self.port,
            address = self.sender_address,
            sender = self.sender_extra,
            send = self.send_extra,
            public_port = self.public_port.unwrap_or(self.port),
            grace = self.grace,
            extra = self.extra,
        );
        let file = self.path().join("allim.toml");
        std::fs::write(&file, text).expect("the configuration is written");
        file
    }

    /// A command of the product on this configuration.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allim"));
        command.arg("--config").arg(self.config()).args(arguments).env("NO_COLOR", "1");
        command
    }

    /// Runs a command to its end and returns what it printed.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it runs");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {out}{err}");
        out.into_owned()
    }

    /// Imports subscribers: lines of `address,name,language,topics,schedule`.
    pub fn subscribe(&self, lines: &[String]) {
        let file = self.path().join("subscribers.csv");
        let text = format!("address,name,language,topics,schedule\n{}\n", lines.join("\n"));
        std::fs::write(&file, text).expect("the list is written");
        self.run(&["subscriber", "import", file.to_str().expect("a path")]);
    }

    /// A daemon that does a part of the work; it may serve nothing, so its log says when it runs.
    pub fn start_as(&self, roles: &str) -> Daemon {
        let log = self.path().join("log");
        let runs = || std::fs::read_to_string(&log).unwrap_or_default().matches(" running ").count();
        let before = runs();
        let mut daemon = self.spawn(&["run", "--roles", roles]);
        wait_until("the daemon to run", Duration::from_secs(30), || {
            if let Some(status) = daemon.child.try_wait().expect("a status") {
                panic!("the daemon ended with {status}: {}", daemon.log());
            }
            runs() > before
        });
        daemon
    }

    fn spawn(&self, arguments: &[&str]) -> Daemon {
        let log = self.path().join("log");
        let file = std::fs::File::options().create(true).append(true).open(&log).expect("a log");
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(file);
        Daemon { child: command.spawn().expect("the daemon starts"), log }
    }

    pub fn start(&self) -> Daemon {
        self.start_by(self.command(&["run"]))
    }

    /// Starts `allim run` by a command of the test's own.
    pub fn start_by(&self, mut command: Command) -> Daemon {
        let path = self.path().join("log");
        let log = std::fs::File::options().create(true).append(true).open(&path).expect("a log");
        // Somebody else may listen at its port, so its log has the word.
        let runs = || std::fs::read_to_string(&path).unwrap_or_default().matches(" running ").count();
        let before = runs();
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the daemon starts");
        let mut daemon = Daemon { child, log: path.clone() };
        wait_until("the daemon to be ready", Duration::from_secs(30), || {
            if let Some(status) = daemon.child.try_wait().expect("a status") {
                panic!("the daemon ended with {status}: {}", daemon.log());
            }
            runs() > before && std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
        daemon
    }
}

/// A running daemon; killed when dropped.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL: no chance to tidy up.
    pub fn kill(mut self) {
        self.child.kill().expect("it is killed");
        self.child.wait().expect("it ends");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and waits for the orderly end.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success());
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "the daemon ended with {status}: {}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bare post as JSON.
pub fn post(id: &str, title: &str, language: &str, topics: &[&str]) -> serde_json::Value {
    serde_json::json!({
        "id": id, "title": title, "language": language, "topics": topics,
        "published_at": jiff::Timestamp::from_second(now_seconds()).expect("a time").to_string(),
        "body": { "format": "text", "content": format!("{title} — 본문입니다.") },
    })
}

#[allow(clippy::disallowed_methods, reason = "a test talks to a daemon that has the system's clock")]
pub fn now_seconds() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_secs()).expect("fits")
}

/// Publishes until it is taken: through restarts and kills of the daemon. Returns the post's id.
pub async fn publish(client: &reqwest::Client, url: &str, body: &serde_json::Value) -> String {
    loop {
        let sent = client.post(url).bearer_auth(TOKEN).json(body).timeout(Duration::from_secs(10)).send().await;
        if let Ok(answer) = sent
            && answer.status().is_success()
            && let Ok(receipt) = answer.json::<serde_json::Value>().await
        {
            return receipt["post_id"].as_str().expect("an id").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a database on the test server and returns its URL.
pub async fn create_database(server: &str, name: &str) -> String {
    let (server, name) = (server.to_owned(), name.to_owned());
    let make = move || {
        let mut client = postgres::Client::connect(&server, postgres::NoTls).expect("the server answers");
        client.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database");
        let (base, _) = server.rsplit_once('/').expect("a URL");
        format!("{base}/{name}?sslmode=disable")
    };
    tokio::task::spawn_blocking(make).await.expect("a thread")
}

/// Publishes one message and waits for the broker's confirmation. False: not known to be taken; publish it again.
pub async fn publish_amqp(url: &str, queue: &str, body: &serde_json::Value) -> bool {
    let sent = async {
        let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(lapin::options::ConfirmSelectOptions::default()).await?;
        let options = lapin::options::BasicPublishOptions { mandatory: true, ..Default::default() };
        let properties =
            lapin::BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let bytes = body.to_string();
        let confirm =
            channel.basic_publish("".into(), queue.into(), options, bytes.as_bytes(), properties).await?.await?;
        let taken = matches!(confirm, lapin::Confirmation::Ack(None));
        connection.close(200, "done".into()).await?;
        Ok::<bool, lapin::Error>(taken)
    };
    matches!(tokio::time::timeout(Duration::from_secs(10), sent).await, Ok(Ok(true)))
}

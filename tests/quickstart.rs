//! The quickstart, as somebody would try it, but with seconds for minutes.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use support::sink::posts_in;
use support::{free_port, wait_until};

/// A copy of `config/` in which every minute is a few seconds.
struct Trial {
    dir: tempfile::TempDir,
    port: u16,
}

const EMBARGO_S: i64 = 8;

impl Trial {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
        copy(&from, &dir.path().join("config"));
        let replace = |name: &str, old: &str, new: &str| {
            let path = dir.path().join("config").join(name);
            let text = std::fs::read_to_string(&path).expect("readable");
            assert!(text.contains(old), "{name}: {old}");
            std::fs::write(path, text.replace(old, new)).expect("written");
        };
        replace("quickstart.toml", "\"* * * * *\"", "\"*/3 * * * * *\"");
        replace("quickstart/4-groundwater-en.json", "{{now+1m}}", &format!("{{{{now+{EMBARGO_S}s}}}}"));
        Self { dir, port: free_port() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_allim"));
        let config = self.dir.path().join("config/quickstart.toml");
        // The state folder of the configuration is taken from where one stands.
        command.current_dir(self.dir.path()).arg("--config").arg(config).args(arguments);
        command
            .env("ALLIM__WEB__LISTEN", format!("127.0.0.1:{}", self.port))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// What the daemons say, for whoever wants to know why a test failed.
    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn start(&self) -> Running {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.command(&["run"]);
        Running(command.stdout(log.try_clone().expect("a log")).stderr(log).spawn().expect("it starts"), self.log())
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("var/quickstart")
    }

    /// How often each post was given to each reader.
    fn given(&self) -> BTreeMap<(String, String), usize> {
        let mut given = BTreeMap::new();
        let Ok(entries) = std::fs::read_dir(self.state().join("mail/new")) else { return given };
        for entry in entries {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a mail");
            let parsed = mail_parser::MessageParser::default().parse(&bytes).expect("a mail");
            let to = parsed.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("a recipient").to_owned();
            for post in posts_in(&bytes) {
                *given.entry((to.clone(), post)).or_default() += 1;
            }
        }
        given
    }

    fn digests_fired(&self) -> i64 {
        let database = rusqlite::Connection::open(self.state().join("allim.sqlite")).expect("the database");
        let sql = "SELECT COUNT(*) FROM occurrences WHERE schedule = 'minutely'";
        database.query_row(sql, [], |row| row.get(0)).expect("a number")
    }
}

struct Running(Child, PathBuf);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(&self.1).unwrap_or_default());
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).expect("copied")),
        }
    }
}

#[test]
fn everybody_gets_every_story_once_and_a_second_start_mails_nothing() {
    let trial = Trial::new();
    // A first start that is cut short is repeated with the same posts.
    for pause_ms in [20, 60, 100] {
        let running = trial.start();
        std::thread::sleep(Duration::from_millis(pause_ms));
        drop(running);
    }
    let started = support::now_seconds();
    let running = trial.start();
    let id = |source_id: &str| allim::domain::ids::post_id("cms", source_id);
    let expected: BTreeMap<_, _> = [
        ("minji@example.net", ["forum-ko", "library-zh", "groundwater-en", "outage-ko"]),
        ("alex@example.net", ["forum-en", "library-zh", "groundwater-en", "outage-ko"]),
        ("liwen@example.net", ["forum-ko", "library-zh", "groundwater-en", "outage-ko"]),
    ]
    .into_iter()
    .flat_map(|(to, posts)| posts.map(|post| ((to.to_owned(), id(post)), 1)))
    .collect();
    let secret = id("groundwater-en");
    let mut given = BTreeMap::new();
    wait_until("every story at every reader", Duration::from_secs(60), || {
        given = trial.given();
        let is_early = support::now_seconds() < started + EMBARGO_S - 2;
        assert!(!is_early || given.keys().all(|(_, post)| *post != secret), "an embargoed post is out: {given:?}");
        given.len() >= expected.len()
    });
    assert_eq!(given, expected);
    let fired = trial.digests_fired();
    let picture = format!("http://127.0.0.1:{}/quickstart/harbour.png", trial.port);
    let answer = tokio::runtime::Runtime::new().expect("a runtime").block_on(async {
        let answer = reqwest::get(&picture).await.expect("an answer");
        (answer.status().as_u16(), answer.bytes().await.expect("a body"))
    });
    assert!(answer.0 == 200 && answer.1.starts_with(b"\x89PNG"), "the pictures of the samples are shown");
    drop(running);

    let running = trial.start();
    wait_until("two more digests", Duration::from_secs(60), || trial.digests_fired() > fired + 1);
    drop(running);
    assert_eq!(trial.given(), expected, "a second start mails nothing again");
}

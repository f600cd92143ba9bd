//! `allim migrate --from … --to …`: an installation moves from SQLite to PostgreSQL and loses and repeats nothing.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::clock::{ManualClock, UnixMillis};
use allim::store::moving::{self, STAY};
use allim::store::{Location, Store, StoreError};
use rusqlite::Connection;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::sink::posts_in;
use support::{Setting, post, publish, wait_until};

/// A limit, not a wait: a machine that compiles meanwhile is slow.
const LIMIT: Duration = Duration::from_secs(60);
/// More than one transaction of a move takes.
const MANY: i64 = 45_000;

async fn empty_database() -> Option<String> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = support::server("ALLIM_TEST_POSTGRES")?;
    let name = format!("moving_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    Some(support::create_database(&server, &name).await)
}

/// An embedded database with tables and nothing else.
async fn embedded(folder: &Path) -> PathBuf {
    let file = folder.join("allim.sqlite");
    let location = Location::Sqlite(file.clone());
    let open = move || Store::open(&location, Arc::new(ManualClock::default())).map(drop);
    tokio::task::spawn_blocking(open).await.expect("a thread").expect("a store");
    file
}

type Rows = BTreeSet<Vec<Option<String>>>;

/// Every table but those that belong to the database itself, with its columns: name, type, whether NULL is refused.
fn schema(source: &Connection) -> BTreeMap<String, Vec<(String, String, bool)>> {
    let mut names = source.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").expect("prepared");
    let names = names.query_map([], |row| row.get(0)).expect("asked").map(|name| name.expect("a name"));
    let columns = |name: &String| {
        let mut statement = source.prepare(&format!("PRAGMA table_info(\"{name}\")")).expect("prepared");
        let rows = statement.query_map([], |row| Ok((row.get(1)?, row.get(2)?, row.get(3)?))).expect("asked");
        rows.map(|row| row.expect("a column")).collect()
    };
    let kept = names.filter(|name: &String| !STAY.contains(&name.as_str()));
    kept.map(|name| (name.clone(), columns(&name))).collect()
}

/// Puts a row into every table that has none: strange characters, large numbers, and NULL where it may be.
fn fill(source: &Connection) {
    for (table, columns) in schema(source) {
        let count: i64 =
            source.query_row(&format!("SELECT COUNT(*) FROM \"{table}\""), [], |row| row.get(0)).expect("counted");
        let value = |(index, (name, kind, is_required)): (usize, &(String, String, bool))| match kind.as_str() {
            _ if !is_required && index % 2 == 0 => "NULL".to_owned(),
            "TEXT" => format!("'{table}.{name} 가 \\N \\\\ \"' || char(8, 9, 10, 11, 12, 13, 127, 128512)"),
            "BIGINT" => (i64::MAX - i64::try_from(index).expect("small")).to_string(),
            other => panic!("{table}.{name} is {other}: columns are TEXT or BIGINT only"),
        };
        if count == 0 {
            let values: Vec<String> = columns.iter().enumerate().map(value).collect();
            let sql = format!("INSERT INTO \"{table}\" VALUES ({})", values.join(", "));
            source.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
        }
    }
    let many = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
         INSERT INTO events SELECT 'cms', 'cms', 'event-' || i, hex(i), 'post-' || i, i FROM n"
    );
    source.execute_batch(&many).expect("many rows");
}

fn embedded_rows(source: &Connection, table: &str, columns: &[(String, String, bool)]) -> Rows {
    let list: Vec<String> = columns.iter().map(|(name, ..)| format!("CAST(\"{name}\" AS TEXT)")).collect();
    let mut statement = source.prepare(&format!("SELECT {} FROM \"{table}\"", list.join(", "))).expect("prepared");
    let row = |row: &rusqlite::Row<'_>| (0..columns.len()).map(|index| row.get(index)).collect();
    statement.query_map([], row).expect("asked").map(|row| row.expect("a row")).collect()
}

fn server_rows(url: &str, table: &str, columns: &[(String, String, bool)]) -> Rows {
    let mut client = postgres::Client::connect(url, postgres::NoTls).expect("the server answers");
    let list: Vec<String> = columns.iter().map(|(name, ..)| format!("CAST(\"{name}\" AS TEXT)")).collect();
    let rows = client.query(&format!("SELECT {} FROM \"{table}\"", list.join(", ")), &[]).expect("asked");
    rows.iter().map(|row| (0..columns.len()).map(|index| row.get(index)).collect()).collect()
}

async fn carry(file: &Path, url: &str) -> Result<Vec<moving::Moved>, StoreError> {
    let (file, url) = (file.to_owned(), url.to_owned());
    let carry =
        move || moving::carry(&file, &url, "postgres://there", UnixMillis(1), |_, done, all| assert!(done <= all));
    // As the command does: the client of the server may not block one of tokio's threads.
    let thread = std::thread::spawn(carry);
    tokio::task::spawn_blocking(move || thread.join().expect("no panic")).await.expect("a thread")
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("a thread")
}

/// Fails when a table that a migration adds is left out.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_column_goes_along() {
    let Some(url) = empty_database().await else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = embedded(folder.path()).await;
    let source = Connection::open(&file).expect("opened");
    fill(&source);
    let schema = schema(&source);
    let mut expected = BTreeMap::new();
    for (table, columns) in &schema {
        expected.insert(table.clone(), embedded_rows(&source, table, columns));
    }
    drop(source);
    assert_eq!(STAY, ["migrations", "expansions", "doubts"], "what is left behind is left behind on purpose");
    let moved = carry(&file, &url).await.expect("moved");
    let names: Vec<&String> = moved.iter().map(|moved| &moved.table).collect();
    assert_eq!(names, schema.keys().collect::<Vec<_>>());
    on_thread(move || {
        for (table, columns) in &schema {
            let (found, expected) = (server_rows(&url, table, columns), &expected[table]);
            assert!(!expected.is_empty() && found == *expected, "{table}: {} of {}", found.len(), expected.len());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_move_that_breaks_off_leaves_nothing_usable_and_can_be_repeated() {
    let Some(url) = empty_database().await else { return };
    let setting = Setting::new();
    let file = embedded(setting.path()).await;
    let source = Connection::open(&file).expect("opened");
    fill(&source);
    source.execute_batch("INSERT INTO token_keys VALUES ('broken', x'00ff', 1)").expect("a bad row");
    let told = carry(&file, &url).await.expect_err("it can't be moved").to_string();
    assert!(told.contains("token_keys.secret is neither TEXT nor BIGINT"), "{told}");
    let target = Setting { store_url: url.clone(), ..Setting::new() };
    for command in [&["run"][..], &["subscriber", "export"], &["hold", "off", "--resend"]] {
        let output = target.command(command).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("didn't come to its end"), "{command:?}: {told}");
    }
    // The source is as it was: nothing keeps it from going on.
    let doubts: i64 = source.query_row("SELECT COUNT(*) FROM doubts", [], |row| row.get(0)).expect("counted");
    assert_eq!(doubts, 0);
    source.execute_batch("DELETE FROM token_keys WHERE id = 'broken'").expect("repaired");

    // Killed at some moment of the second run.
    let from = format!("sqlite:{}", file.display());
    let mut killed = setting.command(&["migrate", "--from", &from, "--to", &url]).spawn().expect("it runs");
    std::thread::sleep(Duration::from_millis(120));
    killed.kill().expect("killed");
    killed.wait().expect("it ends");
    // Broken off after the source was marked, before the target was.
    let marked = "INSERT OR REPLACE INTO doubts VALUES ('moved', 'moved to postgres://there', 1);
         INSERT OR REPLACE INTO holds VALUES ('all', 'moved to postgres://there', 1)";
    source.execute_batch(marked).expect("marked");
    drop(source);
    let told = setting.run(&["migrate", "--from", &from, "--to", &url]);
    assert!(told.contains("all compared"), "{told}");
    let holds: Vec<String> = on_thread(move || {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("the server answers");
        client
            .query("SELECT reason FROM holds UNION SELECT reason FROM doubts", &[])
            .expect("asked")
            .iter()
            .map(|row| row.get(0))
            .collect()
    })
    .await;
    assert!(holds.iter().all(|reason| !reason.starts_with("moved to")), "{holds:?}");
}

fn fails(setting: &Setting, arguments: &[&str], words: &str) {
    let output = setting.command(arguments).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains(words), "{arguments:?}: `{words}` is missing in: {told}");
}

/// How many mails give each post.
fn given(setting: &Setting) -> BTreeMap<String, usize> {
    let mut given = BTreeMap::new();
    for entry in std::fs::read_dir(setting.maildir()).into_iter().flatten() {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a mail");
        posts_in(&bytes).into_iter().for_each(|post| *given.entry(post).or_default() += 1);
    }
    given
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_installation_moves_and_goes_on() {
    let Some(url) = empty_database().await else { return };
    let mut setting = Setting::new();
    setting
        .subscribe(&["ko@example.net,,ko,events,immediate".to_owned(), "en@example.net,,en,events,often".to_owned()]);
    let (client, web) = (reqwest::Client::new(), setting.url("/api/v1/posts"));
    let daemon = setting.start();
    let before = publish(&client, &web, &post("before", "먼저", "ko", &["events"])).await;
    wait_until("both mails", LIMIT, || given(&setting).get(&before) == Some(&2));
    setting.run(&["hold", "on", "--reason", "the move"]);
    let waiting = publish(&client, &web, &post("waiting", "기다림", "ko", &["events"])).await;
    wait_until("deliveries that wait", LIMIT, || {
        setting.run(&["delivery", "list", "--state", "due"]).lines().count() >= 4
    });

    let from = "sqlite:allim.sqlite";
    fails(&setting, &["migrate", "--from", from, "--to", &url], "another allim runs");
    daemon.stop();
    fails(&setting, &["migrate", "--from", from], "--to");
    fails(&setting, &["migrate", "--from", from, "--to", "sqlite:other.sqlite"], "leads to PostgreSQL only");
    fails(&setting, &["migrate", "--from", "sqlite:nothing.sqlite", "--to", &url], "there is no database at");
    setting.run(&["migrate", "--from", from, "--to", &url]);
    fails(&setting, &["migrate", "--from", from, "--to", &url], "moved to postgres://");
    fails(&setting, &["run"], "set store.url to that one");

    setting.store_url = url.clone();
    let daemon = setting.start();
    let ready = reqwest::get(setting.url("/readyz")).await.expect("an answer").text().await.expect("a text");
    assert_eq!(ready, "ready\n");
    assert!(setting.run(&["hold"]).contains("the move"), "the operator's hold came along");
    setting.run(&["hold", "off"]);
    wait_until("what waited", LIMIT, || given(&setting).get(&waiting) == Some(&2));
    // A second delivery of the first event changes nothing, and what is new goes out once.
    publish(&client, &web, &post("before", "먼저", "ko", &["events"])).await;
    let after = publish(&client, &web, &post("after", "나중", "ko", &["events"])).await;
    wait_until("what is new", LIMIT, || given(&setting).get(&after) == Some(&2));
    assert_eq!(given(&setting), [before, waiting, after].map(|post| (post, 2)).into());
    daemon.stop();

    // Somebody else's database is no place to move to.
    let other = Setting::new();
    other.run(&["migrate"]);
    fails(&other, &["migrate", "--from", from, "--to", &url], "the target isn't empty");
    // One that was made ready is.
    let ready = Setting { store_url: empty_database().await.expect("a server"), ..Setting::new() };
    ready.run(&["migrate"]);
    other.run(&["migrate", "--from", from, "--to", &ready.store_url]);
}

//! Copies of a database and what keeps them from sending (design rule 19), with real daemons and commands.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::app::high_water::HighWater;
use allim::domain::clock::ManualClock;
use allim::store::identity::Cause;
use allim::store::{Location, Store};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use support::sink::posts_in;
use support::{Setting, post, publish, wait_until};

/// A limit, not a wait: a machine that compiles meanwhile is slow.
const LIMIT: Duration = Duration::from_secs(60);

fn mails(setting: &Setting) -> usize {
    std::fs::read_dir(setting.maildir()).map_or(0, Iterator::count)
}

/// What a command printed, on both ways, and whether it went well.
fn ran(setting: &Setting, arguments: &[&str]) -> (bool, String) {
    let output = setting.command(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

/// A command that must fail with a sentence that holds `words`.
fn fails(setting: &Setting, arguments: &[&str], words: &str) {
    let (well, told) = ran(setting, arguments);
    assert!(!well && told.contains(words), "{arguments:?}: `{words}` is missing in: {told}");
}

fn json(setting: &Setting, arguments: &[&str]) -> Value {
    let told = setting.run(&[&["--json"], arguments].concat());
    serde_json::from_str(&told).unwrap_or_else(|_| panic!("not JSON: {told}"))
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("a path")
}

/// The database and what may lie beside it.
const FILES: [&str; 3] = ["", "-wal", "-shm"];

/// Copies a database as `cp` does, with its log.
fn copy_by_hand(from: &Path, to: &Path) {
    for ending in FILES {
        let (from, to) = (format!("{}{ending}", from.display()), format!("{}{ending}", to.display()));
        let _ = std::fs::remove_file(&to);
        if Path::new(&from).exists() {
            std::fs::copy(from, to).expect("copied");
        }
    }
}

/// Puts `copy` in the place of the database.
fn restore(setting: &Setting, copy: &Path) {
    copy_by_hand(copy, &setting.path().join("allim.sqlite"));
}

/// Another machine, or another folder, with a copy of a file as its database.
fn with_copy(file: &Path) -> Setting {
    let setting = Setting::new();
    restore(&setting, file);
    setting
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_made_while_posts_come_in_and_holds_a_hold() {
    let setting = Setting::new();
    setting.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemon = setting.start();
    let (client, url) = (reqwest::Client::new(), setting.url("/api/v1/posts"));
    publish(&client, &url, &post("first", "첫째", "ko", &["events"])).await;
    wait_until("the first mail", LIMIT, || mails(&setting) == 1);
    let target = setting.path().join("copy.sqlite");
    let backing = tokio::task::spawn_blocking({
        let (mut command, target) = (setting.command(&["backup"]), target.clone());
        move || command.arg(target).output().expect("it runs")
    });
    for number in 0..50 {
        publish(&client, &url, &post(&format!("more-{number}"), "더", "ko", &["events"])).await;
    }
    let output = backing.await.expect("a thread");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    wait_until("mail of what came in meanwhile", LIMIT, || mails(&setting) > 1);
    fails(&setting, &["backup", path_text(&target)], "is there already");
    daemon.stop();
    let files: Vec<PathBuf> = std::fs::read_dir(setting.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path_text(path).contains("copy.sqlite"))
        .collect();
    assert_eq!(files, std::slice::from_ref(&target), "one file, with nothing beside it");

    let holds = json(&with_copy(&target), &["hold"]);
    assert_eq!(holds[0]["scope"], "all");
    assert!(holds[0]["reason"].as_str().expect("a reason").starts_with("this is a backup"), "{holds}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_backup_of_postgresql_or_of_nothing() {
    let setting = Setting::new();
    fails(&setting, &["backup", "never"], "there is no database");
    let setting = Setting { store_url: "postgres://nobody@127.0.0.1:1/x".to_owned(), ..setting };
    fails(&setting, &["backup", "never"], "pg_dump");
}

/// The posts that mails in the folder give.
fn given(setting: &Setting) -> BTreeSet<String> {
    let Ok(entries) = std::fs::read_dir(setting.maildir()) else { return BTreeSet::new() };
    entries
        .flat_map(|entry| {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("a mail");
            posts_in(&bytes)
        })
        .collect()
}

/// What a page says.
async fn page(setting: &Setting, path: &str) -> String {
    reqwest::get(setting.url(path)).await.expect("an answer").text().await.expect("a text")
}

/// The present time, after a full second has begun: posts are dated to the second.
fn at_a_new_second() -> String {
    let second = support::now_seconds();
    wait_until("the next second", LIMIT, || support::now_seconds() > second);
    jiff::Timestamp::from_second(support::now_seconds()).expect("a time").to_string()
}

async fn say(setting: &Setting, id: &str) -> String {
    publish(&reqwest::Client::new(), &setting.url("/api/v1/posts"), &post(id, id, "ko", &["events"])).await
}

/// Says something and waits until it is mailed.
async fn mailed(setting: &Setting, id: &str) -> String {
    let post_id = say(setting, id).await;
    wait_until(&format!("mail about {id}"), LIMIT, || given(setting).contains(&post_id));
    post_id
}

/// Whether and why nothing is sent, everywhere where it must stand.
async fn assert_held(setting: &Setting, daemon: &support::Daemon, reason: &str) {
    for path in ["/", "/?lang=en", "/readyz"] {
        let told = page(setting, path).await.replace("&#39;", "'");
        assert!(told.contains(reason), "{path}: {told}");
    }
    assert!(page(setting, "/?lang=en").await.contains("No mail is sent at the moment"));
    assert!(daemon.log().contains(reason), "{}", daemon.log());
    let findings = json(setting, &["check"]);
    let is_it = |one: &Value| one["point"] == "database" && one["found"].as_str().expect("words").contains(reason);
    assert!(findings.as_array().expect("a list").iter().any(is_it), "{findings}");
    let holds = json(setting, &["hold"]);
    assert_eq!(holds[0]["scope"], "all");
    fails(setting, &["hold", "off"], "--sent-until TIME");
    fails(setting, &["hold", "off"], "--resend");
}

async fn assert_trusted(setting: &Setting) {
    assert_eq!(page(setting, "/readyz").await, "ready\n");
    assert!(!page(setting, "/?lang=en").await.contains("No mail is sent"));
}

/// Two posts are mailed, and a backup knows the first only: then it is put in place of the original.
async fn restored_after_two_mails(setting: &Setting) -> (String, String) {
    setting.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemon = setting.start();
    mailed(setting, "first").await;
    let copy = setting.path().join("copy.sqlite");
    setting.run(&["backup", path_text(&copy)]);
    let second = mailed(setting, "second").await;
    daemon.stop();
    let lost_at = at_a_new_second();
    restore(setting, &copy);
    (second, lost_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_restored_in_place_sends_nothing_until_told_what_it_missed() {
    let setting = Setting::new();
    let (second, lost_at) = restored_after_two_mails(&setting).await;
    std::fs::remove_dir_all(setting.path().join("mail")).expect("an empty folder");
    let daemon = setting.start();
    assert_held(&setting, &daemon, "this is a backup").await;
    assert!(page(&setting, "/readyz").await.contains("behind what was seen here"));
    // The content system sends again what it isn't sure of, and goes on.
    assert_eq!(say(&setting, "third").await, allim::domain::ids::post_id("cms", "third"));
    fails(&setting, &["hold", "off", "--sent-until", "2999-01-01T00:00:00Z"], "hasn't come yet");
    fails(&setting, &["hold", "off", "--sent-until", "yesterday"], "is no time");
    setting.run(&["hold", "off", "--sent-until", &lost_at]);
    let again = post("second", "second", "ko", &["events"]);
    let again =
        Value::Object(again.as_object().expect("an object").clone().into_iter().map(dated_before(&lost_at)).collect());
    let url = setting.url("/api/v1/posts");
    assert_eq!(publish(&reqwest::Client::new(), &url, &again).await, second);
    let fourth = mailed(&setting, "fourth").await;
    let third = allim::domain::ids::post_id("cms", "third");
    assert_eq!(given(&setting), BTreeSet::from([third, fourth]), "what went out before isn't repeated");
    assert_trusted(&setting).await;
    daemon.stop();
    // Nothing speaks against it any more.
    let daemon = setting.start();
    assert_trusted(&setting).await;
    mailed(&setting, "fifth").await;
    fails(&setting, &["hold", "off", "--resend"], "nothing speaks against this database");
    drop(daemon);
}

/// Dates a post a while before an instant.
fn dated_before(instant: &str) -> impl Fn((String, Value)) -> (String, Value) {
    let at: jiff::Timestamp = instant.parse().expect("a time");
    let date = at.checked_sub(jiff::SignedDuration::from_secs(5)).expect("a time").to_string();
    move |(key, value)| if key == "published_at" { (key, date.clone().into()) } else { (key, value) }
}

/// A backup taken while a mail waited, put in place of the original after it went out.
async fn restored_with_an_open_delivery(setting: &Setting) -> (String, String) {
    setting.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemon = setting.start();
    setting.run(&["hold", "on", "--reason", "a test"]);
    let waiting = say(setting, "waiting").await;
    wait_until("a delivery that waits", LIMIT, || {
        json(setting, &["delivery", "list", "--state", "due"]).as_array().expect("a list").len() == 1
    });
    let copy = setting.path().join("copy.sqlite");
    setting.run(&["backup", path_text(&copy)]);
    setting.run(&["hold", "off"]);
    wait_until("the mail", LIMIT, || given(setting).contains(&waiting));
    daemon.kill();
    let lost_at = at_a_new_second();
    restore(setting, &copy);
    std::fs::remove_dir_all(setting.path().join("mail")).expect("an empty folder");
    (waiting, lost_at)
}

#[tokio::test(flavor = "multi_thread")]
async fn sent_until_keeps_what_was_open_for_an_operator() {
    let setting = Setting::new();
    let (waiting, lost_at) = restored_with_an_open_delivery(&setting).await;
    let daemon = setting.start();
    assert_held(&setting, &daemon, "this is a backup").await;
    setting.run(&["hold", "off", "--sent-until", &lost_at]);
    let new = mailed(&setting, "new").await;
    assert_eq!(given(&setting), BTreeSet::from([new]));
    let kept = json(&setting, &["delivery", "list", "--state", "uncertain"]);
    assert_eq!((kept[0]["reason"].as_str(), kept[0]["attempts"].as_i64()), (Some("restored"), Some(0)), "{kept}");
    setting.run(&["delivery", "retry", kept[0]["id"].as_str().expect("an id")]);
    wait_until("the mail that an operator asked for", LIMIT, || given(&setting).contains(&waiting));
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn resend_sends_what_was_open() {
    let setting = Setting::new();
    let (waiting, _) = restored_with_an_open_delivery(&setting).await;
    let daemon = setting.start();
    assert_held(&setting, &daemon, "this is a backup").await;
    assert_eq!(mails(&setting), 0);
    setting.run(&["hold", "off", "--resend"]);
    wait_until("the mail again", LIMIT, || given(&setting).contains(&waiting));
    assert_trusted(&setting).await;
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_copies_of_the_embedded_database_are_found_out() {
    let setting = Setting::new();
    setting.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemon = setting.start();
    mailed(&setting, "first").await;
    daemon.stop();
    let copy = setting.path().join("by-hand.sqlite");
    copy_by_hand(&setting.path().join("allim.sqlite"), &copy);
    // The same state put back is the same database.
    restore(&setting, &copy);
    let daemon = setting.start();
    assert_trusted(&setting).await;
    mailed(&setting, "second").await;
    daemon.stop();
    restore(&setting, &copy);
    let daemon = setting.start();
    assert_held(&setting, &daemon, "behind what was seen here before").await;
    daemon.stop();

    // Elsewhere there is no file that knows it.
    let elsewhere = with_copy(&copy);
    let daemon = elsewhere.start();
    assert_held(&elsewhere, &daemon, "it was copied here from elsewhere").await;
    daemon.stop();

    // The whole folder on another machine.
    let moved = with_copy(&copy);
    std::fs::write(moved.path().join("high-water"), "1 0123456789abcdef\n").expect("written");
    let known = std::fs::read_to_string(setting.path().join("high-water")).expect("a file");
    if known.trim_end().ends_with(" -") {
        eprintln!("skipped: this machine doesn't say who it is");
    } else {
        let daemon = moved.start();
        assert_held(&moved, &daemon, "made on another machine").await;
        daemon.stop();
    }
    std::fs::write(moved.path().join("high-water"), "nonsense\n").expect("written");
    fails(&moved, &["check"], "isn't as allim writes it");
}

/// Runs statements on the test server itself.
async fn on_server(server: &str, sql: String) {
    let server = server.to_owned();
    let run = move || {
        let mut client = postgres::Client::connect(&server, postgres::NoTls).expect("the server answers");
        client.batch_execute(&sql).expect("done");
    };
    tokio::task::spawn_blocking(run).await.expect("a thread");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_on_postgresql_is_held_and_a_replica_is_not() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let (name, copy) = (format!("origin_{}", std::process::id()), format!("clone_{}", std::process::id()));
    let url = support::create_database(&server, &name).await;
    let origin = Setting { store_url: url.clone(), ..Setting::new() };
    origin.subscribe(&["ko@example.net,,ko,events,immediate".to_owned()]);
    let daemon = origin.start();
    let first = mailed(&origin, "first").await;
    daemon.stop();
    on_server(&server, format!("CREATE DATABASE {copy} TEMPLATE {name}")).await;

    let clone = Setting { store_url: url.replace(&name, &copy), name: "staging".to_owned(), ..Setting::new() };
    let staging = clone.start();
    assert_held(&clone, &staging, "this database isn't where it was: database number").await;
    let told = say(&clone, "told-to-the-clone").await;

    let daemon = origin.start();
    let replica = Setting { store_url: url, name: "second".to_owned(), ..Setting::new() };
    let second = replica.start();
    for setting in [&origin, &replica] {
        assert_trusted(setting).await;
    }
    // Either of the two may carry it, into its own folder.
    let both = say(&replica, "told-to-the-replica").await;
    let got = || given(&origin).union(&given(&replica)).cloned().collect::<BTreeSet<_>>();
    wait_until("the mail of the replicas", LIMIT, || got().contains(&both));
    assert_eq!(got(), BTreeSet::from([first, both]));
    daemon.stop();
    second.stop();

    assert_eq!(mails(&clone), 0);
    clone.run(&["hold", "off", "--resend"]);
    wait_until("the mail of the clone, at an operator's word", LIMIT, || {
        given(&clone) == BTreeSet::from([told.clone()])
    });
    assert_trusted(&clone).await;
    staging.stop();
}

/// A database that fell back behind both replicas: the word of an operator at one of them is enough.
#[tokio::test(flavor = "multi_thread")]
async fn one_decision_holds_for_all_replicas() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&server, &format!("epochs_{}", std::process::id())).await;
    let open = move || Store::open(&Location::Postgres { url, connections: 2 }, Arc::new(ManualClock::default()));
    let store = tokio::task::spawn_blocking(open).await.expect("a thread").expect("a store");
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    let [one, two] = [0, 1].map(|index: usize| HighWater::new(folders[index].path(), &format!("replica-{index}")));
    for _ in 0..3 {
        one.raise(&store).await.expect("raised");
        two.raise(&store).await.expect("raised");
    }
    let back = "UPDATE counters SET value = 2 WHERE name = 'high_water'";
    store.write(move |tx| tx.execute(back, &[])).await.expect("fallen back");
    for file in [&one, &two] {
        let found = file.suspicions(&store).await.expect("compared");
        assert!(matches!(found.as_slice(), [(Cause::Behind, _)]), "{found:?}");
    }
    one.accept(&store).await.expect("accepted");
    for file in [&one, &two] {
        assert_eq!(file.suspicions(&store).await.expect("compared"), []);
        file.raise(&store).await.expect("raised");
    }
    // A standby that took over begins a new branch of history.
    let elsewhere = "UPDATE facts SET value = '0000000F' WHERE name = 'timeline'";
    store.write(move |tx| tx.execute(elsewhere, &[])).await.expect("written");
    let found = one.suspicions(&store).await.expect("compared");
    assert!(
        matches!(found.as_slice(), [(Cause::Cloned, told)] if told.contains("timeline 00000001 instead of")),
        "{found:?}"
    );
}

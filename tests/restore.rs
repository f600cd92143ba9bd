//! Copies of a database and what keeps them from sending (design rule 19), with real daemons and commands.
#![allow(missing_docs, reason = "a test")]

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
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

/// Another machine, or another folder, with a copy of a file as its database.
fn with_copy(file: &Path) -> Setting {
    let setting = Setting::new();
    std::fs::copy(file, setting.path().join("allim.sqlite")).expect("copied");
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
    assert_eq!(files, [target.clone()], "one file, with nothing beside it");

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

//! Reloading the configuration of a running daemon: what is good takes hold, what is bad changes nothing, nobody notices.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use support::sink::posts_in;
use support::{Daemon, Setting, post, publish, wait_until};

/// A limit, not a wait: a machine that compiles meanwhile is slow.
const LIMIT: Duration = Duration::from_secs(60);
const TAKEN: &str = "the new configuration is in effect";
const REFUSED: &str = "the new configuration is refused";

/// Changes the configuration file and asks the daemon to read it.
fn reload(setting: &Setting, daemon: &Daemon, from: &str, to: &str) {
    let file = setting.path().join("allim.toml");
    let text = std::fs::read_to_string(&file).expect("a configuration");
    assert!(text.contains(from), "{from}");
    std::fs::write(&file, text.replace(from, to)).expect("written");
    hang_up(daemon);
}

fn hang_up(daemon: &Daemon) {
    let sent = Command::new("kill").args(["-HUP", &daemon.pid().to_string()]).status().expect("kill runs");
    assert!(sent.success());
}

/// Waits until the log says something for the n-th time.
fn said(daemon: &Daemon, what: &str, times: usize) {
    wait_until(what, LIMIT, || daemon.log().matches(what).count() >= times);
}

async fn get(url: &str) -> String {
    let answer = reqwest::get(url).await.expect("an answer");
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.text().await.expect("a text")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_good_takes_hold_and_what_is_bad_changes_nothing() {
    let setting = Setting::new();
    let daemon = setting.start();
    assert!(get(&setting.url("/?lang=en")).await.contains("Test Institute"));
    reload(&setting, &daemon, "Test Institute", "Renamed Institute");
    said(&daemon, TAKEN, 1);
    assert!(get(&setting.url("/?lang=en")).await.contains("Renamed Institute"));

    // A value that can't be, a key that isn't one, a file that isn't there, and what only a restart changes.
    let bad = [
        ("schedule = \"*/2 * * * * *\"", "schedule = \"now and then\"", "digest[0].schedule"),
        ("grace = \"0s\"", "grace = \"0s\"\ngrase = \"1s\"", "grase"),
        (
            "list_id = \"news.example.org\"",
            "list_id = \"news.example.org\"\n[templates]\nfolder = \"not-there\"\n",
            "templates.folder",
        ),
        (
            "name = \"test\"\nstate_dir",
            "name = \"another\"\nstate_dir",
            "instance.name: a running daemon can't change this",
        ),
    ];
    for (count, (from, to, reason)) in bad.into_iter().enumerate() {
        let file = setting.path().join("allim.toml");
        let good = std::fs::read_to_string(&file).expect("a configuration");
        reload(&setting, &daemon, from, to);
        said(&daemon, REFUSED, count + 1);
        let log = daemon.log();
        let line = log.lines().rfind(|line| line.contains(REFUSED)).expect("a line");
        assert!(line.contains(reason), "{line}");
        assert!(get(&setting.url("/?lang=en")).await.contains("Renamed Institute"));
        assert!(get(&setting.url("/metrics")).await.contains("allim_config_reload_failed 1"));
        std::fs::write(&file, good).expect("written");
    }
    hang_up(&daemon);
    said(&daemon, TAKEN, 2);
    wait_until("the gauge", LIMIT, || {
        let metrics =
            tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(get(&setting.url("/metrics"))));
        metrics.contains("allim_config_reload_failed 0")
            && metrics.contains("allim_config_reloads_total{outcome=\"refused\"} 4")
            && metrics.contains("allim_config_reloads_total{outcome=\"taken\"} 2")
    });
    daemon.stop();
}

/// How often each reader had each post.
fn given(setting: &Setting) -> BTreeMap<String, usize> {
    let mut had = BTreeMap::new();
    for entry in std::fs::read_dir(setting.maildir()).into_iter().flatten() {
        let mail = std::fs::read(entry.expect("an entry").path()).expect("a mail");
        let text = String::from_utf8_lossy(&mail);
        let to = text.lines().find(|line| line.starts_with("To: ")).expect("a recipient").to_owned();
        for post in posts_in(&mail) {
            *had.entry(format!("{to} {post}")).or_default() += 1;
        }
    }
    had
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_under_way_goes_on_and_pages_answer_while_it_reloads() {
    const READERS: usize = 40;
    const POSTS: usize = 10;
    const RELOADS: usize = 5;
    let setting = Setting::new();
    let lines: Vec<String> =
        (0..READERS).map(|n| format!("reader{n}@example.org,Reader,ko,events,immediate")).collect();
    setting.subscribe(&lines);
    let daemon = setting.start();
    let (is_over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let visits = ["/", "/feeds/all.xml"].map(|path| {
        let (url, is_over, answers) = (setting.url(path), is_over.clone(), answers.clone());
        tokio::spawn(async move {
            let client = reqwest::Client::new();
            while !is_over.load(Ordering::SeqCst) {
                let answer = client.get(&url).send().await.unwrap_or_else(|error| panic!("{url}: {error}"));
                assert!(answer.status().as_u16() < 500, "{url}: {}", answer.status());
                answers.fetch_add(1, Ordering::SeqCst);
            }
        })
    });
    let client = reqwest::Client::new();
    for n in 0..POSTS {
        publish(
            &client,
            &setting.url("/api/v1/posts"),
            &post(&format!("p{n}"), &format!("소식 {n}"), "ko", &["events"]),
        )
        .await;
        if n % (POSTS / RELOADS) == 0 {
            let before = daemon.log().matches(TAKEN).count();
            hang_up(&daemon);
            said(&daemon, TAKEN, before + 1);
        }
    }
    // One mail may hold several posts.
    wait_until("all mail", LIMIT, || given(&setting).len() >= READERS * POSTS);
    is_over.store(true, Ordering::SeqCst);
    for visit in visits {
        visit.await.expect("every request was answered");
    }
    assert!(answers.load(Ordering::SeqCst) > RELOADS, "pages were asked for");
    daemon.stop();
    let had = given(&setting);
    assert_eq!(had.len(), READERS * POSTS);
    assert!(had.values().all(|count| *count == 1), "once each: {had:?}");
}

#[test]
fn the_service_manager_is_told_of_start_reload_life_and_end() {
    let setting = Setting::new();
    let path = setting.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a limit");
    let hear = |wanted: &str| {
        let mut octets = [0; 4096];
        loop {
            let len = socket.recv(&mut octets).unwrap_or_else(|error| panic!("{wanted}: {error}"));
            let text = String::from_utf8_lossy(&octets[..len]).into_owned();
            if text.starts_with(wanted) {
                return text;
            }
            assert!(text.starts_with("WATCHDOG=1"), "{wanted} before {text}");
        }
    };
    let mut command = setting.command(&["run"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    let daemon = setting.start_by(command);
    hear("READY=1");
    hear("WATCHDOG=1");
    hang_up(&daemon);
    assert!(hear("RELOADING=1").contains("MONOTONIC_USEC="));
    hear("READY=1");
    hear("WATCHDOG=1");
    // Refused, it is ready all the same.
    reload(&setting, &daemon, "name = \"test\"\nstate_dir", "name = \"another\"\nstate_dir");
    hear("RELOADING=1");
    hear("READY=1");
    said(&daemon, REFUSED, 1);
    daemon.stop();
    hear("STOPPING=1");
}

//! Kill runs: a daemon is killed with SIGKILL again and again while posts and mail pass through it. At the end every
//! confirmed post is stored, every (story, subscriber) is delivered, and nothing is repeated but what is marked uncertain.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::clock::{Chance as _, SeededChance};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::sink::{Sink, posts_in};
use support::{Relay, Setting, post, publish, wait_until};

const SUBSCRIBERS: usize = 50;

/// Fifty readers: most want mail at once, some a digest every other second, in three languages.
fn readers() -> Vec<String> {
    let line = |number: usize| {
        let language = ["ko", "en", "zh"][number % 3];
        let schedule = if number % 5 == 0 { "often" } else { "immediate" };
        format!("reader{number}@example.net,,{language},events,{schedule}")
    };
    (0..SUBSCRIBERS).map(line).collect()
}

fn seed() -> u64 {
    let given = std::env::var("ALLIM_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::try_from(support::now_seconds()).expect("fits"))
}

/// Publishes `total` posts, `per_step` for each step that is allowed, and keeps the ids of those confirmed.
fn publisher(
    url: String,
    total: usize,
    gate: Arc<AtomicUsize>,
) -> (tokio::task::JoinHandle<()>, Arc<Mutex<BTreeSet<String>>>) {
    let confirmed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let kept = confirmed.clone();
    let publishing = tokio::spawn(async move {
        let client = reqwest::Client::new();
        for number in 0..total {
            while gate.load(Ordering::SeqCst) <= number {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            let body = post(&format!("post-{number}"), &format!("{number}번째 소식"), "ko", &["events"]);
            let id = publish(&client, &url, &body).await;
            kept.lock().expect("not poisoned").insert(id);
        }
    });
    (publishing, confirmed)
}

/// Into a folder: a repeat replaces its file, so there is exactly one for each delivery.
#[tokio::test(flavor = "multi_thread")]
async fn killed_while_writing_into_a_folder_on_sqlite() {
    let (kills, posts) = (20, 80);
    let seed = seed();
    let chance = SeededChance::new(seed);
    println!("seed {seed}");
    let setting = Setting::new();
    setting.subscribe(&readers());
    let gate = Arc::new(AtomicUsize::new(0));
    let (publishing, confirmed) = publisher(setting.url("/api/v1/posts"), posts, gate.clone());
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

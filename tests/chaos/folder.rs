//! SIGKILL while mails are written into a folder: a repeat replaces its file, so there is exactly one for each delivery.

use crate::house::Way;
use crate::support::sink::posts_in;
use crate::support::{Setting, post, wait_until};
use crate::{BESIDE, length, seed};
use allim::domain::clock::{Chance as _, SeededChance};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::block_in_place;

const READERS: usize = 50;
const KILLS: usize = 6;
const POSTS_EACH: usize = 4;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn killed_while_writing_into_a_folder() {
    let _beside = BESIDE.read().await;
    let (seed, kills) = (seed(), KILLS * length());
    println!("seed {seed}");
    let chance = SeededChance::new(seed);
    let setting = Setting::new();
    let readers: Vec<String> = (0..READERS).map(|n| format!("reader{n}@example.net,,ko,events,immediate")).collect();
    block_in_place(|| setting.subscribe(&readers));
    let way = Way::Http(vec![setting.url("/api/v1/posts")]);
    let publishing = tokio::spawn(async move {
        let (client, mut confirmed) = (reqwest::Client::new(), BTreeSet::new());
        for number in 0..kills * POSTS_EACH {
            let body = post(&format!("post-{number}"), &format!("{number}번째 소식"), "ko", &["events"]);
            confirmed.insert(way.publish(&client, &body).await);
        }
        confirmed
    });
    let files = || std::fs::read_dir(setting.maildir()).map_or(0, Iterator::count);
    for _ in 0..kills {
        let before = files();
        let daemon = block_in_place(|| setting.start());
        // The last kills may come when everything is written.
        block_in_place(|| {
            wait_until("a delivery of this life", LIMIT, || files() > before || publishing.is_finished())
        });
        tokio::time::sleep(Duration::from_millis(chance.draw() % 60)).await;
        daemon.kill();
    }
    let daemon = block_in_place(|| setting.start());
    let confirmed = publishing.await.expect("published");
    let wanted = confirmed.len() * READERS;
    block_in_place(|| wait_until("every story at every reader", LIMIT, || given(&setting).len() == wanted));
    block_in_place(|| daemon.stop());
    let given = given(&setting);
    let twice: Vec<_> = given.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    assert_eq!(given.keys().map(|(_, post)| post.clone()).collect::<BTreeSet<_>>(), confirmed, "seed {seed}");
}

/// How many files give a post to a reader.
fn given(setting: &Setting) -> BTreeMap<(String, String), usize> {
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

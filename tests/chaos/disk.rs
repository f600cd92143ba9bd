//! A full disk: the state of a daemon lies on a small file system, which something else fills up.

use crate::house::{House, Plan, Way};
use crate::support::{self, TOKEN, post};
use crate::{BESIDE, seed};
use allim::store::{Location, posts};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const DISK_BYTES: usize = 48 * 1024 * 1024;
/// What a post holds that is meant to need room; a message may have a mebibyte.
const POST_BYTES: usize = 700_000;
/// Room for some of them, and for far fewer than these.
const LEFT_BYTES: u64 = 8 * 1024 * 1024;
const POSTS_MAX: usize = 100;

/// A small file system of its own, in memory.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn mount() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("mount");
        let size = format!("size={DISK_BYTES}");
        let output = command.args(["-t", "tmpfs", "-o", &size, "allim-test"]).arg(dir.path()).output();
        assert!(
            output.as_ref().is_ok_and(|output| output.status.success()),
            "no small file system can be mounted here, so nothing can be said about a full disk: run the tests as root \
             (in a container: --cap-add SYS_ADMIN): {output:?}"
        );
        Self { dir }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Leaves so many bytes.
    fn fill(&self, left: u64) {
        let mut file = std::fs::File::options().create(true).append(true).open(self.ballast()).expect("a file");
        let block = vec![0; 4096];
        while file.write_all(&block).is_ok() {}
        let length = file.metadata().expect("a length").len();
        file.set_len(length.saturating_sub(left)).expect("cut");
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: the test's own view of the database may still be open.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Publishes large posts that nobody gets by mail, until one is refused for want of room. Returns the ids of the others.
async fn publish_until_full(house: &House, round: usize) -> BTreeSet<String> {
    let (client, url) = (reqwest::Client::new(), house.replicas[0].setting.url("/api/v1/posts"));
    let mut taken = BTreeSet::new();
    for number in 0..POSTS_MAX {
        let mut body = post(&format!("large-{round}-{number}"), "큰 소식", "ko", &["notices"]);
        body["body"]["content"] = serde_json::json!("x".repeat(POST_BYTES));
        let sent = client.post(&url).bearer_auth(TOKEN).json(&body).timeout(Duration::from_secs(20)).send().await;
        let answer = sent.unwrap_or_else(|error| panic!("{}: no answer: {error}", house.name));
        match answer.status().as_u16() {
            200..300 => taken.insert(allim::domain::ids::post_id("cms", body["id"].as_str().expect("an id"))),
            503 => return taken,
            code => panic!("{}: {code} with a full disk: {:?}", house.name, answer.text().await),
        };
    }
    panic!("{}: {POSTS_MAX} large posts on a full disk", house.name);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn a_full_disk_takes_nothing_and_loses_nothing() {
    let _beside = BESIDE.read().await;
    let disk = Disk::mount();
    let mut plan = Plan::sqlite("a full disk", seed());
    plan.settings[0].state_dir = Some(disk.path().to_owned());
    plan.location = Location::Sqlite(disk.path().join("allim.sqlite"));
    if let Some(url) = support::server("ALLIM_TEST_AMQP") {
        let queue = format!("full_{}", std::process::id());
        plan.settings[0].amqp = Some(url.clone());
        plan.settings[0].queue = queue.clone();
        plan.ways.push(Way::Amqp { url, queue });
    }
    let (mut house, _) = plan.build().await;
    let mut taken = BTreeSet::new();
    for (round, is_killed) in [false, true].into_iter().enumerate() {
        house.deliver("a delivery before the disk is full", 4).await;
        disk.fill(LEFT_BYTES);
        taken.append(&mut publish_until_full(&house, round).await);
        disk.fill(0);
        // The next ones are asked for again and again, or wait in the queue.
        house.publish(4);
        house.until("the log to say why", || house.log().contains("full")).await;
        if is_killed {
            house.kill(&[0]).await;
            disk.free();
            let started = Instant::now();
            house.start(&[0]);
            house.recover(started).await;
        } else {
            // What the relay took while its outcome couldn't be recorded isn't uncertain: the daemon knows.
            disk.free();
            house.recover(Instant::now()).await;
        }
    }
    for id in &taken {
        let (name, id) = (house.name.clone(), id.clone());
        let found = house.store.read(move |tx| posts::find(tx, &id)).await.expect("read");
        assert!(found.is_some(), "{name}: a large post that was acknowledged is gone");
    }
    println!("a full disk: {} large posts taken before it was; {}", taken.len(), house.close().await);
}

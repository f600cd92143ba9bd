//! Two replicas are nearly twice as fast as one, where the relay and not the machine is what is waited for.

use crate::BESIDE;
use crate::support::sink::Sink;
use crate::support::{self, Relay, Setting, post, publish};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::task::block_in_place;

const READERS: usize = 2_400;
const CONNECTIONS: usize = 4;
const DOT_DELAY_MS: usize = 20;
/// A limit, not a wait: one replica needs 12 s.
const LIMIT: Duration = Duration::from_secs(120);
const RATIO_MIN: f64 = 1.6;

/// Publishes a post to everybody, and measures from its first letter to its last.
async fn measure(setting: &Setting, sink: &Sink, id: &str) -> Duration {
    let before = sink.count();
    let until = async |count: usize| {
        let arriving = async {
            while sink.count() < before + count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(LIMIT, arriving).await.unwrap_or_else(|_| panic!("{} arrived", sink.count() - before));
        Instant::now()
    };
    let body = post(id, "모두에게", "ko", &["events"]);
    publish(&reqwest::Client::new(), &setting.url("/api/v1/posts"), &body).await;
    let first = until(1).await;
    until(READERS).await - first
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_are_faster_than_one_by_more_than_half() {
    let _alone = BESIDE.write().await;
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&server, &format!("speed_{}", std::process::id())).await;
    let sink = Sink::start().await;
    sink.behaviour.dot_delay_ms.store(DOT_DELAY_MS, Ordering::SeqCst);
    let [one, other] = ["one", "other"].map(|name| Setting {
        name: name.to_owned(),
        public_port: Some(80),
        store_url: url.clone(),
        store_connections: 4,
        relay: Some(Relay { port: sink.port, connections: CONNECTIONS }),
        ..Setting::new()
    });
    let readers: Vec<String> = (0..READERS).map(|n| format!("reader{n}@example.net,,ko,events,immediate")).collect();
    block_in_place(|| one.subscribe(&readers));
    let first = block_in_place(|| one.start());
    let alone = measure(&one, &sink, "by-one").await;
    let second = block_in_place(|| other.start());
    let together = measure(&one, &sink, "by-two").await;
    let ratio = alone.as_secs_f64() / together.as_secs_f64();
    println!("{READERS} letters at {DOT_DELAY_MS} ms: one replica {alone:.2?}, two {together:.2?}: {ratio:.2} times");
    block_in_place(|| [first, second].into_iter().for_each(support::Daemon::stop));
    let mut ids: Vec<String> =
        sink.received.lock().expect("not poisoned").iter().map(|mail| mail.message_id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 2 * READERS, "each letter once");
    assert_eq!(sink.count(), 2 * READERS, "each letter once");
    assert!(ratio >= RATIO_MIN, "two replicas were {ratio:.2} times as fast as one");
}

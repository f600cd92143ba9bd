//! SIGSTOP for longer than a lease, then SIGCONT: the stopped daemon believes that no time has passed.

use crate::house::{House, Plan};
use crate::{length, seed};
use allim::send::lease::{LEASE, RENEWAL};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Long enough for every stop to meet a letter on its way.
const DOT_DELAY_MS: usize = 20;
/// The latest moment of a stop after a delivery, in milliseconds.
const MOMENT_MAX_MS: u64 = 100;
const POSTS_BEFORE: usize = 10;

/// What the stopped one had begun is uncertain and goes out by another; its own late answers settle nothing that isn't so.
async fn run(mut house: House) -> crate::verdict::Figures {
    house.sink.behaviour.dot_delay_ms.store(DOT_DELAY_MS, Ordering::SeqCst);
    let stopped = house.draw(house.replicas.len() as u64) as usize;
    house.deliver("a delivery before the stop", POSTS_BEFORE).await;
    tokio::time::sleep(Duration::from_millis(house.draw(MOMENT_MAX_MS))).await;
    house.signal(stopped, "STOP");
    house.connections_lost += crate::house::CONNECTIONS;
    house.deliver("the others to go on", 2).await;
    let store = house.store.clone();
    let ended = async {
        // Its own term is the only one that ends here.
        const ENDED: &str = "SELECT COUNT(*) FROM processes WHERE ended_at IS NOT NULL";
        while store.read(|tx| tx.query(ENDED, &[])?[0].int(0)).await.expect("a number") == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let limit = LEASE + RENEWAL * 2 + Duration::from_secs(10);
    tokio::time::timeout(limit, ended).await.unwrap_or_else(|_| panic!("{}: the lease goes on", house.name));
    house.deliver("the others to go on without the lease", 2).await;
    house.signal(stopped, "CONT");
    house.recover(Instant::now()).await;
    house.until("a new lease of the one that was stopped", {
        let log = house.replicas[stopped].setting.path().join("log");
        move || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("it takes a new one"))
    })
    .await;
    // It must be of use again: alone, it does what comes.
    let others: Vec<usize> = house.everybody().into_iter().filter(|one| *one != stopped).collect();
    house.kill(&others).await;
    house.recover(Instant::now()).await;
    house.start(&others);
    house.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn a_replica_that_is_stopped_for_longer_than_a_lease() {
    let _beside = crate::BESIDE.read().await;
    let first = seed();
    let mut running = tokio::task::JoinSet::new();
    for number in 0..2 * length() as u64 {
        let plan = Plan::servers("a stop among three replicas", first.wrapping_add(number), 3);
        running.spawn(async move { Some(run(plan.await?.build().await.0).await) });
    }
    while let Some(done) = running.join_next().await {
        match done {
            Ok(Some(figures)) => println!("stopped for longer than a lease: {figures}"),
            Ok(None) => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

//! SIGSTOP for longer than a lease, then SIGCONT: the stopped daemon believes that no time has passed.

use crate::house::{House, Plan};
use crate::verdict::Figures;
use crate::{length, seed};
use allim::domain::clock::ManualClock;
use allim::send::lease::{LEASE, RENEWAL};
use allim::store::{Location, Store, StoreError, Tx, destinations};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Long enough for every stop to meet a letter on its way.
const DOT_DELAY_MS: usize = 20;
/// The latest moment of a stop after a delivery, in milliseconds.
const MOMENT_MAX_MS: u64 = 100;
const POSTS_BEFORE: usize = 10;

/// What the stopped one had begun is uncertain and goes out by another; its own late answers settle nothing that isn't so.
async fn run(mut house: House) -> Figures {
    house.sink.behaviour.dot_delay_ms.store(DOT_DELAY_MS, Ordering::SeqCst);
    house.deliver("a delivery before the stop", POSTS_BEFORE).await;
    tokio::time::sleep(Duration::from_millis(house.draw(MOMENT_MAX_MS))).await;
    let stopped = busy(&house).await;
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
    house
        .until("a new lease of the one that was stopped", {
            let log = house.replicas[stopped].setting.path().join("log");
            move || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("it takes a new one"))
        })
        .await;
    // It must be of use again: alone, it does what comes. The others end in good order, so that nobody waits for a lease.
    let others: Vec<usize> = house.everybody().into_iter().filter(|one| *one != stopped).collect();
    house.stop(&others);
    house.recover(Instant::now()).await;
    house.start(&others);
    house.close().await
}

/// One that has letters on their way.
async fn busy(house: &House) -> usize {
    const SQL: &str = "SELECT p.name FROM processes p WHERE p.ended_at IS NULL AND (
             EXISTS (SELECT 1 FROM deliveries d WHERE d.claimed_term = p.term AND d.state = 'sending')
             OR EXISTS (SELECT 1 FROM batches b WHERE b.claimed_term = p.term AND b.state = 'claimed')) LIMIT 1";
    let looking = async {
        loop {
            let rows = house.store.read(|tx| tx.query(SQL, &[])).await.expect("read");
            if let Some(row) = rows.first() {
                let name = row.text(0).expect("a name");
                return house.replicas.iter().position(|one| one.setting.name == name).expect("one of ours");
            }
        }
    };
    tokio::time::timeout(LEASE, looking).await.unwrap_or_else(|_| panic!("{}: nobody sends", house.name))
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
    let mut all = Figures::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(Some(figures)) => all = all.and(figures),
            Ok(None) => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    println!("stopped for longer than a lease: {all}");
    assert!(all.uncertain > 0, "no stop met a letter on its way (seed {first})");
}

/// A process that is stopped in the midst of a transaction has locked what others need.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn whoever_is_stopped_in_a_transaction_keeps_nobody_for_long() {
    let _beside = crate::BESIDE.read().await;
    let Some(server) = crate::support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = crate::support::create_database(&server, &format!("midst_{}", std::process::id())).await;
    let open = || {
        let location = Location::Postgres { url: url.clone(), connections: 1 };
        async {
            let open = move || Store::open(&location, Arc::new(ManualClock::default()));
            tokio::task::spawn_blocking(open).await.expect("a thread").expect("a store")
        }
    };
    let (one, other) = (open().await, open().await);
    let (locked, is_locked) = std::sync::mpsc::channel();
    let (goes_on, end) = std::sync::mpsc::channel::<()>();
    let stopped = tokio::spawn(async move {
        let (end, locked) = (std::sync::Mutex::new(end), locked);
        let midst = move |tx: &mut Tx<'_>| {
            destinations::lock(tx, "email:main")?;
            let _ = locked.send(());
            let _ = end.lock().expect("not poisoned").recv();
            destinations::lock(tx, "email:main").map(drop)
        };
        one.write(midst).await
    });
    tokio::task::block_in_place(|| is_locked.recv().expect("locked"));
    let started = Instant::now();
    let locking = other.write(|tx| destinations::lock(tx, "email:main").map(drop));
    tokio::time::timeout(LEASE, locking).await.expect("within a lease").expect("locked");
    println!("the lock of a stopped process came free after {:?}", started.elapsed());
    goes_on.send(()).expect("it waits");
    assert!(matches!(stopped.await.expect("no panic"), Err(StoreError::Unavailable(_))), "it can try again");
}

//! The clock set back an hour under a running daemon, and put right again.

use crate::house::{House, Plan};
use crate::{BESIDE, seed};
use allim::app::clock::{SystemChance, SystemClock};
use allim::app::{self, Purpose, World};
use allim::domain::clock::{Clock, UnixMillis};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::task::JoinHandle;

const HOUR_MS: i64 = 3_600_000;
const POSTS_EACH: usize = 6;

/// The system's clock, set wrong.
#[derive(Default)]
struct Wrong {
    by_ms: AtomicI64,
}

impl Clock for Wrong {
    fn now(&self) -> UnixMillis {
        UnixMillis(SystemClock.now().0 + self.by_ms.load(Ordering::SeqCst))
    }

    fn uptime(&self) -> Duration {
        SystemClock.uptime()
    }
}

/// A daemon within this process, on a clock of ours.
async fn start(house: &House, clock: Arc<Wrong>) -> (watch::Sender<bool>, JoinHandle<anyhow::Result<()>>) {
    let config = allim::config::load(&house.replicas[0].setting.config(), std::iter::empty()).expect("a configuration");
    let world = World { clock, chance: Arc::new(SystemChance) };
    let app = app::build(config, world, Purpose::Daemon).await.expect("built");
    let (stop, stopping) = watch::channel(false);
    (stop, tokio::spawn(app::lifecycle::run(app, Arc::new(String::new), stopping)))
}

/// On SQLite the daemon's own clock is the only one. (On PostgreSQL a daemon whose clock is off isn't ready:
/// tests/replicas.rs.)
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn the_clock_set_back_an_hour() {
    let _beside = BESIDE.read().await;
    let plan = Plan { is_started: false, ..Plan::sqlite("the clock set back an hour", seed()) };
    let (mut house, _) = plan.build().await;
    let clock = Arc::new(Wrong::default());
    let (stop, running) = start(&house, clock.clone()).await;
    house.deliver("a delivery on the right clock", POSTS_EACH).await;
    // Some are uncertain, and wait for an instant that is suddenly an hour away.
    house.sink.behaviour.silent_dots.store(2, Ordering::SeqCst);
    house.connections_lost += 2;
    house.deliver("a delivery among lost answers", POSTS_EACH).await;
    // What was due within this hour was fired before it came again, so digests rest until the clock is right.
    for by_ms in [-HOUR_MS, 0] {
        clock.by_ms.store(by_ms, Ordering::SeqCst);
        house.publish(POSTS_EACH);
        house.recover(Instant::now()).await;
    }
    // A restart on a wrong clock, as a machine without a battery does; then it is set right under way.
    clock.by_ms.store(-HOUR_MS, Ordering::SeqCst);
    stop.send_replace(true);
    running.await.expect("no panic").expect("an orderly end");
    let started = Instant::now();
    let (stop, running) = start(&house, clock.clone()).await;
    house.recover(started).await;
    house.publish(POSTS_EACH);
    clock.by_ms.store(0, Ordering::SeqCst);
    house.recover(Instant::now()).await;
    println!("the clock set back: {}", house.close().await);
    stop.send_replace(true);
    running.await.expect("no panic").expect("an orderly end");
}

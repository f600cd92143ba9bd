//! A faulty wire before each server, with one daemon behind it: mail relay, database, broker.

use crate::house::{CONNECTIONS, House, Plan};
use crate::support::proxy::{Fault, Proxy, Towards};
use crate::{BESIDE, length, seed};
use std::time::{Duration, Instant};

/// What is done to a wire.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Every connection is cut, and can be made again.
    Cut,
    Fault(Fault),
}

const DEEDS: [Deed; 6] = [
    Deed::Cut,
    Deed::Fault(Fault::Delay(50)),
    Deed::Fault(Fault::HalfOpen(Towards::Server)),
    Deed::Fault(Fault::HalfOpen(Towards::Daemon)),
    Deed::Fault(Fault::Trickle),
    Deed::Fault(Fault::Refuse),
];

const POSTS_EACH: usize = 4;
/// The latest moment of a fault after a delivery, in milliseconds.
const MOMENT_MAX_MS: u64 = 60;
const COMMIT_ROUNDS: usize = 5;
/// Octets that have trickled: some seconds' worth of a connection.
const TRICKLED: usize = 8;

/// Does one thing after the other to a wire; after each, something must be delivered soon. `loses` is how many connections
/// to the relay a deed may break, and `refused` what the daemon's log says when nobody listens.
async fn shake(mut house: House, wire: Proxy, loses: usize, refused: &str) {
    for deed in std::iter::repeat_n(DEEDS, length()).flatten() {
        println!("{}: {deed:?}", house.name);
        house.deliver("a delivery before the fault", POSTS_EACH).await;
        tokio::time::sleep(Duration::from_millis(house.draw(MOMENT_MAX_MS))).await;
        let told = house.log().matches(refused).count();
        match deed {
            Deed::Cut => {
                assert!(wire.cut() > 0, "{}: nothing uses the wire", house.name);
            }
            Deed::Fault(fault) => wire.set(fault),
        }
        house.publish(POSTS_EACH);
        let what = format!("the daemon to notice {deed:?}");
        match deed {
            Deed::Cut => {}
            Deed::Fault(Fault::Refuse) => {
                house.until(&what, || house.log().matches(refused).count() > told).await;
            }
            Deed::Fault(Fault::Trickle) => house.until(&what, || wire.touched() >= TRICKLED).await,
            Deed::Fault(Fault::Delay(_)) => {
                house.until(&what, || wire.touched() > 0).await;
                house.deliver("a delivery over the slow wire", 1).await;
            }
            Deed::Fault(_) => house.until(&what, || wire.touched() > 0).await,
        }
        wire.set(Fault::Nothing);
        house.connections_lost += loses;
        house.recover(Instant::now()).await;
    }
    let name = house.name.clone();
    println!("{name}: {}", house.close().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn a_faulty_wire_before_each_server() {
    let _beside = BESIDE.read().await;
    let mut running = tokio::task::JoinSet::new();
    running.spawn(before_the_relay());
    running.spawn(before_the_database());
    running.spawn(before_the_broker());
    while let Some(done) = running.join_next().await {
        if let Err(error) = done {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}

async fn before_the_relay() {
    let plan = Plan { with_wire: true, ..Plan::sqlite("a wire before the relay", seed()) };
    let (house, wire) = plan.build().await;
    shake(house, wire, CONNECTIONS, "unreachable").await;
}

async fn before_the_database() {
    let Some(mut plan) = Plan::servers("a wire before the database", seed(), 1).await else { return };
    let wire = between(&mut plan.settings[0].store_url).await;
    let (house, _) = plan.build().await;
    // While the database is out of reach nothing new is begun, and what has ended is recorded later: nothing is uncertain.
    shake(house, wire, 0, "planning failed").await;
}

async fn before_the_broker() {
    let Some(mut plan) = Plan::servers("a wire before the broker", seed(), 1).await else { return };
    let wire = between(plan.settings[0].amqp.as_mut().expect("a broker")).await;
    let (house, _) = plan.build().await;
    shake(house, wire, 0, "no posts from RabbitMQ for now").await;
}

/// Puts a wire before the server that a URL names.
async fn between(url: &mut String) -> Proxy {
    let mut parsed = url::Url::parse(url).expect("a URL");
    let wire = Proxy::to(parsed.port().expect("a port")).await;
    parsed.set_port(Some(wire.port)).expect("a port");
    *url = parsed.into();
    wire
}

/// Every commit takes hold, and for a while the daemon hears of none: what it claimed without knowing must not lie there.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn the_answers_to_commits_are_lost() {
    let _beside = BESIDE.read().await;
    let Some(mut plan) = Plan::servers("lost answers to commits", seed(), 1).await else { return };
    let wire = between(&mut plan.settings[0].store_url).await;
    let (mut house, _) = plan.build().await;
    for _ in 0..COMMIT_ROUNDS * length() {
        house.deliver("a delivery before the fault", POSTS_EACH).await;
        let made = wire.made();
        wire.set(Fault::LoseAnswer("COMMIT"));
        house.publish(POSTS_EACH);
        house.until("commits without an answer", || wire.made() > made + CONNECTIONS).await;
        wire.set(Fault::Nothing);
        house.recover(Instant::now()).await;
    }
    println!("lost answers to commits: {}", house.close().await);
}

//! Mail relays that misbehave at each command, before a daemon: one bad connection costs its letter some time and nobody
//! else anything. What each answer means by itself: tests/carriers/smtp.rs, with deadlines short enough to run out.

use crate::house::{House, Plan, READERS};
use crate::support::proxy::Proxy;
use crate::support::sink::Trick;
use crate::verdict::given;
use crate::{BESIDE, seed};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Where a relay can turn on its client.
const STEPS: [&str; 7] = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY", "."];
const POSTS_EACH: usize = 2;

/// Connections are made anew, so that the next step has one to be played at.
fn begin(house: &mut House, wire: &Proxy, step: &'static str, trick: Trick) {
    if matches!(step, "CONNECT" | "EHLO") {
        house.connections_lost += wire.cut();
    }
    house.sink.play(step, trick);
}

fn is_played(house: &House) -> bool {
    house.sink.behaviour.tricks.lock().expect("not poisoned").is_empty()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn relays_that_hang_up_and_defer_at_each_command() {
    let _beside = BESIDE.read().await;
    let plan = Plan { with_wire: true, ..Plan::sqlite("a relay that hangs up", seed()) };
    let (mut house, wire) = plan.build().await;
    let tricks = [Trick::Drop, Trick::SayAndDrop("421 4.3.2 closing\r\n"), Trick::Say("451 4.3.0 later\r\n")];
    for (step, trick) in STEPS.into_iter().flat_map(|step| tricks.map(|trick| (step, trick))) {
        // To a recipient, 451 means a minute's wait. Within a letter nothing can be said, and whoever says 4xx to its dot
        // hasn't taken it, which this sink always has.
        let means_more =
            matches!((step, trick), ("RCPT", Trick::Say(_)) | ("BODY" | ".", Trick::Say(_) | Trick::SayAndDrop(_)));
        if means_more {
            continue;
        }
        begin(&mut house, &wire, step, trick);
        house.connections_lost += 1;
        house.publish(POSTS_EACH);
        house.until(&format!("{trick:?} at {step}"), || is_played(&house)).await;
        house.recover(Instant::now()).await;
    }
    println!("a relay that hangs up: {}", house.close().await);
}

/// One stalled connection of four: what it carries waits, and everything else arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn relays_that_stall_at_each_command() {
    let _beside = BESIDE.read().await;
    let plan = Plan { with_wire: true, ..Plan::sqlite("a relay that stalls", seed()) };
    let (mut house, wire) = plan.build().await;
    for step in STEPS {
        begin(&mut house, &wire, step, Trick::Stall);
        house.publish(POSTS_EACH);
        house.until(&format!("a stall at {step}"), || is_played(&house)).await;
        // All but the letter in the stalled connection, and the one announced after it, reach their readers.
        house.all_confirmed().await;
        let wanted = house.posts * READERS - 2 * house.posts;
        house.until("the others", || given(&house.received()).len() >= wanted).await;
        house.connections_lost += wire.cut();
        house.recover(Instant::now()).await;
    }
    println!("a relay that stalls: {}", house.close().await);
}

/// Silence after the final dot: the delivery is uncertain, and is repeated once with the same bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn silence_after_the_dot_is_uncertain_and_repeated_once() {
    let _beside = BESIDE.read().await;
    let (mut house, _) = Plan::sqlite("silence after the dot", seed()).build().await;
    house.sink.behaviour.silent_dots.store(3, Ordering::SeqCst);
    house.connections_lost += 3;
    house.deliver("a delivery", 1).await;
    let figures = house.close().await;
    println!("silence after the dot: {figures}");
    assert_eq!((figures.uncertain, figures.repeated), (3, 3));
}

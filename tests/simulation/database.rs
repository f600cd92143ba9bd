//! The database's side of the store: one job after the other, in an order that may be another's, with faults before and
//! after the commit.

use super::world::World;
use allim::store::StoreError;
use allim::store::by_hand::{ByHand, Waiting};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Serves as long as the process lives.
pub(super) async fn serve(world: Arc<World>, hands: Arc<Mutex<ByHand>>) {
    let mut hands = hands.lock().await;
    while let Some(first) = hands.next().await {
        let mut waiting = vec![first];
        world.point().await;
        while let Some(next) = hands.try_next() {
            waiting.push(next);
        }
        // Several connections keep no order among jobs that wait at once.
        while !waiting.is_empty() {
            let job = waiting.remove(world.below(waiting.len()));
            serve_one(&world, &mut hands, job).await;
        }
    }
}

async fn serve_one(world: &Arc<World>, hands: &mut ByHand, mut job: Waiting) {
    let weather = world.weather();
    if world.percent(weather.store_deaf) {
        return job.answer(Err(StoreError::Unavailable("not heard".to_owned())));
    }
    let done = hands.run(&mut job);
    world.point().await;
    let answer = match done {
        Ok(()) if world.percent(weather.store_mute) => Err(StoreError::Unavailable("not answered".to_owned())),
        done => done,
    };
    if world.percent(weather.store_slow) {
        let wait = Duration::from_millis(500 + world.below(6_000) as u64);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            job.answer(answer);
        });
    } else {
        job.answer(answer);
    }
}

//! SIGKILL at random moments: of one daemon on an embedded database, and of any of three on servers while others go on.

use crate::house::{House, Plan};
use crate::verdict::Figures;
use crate::{length, seed};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Runs of each setting; ten times as many under ALLIM_SOAK.
const RUNS: usize = 10;
/// Times in each run that somebody is killed.
const ROUNDS: usize = 3;
const POSTS_EACH: usize = 6;
/// The latest moment of a kill after a delivery, in milliseconds: about as long as the posts of a round are under way.
const MOMENT_MAX_MS: u64 = 120;

/// One run: publish, kill at a random moment, publish to those who are left, start again; then the verdict.
async fn run(mut house: House) -> Figures {
    for round in 0..ROUNDS {
        house.deliver("a delivery before the kill", POSTS_EACH).await;
        tokio::time::sleep(Duration::from_millis(house.draw(MOMENT_MAX_MS))).await;
        let subset = 1 + house.draw((1 << house.replicas.len()) - 1);
        let victims: Vec<usize> = house.everybody().into_iter().filter(|one| subset & (1 << one) != 0).collect();
        house.kill(&victims).await;
        if victims.len() < house.replicas.len() {
            house.deliver(&format!("the others to go on in round {round} without {victims:?}"), 1).await;
        }
        let started = Instant::now();
        house.start(&victims);
        house.recover(started).await;
    }
    house.close().await
}

/// So many runs, some at the same time: most of a run is waiting for the lease of the dead.
async fn runs<F>(what: &str, at_once: usize, plan: impl Fn(u64) -> F)
where
    F: Future<Output = Option<Plan>> + Send + 'static,
{
    let (first, runs) = (seed(), RUNS * length());
    let doors = Arc::new(Semaphore::new(at_once));
    let mut running = JoinSet::new();
    for number in 0..runs {
        let (doors, plan) = (doors.clone(), plan(first.wrapping_add(number as u64)));
        running.spawn(async move {
            let _in = doors.acquire_owned().await.expect("open");
            let (house, _) = plan.await?.build().await;
            Some(run(house).await)
        });
    }
    let mut all = Figures::default();
    while let Some(done) = running.join_next().await {
        match done {
            Ok(Some(figures)) => all = all.and(figures),
            Ok(None) => return,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    println!("{runs} runs of {ROUNDS} kills, {what}: {all}");
    assert!(all.kills_in_sending >= runs / 2, "only {} kills met a row in `sending`", all.kills_in_sending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn killed_at_random_moments_on_sqlite() {
    let _beside = crate::BESIDE.read().await;
    runs("one daemon on SQLite", 2, async |seed| Some(Plan::sqlite("a kill on SQLite", seed))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn any_of_three_replicas_killed_at_random_moments() {
    let _beside = crate::BESIDE.read().await;
    let what = "three replicas on PostgreSQL and RabbitMQ";
    runs(what, 5, |seed| Plan::servers("a kill among three replicas", seed, 3)).await;
}

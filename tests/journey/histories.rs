//! Random histories. `ALLIM_HISTORIES` says how many (10,000 by default), `ALLIM_SEED` takes one again and tells it.

use super::dice::Dice;
use super::house::House;
use super::reckoning::{Counts, Fault, reckon};
use super::step::Step;
use super::walk::{START, Walk};
use allim::store::StoreError;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const HISTORIES: u64 = 10_000;
/// Each has its own store with its own thread; more would only wait for each other in CI.
const THREADS: usize = 2;
/// What the histories must reach if there are enough of them; otherwise they test less than they seem to.
const REACHED: [&str; 26] = [
    "answers after death",
    "back by their own page",
    "backfill lifted",
    "came back to a schedule",
    "came back to all",
    "confirmed",
    "deliveries moved or cancelled",
    "ended as abandoned gave_up",
    "ended as cancelled expired",
    "ended as cancelled superseded",
    "ended as cancelled unsubscribed",
    "ended as cancelled withdrawn",
    "ended as refused recipient_refused",
    "ended as sent ",
    "ended as uncertain answer_lost",
    "erased",
    "firings skipped",
    "moved",
    "moves refused",
    "not allowed to begin",
    "pauses",
    "pauses over",
    "pauses prolonged",
    "releases as a pause is over",
    "stories perhaps owed instead",
    "uncertain ones due again",
];
const ENOUGH: u64 = 2_000;

#[test]
fn whatever_happens_each_owed_story_is_given_once_and_no_other() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = given("ALLIM_SEED") {
        return tell(seed);
    }
    let total = given("ALLIM_HISTORIES").unwrap_or(HISTORIES);
    let (next, failed, counts) = (AtomicU64::new(0), Mutex::new(None), Mutex::new(Counts::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| take_histories(&next, total, &failed, &counts));
        }
    });
    if let Some(seed) = failed.into_inner().expect("no thread panicked") {
        return tell(seed);
    }
    let counts = counts.into_inner().expect("no thread panicked");
    for (what, times) in &counts.0 {
        println!("{times:>9}  {what}");
    }
    let missed: Vec<&str> =
        REACHED.into_iter().filter(|what| counts.0.get(*what).is_none_or(|times| *times == 0)).collect();
    assert!(total < ENOUGH || missed.is_empty(), "no history reached: {missed:?}");
}

/// Takes one history after the other until all are taken or one fails.
fn take_histories(next: &AtomicU64, total: u64, failed: &Mutex<Option<u64>>, counts: &Mutex<Counts>) {
    let mut mine = Counts::default();
    let mut ground = Ground::new().expect("a store in memory");
    loop {
        let seed = next.fetch_add(1, Ordering::SeqCst);
        if seed >= total {
            break;
        }
        let (people, steps) = history(seed);
        match ground.walk(people, &steps) {
            Ok(counts) => mine.merge(&counts),
            Err(_) => {
                next.store(total, Ordering::SeqCst);
                *failed.lock().expect("no thread panicked") = Some(seed);
            }
        }
    }
    counts.lock().expect("no thread panicked").merge(&mine);
}

fn history(seed: u64) -> (usize, Vec<Step>) {
    let dice = Dice::of(seed);
    let people = 2 + dice.below(3);
    (people, dice.history(people))
}

/// Tells the history of a seed; if it fails, in as few steps as it can be told.
fn tell(seed: u64) {
    let mut ground = Ground::new().expect("a store in memory");
    let (people, mut steps) = history(seed);
    let Err(mut fault) = ground.walk(people, &steps) else {
        return println!("the history of seed {seed} is as it should be:\n{steps:#?}");
    };
    let length = steps.len();
    while let Some((fewer, same_fault)) = shorten(&mut ground, people, &steps) {
        (steps, fault) = (fewer, same_fault);
    }
    let told: Vec<String> = steps.iter().enumerate().map(|(at, step)| format!("{at:>3}  {step:?}")).collect();
    panic!(
        "{fault}\nALLIM_SEED={seed}, {people} people, {} of {length} steps are enough:\n{}",
        steps.len(),
        told.join("\n")
    );
}

/// The same history without one stretch of it, if it still fails: the longest that can be left out.
fn shorten(ground: &mut Ground, people: usize, steps: &[Step]) -> Option<(Vec<Step>, Fault)> {
    let mut stretch = steps.len() / 2;
    while stretch > 0 {
        for from in (0..=steps.len() - stretch).step_by(stretch) {
            let fewer = [&steps[..from], &steps[from + stretch..]].concat();
            if let Err(fault) = ground.walk(people, &fewer) {
                return Some((fewer, fault));
            }
        }
        stretch /= 2;
    }
    None
}

/// Where histories are walked: a runtime for one thread, and a store that is emptied for each.
struct Ground {
    runtime: tokio::runtime::Runtime,
    house: House,
}

impl Ground {
    fn new() -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let house = runtime.block_on(House::open(START))?;
        Ok(Self { runtime, house })
    }

    fn walk(&mut self, people: usize, steps: &[Step]) -> Result<Counts, Fault> {
        self.runtime.block_on(async {
            self.house.empty(START).await?;
            let mut walk = Walk::begin(&mut self.house, people).await?;
            for (at, step) in steps.iter().enumerate() {
                walk.step(step).await.map_err(|fault| Fault(format!("at step {at}: {fault}")))?;
            }
            walk.come_to_rest().await?;
            reckon(&mut walk).await?;
            Ok(walk.counts)
        })
    }
}

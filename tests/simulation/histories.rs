//! Random histories. `ALLIM_HISTORIES` says how many (10,000 by default), `ALLIM_SEED` takes one again and tells it.

use super::act::{Act, Dice, History};
use super::ground::{Counts, Fault, Ground};
use super::world::Weather;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

const HISTORIES: u64 = 10_000;
/// Each has a ground of its own; CI has two processors.
const THREADS: usize = 2;
/// Histories that are taken once for each point at which the process can die.
const TAKEN_AT_EACH_POINT: u64 = 6;
/// Of all points of a long history as many as this, evenly: the neighbours come with another history.
const DEATHS_MAX: u64 = 150;
/// What the histories must reach if there are enough of them; otherwise they test less than they seem to.
const REACHED: [&str; 11] = [
    "cancelled superseded",
    "cancelled unsubscribed",
    "cancelled withdrawn",
    "deaths",
    "letters taken twice or more",
    "not allowed to pass",
    "orderly ends",
    "owed",
    "refused content_refused",
    "sent accepted",
    "uncertain by a lost process",
];
const ENOUGH: u64 = 2_000;

#[test]
fn whatever_happens_to_the_process_nothing_owed_is_lost_and_only_the_uncertain_comes_twice() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = given("ALLIM_SEED") {
        return tell(seed, &Dice::history(seed));
    }
    let total = given("ALLIM_HISTORIES").unwrap_or(HISTORIES);
    let (next, failed, counts) = (AtomicU64::new(0), Mutex::new(None), Mutex::new(Counts::default()));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| take_histories(&next, total, &failed, &counts));
        }
    });
    if let Some(seed) = failed.into_inner().expect("no thread panicked") {
        return tell(seed, &Dice::history(seed));
    }
    let counts = counts.into_inner().expect("no thread panicked");
    for (what, times) in &counts.0 {
        println!("{times:>9}  {what}");
    }
    let missed: Vec<&str> =
        REACHED.into_iter().filter(|what| counts.0.get(*what).is_none_or(|times| *times == 0)).collect();
    assert!(total < ENOUGH || missed.is_empty(), "no history reached: {missed:?}");
}

#[test]
fn a_process_may_die_at_every_point() {
    let ground = Ground::new().expect("a store in memory");
    for seed in 0..TAKEN_AT_EACH_POINT {
        let mut history = Dice::history(seed);
        history.steps.iter_mut().for_each(|step| step.die_after = None);
        if let Err(fault) = ground.walk(&history) {
            panic!("{fault}\nseed {seed} without any death");
        }
        let points = ground.points();
        for point in (1..=points).step_by(usize::try_from(points.div_ceil(DEATHS_MAX)).unwrap_or(1)) {
            history.steps[0].die_after = Some(point);
            if ground.walk(&history).is_err() {
                tell(seed, &history);
            }
        }
    }
}

#[test]
fn a_seed_tells_the_same_history_each_time() {
    let (one, other) = (Ground::new().expect("a store in memory"), Ground::new().expect("a store in memory"));
    for seed in 0..20 {
        let history = Dice::history(seed);
        let counts = [&one, &other].map(|ground| ground.walk(&history).map(|counts| (counts.0, ground.points())));
        let [Ok(first), Ok(second)] = counts else { continue };
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Takes one history after the other until all are taken or one fails.
fn take_histories(next: &AtomicU64, total: u64, failed: &Mutex<Option<u64>>, counts: &Mutex<Counts>) {
    let mut mine = Counts::default();
    let ground = Ground::new().expect("a store in memory");
    loop {
        let seed = next.fetch_add(1, Ordering::SeqCst);
        if seed >= total {
            break;
        }
        match ground.walk(&Dice::history(seed)) {
            Ok(counts) => mine.merge(&counts),
            Err(_) => {
                next.store(total, Ordering::SeqCst);
                *failed.lock().expect("no thread panicked") = Some(seed);
            }
        }
    }
    counts.lock().expect("no thread panicked").merge(&mine);
}

/// Tells a history; if it fails, in as few steps, deaths and storms as it can be told.
fn tell(seed: u64, history: &History) {
    let ground = Ground::new().expect("a store in memory");
    let Err(mut fault) = ground.walk(history) else {
        return println!("the history of seed {seed} is as it should be:\n{history:#?}");
    };
    eprintln!("ALLIM_SEED={seed} fails ({fault}); it is being shortened");
    let (mut shortest, length) = (history.clone(), history.steps.len());
    while let Some((simpler, same_fault)) = simplify(&ground, &shortest) {
        (shortest, fault) = (simpler, same_fault);
    }
    let steps: Vec<String> = shortest.steps.iter().enumerate().map(|(at, step)| format!("{at:>3}  {step:?}")).collect();
    panic!(
        "{fault}\nALLIM_SEED={seed}: {} people, {} sessions, {:?} a second, starts anew: {}; {} of {length} steps are enough:\n{}",
        shortest.people,
        shortest.sessions,
        shortest.per_second,
        shortest.starts_anew,
        shortest.steps.len(),
        steps.join("\n")
    );
}

/// The same history with less in it, if it still fails: the longest stretch of steps that can be left out, then one step
/// that needs no death, no storm, or nothing to be done.
fn simplify(ground: &Ground, history: &History) -> Option<(History, Fault)> {
    let still_fails = |history: History| ground.walk(&history).err().map(|fault| (history, fault));
    let steps = &history.steps;
    let mut stretch = steps.len() / 2;
    while stretch > 0 {
        for from in (0..=steps.len() - stretch).step_by(stretch) {
            let fewer = History { steps: [&steps[..from], &steps[from + stretch..]].concat(), ..history.clone() };
            if let Some(failing) = still_fails(fewer) {
                return Some(failing);
            }
        }
        stretch /= 2;
    }
    for at in 0..steps.len() {
        for lighten in 0..4 {
            let mut lighter = history.clone();
            let step = &mut lighter.steps[at];
            let is_lighter = match lighten {
                0 => step.die_after.take().is_some(),
                1 => std::mem::take(&mut step.weather) != Weather::default(),
                2 => !matches!(std::mem::replace(&mut step.act, Act::Nothing), Act::Nothing),
                _ => std::mem::take(&mut step.wait_ms) > 0,
            };
            if is_lighter && let Some(failing) = still_fails(lighter) {
                return Some(failing);
            }
        }
    }
    None
}

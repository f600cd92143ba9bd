//! Where histories take place: a store that is emptied for each, and a runtime for each life.

use super::act::History;
use super::clock::Time;
use super::emptying::EMPTYING;
use super::far_side::Ledger;
use super::house::{self, START};
use super::life::{Around, End, Run, live};
use super::model::Model;
use super::world::{Weather, World};
use super::{reckoning, watch};
use allim::domain::clock::Clock as _;
use allim::store::token_keys::{self, TokenKey};
use allim::store::{Store, StoreError, Tx, subscribers};
use futures_util::FutureExt as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

/// So many processes at most: each dies at a step of its own, or ends in order.
const LIVES_MAX: u64 = 64;

/// What isn't as it should be.
#[derive(Clone, Debug)]
pub(super) struct Fault(pub(super) String);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn ensure(holds: bool, fault: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds { Ok(()) } else { Err(Fault(fault())) }
}

/// How often something happened.
#[derive(Default)]
pub(super) struct Counts(pub(super) BTreeMap<String, usize>);

impl Counts {
    pub(super) fn add(&mut self, what: &str, times: usize) {
        if times > 0 {
            *self.0.entry(what.to_owned()).or_default() += times;
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (what, times) in &other.0 {
            self.add(what, *times);
        }
    }
}

pub(super) struct Ground {
    around: Around,
    /// For what is done while no process lives.
    calm: tokio::runtime::Runtime,
}

impl Ground {
    pub(super) fn new() -> Result<Self, StoreError> {
        let time = Arc::new(Time::default());
        let (store, hands) = Store::by_hand(time.clone())?;
        let around = Around {
            world: Arc::new(World::new(time)),
            store,
            hands: Arc::new(tokio::sync::Mutex::new(hands)),
            stationery: Arc::new(house::stationery()),
            ledger: Arc::default(),
        };
        let calm = tokio::runtime::Builder::new_current_thread().build();
        Ok(Self { around, calm: calm.map_err(|error| StoreError::Unavailable(error.to_string()))? })
    }

    /// Takes a history from its first life to its rest, and reckons.
    pub(super) fn walk(&self, history: &History) -> Result<Counts, Fault> {
        let mut run = self.prepare(history)?;
        let mut counts = Counts::default();
        loop {
            run.lives += 1;
            ensure(run.lives <= LIVES_MAX, || format!("{LIVES_MAX} lives weren't enough"))?;
            let end = self.life(&mut run)?;
            self.leave_behind(&end);
            let (watched, claimed) = self.calmly(|tx| Ok((watch::seen(tx)?, reckoning::books(tx)?)))?;
            ensure(watched.is_empty(), || watched.join("; "))?;
            let faults = std::mem::take(&mut self.around.ledger.lock().unwrap_or_else(PoisonError::into_inner).faults);
            ensure(faults.is_empty(), || faults.join("; "))?;
            match end {
                End::Died => counts.add("deaths", 1),
                End::Stopped => {
                    counts.add("orderly ends", 1);
                    ensure(claimed == 0 || !run.is_last_ended, || format!("{claimed} are taken after an orderly end"))?;
                }
                End::AtRest => break,
            }
        }
        let ledger = self.around.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.calmly(reckoning::Found::read)?;
        reckoning::reckon(&run, &ledger, &found, &mut counts)?;
        Ok(counts)
    }

    /// How many points the last history passed.
    pub(super) fn points(&self) -> u64 {
        self.around.world.passed.load(Ordering::SeqCst)
    }

    /// An empty house with people.
    fn prepare<'a>(&self, history: &'a History) -> Result<Run<'a>, Fault> {
        self.around.world.time.start(START);
        self.around.world.set(Weather::default(), 0);
        self.around.world.revive();
        self.around.world.passed.store(0, Ordering::SeqCst);
        *self.around.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Ledger::default();
        // Planning locks people in the order of their ids, and a batch keeps them in it.
        let people: Vec<i64> = (1..).map(|number| number * 10).take(history.people).collect();
        let ids = people.clone();
        self.calmly(move |tx| {
            EMPTYING.iter().try_for_each(|sql| tx.execute(sql, &[]).map(drop))?;
            watch::stand(tx)?;
            let key = TokenKey { id: "k1".to_owned(), secret: "00".repeat(32), created_at: START };
            token_keys::insert(tx, &key)?;
            ids.iter().try_for_each(|id| subscribers::insert(tx, &house::person(*id), START))
        })?;
        Ok(Run {
            history,
            model: Model { people, ..Model::default() },
            at: 0,
            is_known: false,
            deaths: BTreeSet::new(),
            withdrawing: None,
            lives: 0,
            latest: START,
            is_anew: false,
            ended: BTreeSet::new(),
            is_last_ended: false,
        })
    }

    /// One life, with a runtime of its own: when that is dropped, so is every task of the process, wherever it waits.
    fn life(&self, run: &mut Run<'_>) -> Result<End, Fault> {
        let world = &self.around.world;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.map_err(|error| Fault(error.to_string()))?;
        world.revive();
        let _ = world.died.notified().now_or_never();
        runtime.block_on(async {
            world.time.run();
            let end = tokio::select! {
                biased;
                () = world.died.notified() => Ok(End::Died),
                end = live(&self.around, run) => end,
            };
            world.time.stop();
            end
        })
    }

    /// What a process leaves in the queue: the database's threads may have gone on for a while after its last words.
    fn leave_behind(&self, end: &End) {
        let mut hands = self.around.hands.try_lock().expect("the process is gone");
        let mut goes_on = matches!(end, End::Died);
        while let Some(mut job) = hands.try_next() {
            goes_on &= self.around.world.percent(50);
            if goes_on {
                let done = hands.run(&mut job);
                job.answer(done);
            }
        }
    }

    /// Runs a job while no process lives.
    fn calmly<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Fault> {
        let mut hands = self.around.hands.try_lock().expect("no process lives");
        let asked = self.around.store.write(job);
        let answered = async {
            if let Some(mut job) = hands.next().await {
                let done = hands.run(&mut job);
                job.answer(done);
            }
        };
        let (done, ()) = self.calm.block_on(async { tokio::join!(asked, answered) });
        done.map_err(|error| Fault(format!("at {}: {error}", self.around.world.time.now())))
    }
}

//! One life of a process: everything that `app::lifecycle` starts for planning, sending and settling, and what people and
//! publishers do meanwhile.

use super::act::{Act, History, Step};
use super::database;
use super::far_side::{FarSide, Ledger};
use super::ground::Fault;
use super::house::{self, DESTINATION, PATIENCE};
use super::model::Model;
use super::reckoning;
use super::world::{Weather, World};
use allim::domain::clock::{Clock as _, SeededChance, UnixMillis};
use allim::plan::Planner;
use allim::send::group::Group;
use allim::send::lease::{LEASE, Lease, RENEWAL};
use allim::send::pace::Pace;
use allim::send::posture::board::Board;
use allim::send::prepare::{Preparer, Stationery};
use allim::send::recorder::Recorder;
use allim::send::relay::{Limits, Relay};
use allim::send::signing::Signing;
use allim::send::{self, Destination, Office};
use allim::settle::{self, Uncertain};
use allim::store::by_hand::ByHand;
use allim::store::{Store, StoreError, Tx, deliveries};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

/// As long as `app` waits for attempts under way.
const SHUTDOWN_MAX: Duration = Duration::from_secs(30);
const PLAN_POLL: Duration = Duration::from_millis(600);
const SETTLE_POLL: Duration = Duration::from_secs(5);
/// What the healthy life lets pass before it looks whether something is left to do: longer than the polls, and not a multiple of
/// them, so that the planner also looks while what was handed back rests.
const ROUND: Duration = Duration::from_millis(1_700);
/// In so much time the digest fires twice.
const FIRINGS: Duration = Duration::from_secs(15 * 60);
/// A history that hasn't come to rest after so many rounds never will.
const ROUNDS_MAX: usize = 120;

/// What outlives a process.
pub(super) struct Around {
    pub(super) world: Arc<World>,
    pub(super) store: Store,
    pub(super) hands: Arc<tokio::sync::Mutex<ByHand>>,
    pub(super) stationery: Arc<Stationery>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// How far a history has gone.
pub(super) struct Run<'a> {
    pub(super) history: &'a History,
    pub(super) model: Model,
    /// The step that comes next.
    pub(super) at: usize,
    /// Whether the model knows of it already: it was begun by a process that died.
    pub(super) is_known: bool,
    /// Steps that were the death of a process.
    pub(super) deaths: BTreeSet<usize>,
    /// The post that is being withdrawn.
    pub(super) withdrawing: Option<usize>,
    pub(super) lives: u64,
    /// The latest instant that the clock showed before a step.
    pub(super) latest: UnixMillis,
    /// Whether the last life is that of a process of its own by now.
    pub(super) is_anew: bool,
    /// Terms that came to an orderly end.
    pub(super) ended: BTreeSet<i64>,
    /// Whether the last process did.
    pub(super) is_last_ended: bool,
}

/// How a life ended.
pub(super) enum End {
    Died,
    Stopped,
    AtRest,
}

/// Lives until death, an orderly stop, or the end of the history.
pub(super) async fn live(around: &Around, run: &mut Run<'_>) -> Result<End, Fault> {
    let world = &around.world;
    let calm = Weather::default();
    let begins_with = run.history.steps.get(run.at).map_or((calm, 0), |step| (step.weather, step.dice));
    world.set(begins_with.0, begins_with.1 ^ run.lives);
    tokio::spawn(database::serve(world.clone(), around.hands.clone()));
    let process = Process::start(around, run).await;
    while let Some(step) = run.history.steps.get(run.at) {
        world.set(step.weather, step.dice ^ run.lives);
        if let Some(points) = step.die_after
            && run.deaths.insert(run.at)
        {
            world.die_after(points);
        }
        process.take(around, run, step).await?;
        (run.at, run.is_known) = (run.at + 1, false);
        tokio::time::sleep(Duration::from_millis(step.wait_ms)).await;
        if matches!(step.act, Act::Stop) {
            let ended = process.stop().await;
            run.is_last_ended = ended.is_some();
            run.ended.extend(ended);
            return Ok(End::Stopped);
        }
    }
    world.revive();
    world.set(calm, 0);
    if run.history.starts_anew && !run.is_anew {
        run.is_anew = true;
        return Ok(End::Died);
    }
    process.come_to_rest(around, run).await?;
    run.ended.extend(process.stop().await);
    Ok(End::AtRest)
}

struct Process {
    office: Arc<Office>,
    destination: Arc<Destination>,
    planner: Planner,
    plan_wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    senders: JoinSet<()>,
    recording: JoinHandle<()>,
    others: JoinSet<()>,
}

impl Process {
    /// Starts everything, and starts again as long as the store doesn't let it.
    async fn start(around: &Around, run: &Run<'_>) -> Self {
        let (world, store) = (&around.world, around.store.clone());
        let preparer = Arc::new(Preparer::new(store.clone(), around.stationery.clone()));
        let lease = loop {
            let clock = world.time.clone();
            will_hear_of_lease(world);
            match Lease::take(store.clone(), clock, "sender", PATIENCE.uncertain_wait).await {
                Ok(lease) if preparer.refresh_keys().await.is_ok() => break lease,
                _ => tokio::time::sleep(Duration::from_millis(300)).await,
            }
        };
        let chance = Arc::new(SeededChance::new(run.lives));
        let (recorder, recording) = Recorder::start(store.clone(), chance.clone());
        let (world, ledger) = (world.clone(), around.ledger.clone());
        let far_side = FarSide { world: world.clone(), ledger, sessions: run.history.sessions };
        let pace = Pace { per_second: run.history.per_second };
        let relay = Relay::new("simulated", Box::new(far_side), Limits::default());
        let group = Group::new([(relay, 1)]);
        let destination = Arc::new(Destination::of_class(DESTINATION.to_owned(), group, None, pace));
        let signing = Signing::start(BTreeMap::new()).expect("no threads are needed");
        let office = Arc::new(Office {
            store,
            lease,
            recorder,
            preparer,
            patience: PATIENCE,
            chance,
            signing,
            board: Board::blank(),
        });
        let (stop, stopped) = watch::channel(false);
        let (mut senders, mut others) = (JoinSet::new(), JoinSet::new());
        senders.spawn(send::run(office.clone(), destination.clone(), stopped));
        let (waking, plan_wake) = (destination.clone(), Arc::new(Notify::new()));
        let planner = house::planner(&around.store).telling(move || waking.wake.notify_one());
        others.spawn(plan(planner.clone(), destination.clone(), plan_wake.clone()));
        others.spawn(settle(around.store.clone()));
        others.spawn(renew(world, office.lease.clone()));
        Self { office, destination, planner, plan_wake, stop, senders, recording, others }
    }

    /// What `app` does at SIGTERM. Returns the term, if everything ended within its limits.
    async fn stop(mut self) -> Option<i64> {
        let _ = self.stop.send(true);
        let finished = async { while self.senders.join_next().await.is_some() {} };
        let mut in_time = tokio::time::timeout(SHUTDOWN_MAX, finished).await.is_ok();
        self.senders.shutdown().await;
        let lease = self.office.lease.clone();
        drop(self.office);
        in_time &= tokio::time::timeout(SHUTDOWN_MAX, self.recording).await.is_ok();
        self.others.shutdown().await;
        let term = lease.term();
        (lease.end().await.is_ok() && in_time).then_some(term)
    }
}

/// What is asked for now is good from now on at the longest.
fn will_hear_of_lease(world: &World) {
    let until = u64::try_from((world.time.uptime() + LEASE).as_millis()).unwrap_or(u64::MAX);
    world.lease_until_ms.store(until, Ordering::SeqCst);
}

async fn plan(planner: Planner, destination: Arc<Destination>, wake: Arc<Notify>) {
    loop {
        if planner.tick().await.is_ok_and(|ticked| ticked.moved > 0) {
            destination.wake.notify_one();
        }
        tokio::select! {
            () = wake.notified() => {}
            () = tokio::time::sleep(PLAN_POLL) => {}
        }
    }
}

async fn settle(store: Store) {
    loop {
        let _ = settle::settle(&store, Uncertain::Resend).await;
        tokio::time::sleep(SETTLE_POLL).await;
    }
}

async fn renew(world: Arc<World>, lease: Arc<Lease>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        // As soon as it is asked for, it may be heard; an error may be that of what follows it.
        will_hear_of_lease(&world);
        let _ = lease.renew().await;
    }
}

/// What happens.
impl Process {
    /// Takes a step, again and again until it is taken: who hands in a post or changes their mind hears an error and doesn't
    /// give up.
    async fn take(&self, around: &Around, run: &mut Run<'_>, step: &Step) -> Result<(), Fault> {
        let now = around.world.time.now();
        run.latest = run.latest.max(now);
        if !std::mem::replace(&mut run.is_known, true) {
            run.learn(&step.act, now);
        }
        match &step.act {
            Act::SetClock(ms) => around.world.time.set_by(*ms),
            Act::Suspend(ms) => around.world.time.suspend(Duration::from_millis(*ms)),
            Act::Nothing | Act::Stop => {}
            act => {
                let intake = house::intake(&around.store, self.plan_wake.clone());
                while run.perform(&around.store, &intake, act, now).await.map_err(Fault)?.is_err() {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                self.plan_wake.notify_one();
                self.destination.wake.notify_one();
            }
        }
        Ok(())
    }

    /// Lets everything run that is to come: embargoes end, the digest fires, all that waits is sent.
    async fn come_to_rest(&self, around: &Around, run: &Run<'_>) -> Result<(), Fault> {
        let unheard = |error: StoreError| Fault(format!("the store in fine weather: {error}"));
        let time = &around.world.time;
        around.store.write(|tx| tx.execute("DELETE FROM holds", &[])).await.map_err(unheard)?;
        let out_at = run.model.posts.iter().map(|post| post.draft.public_due_at()).max().unwrap_or(UnixMillis(0));
        // Slots count from the latest instant that the clock ever showed.
        let until = out_at.max(run.latest).max(time.now()).plus(FIRINGS);
        for _ in 0..ROUNDS_MAX {
            tokio::time::sleep(ROUND).await;
            // The planner's own tick may wait for an answer that was slow when the weather changed.
            self.planner.tick().await.map_err(unheard)?;
            let planned_at = self.planner.next_due().await.map_err(unheard)?.filter(|at| *at <= until);
            let (waiting_until, in_hands) = around.store.read(waiting).await.map_err(unheard)?;
            let Some(next) = [planned_at, waiting_until].into_iter().flatten().min() else {
                if in_hands == 0 {
                    return Ok(());
                }
                continue;
            };
            let now = time.now();
            if next > now {
                time.suspend(now.until(next));
                will_hear_of_lease(&around.world);
                self.office.lease.renew().await.map_err(unheard)?;
                settle::settle(&around.store, Uncertain::Resend).await.map_err(unheard)?;
                self.plan_wake.notify_one();
                self.destination.wake.notify_one();
            }
        }
        let waits = around.store.read(|tx| deliveries::list(tx, None, None, 100)).await.map_err(unheard)?;
        let waits: Vec<_> = waits.iter().filter(|one| one.finished_at.is_none()).collect();
        Err(Fault(format!("something still waits after {ROUNDS_MAX} rounds of fine weather: {waits:#?}")))
    }
}

/// When the next delivery waits for its turn, or the next uncertain one to be settled (the end of time counts as never); and
/// how many are in somebody's hands.
fn waiting(tx: &mut Tx<'_>) -> Result<(Option<UnixMillis>, i64), StoreError> {
    let due = [deliveries::next_due(tx, DESTINATION)?, deliveries::next_uncertain(tx)?];
    let next = due.into_iter().flatten().filter(|at| at.0 < i64::MAX).min();
    Ok((next, reckoning::books(tx)?))
}

//! The far side: takes letters, refuses them, defers them, takes them and says nothing, stalls; and the session that talks
//! to it sometimes panics.

use super::world::World;
use allim::domain::clock::Clock as _;
use allim::domain::delivery::{DeliveryKey, Outcome, Reason};
use allim::send::carrier::{Carrier, Gate, Later, Parcel, Session};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A letter that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) edition_id: i64,
    bytes: u64,
}

/// What the far side knows, and what it said.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) taken: BTreeMap<DeliveryKey, Vec<Taken>>,
    pub(super) refused: BTreeSet<DeliveryKey>,
    pub(super) deferred: BTreeSet<DeliveryKey>,
    /// The session couldn't say what became of it.
    pub(super) unsaid: BTreeSet<DeliveryKey>,
    pub(super) not_allowed: usize,
    pub(super) faults: Vec<String>,
}

pub(super) struct FarSide {
    pub(super) world: Arc<World>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) sessions: usize,
}

impl Carrier for FarSide {
    fn sessions(&self) -> usize {
        self.sessions
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(Line { world: self.world.clone(), ledger: self.ledger.clone() })
    }
}

struct Line {
    world: Arc<World>,
    ledger: Arc<Mutex<Ledger>>,
}

/// How one letter goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Going {
    Well,
    Unreachable,
    PanicFirst,
    RefusedFirst,
    DeferredFirst,
    BusyFirst,
    LostUntaken,
    LostTaken,
    PanicUntaken,
    PanicTaken,
    Refused,
    Deferred,
    Slow,
}

const WRONG: [Going; 14] = [
    Going::Unreachable,
    Going::PanicFirst,
    Going::RefusedFirst,
    Going::DeferredFirst,
    Going::BusyFirst,
    Going::LostUntaken,
    Going::LostTaken,
    Going::LostTaken,
    Going::PanicUntaken,
    Going::PanicTaken,
    Going::Refused,
    Going::Deferred,
    Going::Slow,
    Going::Slow,
];

impl Session for Line {
    fn carry<'a>(
        &'a mut self,
        parcel: &'a Parcel,
        gate: &'a mut Gate,
        ahead: Option<(&'a Parcel, &'a mut Gate)>,
    ) -> Later<'a, Outcome> {
        Box::pin(self.dialogue(parcel, gate, ahead))
    }

    fn close(&mut self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

impl Line {
    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn dialogue(&self, parcel: &Parcel, gate: &mut Gate, ahead: Option<(&Parcel, &mut Gate)>) -> Outcome {
        let world = &self.world;
        let wrong = world.percent(world.weather().far_side);
        let going = if wrong { WRONG[world.below(WRONG.len())] } else { Going::Well };
        world.point().await;
        match going {
            Going::Unreachable => return later(Reason::Unreachable),
            Going::PanicFirst => self.panic(parcel),
            _ => {}
        }
        gate.ask();
        world.point().await;
        match going {
            Going::RefusedFirst => return self.refuse(parcel),
            Going::DeferredFirst => return self.defer(parcel),
            Going::BusyFirst => return later(Reason::Busy),
            Going::Slow => tokio::time::sleep(Duration::from_millis(world.below(4_000) as u64)).await,
            _ => {}
        }
        if !gate.pass().await {
            self.lock().not_allowed += 1;
            return Outcome::NotAllowed;
        }
        let (uptime, until) = (world.time.uptime(), Duration::from_millis(world.lease_until_ms.load(Ordering::SeqCst)));
        if uptime >= until {
            self.lock()
                .faults
                .push(format!("{} passed at {uptime:?} under a lease that ended at {until:?}", parcel.key));
        }
        // The letter after this one is announced together with the final dot, so its gate is asked here.
        if let Some((_, gate)) = ahead
            && !world.percent(20)
        {
            gate.ask();
        }
        world.point().await;
        self.answer(parcel, going).await
    }

    /// What comes after the final dot.
    async fn answer(&self, parcel: &Parcel, going: Going) -> Outcome {
        let lost = || Outcome::Uncertain { reason: Reason::AnswerLost, reply: String::new() };
        match going {
            Going::LostUntaken => {
                self.lock().unsaid.insert(parcel.key.clone());
                return lost();
            }
            Going::PanicUntaken => self.panic(parcel),
            Going::Refused => return self.refuse(parcel),
            Going::Deferred => return self.defer(parcel),
            _ => self.take(parcel),
        }
        self.world.point().await;
        match going {
            Going::LostTaken => {
                self.lock().unsaid.insert(parcel.key.clone());
                lost()
            }
            Going::PanicTaken => self.panic(parcel),
            Going::Slow => {
                tokio::time::sleep(Duration::from_millis(self.world.below(12_000) as u64)).await;
                Outcome::Sent { reply: "250 late".to_owned() }
            }
            _ => Outcome::Sent { reply: "250 taken".to_owned() },
        }
    }

    fn take(&self, parcel: &Parcel) {
        let letter = parcel.letter().expect("a letter that can be made");
        let mut hasher = DefaultHasher::new();
        letter.hash(&mut hasher);
        let taken = Taken { edition_id: parcel.prepared.edition_id, bytes: hasher.finish() };
        let mut ledger = self.lock();
        let earlier = ledger.taken.entry(parcel.key.clone()).or_default();
        earlier.push(taken);
        if earlier.iter().any(|other| *other != taken) {
            ledger.faults.push(format!("{} was repeated with other bytes", parcel.key));
        }
    }

    fn refuse(&self, parcel: &Parcel) -> Outcome {
        self.lock().refused.insert(parcel.key.clone());
        // Of the letter, not of its reader: who is suppressed after how many refusals is told by tests/inbound.
        Outcome::Refused { reason: Reason::ContentRefused, reply: String::new() }
    }

    fn defer(&self, parcel: &Parcel) -> Outcome {
        self.lock().deferred.insert(parcel.key.clone());
        later(Reason::Deferred)
    }

    /// A panic that nobody prints.
    fn panic(&self, parcel: &Parcel) -> ! {
        self.lock().unsaid.insert(parcel.key.clone());
        std::panic::resume_unwind(Box::new("a session of the simulation"))
    }
}

fn later(reason: Reason) -> Outcome {
    Outcome::TryLater { reason, reply: String::new(), not_before: None }
}

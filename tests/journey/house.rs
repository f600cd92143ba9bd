//! The parts of the product that a journey passes through, on a store in memory. What a web page, a queue or a relay
//! would do is done here by hand, through the same functions.

use super::emptying::EMPTYING;
use allim::domain::audience::{IMMEDIATE, Slot, Subscriber};
use allim::domain::clock::{Clock as _, ManualClock, UnixMillis};
use allim::domain::delivery::{DeliveryKey, Lane, Outcome, Reason, State};
use allim::domain::edition::{Item, SERVICE};
use allim::domain::language::Language;
use allim::domain::schedule::Schedule;
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Revisions, Source, Verdict};
use allim::intake::wire::{Incoming, SourcePolicy};
use allim::plan::digest::Digest;
use allim::plan::{Planner, Rules, Ticked, release};
use allim::send::decide::{Patience, follow};
use allim::send::with_recipients;
use allim::settle::{self, Uncertain};
use allim::store::deliveries::{self, AttemptRef, Claimed, Listed};
use allim::store::{Location, Store, StoreError, Tx, editions, posts, processes, suppressions};
use std::collections::{BTreeMap, btree_map};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

pub(super) const SOURCE: &str = "site";
pub(super) const DESTINATION: &str = "email:main";
/// Topics that posts are shown under and people subscribe to; the last one is a tag.
pub(super) const TOPICS: [&str; 4] = ["events", "news", "jobs", "tag:ai"];
/// Languages of readers, in the order of preference for fallback.
pub(super) const READERS: [&str; 3] = ["ko", "en", "zh"];
/// A digest whose firings lie close together.
pub(super) const SEVEN: &str = "seven";
pub(super) const EVERY_SEVEN_MINUTES: &str = "*/7 * * * *";
pub(super) const EVERY_FIVE_MINUTES: &str = "*/5 * * * *";
/// A digest of nine o'clock in Seoul, or of the reader's own hour.
pub(super) const DAILY: &str = "daily";
pub(super) const TRANSLATION_WAIT: Duration = Duration::from_secs(6 * 3_600);
/// Posts of longer ago are held as backfill.
pub(super) const MAX_AGE: Duration = Duration::from_secs(7 * 24 * 3_600);
const PATIENCE: Patience = Patience {
    give_up_after: Duration::from_secs(2 * 24 * 3_600),
    uncertain_wait: Duration::from_secs(15 * 60),
    waits: &allim::domain::backoff::RELAY,
};
const LEASE: Duration = Duration::from_secs(20);
/// So few that most occurrences need several chunks.
const CHUNK_RECIPIENTS: i64 = 2;
/// Of the hashes of addresses.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
/// In the middle of the range: the jitter is tested elsewhere.
const DRAW: u32 = u32::MAX / 2;

/// The two digests; `line` is when the one with close firings fires.
pub(super) fn digests(line: &str) -> BTreeMap<String, Digest> {
    let digest = |name: &str, line: &str, minutes_late: u64, own_hour: bool| {
        let schedule = Schedule::parse(line, "Asia/Seoul").expect("a schedule");
        let max_late = Duration::from_secs(minutes_late * 60);
        (
            name.to_owned(),
            Digest {
                name: name.to_owned(),
                schedule,
                max_late,
                own_hour,
                commercial: false,
                quiet_hours: None,
                heartbeat: false,
            },
        )
    };
    BTreeMap::from([digest(SEVEN, line, 5, false), digest(DAILY, "0 9 * * *", 6 * 60, true)])
}

fn rules(line: &str) -> Rules {
    let languages = READERS.map(language).to_vec();
    Rules {
        release: release::Rules { languages, translation_wait: TRANSLATION_WAIT },
        digests: digests(line),
        template: "template 1".to_owned(),
        chunk_recipients: CHUNK_RECIPIENTS,
        routes: BTreeMap::new(),
        route_default: ("office".to_owned(), DESTINATION.to_owned()),
        classes: Default::default(),
        grace: Duration::ZERO,
        noting: Vec::new(),
        consent_kept: Duration::from_secs(1_825 * 86_400),
        accounts: Vec::new(),
    }
}

pub(super) fn language(tag: &str) -> Language {
    Language::parse(tag).expect("a language tag")
}

fn intake(store: &Store) -> Intake {
    let boards = TOPICS.iter().filter(|topic| !topic.starts_with("tag:"));
    let policy = SourcePolicy {
        name: SOURCE.to_owned(),
        topics_known: boards.map(|&topic| topic.to_owned()).collect(),
        urgent_allowed: true,
        ..SourcePolicy::default()
    };
    let source = Source { policy, republish: Republish::Revise, revisions: Revisions::Silent };
    let sources = BTreeMap::from([(SOURCE.to_owned(), source)]);
    Intake::new(store.clone(), sources, Backfill::OlderThan(MAX_AGE), Arc::new(Notify::new()))
}

/// One installation.
pub(super) struct House {
    clock: Arc<ManualClock>,
    pub(super) store: Store,
    intake: Intake,
    planner: Planner,
    /// Of the process that sends.
    term: i64,
}

impl House {
    pub(super) async fn open(start: UnixMillis) -> Result<Self, StoreError> {
        let clock = Arc::new(ManualClock::at(start));
        let store = Store::open(&Location::Memory, clock.clone())?;
        let (intake, planner) = (intake(&store), Planner::new(store.clone(), rules(EVERY_SEVEN_MINUTES)));
        let mut house = Self { clock, store, intake, planner, term: 0 };
        house.start_sending().await?;
        Ok(house)
    }

    /// Empties the store, which costs a tenth of opening another one: its statements stay prepared.
    pub(super) async fn empty(&mut self, start: UnixMillis) -> Result<(), StoreError> {
        self.clock.set(start);
        self.configure(EVERY_SEVEN_MINUTES);
        self.store
            .write(|tx| {
                for sql in EMPTYING {
                    tx.execute(sql, &[])?;
                }
                Ok(())
            })
            .await?;
        self.start_sending().await
    }

    pub(super) fn planner(&self) -> &Planner {
        &self.planner
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(super) fn set(&self, now: UnixMillis) {
        self.clock.set(now);
    }

    pub(super) fn pass(&self, time: Duration) {
        self.set(self.now().plus(time));
    }

    /// A restart of the planner with another line for the digest of close firings.
    pub(super) fn configure(&mut self, line: &str) {
        self.planner = Planner::new(self.store.clone(), rules(line));
    }

    pub(super) async fn accept(&self, message: Incoming) -> Result<Verdict, StoreError> {
        let receipts = self.intake.accept(vec![message]).await?;
        receipts.into_iter().next().map(|receipt| receipt.verdict).ok_or_else(|| shape("no receipt"))
    }

    pub(super) async fn lift_backfill(&self, post_id: String) -> Result<bool, StoreError> {
        let now = self.now();
        self.store.write(move |tx| posts::lift_backfill(tx, &post_id, now)).await
    }

    pub(super) async fn tick(&self) -> Result<Ticked, StoreError> {
        self.planner.tick().await
    }

    pub(super) async fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        self.planner.next_due().await
    }
}

/// What the sending process does.
impl House {
    async fn start_sending(&mut self) -> Result<(), StoreError> {
        let now = self.now();
        let registered = self.store.write(move |tx| {
            suppressions::ensure_key(tx, KEY)?;
            processes::register(tx, "sender", now, LEASE)
        });
        self.term = registered.await?;
        Ok(())
    }

    /// The sending process dies and another one takes its place.
    pub(super) async fn die(&mut self) -> Result<(), StoreError> {
        let (now, term) = (self.now(), self.term);
        let settle_at = now.plus(PATIENCE.uncertain_wait);
        self.store.write(move |tx| processes::end(tx, term, now, settle_at)).await?;
        self.start_sending().await
    }

    pub(super) async fn claim(&self, limit: i64) -> Result<Vec<Claimed>, StoreError> {
        Ok(self.claim_with_recipients(limit).await?.into_iter().map(|(claimed, _)| claimed).collect())
    }

    /// Takes what is due; what was planned for those who are gone is cancelled on the way.
    pub(super) async fn claim_with_recipients(&self, limit: i64) -> Result<Vec<(Claimed, Subscriber)>, StoreError> {
        let (now, term) = (self.now(), self.term);
        self.store
            .write(move |tx| {
                let (mut claimed, mut left) = (Vec::new(), limit);
                for lane in Lane::ALL {
                    let taken = deliveries::claim(tx, term, DESTINATION, *lane, now, left)?;
                    left -= taken.len() as i64;
                    claimed.append(&mut with_recipients(tx, *lane, taken, now)?);
                }
                Ok(claimed)
            })
            .await
    }

    /// Asks whether the point of no return may be passed.
    pub(super) async fn begin(&self, claimed: &Claimed) -> Result<bool, StoreError> {
        let (now, key) = (self.now(), claimed.key.clone());
        let attempt = AttemptRef::of(claimed);
        let begun = self.store.write(move |tx| deliveries::begin_sending(tx, std::slice::from_ref(&attempt), now));
        Ok(begun.await?.contains(&key))
    }

    /// Hands back what was claimed and not begun, as a process does that doesn't know what a claim of its took.
    pub(super) async fn hand_back(&self) -> Result<u64, StoreError> {
        let (now, term) = (self.now(), self.term);
        self.store.write(move |tx| deliveries::hand_back_claims(tx, term, now)).await
    }

    /// Records what an attempt came to. Returns whether that is the delivery's end.
    pub(super) async fn record(&self, claimed: &Claimed, outcome: &Outcome) -> Result<bool, StoreError> {
        let now = self.now();
        let ended = follow(claimed, outcome, PATIENCE, now, DRAW);
        let is_end = ended.fin.is_some();
        let took_hold = self.store.write(move |tx| deliveries::record(tx, std::slice::from_ref(&ended), now)).await?;
        Ok(is_end && took_hold == 1)
    }

    /// Sends everything that is due, and has an answer to each. Returns what began to be sent.
    pub(super) async fn send_all(&self, outcome: &Outcome) -> Result<Vec<Claimed>, StoreError> {
        let mut begun = Vec::new();
        for claimed in self.claim(i64::MAX).await? {
            if self.begin(&claimed).await? {
                self.record(&claimed, outcome).await?;
                begun.push(claimed);
            } else {
                self.record(&claimed, &Outcome::NotAllowed).await?;
            }
        }
        Ok(begun)
    }

    pub(super) async fn settle(&self) -> Result<u64, StoreError> {
        Ok(settle::settle(&self.store, Uncertain::Resend).await?.0)
    }

    /// When the next delivery waits for its turn, or the next uncertain one to be settled.
    pub(super) async fn next_delivery(&self) -> Result<Option<UnixMillis>, StoreError> {
        let due = self.store.read(|tx| Ok([deliveries::next_due(tx, DESTINATION)?, deliveries::next_uncertain(tx)?]));
        // What is kept as uncertain for good is due at the end of time.
        Ok(due.await?.into_iter().flatten().filter(|at| at.0 < i64::MAX).min())
    }
}

/// A delivery with its content, as the ledger has it.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) key: DeliveryKey,
    pub(super) state: State,
    pub(super) reason: Option<Reason>,
    pub(super) edition_id: i64,
    pub(super) schedule: String,
    pub(super) finished_at: Option<UnixMillis>,
    pub(super) items: Vec<Item>,
}

impl Letter {
    /// Whether the stories in it are given: not cancelled because they were gone or went into a newer issue.
    pub(super) fn gives(&self) -> bool {
        let void = [Reason::Withdrawn, Reason::Expired, Reason::Superseded].map(Some);
        !(self.state == State::Cancelled && void.contains(&self.reason))
    }
}

impl House {
    /// Every delivery that holds posts, in the order of planning.
    pub(super) async fn letters(&self) -> Result<Vec<Letter>, StoreError> {
        let read = |tx: &mut Tx<'_>| {
            let mut letters = Vec::new();
            let mut contents: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
            let listed = deliveries::list(tx, None, None, i64::MAX)?;
            for listed in listed.into_iter().filter(|listed| listed.schedule != SERVICE) {
                if let btree_map::Entry::Vacant(unread) = contents.entry(listed.edition_id) {
                    let edition = editions::find(tx, listed.edition_id)?;
                    unread.insert(edition.map(|edition| edition.content.items).unwrap_or_default());
                }
                letters.push((listed.planned_at, letter(&listed, &contents[&listed.edition_id])?));
            }
            letters.sort_by(|(at, one), (other_at, other)| (at, &one.key).cmp(&(other_at, &other.key)));
            Ok(letters.into_iter().map(|(_, letter)| letter).collect())
        };
        self.store.read(read).await
    }
}

fn letter(listed: &Listed, items: &[Item]) -> Result<Letter, StoreError> {
    Ok(Letter {
        key: DeliveryKey::parse(&listed.id).ok_or_else(|| shape("a delivery's id"))?,
        state: State::from_word(&listed.state).ok_or_else(|| shape("a state"))?,
        reason: listed.reason.as_deref().and_then(Reason::from_word),
        edition_id: listed.edition_id,
        schedule: listed.schedule.clone(),
        finished_at: listed.finished_at,
        items: items.to_vec(),
    })
}

pub(super) fn immediate() -> Slot {
    Slot::of(IMMEDIATE)
}

pub(super) fn shape(text: &str) -> StoreError {
    StoreError::Shape(text.to_owned())
}

#[tokio::test]
async fn emptying_forgets_no_table() -> Result<(), StoreError> {
    let house = House::open(UnixMillis(0)).await?;
    let named = |name: &str| EMPTYING.iter().any(|sql| sql.split(' ').any(|word| word == name));
    const TABLES: &str =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('migrations', 'expansions')";
    for row in house.store.read(|tx| tx.query(TABLES, &[])).await? {
        let name = row.text(0)?;
        assert!(named(&name), "`House::empty` leaves the table {name} as it is");
    }
    Ok(())
}

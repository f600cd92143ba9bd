//! What must hold of the books after each life, and of everything once it has come to rest.

use super::act::Act;
use super::far_side::Ledger;
use super::ground::{Counts, Fault, ensure};
use super::life::Run;
use super::model::Post;
use allim::domain::delivery::{DeliveryKey, State};
use allim::store::deliveries::{self, Listed};
use allim::store::{Row, StoreError, Tx};
use std::collections::{BTreeMap, BTreeSet};

/// Deliveries that a session has in hand at most: one, and those marked ahead.
const IN_HAND_MAX: usize = 1 + allim::send::MARKED_AHEAD;

/// Holds the books of the batches against each other, and tells how many deliveries are in somebody's hands.
pub(super) fn books(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    const BATCHES: &str =
        "SELECT b.plan_id, b.number, b.size, b.open, b.own_count, b.entries, b.claims, b.state, b.own, m.ids
         FROM batches b JOIN batch_recipients m ON m.plan_id = b.plan_id AND m.number = b.number";
    for row in tx.query(BATCHES, &[])? {
        let batch = Batch::read(tx, &row)?;
        if let Some(wrong) = batch.wrong() {
            let (plan, number) = (row.int(0)?, row.int(1)?);
            return Err(StoreError::Shape(format!("batch {plan}/{number} isn't sound: {wrong}; {batch:?}")));
        }
    }
    const IN_HANDS: &str = "SELECT (SELECT COUNT(*) FROM deliveries WHERE state IN ('claimed', 'sending'))
         + (SELECT COUNT(*) FROM batches WHERE state = 'claimed')";
    tx.query_opt(IN_HANDS, &[])?.map_or(Ok(0), |row| row.int(0))
}

#[derive(Debug)]
struct Batch {
    size: i64,
    open: i64,
    own_count: i64,
    entries: i64,
    claims: i64,
    state: String,
    own: BTreeSet<i64>,
    ids: Vec<i64>,
    /// Number, attempt, who began, who was taken.
    log: Vec<(i64, i64, Vec<i64>, Vec<i64>)>,
    /// The members that have rows.
    rows: BTreeSet<i64>,
}

impl Batch {
    fn read(tx: &mut Tx<'_>, row: &Row) -> Result<Self, StoreError> {
        const LOG: &str = "SELECT entry, attempt, began,
                 (SELECT json_group_array(x.value) FROM json_each(taken) t, json_each(t.value) x)
             FROM batch_log WHERE plan_id = $1 AND number = $2 ORDER BY entry";
        const ROWS: &str = "SELECT i.key FROM batch_recipients m, json_each(m.ids) i JOIN deliveries d
             ON d.plan_id = m.plan_id AND d.recipient_id = i.value WHERE m.plan_id = $1 AND m.number = $2";
        let key = [row.int(0)?.into(), row.int(1)?.into()];
        let entry = |row: &Row| Ok((row.int(0)?, row.int(1)?, list(row, 2)?, list(row, 3)?));
        Ok(Self {
            size: row.int(2)?,
            open: row.int(3)?,
            own_count: row.int(4)?,
            entries: row.int(5)?,
            claims: row.int(6)?,
            state: row.text(7)?,
            own: list(row, 8)?.into_iter().collect(),
            ids: list(row, 9)?,
            log: tx.query(LOG, &key)?.iter().map(entry).collect::<Result<_, StoreError>>()?,
            rows: tx.query(ROWS, &key)?.iter().map(|row| row.int(0)).collect::<Result<_, _>>()?,
        })
    }

    fn wrong(&self) -> Option<&'static str> {
        let taken: Vec<i64> = self.log.iter().flat_map(|(.., taken)| taken.iter().copied()).collect();
        let once: BTreeSet<i64> = taken.iter().copied().collect();
        let began = |attempt: i64, index: &i64, to: usize| {
            self.log[..=to].iter().any(|(_, of, began, _)| *of == attempt && began.contains(index))
        };
        let open = self.size - self.own_count - taken.len() as i64;
        let rules = [
            (self.ids.len() as i64 == self.size, "members and size"),
            (self.own.len() as i64 == self.own_count, "own and own_count"),
            (self.own.iter().all(|index| (0..self.size).contains(index)), "own without a member"),
            (self.rows == self.own, "own and rows"),
            (once.len() == taken.len(), "taken twice"),
            (once.is_disjoint(&self.own), "taken and yet on its own"),
            (self.open == if self.state == "cancelled" { 0 } else { open }, "open"),
            ((self.open > 0) == matches!(self.state.as_str(), "due" | "claimed"), "open and state"),
            (self.entries == self.log.len() as i64, "entries"),
            (self.log.iter().all(|(_, attempt, ..)| (1..=self.claims).contains(attempt)), "attempts and claims"),
            (
                self.log.iter().enumerate().all(|(at, (_, of, _, taken))| taken.iter().all(|one| began(*of, one, at))),
                "taken without having begun",
            ),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, rule)| rule)
    }
}

fn list(row: &Row, column: usize) -> Result<Vec<i64>, StoreError> {
    serde_json::from_str(&row.text(column)?).map_err(|error| StoreError::Shape(error.to_string()))
}

/// What the store says once everything has come to rest.
pub(super) struct Found {
    deliveries: Vec<(DeliveryKey, State, Listed)>,
    /// The posts of each edition.
    items: BTreeMap<i64, BTreeSet<String>>,
    /// Attempts that were given up with their process, whatever was heard of them later: of which delivery, under which term.
    lost: Vec<(i64, i64, i64)>,
    open_attempts: usize,
}

impl Found {
    pub(super) fn read(tx: &mut Tx<'_>) -> Result<Self, StoreError> {
        let shape = |listed: &Listed| StoreError::Shape(format!("{listed:?}"));
        let mut found = Self { deliveries: Vec::new(), items: BTreeMap::new(), lost: Vec::new(), open_attempts: 0 };
        for listed in deliveries::list(tx, None, None, i64::MAX)? {
            let key = DeliveryKey::parse(&listed.id).ok_or_else(|| shape(&listed))?;
            let state = State::from_word(&listed.state).ok_or_else(|| shape(&listed))?;
            found.deliveries.push((key, state, listed));
        }
        for row in tx.query("SELECT edition_id, post_id FROM edition_items", &[])? {
            found.items.entry(row.int(0)?).or_default().insert(row.text(1)?);
        }
        for row in tx.query("SELECT plan_id, recipient_id, term FROM watched_losses", &[])? {
            found.lost.push((row.int(0)?, row.int(1)?, row.int(2)?));
        }
        found.open_attempts = tx.query("SELECT 1 FROM attempts WHERE ended_at IS NULL", &[])?.len();
        Ok(found)
    }

    fn of<'a>(&'a self, person: i64, post: &'a str) -> impl Iterator<Item = &'a (DeliveryKey, State, Listed)> {
        let holds = move |listed: &Listed| self.items.get(&listed.edition_id).is_some_and(|items| items.contains(post));
        self.deliveries.iter().filter(move |(key, _, listed)| key.recipient_id == person && holds(listed))
    }
}

/// Compares what was owed, what the far side took, and what the store says.
pub(super) fn reckon(run: &Run<'_>, ledger: &Ledger, found: &Found, counts: &mut Counts) -> Result<(), Fault> {
    ensure(found.open_attempts == 0, || format!("{} attempts are still open", found.open_attempts))?;
    for one in &found.deliveries {
        check_delivery(one, ledger, found)?;
        counts.add(&format!("{} {}", one.1, one.2.reason.as_deref().unwrap_or_default()), 1);
    }
    let mut lost: BTreeMap<i64, usize> = BTreeMap::new();
    for (.., term) in &found.lost {
        *lost.entry(*term).or_default() += 1;
    }
    // A process that sleeps through its lease loses it, and may yet come to an orderly end.
    let sleeps = run.history.steps.iter().any(|step| matches!(step.act, Act::Suspend(_) | Act::SetClock(_)));
    for (term, lost) in lost {
        let most = if run.ended.contains(&term) && !sleeps { 0 } else { IN_HAND_MAX * run.history.sessions };
        ensure(lost <= most, || format!("{lost} are uncertain by the end of process {term}, and not at most {most}"))?;
    }
    for key in ledger.taken.keys() {
        let is_known = found.deliveries.iter().any(|(known, ..)| known == key);
        ensure(is_known, || format!("{key} was taken and isn't in the store"))?;
    }
    for post in &run.model.posts {
        check_post(post, ledger, found, counts)?;
    }
    counts.add("letters taken", ledger.taken.values().map(Vec::len).sum());
    counts.add("letters taken twice or more", ledger.taken.values().filter(|taken| taken.len() > 1).count());
    counts.add("not allowed to pass", ledger.not_allowed);
    counts.add("uncertain by a lost process", found.lost.len());
    Ok(())
}

fn check_delivery(
    (key, state, listed): &(DeliveryKey, State, Listed),
    ledger: &Ledger,
    found: &Found,
) -> Result<(), Fault> {
    let told = || format!("{key} is {state} ({:?}, uncertain {:?})", listed.reason, listed.uncertain_at);
    let taken = ledger.taken.get(key).map_or(0, Vec::len);
    let is_uncertain = listed.uncertain_at.is_some();
    let is_over = state.is_final() || (*state == State::Uncertain && listed.due_at.0 == i64::MAX);
    ensure(is_over, || format!("{} at rest", told()))?;
    ensure(*state != State::Sent || taken > 0, || format!("{} and wasn't taken", told()))?;
    ensure(taken == 0 || *state == State::Sent || is_uncertain, || format!("{} and was taken", told()))?;
    ensure(taken <= 1 || is_uncertain, || format!("{} and was taken {taken} times", told()))?;
    let was_lost = || found.lost.iter().any(|(plan, person, _)| (*plan, *person) == (key.plan_id, key.recipient_id));
    let is_explained = !is_uncertain || ledger.unsaid.contains(key) || was_lost();
    ensure(is_explained, || format!("{}, and nobody lost an answer", told()))?;
    ensure(*state != State::Refused || ledger.refused.contains(key), || format!("{}, and nobody refused it", told()))?;
    ensure(*state != State::Abandoned, || format!("{} before its time", told()))
}

fn check_post(post: &Post, ledger: &Ledger, found: &Found, counts: &mut Counts) -> Result<(), Fault> {
    let id = post.draft.post_id();
    let took = |key: &DeliveryKey| ledger.taken.contains_key(key);
    for person in &post.not_for {
        let wrongly = found.of(*person, &id).find(|(key, ..)| took(key));
        ensure(wrongly.is_none(), || format!("{person} got {id}, which they never wanted: {wrongly:?}"))?;
    }
    let everybody: BTreeSet<i64> = found.deliveries.iter().map(|(key, ..)| key.recipient_id).collect();
    for person in &everybody {
        let twice: Vec<_> = found.of(*person, &id).filter(|(key, ..)| took(key)).collect();
        ensure(twice.len() <= 1, || format!("{person} got {id} by several plans: {twice:?}"))?;
    }
    if post.is_withdrawn {
        return Ok(());
    }
    for person in &post.owed_to {
        let settles = |(key, state, listed): &&(DeliveryKey, State, Listed)| {
            took(key) || *state == State::Refused || listed.uncertain_at.is_some()
        };
        counts.add("owed", 1);
        ensure(found.of(*person, &id).any(|one| settles(&one)), || {
            let all: Vec<_> = found.of(*person, &id).collect();
            format!("{person} was owed {id} and didn't get it: {all:?}")
        })?;
    }
    Ok(())
}

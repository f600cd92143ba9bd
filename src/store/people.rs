//! What people do about being written to, each with its row in the ledger of consent. Whoever calls holds the transaction, and plans
//! what is answered in it.

use super::consents::{self, Act, Consent};
use super::profile::{self, Left, Then};
use super::subscribers;
use super::suppressions::{self, Cause, Wanted};
use super::wishes::{self, Wish};
use super::{StoreError, Tx, occurrences};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

/// For so long a withdrawal can be taken back as if it hadn't been.
pub const UNDO: Duration = Duration::from_secs(24 * 3_600);

/// By whose word, where, and in which language they read what they agreed to.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The language of the page or mail.
    pub language: &'a Language,
    /// `page`, `api`, `mail`, `import` or `command`; `plan` when a time that they had set is over.
    pub source: &'a str,
    /// `subscriber`, `mail program` or `operator`.
    pub actor: &'a str,
}

fn record(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    act: Act,
    by: By<'_>,
    detail: serde_json::Value,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let hash = suppressions::hash(tx, &person.address)?;
    let By { language, source, actor } = by;
    let consent =
        Consent { subscriber_id: person.id, address_hash: &hash, act, language, source, actor, detail: &detail };
    consents::record(tx, &consent, now)
}

fn told(wishes: &[Wish]) -> serde_json::Value {
    let list = wishes.iter().map(|wish| json!({ "topic": wish.topic, "schedule": wish.slot.as_str() }));
    json!({ "topics": list.collect::<Vec<_>>() })
}

/// Somebody asked for mail to an address. Nothing changes for its holder but that a confirmation waits for them. Returns whom the
/// confirmation goes to: `stranger` with its fresh id when nobody has the address. `None`: it may not be written to.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn ask(
    tx: &mut Tx<'_>,
    stranger: &Subscriber,
    wanted: &[Wish],
    now: UnixMillis,
) -> Result<Option<Subscriber>, StoreError> {
    if suppressions::is_suppressed(tx, &stranger.address)? {
        return Ok(None);
    }
    let person = match subscribers::by_address(tx, &stranger.address)? {
        Some(known) => {
            if profile::of(tx, known.id)?.is_some_and(|profile| profile.confirmed_at.is_none()) {
                // Whoever holds the address asks for themselves now: nobody else's move waits there, and they read what
                // was asked for last.
                wishes::clear_move(tx, known.id)?;
                subscribers::set_language(tx, known.id, &stranger.language)?;
                Subscriber { language: stranger.language.clone(), ..known }
            } else {
                known
            }
        }
        None => {
            profile::insert_stranger(tx, stranger, now)?;
            stranger.clone()
        }
    };
    for wish in wanted {
        wishes::put(tx, person.id, wish, now)?;
    }
    Ok(Some(person))
}

/// Notes in the ledger that somebody was asked to confirm. Call it when the letter that asks them is planned, which is once a day at
/// most: whoever asks again and again in their name fills no ledger.
///
/// # Errors
/// As [`ask`].
pub fn asked(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    wanted: &[Wish],
    by: By<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    record(tx, person, Act::Asked, by, told(wanted), now)
}

/// What a confirmation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// These topics and schedules are subscribed to now.
    Granted(Vec<Wish>),
    /// The subscriber of this id is written to at this address from now on.
    Moved(i64),
    /// There was nothing to confirm any more.
    Nothing,
}

/// The holder of an address confirms what was asked for, as far as `wanted` names it: topics and slots as they saw them.
///
/// # Errors
/// As [`ask`].
pub fn confirm(
    tx: &mut Tx<'_>,
    id: i64,
    wanted: &[Wish],
    by: By<'_>,
    now: UnixMillis,
) -> Result<Confirmed, StoreError> {
    let Some(person) = subscribers::lock(tx, id)? else { return Ok(Confirmed::Nothing) };
    if let Some(takes_over) = wishes::move_of(tx, id)? {
        return take_over(tx, &person, takes_over, by, now);
    }
    let wishes = wishes::of(tx, id)?;
    let granted: Vec<Wish> = wishes.into_iter().filter(|wish| wanted.contains(wish)).collect();
    if granted.is_empty() {
        return Ok(Confirmed::Nothing);
    }
    profile::set_confirmed(tx, id, now)?;
    for wish in &granted {
        subscribers::subscribe(tx, id, &wish.topic, &wish.slot, now)?;
    }
    wishes::clear(tx, id)?;
    record(tx, &person, Act::Granted, by, told(&granted), now)?;
    occurrences::fire_for(tx, id, now)?;
    Ok(Confirmed::Granted(granted))
}

/// Whoever holds the new address has confirmed it: the old subscriber goes there with everything that is theirs.
fn take_over(
    tx: &mut Tx<'_>,
    provisional: &Subscriber,
    takes_over: i64,
    by: By<'_>,
    now: UnixMillis,
) -> Result<Confirmed, StoreError> {
    let Some(person) = subscribers::lock(tx, takes_over)? else { return Ok(Confirmed::Nothing) };
    // A list may have made a subscriber of it meanwhile, whom nobody may take the place of.
    if profile::of(tx, provisional.id)?.is_none_or(|profile| profile.confirmed_at.is_some()) {
        return Ok(Confirmed::Nothing);
    }
    profile::erase(tx, provisional.id)?;
    profile::set_address(tx, person.id, &provisional.address, now)?;
    let moved = Subscriber { address: provisional.address.clone(), ..person };
    record(tx, &moved, Act::Moved, by, json!({}), now)?;
    Ok(Confirmed::Moved(moved.id))
}

/// Somebody wants to be written to at another address. Returns the provisional subscriber whom the confirmation goes to; `None` when
/// the address is somebody's already, waits for a confirmation of their own, or may not be written to. A move asked for before ends.
///
/// # Errors
/// As [`ask`].
pub fn ask_to_move(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    to: Address,
    fresh_id: i64,
    now: UnixMillis,
) -> Result<Option<Subscriber>, StoreError> {
    if suppressions::is_suppressed(tx, &to)? {
        return Ok(None);
    }
    let provisional = match subscribers::by_address(tx, &to)? {
        Some(known) => match profile::of(tx, known.id)? {
            Some(profile) if profile.confirmed_at.is_none() && wishes::of(tx, known.id)?.is_empty() => known,
            _ => return Ok(None),
        },
        None => {
            let provisional = Subscriber { id: fresh_id, address: to, unsubscribed_at: None, ..person.clone() };
            profile::insert_stranger(tx, &provisional, now)?;
            provisional
        }
    };
    wishes::end_moves(tx, person.id)?;
    wishes::put_move(tx, provisional.id, person.id, now)?;
    Ok(Some(provisional))
}

/// What somebody chose on their page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Topics and schedules, all of them: what isn't named ends.
    pub topics: Vec<Wish>,
    /// The language they read.
    pub language: Language,
    /// Whether they want plain text alone.
    pub text_only: bool,
}

/// Changes somebody's settings to what they chose. Returns the schedules that they have no topic of any more, and those that are
/// new to them.
///
/// # Errors
/// As [`ask`].
pub fn change(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    choice: &Choice,
    by: By<'_>,
    now: UnixMillis,
) -> Result<(BTreeSet<String>, BTreeSet<String>), StoreError> {
    let before = subscribers::subscriptions(tx, person.id)?;
    let schedules = |slots: &mut dyn Iterator<Item = &Slot>| -> BTreeSet<String> {
        slots.map(|slot| slot.schedule().to_owned()).collect()
    };
    let had = schedules(&mut before.iter().map(|subscription| &subscription.slot));
    let has = schedules(&mut choice.topics.iter().map(|wish| &wish.slot));
    let is_same = before.len() == choice.topics.len()
        && before.iter().all(|old| choice.topics.iter().any(|new| new.topic == old.topic && new.slot == old.slot));
    if is_same && choice.language == person.language && choice.text_only == person.text_only {
        return Ok((BTreeSet::new(), BTreeSet::new()));
    }
    for gone in before.iter().filter(|old| !choice.topics.iter().any(|new| new.topic == old.topic)) {
        subscribers::unsubscribe_topic(tx, person.id, &gone.topic)?;
    }
    for wish in &choice.topics {
        if !before.iter().any(|old| old.topic == wish.topic && old.slot == wish.slot) {
            subscribers::subscribe(tx, person.id, &wish.topic, &wish.slot, now)?;
        }
    }
    // A schedule that ends with its topics stops at once, what is planned included. Where a topic goes on by another one, what is
    // planned goes out: it was owed, and nothing of it comes by the other.
    let goes_on = |schedule: &str| {
        let theirs = before.iter().filter(|old| old.slot.schedule() == schedule);
        theirs.into_iter().any(|old| choice.topics.iter().any(|new| new.topic == old.topic))
    };
    for schedule in had.difference(&has).filter(|schedule| !goes_on(schedule)) {
        subscribers::unsubscribe_schedule(tx, person.id, schedule, now)?;
    }
    if choice.topics.is_empty() {
        profile::mark_gone(tx, person.id, now)?;
    } else if person.unsubscribed_at.is_some() {
        // Whoever chooses topics again is back.
        profile::set_confirmed(tx, person.id, now)?;
    }
    if choice.language != person.language {
        subscribers::set_language(tx, person.id, &choice.language)?;
    }
    if choice.text_only != person.text_only {
        profile::set_text_only(tx, person.id, choice.text_only, now)?;
    }
    let mut detail = told(&choice.topics);
    detail["language"] = json!(choice.language.as_str());
    detail["text_only"] = json!(choice.text_only);
    record(tx, person, Act::Changed, by, detail, now)?;
    occurrences::fire_for(tx, person.id, now)?;
    let of = |one: &BTreeSet<String>, other: &BTreeSet<String>| one.difference(other).cloned().collect();
    Ok((of(&had, &has), of(&has, &had)))
}

/// Sets a pause, or ends one with `None`.
///
/// # Errors
/// As [`ask`].
pub fn pause(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    pause: Option<(UnixMillis, Then)>,
    by: By<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    match pause {
        Some((until, then)) => {
            profile::pause(tx, person.id, until, then, now)?;
            record(tx, person, Act::Paused, by, json!({ "until": until, "then": then }), now)
        }
        None => match profile::resume(tx, person.id, now)? {
            Some(Some(skipped_to)) => record(tx, person, Act::Resumed, by, json!({ SKIPPED_TO: skipped_to }), now),
            Some(None) => record(tx, person, Act::Resumed, by, json!({}), now),
            None => Ok(()),
        },
    }
}

/// Ends a pause whose time is over.
///
/// # Errors
/// As [`ask`].
pub fn end_pause(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<(), StoreError> {
    let Some(Some(skipped_to)) = profile::resume(tx, id, now)? else { return Ok(()) };
    // What they left lately skips it too, should they take that back. It isn't there now, so the ledger keeps it.
    match subscribers::find(tx, id)? {
        Some(person) if undoable(tx, id, now)?.is_some() => {
            let by = By { language: &person.language, source: "plan", actor: "subscriber" };
            record(tx, &person, Act::Resumed, by, json!({ SKIPPED_TO: skipped_to }), now)
        }
        _ => Ok(()),
    }
}

/// In the ledger, at the end of a pause: up to which release all was skipped.
const SKIPPED_TO: &str = "skipped_to";

/// Somebody withdraws from one schedule, or from everything with `None`. Returns the schedules that ended. Doing it again changes
/// nothing.
///
/// # Errors
/// As [`ask`].
pub fn withdraw(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    schedule: Option<&str>,
    by: By<'_>,
    now: UnixMillis,
) -> Result<BTreeSet<String>, StoreError> {
    let left = match schedule {
        Some(schedule) => {
            let of = |s: &subscribers::Subscription| s.slot.schedule() == schedule;
            let theirs: Vec<_> = subscribers::subscriptions(tx, person.id)?.into_iter().filter(of).collect();
            subscribers::unsubscribe_schedule(tx, person.id, schedule, now)?;
            profile::mark_gone(tx, person.id, now)?;
            theirs.into_iter().map(Left::from).collect()
        }
        None => profile::leave(tx, person.id, now)?,
    };
    let ended: BTreeSet<String> = left.iter().map(|one| Slot::from(one.slot.clone()).schedule().to_owned()).collect();
    if !ended.is_empty() {
        let act = if schedule.is_some() { Act::Withdrew } else { Act::Left };
        record(tx, person, act, by, json!({ "left": left }), now)?;
    }
    Ok(ended)
}

/// What could be taken back: the newest withdrawal of the last day, unless it was taken back.
///
/// # Errors
/// As [`ask`].
pub fn undoable(tx: &mut Tx<'_>, id: i64, now: UnixMillis) -> Result<Option<(UnixMillis, Vec<Left>)>, StoreError> {
    let acts = consents::of(tx, id)?;
    let is_about = |act: Act| matches!(act, Act::Withdrew | Act::Left | Act::CameBack | Act::Granted | Act::Changed);
    let Some(last) = acts.iter().rev().find(|kept| is_about(kept.act)) else { return Ok(None) };
    if !matches!(last.act, Act::Withdrew | Act::Left) || last.at < now.minus(UNDO) {
        return Ok(None);
    }
    let left = last.detail.get("left").cloned().unwrap_or_default();
    let Ok(mut left) = serde_json::from_value::<Vec<Left>>(left) else { return Ok(None) };
    let since = acts.iter().rev().take_while(|kept| kept.seq > last.seq);
    let skipped_to = since.filter_map(|kept| kept.detail.get(SKIPPED_TO)?.as_i64()).max().unwrap_or(0);
    for one in &mut left {
        (one.since, one.mark) = (one.since.max(skipped_to), one.mark.max(skipped_to));
    }
    Ok(Some((last.at, left)))
}

/// Takes a withdrawal of the last day back. Returns whether there was one.
///
/// # Errors
/// As [`ask`].
pub fn undo(tx: &mut Tx<'_>, person: &Subscriber, by: By<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let Some((left_at, left)) = undoable(tx, person.id, now)? else { return Ok(false) };
    profile::come_back(tx, person.id, &left, left_at, now)?;
    record(tx, person, Act::CameBack, by, json!({ "left": left }), now)?;
    Ok(true)
}

/// Erases somebody: what is left is a keyed hash that keeps the address from being written to, and rows that know their number only.
///
/// # Errors
/// As [`ask`].
pub fn erase(tx: &mut Tx<'_>, person: &Subscriber, by: By<'_>, now: UnixMillis) -> Result<(), StoreError> {
    profile::leave(tx, person.id, now)?;
    record(tx, person, Act::Erased, by, json!({}), now)?;
    let (address, cause, until_at) = (&person.address, Cause::Erased, None);
    suppressions::set(tx, None, &Wanted { address, cause, evidence: "", until_at }, now)?;
    profile::erase(tx, person.id)
}

/// Notes that somebody was told of their consent.
///
/// # Errors
/// As [`ask`].
pub fn told_of_consent(
    tx: &mut Tx<'_>,
    person: &Subscriber,
    schedules: &BTreeSet<&str>,
    by: By<'_>,
    now: UnixMillis,
) -> Result<(), StoreError> {
    record(tx, person, Act::Told, by, json!({ "schedules": schedules }), now)
}

//! What follows from a mail that was read. Nothing follows for anybody unless the mail proves that it is about a letter of ours
//! to them: by an address of ours with a valid MAC, or by the Message-ID of a letter that this same recipient was sent.

use super::Done;
use super::read::{Fate, Reading, Returned, Sort, Stage};
use crate::domain::audience::{Address, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::edition::EditionKind;
use crate::domain::inbound::Verdict;
use crate::domain::reply;
use crate::domain::token::Unsubscribe;
use crate::domain::verp::{Named, Purpose};
use crate::store::bounces::{self, Bounce};
use crate::store::inbound::Received;
use crate::store::notices::{self, Owed};
use crate::store::people::{self, By};
use crate::store::suppressions::{self, Cause, EVIDENCE_CHARS_MAX, Wanted};
use crate::store::token_keys::{self, TokenKey};
use crate::store::{StoreError, Tx, deliveries, profile, subscribers};

/// The carrier of letters.
const MAIL: &str = "email";
/// Newest deliveries of a recipient among which a Message-ID is looked for: a year of daily mail.
const DELIVERIES_MAX: i64 = 400;

/// What a mail is judged by.
struct Case<'a> {
    keys: &'a [TokenKey],
    /// What the address that it was sent to names.
    to: Option<(Purpose, Named)>,
    returned: &'a Returned,
    drawn: &'a str,
    now: UnixMillis,
}

/// Does what follows from a mail. `drawn` is the key of address hashes, should there be none yet.
pub(super) fn act(
    tx: &mut Tx<'_>,
    mail: &Received,
    reading: &Reading,
    drawn: &str,
    now: UnixMillis,
) -> Result<Done, StoreError> {
    let keys = token_keys::all(tx)?;
    let to = super::read::local_part(&mail.envelope_to).and_then(|local| named(&keys, &local));
    let case = Case { keys: &keys, to, returned: &reading.returned, drawn, now };
    match (&reading.sort, to) {
        (Sort::Malformed(why), _) => Ok(done(Verdict::Malformed, *why)),
        (Sort::Loop, _) => Ok(done(Verdict::Loop, "our own mail came back")),
        (Sort::Report(fates), _) => report(tx, &case, fates),
        (Sort::Complaint(kind, recipients), _) => complaint(tx, &case, kind, recipients),
        (_, Some((Purpose::Leave, named))) => leave(tx, named, drawn, now),
        (Sort::AutoReply, _) => Ok(done(Verdict::AutoReply, "")),
        (Sort::Other, _) => Ok(done(Verdict::Unknown, "neither a report nor an address to leave by")),
    }
}

fn done(verdict: Verdict, detail: impl Into<String>) -> Done {
    Done { verdict, detail: detail.into(), subscriber_id: None }
}

fn named(keys: &[TokenKey], local: &str) -> Option<(Purpose, Named)> {
    Named::read(local, |id| keys.iter().find(|key| key.id == id).map(|key| key.secret.as_str()))
}

fn key_of(named: Named) -> DeliveryKey {
    DeliveryKey { plan_id: named.plan_id, recipient_id: named.recipient_id, carrier: MAIL.to_owned() }
}

/// Whether a letter went to the address that its reader has now: what comes back from another says nothing about this one.
fn is_of_address(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<bool, StoreError> {
    let moved_at = profile::of(tx, key.recipient_id)?.and_then(|profile| profile.moved_at);
    let planned_at = deliveries::find(tx, key)?.map(|delivery| delivery.planned_at);
    Ok(moved_at.is_none_or(|moved_at| planned_at.is_some_and(|planned_at| planned_at >= moved_at)))
}

/// The letter that a mail is about, as far as it can prove it.
fn proven(tx: &mut Tx<'_>, case: &Case<'_>, addresses: &[&String]) -> Result<Option<DeliveryKey>, StoreError> {
    let within = || case.returned.locals.iter().find_map(|local| named(case.keys, local));
    if let Some((_, named)) = case.to.or_else(within) {
        return Ok(Some(key_of(named)));
    }
    let Some((id, _)) = case.returned.message_id.as_deref().and_then(|id| id.split_once('@')) else { return Ok(None) };
    for address in addresses {
        let Ok(address) = Address::parse(address) else { continue };
        let Some(subscriber) = subscribers::by_address(tx, &address)? else { continue };
        let sent = deliveries::list(tx, None, Some(subscriber.id), DELIVERIES_MAX)?;
        let key = sent.iter().filter_map(|one| DeliveryKey::parse(&one.id)).find(|key| key.text_id() == id);
        if key.is_some() {
            return Ok(key);
        }
    }
    Ok(None)
}

fn report(tx: &mut Tx<'_>, case: &Case<'_>, fates: &[Fate]) -> Result<Done, StoreError> {
    let now = case.now;
    let addresses: Vec<&String> = fates.iter().flat_map(|fate| &fate.addresses).collect();
    let Some(key) = proven(tx, case, &addresses)? else {
        return Ok(done(Verdict::Unknown, "a report that proves no letter of ours to its recipient"));
    };
    if !is_of_address(tx, &key)? {
        return Ok(Done {
            subscriber_id: Some(key.recipient_id),
            ..done(Verdict::Bounce, "from an address that was changed since")
        });
    }
    // A letter has one recipient; where it was passed on to several, the worst counts.
    let of = |stage: Stage| fates.iter().find(|fate| fate.stage == stage);
    let Some(fate) = of(Stage::Failed).or(of(Stage::Delayed)) else {
        return Ok(done(Verdict::Unknown, "a report without a failure"));
    };
    let words = reply::without_addresses(&fate.words, EVIDENCE_CHARS_MAX);
    let told = format!("{}: {words}; delivery {key}", fate.kind);
    if fate.stage == Stage::Delayed {
        return Ok(Done { subscriber_id: Some(key.recipient_id), ..done(Verdict::Delay, told) });
    }
    let bounce = Bounce {
        subscriber_id: key.recipient_id,
        at: now,
        kind: fate.kind,
        status: bounces::status_text(fate.status),
        reply: words,
        delivery: key.to_string(),
    };
    let bounce = [bounce];
    let known = bounces::lock(tx, &bounce)?;
    suppressions::ensure_key(tx, case.drawn)?;
    let suppressed = bounces::note(tx, &known, &bounce, now)?;
    let followed = if suppressed.is_empty() { "counted" } else { "the address is suppressed" };
    let followed = if known.is_empty() { "the subscriber is gone" } else { followed };
    Ok(Done { subscriber_id: Some(key.recipient_id), ..done(Verdict::Bounce, format!("{told}; {followed}")) })
}

fn complaint(tx: &mut Tx<'_>, case: &Case<'_>, kind: &str, recipients: &[String]) -> Result<Done, StoreError> {
    let (keys, now) = (case.keys, case.now);
    let recipients: Vec<&String> = recipients.iter().collect();
    let secret = |id: &str| keys.iter().find(|key| key.id == id).map(|key| key.secret.as_str());
    let by_link = case.returned.links.iter().find_map(|token| Unsubscribe::verify(token, secret));
    let about = match proven(tx, case, &recipients)? {
        Some(key) if !is_of_address(tx, &key)? => {
            return Ok(done(Verdict::Complaint, "from an address that was changed since"));
        }
        Some(key) => schedule_of(tx, &key)?.map(|schedule| (key.recipient_id, schedule)),
        None => None,
    };
    let Some((id, schedule)) = about.or(by_link.map(|wish| (wish.subscriber_id, wish.schedule))) else {
        return Ok(done(Verdict::Unknown, "a complaint that proves no letter of ours to its recipient"));
    };
    let kind: String = kind.chars().filter(char::is_ascii_lowercase).take(20).collect();
    let Some(subscriber) = subscribers::lock(tx, id)? else {
        return Ok(done(Verdict::Complaint, format!("{kind}; the subscriber is gone")));
    };
    suppressions::ensure_key(tx, case.drawn)?;
    let evidence = format!("complaint ({kind}) about mail of `{schedule}`");
    let wanted = Wanted { address: &subscriber.address, cause: Cause::Complaint, evidence: &evidence, until_at: None };
    // In this order: the counter of departures is drawn when no more batches are to be locked.
    let ended = withdraw(tx, &subscriber, &schedule, now)?;
    suppressions::set(tx, Some(id), &wanted, now)?;
    let detail = format!("{kind}; {ended} subscriptions of `{schedule}` ended; the address is suppressed");
    Ok(Done { subscriber_id: Some(id), ..done(Verdict::Complaint, detail) })
}

fn leave(tx: &mut Tx<'_>, named: Named, drawn: &str, now: UnixMillis) -> Result<Done, StoreError> {
    let Some(schedule) = schedule_of(tx, &key_of(named))? else {
        return Ok(done(Verdict::Unknown, "the delivery isn't kept any more"));
    };
    let id = named.recipient_id;
    let Some(subscriber) = subscribers::lock(tx, id)? else {
        return Ok(done(Verdict::Unsubscribe, "the subscriber is gone"));
    };
    suppressions::ensure_key(tx, drawn)?;
    let ended = withdraw(tx, &subscriber, &schedule, now)?;
    if ended > 0 {
        notices::owe(
            tx,
            &Owed { subscriber_id: id, kind: EditionKind::Withdrawn, schedule: schedule.clone(), at: now },
        )?;
    }
    let detail = format!("{ended} subscriptions of `{schedule}` ended");
    Ok(Done { subscriber_id: Some(id), ..done(Verdict::Unsubscribe, detail) })
}

/// Ends the subscriptions of a schedule, with a row in the ledger of consent. Returns how many there were.
fn withdraw(tx: &mut Tx<'_>, person: &Subscriber, schedule: &str, now: UnixMillis) -> Result<usize, StoreError> {
    let theirs = subscribers::subscriptions(tx, person.id)?;
    let by = By { language: &person.language, source: "mail", actor: "subscriber" };
    people::withdraw(tx, person, Some(schedule), by, now)?;
    Ok(theirs.iter().filter(|subscription| subscription.slot.schedule() == schedule).count())
}

fn schedule_of(tx: &mut Tx<'_>, key: &DeliveryKey) -> Result<Option<String>, StoreError> {
    Ok(deliveries::find(tx, key)?.map(|delivery| delivery.schedule))
}

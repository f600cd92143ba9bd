//! Letters to the contacts of partners that were paused because nothing got through to them.

use super::{Rules, digest};
use crate::domain::audience::{Address, IMMEDIATE, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane};
use crate::domain::edition::{Content, EditionKind, SERVICE};
use crate::domain::ids;
use crate::domain::language::Language;
use crate::store::partners::{self, Untold};
use crate::store::{StoreError, Tx, changes, deliveries, editions, occurrences, profile, subscribers, suppressions};

/// Letters planned in one transaction.
const LETTERS_MAX: i64 = 50;

/// Plans what contacts are to be told. Returns whether there was anything.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn notices(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<bool, StoreError> {
    let untold = partners::untold(tx, LETTERS_MAX)?;
    for one in &untold {
        plan(tx, rules, one, now)?;
        partners::set_told(tx, &one.name, now)?;
    }
    Ok(!untold.is_empty())
}

/// One letter for each pause, in the ledger like all mail. An address that may not be written to is told nothing: the operator sees the
/// pause all the same.
fn plan(tx: &mut Tx<'_>, rules: &Rules, untold: &Untold, now: UnixMillis) -> Result<(), StoreError> {
    let Ok(address) = Address::parse(&untold.contact) else { return Ok(()) };
    if suppressions::is_suppressed(tx, &address)? {
        return Ok(());
    }
    let language = untold.language.as_deref().and_then(|tag| Language::parse(tag).ok());
    let Some(language) = language.or_else(|| rules.release.languages.first().cloned()) else { return Ok(()) };
    let to = recipient(tx, untold, address, language.clone(), now)?;
    // The name stands in quotation marks, so that no digest is called so.
    let schedule = format!(
        "{SERVICE}:“{}”@{}",
        untold.name,
        untold.paused_at.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date()
    );
    let plan_id = ids::occurrence_id(&schedule, untold.paused_at.0, EditionKind::PartnerPaused.word());
    let slot = Slot::of(&schedule);
    let bound = changes::head(tx)?;
    occurrences::ensure_planned(tx, &digest::occurrence(plan_id, &slot, untold.paused_at, 0, bound, now), now)?;
    let (sender, destination) = rules.route(IMMEDIATE, &language, to.address.domain());
    let content = Content {
        kind: EditionKind::PartnerPaused,
        schedule,
        language,
        sender: sender.to_owned(),
        template: rules.template.clone(),
        items: Vec::new(),
    };
    let edition_id = editions::ensure(tx, plan_id, &content, now)?;
    let key = DeliveryKey { plan_id, recipient_id: to.id, carrier: super::chunk::MAIL.to_owned() };
    deliveries::put(tx, &key, edition_id, destination, Lane::Transactional, now, now).map(drop)
}

/// Mail goes to whom the roster knows. A contact that it doesn't know is a stranger in it, who follows nothing and is forgotten again.
fn recipient(
    tx: &mut Tx<'_>,
    untold: &Untold,
    address: Address,
    language: Language,
    now: UnixMillis,
) -> Result<Subscriber, StoreError> {
    if let Some(known) = subscribers::by_address(tx, &address)? {
        return Ok(known);
    }
    // It says nothing of the person.
    let id = ids::occurrence_id(&untold.name, untold.paused_at.0, "contact of a partner");
    let stranger = Subscriber { id, address, name: None, language, text_only: false, unsubscribed_at: None };
    profile::insert_stranger(tx, &stranger, now)?;
    Ok(stranger)
}

//! Letters that answer what somebody did: confirmations, links, notices. They go by the ledger like everything else: all of a kind and
//! a day share one plan, with one edition for each language, and a plan has one delivery for each recipient. So nobody can be made to
//! get a second one on the same day, however often somebody asks for it in their name.

use super::chunk::MAIL;
use super::{Rules, digest};
use crate::domain::audience::{IMMEDIATE, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane};
use crate::domain::edition::{Content, EditionKind, SERVICE};
use crate::domain::ids;
use crate::store::{StoreError, Tx, changes, deliveries, editions, occurrences};

/// Milliseconds of a day in UTC: the day that "once a day" means. Any zone would do as long as it is the same for everybody.
const DAY_MS: i64 = 86_400_000;

/// A letter about to be planned.
#[derive(Clone, Copy, Debug)]
pub struct Letter<'a> {
    /// What it is.
    pub kind: EditionKind,
    /// To whom.
    pub to: &'a Subscriber,
    /// The schedule that it speaks of, and when consent was given or withdrawn; none for one that speaks of the person as a
    /// whole.
    pub about: Option<(&'a str, UnixMillis)>,
}

/// The day of an instant by the clock of a digest.
fn date(rules: &Rules, digest: &str, at: UnixMillis) -> jiff::civil::Date {
    let zone = rules.digests.get(digest).and_then(|digest| jiff::tz::TimeZone::get(digest.schedule.zone()).ok());
    zone.unwrap_or(jiff::tz::TimeZone::UTC).to_datetime(at.timestamp()).date()
}

/// Plans a letter, unless the recipient had one of this kind (and about the same) today. Returns whether it is new.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn plan(tx: &mut Tx<'_>, rules: &Rules, letter: &Letter<'_>, now: UnixMillis) -> Result<bool, StoreError> {
    let Letter { kind, to, about } = *letter;
    let day = now.0.div_euclid(DAY_MS);
    let schedule = match about {
        None => SERVICE.to_owned(),
        Some((about, at)) => format!("{SERVICE}:{about}@{}", date(rules, about, at)),
    };
    let plan_id = ids::occurrence_id(&schedule, day, kind.word());
    let slot = Slot::of(&schedule);
    let bound = changes::head(tx)?;
    let one = digest::occurrence(plan_id, &slot, UnixMillis(day * DAY_MS), 0, bound, now);
    occurrences::ensure_planned(tx, &one, now)?;
    let route = about.map_or(IMMEDIATE, |(about, _)| about);
    let (sender, destination) = rules.route(route, &to.language, to.address.domain());
    let content = Content {
        kind,
        schedule,
        language: to.language.clone(),
        sender: sender.to_owned(),
        template: rules.template.clone(),
        items: Vec::new(),
    };
    let edition_id = editions::ensure(tx, plan_id, &content, now)?;
    let key = DeliveryKey { plan_id, recipient_id: to.id, carrier: MAIL.to_owned() };
    deliveries::put(tx, &key, edition_id, destination, Lane::Transactional, now, now)
}

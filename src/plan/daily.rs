//! What is done once a day: wishes that nobody confirmed are forgotten, consents of long ago too, and whoever agreed to commercial mail
//! is reminded of it every two years (Enforcement Decree of the Korean Network Act, article 62-3).

use super::{Rules, service};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
use crate::store::notices::{self, Owed, Progress};
use crate::store::people::{self, By};
use crate::store::{StoreError, Tx, consents, subscribers, wishes};
use std::collections::BTreeSet;
use std::time::Duration;

/// Wishes are kept as long as the link in their mail is to work.
const WISH_KEPT: Duration = Duration::from_secs(60 * 86_400);
/// Two years, less a fortnight in which a mail may be late.
const REMINDED_AFTER: Duration = Duration::from_secs((2 * 365 - 14) * 86_400);
/// People reminded in one transaction.
const REMINDED_MAX: i64 = 500;
const DAY_MS: i64 = 86_400_000;

/// Notices planned in one transaction.
const NOTICES_MAX: i64 = 200;

/// Plans notices that are owed. Returns whether there were any.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn notices(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<bool, StoreError> {
    let owed = notices::take(tx, NOTICES_MAX)?;
    for Owed { subscriber_id, kind, schedule, at } in &owed {
        let is_commercial = rules.digests.get(schedule).is_some_and(|digest| digest.commercial);
        let Some(person) = subscribers::lock(tx, *subscriber_id)?.filter(|_| is_commercial) else { continue };
        service::plan(tx, rules, &service::Letter { kind: *kind, to: &person, about: Some((schedule, *at)) }, now)?;
    }
    Ok(!owed.is_empty())
}

/// Does a part of what the day asks for. Returns whether something may be left.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn step(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<bool, StoreError> {
    let day = now.0.div_euclid(DAY_MS);
    let progress = notices::progress(tx)?;
    if progress.day_done >= day {
        return Ok(false);
    }
    if let Some(reminded_to) = remind(tx, rules, progress.reminded_to, now)? {
        notices::set_progress(tx, Progress { reminded_to, ..progress })?;
        return Ok(true);
    }
    wishes::forget(tx, now.minus(WISH_KEPT))?;
    consents::forget(tx, now.minus(rules.consent_kept))?;
    notices::set_progress(tx, Progress { day_done: day, reminded_to: i64::MIN })?;
    Ok(false)
}

/// Reminds those after `after` whose turn it is. Returns the last of them, unless there was none.
fn remind(tx: &mut Tx<'_>, rules: &Rules, after: i64, now: UnixMillis) -> Result<Option<i64>, StoreError> {
    let commercial: Vec<&str> =
        rules.digests.values().filter(|digest| digest.commercial).map(|digest| digest.name.as_str()).collect();
    if commercial.is_empty() {
        return Ok(None);
    }
    let due = notices::unreminded(tx, &commercial, now.minus(REMINDED_AFTER), after, REMINDED_MAX)?;
    for (id, schedules) in &due {
        let Some(person) = subscribers::lock(tx, *id)? else { continue };
        for (schedule, agreed_at) in schedules {
            let about = Some((schedule.as_str(), *agreed_at));
            let letter = service::Letter { kind: EditionKind::Reminder, to: &person, about };
            service::plan(tx, rules, &letter, now)?;
        }
        let by = By { language: &person.language, source: "mail", actor: "operator" };
        let told: BTreeSet<&str> = schedules.iter().map(|(schedule, _)| schedule.as_str()).collect();
        people::told_of_consent(tx, &person, &told, by, now)?;
    }
    Ok(due.keys().next_back().copied())
}

//! What is done once a day: wishes that nobody confirmed are forgotten, consents of long ago too, and whoever agreed to commercial mail
//! is reminded of it every two years (Enforcement Decree of the Korean Network Act, article 62-3).

use super::{Rules, service};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
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

/// Does a part of what the day asks for. Returns whether something may be left.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn step(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<bool, StoreError> {
    let day = now.0.div_euclid(DAY_MS);
    if people::day_done(tx)? >= day {
        return Ok(false);
    }
    if remind(tx, rules, now)? {
        return Ok(true);
    }
    wishes::forget(tx, now.minus(WISH_KEPT))?;
    consents::forget(tx, now.minus(rules.consent_kept))?;
    people::set_day_done(tx, day)?;
    Ok(false)
}

/// Reminds those whose turn it is. Returns whether there may be more.
fn remind(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<bool, StoreError> {
    let commercial: Vec<&str> =
        rules.digests.values().filter(|digest| digest.commercial).map(|digest| digest.name.as_str()).collect();
    if commercial.is_empty() {
        return Ok(false);
    }
    let due = people::unreminded(tx, &commercial, now.minus(REMINDED_AFTER), REMINDED_MAX)?;
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
    Ok(!due.is_empty())
}

//! Checks the digests of a file.

use super::Mistake;
use super::file::File;
use super::validate::{name, zone};
use crate::domain::audience::IMMEDIATE;
use crate::domain::edition::{CORRECTION, EditionKind, SERVICE};
use crate::domain::schedule::Schedule;
use crate::plan::digest::Digest;
use std::collections::{BTreeMap, BTreeSet};

/// The digests by name.
///
/// # Errors
/// The first [`Mistake`].
pub(super) fn check(file: &File) -> Result<BTreeMap<String, Digest>, Mistake> {
    let (mut digests, mut seen) = (
        BTreeMap::new(),
        BTreeSet::from([IMMEDIATE, SERVICE, CORRECTION, EditionKind::Test.word()].map(str::to_owned)),
    );
    for (index, table) in file.digest.iter().enumerate() {
        let key = |field: &str| format!("digest[{index}].{field}");
        name(&table.name, &key("name"), &mut seen)?;
        let zone_name = table.zone.as_deref().unwrap_or(&file.site.zone);
        zone(zone_name, &key("zone"))?;
        let schedule = Schedule::parse(&table.schedule, zone_name).map_err(|e| Mistake::new(key("schedule"), e))?;
        if table.commercial && file.site.contact.is_none() {
            return Err(Mistake::new(key("commercial"), "needs site.contact: such mail must say whom to turn to"));
        }
        if table.own_hour && schedule.fixed_time().is_none() {
            return Err(Mistake::new(key("own_hour"), "needs a schedule with one fixed minute and hour"));
        }
        if table.heartbeat && is_more_often_than_weekly(&schedule) {
            return Err(Mistake::new(key("heartbeat"), "only for schedules that fire once a week or less often"));
        }
        let digest = Digest {
            name: table.name.clone(),
            schedule,
            max_late: table.max_late,
            own_hour: table.own_hour,
            commercial: table.commercial,
            quiet_hours: table.quiet_hours,
            heartbeat: table.heartbeat,
        };
        digests.insert(table.name.clone(), digest);
    }
    Ok(digests)
}

/// Firings looked at to tell how often a schedule fires: a year of a weekly one.
const FIRINGS_LOOKED_AT: usize = 53;
/// A week, less the hour that summer time may take from it.
const WEEK_MS_MIN: i64 = (7 * 24 - 1) * 3_600_000;

fn is_more_often_than_weekly(schedule: &Schedule) -> bool {
    let firings = std::iter::successors(schedule.next_after(0), |at| schedule.next_after(*at));
    let firings: Vec<i64> = firings.take(FIRINGS_LOOKED_AT).collect();
    firings.windows(2).any(|two| two[1] - two[0] < WEEK_MS_MIN)
}

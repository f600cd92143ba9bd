//! Times on the command line.

use crate::domain::clock::UnixMillis;
use anyhow::Context as _;

/// Reads an instant: RFC 3339, or a civil time in the site's zone. `option` names where it was written.
pub(super) fn read(option: &str, text: &str, zone: &jiff::tz::TimeZone) -> anyhow::Result<UnixMillis> {
    let exact = text.parse::<jiff::Timestamp>().ok();
    let civil = || text.parse::<jiff::civil::DateTime>().ok()?.to_zoned(zone.clone()).ok();
    let at = exact.or_else(|| civil().map(|zoned| zoned.timestamp())).map(UnixMillis::from_timestamp);
    at.with_context(|| format!("{option}: `{text}` is no time; write 2026-11-23T10:00:00+09:00"))
}

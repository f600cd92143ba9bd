//! Durations as `90s`, `15m`, `24h`, `7d`.

use serde::{Deserialize, Deserializer, Serializer};
use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text)
        .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration; write 90s, 15m, 24h or 7d")))
}

pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
    let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    // The greatest unit that leaves no rest; milliseconds never do.
    let fits = |(_, unit_ms): &&(&str, u64)| span_ms % unit_ms == 0 && span_ms >= *unit_ms;
    let (unit, unit_ms) = UNITS.iter().find(fits).unwrap_or(&("s", 1_000));
    to.serialize_str(&format!("{}{unit}", span_ms / unit_ms))
}

fn parse(text: &str) -> Option<Duration> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..unit_at].parse().ok()?;
    let (_, unit_ms) = UNITS.iter().find(|(unit, _)| *unit == text[unit_at..].trim())?;
    number.checked_mul(*unit_ms).map(Duration::from_millis)
}

/// What a duration looks like in the file, for its schema.
#[derive(schemars::JsonSchema)]
#[schemars(description = "a duration: 90s, 15m, 24h or 7d")]
pub(super) struct Span(
    #[schemars(regex(pattern = r"^[0-9]+(ms|s|m|h|d)$"))]
    #[allow(dead_code, reason = "only its schema is used")]
    String,
);

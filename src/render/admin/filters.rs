//! How the pages of the control room write instants, spans, numbers and words with places.

use crate::domain::clock::UnixMillis;
use crate::render::templates::escape;
use crate::render::words;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// Adds the filters `at`, `day`, `span`, `num`, `size` and `put`.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("at", at);
    environment.add_filter("day", day);
    environment.add_filter("span", span);
    environment.add_filter("num", |number: i64| words::grouped(number));
    environment.add_filter("size", |octets: i64| words::bytes(octets).unwrap_or_default());
    environment.add_filter("put", put);
}

/// An instant in milliseconds as `2026-11-24 09:30` in the site's zone, in a `<time>` for programs. Nothing for `none`.
fn at(state: &State<'_, '_>, instant: Option<i64>) -> Result<Value, Error> {
    let Some(instant) = instant else { return Ok(Value::from("")) };
    let local = zoned(state, instant)?;
    let machine = UnixMillis(instant).timestamp();
    let html = format!("<time datetime=\"{machine}\">{}</time>", local.strftime("%Y-%m-%d %H:%M"));
    Ok(Value::from_safe_string(html))
}

/// The day of an instant in the site's zone.
fn day(state: &State<'_, '_>, instant: Option<i64>) -> Result<Value, Error> {
    let Some(instant) = instant else { return Ok(Value::from("")) };
    Ok(Value::from(zoned(state, instant)?.strftime("%Y-%m-%d").to_string()))
}

fn zoned(state: &State<'_, '_>, instant: i64) -> Result<jiff::Zoned, Error> {
    let zone = state.lookup("desk").and_then(|desk| desk.get_attr("zone").ok());
    let zone = zone.as_ref().and_then(Value::as_str).unwrap_or("UTC");
    let zone =
        jiff::tz::TimeZone::get(zone).map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))?;
    Ok(UnixMillis(instant).timestamp().to_zoned(zone))
}

/// Milliseconds as people say them, by their two largest units: `3 h 5 min`, `2일 4시간`.
fn span(state: &State<'_, '_>, span_ms: Option<i64>) -> Result<String, Error> {
    const UNITS: [(&str, i64); 4] =
        [("unit_d", 86_400_000), ("unit_h", 3_600_000), ("unit_min", 60_000), ("unit_s", 1_000)];
    let Some(span_ms) = span_ms else { return Ok(String::new()) };
    let names = state.lookup("words").unwrap_or_default();
    let name = |unit: &str| names.get_attr(unit).map(|name| name.to_string());
    let mut rest = span_ms.max(0);
    let mut parts = Vec::new();
    for (unit, unit_ms) in UNITS {
        let count = rest / unit_ms;
        rest %= unit_ms;
        if count > 0 || (parts.is_empty() && unit == "unit_s") {
            parts.push(name(unit)?.replace("{n}", &count.to_string()));
        } else if !parts.is_empty() {
            break;
        }
        if parts.len() == 2 {
            break;
        }
    }
    Ok(parts.join(" "))
}

/// Fills the places of a word: `{{ words.found|put(count=3) }}`. What is filled in is escaped; a filled value that is safe HTML stays so.
fn put(word: String, values: Kwargs) -> Result<Value, Error> {
    let mut filled = escape(&word);
    for name in values.args() {
        let value: Value = values.peek(name)?;
        let text = if value.is_safe() { value.to_string() } else { escape(&value.to_string()) };
        let place = format!("{{{name}}}");
        if !filled.contains(&place) {
            return Err(Error::new(ErrorKind::InvalidOperation, "the word lacks a place"));
        }
        filled = filled.replace(&place, &text);
    }
    values.assert_all_used().or_else(|_| Ok::<_, Error>(()))?;
    Ok(Value::from_safe_string(filled))
}

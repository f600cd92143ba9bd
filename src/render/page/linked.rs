//! What a post page says to machines: schema.org as JSON-LD, from which search engines make their headlines and lists of events.

use super::Look;
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Event, EventTime, Post, Showable};
use crate::render::entry::web_url;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

/// A post as a `NewsArticle`, and as an `Event` where it announces one, ready to stand in a `<script>`.
pub(super) fn linked(
    look: &Look<'_>,
    showable: &Showable,
    url: &str,
    description: Option<&str>,
    pictures: &[String],
) -> String {
    let post = showable.post();
    let publisher = object([
        ("@type", Some("Organization".into())),
        ("name", Some(look.site.name.get(&post.language).into())),
        ("url", Some(format!("{}/", look.origin).into())),
        ("logo", look.theme.logo.as_ref().map(|logo| format!("{}{}", look.origin, logo.path()).into())),
    ]);
    let mut graph = vec![article(showable, url, description, &publisher, pictures)];
    graph.extend(post.event.as_ref().map(|event| happening(post, event, url, description, &publisher, pictures)));
    harmless(&json!({ "@context": "https://schema.org", "@graph": graph }))
}

fn article(showable: &Showable, url: &str, description: Option<&str>, publisher: &Value, pictures: &[String]) -> Value {
    let post = showable.post();
    let changed_at = post.updated_at.max(showable.standing().revised_at).filter(|at| *at > post.published_at);
    // Boards are signed by an office far more often than by a person.
    let author = line(post.author.as_ref()).map(|name| json!({ "@type": "Organization", "name": name }));
    let license = line(post.license.as_ref()).map(Value::from);
    let tags = (!post.tags.is_empty()).then(|| json!(post.tags));
    object([
        ("@type", Some("NewsArticle".into())),
        ("@id", Some(url.into())),
        ("url", Some(url.into())),
        ("mainEntityOfPage", Some(url.into())),
        ("headline", line(Some(&post.title)).map(Value::from)),
        ("description", description.map(Value::from)),
        ("inLanguage", Some(post.language.as_str().into())),
        ("datePublished", Some(instant(post.published_at).into())),
        ("dateModified", Some(instant(changed_at.unwrap_or(post.published_at)).into())),
        ("author", author.or_else(|| Some(publisher.clone()))),
        ("publisher", Some(publisher.clone())),
        ("image", images(pictures)),
        ("keywords", tags),
        ("license", license),
        ("isBasedOn", post.url.as_deref().and_then(web_url).map(Value::from)),
    ])
}

fn happening(
    post: &Post,
    event: &Event,
    url: &str,
    description: Option<&str>,
    publisher: &Value,
    pictures: &[String],
) -> Value {
    let zone = event.time_zone.as_deref().and_then(|name| TimeZone::get(name).ok());
    let place = line(event.location.as_ref()).map(|name| json!({ "@type": "Place", "name": name, "address": name }));
    object([
        ("@type", Some("Event".into())),
        ("@id", Some(format!("{url}#event").into())),
        ("name", line(Some(&post.title)).map(Value::from)),
        ("description", description.map(Value::from)),
        ("inLanguage", Some(post.language.as_str().into())),
        ("startDate", Some(time(event.starts_at, zone.as_ref()).into())),
        ("endDate", event.ends_at.map(|at| time(at, zone.as_ref()).into())),
        ("eventStatus", Some("https://schema.org/EventScheduled".into())),
        ("location", place),
        ("organizer", Some(publisher.clone())),
        ("image", images(pictures)),
        ("url", event.url.as_deref().and_then(web_url).map_or_else(|| Some(url.into()), |page| Some(page.into()))),
    ])
}

fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let there = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(there.collect::<Map<_, _>>())
}

fn images(pictures: &[String]) -> Option<Value> {
    (!pictures.is_empty()).then(|| json!(pictures))
}

fn line(text: Option<&crate::domain::text::CleanText>) -> Option<String> {
    text.map(|text| String::from(text.line())).filter(|line| !line.is_empty())
}

/// To the second: nobody announces by the millisecond.
pub(super) fn instant(at: UnixMillis) -> String {
    at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A day as a day; a civil time with the offset that its zone has then, or as it is where no zone is known.
fn time(at: EventTime, zone: Option<&TimeZone>) -> String {
    match at {
        EventTime::Day(day) => day.to_string(),
        EventTime::Time(civil) => match zone.map(|zone| civil.to_zoned(zone.clone())) {
            Some(Ok(zoned)) => zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string(),
            _ => civil.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        },
    }
}

/// JSON in which nothing can end or begin an element: `</script>` and `<!--` are read by HTML before any JSON is, and some
/// readers take U+2028 for the end of a line.
fn harmless(value: &Value) -> String {
    let text = value.to_string();
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        match c {
            // Only strings hold these, where an escape means the same.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_closes_the_block() {
        let text = "</script><!-- <script> & \u{2028} \" \\ 안내";
        let out = harmless(&json!({ "a": text }));
        assert!(!out.contains(['<', '>', '&', '\u{2028}']), "{out}");
        assert_eq!(serde_json::from_str::<Value>(&out).expect("JSON")["a"], text);
    }

    #[test]
    fn times_have_the_offset_of_their_day() {
        let zone = TimeZone::get("Europe/Paris").expect("a zone");
        let at = |text: &str| EventTime::try_from(text.to_owned()).expect("a time");
        assert_eq!(time(at("2026-07-01T09:30"), Some(&zone)), "2026-07-01T09:30:00+02:00");
        assert_eq!(time(at("2026-12-01T09:30"), Some(&zone)), "2026-12-01T09:30:00+01:00");
        assert_eq!(time(at("2026-12-01T09:30"), None), "2026-12-01T09:30:00");
        assert_eq!(time(at("2026-12-01"), Some(&zone)), "2026-12-01");
    }
}

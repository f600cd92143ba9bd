//! Every kind of bad input, each with the reason, the path and the fix that its sender is told.

use super::{event, full, incoming, least, policy, read, read_bare};
use crate::intake::decode::decode;
use crate::intake::wire::{DETAIL_CHARS_MAX, EventKind, MESSAGE_BYTES_MAX, RejectReason, SourcePolicy};
use RejectReason::{BadField, MissingField, NotAllowed, NotJson, TooLarge, UnknownTopic, UnknownType};
use serde_json::{Value, json};

/// Sets the value at a JSON pointer; `null` at the place of a required field removes it.
fn with(mut post: Value, pointer: &str, value: Value) -> Value {
    *post.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
    post
}

#[test]
fn each_bad_field_is_named_with_its_fix() {
    let long = |chars: usize| json!("가".repeat(chars));
    let many = |count: usize, item: Value| Value::from(vec![item; count]);
    let cases: Vec<(&str, Value, RejectReason, &str, &str)> = vec![
        ("/id", Value::Null, MissingField, "id", "is missing"),
        ("/id", json!(""), MissingField, "id", "is missing"),
        ("/id", json!(1507), BadField, "id", "must be a string, is a number"),
        ("/id", json!(" a"), BadField, "id", "no space at its ends"),
        ("/id", json!("a\u{0}b"), BadField, "id", "no control characters"),
        ("/id", json!("a\nb"), BadField, "id", "no control characters"),
        ("/id", long(201), TooLarge, "id", "201 characters, 200 at most"),
        ("/story", long(201), TooLarge, "story", "200 at most"),
        ("/title", Value::Null, MissingField, "title", "is missing"),
        ("/title", json!(" \u{0}\n\u{1} "), MissingField, "title", "is missing or empty"),
        ("/title", json!(["a"]), BadField, "title", "must be a string, is an array"),
        ("/title", long(1001), TooLarge, "title", "1001 characters, 1000 at most"),
        ("/language", Value::Null, MissingField, "language", "BCP 47"),
        ("/language", json!("한국어"), BadField, "language", "is not a language tag"),
        ("/language", json!("und"), BadField, "language", "is not a language tag"),
        ("/languages_expected", json!(["en", "?"]), BadField, "languages_expected[1]", "is not a language tag"),
        ("/languages_expected", many(51, json!("en")), TooLarge, "languages_expected", "51 entries, 50 at most"),
        ("/published_at", Value::Null, MissingField, "published_at", "write it as"),
        ("/published_at", json!("2026-04-22"), BadField, "published_at", "write 2026-04-22T00:00:00+09:00"),
        ("/published_at", json!("2026-04-22T09:30"), BadField, "published_at", "write 2026-04-22T09:30:00+09:00"),
        ("/published_at", json!("2026-02-30T09:30:00Z"), BadField, "published_at", "is not a date that exists"),
        ("/published_at", json!("0000-00-00T00:00:00Z"), BadField, "published_at", "is not a date that exists"),
        (
            "/published_at",
            json!("0000-01-01T00:00:00Z"),
            BadField,
            "published_at",
            "in the year 0, not in 1970 to 2200",
        ),
        ("/published_at", json!("2201-01-01T00:00:00Z"), BadField, "published_at", "in the year 2201"),
        ("/published_at", json!("1970-01-01T00:00:00+09:00"), BadField, "published_at", "lies before 1970"),
        ("/published_at", json!(1_777_000_000), BadField, "published_at", "must be a string, is a number"),
        ("/updated_at", json!("gestern"), BadField, "updated_at", "is not a date"),
        ("/embargo_until", json!("2026-04-21"), BadField, "embargo_until", "write 2026-04-21T00:00:00+09:00"),
        ("/expires_at", json!("2026-04-20T12:00:00Z"), BadField, "expires_at", "would never be shown"),
        ("/url", json!("/a/b"), BadField, "url", "must be an absolute http or https URL"),
        ("/url", json!("ftp://example.org/"), BadField, "url", "must be an absolute http or https URL"),
        ("/url", json!("javascript:alert(1)"), BadField, "url", "must be an absolute http or https URL"),
        ("/url", json!("https://exa\tmple.org/"), BadField, "url", "must be an absolute http or https URL"),
        ("/url", json!("https://me:word@example.org/"), BadField, "url", "user name or password"),
        ("/url", json!("https://"), BadField, "url", "is not a URL"),
        ("/url", json!("http://[::1"), BadField, "url", "is not a URL"),
        ("/url", json!(format!("https://example.org/{}", "가".repeat(221))), TooLarge, "url", "2000 characters"),
        ("/body", Value::Null, MissingField, "body", "is missing"),
        ("/body", json!("text"), BadField, "body", "must be an object, is a string"),
        ("/body/format", json!("rtf"), BadField, "body.format", "`html`, `markdown` or `text`"),
        ("/body/format", Value::Null, MissingField, "body.format", "`html`, `markdown` or `text`"),
        ("/body/content", Value::Null, MissingField, "body.content", "is missing"),
        ("/body/content", json!(true), BadField, "body.content", "must be a string, is true or false"),
        ("/summary", long(10_001), TooLarge, "summary", "10000 at most"),
        ("/author", json!(7), BadField, "author", "a string or an object with `name`, is a number"),
        ("/author/name", json!(7), BadField, "author.name", "must be a string, is a number"),
        ("/license", json!({}), BadField, "license", "must be a string, is an object"),
        ("/topics", json!("events"), BadField, "topics", "must be an array, is a string"),
        ("/topics", json!(["Events"]), BadField, "topics[0]", "must be a topic's name"),
        ("/topics", json!(["_a"]), BadField, "topics[0]", "beginning with a letter or digit"),
        ("/topics", json!(["a".repeat(65)]), BadField, "topics[0]", "64 characters at most"),
        ("/topics", json!(["events", "evnts"]), UnknownTopic, "topics[1]", "write one of: notices, events"),
        ("/topics", json!(["jobs"]), NotAllowed, "topics[0]", "may not publish under `jobs`"),
        ("/topics", many(101, json!("events")), TooLarge, "topics", "101 entries, 100 at most"),
        ("/tags", many(101, json!("a")), TooLarge, "tags", "100 at most"),
        ("/tags/0", long(65), TooLarge, "tags[0]", "64 at most"),
        ("/tags/0", json!(5), BadField, "tags[0]", "must be a string, is a number"),
        ("/tags/0", Value::Null, BadField, "tags[0]", "must be a string, is null"),
        ("/breadcrumb", many(21, json!("a")), TooLarge, "breadcrumb", "20 at most"),
        ("/images", many(101, json!({})), TooLarge, "images", "100 at most"),
        ("/images/0", json!("https://example.org/a.jpg"), BadField, "images[0]", "must be an object, is a string"),
        ("/images/0/url", Value::Null, MissingField, "images[0].url", "where the picture is"),
        ("/images/0/url", json!("a.jpg"), BadField, "images[0].url", "must be an absolute"),
        ("/images/0/caption", long(2001), TooLarge, "images[0].caption", "2000 at most"),
        ("/images/0/alt", long(2001), TooLarge, "images[0].alt", "2000 at most"),
        ("/images/0/media_type", json!("jpeg"), BadField, "images[0].media_type", "must be a media type"),
        ("/images/0/bytes", json!(-1), BadField, "images[0].bytes", "must be a whole number from 0"),
        ("/attachments", many(101, json!({})), TooLarge, "attachments", "100 at most"),
        ("/attachments/0/url", json!("file:///etc/a"), BadField, "attachments[0].url", "must be an absolute"),
        ("/attachments/0/bytes", json!(1.5), BadField, "attachments[0].bytes", "must be a whole number"),
        ("/attachments/0/bytes", json!("10"), BadField, "attachments[0].bytes", "must be a whole number, is a string"),
        ("/contact", json!([]), BadField, "contact", "must be an object, is an array"),
        ("/contact/email", json!("office"), BadField, "contact.email", "must be one mail address"),
        ("/contact/email", json!("a@b.c d@e.f"), BadField, "contact.email", "must be one mail address"),
        ("/contact/email", json!("a@b\r\nBcc:c"), BadField, "contact.email", "must be one mail address"),
        ("/event", json!({}), MissingField, "event.starts_at", "or leave out the event"),
        ("/event/starts_at", json!("April"), BadField, "event.starts_at", "is not a date"),
        ("/event/ends_at", json!("2026-04-21"), BadField, "event.ends_at", "lies before `starts_at`"),
        ("/event/time_zone", json!("KST"), BadField, "event.time_zone", "write one such as Asia/Seoul"),
        ("/event/time_zone", json!("localtime"), BadField, "event.time_zone", "write one such as Asia/Seoul"),
        ("/event", json!({"starts_at": "2026-04-22T09:30:00+09:00"}), BadField, "event.starts_at", "`time_zone`"),
        ("/event/url", json!("seminar.html"), BadField, "event.url", "must be an absolute"),
        ("/priority", json!("high"), BadField, "priority", "must be `normal` or `urgent`"),
        ("/priority", json!("urgent"), NotAllowed, "priority", "may not publish urgent posts"),
        ("/views", json!(-1), BadField, "views", "must be a whole number from 0"),
        ("/views", json!(u64::MAX), BadField, "views", "must be a whole number"),
        ("/revision", json!(0), BadField, "revision", "from 1 to 1000000000"),
        ("/revision", json!(1_000_000_001), BadField, "revision", "from 1 to 1000000000"),
    ];
    for (pointer, value, reason, path, detail) in cases {
        let post = with(full(), pointer, value.clone());
        let shown = clip(&value);
        let bare = read_bare(&post).expect_err(&format!("{pointer} = {shown} was taken"));
        assert_eq!((bare.reason, bare.path.as_str()), (reason, path), "{pointer} = {shown}: {}", bare.detail);
        assert!(bare.detail.contains(detail), "{pointer} = {shown}: {}", bare.detail);
        assert!(bare.detail.chars().count() <= DETAIL_CHARS_MAX, "{}", bare.detail);
        let enveloped = read(&incoming("application/json", &[], event("revised", &post).to_string())).unwrap_err();
        assert_eq!(enveloped.path, format!("data.{path}"), "{pointer} = {shown}");
        assert_eq!((enveloped.event_id.as_deref(), enveloped.kind), (Some("e-1"), Some(EventKind::Revised)));
        let known = (path != "id").then_some("seminar-31");
        assert_eq!(enveloped.source_id.as_deref(), known, "{pointer} = {shown}");
    }
}

fn clip(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

#[test]
fn each_bad_envelope_is_named_with_its_fix() {
    let good = || event("published", &least());
    let cases: Vec<(&str, Value, RejectReason, &str, &str)> = vec![
        ("/specversion", json!("0.3"), BadField, "specversion", "must be \"1.0\""),
        ("/specversion", json!(1.0), BadField, "specversion", "must be a string, is a number"),
        ("/specversion", Value::Null, MissingField, "specversion", "write \"1.0\""),
        ("/id", Value::Null, MissingField, "id", "unique within `source`"),
        ("/id", json!("가".repeat(201)), TooLarge, "id", "200 at most"),
        ("/source", json!(""), MissingField, "source", "URI"),
        ("/type", Value::Null, MissingField, "type", "org.allim.post.withdrawn.v1"),
        ("/type", json!("org.allim.post.published.v2"), UnknownType, "type", "org.allim.post.published.v1"),
        ("/type", json!("x".repeat(5000)), UnknownType, "type", "org.allim.post.withdrawn.v1"),
        ("/data", Value::Null, MissingField, "data", "is missing"),
        ("/data", json!("{}"), BadField, "data", "must be an object, is a string"),
    ];
    for (pointer, value, reason, path, detail) in cases {
        let message = incoming("application/cloudevents+json", &[], with(good(), pointer, value.clone()).to_string());
        let rejection = read(&message).unwrap_err();
        assert_eq!((rejection.reason, rejection.path.as_str()), (reason, path), "{pointer} = {}", clip(&value));
        assert!(rejection.detail.contains(detail), "{pointer}: {}", rejection.detail);
    }
    for (value, reason, detail) in [
        (json!("%%"), BadField, "base64"),
        (json!(5), BadField, "must be a string, is a number"),
        (json!("eA=="), NotJson, "isn't JSON"),
    ] {
        let mut message = with(good(), "/data", Value::Null);
        message["data_base64"] = value;
        let rejection = read(&incoming("application/json", &[], message.to_string())).unwrap_err();
        assert_eq!((rejection.reason, rejection.path.as_str()), (reason, "data_base64"));
        assert!(rejection.detail.contains(detail), "{}", rejection.detail);
    }
    let mut both = good();
    both["data_base64"] = json!("e30=");
    let rejection = read(&incoming("application/json", &[], both.to_string())).unwrap_err();
    assert!(rejection.detail.contains("beside `data`"), "{}", rejection.detail);
}

#[test]
fn a_forgotten_specversion_does_not_make_a_withdrawal_a_post() {
    let mut message = event("withdrawn", &least());
    message.as_object_mut().unwrap().remove("specversion");
    let structured = read(&incoming("application/json", &[], message.to_string())).unwrap_err();
    let header = [("cloudEvents:type", "org.allim.post.withdrawn.v1")];
    let binary = read(&incoming("application/json", &header, least().to_string())).unwrap_err();
    for rejection in [structured, binary] {
        assert_eq!((rejection.reason, rejection.path.as_str()), (MissingField, "specversion"));
        assert_eq!(rejection.kind, Some(EventKind::Withdrawn));
    }
}

#[test]
fn what_is_no_json_object_is_refused_with_its_place() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let huge = vec![b' '; MESSAGE_BYTES_MAX + 1];
    let cases: Vec<(&str, Vec<u8>, RejectReason, &str, &str)> = vec![
        ("application/json", b"".to_vec(), NotJson, "", "line 1 column 0"),
        ("application/json", b"{\n \"id\": }".to_vec(), NotJson, "", "line 2 column 8"),
        ("application/json", b"{} {}".to_vec(), NotJson, "", "trailing characters"),
        ("application/json", b"{\"id\": \"\\ud800\"}".to_vec(), NotJson, "", "line 1"),
        ("application/json", b"{\n\"id\": \"\xB0\xA1\"}".to_vec(), NotJson, "", "isn't UTF-8 at line 2 column 8"),
        ("text/xml", b"<post/>".to_vec(), NotJson, "", "send one JSON object"),
        ("application/json", b"[{}]".to_vec(), BadField, "", "must be one JSON object, is an array"),
        ("application/cloudevents-batch+json", b"[]".to_vec(), BadField, "content_type", "message of its own"),
        ("application/json", deep.into_bytes(), TooLarge, "", "nested deeper than 128 levels at line 1"),
        ("application/json", huge, TooLarge, "", "has 1048577 bytes, 1048576 at most"),
    ];
    for (content_type, bytes, reason, path, detail) in cases {
        let rejection = read(&incoming(content_type, &[], bytes)).unwrap_err();
        assert_eq!((rejection.reason, rejection.path.as_str()), (reason, path), "{}", rejection.detail);
        assert!(rejection.detail.contains(detail), "{}", rejection.detail);
    }
}

#[test]
fn only_listed_event_sources_may_speak() {
    let strict = SourcePolicy { event_sources_allowed: Some(vec!["https://example.org/cms".to_owned()]), ..policy() };
    let decode_strictly = |body: Value| decode(&incoming("application/json", &[], body.to_string()), &strict);
    assert!(decode_strictly(event("published", &least())).is_ok());
    let other = with(event("published", &least()), "/source", json!("https://example.org/other"));
    for (body, path) in [(other, "source"), (least(), "")] {
        let rejection = decode_strictly(body).unwrap_err();
        assert_eq!((rejection.reason, rejection.path.as_str()), (NotAllowed, path));
    }
}

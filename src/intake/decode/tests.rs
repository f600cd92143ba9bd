use super::decode;
use crate::domain::post::EventTime;
use crate::intake::wire::{DETAIL_CHARS_MAX, Event, EventKind, Incoming, RejectReason, Rejection, SourcePolicy};
use proptest::prelude::*;
use serde_json::{Value, json};

mod bad_input;
mod public_copy;

fn policy() -> SourcePolicy {
    let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    SourcePolicy {
        name: "cms".to_owned(),
        topics_default: words(&["notices"]),
        topics_allowed: Some(words(&["notices", "events"])),
        topics_known: words(&["notices", "events", "jobs"]),
        urgent_allowed: false,
        event_sources_allowed: None,
        own_authority: Some("here.example,2026".to_owned()),
    }
}

fn incoming(content_type: &str, headers: &[(&str, &str)], bytes: impl Into<Vec<u8>>) -> Incoming {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Incoming { source: "cms".to_owned(), content_type: Some(content_type.to_owned()), headers, bytes: bytes.into() }
}

fn read(incoming: &Incoming) -> Result<Event, Box<Rejection>> {
    decode(incoming, &policy())
}

fn read_bare(post: &Value) -> Result<Event, Box<Rejection>> {
    read(&incoming("application/json", &[], post.to_string()))
}

/// A post with every field.
fn full() -> Value {
    json!({
        "id": "seminar-31", "topics": ["events"], "breadcrumb": ["소식", "세미나"], "language": "ko", "story": "seminar",
        "revision": 3, "languages_expected": ["en", "zh-hans"], "title": "  봄 세미나 \n 안내 ", "summary": "함께해요.",
        "author": {"name": "연구지원팀"}, "published_at": "2026-04-20T09:00:00+09:00",
        "updated_at": "2026-04-20T10:00:00Z", "embargo_until": "2026-04-21T00:00:00+09:00",
        "expires_at": "2026-05-20T09:00:00+09:00", "url": "https://example.org/소식/31",
        "body": {"format": "html", "content": "<p>a ]]> b</p>"},
        "images": [{"url": "https://example.org/a.jpg", "alt": "강당", "caption": "작년", "media_type": "image/JPEG",
            "bytes": 10}],
        "attachments": [{"url": "https://example.org/f/%EC%9D%BC%EC%A0%95.pdf?v=2", "name": null, "bytes": 0}],
        "contact": {"department": "지원팀", "name": "", "phone": "02-000-0000", "email": "office@example.org"},
        "event": {"starts_at": "2026-04-22", "ends_at": "2026-04-22T18:00", "time_zone": "asia/seoul",
            "location": "대강당", "url": null},
        "tags": [" 혁신 ", "", "혁신"], "priority": "normal", "views": 7, "license": "CC BY 4.0", "unknown": [1, {}]
    })
}

/// The least that a post needs.
fn least() -> Value {
    json!({ "id": "n-1", "title": "Closed on Monday", "language": "en", "published_at": "2026-04-20T09:00:00Z",
        "body": {"format": "text", "content": ""} })
}

fn event(kind: &str, data: &Value) -> Value {
    json!({ "specversion": "1.0", "type": format!("org.allim.post.{kind}.v1"), "source": "https://example.org/cms",
        "id": "e-1", "data": data })
}

#[test]
fn a_full_korean_post_keeps_everything() {
    let event = read_bare(&full()).unwrap();
    let post = event.post().unwrap();
    assert_eq!((event.kind(), event.revision), (EventKind::Published, Some(3)));
    assert_eq!(post.title.as_str(), "봄 세미나 안내");
    assert_eq!(post.languages_expected[1].as_str(), "zh-Hans");
    assert_eq!(post.author.as_ref().unwrap().as_str(), "연구지원팀");
    assert_eq!(post.url.as_deref(), Some("https://example.org/%EC%86%8C%EC%8B%9D/31"));
    assert_eq!(post.body.content.as_str(), "<p>a ]]> b</p>");
    assert_eq!(post.images[0].media_type.as_deref(), Some("image/jpeg"));
    assert_eq!(post.attachments[0].name.as_str(), "일정.pdf");
    assert_eq!(post.contact.as_ref().unwrap().name, None);
    assert_eq!(post.tags, ["혁신"]);
    let announced = post.event.as_ref().unwrap();
    assert_eq!(announced.time_zone.as_deref(), Some("Asia/Seoul"));
    assert_eq!(announced.starts_at, EventTime::Day(jiff::civil::date(2026, 4, 22)));
    assert_eq!(event.repairs, ["tags[1]: empty entry removed"]);
}

#[test]
fn the_least_post_takes_the_default_topics() {
    let event = read_bare(&least()).unwrap();
    assert_eq!(event.post().unwrap().topics, ["notices"]);
    assert_eq!((event.event_source.as_str(), event.source.as_str()), ("cms", "cms"));
    assert!(event.event_id.starts_with("sha256:"), "{}", event.event_id);

    let nowhere = SourcePolicy { topics_default: vec![], ..policy() };
    let message = incoming("application/json", &[], least().to_string());
    let rejection = decode(&message, &nowhere).unwrap_err();
    assert_eq!((rejection.reason, rejection.path.as_str()), (RejectReason::MissingField, "topics"));
    let hash = |topics: &str| {
        let policy = SourcePolicy { topics_default: vec![topics.to_owned()], ..policy() };
        decode(&message, &policy).unwrap().content_hash
    };
    assert_eq!(hash("notices"), hash("events"), "another default is no other content");
}

#[test]
fn decomposed_hangul_and_chinese_are_normalised_and_null_bytes_noted() {
    let mut post = least();
    post["title"] = json!("\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af}\u{0} 通知：讲座\u{1}");
    post["language"] = json!("zh-hant");
    post["body"]["content"] = json!("第一行\r\n第二行\u{7}");
    let event = read(&incoming("application/json", &[], event("revised", &post).to_string())).unwrap();
    let post = event.post().unwrap();
    assert_eq!(post.title.as_str(), "한글 通知：讲座");
    assert_eq!(post.body.content.as_str(), "第一行\n第二行");
    assert_eq!(post.language.as_str(), "zh-Hant");
    let noted = ["data.title: 2 control characters removed", "data.body.content: 1 control character removed"];
    assert_eq!(event.repairs, noted);
}

#[test]
fn the_three_envelopes_mean_the_same() {
    let structured = read(&incoming("application/cloudevents+json", &[], event("published", &least()).to_string()));
    let attributes = |prefix: &str| {
        let value = |name: &str| event("published", &json!(0))[name].as_str().unwrap().to_owned();
        let pairs = ["specversion", "type", "source", "id"].map(|name| (format!("{prefix}{name}"), value(name)));
        let mut message = incoming("application/json; charset=utf-8", &[("traceparent", "x")], least().to_string());
        message.headers.extend(pairs);
        read(&message)
    };
    let expected = structured.unwrap();
    assert_eq!((expected.event_id.as_str(), expected.event_source.as_str()), ("e-1", "https://example.org/cms"));
    for prefix in ["cloudEvents:", "cloudEvents_", "CE-", "ce-"] {
        assert_eq!(attributes(prefix).unwrap(), expected, "{prefix}");
    }
    let base64 = {
        use base64::Engine as _;
        let mut event = event("published", &Value::Null);
        event["data_base64"] = json!(base64::engine::general_purpose::STANDARD.encode(least().to_string()));
        read(&incoming("application/json", &[], event.to_string())).unwrap()
    };
    assert_eq!(base64, expected);
    let bare = read_bare(&least()).unwrap();
    assert_eq!((bare.change, bare.content_hash), (expected.change, expected.content_hash));
}

#[test]
fn http_header_values_are_percent_decoded() {
    let source = ("ce-source", "https://example.org/%EC%86%8C%EC%8B%9D%20x%2");
    let headers = [("ce-specversion", "1.0"), ("ce-type", "org.allim.post.withdrawn.v1"), ("ce-id", "%20e"), source];
    let rejection = read(&incoming("application/json", &headers, r#"{"id": "n-1"}"#)).unwrap_err();
    assert_eq!((rejection.reason, rejection.path.as_str()), (RejectReason::BadField, "id"));
    let headers = [headers[0], headers[1], ("ce-id", "e"), source];
    let event = read(&incoming("application/json", &headers, r#"{"id": "n-1"}"#)).unwrap();
    assert_eq!(event.event_source, "https://example.org/소식 x%2");
}

#[test]
fn a_withdrawal_needs_only_the_id() {
    let body = event("withdrawn", &json!({ "id": "n-1", "reason": " 잘못 \n 올림 ", "title": 5 }));
    let event = read(&incoming("application/cloudevents+json", &[], body.to_string())).unwrap();
    assert_eq!((event.kind(), event.post(), event.source_id.as_str()), (EventKind::Withdrawn, None, "n-1"));
    assert_eq!(event.reason().unwrap().as_str(), "잘못 올림");
}

#[test]
fn a_redelivered_bare_post_is_the_same_event_and_another_text_or_revision_is_not() {
    let first = read_bare(&least()).unwrap();
    let spaced = serde_json::to_string_pretty(&least()).unwrap();
    let again = read(&incoming("application/json", &[], format!("\u{FEFF}{spaced}"))).unwrap();
    assert_eq!((&again.event_id, &again.content_hash), (&first.event_id, &first.content_hash));
    let mut revision = least();
    revision["revision"] = json!(2);
    let revision = read_bare(&revision).unwrap();
    assert_eq!(revision.content_hash, first.content_hash);
    assert_ne!(revision.event_id, first.event_id, "going back to an earlier text must not pass for a redelivery");
    let mut other = least();
    other["title"] = json!("Open on Monday");
    assert_ne!(read_bare(&other).unwrap().event_id, first.event_id);
}

#[test]
fn an_events_offset_becomes_civil_time_in_its_zone() {
    let mut post = least();
    post["event"] = json!({ "starts_at": "2026-04-22T23:30:00Z", "ends_at": "2026-04-23", "time_zone": "Asia/Seoul" });
    let event = read_bare(&post).unwrap();
    let announced = event.post().unwrap().event.clone().unwrap();
    assert_eq!(announced.starts_at, EventTime::Time(jiff::civil::datetime(2026, 4, 23, 8, 30, 0, 0)));
}

#[test]
fn an_allowed_source_may_be_urgent() {
    let mut post = least();
    post["priority"] = json!("urgent");
    let allowed = SourcePolicy { urgent_allowed: true, ..policy() };
    let message = incoming("application/json", &[], post.to_string());
    assert!(decode(&message, &allowed).unwrap().post().unwrap().urgent);
}

#[test]
fn debug_output_of_a_message_shows_no_token_and_no_text() {
    let shown = format!("{:?}", incoming("application/json", &[("authorization", "Bearer secret")], "a body"));
    assert!(!shown.contains("secret") && !shown.contains("body\""), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_mutation_of_a_good_message_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..12),
        enveloped in any::<bool>(),
    ) {
        let post = if enveloped { event("published", &full()) } else { full() };
        let mut bytes = post.to_string().into_bytes();
        for (index, byte, action) in changes {
            let at = index.index(bytes.len());
            match action {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        if let Err(rejection) = read(&incoming("application/json", &[], bytes)) {
            prop_assert!(rejection.detail.chars().count() <= DETAIL_CHARS_MAX);
        }
    }

    #[test]
    fn no_value_at_any_field_panics(field in any::<prop::sample::Index>(), value in any_json()) {
        let mut post = full();
        let names: Vec<String> = post.as_object().unwrap().keys().cloned().collect();
        let name = field.get(&names);
        post[name] = value;
        let _ = read_bare(&post);
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[0-9]{1,5}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})?)?".prop_map(Value::from),
        "https?:/{0,3}[a-z가-힣@:%/?#\\[\\]]{0,9}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        let key = prop_oneof!["url", "name", "format", "content", "starts_at", "ends_at", "time_zone", "email"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(key, inner, 0..5).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

#[test]
fn the_way_that_an_event_came_is_kept_and_our_own_known_again() {
    let mut event = json!({
        "specversion": "1.0", "type": "org.allim.post.published.v1", "source": "tag:a.example,2026:posts", "id": "1",
        "data": { "id": "1", "title": "소식", "language": "ko", "published_at": "2026-04-20T09:00:00+09:00",
            "body": { "format": "text", "content": "" } },
    });
    let plain = read(&incoming("application/cloudevents+json", &[], event.to_string())).expect("a post");
    event["allimpath"] = json!("a.example:2026,b.example:2025");
    let relayed = read(&incoming("application/cloudevents+json", &[], event.to_string())).expect("a post");
    let path = |event: &Event| event.post().expect("a post").path.clone();
    assert_eq!(
        (path(&plain), path(&relayed)),
        (vec![], vec!["a.example:2026".to_owned(), "b.example:2025".to_owned()])
    );
    // By whichever way it comes it is the same post.
    assert_eq!(plain.content_hash, relayed.content_hash);
    event["allimpath"] = json!("a.example:2026,Here.example:2026");
    event["data"] = json!({});
    let own = |rejected: Result<Event, Box<Rejection>>| rejected.expect_err("our own").reason;
    assert_eq!(own(read(&incoming("application/cloudevents+json", &[], event.to_string()))), RejectReason::Own);
    let headers = [("ce-specversion", "1.0"), ("ce-allimpath", "here.example%3A2026")];
    assert_eq!(own(read(&incoming("application/json", &headers, "{}"))), RejectReason::Own);
    event["allimpath"] = json!("not a path");
    let bad = read(&incoming("application/cloudevents+json", &[], event.to_string())).expect_err("no path");
    assert_eq!((bad.reason, bad.path.as_str()), (RejectReason::BadField, "allimpath"));
}

//! What partners get, read by others.

use crate::{house, templates};
use allim::domain::clock::UnixMillis;
use allim::domain::partner::{Format, Happened};
use allim::domain::post::{Post, Showable, Standing};
use allim::intake::decode::decode;
use allim::intake::wire::{Event, Incoming, SourcePolicy};
use allim::render::event::{self, Told, Written};
use allim::render::feed::Tombstone;
use serde_json::{Value, json};

const AT: &str = "2026-11-20T09:00:00.123+09:00";

/// A post in the wire format with every field.
fn whole(language: &str, title: &str, content: &str) -> Value {
    json!({
        "id": "notice-204", "topics": ["events", "notices"], "breadcrumb": ["소식", "세미나"], "language": language,
        "story": "seminar", "revision": 3, "languages_expected": ["en", "zh-Hans"], "title": title,
        "summary": "한 줄 요약 & <b>굵지 않음</b>", "author": "연구지원팀", "published_at": AT,
        "updated_at": "2026-11-21T09:00:00Z", "embargo_until": "2026-11-20T10:00:00+09:00",
        "expires_at": "2027-01-01T00:00:00Z", "url": "https://www.example.org/ko/204?a=1&b=2",
        "body": { "format": "html", "content": content },
        "images": [{ "url": "https://www.example.org/a.jpg", "alt": "강당", "caption": "지난해", "media_type": "image/jpeg", "bytes": 182_044 }],
        "attachments": [{ "url": "https://www.example.org/p.pdf", "name": "일정표.pdf", "media_type": "application/pdf", "bytes": 90_312 }],
        "contact": { "department": "연구지원팀", "name": "김하늘", "phone": "+82-2-0000-0000", "email": "a@example.org" },
        "event": { "starts_at": "2026-11-29T14:00", "ends_at": "2026-11-30", "time_zone": "Asia/Seoul", "location": "대강당",
            "url": "https://www.example.org/e" },
        "tags": ["물", "도시"], "priority": "urgent", "views": 12, "license": "CC BY 4.0"
    })
}

fn policy() -> SourcePolicy {
    SourcePolicy {
        name: "partner".to_owned(),
        topics_known: vec!["events".to_owned(), "notices".to_owned()],
        urgent_allowed: true,
        ..SourcePolicy::default()
    }
}

fn read(content_type: &str, headers: Vec<(String, String)>, bytes: impl Into<Vec<u8>>) -> Event {
    let incoming = Incoming {
        source: "partner".to_owned(),
        content_type: Some(content_type.to_owned()),
        headers,
        bytes: bytes.into(),
    };
    decode(&incoming, &policy()).unwrap_or_else(|rejection| panic!("{rejection}"))
}

/// A post as it came in here.
fn taken(post: &Value) -> Post {
    read("application/json", Vec::new(), post.to_string()).post().expect("a post").clone()
}

fn showable(post: Post, revision: i64) -> Showable {
    let standing = Standing {
        post_id: "ldnkvnnmpnbzat4wdbzw473gqj".to_owned(),
        story_id: "lm65fqiggikyv64zzb3gnmmzbi".to_owned(),
        source: "cms".to_owned(),
        revision,
        received_at: UnixMillis(1_795_392_000_000),
        revised_at: None,
        public_at: Some(UnixMillis(1_795_392_000_000)),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    Showable::public(standing, post).expect("public")
}

fn written(happened: Happened, showable: &Showable) -> Written {
    event::write(&house(), (Format::CloudEvent, happened), Told::Post(showable), &[], &templates()).expect("written")
}

#[test]
fn another_allim_takes_in_the_same_post_in_both_modes() {
    let least = json!({ "id": "n", "title": "소식", "language": "ko", "topics": ["events"], "published_at": AT,
        "body": { "format": "text", "content": "" } });
    let markdown = json!({ "id": "n", "title": "A \"quoted\" title — 日本 𠮷 👩‍🔬", "language": "zh-Hans", "topics": ["notices"],
        "published_at": AT, "body": { "format": "markdown", "content": "**x**\n\n- a\n- `b`\n" },
        "event": { "starts_at": "2026-12-01" } });
    for (post, revision) in [(whole("ko", "세미나 ]]> <끝>", "<p>글 &amp; 글</p>"), 3), (least, 1), (markdown, 12)]
    {
        let here = taken(&post);
        let showable = showable(here.clone(), revision);
        // Under our ids: two sources may call different posts the same.
        let mut expected = Post { source_id: showable.standing().post_id.clone(), ..here };
        expected.path = vec!["example.org:2026".to_owned()];
        expected.story = expected.story.map(|_| showable.standing().story_id.clone());
        expected.path = vec!["example.org:2026".to_owned()];
        for happened in [Happened::Published, Happened::Revised, Happened::Embargoed] {
            let event = written(happened, &showable);
            let structured = event.structured().expect("JSON");
            let there = read("application/cloudevents+json; charset=utf-8", Vec::new(), structured);
            assert_eq!(there.post(), Some(&expected), "{happened}");
            assert_eq!(there.revision, Some(revision));
            let binary = event.attributes.iter().map(|(name, value)| (format!("ce-{name}"), value.clone())).collect();
            let binary = read(&event.media_type, binary, event.body.clone());
            assert_eq!((binary.post(), &binary.event_id), (Some(&expected), &there.event_id));
            assert_eq!(there.event_source, "tag:example.org,2026:posts");
        }
    }
}

#[test]
fn a_withdrawal_is_taken_as_one_of_the_same_post() {
    let gone =
        Tombstone { post_id: "ldnkvnnmpnbzat4wdbzw473gqj".to_owned(), withdrawn_at: UnixMillis(1_795_392_000_000) };
    let what = (Format::CloudEvent, Happened::Withdrawn);
    let event = event::write(&house(), what, Told::Gone(&gone), &[], &templates()).expect("written");
    let there = read("application/cloudevents+json", Vec::new(), event.structured().expect("JSON"));
    assert_eq!((there.kind().word(), there.source_id), ("withdrawn", gone.post_id));
}

#[test]
fn entries_are_read_by_a_reader_of_feeds() {
    let showable = showable(taken(&whole("ko", "세미나 ]]> <끝>", "<p>글</p><script>alert(1)</script>")), 3);
    let write = |format| {
        event::write(&house(), (format, Happened::Published), Told::Post(&showable), &[], &templates())
            .expect("written")
    };
    let atom = write(Format::Atom);
    assert_eq!(atom.media_type, "application/atom+xml; type=entry");
    let entry = atom.body.split_once("?>").expect("a declaration").1;
    let feed = format!(
        "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>t</title><id>urn:t</id><updated>2026-01-01T00:00:00Z</updated>{entry}</feed>"
    );
    let item = write(Format::JsonFeed);
    let items =
        format!("{{\"version\": \"https://jsonfeed.org/version/1.1\", \"title\": \"t\", \"items\": [{}]}}", item.body);
    for document in [feed, items] {
        let read = feed_rs::parser::parse(document.as_bytes()).unwrap_or_else(|error| panic!("{error}: {document}"));
        assert_eq!(read.entries.len(), 1);
        let entry = &read.entries[0];
        assert_eq!(entry.id, "tag:example.org,2026:post/ldnkvnnmpnbzat4wdbzw473gqj");
        assert_eq!(entry.title.as_ref().map(|title| title.content.as_str()), Some("세미나 ]]> <끝>"));
        assert!(!document.contains("alert"), "{document}");
    }
}

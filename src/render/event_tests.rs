use super::*;
use crate::domain::language::Language;
use crate::domain::post::Post;
use crate::render::entry::tests::{post, showable};
use crate::render::mail::tests::site;

fn house() -> House {
    House {
        origin: "https://allim.example.org".to_owned(),
        site: site(),
        zone: jiff::tz::TimeZone::get("Asia/Seoul").unwrap(),
        tag_authority: "example.org,2026".to_owned(),
        languages: ["ko", "en"].map(|tag| Language::parse(tag).unwrap()).to_vec(),
        topics: Vec::new(),
        hubs: Vec::new(),
    }
}

fn written(format: Format, happened: Happened, post: Post) -> Written {
    let templates = Templates::load(None).unwrap();
    write(&house(), (format, happened), Told::Post(&showable(post)), &[], &templates).unwrap()
}

fn gone(format: Format) -> Written {
    let tombstone = Tombstone { post_id: "id1".to_owned(), withdrawn_at: UnixMillis(1_776_750_000_000) };
    let templates = Templates::load(None).unwrap();
    write(&house(), (format, Happened::Withdrawn), Told::Gone(&tombstone), &[], &templates).unwrap()
}

const HOSTILE: &str =
    "<p onclick=\"x()\">글 ]]> <entry> & </entry></p><script>alert(1)</script><img src=\"javascript:x\">";

#[test]
fn attributes_tell_what_happened_and_by_which_way_it_came() {
    let event = written(Format::CloudEvent, Happened::Revised, post("1", "제목", "<p>글</p>"));
    let said = |name: &str| event.attributes.get(name).map(String::as_str);
    assert_eq!(said("type"), Some("org.allim.post.revised.v1"));
    assert_eq!((said("source"), said("id")), (Some("tag:example.org,2026:posts"), Some("id1/1/revised")));
    assert_eq!((said("allimpath"), said("allimembargo")), (Some("example.org:2026"), None));
    assert!(event.attributes.keys().all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
    let structured: Value = serde_json::from_str(&event.structured().unwrap()).unwrap();
    assert_eq!(
        (&structured["data"]["id"], &structured["datacontenttype"]),
        (&json!("id1"), &json!("application/json"))
    );
    assert_eq!(Written::read(&event.keep()), Some(event));
    assert_eq!(gone(Format::CloudEvent).attributes["id"], "id1/withdrawn");
    let templates = Templates::load(None).unwrap();
    let travelled = ["a.example:2026".to_owned()];
    let one = showable(post("1", "제목", "<p>글</p>"));
    let relayed =
        write(&house(), (Format::Atom, Happened::Published), Told::Post(&one), &travelled, &templates).unwrap();
    assert_eq!(relayed.attributes["allimpath"], "a.example:2026,example.org:2026");
}

#[test]
fn an_embargo_is_marked_in_every_format() {
    let mut early = post("1", "제목", "<p>글</p>");
    early.embargo_until = Some(UnixMillis(1_776_760_000_000));
    let until = "2026-04-21T08:26:40Z";
    for format in Format::ALL {
        let event = written(*format, Happened::Embargoed, early.clone());
        assert_eq!(event.attributes["allimembargo"], until);
        assert!(*format == Format::Atom || event.body.contains(until), "{}", event.body);
        let public = written(*format, Happened::Published, early.clone());
        assert!(!public.attributes.contains_key("allimembargo"));
        assert_ne!(public.attributes["id"], event.attributes["id"]);
    }
}

#[test]
fn documents_are_read_by_others_and_hold_nothing_that_runs() {
    for format in [Format::JsonFeed, Format::Atom, Format::ActivityStreams] {
        let event = written(format, Happened::Published, post("1", "제목 & <b>", HOSTILE));
        for runs in ["<script", "&lt;script", "alert(", "javascript:", "onclick"] {
            assert!(!event.body.contains(runs), "{runs}: {}", event.body);
        }
        assert!(event.body.contains("tag:example.org,2026:post/id1"), "{}", event.body);
        let gone = gone(format);
        assert!(gone.body.contains("tag:example.org,2026:post/id1") && gone.body.contains("2026-04-21T05:40:00Z"));
    }
}

#[test]
fn an_atom_entry_stands_alone() {
    let mut unsigned = post("1", "제목 & <b>", HOSTILE);
    unsigned.author = None;
    let event = written(Format::Atom, Happened::Published, unsigned);
    let document = roxmltree::Document::parse(&event.body).unwrap();
    let root = document.root_element();
    assert_eq!(root.tag_name(), ("http://www.w3.org/2005/Atom", "entry").into());
    let child = |name: &str| root.children().find(|node| node.has_tag_name(("http://www.w3.org/2005/Atom", name)));
    assert_eq!(child("title").and_then(|node| node.text()), Some("제목 & <b>"));
    assert!(child("author").is_some(), "RFC 4287 section 4.1.2");
    assert!(document.descendants().any(|node| node.tag_name().namespace() == Some("http://search.yahoo.com/mrss/")));
    let gone = gone(Format::Atom);
    let gone = roxmltree::Document::parse(&gone.body).unwrap();
    assert!(gone.root_element().has_tag_name(("http://purl.org/atompub/tombstones/1.0", "deleted-entry")));
}

#[test]
fn an_activity_speaks_in_the_language_of_its_post() {
    let mut tagged = post("1", "제목", "<p>글</p>");
    tagged.tags = vec!["물 순환".to_owned(), "!?".to_owned()];
    let event = written(Format::ActivityStreams, Happened::Published, tagged.clone());
    let activity: Value = serde_json::from_str(&event.body).unwrap();
    assert_eq!((&activity["type"], &activity["object"]["type"]), (&json!("Create"), &json!("Article")));
    assert_eq!(activity["object"]["nameMap"], json!({ "ko": "제목" }));
    assert!(activity["object"]["contentMap"]["ko"].as_str().unwrap().contains("<p>글</p>"));
    assert_eq!(activity["object"]["tag"], json!([{ "type": "Hashtag", "name": "#물순환" }]));
    let kinds: Vec<_> = activity["object"]["attachment"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["Image", "Document"]);
    let revised: Value =
        serde_json::from_str(&written(Format::ActivityStreams, Happened::Revised, tagged).body).unwrap();
    assert_eq!(revised["type"], "Update");
    let gone: Value = serde_json::from_str(&gone(Format::ActivityStreams).body).unwrap();
    assert_eq!((&gone["type"], &gone["object"]["type"]), (&json!("Delete"), &json!("Tombstone")));
}

use super::*;
use crate::render::entry::tests::{post, showable};
use crate::render::mail::tests::{language, site};
use feed_rs::model::Feed as Read;

fn templates() -> Templates {
    Templates::load(None).unwrap()
}

fn made(format: Format, posts: &[Showable], gone: &[Tombstone], templates: &Templates) -> Feed {
    let meta = Meta {
        title: "행사 · 하늘정책연구원",
        name: "events/ko",
        language: &language("ko"),
        self_url: "https://allim.example.org/feeds/events.rss?lang=ko",
        page_url: "https://allim.example.org/topics/events?lang=ko",
        site: &site(),
        zone: &jiff::tz::TimeZone::get("Asia/Seoul").unwrap(),
        tag_authority: "example.org,2026",
        hubs: &["https://example.org/websub".to_owned()],
        history: &History::default(),
        topic_title: &|topic, _| format!("주제 {topic}"),
    };
    feed(format, &meta, posts, gone, templates).unwrap()
}

fn read(format: Format, posts: &[Showable]) -> (String, Read) {
    let feed = made(format, posts, &[], &templates());
    assert_eq!(feed.left_out, []);
    let read = feed_rs::parser::parse(feed.bytes.as_slice()).unwrap();
    (String::from_utf8(feed.bytes).unwrap(), read)
}

/// Feed readers know entries by these: a change would show every post of every subscriber as new.
#[test]
fn golden() {
    assert_eq!(entry_id("example.org,2026", "abc234"), "tag:example.org,2026:post/abc234");
    for format in Format::ALL {
        let (text, read) = read(format, &[showable(post("1", "제목", "<p>글</p>"))]);
        assert_eq!(read.entries[0].id, "tag:example.org,2026:post/id1");
        if format == Format::Atom {
            assert!(text.contains("<id>tag:example.org,2026:feed/events/ko</id>"), "{text}");
        }
        if format == Format::Rss {
            assert!(text.contains("<guid isPermaLink=\"false\">tag:example.org,2026:post/id1</guid>"), "{text}");
        }
    }
}

/// An installation that moves to another host, or to https, is the same to those who read its feeds.
#[test]
fn another_host_or_scheme_changes_no_id() {
    let posts = [showable(post("1", "제목", "<p>글</p>"))];
    for format in Format::ALL {
        let of = |origin: &str| {
            let mut site = site();
            site.public_url = Some(origin.to_owned());
            let meta = Meta {
                title: "행사",
                name: "events",
                language: &language("ko"),
                self_url: &format!("{origin}/feeds/events"),
                page_url: &format!("{origin}/topics/events"),
                site: &site,
                zone: &jiff::tz::TimeZone::UTC,
                tag_authority: "example.org,2026",
                hubs: &[],
                history: &History::default(),
                topic_title: &|topic, _| topic.to_owned(),
            };
            let feed = feed(format, &meta, &posts, &[], &templates()).unwrap();
            let read = feed_rs::parser::parse(feed.bytes.as_slice()).unwrap();
            assert!(String::from_utf8(feed.bytes).unwrap().contains(origin), "{format:?}");
            (read.id, read.entries.into_iter().map(|entry| entry.id).collect::<Vec<_>>())
        };
        let (here, there) = (of("https://allim.example.org"), of("http://board.example.net:8080/allim"));
        assert_eq!(here.1, ["tag:example.org,2026:post/id1"]);
        assert_eq!(here.1, there.1, "{format:?}");
        // RSS and JSON Feed know a feed by its address.
        assert!(format != Format::Atom || here.0 == there.0, "{} {}", here.0, there.0);
    }
}

/// What announcements are full of, and what breaks feeds.
const HARD: &str = "‧ · □ ○ ＊ <상세문의> ]]> &amp; & \u{1F393} 끝";

#[test]
fn hard_text_comes_through_whole_in_every_format() {
    let mut hard = post("1", HARD, &format!("<p>가 {HARD} 나]]></p><script>alert(1)</script><p>다\u{8}&#8;</p>"));
    hard.summary = Some(CleanText::new(HARD));
    hard.tags = vec!["R&D <1>".to_owned()];
    let mut spoken = Vec::new();
    for format in Format::ALL {
        let (text, read) = read(format, &[showable(hard.clone())]);
        let entry = &read.entries[0];
        assert_eq!(entry.title.as_ref().unwrap().content, HARD, "{format:?}");
        let body = entry.content.as_ref().unwrap().body.as_deref().unwrap();
        assert!(
            body.contains("‧ · □ ○ ＊ &lt;상세문의&gt; ]]&gt; &amp; &amp; \u{1F393} 끝 나]]&gt;"),
            "{format:?} {body}"
        );
        assert!(!body.contains("alert") && !text.contains('\u{8}'), "{format:?} {body}");
        for part in ["일시", "상하이 국제회의장", "모집 요강.pdf", "국제협력실", "강당 전경 &lt;사진 1&gt;"]
        {
            assert!(body.contains(part), "{format:?}: {part} in {body}");
        }
        assert!(entry.categories.iter().any(|tag| tag.term == "R&D <1>" || tag.label.as_deref() == Some("R&D <1>")));
        spoken.push(body.trim().to_owned());
    }
    spoken.dedup();
    assert_eq!(spoken.len(), 1, "the same content in every format");
}

#[test]
fn everything_that_a_format_has_room_for_is_told() {
    let mut full = post("1", "제목", "<p>글</p>");
    full.updated_at = Some(UnixMillis(full.published_at.0 + 60_000));
    let posts = [showable(full)];
    let (rss, _) = read(Format::Rss, &posts);
    for part in [
        "<link>https://allim.example.org/posts/id1</link>",
        "<dc:creator>기획홍보팀</dc:creator>",
        "<dc:language>ko</dc:language>",
        "<category>주제 events</category>",
        "<enclosure url=\"https://board.example.org/down.do?f=1&amp;n=2\" length=\"1234567\" type=\"application/pdf\"/>",
        "<pubDate>Tue, 21 Apr 2026 05:40:00 +0000</pubDate>",
        "<atom:link href=\"https://allim.example.org/feeds/events.rss?lang=ko\" rel=\"self\" type=\"application/rss+xml\"/>",
        "<language>ko</language>",
        "<content:encoded><![CDATA[",
        "<dcterms:modified>2026-04-21T05:41:00Z</dcterms:modified>",
    ] {
        assert!(rss.contains(part), "{part} in {rss}");
    }
    assert!(!made(Format::Rss, &[], &[], &templates()).bytes.windows(13).any(|part| part == b"lastBuildDate"));
    let (atom, _) = read(Format::Atom, &posts);
    for part in [
        "<published>2026-04-21T05:40:00+00:00</published>",
        "<updated>2026-04-21T05:41:00+00:00</updated>",
        "<category term=\"events\" label=\"주제 events\"/>",
        "rel=\"enclosure\"",
        "rel=\"self\"",
        "rel=\"via\"",
        "xml:lang=\"ko\"",
    ] {
        assert!(atom.contains(part), "{part} in {atom}");
    }
    let (json, _) = read(Format::Json, &posts);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["version"], "https://jsonfeed.org/version/1.1");
    let item = &json["items"][0];
    assert_eq!(item["attachments"][0]["size_in_bytes"], 1_234_567);
    assert_eq!(item["external_url"], "https://board.example.org/view?id=1&p=1");
    assert_eq!((&item["language"], &item["tags"][0]), (&"ko".into(), &"주제 events".into()));
}

/// Pictures with what they show, files with their names: as readers who know Media RSS find them.
#[test]
fn pictures_and_files_are_described() {
    for format in [Format::Rss, Format::Atom] {
        let (text, read) = read(format, &[showable(post("1", "제목", "<p>글</p>"))]);
        let media = &read.entries[0].media;
        let contents: Vec<_> = media.iter().flat_map(|media| &media.content).collect();
        let urls: Vec<String> =
            contents.iter().filter_map(|content| content.url.as_ref()).map(ToString::to_string).collect();
        assert!(urls.contains(&"https://board.example.org/hall.jpg".to_owned()), "{format:?}: {urls:?}");
        assert!(urls.contains(&"https://board.example.org/down.do?f=1&n=2".to_owned()), "{format:?}: {urls:?}");
        assert!(contents.iter().any(|content| content.size == Some(120_000)), "{format:?}");
        for part in [
            "medium=\"image\" type=\"image/jpeg\"",
            "medium=\"document\"",
            "<media:title>강당 전경 &lt;사진 1&gt;</media:title>",
            "<media:description>불 켜진 &quot;강당&quot;</media:description>",
            "<media:title>모집 요강.pdf</media:title>",
        ] {
            assert!(text.contains(part), "{format:?}: {part} in {text}");
        }
    }
    let mut odd = post("1", "제목", "");
    odd.images[0].alt = Some(CleanText::new(HARD));
    odd.images[0].url = "https://board.example.org/a?\"><x&y='".to_owned();
    for format in Format::ALL {
        let feed = made(format, &[showable(odd.clone())], &[], &templates());
        assert_eq!(feed.left_out, [], "{format:?}");
        assert_eq!(feed_rs::parser::parse(feed.bytes.as_slice()).unwrap().entries.len(), 1);
    }
}

/// The longest body that may come in, text that runs from right to left, and the ends of what feeds are made of.
#[test]
fn the_longest_and_the_oddest_bodies_come_through() {
    let odd = "\u{202e}끝\u{202c}\u{200f} ]]> </item></entry><entry> \u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}\u{ffff}\u{1b}";
    let long = format!("<p>{}</p>", "가나다 &amp; ]]&gt; ".repeat(1_048_576 / 24));
    let posts = [showable(post("1", odd, odd)), showable(post("2", "긴 글", &long)), showable(post("3", "끝", ""))];
    for format in Format::ALL {
        let (text, read) = read(format, &posts);
        assert_eq!(read.entries.len(), 3, "{format:?}");
        assert!(!text.contains('\u{ffff}') && !text.contains('\u{1b}'), "{format:?}");
        let body = read.entries[1].content.as_ref().and_then(|content| content.body.as_deref()).unwrap();
        assert_eq!(body.matches("가나다").count(), 1_048_576 / 24, "{format:?}");
    }
}

/// What nobody revised keeps its date, and what was revised has a new one in each format.
#[test]
fn the_date_moves_only_with_a_revision() {
    let plain = showable(post("1", "제목", "<p>글</p>"));
    let mut standing = plain.standing().clone();
    (standing.revision, standing.revised_at) = (2, Some(UnixMillis(1_776_900_000_000)));
    let revised = Showable::public(standing, plain.post().clone()).unwrap();
    for format in Format::ALL {
        let (text, unchanged) = read(format, std::slice::from_ref(&plain));
        assert!(!text.contains("dcterms:modified"), "{format:?}");
        let updated = unchanged.entries[0].updated.map(|at| at.timestamp_millis());
        assert!(updated.is_none_or(|at| at == 1_776_750_000_000), "{format:?}: {updated:?}");
        let (text, _) = read(format, std::slice::from_ref(&revised));
        assert!(text.contains("2026-04-22T23:20:00"), "{format:?}: {text}");
    }
}

#[test]
fn a_withdrawn_post_leaves_a_tombstone() {
    let gone = [Tombstone { post_id: "id9".to_owned(), withdrawn_at: UnixMillis(1_776_750_000_123) }];
    let atom = String::from_utf8(made(Format::Atom, &[], &gone, &templates()).bytes).unwrap();
    let element = "<at:deleted-entry ref=\"tag:example.org,2026:post/id9\" when=\"2026-04-21T05:40:00.123Z\">";
    assert!(atom.contains(element) && atom.contains("xmlns:at=\"http://purl.org/atompub/tombstones/1.0\""), "{atom}");
    assert!(atom.contains("<updated>2026-04-21T05:40:00.123+00:00</updated>"), "{atom}");
}

#[test]
fn a_post_that_would_spoil_the_feed_is_left_out_alone() {
    let folder = tempfile::tempdir().unwrap();
    let own = "{% if entry.title == 'bad' %}{{ entry.nowhere }}{% endif %}{{ entry.body_html|safe }}";
    std::fs::write(folder.path().join("post_content.html"), own).unwrap();
    let templates = Templates::load(Some(folder.path())).unwrap();
    let posts = ["good", "bad", "fine"].map(|title| showable(post(title, title, "<p>글</p>")));
    for format in Format::ALL {
        let feed = made(format, &posts, &[], &templates);
        assert_eq!(feed.left_out.len(), 1);
        assert_eq!(feed.left_out[0].0, "idbad");
        let titles = feed_rs::parser::parse(feed.bytes.as_slice()).unwrap().entries;
        let titles: Vec<String> =
            titles.into_iter().filter_map(|entry| entry.title.map(|title| title.content)).collect();
        assert_eq!(titles, ["good", "fine"]);
    }
}

/// Readers show a category for each, and JSON Feed's schema wants them to differ.
#[test]
fn a_tag_that_reads_as_a_topic_is_told_once() {
    let mut tagged = post("1", "제목", "<p>글</p>");
    tagged.tags = vec!["주제 events".to_owned(), "물".to_owned()];
    let (rss, _) = read(Format::Rss, &[showable(tagged.clone())]);
    assert_eq!((rss.matches("<category>주제 events<").count(), rss.matches("<category>").count()), (1, 2), "{rss}");
    let (json, _) = read(Format::Json, &[showable(tagged)]);
    assert_eq!(json.matches("\"주제 events\"").count(), 1, "{json}");
}

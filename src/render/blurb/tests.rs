use super::*;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Standing;

fn showable(mut change: impl FnMut(&mut serde_json::Value)) -> Showable {
    let mut json = serde_json::json!({
        "source_id": "forum-7", "language": "ko", "topics": ["events"], "tags": ["혁신 정책", "R&D", "2026"],
        "title": "지역 혁신 공개 토론회", "published_at": 1_795_392_000_000_i64,
        "summary": "지역이 스스로 혁신을 설계하려면 무엇이 필요한지 함께 묻습니다.",
        "url": "https://board.example.org/forum/7",
        "body": {"format": "text", "content": "본문입니다."},
        "images": [{"url": "https://board.example.org/a.png", "caption": "토론회 현수막"}],
        "event": {"starts_at": "2026-12-03T14:00:00", "time_zone": "Asia/Seoul", "location": "세종 대강당"},
    });
    change(&mut json);
    let post = serde_json::from_value(json).expect("a post");
    let standing = Standing {
        post_id: "abc".to_owned(),
        story_id: "abc".to_owned(),
        source: "cms".to_owned(),
        revision: 1,
        received_at: UnixMillis(0),
        revised_at: None,
        public_at: Some(UnixMillis(0)),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    Showable::public(standing, post).expect("public")
}

fn wording(template: Option<&str>) -> Wording {
    Wording {
        origin: Some("https://allim.example.org/".to_owned()),
        link: Link::Page,
        language: Language::parse("ko").expect("a tag"),
        zone: "Asia/Seoul".to_owned(),
        topics: BTreeMap::from([("events".to_owned(), LocalText::same("행사"))]),
        template: template.map(|text| Template::parse(text).expect("a template")),
    }
}

use crate::render::site::LocalText;
use std::collections::BTreeMap;

fn style(measure: Measure, max: usize) -> Style {
    Style {
        limits: vec![Limit { measure, max }],
        hashtags: Hashtags::Words,
        tags_max: 3,
        url_in_text: true,
        title_in_text: true,
    }
}

#[test]
fn a_post_reads_as_its_readers_write() {
    let mastodon = style(Measure::Mastodon, 500);
    let blurb = Blurb::write(&showable(|_| ()), &mastodon, &wording(None)).expect("it fits");
    let expected = "지역 혁신 공개 토론회\n2026년 12월 3일 (목) 14:00 · 세종 대강당\n\n지역이 스스로 혁신을 설계하려면 무엇이 필요한지 함께 \
                    묻습니다.\n\n#혁신정책 #RD\nhttps://allim.example.org/posts/abc";
    assert_eq!(blurb.text, expected);
    assert_eq!((blurb.tags.len(), blurb.language.as_str()), (2, "ko"));
    assert_eq!(blurb.image.expect("a picture").alt, "토론회 현수막");
    // Readers elsewhere are told whose clock it is, and the link may be the source's.
    let english = Wording {
        language: Language::parse("en").expect("a tag"),
        zone: "UTC".to_owned(),
        link: Link::Source,
        ..wording(None)
    };
    let blurb = Blurb::write(&showable(|_| ()), &mastodon, &english).expect("it fits");
    assert!(blurb.text.contains("Thursday, 3 December 2026, 14:00 (Asia/Seoul) · 세종 대강당"), "{}", blurb.text);
    assert!(blurb.text.ends_with("https://board.example.org/forum/7"));
}

#[test]
fn without_a_summary_the_first_sentences_are_said() {
    let showable = showable(|json| {
        json["summary"] = serde_json::Value::Null;
        let body = format!("첫 문장입니다. {}", "둘째 문장은 길고도 깁니다. ".repeat(60));
        json["body"] = serde_json::json!({"format": "text", "content": body});
    });
    let blurb = Blurb::write(&showable, &style(Measure::Utf16, 4_096), &wording(None)).expect("it fits");
    assert!(blurb.summary.starts_with("첫 문장입니다.") && blurb.summary.ends_with("깁니다."), "{}", blurb.summary);
    assert!(blurb.summary.chars().count() <= SUMMARY_MAX);
}

#[test]
fn a_template_is_filled_fitted_and_looked_through() {
    let text =
        "[{{ topic }}] {{ title }}\n{% if event %}{{ event }}\n{% endif %}\n{{ summary }}\n\n{{ url }} {{ tags }}";
    let wording = wording(Some(text));
    let blurb = Blurb::write(&showable(|_| ()), &style(Measure::Graphemes, 500), &wording).expect("it fits");
    assert!(blurb.text.starts_with("[행사] 지역 혁신 공개 토론회\n2026년"), "{}", blurb.text);
    let said: Vec<&str> = blurb.spans.iter().map(|span| &blurb.text[span.start..span.end]).collect();
    assert_eq!(said, ["https://allim.example.org/posts/abc", "#혁신정책", "#RD"]);
    // The summary goes first, then hashtags, the event's line, and the title is shortened.
    for (max, has, lacks) in
        [(130, "지역이 스스로", "묻습니다"), (105, "#혁신정책", "지역이 스스로"), (70, "[행사]", "2026년")]
    {
        let blurb = Blurb::write(&showable(|_| ()), &style(Measure::Graphemes, max), &wording).expect("it fits");
        assert!(blurb.text.contains(has) && !blurb.text.contains(lacks), "{max}: {}", blurb.text);
        assert!(Measure::Graphemes.count(&blurb.text) <= max && blurb.text.contains("/posts/abc"));
    }
    for bad in ["{{ titel }}", "{% if %}", "{{ title"] {
        let error = Template::parse(bad).expect_err(bad).to_string();
        assert!(error.contains("it knows title, event"), "{error}");
    }
}

#[test]
fn what_can_not_fit_is_refused_with_the_reason() {
    let long = format!("https://board.example.org/{}", "x".repeat(400));
    let showable = showable(|json| json["url"] = serde_json::json!(long));
    let source = Wording { link: Link::Source, ..wording(None) };
    let refused = Blurb::write(&showable, &style(Measure::Graphemes, 300), &source).expect_err("too long").to_string();
    assert!(refused.contains("of the 300 that the network takes") && refused.contains("shorten it"), "{refused}");
    assert!(Blurb::write(&showable, &style(Measure::Weighted, 280), &source).is_ok());
    // A network of links takes no post without one.
    let beside = Style { url_in_text: false, title_in_text: false, ..style(Measure::Utf16, 1_000) };
    let none = Wording { origin: None, ..wording(None) };
    let bare = self::showable(|json| json["url"] = serde_json::Value::Null);
    assert!(matches!(Blurb::write(&bare, &beside, &none), Err(Unfit::NoAddress)));
    let blurb = Blurb::write(&bare, &beside, &wording(None)).expect("it fits");
    assert!(blurb.text.starts_with("2026년") && !blurb.text.contains("http"), "{}", blurb.text);
}

use super::*;
use crate::domain::post::{Body, BodyFormat, Post};
use crate::render::entry::tests::{post, showable};

pub(crate) fn language(tag: &str) -> Language {
    Language::parse(tag).unwrap()
}

pub(crate) fn site() -> Site {
    Site {
        name: serde_json::from_str(r#"{"ko": "하늘정책연구원", "en": "Sky Policy Institute"}"#).unwrap(),
        public_url: Some("https://allim.example.org".to_owned()),
        contact: Some("홍보팀 044-000-0000".to_owned()),
        postal_address: Some("세종시 가상로 1".to_owned()),
    }
}

fn english() -> Post {
    let mut post = post(
        "3",
        "Call for papers: \"Fish & <Ships>\"",
        "<p>Write to us. <a href='https://cfp.example.org/?a=1&b=2'>Form</a></p>",
    );
    post.language = language("en");
    post.body = Body {
        format: BodyFormat::Markdown,
        content: CleanText::new("Write. [Form](https://cfp.example.org/?a=1&b=2)"),
    };
    post
}

fn entries(posts: Vec<(Post, &str)>) -> Vec<Entry> {
    let entry = |(post, topic): (Post, &str)| Entry { showable: showable(post), topic_title: topic.to_owned() };
    posts.into_iter().map(entry).collect()
}

pub(crate) fn render(entries: &[Entry], is_digest: bool, tag: &str, site: &Site) -> Pieces {
    let issue = Issue {
        language: &language(tag),
        schedule_title: "주간 소식",
        is_digest,
        site,
        entries,
        planned_at: UnixMillis(1_776_812_400_000),
        zone: &jiff::tz::TimeZone::get("Asia/Seoul").unwrap(),
    };
    pieces(&issue, &Templates::load(None).unwrap()).unwrap()
}

pub(crate) fn digest() -> Vec<Entry> {
    let long = format!("<p>{}</p>", "기술과 사회의 앞날을 묻습니다. ".repeat(120));
    let first = post("1", "2026 혁신 정책 포럼 ‧ 참가자 모집", "<p>□ <b>많은</b> 참여 바랍니다. <상세문의></p>");
    entries(vec![(first, "행사"), (post("2", "긴 보고서", &long), "발간물"), (english(), "행사")])
}

/// What a reader of the HTML could follow or read in `attribute="…"`.
fn attributes(html: &str, attribute: &str) -> Vec<String> {
    let pattern = format!(" {attribute}=\"");
    let unescape = |text: &str| {
        text.replace("&#39;", "'")
            .replace("&quot;", "\"")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    };
    html.split(&pattern).skip(1).filter_map(|part| part.split('"').next()).map(unescape).collect()
}

#[test]
fn one_post_bears_its_title_and_its_whole_body() {
    let body = format!("<p>{}</p>", "가나다라 ".repeat(500));
    let title = "\"따옴표\" & 2026년 ‧ <상세문의>";
    let pieces = render(&entries(vec![(post("1", title, &body), "행사")]), false, "ko", &site());
    assert_eq!(pieces.subject, title);
    assert!(pieces.html.matches("가나다라").count() == 500 && pieces.text.matches("가나다라").count() == 500);
    assert!(pieces.html.starts_with("<!DOCTYPE html>\n<html lang=\"ko\">"));
    let digest = render(&entries(vec![(post("1", title, &body), "행사")]), true, "ko", &site());
    assert_eq!(digest.subject, "주간 소식 · 2026년 4월 22일 · 1건");
}

#[test]
fn the_text_says_what_the_html_says() {
    let personal = Personal {
        greeting: Some("이하늘 님, 안녕하세요."),
        unsubscribe_url: Some("https://allim.example.org/u/t0ken"),
    };
    let pieces = render(&digest(), true, "ko", &site());
    let (html, text) = (pieces.html_for(personal), pieces.text_for(personal));
    for link in attributes(&html, "href").into_iter().chain(attributes(&html, "src")) {
        assert!(text.contains(link.trim_start_matches("mailto:")), "{link} is missing:\n{text}");
    }
    for alt in attributes(&html, "alt") {
        assert!(text.contains(&alt), "{alt}");
    }
    for part in [
        "주간 소식",
        "3건",
        "행사",
        "발간물",
        "2026 혁신 정책 포럼 ‧ 참가자 모집",
        "긴 보고서",
        "Call for papers: \"Fish & <Ships>\"",
        "2026년 4월 21일 (화) 14:40",
        "2026년 4월 22일 (수) 14:00",
        "Asia/Shanghai",
        "상하이 국제회의장",
        "강당 전경 <사진 1>",
        "모집 요강.pdf",
        "1.3 MB",
        "국제협력실 · 이하늘 · 044-000-0000",
        "알림마당 › 행사",
        "□ 많은 참여 바랍니다. <상세문의>",
        "이하늘 님, 안녕하세요.",
        "수신 거부",
        "세종시 가상로 1",
        "하늘정책연구원",
        "언어: 영어",
    ] {
        let escaped = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        assert!(text.contains(part), "{part} is missing from:\n{text}");
        assert!(html.replace("<b>많은</b>", "많은").contains(&escaped), "{part} is missing from:\n{html}");
    }
    assert_eq!(text.matches("■ 행사").count(), 1);
    assert!(html.contains(" lang=\"en\" style"), "the English entry is marked");
    assert!(html.contains("https://allim.example.org/posts/id1"));
}

#[test]
fn without_pages_the_sources_own_are_linked() {
    let bare = Site { public_url: None, contact: None, postal_address: None, name: LocalText::same("연구원") };
    let mut nowhere = post("2", "주소 없는 글", &format!("<p>{}</p>", "가나다라 ".repeat(900)));
    nowhere.url = None;
    let pieces = render(&entries(vec![(post("1", "글", "<p>끝</p>"), "행사"), (nowhere, "행사")]), true, "zh", &bare);
    assert!(pieces.text.contains("\nhttps://board.example.org/view?id=1&p=1\n") && !pieces.text.contains("/posts/"));
    assert_eq!(pieces.text.matches("가나다라").count(), 900, "a body that is nowhere else is never cut");
    assert!(pieces.text.contains("附件") && pieces.text.contains("语言: 韩语"));
}

#[test]
fn posts_and_templates_cannot_forge_or_lose_marks() {
    let forged = "제목\u{10FFF3}\u{10FFF4}끝";
    let body = "<p>\u{10FFF0}&#x10FFF3;본문&#x10FFF4;</p>";
    let pieces = render(&entries(vec![(post("1", forged, body), "행\u{10FFF1}사")]), true, "ko", &site());
    let left = pieces.html_for(Personal::default()) + &pieces.text_for(Personal::default());
    assert!(left.contains("제목끝") && left.contains("본문") && !left.contains(|c| c >= '\u{10FFF0}'));

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mail.txt"), "{{ title }}").unwrap();
    let issue_entries = digest();
    let (language, site, zone) = (language("ko"), site(), jiff::tz::TimeZone::UTC);
    let issue = Issue {
        language: &language,
        schedule_title: "주간",
        is_digest: true,
        site: &site,
        entries: &issue_entries,
        planned_at: UnixMillis(0),
        zone: &zone,
    };
    let error = pieces_error(&issue, &Templates::load(Some(folder.path())).unwrap());
    assert!(error.contains("mail.txt") && error.contains("unsubscribe"), "{error}");
    let empty = Issue { entries: &[], ..issue };
    assert_eq!(pieces_error(&empty, &Templates::load(None).unwrap()), "the edition holds no post");
}

fn pieces_error(issue: &Issue<'_>, templates: &Templates) -> String {
    pieces(issue, templates).unwrap_err().to_string()
}

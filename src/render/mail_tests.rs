use super::*;
use crate::domain::edition::{EditionKind, ItemForm};
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
    let entry = |(post, topic): (Post, &str)| Entry {
        form: ItemForm::Post,
        showable: showable(post),
        topic_title: topic.to_owned(),
        also_titles: vec![],
    };
    posts.into_iter().map(entry).collect()
}

pub(crate) fn render(entries: &[Entry], is_digest: bool, tag: &str, site: &Site) -> Pieces {
    let issue = Issue {
        kind: EditionKind::Issue,
        calendar_authority: None,
        language: &language(tag),
        schedule_title: "주간 소식",
        is_digest,
        is_commercial: false,
        site,
        entries,
        planned_at: UnixMillis(1_776_812_400_000),
        zone: &jiff::tz::TimeZone::get("Asia/Seoul").unwrap(),
        web_copy_url: Some("https://allim.example.org/editions/k.1.m"),
        notes_revisions: true,
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
        manage_url: Some("https://allim.example.org/m/t0ken"),
    };
    let pieces = render(&digest(), true, "ko", &site());
    let (html, text) = (pieces.html_for(personal), pieces.text_for(personal));
    let links = attributes(&html, "href").into_iter().chain(attributes(&html, "src"));
    for link in links.filter(|link| !link.starts_with('#')) {
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
        kind: EditionKind::Issue,
        calendar_authority: None,
        language: &language,
        schedule_title: "주간",
        is_digest: true,
        is_commercial: true,
        site: &site,
        entries: &issue_entries,
        planned_at: UnixMillis(0),
        zone: &zone,
        web_copy_url: None,
        notes_revisions: false,
    };
    let error = pieces_error(&issue, &Templates::load(Some(folder.path())).unwrap());
    assert!(error.contains("mail.txt") && error.contains("unsubscribe"), "{error}");
    let commercial = super::pieces(&issue, &Templates::load(None).unwrap()).unwrap();
    assert!(commercial.subject.starts_with("(광고) 주간"), "{}", commercial.subject);
    let empty = Issue { entries: &[], ..issue };
    assert_eq!(pieces_error(&empty, &Templates::load(None).unwrap()), "the edition holds no post");
}

fn pieces_error(issue: &Issue<'_>, templates: &Templates) -> String {
    pieces(issue, templates).unwrap_err().to_string()
}

/// Posts with pictures, downloads and bodies of `len` characters.
fn many(count: usize, len: usize) -> Vec<Entry> {
    let body = |index: usize| {
        format!("<p>{index}번째 소식의 본문입니다. {}</p>", "물과 사람을 잇는 이야기. ".repeat(len / 15))
    };
    let one = |index: usize| {
        let topic = ["행사", "공지", "연구 성과"][index % 3];
        (post(&index.to_string(), &format!("{index}번째 소식: 한글 제목 & <기호>"), &body(index)), topic)
    };
    entries((0..count).map(one).collect())
}

/// Title, date and link of each post must be in both parts.
fn assert_equal_content(entries: &[Entry], pieces: &Pieces) {
    let (html, text) = (pieces.html_for(Personal::default()), pieces.text_for(Personal::default()));
    for entry in entries {
        let title = entry.showable.post().title.as_str();
        let link = site().post_url(&entry.showable.standing().post_id).unwrap();
        assert!(text.contains(title) && html.contains(&crate::render::templates::escape(title)), "{title}");
        assert!(text.contains(&format!("\n{link}\n")) && html.contains(&format!("href=\"{link}\"")), "{link}");
    }
    let date = "2026년 4월 21일 (화) 14:40";
    assert_eq!((text.matches(date).count(), html.matches(date).count()), (entries.len(), entries.len()));
    let links = attributes(&html, "href").into_iter().chain(attributes(&html, "src"));
    for link in links.filter(|link| !link.starts_with('#')) {
        assert!(text.contains(link.trim_start_matches("mailto:")), "{link} is missing");
    }
}

#[test]
fn twenty_korean_posts_weigh_less_than_gmail_clips_at() {
    let twenty = many(20, 900);
    let pieces = render(&twenty, true, "ko", &site());
    assert!(pieces.html.len() < HTML_LEN_MAX, "{}", pieces.html.len());
    assert!(pieces.html.len() > HTML_LEN_MAX / 2, "the shape is too small to show anything: {}", pieces.html.len());
    assert_equal_content(&twenty, &pieces);
    assert!(pieces.html.contains("차례") && pieces.text.contains("차례"), "a long issue lists its titles");
    for anchor in attributes(&pieces.html, "href").into_iter().filter(|link| link.starts_with('#')) {
        assert!(pieces.html.contains(&format!(" id=\"{}\"", &anchor[1..])), "{anchor}");
    }
    let few = render(&many(CONTENTS_MIN - 1, 900), true, "ko", &site());
    assert!(!few.html.contains("차례") && !few.text.contains("차례"));
}

#[test]
fn what_does_not_fit_is_shortened_and_nothing_is_left_out() {
    for (count, len) in [(40, 1_400), (150, 1_400), (1, 60_000)] {
        let entries = many(count, len);
        let pieces = render(&entries, count > 1, "ko", &site());
        assert!(pieces.html.len() <= HTML_LEN_MAX, "{count}: {}", pieces.html.len());
        assert!(pieces.html.len() > HTML_LEN_MAX * 9 / 10 || count == 1, "{count}: more is cut than need be");
        assert_equal_content(&entries, &pieces);
        assert!(pieces.text.contains("줄여서") && pieces.html.contains("줄여서"), "{count}: readers are told");
        assert_eq!(pieces, render(&entries, count > 1, "ko", &site()), "the same every time");
    }
    // Longer than the limit even as a list of links: sent whole all the same.
    let endless = many(400, 1_400);
    assert_equal_content(&endless, &render(&endless, true, "ko", &site()));
}

#[test]
fn a_mail_says_why_it_came_and_what_was_revised() {
    let mut entries = many(2, 100);
    entries[0].also_titles = vec!["발간물".to_owned(), "공지".to_owned()];
    let mut standing = entries[1].showable.standing().clone();
    standing.revised_at = Some(UnixMillis(1_776_812_000_000));
    entries[1].showable = Showable::public(standing, entries[1].showable.post().clone()).unwrap();
    let pieces = render(&entries, true, "ko", &site());
    for part in [&pieces.html, &pieces.text] {
        assert!(part.contains("‘행사’, ‘발간물’, ‘공지’ 주제를 구독하셔서 보내 드립니다."), "{part}");
        assert_eq!(part.matches("구독하셔서").count(), 2, "once for the mail, once for the post of several topics");
        assert!(part.contains("수정 2026년 4월 22일 (수) 07:53") && part.matches("수정 2026").count() == 1, "{part}");
        assert!(part.contains("https://allim.example.org/editions/k.1.m"), "the web copy is linked");
        assert!(part.contains("https://allim.example.org/posts/id0.ics"), "the event has a calendar file");
    }
    let one = render(&entries[..1], false, "en", &site());
    assert!(one.text.contains("You get this because you follow 행사, 발간물 and 공지.\n"), "{}", one.text);
}

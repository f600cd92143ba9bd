use super::*;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Body;
use crate::domain::text::CleanText;

fn post(format: BodyFormat, content: &str) -> Post {
    let mut post = crate::render::entry::tests::post("p-1", "제목", content);
    post.body = Body { format, content: CleanText::new(content) };
    post.url = Some("https://board.example.org/news/7?x=1".to_owned());
    post.language = Language::parse("ko").unwrap();
    post.published_at = UnixMillis(0);
    post
}

fn from_html(content: &str) -> String {
    html(&post(BodyFormat::Html, content))
}

/// `>` and U+0338 compose to one character: then the tag would go on, and the text would be its attributes.
#[test]
fn a_text_that_begins_with_a_combining_character_stays_out_of_the_tag() {
    let text = "\u{338} onclick=alert(1) x=";
    for (format, content) in [
        (BodyFormat::Html, "<p>&#824; onclick=alert(1) x=</p>"),
        (BodyFormat::Html, "<p>&#x338; onclick=alert(1) x=</p>"),
        (BodyFormat::Markdown, text),
        (BodyFormat::Text, text),
    ] {
        let html = html(&post(format, content));
        assert!(html.contains(&format!("<p>{text}</p>")), "{html}");
    }
}

#[test]
fn nothing_that_runs_survives() {
    let attacks = [
        "<script>alert(1)</script>",
        "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href=' java\tscript:alert(1)'>x</a>",
        "<a href='&#106;avascript:alert(1)'>x</a>",
        "<a href='data:text/html;base64,PHNjcmlwdD4='>x</a>",
        "<img src='data:image/svg+xml,<svg onload=alert(1)>'>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
        "<iframe src='https://evil.example'></iframe>",
        "<form action='https://evil.example'><input name=q><button>go</button></form>",
        "<p style='background:url(https://evil.example)'>x</p>",
        "<style>@import 'https://evil.example'</style>",
        "<base href='https://evil.example/'><meta http-equiv=refresh content='0;url=https://evil.example'>",
        "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
        "<Contact onclick=alert(1)><Contact><img src=x onerror=alert(1)>",
        "<상세 onclick=alert(1)><img src=x onerror=alert(1)></상세>",
        "<object data=x></object><embed src=x><link rel=stylesheet href=x>",
    ];
    for attack in attacks {
        for format in [BodyFormat::Html, BodyFormat::Markdown, BodyFormat::Text] {
            let post = post(format, attack);
            for out in [html(&post), html_for_mail(&post)] {
                // What is left of an attack may be text; what counts is what a browser would take for markup.
                let parsed = Builder::empty().tags(HashSet::new()).clean(&out).to_string();
                let tags = out.matches('<').count();
                let text_only = !parsed.contains('<');
                assert!(text_only, "{attack}: {out}");
                let lower = out.to_ascii_lowercase();
                for bad in
                    ["<script", "<iframe", "<form", "<input", "<svg", "<math", "<style", "<object", "<base", "<meta"]
                {
                    assert!(!lower.contains(bad), "{attack}: {out}");
                }
                for element in lower.split('<').skip(1).filter_map(|part| part.split('>').next()) {
                    for bad in [" onerror", " onclick", " onload", "javascript:", "=\"data:", "evil.example/x.js"] {
                        assert!(!element.contains(bad), "{attack} ({tags} tags): {out}");
                    }
                }
            }
        }
    }
}

#[test]
fn links_are_absolute_or_gone() {
    let out =
        from_html("<a href='../list?p=2'>목록</a> <img src='/a.png' alt='그림'> <a href='mailto:a@example.org'>@</a>");
    assert!(out.contains(r#"<a href="https://board.example.org/list?p=2" rel="noopener">목록</a>"#), "{out}");
    assert!(out.contains(r#"src="https://board.example.org/a.png""#), "{out}");
    assert!(out.contains("mailto:a@example.org"), "{out}");

    let mut without = post(BodyFormat::Html, "<a href='../list'>목록</a><a href='https://ok.example/'>온전</a>");
    without.url = None;
    let out = html(&without);
    assert!(out.contains(r#"<a rel="noopener">목록</a>"#) && out.contains("https://ok.example/"), "{out}");
}

const MARKS: &str = "‧ · □ ○ ＊ ※ ▶ 「정책」 <상세문의> 02-000-0000 </상세문의> 10:00~12:00, 13:00~15:00 ]]>";

#[test]
fn korean_marks_and_words_in_brackets_come_through() {
    for format in [BodyFormat::Html, BodyFormat::Markdown, BodyFormat::Text] {
        let post = post(format, MARKS);
        assert_eq!(text(&post).replace('\n', " "), MARKS, "{format:?}");
        let out = html(&post);
        assert!(
            out.contains("‧ · □ ○ ＊ ※ ▶ 「정책」 &lt;상세문의&gt; 02-000-0000 &lt;/상세문의&gt;"),
            "{format:?}: {out}"
        );
        assert!(out.contains("10:00~12:00, 13:00~15:00 ]]&gt;"), "{format:?}: {out}");
    }
    for format in [BodyFormat::Html, BodyFormat::Markdown] {
        let out = html(&post(format, "□ <Contact> 담당자 <AI 혁신> <b>굵게</b> 3 < 5, <b"));
        assert!(
            out.contains("□ &lt;Contact&gt; 담당자 &lt;AI 혁신&gt; <b>굵게</b> 3 &lt; 5, &lt;b"),
            "{format:?}: {out}"
        );
    }
    assert_eq!(from_html("<Q1> 답 </Q1>"), "&lt;Q1&gt; 답 &lt;/Q1&gt;");
    assert_eq!(from_html("<O:P></O:P><SPAN STYLE='color:red'>글</SPAN><unknown a=1>속</unknown>"), "<span>글</span>속");
}

#[test]
fn plain_text_keeps_its_layout() {
    let post = post(BodyFormat::Text, "첫째 줄\n  □ 들여쓴 <줄> & 끝\n\n둘째 문단");
    assert_eq!(html(&post), "<p>첫째 줄<br>\n&nbsp;&nbsp;□ 들여쓴 &lt;줄&gt; &amp; 끝</p>\n<p>둘째 문단</p>\n");
    assert_eq!(text(&post), post.body.content.as_str());
}

#[test]
fn text_of_html_has_every_word_and_link() {
    let content = "<h2>개요</h2><p>많은 <b>관심</b> 바랍니다. <a href='/apply'>신청하기</a></p>\
                   <table><tr><th>일시</th><th>장소</th></tr><tr><td>4월 22일</td><td>국제회의장</td></tr></table>\
                   <ul><li>하나</li><li>둘</li></ul><img src='/m.png' alt='약도'>";
    let out = text(&post(BodyFormat::Html, content));
    for part in [
        "개요",
        "관심",
        "신청하기 [1]",
        "[1] https://board.example.org/apply",
        "4월 22일",
        "국제회의장",
        "- 하나",
        "[약도] [2]",
        "[2] https://board.example.org/m.png",
    ] {
        assert!(out.contains(part), "{part} is missing:\n{out}");
    }
}

#[test]
fn characters_that_xml_forbids_are_gone() {
    let out = from_html("a&#8;b&#xB;c&#x1F;d");
    assert_eq!(out, "abcd");
}

#[test]
fn a_poster_without_words_is_a_link_in_the_text() {
    let out =
        text(&post(BodyFormat::Html, "<p><img alt='a \" > <b>' src='/poster.jpg?a=1&b=2'><img src='/2.jpg'></p>"));
    assert!(out.contains("[a \" > <b>] [1]") && out.contains("[사진] [2]"), "{out}");
    assert!(
        out.contains("[1] https://board.example.org/poster.jpg?a=1&b=2\n[2] https://board.example.org/2.jpg"),
        "{out}"
    );
}

/// The parser's time grows with the text times its depth, so that what bounds the time is the depth that is left.
#[test]
fn deep_and_hostile_nesting_ends() {
    for unit in ["<div>", "<b>", "<blockquote>", "<ul><li>", "<a href=x>", "<table><td>", "<x a=1>", "<a", "<"] {
        let post = post(BodyFormat::Html, &unit.repeat(60_000 / unit.len()));
        let (html, text) = (html(&post), text(&post));
        let deepest = ["<div", "<blockquote", "<ul"].map(|tag| html.matches(tag).count()).into_iter().max();
        assert!(deepest <= Some(302) && text.len() < 400_000, "{unit}: {deepest:?}, {} octets", text.len());
    }
}

/// Found by throwing random tags at html2text 0.17.4, which looped, panicked, overflowed or took its time over these.
#[test]
fn odd_tables_are_laid_out() {
    for odd in [
        "<table><td>가</td><td><pre>\t</pre></td>",
        "<ol><table><td colspan=3>가<td rowspan=2>",
        "<ul>가<p>나</p></ul><dl>다</dl>",
        "<table><td rowspan=90000>가<td colspan=5000>나",
        "<ol start=99999999999><li>가</ol><ol start=-5><li>나</ol>",
    ] {
        assert!(text(&post(BodyFormat::Html, odd)).contains('가'), "{odd}");
    }
    let table = "<table><tr><td rowspan='2' colspan='3' style='x'>가</td></tr></table>";
    assert!(from_html(table).contains(r#"<td rowspan="2" colspan="3">"#));
}

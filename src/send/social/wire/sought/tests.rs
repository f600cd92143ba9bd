use super::*;
use crate::render::fit::Span;

const URL: &str = "https://board.example.org/read?id=12&p=1";

fn blurb(title: &str, url_in_text: bool) -> Blurb {
    let mut text = format!("{title}\n\n함께 묻습니다.");
    let mut spans = Vec::new();
    if url_in_text {
        text.push_str("\n\n");
        spans.push(Span { kind: Kind::Url, start: text.len(), end: text.len() + URL.len() });
        text.push_str(URL);
    }
    Blurb {
        text,
        spans,
        tags: Vec::new(),
        title: title.to_owned(),
        summary: String::new(),
        url: Some(URL.to_owned()),
        language: "ko".to_owned(),
        image: None,
    }
}

fn likeness(blurb: &Blurb, is_beside: bool, text: &str, beside: &[&str]) -> Likeness {
    Sought::new(blurb, is_beside).likeness(text, beside)
}

#[test]
fn a_text_without_its_address_is_known_by_what_it_says() {
    let own = blurb("토론회 \"지역\"에 초대합니다", false);
    assert_eq!(likeness(&own, false, &own.text, &[]), Likeness::Same);
    assert_eq!(likeness(&own, false, "토론회 &quot;지역&quot;에 초대합니다\n\n함께 묻습니다.", &[]), Likeness::Same);
    assert_eq!(likeness(&own, false, "토론회 &#34;지역&#x22;에 초대합니다\n\n다른 말입니다.", &[]), Likeness::Unclear);
    assert_eq!(likeness(&own, false, "다른 소식", &[]), Likeness::Other);
    // Beside the text it is asked for there.
    assert_eq!(likeness(&own, true, &own.text, &[URL]), Likeness::Same);
    assert_eq!(likeness(&own, true, "다른 소식", &[]), Likeness::Other);
    let silent = Blurb { text: "✨✨".to_owned(), ..blurb("", false) };
    assert_eq!(likeness(&silent, false, "다른 소식", &[]), Likeness::Unclear);
}

#[test]
fn an_address_is_whole_and_its_title_is_the_posts_own() {
    let own = blurb("It's a call", true);
    let html = "It&#39;s a call\n\n… https://board.example.org/read?id=12&amp;p=1";
    assert_eq!(likeness(&own, false, html, &[]), Likeness::Same);
    assert_eq!(likeness(&own, false, &own.text.replace("It's", "Ten of"), &[]), Likeness::Other);
    assert_eq!(likeness(&own, false, &format!("Other\n{URL}23"), &[]), Likeness::Other);
    // The same title with another address may be another post, or an address that the network wrote anew.
    assert_eq!(likeness(&own, false, "It's a call\n\nhttps://t.co/abc", &[&format!("{URL}23")]), Likeness::Unclear);
    assert_eq!(likeness(&own, false, "It's a call\n\nhttps://t.co/abc", &[URL]), Likeness::Same);
    // A name is written anew, and so decides nothing.
    let named = blurb("With @who@social.example", true);
    assert_eq!(likeness(&named, false, &format!("With @who\n\n{URL}"), &[]), Likeness::Unclear);
    for text in ["(https://a.example/x)", "https://a.example/x.", "https://a.example/x/", "\"https://a.example/x\">"] {
        assert!(holds(text, "https://a.example/x") && holds(text, "https://a.example/x."), "{text}");
    }
    for text in ["https://a.example/x.html", "https://a.example/xy", "https://a.example/x/y", "https://a.example/x?y"] {
        assert!(!holds(text, "https://a.example/x"), "{text}");
    }
}

#[test]
fn the_text_of_mastodons_html_is_what_readers_see() {
    let html = "<p>토론회 <a href=\"https://s.example/tags/x\">#<span>혁신</span></a><br />둘째</p><p>\
                <a href=\"https://a.kr/x\"><span class=\"invisible\">https://</span><span>a.kr/x</span></a>.</p>";
    assert_eq!(without_tags(html), "토론회 #혁신\n둘째\nhttps://a.kr/x.\n");
}

//! HTML as a browser's parser reads it: what a post holds may stand there as text and never act.

use allim::domain::post::Showable;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use scraper::{ElementRef, Html, Selector};

/// What runs, loads, sends or takes the place of the page; `link`, `meta` and `title` stand in the heads of ours alone.
const FORBIDDEN: &str = "script:not([type='application/ld+json']), iframe, frame, object, embed, applet, base, svg, math, portal, \
    template, noscript, video, audio, textarea, select, plaintext, xmp, [style*='position'], [srcdoc], [background], body link, body meta";

fn all<'a>(html: &'a Html, selector: &str) -> Vec<ElementRef<'a>> {
    html.select(&Selector::parse(selector).expect("a selector")).collect()
}

fn text(element: &ElementRef<'_>) -> String {
    element.text().collect()
}

/// A document or a part of one in which nothing can act.
fn harmless(html: &Html, forbidden: &str) -> Result<(), TestCaseError> {
    let found: Vec<String> = all(html, forbidden).iter().map(ElementRef::html).collect();
    prop_assert!(found.is_empty(), "{:?}", found);
    for element in html.root_element().descendants().filter_map(ElementRef::wrap) {
        for (name, value) in element.value().attrs() {
            prop_assert!(!name.starts_with("on"), "{} of {}", name, element.value().name());
            if ["href", "src", "action", "formaction", "poster", "cite"].contains(&name) {
                let value = value.trim_start().to_ascii_lowercase();
                let is_known = ["https://", "http://", "mailto:", "tel:", "/", "#", "cid:"]
                    .iter()
                    .any(|known| value.starts_with(known));
                prop_assert!(is_known || !value.contains(':'), "{name}={value}");
            }
        }
    }
    Ok(())
}

/// The content of an entry: no styles, no forms, no address that is relative to nothing.
pub fn fragment(html: &str, showable: &Showable) -> Result<(), TestCaseError> {
    let read = Html::parse_fragment(html);
    harmless(&read, &format!("{FORBIDDEN}, style, form, input, button, [style]"))?;
    prop_assert!(!html.chars().any(|c| c.is_control() && !"\n\t".contains(c)), "a control character");
    for element in all(&read, "[href], [src]") {
        let address = element.attr("href").or(element.attr("src")).unwrap_or_default();
        prop_assert!(address.contains(':'), "{address} is relative to nothing");
    }
    prop_assert_eq!(
        all(&read, "p.event").len() >= usize::from(showable.post().event.is_some()),
        true,
        "the event is missing"
    );
    Ok(())
}

/// Any page of ours on which a post's title stands, or the word that it begins with.
pub fn document(html: &str, mark: &str) -> Result<(), TestCaseError> {
    let read = Html::parse_document(html);
    harmless(&read, FORBIDDEN)?;
    prop_assert!(all(&read, "main").iter().any(|main| text(main).contains(mark)), "{} isn't there", mark);
    Ok(())
}

/// The page of a post: its title is its heading, and machines read the same.
pub fn post(html: &str, showable: &Showable) -> Result<(), TestCaseError> {
    let read = Html::parse_document(html);
    harmless(&read, FORBIDDEN)?;
    let title = showable.post().title.line();
    let headings = all(&read, "article > h1");
    prop_assert_eq!(headings.iter().map(text).collect::<Vec<_>>(), vec![title.as_str().to_owned()]);
    prop_assert!(text(&all(&read, "head > title")[0]).starts_with(title.as_str()));
    let card = all(&read, "head > meta[property='og:title']");
    prop_assert_eq!(card.first().and_then(|meta| meta.attr("content")), Some(title.as_str()));
    // What stands around the post is ours: nothing of it ends up outside its article, and no form is in it.
    prop_assert_eq!((all(&read, "main > article").len(), all(&read, "article form, article style").len()), (1, 0));
    prop_assert_eq!(all(&read, "body > header.site + main").len(), 1);
    let linked = all(&read, "head > script[type='application/ld+json']");
    prop_assert_eq!(linked.len(), 1);
    let linked: serde_json::Value =
        serde_json::from_str(&text(&linked[0])).map_err(|error| TestCaseError::fail(format!("JSON-LD: {error}")))?;
    let told = all_named(&linked, "headline");
    prop_assert!(
        told.iter().any(|headline| title.as_str().starts_with(headline.trim_end_matches('…').trim_end())),
        "{:?}",
        told
    );
    let files = showable.post().attachments.len();
    prop_assert_eq!(all(&read, "table.files tbody tr").len(), files);
    Ok(())
}

/// Every text of this name in a JSON value.
fn all_named<'a>(value: &'a serde_json::Value, name: &str) -> Vec<&'a str> {
    match value {
        serde_json::Value::Object(map) => {
            let own = map.get(name).and_then(|value| value.as_str());
            own.into_iter().chain(map.values().flat_map(|value| all_named(value, name))).collect()
        }
        serde_json::Value::Array(list) => list.iter().flat_map(|value| all_named(value, name)).collect(),
        _ => Vec::new(),
    }
}

/// A list in which the post is a line.
pub fn front(html: &str, showable: &Showable) -> Result<(), TestCaseError> {
    let read = Html::parse_document(html);
    harmless(&read, FORBIDDEN)?;
    let lines: Vec<String> = all(&read, "ul.posts li a").iter().map(text).collect();
    prop_assert_eq!(lines, vec![showable.post().title.line().as_str().to_owned()]);
    Ok(())
}

/// The HTML of a mail. Its layout is its own, in styles.
pub fn letter(html: &str) -> Result<(), TestCaseError> {
    harmless(&Html::parse_document(html), &format!("{FORBIDDEN}, form, input, button"))
}

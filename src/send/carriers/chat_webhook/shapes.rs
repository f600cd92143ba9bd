//! What a room is shown: title as a link, the text below it, the picture. Each escapes in its own way, so that no post can write a mention
//! of everybody, or markup of its own.

use crate::render::blurb::{Blurb, Picture};
use crate::render::fit::beginning;
use serde_json::{Value, json};

/// Characters of a section at most are 3,000; `&` takes five once it is escaped, and a title stands above.
pub(super) const SLACK_TEXT_MAX: usize = 2_000;
/// Characters of an embed's description at most are 4,096; each may be escaped.
pub(super) const DISCORD_TEXT_MAX: usize = 2_000;
/// Octets of a card at most are 28,000, its fallback and its frame included.
pub(super) const TEAMS_TEXT_MAX: usize = 8_000;
/// Characters of a section of Slack.
const SECTION_MAX: usize = 3_000;
/// Characters of a title that is a link: what is longer is cut at a word.
const TITLE_MAX: usize = 240;

/// Slack reads three characters as markup (<https://docs.slack.dev/messaging/formatting-message-text#escaping>); the signs of emphasis
/// can't be escaped, and stay: they emphasise at most.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub(super) fn slack(blurb: &Blurb, image: Option<&Picture>) -> Value {
    let title = slack_text(&beginning(&blurb.title, TITLE_MAX)).replace('|', "¦");
    let head = match &blurb.url {
        // An address holds none of these three but `&`, which Slack wants escaped too.
        Some(url) => format!("*<{}|{title}>*", slack_text(url).replace('|', "%7C")),
        None => format!("*{title}*"),
    };
    let mut text = head.clone();
    if !blurb.text.is_empty() {
        text = format!("{head}\n{}", slack_text(&blurb.text));
    }
    // An address of great length would leave no room for the text.
    let text = if text.chars().count() > SECTION_MAX { head } else { text };
    let mut blocks = vec![json!({ "type": "section", "text": { "type": "mrkdwn", "text": text } })];
    if let Some(image) = image {
        let alt = if image.alt.is_empty() { &blurb.title } else { &image.alt };
        blocks.push(json!({ "type": "image", "image_url": image.url, "alt_text": beginning(alt, 1_900) }));
    }
    json!({ "text": slack_text(&blurb.title), "blocks": blocks, "unfurl_links": false, "unfurl_media": false })
}

/// Discord's Markdown (<https://docs.discord.com/developers/reference#message-formatting>): each sign after a backslash is itself.
fn discord_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '>' | '#' | '[' | ']' | '(' | ')' | '<' | '-') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub(super) fn discord(blurb: &Blurb, image: Option<&Picture>) -> Value {
    let mut embed = json!({
        "title": beginning(&blurb.title, TITLE_MAX), "description": discord_text(&blurb.text),
    });
    if let Some(url) = &blurb.url {
        embed["url"] = json!(url);
    }
    if let Some(image) = image {
        embed["image"] = json!({ "url": image.url });
    }
    // Nobody is called, whatever a post says.
    json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } })
}

/// Text of an adaptive card is Markdown (<https://learn.microsoft.com/adaptive-cards/authoring-cards/text-features>).
fn teams_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if matches!(c, '\\' | '*' | '_' | '[' | ']' | '(' | ')' | '#' | '`' | '~' | '-' | '+') {
            out.push('\\');
        }
        out.push_str(match c {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            // One line end alone is none.
            '\n' => "\n\n",
            _ => {
                out.push(c);
                continue;
            }
        });
    }
    out
}

pub(super) fn teams(blurb: &Blurb, image: Option<&Picture>) -> Value {
    let title = teams_text(&beginning(&blurb.title, TITLE_MAX));
    let block = |text: String, more: Value| {
        let mut block = json!({ "type": "TextBlock", "text": text, "wrap": true });
        if let (Some(block), Value::Object(more)) = (block.as_object_mut(), more) {
            block.extend(more);
        }
        block
    };
    let mut body = vec![block(title, json!({ "weight": "Bolder", "size": "Medium" }))];
    if !blurb.text.is_empty() {
        body.push(block(teams_text(&blurb.text), json!({})));
    }
    if let Some(image) = image {
        body.push(json!({ "type": "Image", "url": image.url, "altText": image.alt, "size": "Stretch" }));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "body": body, "lang": blurb.language,
    });
    if let Some(url) = &blurb.url {
        card["actions"] = json!([{ "type": "Action.OpenUrl", "title": host(url), "url": url }]);
        card["selectAction"] = json!({ "type": "Action.OpenUrl", "url": url });
    }
    json!({
        "type": "message",
        "attachments": [{ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card }],
    })
}

/// What a button says: where it leads, in any language.
fn host(url: &str) -> String {
    url::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blurb() -> Blurb {
        Blurb {
            text: "<!channel> @everyone *굵게* [여기](https://evil.example)\n둘째 줄 & 끝".to_owned(),
            spans: Vec::new(),
            tags: Vec::new(),
            title: "제목 <script> | #1".to_owned(),
            summary: String::new(),
            url: Some("https://a.example/?a=1&b=2".to_owned()),
            language: "ko".to_owned(),
            image: None,
        }
    }

    #[test]
    fn no_post_calls_a_channel_or_writes_markup() {
        let slack = slack(&blurb(), None);
        let text = slack["blocks"][0]["text"]["text"].as_str().expect("a text");
        assert!(
            text.starts_with("*<https://a.example/?a=1&amp;b=2|제목 &lt;script&gt; ¦ #1>*\n&lt;!channel&gt;"),
            "{text}"
        );
        let discord = discord(&blurb(), None);
        assert_eq!(discord["allowed_mentions"]["parse"], json!([]));
        let text = discord["embeds"][0]["description"].as_str().expect("a text");
        assert!(text.contains(r"\*굵게\* \[여기\]\(https"), "{text}");
        let teams = teams(&blurb(), None);
        let card = &teams["attachments"][0]["content"];
        assert!(
            card["body"][1]["text"]
                .as_str()
                .is_some_and(|text| text.contains(r"\[여기\]\(") && text.contains("\n\n둘째"))
        );
        assert_eq!(card["actions"][0]["title"], "a.example");
    }
}

//! A post that somebody is writing: the fields of the composer's form, and the message that they become. Nothing is judged here: the
//! message passes the same door as any (`intake/decode.rs`), which names what is wrong.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The fields as they were written. An empty text is a field that was left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// The id that the post has or will have at its source.
    pub source_id: String,
    /// What the variants of several languages share.
    pub story: String,
    /// Its language.
    pub language: String,
    /// One line.
    pub title: String,
    /// A paragraph.
    pub summary: String,
    /// `markdown`; of posts that a content system wrote, their own.
    pub format: String,
    /// The text.
    pub body: String,
    /// Topics.
    pub topics: Vec<String>,
    /// Tags, with commas between them.
    pub tags: String,
    /// The path of headings, with `>` between them.
    pub breadcrumb: String,
    /// Who signs it.
    pub author: String,
    /// Its page on another site.
    pub url: String,
    /// When it counts as published: RFC 3339, or the site's own time; empty for the moment of publication.
    pub published_at: String,
    /// Not to be shown before.
    pub embargo_until: String,
    /// Not to be shown from then on.
    pub expires_at: String,
    /// Whether its mail is urgent.
    pub urgent: bool,
    /// Whom to ask: office, person, telephone, mail.
    pub contact: [String; 4],
    /// An event: begin, end, zone, place, page.
    pub event: [String; 5],
    /// Languages in which variants are to follow.
    pub languages_expected: Vec<String>,
    /// Pictures.
    pub images: Vec<Picture>,
    /// Downloads.
    pub attachments: Vec<Download>,
    /// What a post had that the form doesn't know, kept as it was: `license`, `views`.
    pub others: Map<String, Value>,
}

/// A picture of a draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Picture {
    /// Where it is.
    pub url: String,
    /// For those who can't see it.
    pub alt: String,
    /// Under it.
    pub caption: String,
    /// Such as `image/jpeg`.
    pub media_type: Option<String>,
    /// Octets.
    pub bytes: Option<i64>,
}

/// A download of a draft.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Download {
    /// Where it is.
    pub url: String,
    /// Its name as shown.
    pub name: String,
    /// Such as `application/pdf`.
    pub media_type: Option<String>,
    /// Octets.
    pub bytes: Option<i64>,
}

impl Draft {
    /// The post in the words of the wire. `now` (RFC 3339) is when it counts as published, unless the draft says so itself;
    /// `instant` makes an instant of a time as it was written.
    #[must_use]
    pub fn message(&self, now: &str, instant: impl Fn(&str) -> String) -> Value {
        let mut post = self.others.clone();
        let mut put = |key: &str, value: Value| {
            let is_empty = match &value {
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(fields) => fields.is_empty(),
                other => other.is_null(),
            };
            if !is_empty {
                post.insert(key.to_owned(), value);
            }
        };
        let at = |text: &str| if text.is_empty() { String::new() } else { instant(text) };
        let published = at(&self.published_at);
        put("id", json!(self.source_id));
        put("story", json!(self.story));
        put("language", json!(self.language));
        put("title", json!(self.title));
        put("summary", json!(self.summary));
        put(
            "body",
            json!({ "format": if self.format.is_empty() { "markdown" } else { &self.format }, "content": self.body }),
        );
        put("topics", json!(self.topics));
        put("tags", json!(parts(&self.tags, ',')));
        put("breadcrumb", json!(parts(&self.breadcrumb, '>')));
        put("author", named(&["name"], std::slice::from_ref(&self.author)));
        put("url", json!(self.url));
        put("published_at", json!(if published.is_empty() { now } else { &published }));
        put("embargo_until", json!(at(&self.embargo_until)));
        put("expires_at", json!(at(&self.expires_at)));
        put("priority", json!(if self.urgent { "urgent" } else { "" }));
        put("contact", named(&["department", "name", "phone", "email"], &self.contact));
        put("event", named(&["starts_at", "ends_at", "time_zone", "location", "url"], &self.event));
        put("languages_expected", json!(self.languages_expected));
        put("images", self.images.iter().map(Picture::value).collect());
        put("attachments", self.attachments.iter().map(Download::value).collect());
        Value::Object(post)
    }

    /// The draft of a post as it was taken in, for a revision of it.
    #[must_use]
    pub fn of(post: &super::post::Post) -> Self {
        let text = |text: &Option<super::text::CleanText>| text.as_ref().map(ToString::to_string).unwrap_or_default();
        let instant = |at: Option<super::clock::UnixMillis>| at.map(|at| at.to_string()).unwrap_or_default();
        let contact = post.contact.clone().unwrap_or_default();
        let event = post.event.as_ref().map(|event| {
            [
                String::from(event.starts_at),
                event.ends_at.map(String::from).unwrap_or_default(),
                event.time_zone.clone().unwrap_or_default(),
                text(&event.location),
                event.url.clone().unwrap_or_default(),
            ]
        });
        let mut others = Map::new();
        if let Some(license) = &post.license {
            others.insert("license".to_owned(), json!(license.to_string()));
        }
        if let Some(views) = post.views {
            others.insert("views".to_owned(), json!(views));
        }
        let picture = |image: &super::post::Image| Picture {
            url: image.url.clone(),
            alt: text(&image.alt),
            caption: text(&image.caption),
            media_type: image.media_type.clone(),
            bytes: image.bytes,
        };
        let download = |file: &super::post::Attachment| Download {
            url: file.url.clone(),
            name: file.name.to_string(),
            media_type: file.media_type.clone(),
            bytes: file.bytes,
        };
        Self {
            source_id: post.source_id.clone(),
            story: post.story.clone().unwrap_or_default(),
            language: post.language.to_string(),
            title: post.title.to_string(),
            summary: text(&post.summary),
            format: serde_json::to_value(post.body.format)
                .ok()
                .and_then(|v| Some(v.as_str()?.to_owned()))
                .unwrap_or_default(),
            body: post.body.content.to_string(),
            topics: post.topics.clone(),
            tags: post.tags.join(", "),
            breadcrumb: post.breadcrumb.iter().map(ToString::to_string).collect::<Vec<_>>().join(" > "),
            author: text(&post.author),
            url: post.url.clone().unwrap_or_default(),
            published_at: post.published_at.to_string(),
            embargo_until: instant(post.embargo_until),
            expires_at: instant(post.expires_at),
            urgent: post.urgent,
            contact: [text(&contact.department), text(&contact.name), text(&contact.phone), text(&contact.email)],
            event: event.unwrap_or_default(),
            languages_expected: post.languages_expected.iter().map(ToString::to_string).collect(),
            images: post.images.iter().map(picture).collect(),
            attachments: post.attachments.iter().map(download).collect(),
            others,
        }
    }
}

impl Picture {
    fn value(&self) -> Value {
        let mut value = named(&["url", "alt", "caption"], &[self.url.clone(), self.alt.clone(), self.caption.clone()]);
        sized(&mut value, self.media_type.as_deref(), self.bytes);
        value
    }
}

impl Download {
    fn value(&self) -> Value {
        let mut value = named(&["url", "name"], &[self.url.clone(), self.name.clone()]);
        sized(&mut value, self.media_type.as_deref(), self.bytes);
        value
    }
}

fn sized(value: &mut Value, media_type: Option<&str>, bytes: Option<i64>) {
    if let Some(media_type) = media_type {
        value["media_type"] = json!(media_type);
    }
    if let Some(bytes) = bytes {
        value["bytes"] = json!(bytes);
    }
}

fn named(names: &[&str], texts: &[String]) -> Value {
    let given = names.iter().zip(texts).filter(|(_, text)| !text.is_empty());
    Value::Object(given.map(|(name, text)| ((*name).to_owned(), json!(text))).collect())
}

fn parts(text: &str, mark: char) -> Vec<&str> {
    text.split(mark).map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_out_isnt_in_the_message() {
        let draft = Draft {
            source_id: "a".to_owned(),
            title: "제목".to_owned(),
            tags: "하나, ,둘".to_owned(),
            breadcrumb: "알림 > 행사".to_owned(),
            expires_at: "2026-12-01T09:00".to_owned(),
            ..Draft::default()
        };
        let message = draft.message("2026-11-24T00:00:00Z", |text| format!("{text}:00+09:00"));
        let expected = json!({ "id": "a", "title": "제목", "tags": ["하나", "둘"], "breadcrumb": ["알림", "행사"],
            "published_at": "2026-11-24T00:00:00Z", "expires_at": "2026-12-01T09:00:00+09:00",
            "body": { "format": "markdown", "content": "" } });
        assert_eq!(message, expected);
    }
}

//! A post as its source writes it.

use super::house::SOURCE;
use allim::domain::clock::UnixMillis;
use allim::domain::ids;
use allim::domain::post::TAG_PREFIX;
use allim::intake::wire::{EventKind, Incoming};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What the tests vary of a post.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) source_id: String,
    pub(super) story: Option<String>,
    pub(super) language: &'static str,
    pub(super) languages_expected: Vec<&'static str>,
    /// Boards and tags, as subscriptions name them.
    pub(super) topics: BTreeSet<&'static str>,
    pub(super) title: String,
    pub(super) published_at: UnixMillis,
    pub(super) embargo_until: Option<UnixMillis>,
    pub(super) expires_at: Option<UnixMillis>,
    pub(super) urgent: bool,
    pub(super) revision: Option<i64>,
}

impl Draft {
    /// A post that is its own story and may be shown since a minute ago.
    pub(super) fn new(source_id: &str, language: &'static str, topics: &[&'static str], now: UnixMillis) -> Self {
        Self {
            source_id: source_id.to_owned(),
            story: None,
            language,
            languages_expected: Vec::new(),
            topics: topics.iter().copied().collect(),
            title: format!("{source_id} as first written"),
            published_at: now.minus(Duration::from_secs(60)),
            embargo_until: None,
            expires_at: None,
            urgent: false,
            revision: None,
        }
    }

    pub(super) fn public_due_at(&self) -> UnixMillis {
        self.embargo_until.map_or(self.published_at, |until| until.max(self.published_at))
    }

    pub(super) fn post_id(&self) -> String {
        ids::post_id(SOURCE, &self.source_id)
    }

    pub(super) fn story_id(&self) -> String {
        self.story.as_ref().map_or_else(|| self.post_id(), |story| ids::story_id(SOURCE, story))
    }

    fn data(&self) -> Value {
        let at = |at: Option<UnixMillis>| at.map(|at| at.to_string());
        let (tags, boards): (Vec<&str>, Vec<&str>) =
            self.topics.iter().partition(|topic| topic.starts_with(TAG_PREFIX));
        let tags: Vec<_> = tags.iter().filter_map(|tag| tag.strip_prefix(TAG_PREFIX)).collect();
        json!({
            "id": self.source_id, "story": self.story, "language": self.language, "title": self.title,
            "languages_expected": self.languages_expected, "topics": boards, "tags": tags,
            "published_at": self.published_at.to_string(), "embargo_until": at(self.embargo_until),
            "expires_at": at(self.expires_at), "priority": if self.urgent { "urgent" } else { "normal" },
            "revision": self.revision, "body": { "format": "text", "content": "A text." },
        })
    }

    /// The message without an envelope, which counts as published.
    pub(super) fn bare(&self) -> Incoming {
        incoming("application/json", &self.data())
    }

    /// The message as an event.
    pub(super) fn event(&self, kind: EventKind, event_id: &str) -> Incoming {
        event(kind, event_id, &self.data())
    }
}

/// The event that takes a post back.
pub(super) fn withdrawal(source_id: &str, event_id: &str) -> Incoming {
    event(EventKind::Withdrawn, event_id, &json!({ "id": source_id }))
}

fn event(kind: EventKind, event_id: &str, data: &Value) -> Incoming {
    let envelope = json!({
        "specversion": "1.0", "type": kind.type_name(), "source": "urn:example:board", "id": event_id, "data": data,
    });
    incoming("application/cloudevents+json", &envelope)
}

fn incoming(content_type: &str, body: &Value) -> Incoming {
    Incoming {
        source: SOURCE.to_owned(),
        content_type: Some(content_type.to_owned()),
        headers: Vec::new(),
        bytes: body.to_string().into_bytes(),
    }
}

//! From the bytes of a message to an [`Event`], or to the reason why not and what its sender can do. Pure: whether
//! the event was seen before, and what it changes, is asked of the store.

mod envelope;
mod post;
#[cfg(test)]
mod tests;
mod when;

use super::fields::{Fault, Fields, Repairs};
use super::wire::{
    CAPTION_CHARS_MAX, Change, Event, EventKind, ID_CHARS_MAX, Incoming, REVISION_MAX, RejectReason, Rejection,
    SourcePolicy,
};
use crate::domain::ids::content_hash;
use envelope::Letter;
use serde_json::{Map, Value};

/// Reads a message.
///
/// # Errors
/// The first thing that is wrong with it, with its path and the fix.
pub fn decode(incoming: &Incoming, policy: &SourcePolicy) -> Result<Event, Box<Rejection>> {
    let mut known = Known::default();
    read(incoming, policy, &mut known).map_err(|fault| {
        let Known { event_id, source_id, kind } = known;
        Box::new(Rejection { event_id, source_id, kind, ..fault.rejection() })
    })
}

/// What is known of a message when reading it fails.
#[derive(Default)]
pub struct Known {
    event_id: Option<String>,
    source_id: Option<String>,
    kind: Option<EventKind>,
}

fn read(incoming: &Incoming, policy: &SourcePolicy, known: &mut Known) -> Result<Event, Fault> {
    let Letter { kind, event_source, event_id, came_through, data, path } = envelope::open(incoming, policy, known)?;
    known.source_id = id_in(&data);
    let repairs = Repairs::default();
    let fields = Fields::root(&data, path, &repairs);
    let source_id = fields.required("id", "write the id that the source knows the post by")?.key(ID_CHARS_MAX)?;
    let mut has_default_topics = false;
    let (change, content, content_hash, revision) = match kind {
        EventKind::Withdrawn => {
            let reason = fields.optional_line("reason", CAPTION_CHARS_MAX)?;
            (Change::Withdrawn { reason }, String::new(), hash_of(&(kind.word(), &source_id), path)?, None)
        }
        EventKind::Published | EventKind::Revised => {
            let revision = fields.optional("revision", |field| field.integer(1..=REVISION_MAX))?;
            let mut post = Box::new(post::read(&fields, source_id.clone(), policy)?);
            // Hashed before the default topics come in: a new default is no new content of the source.
            let mut content = json_of(&post, path)?;
            let hash = content_hash(content.as_bytes());
            if post.topics.is_empty() && !policy.topics_default.is_empty() {
                post.topics.clone_from(&policy.topics_default);
                has_default_topics = true;
                content = json_of(&post, path)?;
            }
            // Nor does the way by which it came make it another post.
            if !came_through.is_empty() {
                post.path = came_through;
                content = json_of(&post, path)?;
            }
            if post.topics.is_empty() {
                return Err(fields.missing("topics", "name a topic, or give the source `topics` in the configuration"));
            }
            let change = if kind == EventKind::Revised { Change::Revised(post) } else { Change::Published(post) };
            (change, content, hash, revision)
        }
    };
    let event_id = match event_id {
        Some(event_id) => event_id,
        None => format!("sha256:{}", hash_of(&(kind.word(), &source_id, revision, &content_hash), path)?),
    };
    let source = policy.name.clone();
    let repairs = repairs.take();
    Ok(Event {
        source,
        event_source,
        event_id,
        content_hash,
        source_id,
        revision,
        change,
        content,
        has_default_topics,
        repairs,
    })
}

/// The post's id, if it can be told.
fn id_in(data: &Map<String, Value>) -> Option<String> {
    let repairs = Repairs::default();
    Fields::root(data, "", &repairs).get("id").and_then(|field| field.key(ID_CHARS_MAX).ok())
}

/// SHA-256 of the value's JSON. The order of its fields is that of their declaration, so equal values hash equally.
fn hash_of(value: &impl serde::Serialize, path: &str) -> Result<String, Fault> {
    Ok(content_hash(json_of(value, path)?.as_bytes()))
}

fn json_of(value: &impl serde::Serialize, path: &str) -> Result<String, Fault> {
    serde_json::to_string(value)
        .map_err(|_| Fault::new(RejectReason::BadField, path, "can't be written as JSON again; report this"))
}

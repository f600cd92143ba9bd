//! What partner institutions are told of a post, in the format of their choice. Whatever the format, it is a CloudEvent: with the post
//! in the wire format as its data, so that another allim takes it in; or, in binary mode, with an entry of another kind.

mod activity;

use super::RenderError;
use super::feed::{House, Tombstone, alone};
use super::templates::Templates;
use crate::domain::allim_path;
use crate::domain::clock::UnixMillis;
use crate::domain::partner::{Format, Happened};
use crate::domain::post::Showable;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The media type of a CloudEvent that holds its data (structured mode).
pub const CLOUD_EVENT: &str = "application/cloudevents+json";
/// The type of what `allim partner test` sends.
pub const PING: &str = "org.allim.ping.v1";

/// What is told.
#[derive(Clone, Copy)]
pub enum Told<'a> {
    /// A post as it is, or will be.
    Post(&'a Showable),
    /// A post that was withdrawn.
    Gone(&'a Tombstone),
}

/// An event as it is kept and carried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// The media type of the body.
    pub media_type: String,
    /// Attributes of the CloudEvent, but for those that the media type tells.
    pub attributes: BTreeMap<String, String>,
    /// The body: of a CloudEvent its data; of other formats the document.
    pub body: String,
}

impl Written {
    /// The event in one document, with its attributes. `None` where the body isn't JSON: then attributes go in header fields.
    #[must_use]
    pub fn structured(&self) -> Option<String> {
        let data: Value = serde_json::from_str(&self.body).ok()?;
        let mut event: Map<String, Value> =
            self.attributes.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        event.insert("datacontenttype".to_owned(), self.media_type.clone().into());
        event.insert("data".to_owned(), data);
        Some(Value::Object(event).to_string())
    }

    /// As it is kept with its edition.
    #[must_use]
    pub fn keep(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`Written::keep`] wrote.
    #[must_use]
    pub fn read(kept: &str) -> Option<Self> {
        serde_json::from_str(kept).ok()
    }

    /// Whether it is the post in the wire format.
    #[must_use]
    pub fn is_wire(&self) -> bool {
        self.media_type == "application/json"
    }
}

/// Writes an event. `travelled` are the installations through which it came here.
///
/// # Errors
/// [`RenderError`]; a repeat would end the same.
pub fn write(
    house: &House,
    (format, happened): (Format, Happened),
    told: Told<'_>,
    travelled: &[String],
    templates: &Templates,
) -> Result<Written, RenderError> {
    let attributes = attributes(house, happened, told, travelled);
    let happening = activity::Happening { house, happened, at: at(happened, told) };
    let (media_type, body) = match (format, told) {
        (Format::CloudEvent, _) => ("application/json", data(house, told).to_string()),
        (Format::JsonFeed, Told::Post(post)) => {
            let mut item = alone::json_item(house, post, templates)?;
            if happened == Happened::Embargoed {
                // Beside the way that it came.
                item["_allim"]["embargo_until"] = json!(post.post().public_due_at().to_string());
            }
            ("application/feed+json", item.to_string())
        }
        (Format::JsonFeed, Told::Gone(gone)) => ("application/feed+json", alone::json_gone(house, gone).to_string()),
        (Format::Atom, Told::Post(post)) => {
            ("application/atom+xml; type=entry", alone::atom_entry(house, post, templates)?)
        }
        (Format::Atom, Told::Gone(gone)) => ("application/atomdeleted+xml", alone::atom_gone(house, gone)),
        (Format::ActivityStreams, Told::Post(post)) => {
            ("application/activity+json", happening.of_post(post, templates)?.to_string())
        }
        (Format::ActivityStreams, Told::Gone(gone)) => {
            ("application/activity+json", happening.of_gone(gone).to_string())
        }
    };
    Ok(Written { media_type: media_type.to_owned(), attributes, body })
}

/// The event by which somebody tries whether a way works. It speaks of no post.
#[must_use]
pub fn ping(house: &House, id: &str, now: UnixMillis) -> Written {
    let said = [
        ("specversion", "1.0".to_owned()),
        ("type", PING.to_owned()),
        ("source", source(house)),
        ("id", id.to_owned()),
        ("time", now.to_string()),
    ];
    let attributes = said.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let site = house.site.name.get(&house.languages[0]);
    Written { media_type: "application/json".to_owned(), attributes, body: json!({ "site": site }).to_string() }
}

/// Who tells: the same for good, whatever address it moves to (RFC 4151).
#[must_use]
pub fn source(house: &House) -> String {
    format!("tag:{}:posts", house.tag_authority)
}

/// The type of an event. What comes under an embargo is published, and says until when it isn't to be shown.
#[must_use]
pub fn type_of(happened: Happened) -> &'static str {
    match happened {
        Happened::Published | Happened::Embargoed => "org.allim.post.published.v1",
        Happened::Revised => "org.allim.post.revised.v1",
        Happened::Withdrawn => "org.allim.post.withdrawn.v1",
    }
}

/// The id of an event: the same whenever and to whomever it is told.
fn id(happened: Happened, told: Told<'_>) -> String {
    match told {
        Told::Post(post) => format!("{}/{}/{happened}", post.standing().post_id, post.standing().revision),
        Told::Gone(gone) => format!("{}/{}", gone.post_id, Happened::Withdrawn),
    }
}

/// When it happened.
fn at(happened: Happened, told: Told<'_>) -> UnixMillis {
    match told {
        Told::Gone(gone) => gone.withdrawn_at,
        Told::Post(post) => {
            let standing = post.standing();
            match happened {
                Happened::Published => standing.public_at.unwrap_or(post.post().published_at),
                Happened::Embargoed => standing.received_at,
                Happened::Revised | Happened::Withdrawn => standing.revised_at.unwrap_or(standing.received_at),
            }
        }
    }
}

fn attributes(house: &House, happened: Happened, told: Told<'_>, travelled: &[String]) -> BTreeMap<String, String> {
    let (post_id, embargo) = match told {
        Told::Post(post) => {
            let until = (happened == Happened::Embargoed).then(|| post.post().public_due_at().to_string());
            (&post.standing().post_id, until)
        }
        Told::Gone(gone) => (&gone.post_id, None),
    };
    let said = [
        ("specversion", Some("1.0".to_owned())),
        ("type", Some(type_of(happened).to_owned())),
        ("source", Some(source(house))),
        ("id", Some(id(happened, told))),
        ("time", Some(at(happened, told).to_string())),
        ("subject", Some(post_id.clone())),
        (allim_path::ATTRIBUTE, Some(path(travelled, &house.tag_authority))),
        ("allimembargo", embargo),
    ];
    said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// Through whom it came, and ourselves last.
fn path(travelled: &[String], tag_authority: &str) -> String {
    let whole: Vec<String> = travelled.iter().cloned().chain([allim_path::name_of(tag_authority)]).collect();
    allim_path::written(&whole)
}

/// The post in the wire format, under our own ids: two sources may call different posts the same.
fn data(house: &House, told: Told<'_>) -> Value {
    let showable = match told {
        Told::Post(showable) => showable,
        Told::Gone(gone) => return json!({ "id": gone.post_id }),
    };
    let (post, standing) = (showable.post(), showable.standing());
    let Ok(Value::Object(mut data)) = serde_json::to_value(post) else { return Value::Null };
    data.remove("source_id");
    data.remove("path");
    data.insert("id".to_owned(), standing.post_id.clone().into());
    data.insert("revision".to_owned(), standing.revision.into());
    if post.story.is_some() {
        data.insert("story".to_owned(), standing.story_id.clone().into());
    }
    for name in ["published_at", "updated_at", "embargo_until", "expires_at"] {
        if let Some(at) = data.get_mut(name)
            && let Some(millis) = at.as_i64()
        {
            *at = UnixMillis(millis).to_string().into();
        }
    }
    if data.remove("urgent").is_some() {
        data.insert("priority".to_owned(), "urgent".into());
    }
    // Not of the wire format, whose readers pass it over: where it is shown here.
    data.insert("page".to_owned(), format!("{}/posts/{}", house.origin, standing.post_id).into());
    Value::Object(data)
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;

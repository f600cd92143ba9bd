//! ActivityStreams 2.0 (W3C): a post is an `Article`, and what happened to it an activity of the institution.

use crate::domain::clock::UnixMillis;
use crate::domain::partner::Happened;
use crate::domain::post::{Attachment, Image, Showable};
use crate::domain::text::CleanText;
use crate::render::RenderError;
use crate::render::feed::alone::{self, Shown};
use crate::render::feed::{House, Tombstone, entry_id, updated_at};
use crate::render::templates::Templates;
use serde_json::{Map, Value, json};

const CONTEXT: &str = "https://www.w3.org/ns/activitystreams";

/// What happened, and whose news it is.
pub(super) struct Happening<'a> {
    pub house: &'a House,
    pub happened: Happened,
    pub at: UnixMillis,
}

impl Happening<'_> {
    pub(super) fn of_post(&self, showable: &Showable, templates: &Templates) -> Result<Value, RenderError> {
        let (post, standing) = (showable.post(), showable.standing());
        let Shown { html, title, summary, author, url } = alone::shown(self.house, showable, templates)?;
        let language = post.language.as_str();
        let by_language = |text: &str| json!({ language: text });
        let id = entry_id(&self.house.tag_authority, &standing.post_id);
        let mut object = Map::new();
        let mut say = |name: &str, value: Value| object.insert(name.to_owned(), value);
        say("type", "Article".into());
        say("id", id.clone().into());
        say("nameMap", by_language(&title));
        say("contentMap", by_language(&html));
        say("published", post.published_at.to_string().into());
        say("updated", updated_at(showable).to_string().into());
        say("attributedTo", author.map_or_else(|| self.actor(), |name| json!({ "type": "Person", "name": name })));
        if let Some(summary) = summary {
            say("summaryMap", by_language(&summary));
        }
        if let Some(url) = url {
            say("url", url.into());
        }
        let tags: Vec<Value> = post.tags.iter().filter_map(|tag| self.tag(tag)).collect();
        let files = post.images.iter().map(image).chain(post.attachments.iter().map(file));
        let files: Vec<Value> = files.collect();
        for (name, list) in [("tag", tags), ("attachment", files)] {
            if !list.is_empty() {
                say(name, list.into());
            }
        }
        let (kind, mut context) = match self.happened {
            Happened::Revised => ("Update", json!(CONTEXT)),
            _ => ("Create", json!(CONTEXT)),
        };
        if self.happened == Happened::Embargoed {
            // Not to be shown before: the vocabulary has no word for it.
            context = json!([CONTEXT, { "embargoUntil": "urn:allim:embargoUntil" }]);
            say("embargoUntil", post.public_due_at().to_string().into());
        }
        let activity = format!("{id}/{}/{}", standing.revision, self.happened);
        Ok(self.activity(context, kind, &activity, Value::Object(object)))
    }

    pub(super) fn of_gone(&self, gone: &Tombstone) -> Value {
        let id = entry_id(&self.house.tag_authority, &gone.post_id);
        let object = json!({
            "type": "Tombstone", "id": id, "formerType": "Article", "deleted": gone.withdrawn_at.to_string(),
        });
        self.activity(json!(CONTEXT), "Delete", &format!("{id}/{}", Happened::Withdrawn), object)
    }

    fn activity(&self, context: Value, kind: &str, id: &str, object: Value) -> Value {
        json!({
            "@context": context, "type": kind, "id": id, "actor": self.actor(),
            "published": self.at.to_string(), "object": object,
        })
    }

    fn actor(&self) -> Value {
        let house = self.house;
        let names: Map<String, Value> = house
            .languages
            .iter()
            .map(|language| (language.to_string(), house.site.name.get(language).to_owned().into()))
            .collect();
        json!({ "type": "Organization", "id": house.origin, "nameMap": names })
    }

    /// A tag as networks write it; none for what makes no hashtag.
    fn tag(&self, tag: &str) -> Option<Value> {
        let name: String = tag.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then(|| json!({ "type": "Hashtag", "name": format!("#{name}") }))
    }
}

fn image(image: &Image) -> Value {
    let said = image.alt.as_ref().or(image.caption.as_ref()).map(CleanText::as_str);
    link("Image", &image.url, said, image.media_type.as_deref())
}

fn file(file: &Attachment) -> Value {
    link("Document", &file.url, Some(file.name.as_str()), file.media_type.as_deref())
}

fn link(kind: &str, url: &str, name: Option<&str>, media_type: Option<&str>) -> Value {
    let mut link = json!({ "type": kind, "url": url });
    for (key, value) in [("name", name), ("mediaType", media_type)] {
        if let Some(value) = value {
            link[key] = value.into();
        }
    }
    link
}

//! One entry by itself, as a program elsewhere is told of it: the same as in feeds, without the feed around it.

use super::{Entry, Format, History, House, Meta, Tombstone, entry_id, json, rfc3339, write};
use crate::domain::post::Showable;
use crate::render::RenderError;
use crate::render::templates::{Templates, escape};
use serde_json::{Value, json};

const ATOM: &str = "http://www.w3.org/2005/Atom";
const TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";
const HEAD: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n";

/// An item of a JSON Feed.
///
/// # Errors
/// [`RenderError`] as for a feed that holds this post alone.
pub fn json_item(house: &House, showable: &Showable, templates: &Templates) -> Result<Value, RenderError> {
    let entry = entry(house, showable, templates, Format::Json)?;
    let item = with_meta(house, &entry, |meta| serde_json::to_value(json::item(meta, &entry)));
    item.map_err(|_| RenderError::Field { field: "post", reason: "it is no JSON" })
}

/// What is said in the format of JSON Feed, which has no tombstones, of a post that was withdrawn: its id, and when in an extension
/// (JSON Feed 1.1, section "Extensions").
#[must_use]
pub fn json_gone(house: &House, gone: &Tombstone) -> Value {
    json!({
        "id": entry_id(&house.tag_authority, &gone.post_id),
        "_allim": { "about": "https://www.rfc-editor.org/rfc/rfc6721", "deleted_at": rfc3339(gone.withdrawn_at) },
    })
}

/// An Atom entry as a document (RFC 4287 section 2).
///
/// # Errors
/// [`RenderError`] as for a feed that holds this post alone.
pub fn atom_entry(house: &House, showable: &Showable, templates: &Templates) -> Result<String, RenderError> {
    let mut entry = entry(house, showable, templates, Format::Atom)?;
    // Without a feed around it, an entry must say itself who wrote it (RFC 4287 section 4.1.2).
    entry.author.get_or_insert_with(|| house.site.name.get(&entry.language).to_owned());
    let unreadable = || RenderError::Field { field: "post", reason: "it can't stand alone in Atom" };
    let text = with_meta(house, &entry, |meta| write(Format::Atom, meta, std::slice::from_ref(&entry), &[]));
    let text = text.ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(unreadable)?;
    let (_, rest) = text.split_once("<entry>").ok_or_else(unreadable)?;
    let (inner, _) = rest.rsplit_once("</entry>").ok_or_else(unreadable)?;
    let (prefix, media) = (super::media::PREFIX, super::media::NAMESPACE);
    let (own, namespace) = super::OWN;
    Ok(format!(
        "{HEAD}<entry xmlns=\"{ATOM}\" xmlns:{prefix}=\"{media}\" xmlns:{own}=\"{namespace}\">{inner}</entry>\n"
    ))
}

/// A tombstone as a document (RFC 6721 section 3).
#[must_use]
pub fn atom_gone(house: &House, gone: &Tombstone) -> String {
    let (id, when) = (entry_id(&house.tag_authority, &gone.post_id), rfc3339(gone.withdrawn_at));
    format!("{HEAD}<deleted-entry xmlns=\"{TOMBSTONES}\" ref=\"{}\" when=\"{when}\"/>\n", escape(&id))
}

/// The content of a post as feeds show it, for formats of other families.
pub(in crate::render) struct Shown {
    pub html: String,
    pub title: String,
    pub summary: Option<String>,
    pub author: Option<String>,
    pub url: Option<String>,
}

pub(in crate::render) fn shown(
    house: &House,
    showable: &Showable,
    templates: &Templates,
) -> Result<Shown, RenderError> {
    let Entry { html, title, summary, author, url, .. } = entry(house, showable, templates, Format::Json)?;
    Ok(Shown { html, title, summary, author, url })
}

/// The entry, once it is known that a feed can hold it.
fn entry(house: &House, showable: &Showable, templates: &Templates, format: Format) -> Result<Entry, RenderError> {
    let stumbled = || RenderError::Field { field: "post", reason: "it makes us stumble" };
    let language = &showable.post().language;
    let made = std::panic::AssertUnwindSafe(|| {
        let history = History::default();
        let topic_title = |topic: &str, language: &_| house.topic_title(topic, language);
        Entry::new(showable, &meta(house, language, &history, &topic_title), templates)
    });
    let entry = std::panic::catch_unwind(made).map_err(|_| stumbled())??;
    let written = with_meta(house, &entry, |meta| write(format, meta, std::slice::from_ref(&entry), &[]));
    written.map(|_| entry).map_err(|reason| RenderError::Field { field: "post", reason })
}

fn with_meta<T>(house: &House, entry: &Entry, then: impl FnOnce(&Meta<'_>) -> T) -> T {
    let (history, topic_title) = (History::default(), |topic: &str, language: &_| house.topic_title(topic, language));
    then(&meta(house, &entry.language, &history, &topic_title))
}

fn meta<'a>(
    house: &'a House,
    language: &'a crate::domain::language::Language,
    history: &'a History,
    topic_title: &'a dyn Fn(&str, &crate::domain::language::Language) -> String,
) -> Meta<'a> {
    Meta {
        title: house.site.name.get(language),
        name: "all",
        language,
        self_url: &house.origin,
        page_url: &house.origin,
        site: &house.site,
        zone: &house.zone,
        tag_authority: &house.tag_authority,
        history,
        hubs: &[],
        topic_title,
    }
}

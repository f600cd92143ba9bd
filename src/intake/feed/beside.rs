//! What stands in a feed beside what the library reads: languages and licences of single entries, each picture with its own words, the
//! allims that an entry came through, and tombstones. Refuses what no honest feed has: entities of its own, and endless nesting.

use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use serde::Deserialize;

/// Elements within each other at most.
const DEPTH_MAX: usize = 100;
/// Tombstones that are read at most.
const GONE_MAX: usize = 1_000;

const ATOM: &str = "http://www.w3.org/2005/Atom";
const RSS_1: &str = "http://purl.org/rss/1.0/";
const TOMBSTONES: &str = "http://purl.org/atompub/tombstones/1.0";
const DUBLIN_CORE: &str = "http://purl.org/dc/elements/1.1/";
const TERMS: &str = "http://purl.org/dc/terms/";
const MEDIA: &str = "http://search.yahoo.com/mrss/";
/// The namespace of our own element.
const OWN: &str = "https://allim.org/ns/feed/1";

/// Of a whole feed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Beside {
    /// In the order of the entries.
    pub entries: Vec<Extra>,
    /// The ids of entries that were taken back (RFC 6721).
    pub gone: Vec<String>,
}

/// Of one entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Extra {
    pub language: Option<String>,
    pub rights: Option<String>,
    pub modified: Option<String>,
    /// Pictures and files. The library makes one of several, with one title.
    pub media: Vec<Medium>,
    /// The allims that it came through, as it was written: the door reads it.
    pub path: String,
}

/// A picture or file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Medium {
    pub url: String,
    pub is_picture: bool,
    pub media_type: Option<String>,
    pub bytes: Option<u64>,
    /// A file's name, a picture's caption.
    pub title: Option<String>,
    /// What stands for a picture.
    pub description: Option<String>,
}

impl Medium {
    /// What attributes say; RSS and Media RSS name the length differently.
    fn of(element: &BytesStart<'_>) -> Option<Self> {
        let media_type = attribute(element, "type");
        let bytes = attribute(element, "fileSize").or_else(|| attribute(element, "length"));
        Some(Self {
            url: attribute(element, "url")?,
            is_picture: attribute(element, "medium").as_deref() == Some("image")
                || media_type.as_deref().is_some_and(|kind| kind.starts_with("image/")),
            media_type,
            bytes: bytes.and_then(|bytes| bytes.parse().ok()),
            ..Self::default()
        })
    }
}

/// Looks through a feed in XML.
///
/// # Errors
/// Why it isn't to be read.
pub(super) fn in_xml(text: &str) -> Result<Beside, String> {
    let mut reader = NsReader::from_str(text);
    let mut found = Beside::default();
    let (mut depth, mut is_entry, mut field): (usize, bool, Option<Field>) = (0, false, None);
    let mut words = String::new();
    loop {
        let (namespace, event) =
            reader.read_resolved_event().map_err(|error| format!("it isn't well-formed: {error}"))?;
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => namespace.as_ref().to_owned(),
            ResolveResult::Unbound | ResolveResult::Unknown(_) => String::new(),
        };
        match event {
            Event::DocType(declared) if declared.contains('[') || declared.contains("<!") => {
                return Err("it declares entities of its own, which no feed needs".to_owned());
            }
            Event::Start(ref element) | Event::Empty(ref element) => {
                let is_empty = matches!(event, Event::Empty(_));
                let name = element.local_name().as_ref().to_owned();
                if is_entry_element(&namespace, &name, depth) {
                    found.entries.push(Extra { language: attribute(element, "xml:lang"), ..Extra::default() });
                    is_entry = !is_empty;
                } else if namespace == TOMBSTONES && name == "deleted-entry" && found.gone.len() < GONE_MAX {
                    found.gone.extend(attribute(element, "ref"));
                } else if let (true, Some(extra)) = (is_entry, found.entries.last_mut()) {
                    extra.learn(&namespace, &name, element);
                    field = Field::of(&namespace, &name).filter(|_| !is_empty);
                    words.clear();
                }
                depth += usize::from(!is_empty);
                if depth > DEPTH_MAX {
                    return Err(format!("its elements stand within each other deeper than {DEPTH_MAX}"));
                }
            }
            Event::Text(ref text) if field.is_some() => words.push_str(text),
            Event::CData(ref text) if field.is_some() => words.push_str(text),
            Event::GeneralRef(ref name) if field.is_some() => {
                words.push_str(quick_xml::escape::resolve_predefined_entity(name).unwrap_or_default());
            }
            Event::End(ref element) => {
                depth = depth.saturating_sub(1);
                if let (Some(field), Some(extra)) = (field.take(), found.entries.last_mut()) {
                    field.keep(extra, words.trim());
                }
                let name = element.local_name();
                if is_entry && is_entry_element(&namespace, name.as_ref(), depth) {
                    is_entry = false;
                }
            }
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// An entry of Atom, or an item of one of the dialects of RSS.
fn is_entry_element(namespace: &str, name: &str, depth: usize) -> bool {
    match name {
        "entry" => depth <= 1 && matches!(namespace, ATOM | ""),
        "item" => matches!(depth, 1 | 2) && matches!(namespace, RSS_1 | ""),
        _ => false,
    }
}

#[derive(Clone, Copy)]
enum Field {
    Language,
    Rights,
    Modified,
    Path,
    MediaTitle,
    MediaDescription,
}

impl Field {
    fn of(namespace: &str, name: &str) -> Option<Self> {
        match (namespace, name) {
            (DUBLIN_CORE, "language") => Some(Self::Language),
            (DUBLIN_CORE, "rights") => Some(Self::Rights),
            (TERMS, "modified") => Some(Self::Modified),
            (OWN, "path") => Some(Self::Path),
            (MEDIA, "title") => Some(Self::MediaTitle),
            (MEDIA, "description") => Some(Self::MediaDescription),
            _ => None,
        }
    }

    fn keep(self, extra: &mut Extra, words: &str) {
        let words = words.to_owned();
        // Of the one that they stand in, or after.
        let medium = extra.media.last_mut().filter(|_| !words.is_empty());
        match self {
            Self::MediaTitle => medium.map_or((), |medium| medium.title = Some(words)),
            Self::MediaDescription => medium.map_or((), |medium| medium.description = Some(words)),
            Self::Language => extra.language = Some(words),
            Self::Rights => extra.rights = Some(words),
            Self::Modified => extra.modified = Some(words),
            Self::Path => extra.path = words,
        }
    }
}

impl Extra {
    fn learn(&mut self, namespace: &str, name: &str, element: &BytesStart<'_>) {
        if (namespace == MEDIA && name == "content") || (namespace.is_empty() && name == "enclosure") {
            self.media.extend(Medium::of(element));
        }
        // The language of the text is that of the entry, unless the entry has one.
        if namespace == ATOM && name == "content" && self.language.is_none() {
            self.language = attribute(element, "xml:lang");
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let found = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name)?;
    quick_xml::escape::unescape(&found.value).map(|value| value.into_owned()).ok()
}

/// Looks through a JSON Feed. What can't be read here can't be read by the library either, which says why.
pub(super) fn in_json(text: &str) -> Beside {
    #[derive(Deserialize)]
    struct Feed {
        items: Vec<Item>,
    }
    #[derive(Deserialize)]
    struct Item {
        language: Option<String>,
        image: Option<String>,
        #[serde(default, rename = "_allim")]
        own: Option<Own>,
    }
    #[derive(Deserialize)]
    struct Own {
        #[serde(default)]
        path: String,
    }
    let extra = |item: Item| Extra {
        language: item.language,
        media: item.image.into_iter().map(|url| Medium { url, is_picture: true, ..Medium::default() }).collect(),
        path: item.own.map(|own| own.path).unwrap_or_default(),
        ..Extra::default()
    };
    let feed: Option<Feed> = serde_json::from_str(text).ok();
    Beside { entries: feed.map_or_else(Vec::new, |feed| feed.items.into_iter().map(extra).collect()), gone: Vec::new() }
}

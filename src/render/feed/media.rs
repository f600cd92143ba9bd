//! Pictures and files as Media RSS describes them (<https://www.rssboard.org/media-rss>), in RSS and in Atom: the one place for
//! what a picture shows, and, in RSS, for more than one file.

use super::Entry;

/// The prefix and namespace of its elements.
pub(super) const PREFIX: &str = "media";
pub(super) const NAMESPACE: &str = "http://search.yahoo.com/mrss/";

/// One `media:content`.
pub(super) struct Medium {
    /// Its attributes.
    pub attributes: Vec<(&'static str, String)>,
    /// Its children: `title` and `description`, each a plain text.
    pub children: Vec<(&'static str, String)>,
}

/// The pictures of an entry, then its files.
pub(super) fn media(entry: &Entry) -> Vec<Medium> {
    let pictures = entry.images.iter().map(|image| {
        let mut medium = medium(&image.url, "image", image.media_type.as_deref(), image.bytes);
        medium.children.extend(image.caption.clone().map(|caption| ("title", caption)));
        medium.children.extend(image.alt.clone().map(|alt| ("description", alt)));
        medium
    });
    let files = entry.enclosures.iter().map(|file| {
        let mut medium = medium(&file.url, kind(&file.media_type), Some(&file.media_type), file.bytes);
        medium.children.push(("title", file.name.clone()));
        medium
    });
    pictures.chain(files).collect()
}

fn medium(url: &str, medium: &str, media_type: Option<&str>, bytes: Option<u64>) -> Medium {
    let mut attributes = vec![("url", url.to_owned()), ("medium", medium.to_owned())];
    attributes.extend(media_type.map(|media_type| ("type", media_type.to_owned())));
    // Sources that don't know a size write 0, and a size of nothing isn't one.
    attributes.extend(bytes.filter(|bytes| *bytes > 0).map(|bytes| ("fileSize", bytes.to_string())));
    Medium { attributes, children: Vec::new() }
}

/// What Media RSS calls a file of this type: of its words, `document` is the one for whatever isn't seen or heard.
fn kind(media_type: &str) -> &'static str {
    match media_type.split('/').next().unwrap_or_default() {
        "image" => "image",
        "audio" => "audio",
        "video" => "video",
        _ => "document",
    }
}

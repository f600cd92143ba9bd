//! A post in a file: which files are posts, and reading one without filling the memory.

use super::wire::{Incoming, MESSAGE_BYTES_MAX};
use std::ffi::OsStr;
use std::io::Read as _;
use std::path::Path;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A CloudEvent or a bare post; the content tells.
    Json,
    /// Markdown with front matter.
    Markdown,
}

impl Kind {
    /// What a file of this name holds, or `None` when it isn't to be touched: it is hidden, half-written (`.tmp`, `.part`)
    /// or of another kind.
    #[must_use]
    pub fn of(name: &OsStr) -> Option<Self> {
        let name = name.to_string_lossy().to_lowercase();
        if name.starts_with('.') {
            return None;
        }
        match Path::new(&name).extension()?.to_str()? {
            "json" => Some(Self::Json),
            "md" => Some(Self::Markdown),
            _ => None,
        }
    }

    /// Its content type, which tells the door how to read it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Markdown => "text/markdown",
        }
    }
}

/// Reads a file as a message of `source`. One byte more than the limit is read at most: enough for the door to see that a
/// file is beyond it.
///
/// # Errors
/// When the file can't be read.
pub fn read(path: &Path, source: &str) -> std::io::Result<Incoming> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MESSAGE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let kind = path.file_name().and_then(Kind::of).unwrap_or(Kind::Json);
    let content_type = Some(kind.content_type().to_owned());
    Ok(Incoming { source: source.to_owned(), content_type, headers: Vec::new(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finished_posts_are_touched() {
        let kind = |name: &str| Kind::of(OsStr::new(name));
        assert_eq!(kind("a.json"), Some(Kind::Json));
        assert_eq!(kind("공지.MD"), Some(Kind::Markdown));
        for name in [".a.json", ".json", "a.json.tmp", "a.md.part", "a.txt", "json", "done"] {
            assert_eq!(kind(name), None, "{name}");
        }
    }
}

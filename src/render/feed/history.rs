//! A feed as a chain of documents, down to the first post (RFC 5005).

/// The namespace of `fh:archive`, and the prefix that stands for it.
pub(super) const NAMESPACE: (&str, &str) = ("fh", "http://purl.org/syndication/history/1.0");

/// Where the other documents of a feed are. What a document doesn't have is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Whether this document is an archive: a window of posts that is full (section 4).
    pub is_archive: bool,
    /// The document that is subscribed to, where this is another.
    pub current: Option<String>,
    /// The page of older posts (section 3).
    pub next: Option<String>,
    /// The page of newer posts (section 3).
    pub previous: Option<String>,
    /// The archive before this document (section 4).
    pub prev_archive: Option<String>,
    /// The archive after it.
    pub next_archive: Option<String>,
}

impl History {
    /// Relations and addresses.
    pub(super) fn links(&self) -> impl Iterator<Item = (&'static str, &String)> {
        let links = [
            ("current", &self.current),
            ("next", &self.next),
            ("previous", &self.previous),
            ("prev-archive", &self.prev_archive),
            ("next-archive", &self.next_archive),
        ];
        links.into_iter().filter_map(|(relation, address)| Some((relation, address.as_ref()?)))
    }
}

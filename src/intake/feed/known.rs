//! What is known of the entries of a feed. A source may have several feeds that show the same posts, such as one for each topic: the
//! feed that had an entry first has it for good, so that the two don't revise each other for ever. And their own numbers, as in
//! `<guid>12</guid>`, mean something within one feed alone.

use super::Followed;
use super::read::{Found, Read};
use super::take::Document;
use crate::domain::ids;
use crate::store::pulled::{self, Entry};
use crate::store::{StoreError, Tx, fresh};
use std::collections::{BTreeMap, BTreeSet};

/// Ids that begin so mean the same everywhere.
const EVERYWHERE: [&str; 4] = ["https://", "http://", "urn:", "tag:"];

/// Whether others are held up meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum For {
    /// It is only looked.
    Look,
    /// What is decided by it is kept in the same transaction.
    Keep,
}

/// What is known of the entries of a feed.
pub(super) struct Known {
    /// By scope and key, those of the other feeds of the source too.
    by_key: BTreeMap<(String, String), Entry>,
    /// Those with a page, in the order in which they were seen.
    by_link: BTreeMap<String, Vec<Entry>>,
    /// The posts that are there.
    posts: BTreeSet<String>,
    source: String,
    feed: String,
    /// The other feeds of the source that are followed.
    others: BTreeSet<String>,
}

/// Whose an entry of the feed is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// It is known, or is that one under another id.
    Known(Entry),
    /// Another feed of the source has it.
    Anothers,
    /// Nobody has seen it yet.
    New,
}

impl Known {
    /// Looks up what is known of the entries that were read.
    pub fn look_up(tx: &mut Tx<'_>, followed: &Followed, document: &Document, why: For) -> Result<Self, StoreError> {
        let Document { read, beside, .. } = document;
        let source = followed.source.as_str();
        let live = match why {
            For::Look => pulled::live(tx, source)?,
            For::Keep => pulled::lock(tx, source)?,
        };
        let keys: BTreeSet<&str> =
            read.entries.iter().map(|found| found.key.as_str()).chain(read.gone.iter().map(String::as_str)).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let links: Vec<&str> = read.entries.iter().filter_map(|found| found.link.as_deref()).collect();
        let entries = pulled::entries(tx, source, &keys, &links)?;
        let posts: Vec<String> = entries.iter().map(|entry| ids::post_id(source, &entry.source_id)).collect();
        let posts = fresh::known_posts(tx, &posts.iter().map(String::as_str).collect::<Vec<_>>())?;
        let mut by_link: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in &entries {
            if let Some(link) = &entry.link {
                by_link.entry(link.clone()).or_default().push(entry.clone());
            }
        }
        let by_key = entries.into_iter().map(|entry| ((entry.scope.clone(), entry.key.clone()), entry)).collect();
        let others = live.into_iter().filter(|url| beside.contains(url)).collect();
        let (source, feed) = (source.to_owned(), followed.url.clone());
        Ok(Self { by_key, by_link, posts: posts.into_iter().collect(), source, feed, others })
    }

    pub fn has_post(&self, source_id: &str) -> bool {
        self.posts.contains(&ids::post_id(&self.source, source_id))
    }

    /// Within what a key of this feed means something.
    pub fn scope(&self, key: &str) -> String {
        let is_everywhere =
            |prefix: &&str| key.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        if EVERYWHERE.iter().any(is_everywhere) { String::new() } else { self.feed.clone() }
    }

    /// The entry of this feed under a key, if it is known under that.
    pub fn under(&self, key: &str) -> Option<&Entry> {
        let entry = self.by_key.get(&(self.scope(key), key.to_owned()));
        entry.filter(|entry| !self.is_anothers(entry))
    }

    /// Whose an entry is. One under another id with the same page is the same, unless the page is that of several, or the entry of that
    /// id stands in the feed too.
    pub fn whose(&self, found: &Found, read: &Read) -> Whose {
        if let Some(entry) = self.by_key.get(&(self.scope(&found.key), found.key.clone())) {
            return if self.is_anothers(entry) { Whose::Anothers } else { Whose::Known(entry.clone()) };
        }
        self.by_page(found, read).or_else(|| self.moved(found).map(Whose::Known)).unwrap_or(Whose::New)
    }

    fn by_page(&self, found: &Found, read: &Read) -> Option<Whose> {
        let link = found.link.as_ref()?;
        if read.entries.iter().filter(|one| one.link.as_ref() == Some(link)).count() != 1 {
            return None;
        }
        let with_it = self.by_link.get(link)?;
        // The first who had a page keeps it.
        if let Some(entry) = with_it.iter().find(|entry| !self.is_anothers(entry)) {
            let is_there = |one: &Found| one.key == entry.key && self.scope(&one.key) == entry.scope;
            return (!read.entries.iter().any(is_there)).then(|| Whose::Known(entry.clone()));
        }
        let posts: BTreeSet<&str> = with_it.iter().map(|entry| entry.source_id.as_str()).collect();
        (posts.len() == 1).then_some(Whose::Anothers)
    }

    /// The entry under this key of a feed that is followed no more, where this one is the only one of the source: its address has changed.
    fn moved(&self, found: &Found) -> Option<Entry> {
        let is_it = |entry: &&Entry| {
            let bare = |link: &String| link.split_once("://").map_or(link.clone(), |(_, rest)| rest.to_owned());
            let (here, there) = (found.link.as_ref().map(bare), entry.link.as_ref().map(bare));
            here.is_none() || there.is_none() || here == there
        };
        let mut with_it = self.by_key.values().filter(|entry| entry.key == found.key && !entry.scope.is_empty());
        with_it.find(is_it).filter(|_| self.others.is_empty()).cloned()
    }

    /// The id of the post of an entry that nobody has seen yet: its own, unless another feed of the source may use that too.
    pub fn source_id(&self, key: &str) -> String {
        let is_taken = || self.by_key.values().any(|entry| entry.source_id == key);
        let is_own = self.scope(key).is_empty() || (self.others.is_empty() && !is_taken());
        if is_own { key.to_owned() } else { ids::entry_key(&[&self.feed, key]) }
    }

    /// An entry as it is kept until it is durable.
    pub fn before(&self, entry: &Entry) -> Entry {
        let known = self.by_key.get(&(entry.scope.clone(), entry.key.clone()));
        Entry { content_hash: known.map_or_else(String::new, |known| known.content_hash.clone()), ..entry.clone() }
    }

    fn is_anothers(&self, entry: &Entry) -> bool {
        entry.feed != self.feed && self.others.contains(&entry.feed)
    }
}

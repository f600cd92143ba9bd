//! Taking a feed in: which of its entries are new, which have changed, which were taken back; the rest is known. A feed is a window:
//! what stands in it no more has not gone anywhere.

use super::read::{Found, Read};
use super::{Begin, Followed, Taken, event};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::intake::Intake;
use crate::intake::accept::Verdict;
use crate::intake::wire::{EventKind, Incoming};
use crate::store::pulled::{self, Entry};
use crate::store::{Store, StoreError, fresh};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Entries taken in with one commit.
const TOGETHER_MAX: usize = 50;
/// What stands for the content of an entry that was taken back.
const GONE: &str = "gone";

/// An entry that is to be taken in.
struct Change {
    entry: Entry,
    incoming: Incoming,
    /// It is shown, and mailed to nobody.
    is_backfill: bool,
}

/// Takes in what is new in a feed.
///
/// # Errors
/// [`StoreError`] when something wasn't stored; the same feed again is safe.
pub(super) async fn take(
    store: &Store,
    intake: &Intake,
    followed: &Followed,
    read: Read,
    is_first: bool,
) -> Result<Taken, StoreError> {
    let now = store.now().await?;
    let known = Known::look_up(store, followed, &read).await?;
    let changes = changes(followed, &read, &known, is_first, now);
    // Kept before anything is taken in, so that an entry without a date has the same one after a fall.
    let (source, seen): (String, Vec<Entry>) =
        (followed.source.clone(), changes.iter().map(|change| known.before(&change.entry)).collect());
    store.write(move |tx| seen.iter().try_for_each(|entry| pulled::keep_entry(tx, &source, entry))).await?;
    let mut taken = Taken::default();
    let (old, new): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(|change| change.is_backfill);
    for (changes, intake) in [(old, intake.as_backfill()), (new, intake.clone())] {
        for some in changes.chunks(TOGETHER_MAX) {
            let messages = some.iter().map(|change| change.incoming.clone()).collect();
            let receipts = intake.accept(messages).await?;
            receipts.iter().for_each(|receipt| taken.count(&receipt.verdict));
            let (source, kept): (String, Vec<Entry>) =
                (followed.source.clone(), some.iter().map(|change| change.entry.clone()).collect());
            store.write(move |tx| kept.iter().try_for_each(|entry| pulled::keep_entry(tx, &source, entry))).await?;
        }
    }
    Ok(taken)
}

/// What is known of the entries of a feed.
struct Known {
    by_key: BTreeMap<String, Entry>,
    by_link: BTreeMap<String, Entry>,
    /// The posts that are there.
    posts: BTreeSet<String>,
    source: String,
}

impl Known {
    async fn look_up(store: &Store, followed: &Followed, read: &Read) -> Result<Self, StoreError> {
        let keys: BTreeSet<String> =
            read.entries.iter().map(|found| found.key.clone()).chain(read.gone.iter().cloned()).collect();
        let links: Vec<String> = read.entries.iter().filter_map(|found| found.link.clone()).collect();
        let source = followed.source.clone();
        let look = move |tx: &mut crate::store::Tx<'_>| {
            let (keys, links): (Vec<&str>, Vec<&str>) =
                (keys.iter().map(String::as_str).collect(), links.iter().map(String::as_str).collect());
            let entries = pulled::entries(tx, &source, &keys, &links)?;
            let posts: Vec<String> = entries.iter().map(|entry| ids::post_id(&source, &entry.source_id)).collect();
            let posts = fresh::known_posts(tx, &posts.iter().map(String::as_str).collect::<Vec<_>>())?;
            Ok((entries, posts))
        };
        let (entries, posts) = store.read(look).await?;
        // The first who had a page keeps it.
        let mut by_link = BTreeMap::new();
        for entry in &entries {
            if let Some(link) = &entry.link {
                by_link.entry(link.clone()).or_insert_with(|| entry.clone());
            }
        }
        let by_key = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        Ok(Self { by_key, by_link, posts: posts.into_iter().collect(), source: followed.source.clone() })
    }

    fn has_post(&self, source_id: &str) -> bool {
        self.posts.contains(&ids::post_id(&self.source, source_id))
    }

    /// The entry as it is known; one under another id with the same page is the same, unless the page is that of several, or the entry
    /// of that id stands in the feed too.
    fn find(&self, found: &Found, read: &Read) -> Option<&Entry> {
        let by_link = || {
            let link = found.link.as_ref()?;
            let other = self.by_link.get(link)?;
            let is_alone = read.entries.iter().filter(|one| one.link.as_ref() == Some(link)).count() == 1;
            let is_there = read.entries.iter().any(|one| one.key == other.key);
            (is_alone && !is_there).then_some(other)
        };
        self.by_key.get(&found.key).or_else(by_link)
    }

    /// An entry as it is kept until it is durable.
    fn before(&self, entry: &Entry) -> Entry {
        let content_hash = self.by_key.get(&entry.key).map_or_else(String::new, |known| known.content_hash.clone());
        Entry { content_hash, ..entry.clone() }
    }
}

/// What is to be taken in, the oldest first.
fn changes(followed: &Followed, read: &Read, known: &Known, is_first: bool, now: UnixMillis) -> Vec<Change> {
    let mut changes = Vec::new();
    for found in read.entries.iter().rev() {
        let before = known.find(found, read);
        if before.is_some_and(|entry| entry.content_hash == GONE) {
            continue;
        }
        let source_id = before.map_or_else(|| found.key.clone(), |entry| entry.source_id.clone());
        let first_seen_at = before.map_or(now, |entry| entry.first_seen_at);
        let mut post = event::post(followed, found, &source_id, first_seen_at);
        let content_hash = ids::content_hash(json!(post).to_string().as_bytes());
        let is_known = known.by_key.get(&found.key).is_some_and(|entry| entry.content_hash == content_hash);
        if is_known {
            continue;
        }
        post.insert("updated_at".to_owned(), json!(found.updated_at.map(|at| at.to_string())));
        let kind = if known.has_post(&source_id) { EventKind::Revised } else { EventKind::Published };
        let id = format!("feed:{}", ids::entry_key(&[&found.key, &content_hash, &now.to_string()]));
        changes.push(Change {
            incoming: event::incoming(&followed.source, kind, &id, &found.path, Value::Object(post)),
            // How old it is nobody knows; it may be anything that was ever published there.
            is_backfill: is_first && followed.from == Begin::Now && found.published_at.is_none(),
            entry: Entry { key: found.key.clone(), source_id, link: found.link.clone(), content_hash, first_seen_at },
        });
    }
    for key in &read.gone {
        let Some(entry) = known.by_key.get(key) else { continue };
        if entry.content_hash == GONE || !known.has_post(&entry.source_id) {
            continue;
        }
        let id = format!("feed:{}", ids::entry_key(&[key, GONE]));
        let data = json!({ "id": entry.source_id });
        changes.push(Change {
            incoming: event::incoming(&followed.source, EventKind::Withdrawn, &id, "", data),
            is_backfill: false,
            entry: Entry { content_hash: GONE.to_owned(), ..entry.clone() },
        });
    }
    changes
}

impl Taken {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Stored => self.new += 1,
            Verdict::Revised => self.revised += 1,
            Verdict::Withdrawn => self.withdrawn += 1,
            Verdict::Own => self.own += 1,
            Verdict::Quarantined { .. } => self.quarantined += 1,
            Verdict::Duplicate | Verdict::Stale => {}
        }
    }
}

//! Taking a feed in: which of its entries are new, which have changed, which were taken back; the rest is known. A feed is a window:
//! what stands in it no more has not gone anywhere.

use super::known::{For, Known, Whose};
use super::read::Read;
use super::{Begin, Followed, Taken, event};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::intake::Intake;
use crate::intake::accept::Verdict;
use crate::intake::wire::{EventKind, Incoming};
use crate::store::pulled::{self, Entry};
use crate::store::{Store, StoreError, Tx};
use serde_json::{Value, json};
use std::sync::Arc;

/// Entries taken in with one commit.
const TOGETHER_MAX: usize = 50;
/// What stands for the content of an entry that was taken back.
const GONE: &str = "gone";

/// A feed that was fetched and read.
pub(super) struct Document {
    /// What stands in it.
    pub read: Read,
    /// The other feeds of its source.
    pub beside: Vec<String>,
    /// Whether it was never taken in before.
    pub is_first: bool,
}

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
    document: Document,
) -> Result<Taken, StoreError> {
    let now = store.now().await?;
    let (looked, document) = (followed.clone(), Arc::new(document));
    let to_look = document.clone();
    let look = move |tx: &mut Tx<'_>| {
        let known = Known::look_up(tx, &looked, &to_look, For::Look)?;
        Ok(changes(&looked, &to_look, &known, now).is_empty())
    };
    if store.read(look).await? {
        return Ok(Taken::default());
    }
    // Kept before anything is taken in, so that an entry without a date has the same one after a fall, and so that of two feeds that
    // show it first at one time one has it.
    let kept = followed.clone();
    let keep = move |tx: &mut Tx<'_>| {
        let known = Known::look_up(tx, &kept, &document, For::Keep)?;
        let changes = changes(&kept, &document, &known, now);
        changes.iter().try_for_each(|change| pulled::keep_entry(tx, &kept.source, &known.before(&change.entry)))?;
        Ok(changes)
    };
    let changes = store.write(keep).await?;
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

/// What is to be taken in, the oldest first.
fn changes(followed: &Followed, document: &Document, known: &Known, now: UnixMillis) -> Vec<Change> {
    let Document { read, is_first, .. } = document;
    let mut changes = Vec::new();
    for found in read.entries.iter().rev() {
        let before = match known.whose(found, read) {
            Whose::Anothers => continue,
            Whose::Known(entry) if entry.content_hash == GONE => continue,
            Whose::Known(entry) => Some(entry),
            Whose::New => None,
        };
        let source_id = before.as_ref().map_or_else(|| known.source_id(&found.key), |entry| entry.source_id.clone());
        let first_seen_at = before.map_or(now, |entry| entry.first_seen_at);
        let mut post = event::post(followed, found, &source_id, first_seen_at);
        let content_hash = ids::content_hash(json!(post).to_string().as_bytes());
        if known.under(&found.key).is_some_and(|entry| entry.content_hash == content_hash) {
            continue;
        }
        post.insert("updated_at".to_owned(), json!(found.updated_at.map(|at| at.to_string())));
        let kind = if known.has_post(&source_id) { EventKind::Revised } else { EventKind::Published };
        let id = format!("feed:{}", ids::entry_key(&[&source_id, &content_hash, &now.to_string()]));
        changes.push(Change {
            incoming: event::incoming(&followed.source, kind, &id, &found.path, Value::Object(post)),
            // How old it is nobody knows; it may be anything that was ever published there.
            is_backfill: *is_first && followed.from == Begin::Now && found.published_at.is_none(),
            entry: Entry {
                scope: known.scope(&found.key),
                key: found.key.clone(),
                feed: followed.url.clone(),
                source_id,
                link: found.link.clone(),
                content_hash,
                first_seen_at,
            },
        });
    }
    for key in &read.gone {
        let Some(entry) = known.under(key) else { continue };
        if entry.content_hash == GONE || !known.has_post(&entry.source_id) {
            continue;
        }
        let id = format!("feed:{}", ids::entry_key(&[&entry.source_id, GONE]));
        let data = json!({ "id": entry.source_id });
        changes.push(Change {
            incoming: event::incoming(&followed.source, EventKind::Withdrawn, &id, "", data),
            is_backfill: false,
            entry: Entry { content_hash: GONE.to_owned(), feed: followed.url.clone(), ..entry.clone() },
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

//! An operator takes a post back by hand: an event like any other, which needs no message.

use super::Intake;
use super::accept::{Backfill, Guard, Receipt, Republish, Revisions, Source};
use super::door::Door;
use super::wire::{Change, Event, Incoming, SourcePolicy};
use crate::domain::ids;
use crate::store::{StoreError, changes};

/// The CloudEvents `source` of what an operator does by hand.
const OPERATOR: &str = "allim:operator";

impl Intake {
    /// Takes a post back at an operator's word, whatever its source may do. The same word twice is a duplicate.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn withdraw(&self, source: &str, source_id: &str) -> Result<Receipt, StoreError> {
        let now = self.store.now().await?;
        let event = withdrawal(source, source_id);
        let source = self.sources.get(source).cloned().unwrap_or_else(|| unconfigured(source));
        // Would be kept in the quarantine if the post weren't known, which whoever asks has made sure of.
        let bytes = format!("withdrawn:{source_id}").into_bytes();
        let incoming = Incoming { source: source.policy.name.clone(), content_type: None, headers: Vec::new(), bytes };
        let written = self.store.write(move |tx| {
            let mut noticed = Vec::new();
            let guard = Guard { backfill: Backfill::Everything, sent_until: None };
            let mut door = Door { tx, source: &source, incoming: &incoming, guard, now, noticed: &mut noticed };
            let receipt = door.take(&event)?;
            changes::number(tx, &noticed)?;
            Ok(receipt)
        });
        let receipt = written.await?;
        self.wake.notify_one();
        Ok(receipt)
    }
}

/// The event. Its id follows from the post, so that the same word twice is one event.
fn withdrawal(source: &str, source_id: &str) -> Event {
    let event_id = format!("withdrawn:{}", ids::post_id(source, source_id));
    Event {
        source: source.to_owned(),
        event_source: OPERATOR.to_owned(),
        content_hash: ids::content_hash(event_id.as_bytes()),
        event_id,
        source_id: source_id.to_owned(),
        revision: None,
        change: Change::Withdrawn { reason: None },
        content: String::new(),
        has_default_topics: false,
        repairs: Vec::new(),
    }
}

/// What is left of a source that the configuration has no more: its posts can still be taken back.
fn unconfigured(name: &str) -> Source {
    let policy = SourcePolicy { name: name.to_owned(), ..SourcePolicy::default() };
    Source { policy, republish: Republish::default(), revisions: Revisions::default() }
}

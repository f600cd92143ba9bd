//! Many messages in one transaction, in their order. Most of them are new posts: these are gathered and written
//! together. Whatever else comes has them written first and goes through the door by itself.

use super::accept::{Guard, Receipt, Source, Verdict};
use super::aside::{read_message, set_aside};
use super::decode::decode;
use super::door::{Door, new_post};
use super::receipts::note;
use super::wire::{Change as Said, Event, Incoming, RejectReason, Rejection};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::Post;
use crate::store::changes::{self, Change};
use crate::store::fresh::{self, EventKey, Fresh};
use crate::store::{StoreError, Tx, quarantine};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

/// A message that was decoded, or why it couldn't be.
pub(super) struct Opened {
    incoming: Incoming,
    decoded: Result<Event, Box<Rejection>>,
    /// The post it speaks of; empty when it couldn't be decoded.
    post_id: String,
}

impl Opened {
    /// Decodes a message by the rules of its source.
    pub(super) fn new(sources: &Sources, incoming: Incoming) -> Self {
        let decoded = match sources.get(&incoming.source) {
            Some(source) => decode(&incoming, &source.policy),
            None => Err(Box::new(unknown_source())),
        };
        let post_id = decoded.as_ref().map_or_else(|_| String::new(), |e| ids::post_id(&e.source, &e.source_id));
        Self { incoming, decoded, post_id }
    }

    /// The message as it came.
    pub(super) fn incoming(&self) -> &Incoming {
        &self.incoming
    }

    fn published(&self) -> Option<(&Event, &Post)> {
        match &self.decoded {
            Ok(event) => match &event.change {
                Said::Published(post) => Some((event, post)),
                Said::Revised(_) | Said::Withdrawn { .. } => None,
            },
            Err(_) => None,
        }
    }
}

/// The sources by their names.
pub(super) type Sources = BTreeMap<String, Source>;

/// What messages are taken in by.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    /// Who may speak.
    pub(super) sources: &'a Sources,
    /// How old posts are guarded.
    pub(super) guard: Guard,
    /// The sources that are told what became of their messages.
    pub(super) told: &'a BTreeSet<String>,
    /// The present instant.
    pub(super) now: UnixMillis,
}

impl Terms<'_> {
    /// Writes down what a source is told of a message, if it wants to be told.
    fn note(
        &self,
        tx: &mut Tx<'_>,
        source: &str,
        decoded: Result<&Event, &Rejection>,
        receipt: &Receipt,
    ) -> Result<(), StoreError> {
        if !self.told.contains(source) {
            return Ok(());
        }
        let authority = self.sources.get(source).and_then(|source| source.policy.own_authority.as_deref());
        note::message(tx, (source, authority), decoded, receipt, self.now)
    }
}

/// Stores messages in their order, or sets them aside, and numbers what readers may notice. `are_new`: nobody looks whether
/// the store knows an event or a post already; when it does, it refuses the whole batch.
pub(super) fn store(
    tx: &mut Tx<'_>,
    terms: Terms<'_>,
    messages: &[Arc<Opened>],
    are_new: bool,
) -> Result<Vec<Receipt>, StoreError> {
    let mut known = if are_new { Known::default() } else { Known::look_up(tx, messages)? };
    let mut desk = Desk { terms, gathered: Vec::new(), noticed: Vec::new() };
    let mut receipts = Vec::with_capacity(messages.len());
    for message in messages {
        let is_new = known.learn(message);
        receipts.push(match message.published().filter(|_| is_new) {
            Some((event, post)) => {
                desk.gathered.push(new_post(event, post, &message.post_id, terms.guard, terms.now));
                Receipt { post_id: Some(message.post_id.clone()), verdict: Verdict::Stored }
            }
            None => {
                desk.write_gathered(tx)?;
                desk.take(tx, &message.incoming, &message.decoded)?
            }
        });
    }
    desk.write_gathered(tx)?;
    for (message, receipt) in messages.iter().zip(&receipts) {
        terms.note(
            tx,
            &message.incoming.source,
            message.decoded.as_ref().map_err(|rejection| &**rejection),
            receipt,
        )?;
    }
    // The counter is drawn last, so that its row is locked for the shortest time.
    changes::number(tx, &desk.noticed)?;
    Ok(receipts)
}

/// Which events and posts are known: to the store before the batch, or by a message before in it.
#[derive(Default)]
struct Known<'a> {
    events: HashSet<EventKey<'a>>,
    posts: HashSet<String>,
}

fn key(event: &Event) -> EventKey<'_> {
    (&event.source, &event.event_source, &event.event_id)
}

impl<'a> Known<'a> {
    fn look_up(tx: &mut Tx<'_>, messages: &'a [Arc<Opened>]) -> Result<Self, StoreError> {
        let published = || messages.iter().filter_map(|message| Some((message, message.published()?.0)));
        let keys: Vec<_> = published().map(|(_, event)| key(event)).collect();
        let post_ids: Vec<_> = published().map(|(message, _)| message.post_id.as_str()).collect();
        if keys.is_empty() {
            return Ok(Self::default());
        }
        let posts = fresh::known_posts(tx, &post_ids)?.into_iter().collect();
        Ok(Self { events: fresh::known_events(tx, &keys)?, posts })
    }

    /// Remembers what a message speaks of, and tells whether both its event and its post are new.
    fn learn(&mut self, message: &'a Opened) -> bool {
        let Ok(event) = &message.decoded else { return false };
        let is_new_event = self.events.insert(key(event));
        self.posts.insert(message.post_id.clone()) && is_new_event
    }
}

struct Desk<'a> {
    terms: Terms<'a>,
    gathered: Vec<Fresh<'a>>,
    noticed: Vec<Change>,
}

impl Desk<'_> {
    fn take(
        &mut self,
        tx: &mut Tx<'_>,
        incoming: &Incoming,
        decoded: &Result<Event, Box<Rejection>>,
    ) -> Result<Receipt, StoreError> {
        let Terms { sources, guard, now, .. } = self.terms;
        match (decoded, sources.get(&incoming.source)) {
            (Ok(event), Some(source)) => {
                let noticed = &mut self.noticed;
                let receipt = Door { tx, source, incoming, guard, now, noticed }.take(event)?;
                if receipt.verdict == Verdict::Stored {
                    self.take_what_waited(tx, source, &[&event.source_id])?;
                }
                Ok(receipt)
            }
            // Our own, on its way round: nothing is kept, and nobody needs to hear of it.
            (Err(rejection), _) if rejection.reason == RejectReason::Own => {
                Ok(Receipt { post_id: None, verdict: Verdict::Own })
            }
            (Err(rejection), _) => set_aside(tx, incoming, rejection, now),
            (Ok(_), None) => set_aside(tx, incoming, &unknown_source(), now),
        }
    }

    fn write_gathered(&mut self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let mut new = std::mem::take(&mut self.gathered);
        if new.is_empty() {
            return Ok(());
        }
        fresh::insert(tx, &mut new)?;
        let mut by_source: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for post in &new {
            by_source.entry(&post.standing.source).or_default().push(&post.revision.post.source_id);
        }
        for (name, source_ids) in by_source {
            if let Some(source) = self.terms.sources.get(name) {
                self.take_what_waited(tx, source, &source_ids)?;
            }
        }
        Ok(())
    }

    /// Revisions and withdrawals that overtook their posts on the way in.
    fn take_what_waited(&mut self, tx: &mut Tx<'_>, source: &Source, source_ids: &[&str]) -> Result<(), StoreError> {
        let Terms { guard, now, .. } = self.terms;
        let word = RejectReason::UnknownPost.word();
        for row in quarantine::waiting_for_posts(tx, &source.policy.name, source_ids, word)? {
            let Some(incoming) = read_message(&row) else { continue };
            if let Ok(event) = decode(&incoming, &source.policy) {
                let noticed = &mut self.noticed;
                let receipt = Door { tx, source, incoming: &incoming, guard, now, noticed }.take(&event)?;
                if !matches!(receipt.verdict, Verdict::Quarantined { .. }) {
                    quarantine::set_replayed(tx, &row.id, now)?;
                    self.terms.note(tx, &source.policy.name, Ok(&event), &receipt)?;
                }
            }
        }
        Ok(())
    }
}

fn unknown_source() -> Rejection {
    Rejection {
        reason: RejectReason::NotAllowed,
        path: "source".to_owned(),
        detail: "no source of this name is configured".to_owned(),
        event_id: None,
        source_id: None,
        kind: None,
    }
}

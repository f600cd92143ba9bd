//! The one door: decode, store and commit; only then may anybody acknowledge (design rule 1).

use super::decode::decode;
use super::wire::{Change as Said, Event, EventKind, Incoming, RejectReason, Rejection, SourcePolicy};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::{Post, Standing};
use crate::store::changes::{Change, ChangeKind};
use crate::store::posts::{self, Revision};
use crate::store::quarantine::{self, Quarantined};
use crate::store::{StoreError, Tx, editions, releases};
use std::time::Duration;

/// What became of a message. All of these are durable.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Verdict {
    /// A new post.
    Stored,
    /// A new revision of a post.
    Revised,
    /// A post was taken back.
    Withdrawn,
    /// Known already; nothing changed.
    Duplicate,
    /// A revision older than the newest one: kept, shown nowhere.
    Stale,
    /// Set aside.
    Quarantined {
        /// The row's id.
        id: String,
        /// A word from the closed list.
        reason: String,
        /// The field.
        path: String,
        /// What would be right.
        detail: String,
    },
}

impl Verdict {
    /// As metrics name it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Revised => "revised",
            Self::Withdrawn => "withdrawn",
            Self::Duplicate => "duplicate",
            Self::Stale => "stale",
            Self::Quarantined { .. } => "quarantined",
        }
    }
}

/// The answer to one message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Receipt {
    /// The post, as far as it could be told.
    pub post_id: Option<String>,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What to do with a second `published` event of a post that has other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Republish {
    /// It is a revision.
    #[default]
    Revise,
    /// It is set aside for a person to look at.
    Quarantine,
}

/// A source and the rules by which its messages are taken in.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it may do.
    pub policy: SourcePolicy,
    /// What a second `published` means.
    pub republish: Republish,
}

/// How posts of long ago are guarded.
#[derive(Clone, Copy, Debug)]
pub enum Backfill {
    /// A post published longer ago than this becomes public, not released.
    OlderThan(Duration),
    /// Every post becomes public, not released: an import of old posts.
    Everything,
}

/// Which posts become public, not released.
#[derive(Clone, Copy, Debug)]
pub(super) struct Guard {
    /// By the configuration.
    pub(super) backfill: Backfill,
    /// By the word of an operator who restored the database: what was due before went out.
    pub(super) sent_until: Option<UnixMillis>,
}

impl Guard {
    fn holds(self, post: &Post, now: UnixMillis) -> bool {
        let due_at = post.public_due_at();
        let is_old = match self.backfill {
            Backfill::Everything => true,
            Backfill::OlderThan(age) => due_at < now.minus(age),
        };
        is_old || self.sent_until.is_some_and(|until| due_at < until)
    }
}

/// Stores one message that was decoded, or sets it aside, and adds what readers may notice to `noticed`.
pub(super) fn store(
    tx: &mut Tx<'_>,
    source: &Source,
    incoming: &Incoming,
    decoded: &Result<Event, Box<Rejection>>,
    guard: Guard,
    now: UnixMillis,
    noticed: &mut Vec<Change>,
) -> Result<Receipt, StoreError> {
    let event = match decoded {
        Ok(event) => event,
        Err(rejection) => return set_aside(tx, incoming, rejection, now),
    };
    let mut door = Door { tx, source, incoming, guard, now, noticed };
    let receipt = door.take(event)?;
    if receipt.verdict == Verdict::Stored {
        door.take_what_waited(&event.source_id)?;
    }
    Ok(receipt)
}

struct Door<'a, 't> {
    tx: &'a mut Tx<'t>,
    source: &'a Source,
    incoming: &'a Incoming,
    guard: Guard,
    now: UnixMillis,
    noticed: &'a mut Vec<Change>,
}

impl Door<'_, '_> {
    fn take(&mut self, event: &Event) -> Result<Receipt, StoreError> {
        let known = posts::event(self.tx, &event.source, &event.event_source, &event.event_id)?;
        if let Some((hash, post_id)) = known {
            if hash == event.content_hash {
                return Ok(Receipt { post_id: Some(post_id), verdict: Verdict::Duplicate });
            }
            return self.refuse(
                event,
                RejectReason::EventIdReused,
                "id",
                "this event id came before with other content; give each event an id of its own",
            );
        }
        let post_id = ids::post_id(&event.source, &event.source_id);
        // The story's row is locked before the post's, as the release step does it.
        let story_id = posts::story_of(self.tx, &post_id)?;
        if let Some(story_id) = &story_id {
            releases::ask_for_look(self.tx, story_id, self.now)?;
        }
        let standing = posts::lock(self.tx, &event.source, &event.source_id)?;
        let verdict = match (&event.change, &standing) {
            (Said::Published(post), None) => self.publish(event, post, &post_id)?,
            (Said::Published(post), Some(standing)) => {
                if self.source.republish == Republish::Quarantine && !self.same_as_newest(event, standing)? {
                    return self.refuse(event, RejectReason::Republished, "id", "a post of this id was published before with other content, and this source may not revise that way");
                }
                self.revise(event, post, standing)?
            }
            (Said::Revised(post), Some(standing)) => self.revise(event, post, standing)?,
            (Said::Withdrawn { .. }, Some(standing)) => self.withdraw(standing)?,
            (_, None) => {
                return self.refuse(
                    event,
                    RejectReason::UnknownPost,
                    "id",
                    "no post of this id was published yet; this is taken in by itself once one is",
                );
            }
        };
        if let Err((reason, detail)) = verdict {
            return self.refuse(event, reason, "revision", detail);
        }
        let key = (event.source.as_str(), event.event_source.as_str(), event.event_id.as_str());
        posts::insert_event(self.tx, key, &event.content_hash, &post_id, self.now)?;
        let verdict = verdict.unwrap_or(Verdict::Duplicate);
        Ok(Receipt { post_id: Some(post_id), verdict })
    }

    fn publish(&mut self, event: &Event, post: &Post, post_id: &str) -> Result<Taken, StoreError> {
        let story_id =
            post.story.as_deref().map_or_else(|| post_id.to_owned(), |story| ids::story_id(&event.source, story));
        let held = self.guard.holds(post, self.now);
        let revision = revision(event, post, event.revision.unwrap_or(1), self.now);
        releases::ask_for_look(self.tx, &story_id, post.public_due_at().max(self.now))?;
        let standing = Standing {
            post_id: post_id.to_owned(),
            story_id,
            source: event.source.clone(),
            revision: revision.number,
            received_at: self.now,
            revised_at: None,
            public_at: None,
            expired_at: None,
            withdrawn_at: None,
            backfill_at: held.then_some(self.now),
        };
        posts::insert(self.tx, &standing, &revision)?;
        Ok(Ok(Verdict::Stored))
    }

    fn same_as_newest(&mut self, event: &Event, standing: &Standing) -> Result<bool, StoreError> {
        let newest = posts::revision_hash(self.tx, &standing.post_id, standing.revision)?;
        Ok(newest.as_deref() == Some(event.content_hash.as_str()))
    }

    fn revise(&mut self, event: &Event, post: &Post, standing: &Standing) -> Result<Taken, StoreError> {
        if standing.withdrawn_at.is_some() {
            return Ok(Err((RejectReason::WithdrawnPost, "this post was withdrawn; publish it under a new id")));
        }
        let number = match event.revision {
            None if self.same_as_newest(event, standing)? => return Ok(Ok(Verdict::Duplicate)),
            None => standing.revision + 1,
            Some(number) => number,
        };
        if let Some(kept) = posts::revision_hash(self.tx, &standing.post_id, number)? {
            return Ok(if kept == event.content_hash {
                Ok(Verdict::Duplicate)
            } else {
                Err((RejectReason::RevisionReused, "this revision number came before with other content; count on"))
            });
        }
        let revision = revision(event, post, number, self.now);
        posts::insert_revision(self.tx, &standing.post_id, &revision)?;
        if number < standing.revision {
            return Ok(Ok(Verdict::Stale));
        }
        posts::set_head(self.tx, &standing.post_id, &revision)?;
        let look_at = if standing.public_at.is_some() { self.now } else { post.public_due_at().max(self.now) };
        releases::ask_for_look(self.tx, &standing.story_id, look_at)?;
        if standing.is_public() {
            editions::mark_replaced(self.tx, &standing.post_id, self.now, false)?;
            self.notice(ChangeKind::Revised, standing, post.language.as_str());
        }
        Ok(Ok(Verdict::Revised))
    }

    fn withdraw(&mut self, standing: &Standing) -> Result<Taken, StoreError> {
        if standing.withdrawn_at.is_some() {
            return Ok(Ok(Verdict::Duplicate));
        }
        posts::set_withdrawn(self.tx, &standing.post_id, self.now)?;
        editions::mark_replaced(self.tx, &standing.post_id, self.now, true)?;
        if standing.public_at.is_some() {
            self.notice(ChangeKind::Withdrawn, standing, "");
        }
        Ok(Ok(Verdict::Withdrawn))
    }

    fn notice(&mut self, kind: ChangeKind, standing: &Standing, language: &str) {
        self.noticed.push(Change {
            kind,
            post_id: standing.post_id.clone(),
            story_id: standing.story_id.clone(),
            language: language.to_owned(),
            at: self.now,
        });
    }

    /// Revisions and withdrawals that overtook their post on the way in.
    fn take_what_waited(&mut self, source_id: &str) -> Result<(), StoreError> {
        let source = self.source.policy.name.clone();
        let word = RejectReason::UnknownPost.word();
        for row in quarantine::waiting_for_post(self.tx, &source, source_id, word)? {
            let Some(incoming) = read_message(&row) else { continue };
            if let Ok(event) = decode(&incoming, &self.source.policy, self.now) {
                let receipt = self.take(&event)?;
                if !matches!(receipt.verdict, Verdict::Quarantined { .. }) {
                    quarantine::set_replayed(self.tx, &row.id, self.now)?;
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, event: &Event, reason: RejectReason, path: &str, detail: &str) -> Result<Receipt, StoreError> {
        let rejection = Rejection {
            reason,
            path: path.to_owned(),
            detail: detail.to_owned(),
            event_id: Some(event.event_id.clone()),
            source_id: Some(event.source_id.clone()),
            kind: Some(event.kind()),
        };
        set_aside(self.tx, self.incoming, &rejection, self.now)
    }
}

/// What was taken, or why it can't be.
type Taken = Result<Verdict, (RejectReason, &'static str)>;

fn revision<'a>(event: &'a Event, post: &'a Post, number: i64, now: UnixMillis) -> Revision<'a> {
    Revision {
        number,
        post,
        content_hash: &event.content_hash,
        repairs: &event.repairs,
        event_id: &event.event_id,
        received_at: now,
    }
}

/// The message as the quarantine keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Message {
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    bytes: String,
}

/// Puts a message into the quarantine.
pub(super) fn set_aside(
    tx: &mut Tx<'_>,
    incoming: &Incoming,
    rejection: &Rejection,
    now: UnixMillis,
) -> Result<Receipt, StoreError> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let clean = |text: &String| text.chars().filter(|c| *c != '\0').collect::<String>();
    let kept = |headers: &[(String, String)]| -> Vec<(String, String)> {
        // Credentials are none of the quarantine's business.
        headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization")).cloned().collect()
    };
    let message = Message {
        content_type: incoming.content_type.clone(),
        headers: kept(&incoming.headers),
        bytes: STANDARD.encode(&incoming.bytes),
    };
    let row = Quarantined {
        id: ids::quarantine_id(&incoming.source, &ids::content_hash(&incoming.bytes)),
        source: incoming.source.clone(),
        kind: rejection.kind.map(EventKind::word).map(str::to_owned),
        source_id: rejection.source_id.as_ref().map(clean),
        event_id: rejection.event_id.as_ref().map(clean),
        reason: rejection.reason.word().to_owned(),
        path: clean(&rejection.path),
        detail: clean(&rejection.detail),
        message: serde_json::to_string(&message).map_err(|e| StoreError::Shape(e.to_string()))?,
        received_at: now,
        replayed_at: None,
    };
    quarantine::put(tx, &row)?;
    let post_id = rejection.source_id.as_deref().map(|source_id| ids::post_id(&incoming.source, source_id));
    let (id, reason, path, detail) = (row.id, row.reason, row.path, row.detail);
    Ok(Receipt { post_id, verdict: Verdict::Quarantined { id, reason, path, detail } })
}

/// The message that a quarantine row keeps.
pub(super) fn read_message(row: &Quarantined) -> Option<Incoming> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let message: Message = serde_json::from_str(&row.message).ok()?;
    let bytes = STANDARD.decode(&message.bytes).ok()?;
    let source = row.source.clone();
    Some(Incoming { source, content_type: message.content_type, headers: message.headers, bytes })
}

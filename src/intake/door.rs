//! What one event changes, by what is known of it and of its post.

use super::accept::{Guard, Receipt, Republish, Revisions, Source, Verdict};
use super::aside::set_aside;
use super::wire::{Change as Said, Event, Incoming, RejectReason, Rejection};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::{Post, Standing};
use crate::store::changes::{Change, ChangeKind};
use crate::store::fresh::{self, Fresh};
use crate::store::posts::{self, Revision};
use crate::store::{StoreError, Tx, corrections, editions, releases, views};

/// One event at the door.
pub(super) struct Door<'a, 't> {
    /// The transaction that everything happens in.
    pub(super) tx: &'a mut Tx<'t>,
    /// Who speaks.
    pub(super) source: &'a Source,
    /// What was said, for the quarantine.
    pub(super) incoming: &'a Incoming,
    /// How old posts are guarded.
    pub(super) guard: Guard,
    /// The present instant.
    pub(super) now: UnixMillis,
    /// Gets what readers may notice.
    pub(super) noticed: &'a mut Vec<Change>,
}

impl Door<'_, '_> {
    /// Takes an event, whatever is known of it and its post.
    pub(super) fn take(&mut self, event: &Event) -> Result<Receipt, StoreError> {
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
            (Said::Published(post), None) => {
                fresh::insert(self.tx, &mut [new_post(event, post, &post_id, self.guard, self.now)])?;
                return Ok(Receipt { post_id: Some(post_id), verdict: Verdict::Stored });
            }
            (Said::Published(post), Some(standing)) => {
                let is_other = self.compare(event, post, &standing.post_id, standing.revision)? == Compared::Other;
                if self.source.republish == Republish::Quarantine && is_other {
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

    /// How what was said differs from a kept revision. How often a post was looked at is no part of what it says: a source that counts
    /// views and announces a post again has not revised it.
    fn compare(&mut self, event: &Event, post: &Post, post_id: &str, number: i64) -> Result<Compared, StoreError> {
        let Some(kept) = posts::revision_hash(self.tx, post_id, number)? else { return Ok(Compared::Missing) };
        if kept == event.content_hash {
            return Ok(Compared::Same);
        }
        let revision = posts::at_revisions(self.tx, &[(post_id.to_owned(), number)])?;
        let views = revision.first().and_then(|(_, kept)| kept.views);
        let is_same = views != post.views && hash_with_views(event, post, views) == kept;
        Ok(if is_same { Compared::OtherViews } else { Compared::Other })
    }

    /// Nothing new was said of a post but, perhaps, how often it was looked at by now.
    fn repeated(&mut self, post: &Post, standing: &Standing, number: i64) -> Result<Taken, StoreError> {
        if let Some(told) = post.views.filter(|_| number == standing.revision) {
            views::tell(self.tx, &standing.post_id, told)?;
        }
        Ok(Ok(Verdict::Duplicate))
    }

    fn revise(&mut self, event: &Event, post: &Post, standing: &Standing) -> Result<Taken, StoreError> {
        if standing.withdrawn_at.is_some() {
            return Ok(Err((RejectReason::WithdrawnPost, "this post was withdrawn; publish it under a new id")));
        }
        let said = event.revision.unwrap_or(standing.revision);
        let number = match (self.compare(event, post, &standing.post_id, said)?, event.revision) {
            (Compared::Same, _) => return Ok(Ok(Verdict::Duplicate)),
            (Compared::OtherViews, _) => return self.repeated(post, standing, said),
            (Compared::Missing, _) => said,
            (Compared::Other, None) => standing.revision + 1,
            (Compared::Other, Some(_)) => {
                let fix = "this revision number came before with other content; count on";
                return Ok(Err((RejectReason::RevisionReused, fix)));
            }
        };
        let revision = revision(event, post, number, self.now);
        posts::insert_revision(self.tx, &standing.post_id, &revision)?;
        if number < standing.revision {
            return Ok(Ok(Verdict::Stale));
        }
        posts::set_head(self.tx, &standing.post_id, &revision)?;
        views::forget_told(self.tx, &standing.post_id)?;
        let look_at = if standing.public_at.is_some() { self.now } else { post.public_due_at().max(self.now) };
        releases::ask_for_look(self.tx, &standing.story_id, look_at)?;
        // Before its time too: a partner who is trusted with it may be about to be told of the older one.
        editions::mark_replaced(self.tx, &standing.post_id, self.now, false)?;
        if standing.is_public() {
            self.notice(ChangeKind::Revised, standing, post.language.as_str());
            // What comes again from an archive, or after a restore, is no news to anybody.
            if self.source.revisions == Revisions::Correct && !self.guard.holds(post, self.now) {
                corrections::ask(self.tx, &standing.post_id, number, self.now)?;
            }
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

/// A post that nobody knows yet, as the store gets it.
pub(super) fn new_post<'a>(
    event: &'a Event,
    post: &'a Post,
    post_id: &str,
    guard: Guard,
    now: UnixMillis,
) -> Fresh<'a> {
    let story_id =
        post.story.as_deref().map_or_else(|| post_id.to_owned(), |story| ids::story_id(&event.source, story));
    let held = guard.holds(post, now);
    let revision = revision(event, post, event.revision.unwrap_or(1), now);
    let standing = Standing {
        post_id: post_id.to_owned(),
        story_id,
        source: event.source.clone(),
        revision: revision.number,
        received_at: now,
        revised_at: None,
        public_at: None,
        expired_at: None,
        withdrawn_at: None,
        backfill_at: held.then_some(now),
    };
    Fresh { standing, revision, event_source: &event.event_source, look_at: post.public_due_at().max(now) }
}

/// What the hash of a content would be if the source had told these views.
fn hash_with_views(event: &Event, post: &Post, views: Option<i64>) -> String {
    let mut said = post.clone();
    said.views = views;
    said.path.clear();
    if event.has_default_topics {
        said.topics.clear();
    }
    serde_json::to_string(&said).map_or_else(|_| String::new(), |json| ids::content_hash(json.as_bytes()))
}

/// How what was said of a post differs from a revision of it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    /// In nothing.
    Same,
    /// In how often the post was looked at, and in nothing else.
    OtherViews,
    /// In what readers read.
    Other,
    /// There is no such revision.
    Missing,
}

/// What was taken, or why it can't be.
type Taken = Result<Verdict, (RejectReason, &'static str)>;

fn revision<'a>(event: &'a Event, post: &'a Post, number: i64, now: UnixMillis) -> Revision<'a> {
    Revision {
        number,
        post,
        content: &event.content,
        content_hash: &event.content_hash,
        repairs: &event.repairs,
        event_id: &event.event_id,
        received_at: now,
    }
}

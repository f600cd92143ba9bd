//! Posts that were taken in and can't be shown: set aside with the reason, alone, while whatever they would spoil goes on without
//! them (design rule 18).

use super::Intake;
use super::aside;
use super::wire::{DETAIL_CHARS_MAX, Incoming, clipped};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::Showable;
use crate::store::quarantine::{self, Quarantined};
use crate::store::{StoreError, Tx};

/// The reason in the quarantine. None of [`super::wire::RejectReason`]: nothing is wrong with the message.
const REASON: &str = "unshowable";

/// A post that can't be shown.
#[derive(Clone, Debug)]
pub struct Unshowable {
    /// The post.
    pub showable: Showable,
    /// What went on without it, such as `feeds/events.atom`.
    pub place: String,
    /// Why.
    pub why: String,
}

impl Intake {
    /// Sets posts aside that can't be shown, but for revisions that are set aside already. Feeds are made anew with every change, and what
    /// can't be shown now can't be shown then. Returns those that are new.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn set_aside_unshowable(&self, posts: Vec<Unshowable>) -> Result<Vec<Unshowable>, StoreError> {
        let new = move |tx: &mut Tx<'_>| {
            let mut new = Vec::new();
            for post in &posts {
                let is_open = quarantine::find(tx, &id(post))?.is_some_and(|row| row.replayed_at.is_none());
                if !is_open {
                    new.push(post.clone());
                }
            }
            Ok(new)
        };
        let new: Vec<Unshowable> = self.store.read(new).await?;
        if new.is_empty() {
            return Ok(new);
        }
        let (now, posts) = (self.store.now().await?, new.clone());
        self.store.write(move |tx| posts.iter().try_for_each(|post| put(tx, post, now))).await?;
        Ok(new)
    }
}

/// One row for each revision.
fn id(unshowable: &Unshowable) -> String {
    let standing = unshowable.showable.standing();
    let of = format!("{REASON} {} {}", standing.post_id, standing.revision);
    ids::quarantine_id(&standing.source, &ids::content_hash(of.as_bytes()))
}

fn put(tx: &mut Tx<'_>, unshowable: &Unshowable, now: UnixMillis) -> Result<(), StoreError> {
    let (standing, post) = (unshowable.showable.standing(), unshowable.showable.post());
    let content = serde_json::to_vec_pretty(post).map_err(|error| StoreError::Shape(error.to_string()))?;
    let content_type = Some("application/json".to_owned());
    let kept = Incoming { source: standing.source.clone(), content_type, headers: Vec::new(), bytes: content };
    let row = Quarantined {
        id: id(unshowable),
        source: standing.source.clone(),
        kind: None,
        source_id: Some(post.source_id.clone()),
        event_id: None,
        reason: REASON.to_owned(),
        path: unshowable.place.clone(),
        detail: clipped(&unshowable.why, DETAIL_CHARS_MAX),
        message: aside::written(&kept)?,
        received_at: now,
        replayed_at: None,
    };
    quarantine::put(tx, &row)
}

/// Whether a row is of a post that was taken in, so that there is no message to take in again: what is shown is made anew from what
/// the store holds.
pub(super) fn is_one(row: &Quarantined) -> bool {
    row.reason == REASON
}

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
    /// Sets posts aside that can't be shown. A revision that is there already gets the newest place and reason.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn set_aside_unshowable(&self, posts: Vec<Unshowable>) -> Result<(), StoreError> {
        let now = self.store.now().await?;
        self.store.write(move |tx| posts.iter().try_for_each(|post| put(tx, post, now))).await
    }
}

fn put(tx: &mut Tx<'_>, unshowable: &Unshowable, now: UnixMillis) -> Result<(), StoreError> {
    let (standing, post) = (unshowable.showable.standing(), unshowable.showable.post());
    let content = serde_json::to_vec_pretty(post).map_err(|error| StoreError::Shape(error.to_string()))?;
    let content_type = Some("application/json".to_owned());
    let kept = Incoming { source: standing.source.clone(), content_type, headers: Vec::new(), bytes: content };
    let of = format!("{REASON} {} {}", standing.post_id, standing.revision);
    let row = Quarantined {
        id: ids::quarantine_id(&standing.source, &ids::content_hash(of.as_bytes())),
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

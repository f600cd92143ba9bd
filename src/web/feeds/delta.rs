//! Only what is new since the client's copy (RFC 3229 with the `feed` instance manipulation).

use super::find::find;
use super::made::{Made, Version};
use super::which::Which;
use super::write::write;
use crate::render::feed::{Kind, updated_at};
use crate::web::Front;
use crate::web::validators::{asked_tags, weight};
use axum::http::{HeaderMap, HeaderName};
use std::sync::Arc;

/// The header field that asks (RFC 3229 section 10.5.3).
pub(in crate::web) const A_IM: HeaderName = HeaderName::from_static("a-im");
/// The manipulation: a feed with the entries that are new or were revised.
const FEED: &str = "feed";

/// Whether the client takes only what is new.
pub(in crate::web) fn is_asked(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(A_IM).iter().filter_map(|line| line.to_str().ok());
    lines
        .flat_map(|line| line.split(','))
        .map(weight)
        .any(|(name, weight)| name.eq_ignore_ascii_case(FEED) && weight > 0.0)
}

/// What is new in a feed since the client's copy, if it asks for that and the copy is one that this process remembers. It is made
/// once for each such copy.
pub(super) async fn of(front: &Arc<Front>, which: &Which, made: &Arc<Made>, headers: &HeaderMap) -> Option<Arc<Made>> {
    if !matches!(which.kind, Kind::Entries(_)) || !is_asked(headers) {
        return None;
    }
    let known = asked_tags(headers).find_map(|tag| made.earlier(tag))?;
    if let Some(delta) = made.delta(&known) {
        return Some(delta);
    }
    let mut found = find(front, which).await.ok()??;
    // Something happened since: the whole feed, which is always a right answer.
    if found.head != made.head {
        return None;
    }
    found.posts.retain(|post| !known.holds(&post.standing().post_id, updated_at(post)));
    let (front, which, made) = (front.clone(), which.clone(), made.clone());
    let work = move || write_delta(&front, &which, &made, &known, &found);
    tokio::task::spawn_blocking(work).await.ok()?
}

fn write_delta(
    front: &Front,
    which: &Which,
    made: &Made,
    known: &Version,
    found: &super::find::Found,
) -> Option<Arc<Made>> {
    match write(front, which, found) {
        Ok(written) => Some(made.keep_delta(known, which.kind, written.bytes)),
        Err(error) => {
            tracing::warn!(%error, "what is new in a feed could not be written");
            None
        }
    }
}

//! What happens to a post that can't be shown: whatever it would spoil goes on without it, and it is set aside with the reason.

use super::Front;
use crate::intake::unshowable::Unshowable;

/// Sets posts aside, each revision once, as long as nobody has put it away.
pub(super) async fn set_aside(front: &Front, posts: Vec<Unshowable>) {
    if posts.is_empty() {
        return;
    }
    match front.intake.set_aside_unshowable(posts).await {
        Ok(new) => {
            for Unshowable { showable, place, why } in &new {
                let post_id = &showable.standing().post_id;
                tracing::error!(post_id, place, why, "a post can't be shown and was left out");
            }
        }
        Err(error) => tracing::warn!(%error, "posts that can't be shown could not be set aside"),
    }
}

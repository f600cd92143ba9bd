//! What happens to a post that can't be shown: whatever it would spoil goes on without it, and it is set aside with the reason.

use super::Front;
use crate::intake::unshowable::Unshowable;
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Revisions that are remembered as set aside. Beyond them some are set aside again, which changes nothing but costs a write.
const TOLD_MAX: usize = 10_000;

/// The revisions that this process has set aside already: feeds are made anew with every change, and what can't be shown now can't be
/// shown then.
#[derive(Default)]
pub(super) struct Unshown(Mutex<BTreeSet<(String, i64)>>);

impl Unshown {
    /// Sets posts aside, each revision once.
    pub(super) async fn set_aside(&self, front: &Front, posts: Vec<Unshowable>) {
        let new = self.remember(posts);
        if new.is_empty() {
            return;
        }
        for Unshowable { showable, place, why } in &new {
            tracing::error!(
                post_id = showable.standing().post_id,
                place,
                why,
                "a post can't be shown and was left out"
            );
        }
        if let Err(error) = front.intake.set_aside_unshowable(new.clone()).await {
            tracing::warn!(%error, "posts that can't be shown could not be set aside");
            self.forget(&new);
        }
    }

    fn remember(&self, posts: Vec<Unshowable>) -> Vec<Unshowable> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() > TOLD_MAX {
            told.clear();
        }
        posts.into_iter().filter(|post| told.insert(key(post))).collect()
    }

    /// So that they are set aside the next time.
    fn forget(&self, posts: &[Unshowable]) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        posts.iter().for_each(|post| _ = told.remove(&key(post)));
    }
}

fn key(post: &Unshowable) -> (String, i64) {
    let standing = post.showable.standing();
    (standing.post_id.clone(), standing.revision)
}

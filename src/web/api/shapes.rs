//! What the interface answers about posts, as JSON and in its description.

use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::web::Front;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a message that was taken.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Taken {
    /// The post.
    pub(super) post_id: Option<String>,
    /// `stored`: new. `revised`: a newer revision. `withdrawn`: taken back. `duplicate`: known already, nothing
    /// changed. `stale`: a revision older than the newest, kept and shown nowhere. `own`: it went out from this
    /// installation and came back; nothing was kept.
    #[schema(example = "stored", pattern = "^(stored|revised|withdrawn|duplicate|stale|own)$")]
    pub(super) state: &'static str,
}

/// A post and where it stands.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PostSummary {
    /// The id here.
    pub(super) post_id: String,
    /// The id that the source gave it.
    pub(super) source_id: String,
    /// What its variants in other languages share.
    pub(super) story_id: String,
    /// Its title.
    pub(super) title: String,
    /// Its language (BCP 47).
    pub(super) language: String,
    /// Topics it is shown under; tags as `tag:…`.
    pub(super) topics: Vec<String>,
    /// `waiting` for publication or the end of an embargo, `public`, `expired` or `withdrawn`.
    #[schema(example = "public", pattern = "^(waiting|public|expired|withdrawn)$")]
    pub(super) state: &'static str,
    /// Public, but mailed to nobody until an operator releases it, because it was published long ago.
    pub(super) is_held_as_backfill: bool,
    /// The newest revision.
    pub(super) revision: i64,
    /// When the source says it was published (RFC 3339).
    pub(super) published_at: String,
    /// When it was taken in.
    pub(super) received_at: String,
    /// When its newest revision was taken in, if it isn't the first.
    pub(super) revised_at: Option<String>,
    /// When it became public.
    pub(super) public_at: Option<String>,
    /// When its time was over.
    pub(super) expired_at: Option<String>,
    /// When it was withdrawn.
    pub(super) withdrawn_at: Option<String>,
    /// Its page here.
    pub(super) page: String,
}

/// A page of posts.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PostList {
    /// Newest publication first.
    pub(super) posts: Vec<PostSummary>,
    /// The value of `before` with which the next request goes on; null at the end.
    pub(super) next: Option<String>,
}

/// A post with the history of its revisions.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PostDetail {
    #[serde(flatten)]
    pub(super) summary: PostSummary,
    /// Every kept revision, oldest first.
    pub(super) history: Vec<RevisionInfo>,
}

/// One kept revision.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct RevisionInfo {
    /// Its number.
    pub(super) revision: i64,
    /// When it was taken in.
    pub(super) received_at: String,
    /// What was cleaned, each with its path.
    pub(super) repairs: Vec<String>,
}

/// Why a post is withdrawn.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct Withdrawal {
    /// One line for readers.
    pub(super) reason: Option<String>,
}

/// A post and where it stands.
pub(super) fn summary(front: &Front, standing: &Standing, post: &Post) -> PostSummary {
    let at = |at: Option<UnixMillis>| at.map(|at| at.to_string());
    PostSummary {
        post_id: standing.post_id.clone(),
        source_id: post.source_id.clone(),
        story_id: standing.story_id.clone(),
        title: post.title.line().into(),
        language: post.language.to_string(),
        topics: post.topics_all(),
        state: match (standing.withdrawn_at, standing.expired_at, standing.public_at) {
            (Some(_), ..) => "withdrawn",
            (_, Some(_), _) => "expired",
            (_, _, Some(_)) => "public",
            _ => "waiting",
        },
        is_held_as_backfill: standing.backfill_at.is_some(),
        revision: standing.revision,
        published_at: post.published_at.to_string(),
        received_at: standing.received_at.to_string(),
        revised_at: at(standing.revised_at),
        public_at: at(standing.public_at),
        expired_at: at(standing.expired_at),
        withdrawn_at: at(standing.withdrawn_at),
        page: format!("{}/posts/{}", front.origin, standing.post_id),
    }
}

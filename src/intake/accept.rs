//! The words of the one door: what a source may do, and what becomes of a message.

use super::wire::SourcePolicy;
use crate::domain::clock::UnixMillis;
use crate::domain::post::Post;
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
    /// It went out from here and came back from a partner: acknowledged, and kept nowhere.
    Own,
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
            Self::Own => "own",
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Republish {
    /// It is a revision.
    #[default]
    Revise,
    /// It is set aside for a person to look at.
    Quarantine,
}

/// What readers who had a post hear when it is revised. Pages and feeds show a revision at once, whatever this says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Revisions {
    /// Nothing.
    #[default]
    Silent,
    /// A line in the next issue of their digest.
    Note,
    /// A correction, sent to exactly those who got it as it was.
    Correct,
}

/// A source and the rules by which its messages are taken in.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it may do.
    pub policy: SourcePolicy,
    /// What a second `published` means.
    pub republish: Republish,
    /// What a revision means to those who had the post.
    pub revisions: Revisions,
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
    /// Whether a post that comes now is held as backfill.
    pub(super) fn holds(self, post: &Post, now: UnixMillis) -> bool {
        let due_at = post.public_due_at();
        let is_old = match self.backfill {
            Backfill::Everything => true,
            Backfill::OlderThan(age) => due_at < now.minus(age),
        };
        is_old || self.sent_until.is_some_and(|until| due_at < until)
    }
}

//! An edition: a frozen content that one or many recipients get.

use super::delivery::words;
use super::language::Language;
use serde::{Deserialize, Serialize};
use std::fmt;

words! {
    /// What an edition is.
    EditionKind {
        /// Posts that became public.
        Issue = "issue",
        /// Asks the holder of an address whether they want what was asked for in their name.
        Confirmation = "confirmation",
        /// Somebody's own link to their settings, which they asked for.
        Link = "link",
        /// Tells that consent to commercial mail was recorded, and when.
        Granted = "granted",
        /// Tells that the withdrawal of such consent was recorded, and when.
        Withdrawn = "withdrawn",
        /// Says that there was nothing new since the issue before, where a digest is to say so.
        Heartbeat = "heartbeat",
        /// A post that was revised, to those who got it as it was.
        Correction = "correction",
        /// An issue as an operator shows it to colleagues; counts for nobody as given.
        Test = "test",
        /// What happened to a post, for programs that follow a feed.
        Push = "push",
        /// Reminds, every two years, that there is such a consent, of when, and of how to end it.
        Reminder = "reminder",
        /// Tells the contact of a partner institution that it is paused, since nothing gets through to it.
        PartnerPaused = "partner_paused",
    }
}

words! {
    /// What an item shows of its post.
    ItemForm {
        /// The post.
        Post = "post",
        /// A line: the reader had it before, and it was revised since.
        Revised = "revised",
    }
}

impl ItemForm {
    fn post() -> Self {
        Self::Post
    }

    fn is_post(&self) -> bool {
        *self == Self::Post
    }
}

/// One post in an edition: which revision, and the topic it is shown under.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// What the ledger counts by.
    pub story_id: String,
    /// The variant shown.
    pub post_id: String,
    /// The pinned revision.
    pub revision: i64,
    /// The subscriber's topic that brought it, which it is shown under.
    pub topic: String,
    /// Their further topics that match it, ascending. Readers who follow others get another edition, since a mail says why
    /// it came. Left out where there is none, so that the keys of editions from before stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// What it shows of the post. Left out where that is the post itself, for the same reason.
    #[serde(default = "ItemForm::post", skip_serializing_if = "ItemForm::is_post")]
    pub form: ItemForm,
}

/// What recipients must share to share an edition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Content {
    /// What it is.
    pub kind: EditionKind,
    /// `immediate` or the digest's name.
    pub schedule: String,
    /// The language of the reader, which items may differ from.
    pub language: Language,
    /// The configured sender.
    pub sender: String,
    /// The version of the templates; a new one makes new editions, never changes old ones.
    pub template: String,
    /// The posts, in the order shown.
    pub items: Vec<Item>,
}

impl Content {
    /// The key by which equal contents are found: a hash over everything above.
    #[must_use]
    pub fn key(&self) -> String {
        let parts =
            (self.kind.word(), &self.schedule, self.language.as_str(), &self.sender, &self.template, &self.items);
        let json = serde_json::to_vec(&parts).unwrap_or_default();
        super::ids::content_hash(&json)
    }
}

/// The schedule that service letters are filed under: no digest may have this name.
pub const SERVICE: &str = "service";
/// The schedule that what is pushed to endpoints is filed under: no digest may have this name.
pub const PUSH: &str = "push";
/// The schedule whose firings plan corrections: no digest may have this name.
pub const CORRECTION: &str = "correction";

impl EditionKind {
    /// Whether it answers what its recipient did, and so is neither superseded nor stopped by their leaving.
    #[must_use]
    pub fn is_service(self) -> bool {
        !matches!(self, Self::Issue | Self::Heartbeat | Self::Correction | Self::Test | Self::Push)
    }
}

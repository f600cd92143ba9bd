//! What the interface answers to partner institutions, and about them, as JSON and in its description.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// What happened since a cursor.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Changes {
    /// CloudEvents with the post in the wire format, as webhooks bring them.
    #[schema(value_type = Vec<super::openapi::EventDocument>)]
    pub(super) events: Vec<Box<RawValue>>,
    /// The value of `after` with which the next request goes on.
    pub(super) next: String,
    /// Whether there is more already.
    pub(super) more: bool,
}

/// What a partner has.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Reconcile {
    /// The posts that it has; at most 10,000.
    pub(super) ids: Vec<Have>,
    /// Only posts published since then are looked for.
    #[serde(default)]
    #[schema(format = "date-time")]
    pub(super) since: Option<String>,
    /// `next` of the answer before, to go on.
    #[serde(default)]
    pub(super) before: Option<String>,
}

/// A post that a partner has: its id, perhaps with its revision.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(in crate::web) enum Have {
    /// Its id, `data.id` of its events.
    Id(String),
    /// The same with the revision, so that a newer one is told.
    Revision {
        /// `data.id` of its events.
        id: String,
        /// `data.revision` of the newest.
        revision: i64,
    },
}

impl Have {
    pub(super) fn into_pair(self) -> (String, Option<i64>) {
        match self {
            Self::Id(id) => (id, None),
            Self::Revision { id, revision } => (id, Some(revision)),
        }
    }
}

/// How what a partner has differs from what there is.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Reconciled {
    /// Posts that it doesn't have, as events.
    #[schema(value_type = Vec<super::openapi::EventDocument>)]
    pub(super) missing: Vec<Box<RawValue>>,
    /// Posts that it has in an older revision, as events.
    #[schema(value_type = Vec<super::openapi::EventDocument>)]
    pub(super) newer: Vec<Box<RawValue>>,
    /// Of its ids, those that aren't public posts of its selection.
    pub(super) gone: Vec<Gone>,
    /// The value of `before` with which the comparison goes on; null at its end.
    pub(super) next: Option<String>,
    /// Where `/api/v1/changes` goes on after this.
    pub(super) next_change: String,
}

/// A post that isn't there any more.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Gone {
    /// Its id.
    pub(super) id: String,
    /// When it was withdrawn, if that is why.
    pub(super) withdrawn_at: Option<String>,
}

/// A partner and how it does.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PartnerState {
    /// What it is called.
    pub(super) name: String,
    /// `webhook`, `amqp`, or `pull` for one that asks for itself.
    #[schema(pattern = "^(webhook|amqp|pull)$")]
    pub(super) way: String,
    /// Where it is told; without a password.
    pub(super) url: Option<String>,
    /// What it is told in.
    #[schema(pattern = "^(cloudevent|jsonfeed|atom|activitystreams)$")]
    pub(super) format: String,
    /// Topics it is told of; none: all.
    pub(super) topics: Vec<String>,
    /// Languages it is told of; none: all.
    pub(super) languages: Vec<String>,
    /// `pass` or `line`.
    pub(super) ordering: String,
    /// Since when it is told of posts under an embargo.
    pub(super) trusted_since: Option<String>,
    /// Who is told when it doesn't answer.
    pub(super) contact: Option<String>,
    /// Since when it is a partner.
    pub(super) since: String,
    /// Since when it is paused.
    pub(super) paused_since: Option<String>,
    /// Why.
    pub(super) paused_why: Option<String>,
    /// Since when there were failures only.
    pub(super) failing_since: Option<String>,
    /// When it ended.
    pub(super) ended: Option<String>,
    /// When the oldest delivery that waits is due.
    pub(super) waiting_since: Option<String>,
}

/// Partners.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct PartnerList {
    /// By name.
    pub(super) partners: Vec<PartnerState>,
}

/// A page of deliveries to a partner.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct ToldList {
    /// The newest first.
    pub(super) deliveries: Vec<ToldInfo>,
    /// The value of `before` with which the next request goes on; null at the end.
    pub(super) next: Option<String>,
}

/// A delivery to a partner.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct ToldInfo {
    /// `webhook-id`, or the message id.
    pub(super) id: String,
    /// `published`, `revised`, `withdrawn` or `embargoed`.
    pub(super) event: String,
    /// The post.
    pub(super) post_id: Option<String>,
    /// Which revision of it.
    pub(super) revision: Option<i64>,
    /// `due`, `claimed`, `sending`, `sent`, `refused`, `abandoned`, `uncertain` or `cancelled`.
    pub(super) state: String,
    /// Why.
    pub(super) reason: Option<String>,
    /// How often it was tried.
    pub(super) attempts: i64,
    /// What the partner's side said last, cut.
    pub(super) reply: Option<String>,
    /// When it was planned.
    pub(super) planned_at: String,
    /// When it is due, if it waits.
    pub(super) due_at: Option<String>,
    /// When it came to its end.
    pub(super) finished_at: Option<String>,
}

/// What is to be sent again: one of both.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct Again {
    /// Everything planned since then.
    #[schema(format = "date-time")]
    pub(super) since: Option<String>,
    /// What was given up or refused.
    pub(super) dead: bool,
}

/// How much is sent again.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct SentAgain {
    /// Deliveries, each under the id that it has.
    pub(super) deliveries: u64,
}

/// Why a partner is paused or ended.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct Why {
    /// For whoever looks.
    pub(super) why: Option<String>,
}

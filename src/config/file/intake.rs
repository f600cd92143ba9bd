//! How posts come in.

use super::span::Span;
use super::{defaults, span};
use crate::intake::accept::{Republish, Revisions};
use crate::intake::amqp::Topology;
use crate::intake::feed::Begin;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `[intake]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IntakeTable {
    /// A post published longer ago than this becomes public, not released.
    #[serde(default = "defaults::max_age", with = "span")]
    #[schemars(with = "Span")]
    pub max_age: Duration,
    /// Where posts come from and what they may do.
    pub source: Vec<SourceTable>,
    /// Bearer tokens of the HTTP interface.
    #[serde(default)]
    pub token: Vec<Token>,
    /// RabbitMQ.
    #[serde(default)]
    pub amqp: Option<Amqp>,
    /// A watched folder.
    #[serde(default)]
    pub spool: Option<Spool>,
    /// Feeds of partners that are pulled.
    #[serde(default)]
    pub feed: Vec<FeedTable>,
    /// Signed webhooks of partners that are taken.
    #[serde(default)]
    pub inbox: Vec<InboxTable>,
    /// Sources that are told what became of what they sent.
    #[serde(default)]
    pub receipts: Vec<ReceiptsTable>,
}

/// `[[intake.source]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceTable {
    /// Part of the identity of its posts; never change it.
    pub name: String,
    /// Topics of a post that names none.
    #[serde(default)]
    pub topics_default: Vec<String>,
    /// Topics it may publish under; all when absent.
    #[serde(default)]
    pub topics_allowed: Option<Vec<String>>,
    /// Whether it may set `priority = "urgent"`.
    #[serde(default)]
    pub urgent: bool,
    /// What a second `published` of a post with other content means.
    #[serde(default)]
    pub republish: Republish,
    /// What readers who had a post hear of its revision.
    #[serde(default)]
    pub revisions: Revisions,
    /// CloudEvents `source`s that may speak through it; any when absent.
    #[serde(default)]
    pub event_sources: Option<Vec<String>>,
}

/// `[[intake.token]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// For logs.
    pub name: String,
    /// SHA-256 of the token in hexadecimal, as `allim token new` prints it.
    pub sha256: String,
    /// The source whose posts it publishes.
    pub source: String,
    /// Whether it may hand over mail that came back.
    #[serde(default)]
    pub inbound: bool,
    /// Whether it may manage partner institutions.
    #[serde(default)]
    pub partners: bool,
}

/// `[intake.amqp]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Amqp {
    /// `amqp://` or `amqps://`, without the password if `password_file` is there.
    pub url: String,
    /// A file whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust beside the system's, for `amqps://`.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The quorum queue.
    #[serde(default = "defaults::queue")]
    pub queue: String,
    /// The source whose posts arrive there.
    pub source: String,
    /// Messages taken ahead of their acknowledgement.
    #[serde(default = "defaults::prefetch")]
    pub prefetch: u16,
    /// Deliveries of one message before it is dead-lettered.
    #[serde(default = "defaults::delivery_limit")]
    pub delivery_limit: u32,
    /// `declare` makes queue and dead-letter exchange when they aren't there; `check` only looks.
    #[serde(default)]
    pub topology: Topology,
}

/// `[intake.spool]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Files that appear here are taken in.
    pub folder: PathBuf,
    /// The source whose posts they are.
    pub source: String,
}

/// `[[intake.feed]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedTable {
    /// Where it is.
    pub url: String,
    /// The source whose posts its entries are.
    pub source: String,
    /// How often it is asked for.
    #[serde(default = "defaults::feed_every", with = "span")]
    #[schemars(with = "Span")]
    pub every: Duration,
    /// Topics of entries that no category gives one; the source's default ones when empty.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Topics of the feed's categories.
    #[serde(default)]
    pub categories: BTreeMap<String, Vec<String>>,
    /// The language of entries that name none.
    #[serde(default)]
    pub language: Option<String>,
    /// Who signs what nobody signed.
    #[serde(default)]
    pub author: Option<String>,
    /// The licence of what names none.
    #[serde(default)]
    pub license: Option<String>,
    /// Entries that are looked at.
    #[serde(default = "defaults::feed_entries_max")]
    pub entries_max: usize,
    /// What becomes of what stands there when it is pulled first.
    #[serde(default)]
    pub from: Begin,
    /// Whether it is pulled.
    #[serde(default = "defaults::yes")]
    pub enabled: bool,
}

/// `[[intake.inbox]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboxTable {
    /// The source whose posts arrive there; its name is the last part of the address.
    pub source: String,
    /// Files whose lines are secrets that both sides have.
    #[serde(default)]
    pub secret_files: Vec<PathBuf>,
    /// Public keys of the sender.
    #[serde(default)]
    pub public_keys: Vec<String>,
}

/// `[[intake.receipts]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptsTable {
    /// The source that is told.
    pub source: String,
    /// Where, by webhook.
    #[serde(default)]
    pub url: Option<String>,
    /// A file whose lines are the keys that webhooks are signed with.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// The exchange, through the broker.
    #[serde(default)]
    pub exchange: Option<String>,
    /// The routing key, through the broker.
    #[serde(default)]
    pub routing_key: Option<String>,
}

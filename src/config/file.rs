//! The configuration file as it is written: `config/allim.toml` is its manual.

mod accounts;
mod admin;
mod inbound;
mod intake;
mod mail;
mod outside;
mod promises;
mod send;
mod span;

pub use accounts::AccountTable;
pub use admin::AdminTable;
pub use inbound::InboundTable;
pub use intake::{
    Amqp, FeedTable, InboxTable as WebhookInboxTable, IntakeTable, ReceiptsTable, SourceTable, Spool, Token,
};
pub use mail::{DigestTable, DkimTable, Immediate, MailTable, PeopleTable, SenderTable, Topic};
pub use outside::{MediaTable, OutgoingTable, PartnersTable, WebSubTable};
pub use promises::{PromisesTable, QuietTable};
pub use send::{Relay, SendTable};

use super::ways::PaceTable;
use crate::render::share::ShareTable;
use crate::render::site::LocalText;
use crate::render::theme::ThemeTable;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The whole file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Who this is.
    pub instance: Instance,
    /// Where the ledger is.
    #[serde(default)]
    pub store: StoreTable,
    /// The institution.
    pub site: SiteTable,
    /// Reader languages.
    pub languages: Languages,
    /// What can be subscribed to.
    #[serde(default)]
    pub topic: Vec<Topic>,
    /// Scheduled mail.
    #[serde(default)]
    pub digest: Vec<DigestTable>,
    /// Mail as soon as a post is out.
    #[serde(default)]
    pub immediate: Immediate,
    /// How mail looks.
    #[serde(default)]
    pub mail: MailTable,
    /// Who writes.
    pub sender: Vec<SenderTable>,
    /// Mail servers; none: mail goes into a folder.
    #[serde(default)]
    pub relay: Vec<Relay>,
    /// Recipient domains with a pace of their own.
    #[serde(default)]
    pub pace: Vec<PaceTable>,
    /// What is kept about people.
    #[serde(default)]
    pub people: PeopleTable,
    /// How posts come in.
    pub intake: IntakeTable,
    /// How mail goes out.
    #[serde(default)]
    pub send: SendTable,
    /// How mail comes back.
    #[serde(default)]
    pub inbound: InboundTable,
    /// Links by which readers pass a post on.
    #[serde(default)]
    pub share: Vec<ShareTable>,
    /// Programs that follow feeds.
    #[serde(default)]
    pub websub: WebSubTable,
    /// Own accounts at social networks.
    #[serde(default)]
    pub account: Vec<AccountTable>,
    /// Copies of what posts show.
    #[serde(default)]
    pub media: MediaTable,
    /// The way to what others name.
    #[serde(default)]
    pub outgoing: OutgoingTable,
    /// Partner institutions.
    #[serde(default)]
    pub partners: PartnersTable,
    /// HTTP.
    #[serde(default)]
    pub web: Web,
    /// The control room.
    #[serde(default)]
    pub admin: AdminTable,
    /// How late is late.
    #[serde(default)]
    pub promises: PromisesTable,
    /// Own templates.
    #[serde(default)]
    pub templates: TemplatesTable,
    /// Sample posts for trying allim out.
    #[serde(default)]
    pub quickstart: Option<Quickstart>,
}

/// `[instance]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// A name for logs and leases.
    #[serde(default = "defaults::instance")]
    pub name: String,
    /// What this daemon does of the whole; `allim run --roles` overrides it.
    #[serde(default = "super::roles::all")]
    pub roles: Vec<super::Role>,
    /// Lock file, embedded database, mail folder; relative paths below are taken from here.
    pub state_dir: PathBuf,
    /// The key that seals secrets of others in the store; the first start makes one in `state_dir` when absent.
    #[serde(default)]
    pub seal_key_file: Option<PathBuf>,
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreTable {
    /// `sqlite:FILE` or `postgres://…`.
    pub url: String,
    /// PostgreSQL connections.
    pub connections: usize,
}

impl Default for StoreTable {
    fn default() -> Self {
        Self { url: "sqlite:allim.sqlite".to_owned(), connections: 8 }
    }
}

/// `[site]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SiteTable {
    /// The institution's name.
    pub name: LocalText,
    /// The IANA zone in which dates are written.
    #[serde(default = "defaults::zone")]
    pub zone: String,
    /// A mail address or telephone number for readers.
    #[serde(default)]
    pub contact: Option<String>,
    /// At the foot of each mail.
    #[serde(default)]
    pub postal_address: Option<String>,
    /// The year and domain that feed entry ids are minted under (`tag:` URIs, RFC 4151); never change it.
    pub tag_authority: String,
    /// How its pages look.
    #[serde(default)]
    pub theme: ThemeTable,
}

/// `[languages]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Languages {
    /// In order of preference for fallback.
    pub readers: Vec<String>,
    /// How long an announced translation is waited for.
    #[serde(default = "defaults::translation_wait", with = "span")]
    #[schemars(with = "span::Span")]
    pub translation_wait: Duration,
}

/// `[web]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Web {
    /// Address and port.
    pub listen: String,
    /// What readers' links begin with.
    pub public_url: Option<String>,
    /// Reverse proxies (addresses or CIDR ranges) whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<String>,
    /// Shows the mails just written on the first page, to this machine and its private network: for trying allim out
    /// only.
    pub show_mail_folder: bool,
    /// Counts how often posts are looked at, and shows it.
    pub count_views: bool,
    /// Lists the issues of digests that went out, for everybody.
    pub show_issues: bool,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8025".to_owned(),
            public_url: None,
            trusted_proxies: Vec::new(),
            show_mail_folder: false,
            count_views: true,
            show_issues: true,
        }
    }
}

/// `[templates]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatesTable {
    /// Files here replace the built-in templates of the same name.
    pub folder: Option<PathBuf>,
}

/// `[quickstart]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Quickstart {
    /// A list of subscribers, taken in once at the first start; beside the configuration file when relative.
    pub subscribers: PathBuf,
    /// A folder of sample posts, taken in after them; beside the configuration file when relative.
    pub posts: PathBuf,
    /// The source whose posts they are.
    pub source: String,
}

mod defaults {
    use std::time::Duration;

    pub(super) fn instance() -> String {
        "allim".to_owned()
    }
    pub(super) fn zone() -> String {
        "UTC".to_owned()
    }
    pub(super) fn translation_wait() -> Duration {
        Duration::from_secs(24 * 3_600)
    }
    pub(super) fn max_late() -> Duration {
        Duration::from_secs(6 * 3_600)
    }
    pub(super) fn max_age() -> Duration {
        Duration::from_secs(7 * 86_400)
    }
    pub(super) fn connections() -> i64 {
        10
    }
    pub(super) fn messages_per_connection() -> i64 {
        100
    }
    pub(super) fn queue() -> String {
        "allim.posts".to_owned()
    }
    pub(super) fn prefetch() -> u16 {
        2_000
    }
    pub(super) fn delivery_limit() -> u32 {
        20
    }
    pub(super) fn feed_every() -> Duration {
        Duration::from_secs(15 * 60)
    }
    pub(super) fn feed_entries_max() -> usize {
        200
    }
    pub(super) fn yes() -> bool {
        true
    }
}

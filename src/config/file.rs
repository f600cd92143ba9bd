//! The configuration file as it is written: `config/allim.toml` is its manual.

use super::ways::{PaceTable, WarmUpTable};
use crate::intake::accept::Republish;
use crate::intake::amqp::Topology;
use crate::render::site::LocalText;
use crate::send::carriers::smtp::Tls;
use crate::settle::Uncertain;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// The whole file.
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    /// Who writes.
    pub sender: Vec<SenderTable>,
    /// Mail servers; none: mail goes into a folder.
    #[serde(default)]
    pub relay: Vec<Relay>,
    /// Recipient domains with a pace of their own.
    #[serde(default)]
    pub pace: Vec<PaceTable>,
    /// How posts come in.
    pub intake: IntakeTable,
    /// How mail goes out.
    #[serde(default)]
    pub send: SendTable,
    /// HTTP.
    #[serde(default)]
    pub web: Web,
    /// Own templates.
    #[serde(default)]
    pub templates: TemplatesTable,
    /// Sample posts for trying allim out.
    #[serde(default)]
    pub quickstart: Option<Quickstart>,
}

/// `[instance]`
#[derive(Clone, Debug, Deserialize, Serialize)]
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
}

/// `[store]`
#[derive(Clone, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
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
}

/// `[languages]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Languages {
    /// In order of preference for fallback.
    pub readers: Vec<String>,
    /// How long an announced translation is waited for.
    #[serde(default = "defaults::translation_wait", with = "span")]
    pub translation_wait: Duration,
}

/// `[[topic]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// In URLs and messages.
    pub name: String,
    /// For readers.
    pub title: LocalText,
}

/// `[[digest]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DigestTable {
    /// What subscriptions choose it by.
    pub name: String,
    /// For readers.
    pub title: LocalText,
    /// A cron line in civil time.
    pub schedule: String,
    /// Its IANA zone; the site's when absent.
    #[serde(default)]
    pub zone: Option<String>,
    /// A firing later than this is skipped.
    #[serde(default = "defaults::max_late", with = "span")]
    pub max_late: Duration,
    /// Whether readers may choose their own hour and zone.
    #[serde(default)]
    pub own_hour: bool,
    /// Who writes it; the first sender when absent.
    #[serde(default)]
    pub sender: Option<String>,
    /// Other senders by reader language.
    #[serde(default)]
    pub sender_by_language: std::collections::BTreeMap<String, String>,
}

/// `[immediate]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Immediate {
    /// Who writes; the first sender when absent.
    #[serde(default)]
    pub sender: Option<String>,
    /// Other senders by reader language.
    #[serde(default)]
    pub sender_by_language: std::collections::BTreeMap<String, String>,
}

/// `[[sender]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SenderTable {
    /// What digests name it by.
    pub name: String,
    /// The display name in From.
    pub from: LocalText,
    /// The address in From.
    pub address: String,
    /// Where answers go.
    #[serde(default)]
    pub reply_to: Option<String>,
    /// List-Id (RFC 2919), such as `news.example.org`.
    pub list_id: String,
    /// What stands behind the @ of a Message-ID; the address's domain when absent.
    #[serde(default)]
    pub message_id_domain: Option<String>,
    /// The relay; the first one when absent.
    #[serde(default)]
    pub relay: Option<String>,
    /// Several relays with their weights, instead of `relay`.
    #[serde(default)]
    pub relays: Option<std::collections::BTreeMap<String, i64>>,
    /// Signatures on its mail.
    #[serde(default)]
    pub dkim: Vec<DkimTable>,
}

/// `[[sender.dkim]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DkimTable {
    /// The domain that signs; the address's when absent.
    #[serde(default)]
    pub domain: Option<String>,
    /// Under which the domain publishes the key.
    pub selector: String,
    /// A private key, RSA or Ed25519, in PEM.
    pub key_file: PathBuf,
}

/// `[[relay]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Relay {
    /// What senders name it by.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// `implicit` (465), `starttls` (587) or `none`.
    pub tls: Tls,
    /// For AUTH.
    #[serde(default)]
    pub user: Option<String>,
    /// A file whose first line is the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// A file of certificates (PEM) to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The name said in EHLO; this machine's when absent.
    #[serde(default)]
    pub hello: Option<String>,
    /// Connections at once.
    #[serde(default = "defaults::connections")]
    pub connections: i64,
    /// Messages sent over one connection before it is replaced.
    #[serde(default = "defaults::messages_per_connection")]
    pub messages_per_connection: i64,
    /// Messages a second; no limit when absent.
    #[serde(default)]
    pub per_second: Option<i64>,
    /// The first weeks of an address that nobody knows yet.
    #[serde(default)]
    pub warm_up: Option<WarmUpTable>,
}

impl Relay {
    /// Messages a second.
    #[must_use]
    pub fn rate(&self) -> Option<u32> {
        self.per_second.and_then(|rate| u32::try_from(rate).ok())
    }
}

/// `[intake]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct IntakeTable {
    /// A post published longer ago than this becomes public, not released.
    #[serde(default = "defaults::max_age", with = "span")]
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
}

/// `[[intake.source]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
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
    /// CloudEvents `source`s that may speak through it; any when absent.
    #[serde(default)]
    pub event_sources: Option<Vec<String>>,
}

/// `[[intake.token]]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// For logs.
    pub name: String,
    /// SHA-256 of the token in hexadecimal, as `allim token new` prints it.
    pub sha256: String,
    /// The source whose posts it publishes.
    pub source: String,
}

/// `[intake.amqp]`
#[derive(Clone, Debug, Deserialize, Serialize)]
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
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Spool {
    /// Files that appear here are taken in.
    pub folder: PathBuf,
    /// The source whose posts they are.
    pub source: String,
}

/// `[send]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SendTable {
    /// The Maildir for mail as long as no relay is configured.
    pub folder: PathBuf,
    /// What becomes of a mail whose answer was lost.
    pub uncertain: Uncertain,
    /// How long that one waits.
    #[serde(with = "span")]
    pub uncertain_wait: Duration,
    /// Given up this long after planning.
    #[serde(with = "span")]
    pub give_up_after: Duration,
    /// Subscriptions planned in one transaction, about; nothing else is written meanwhile on SQLite.
    pub chunk: i64,
    /// Whether the large mailbox hosts have a pace without being named in `[[pace]]`.
    pub pace_defaults: bool,
}

impl Default for SendTable {
    fn default() -> Self {
        Self {
            folder: "mail".into(),
            uncertain: Uncertain::Resend,
            uncertain_wait: Duration::from_secs(15 * 60),
            give_up_after: Duration::from_secs(5 * 86_400),
            chunk: 20_000,
            pace_defaults: true,
        }
    }
}

/// `[web]`
#[derive(Clone, Debug, Deserialize, Serialize)]
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
}

impl Default for Web {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8025".to_owned(),
            public_url: None,
            trusted_proxies: Vec::new(),
            show_mail_folder: false,
        }
    }
}

/// `[templates]`
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct TemplatesTable {
    /// Files here replace the built-in templates of the same name.
    pub folder: Option<PathBuf>,
}

/// `[quickstart]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Quickstart {
    /// A list of subscribers, taken in once at the first start; beside the configuration file when relative.
    pub subscribers: PathBuf,
    /// A folder of sample posts, taken in after them; beside the configuration file when relative.
    pub posts: PathBuf,
    /// The source whose posts they are.
    pub source: String,
}

/// Durations as `90s`, `15m`, `24h`, `7d`.
mod span {
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a duration; write 90s, 15m, 24h or 7d")))
    }

    pub(super) fn serialize<S: Serializer>(span: &Duration, to: S) -> Result<S::Ok, S::Error> {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        // The greatest unit that leaves no rest; milliseconds never do.
        let fits = |(_, unit_ms): &&(&str, u64)| span_ms % unit_ms == 0 && span_ms >= *unit_ms;
        let (unit, unit_ms) = UNITS.iter().find(fits).unwrap_or(&("s", 1_000));
        to.serialize_str(&format!("{}{unit}", span_ms / unit_ms))
    }

    fn parse(text: &str) -> Option<Duration> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = text[..unit_at].parse().ok()?;
        let (_, unit_ms) = UNITS.iter().find(|(unit, _)| *unit == text[unit_at..].trim())?;
        number.checked_mul(*unit_ms).map(Duration::from_millis)
    }
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
}

//! How mail goes out.

use super::super::ways::WarmUpTable;
use super::span::Span;
use super::{defaults, span};
use crate::send::carriers::smtp::Tls;
use crate::send::posture::Rule;
use crate::settle::Uncertain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[[relay]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
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

/// `[send]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SendTable {
    /// The Maildir for mail as long as no relay is configured.
    pub folder: PathBuf,
    /// What becomes of a mail whose answer was lost.
    pub uncertain: Uncertain,
    /// How long that one waits.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub uncertain_wait: Duration,
    /// Given up this long after planning.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub give_up_after: Duration,
    /// Subscriptions planned in one transaction, about; nothing else is written meanwhile on SQLite.
    pub chunk: i64,
    /// Whether the large mailbox hosts have a pace without being named in `[[pace]]`.
    pub pace_defaults: bool,
    /// What becomes of large sends that receivers would refuse because of the sender's DNS.
    pub posture: Rule,
    /// A send to more recipients is large.
    pub large: i64,
    /// How often the DNS is asked about senders.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub posture_every: Duration,
    /// The name server to ask, with its port; the system's when absent.
    pub resolver: Option<String>,
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
            posture: Rule::Refuse,
            large: 1_000,
            posture_every: Duration::from_secs(600),
            resolver: None,
        }
    }
}

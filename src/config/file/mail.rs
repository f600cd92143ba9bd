//! What readers can subscribe to, and who writes to them.

use super::span::Span;
use super::{defaults, span};
use crate::domain::quiet::QuietHours;
use crate::render::site::LocalText;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[[topic]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// In URLs and messages.
    pub name: String,
    /// For readers.
    pub title: LocalText,
}

/// `[[digest]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
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
    #[schemars(with = "Span")]
    pub max_late: Duration,
    /// Whether readers may choose their own hour and zone.
    #[serde(default)]
    pub own_hour: bool,
    /// Whether it is sent for profit: Korean law then asks for a mark in the subject and for notices.
    #[serde(default)]
    pub commercial: bool,
    /// Hours in which none of it goes out.
    #[serde(default)]
    pub quiet_hours: Option<QuietHours>,
    /// Whether readers who are owed nothing are told so.
    #[serde(default)]
    pub heartbeat: bool,
    /// Who writes it; the first sender when absent.
    #[serde(default)]
    pub sender: Option<String>,
    /// Other senders by reader language.
    #[serde(default)]
    pub sender_by_language: std::collections::BTreeMap<String, String>,
}

/// `[immediate]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Immediate {
    /// How long it waits, so that a revision or withdrawal still catches it; urgent mail doesn't.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub grace: Duration,
    /// Who writes; the first sender when absent.
    pub sender: Option<String>,
    /// Other senders by reader language.
    pub sender_by_language: std::collections::BTreeMap<String, String>,
}

impl Default for Immediate {
    fn default() -> Self {
        Self { grace: Duration::from_secs(120), sender: None, sender_by_language: Default::default() }
    }
}

/// `[mail]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MailTable {
    /// Whether a post that was revised since its publication says when.
    pub note_revised: bool,
    /// Whether mails with events have them attached as a file for calendars.
    pub attach_calendar: bool,
}

impl Default for MailTable {
    fn default() -> Self {
        Self { note_revised: true, attach_calendar: false }
    }
}

/// `[[sender]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
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
    /// The domain of return addresses of their own for each letter; the address in From stands there when absent.
    #[serde(default)]
    pub bounce_domain: Option<String>,
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
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
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

/// `[people]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PeopleTable {
    /// How long the consents of people who aren't written to any more are kept as proof.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub consent_kept: Duration,
}

impl Default for PeopleTable {
    fn default() -> Self {
        Self { consent_kept: Duration::from_secs(5 * 365 * 86_400) }
    }
}

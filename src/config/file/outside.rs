//! What goes to others than subscribers.

use super::span::{self, Span};
use crate::send::carriers::websub::Signature;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[websub]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WebSubTable {
    /// Whether feeds have a hub of their own.
    pub enabled: bool,
    /// How long a subscription lasts that asks for no time.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub lease: Duration,
    /// How long one lasts at most.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub lease_max: Duration,
    /// How many there may be.
    pub subscribers_max: u32,
    /// How deliveries are signed.
    pub signature: Signature,
    /// Hubs of others that are told of each change.
    pub hubs: Vec<String>,
}

impl Default for WebSubTable {
    fn default() -> Self {
        Self {
            enabled: true,
            lease: Duration::from_secs(10 * 86_400),
            lease_max: Duration::from_secs(30 * 86_400),
            subscribers_max: 10_000,
            signature: Signature::Sha256,
            hubs: Vec::new(),
        }
    }
}

/// `[media]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MediaTable {
    /// Whether pictures and files of posts are copied.
    pub mirror: bool,
    /// Where copies are kept; in the state folder when relative.
    pub folder: PathBuf,
    /// Whether what lies in `outgoing.own_networks` is copied.
    pub from_own_networks: bool,
    /// Mebibytes of one at most.
    pub file_mib_max: u32,
    /// Mebibytes of all at most.
    pub total_mib_max: u32,
}

impl Default for MediaTable {
    fn default() -> Self {
        Self {
            mirror: false,
            folder: PathBuf::from("media"),
            from_own_networks: false,
            file_mib_max: 20,
            total_mib_max: 10_240,
        }
    }
}

/// `[outgoing]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OutgoingTable {
    /// Whether `http` may be asked.
    pub allow_http: bool,
    /// The ports that may be asked.
    pub ports: Vec<u16>,
    /// Own networks that may be asked at any port, without TLS.
    pub own_networks: Vec<String>,
    /// Public networks that aren't to be asked.
    pub denied_networks: Vec<String>,
}

impl Default for OutgoingTable {
    fn default() -> Self {
        Self { allow_http: false, ports: vec![443], own_networks: Vec::new(), denied_networks: Vec::new() }
    }
}

/// `[partners]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartnersTable {
    /// How long a key that was replaced signs beside the new one.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub key_overlap: Duration,
    /// Requests that may wait for news at once.
    pub waiting_max: u32,
}

impl Default for PartnersTable {
    fn default() -> Self {
        Self { key_overlap: crate::domain::partner::OVERLAP, waiting_max: 1_000 }
    }
}

//! How mail comes back.

use crate::settle::listener::Protocol;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[inbound]`
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InboundTable {
    /// Address and port of the listener; none when absent.
    pub listen: Option<String>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Domains whose mail it takes; the bounce domains of the senders when empty.
    pub domains: Vec<String>,
}

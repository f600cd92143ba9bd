//! `[promises]`

use super::span::{self, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How late is late.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PromisesTable {
    /// How long a delivery may be due and wait.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub owed_max: Duration,
    /// How long after its time a digest may fire, and how long planning one may take.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub occurrence_max: Duration,
    /// How long a source may say nothing, by its name.
    pub quiet_max: Vec<QuietTable>,
}

/// `[[promises.quiet_max]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QuietTable {
    /// The source.
    pub source: String,
    /// How long it may say nothing.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub after: Duration,
}

impl Default for PromisesTable {
    fn default() -> Self {
        Self { owed_max: Duration::from_secs(1_800), occurrence_max: Duration::from_secs(600), quiet_max: Vec::new() }
    }
}

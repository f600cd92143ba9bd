//! `[admin]`

use super::span::{self, Span};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The control room.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdminTable {
    /// Address and port; none: there is no control room.
    pub listen: Option<String>,
    /// What its addresses begin with, if a proxy stands before it.
    pub url: Option<String>,
    /// A session that isn't used for so long ends.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub session_idle: Duration,
    /// A session ends after so long.
    #[serde(with = "span")]
    #[schemars(with = "Span")]
    pub session_max: Duration,
    /// A send to more recipients than this waits for a second person.
    pub second_person_over: Option<u64>,
    /// Urgent sends wait for a second person.
    pub second_person_urgent: bool,
}

impl Default for AdminTable {
    fn default() -> Self {
        Self {
            listen: None,
            url: None,
            session_idle: Duration::from_secs(8 * 3_600),
            session_max: Duration::from_secs(7 * 86_400),
            second_person_over: None,
            second_person_urgent: false,
        }
    }
}

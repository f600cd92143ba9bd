//! Own accounts at social networks.

use super::span::{self, Span};
use crate::domain::account::Revised;
use crate::render::blurb::Link;
use crate::send::social::terms::ImageUse;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// `[[account]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountTable {
    /// What commands and the ledger call it.
    pub name: String,
    /// Where it is.
    pub network: String,
    /// One of the reader languages: posts in it are posted.
    pub language: String,
    /// The network's server.
    #[serde(default)]
    pub server: Option<String>,
    /// Page, channel, room, organisation or topic.
    #[serde(default)]
    pub target: Option<String>,
    /// Whom it belongs to.
    #[serde(default)]
    pub user: Option<String>,
    /// Whose webhook it is.
    #[serde(default)]
    pub flavour: Option<String>,
    /// A file with the token, password or webhook's address.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Our program, as the network knows it.
    #[serde(default)]
    pub client_id: Option<String>,
    /// A file with its secret.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Where the network leads a browser after a login.
    #[serde(default)]
    pub redirect: Option<String>,
    /// Who sees what is posted.
    #[serde(default)]
    pub visibility: Option<String>,
    /// Only posts under one of these topics.
    #[serde(default)]
    pub topics: Vec<String>,
    /// Only posts of these sources.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Times of day at which one post goes out.
    #[serde(default)]
    pub slots: Vec<String>,
    /// The IANA zone of the slots; the site's when absent.
    #[serde(default)]
    pub zone: Option<String>,
    /// What waited longer is not posted any more.
    #[serde(default = "max_age", with = "span")]
    #[schemars(with = "Span")]
    pub max_age: Duration,
    /// What becomes of a post that was revised.
    #[serde(default)]
    pub revised: Revised,
    /// Which page it leads to.
    #[serde(default)]
    pub link: Link,
    /// What becomes of its first picture.
    #[serde(default)]
    pub image: ImageUse,
    /// The text, instead of ours.
    #[serde(default)]
    pub template: Option<String>,
}

fn max_age() -> Duration {
    Duration::from_secs(3 * 86_400)
}

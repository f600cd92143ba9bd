//! What a daemon does of the whole: replicas may share the work by kind.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One kind of work.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes posts in from RabbitMQ and the spool folder.
    Intake,
    /// Decides who gets what, when.
    Plan,
    /// Sends mail, and settles what is uncertain.
    Send,
    /// Serves pages, feeds and the HTTP interface, publishing over HTTP included.
    Web,
}

/// The kinds of work that a daemon does: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// These roles; `None` when there is none.
    #[must_use]
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Option<Self> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        (!roles.is_empty()).then_some(Self(roles))
    }

    /// Whether none is left to others.
    #[must_use]
    pub fn is_all(&self) -> bool {
        all().into_iter().all(|role| self.has(role))
    }

    /// Whether this is among them.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl std::fmt::Display for Roles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [(Role::Intake, "intake"), (Role::Plan, "plan"), (Role::Send, "send"), (Role::Web, "web")];
        let words: Vec<&str> = words.iter().filter(|(role, _)| self.has(*role)).map(|(_, word)| *word).collect();
        f.write_str(&words.join(","))
    }
}

/// Every role: the default.
#[must_use]
pub fn all() -> Vec<Role> {
    vec![Role::Intake, Role::Plan, Role::Send, Role::Web]
}

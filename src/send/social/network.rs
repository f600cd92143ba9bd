//! The seam between the ledger and social networks: one account at one network, and what can be done there. An implementation speaks the
//! network's interface and decides nothing; whether it is asked at all, how often, and what follows is the ledger's.

use super::login::Login;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::render::blurb::{Blurb, Style};
use crate::send::carrier::{Gate, Later};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// An account at a network, as the configuration describes it.
pub trait Network: Send + Sync {
    /// The carrier's name in the ledger, such as `mastodon`.
    fn carrier(&self) -> &'static str;

    /// What the network takes, as far as is known now.
    fn style(&self) -> Style;

    /// What it can do with a post after it was made.
    fn can(&self) -> Can;

    /// Asks the server what isn't in its documents, such as how long a post may be; [`Network::style`] knows it from then on. Failing
    /// changes nothing.
    fn learn<'a>(&'a self, _credential: &'a Credential) -> Later<'a, ()> {
        Box::pin(async {})
    }

    /// How a person lets us in, where that takes a browser. `None`: a token is pasted.
    fn login(&self) -> Option<&dyn Login> {
        None
    }

    /// Renews a login that ends soon or ended. `None`: it is good as it is. Whoever calls stores the new one before going on.
    ///
    /// # Errors
    /// What becomes of the delivery: [`Reason::Login`] when a person must log in again.
    fn refresh<'a>(
        &'a self,
        _credential: &'a Credential,
        _now: UnixMillis,
    ) -> Later<'a, Result<Option<Credential>, Outcome>> {
        Box::pin(async { Ok(None) })
    }

    /// Posts. Pictures go ahead of it; [`Gate::pass`] comes before the call that makes the post, and without it that isn't made.
    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said>;

    /// Changes a post that was made. Never called unless [`Can::edit`].
    fn edit<'a>(&'a self, _saying: &'a Saying<'a>, _remote: &'a Remote, _gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(async { Said::refused(Reason::ContentRefused, "this network can't change a post") })
    }

    /// Takes a post away. One that isn't there any more is [`Outcome::Sent`]. Never called unless [`Can::delete`].
    fn unsay<'a>(
        &'a self,
        _credential: &'a Credential,
        _remote: &'a Remote,
        _gate: &'a mut Gate,
    ) -> Later<'a, Outcome> {
        Box::pin(async {
            let reply = "this network can't take a post away".to_owned();
            Outcome::Refused { reason: Reason::ContentRefused, reply }
        })
    }

    /// Looks whether what an attempt may have posted is there.
    fn find<'a>(&'a self, _saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async { Found::CantTell })
    }
}

/// What a network can do with a post after it was made, and how a lost answer is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Can {
    /// Change it.
    pub edit: bool,
    /// Take it away.
    pub delete: bool,
    /// Answer it, in a thread.
    pub reply: bool,
    /// The same call again makes no second post, for this long after the first, because the network knows it by the delivery's id.
    /// `None`: it would. `Some(Duration::MAX)`: for ever.
    pub repeats_safely_for: Option<std::time::Duration>,
}

/// What is to be posted.
pub struct Saying<'a> {
    /// The delivery's text id, the same over all attempts: for idempotency keys and own record keys.
    pub id: &'a str,
    /// When the delivery was planned: the earliest time at which a post of it can have been made.
    pub since: UnixMillis,
    /// The time of this attempt.
    pub now: UnixMillis,
    /// What is said; fitted to [`Network::style`].
    pub blurb: &'a Blurb,
    /// What it answers, in a thread.
    pub reply_to: Option<&'a Remote>,
    /// The login.
    pub credential: &'a Credential,
}

/// What came of posting.
#[derive(Debug)]
pub struct Said {
    /// What happened.
    pub outcome: Outcome,
    /// The post at the network, if there is one now.
    pub remote: Option<Remote>,
}

impl Said {
    /// Nothing was posted, and what happened.
    #[must_use]
    pub fn nothing(outcome: Outcome) -> Self {
        Self { outcome, remote: None }
    }

    /// It was posted.
    #[must_use]
    pub fn there(remote: Remote, reply: impl Into<String>) -> Self {
        Self { outcome: Outcome::Sent { reply: reply.into() }, remote: Some(remote) }
    }

    /// It never will be.
    #[must_use]
    pub fn refused(reason: Reason, reply: impl Into<String>) -> Self {
        Self::nothing(Outcome::Refused { reason, reply: reply.into() })
    }
}

/// What a look found.
#[derive(Debug)]
pub enum Found {
    /// It was posted.
    There(Remote),
    /// It surely wasn't: posting it makes the first one.
    NotThere,
    /// Nobody but a person can tell.
    CantTell,
    /// The network doesn't say just now.
    Later(Outcome),
}

/// A post at a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remote {
    /// The network's id of it.
    pub id: String,
    /// Where people see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What else the network wants named, such as the hash of a record.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, String>,
}

/// A login. It is a value: whoever calls keeps it, sealed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// What calls are made with: a token, a password, the address of a webhook.
    pub access: String,
    /// What a new one is asked for with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// What else belongs to it, such as the user's id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub more: BTreeMap<String, String>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(***)")
    }
}

//! Tokens of OAuth 2 (RFC 6749) as networks give them.

use super::network::Credential;
use super::wire::{Ask, Failed, Wire, in_seconds, login};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use serde::Deserialize;
use std::time::Duration;

/// Renewed this long before it ends.
const EARLY: Duration = Duration::from_secs(300);

/// What a token's answer says (RFC 6749 section 5.1).
#[derive(Deserialize)]
pub struct Tokens {
    access_token: String,
    refresh_token: Option<String>,
    expires_in: Option<f64>,
}

impl Tokens {
    /// The login; a refresh token that isn't renewed stays good.
    #[must_use]
    pub fn credential(self, before: &Credential, now: UnixMillis) -> Credential {
        Credential {
            access: self.access_token,
            refresh: self.refresh_token.or_else(|| before.refresh.clone()),
            expires_at: self.expires_in.and_then(|seconds| in_seconds(now, seconds)),
            more: before.more.clone(),
        }
    }
}

/// Whether a login must be renewed.
#[must_use]
pub fn ends_soon(credential: &Credential, now: UnixMillis) -> bool {
    credential.expires_at.is_some_and(|ends| ends <= now.plus(EARLY))
}

/// Asks for tokens. A grant that isn't good any more (section 5.2) takes a person.
///
/// # Errors
/// What becomes of the delivery.
pub async fn tokens(wire: &Wire<'_>, ask: Ask) -> Result<Tokens, Outcome> {
    wire.json(ask.secret()).await.map_err(|failed: Failed| match failed.outcome {
        Outcome::Refused { reply, .. } => login(reply),
        outcome => outcome,
    })
}

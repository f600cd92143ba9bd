//! What is told of a partner's secrets, once, and of a try of its webhook.

use crate::domain::clock::UnixMillis;
use crate::domain::keyring::Keyring;
use serde::Serialize;
use utoipa::ToSchema;

/// Secrets that are shown once.
#[derive(Clone, Default, Serialize, ToSchema)]
pub struct Secrets {
    /// What the partner asks with (`Authorization: Bearer …`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The shared secret that signatures `v1` are verified with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_secret: Option<String>,
    /// The public key that signatures `v1a` are verified with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Until when the keys from before sign as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = "date-time")]
    pub old_keys_until: Option<String>,
}

/// What came of a try.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tried {
    /// Whether it was taken.
    pub is_taken: bool,
    /// What was answered, or what was in the way.
    pub answer: String,
    /// The id that it bore.
    pub id: String,
}

/// What the newest keys are verified with.
pub(super) fn verifiers(keyring: &Keyring, now: UnixMillis) -> Secrets {
    let newest: Vec<String> = keyring.verifiers(now).into_iter().take(2).map(|(key, _)| key).collect();
    let of = |prefix: &str| newest.iter().find(|key| key.starts_with(prefix)).cloned();
    Secrets { shared_secret: of("whsec_"), public_key: of("whpk_"), ..Secrets::default() }
}

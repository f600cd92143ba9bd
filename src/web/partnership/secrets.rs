//! What is told of a partner's secrets, once, and of a try of its webhook; and how they are sealed and changed.

use super::Fault;
use crate::domain::clock::UnixMillis;
use crate::domain::keyring::Keyring;
use crate::domain::partner;
use crate::domain::seal::Seal;
use crate::store::endpoints::Endpoint;
use crate::store::{StoreError, Tx, endpoints, partners, sealed};
use serde::Serialize;
use std::sync::Arc;
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

/// Opens and seals the keys of one partner.
pub(super) struct Sealing {
    pub(super) seal: Arc<Seal>,
    pub(super) name: String,
}

impl Sealing {
    /// The keys at an endpoint.
    pub(super) fn open(&self, endpoint: Option<Endpoint>) -> Result<Keyring, Fault> {
        let secret = endpoint.and_then(|endpoint| endpoint.secret);
        let opened = secret.and_then(|secret| self.seal.open(&partner::seal_purpose(&self.name), &secret.0));
        let keyring = opened.as_deref().and_then(Keyring::read);
        keyring.ok_or(Fault::Otherwise("this partner has no keys that the seal of this installation opens"))
    }

    /// The keys, sealed.
    pub(super) fn close(&self, keyring: &Keyring, draws: [u64; 2]) -> Result<String, Fault> {
        let sealed = self.seal.close(&partner::seal_purpose(&self.name), &keyring.write(), draws);
        sealed.ok_or(Fault::Otherwise("the keys can't be sealed"))
    }

    /// Changes the keys, under the lock of the partner: of two changes at once the second begins with what the first left.
    pub(super) fn change(
        &self,
        tx: &mut Tx<'_>,
        draws: [u64; 2],
        now: UnixMillis,
        how: impl Fn(Keyring) -> Keyring,
    ) -> Result<Result<Keyring, Fault>, StoreError> {
        let Some(partner) = partners::lock(tx, &self.name)? else { return Ok(Err(Fault::Unknown)) };
        let endpoint = partner.endpoint_id.map(|id| endpoints::find(tx, id)).transpose()?.flatten();
        let changed = self.open(endpoint).and_then(|keyring| {
            let keyring = how(keyring);
            Ok((self.close(&keyring, draws)?, keyring))
        });
        let (closed, keyring) = match changed {
            Ok(changed) => changed,
            Err(fault) => return Ok(Err(fault)),
        };
        sealed::keep(tx, self.seal.name())?;
        let is_set = partners::set_secret(tx, &partner, &closed, now)?;
        Ok(if is_set { Ok(keyring) } else { Err(Fault::Unknown) })
    }
}

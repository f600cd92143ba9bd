//! Signed webhooks (Standard Webhooks 1.0.0): the keys in their written forms, signing and verifying. Pure: the time is a parameter.

use super::clock::UnixMillis;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::time::Duration;

/// The header field of the id, which stays the same over all attempts.
pub const ID: &str = "webhook-id";
/// The header field of the attempt's time, in seconds.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// The header field of the signatures.
pub const SIGNATURE: &str = "webhook-signature";
/// How far the time of an attempt may lie from that of whoever verifies it: as in the libraries of the specification.
pub const TOLERANCE: Duration = Duration::from_secs(300);

/// Octets of a shared secret (specification, section "Signature scheme").
const SHARED_LEN: std::ops::RangeInclusive<usize> = 24..=64;
/// Octets of an Ed25519 seed, and of a public key.
const ED25519_LEN: usize = 32;
/// Signatures that are looked at in one header field at most, so that nobody makes us verify for ever.
const SIGNATURES_MAX: usize = 16;

/// A key, which no log shows.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// A secret of both sides: `whsec_`, HMAC-SHA256, `v1`.
    Shared(Vec<u8>),
    /// What the sender alone has: `whsk_`, the seed of an Ed25519 key pair, `v1a`.
    Private([u8; ED25519_LEN]),
    /// What receivers verify `v1a` with: `whpk_`.
    Public([u8; ED25519_LEN]),
}

/// Why a key can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Another beginning.
    #[error("a key begins with whsec_, whsk_ or whpk_")]
    Prefix,
    /// Not base64.
    #[error("the part after the underscore is not base64")]
    Base64,
    /// Too short or too long.
    #[error("a whsec_ key holds 24 to 64 octets, a whsk_ key 32 or 64, a whpk_ key 32")]
    Length,
    /// The public half belongs to another secret half.
    #[error("the two halves of the whsk_ key don't belong together")]
    Halves,
}

/// What a signed request says beside its body.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// [`ID`].
    pub id: &'a str,
    /// [`TIMESTAMP`].
    pub timestamp: &'a str,
    /// [`SIGNATURE`].
    pub signature: &'a str,
}

/// Why a request isn't believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrue {
    /// An id is empty, or holds a dot, which could move the border between id and time.
    #[error("webhook-id is empty or holds a dot")]
    Id,
    /// The time can't be read.
    #[error("webhook-timestamp is no whole number of seconds")]
    Timestamp,
    /// An attempt of long ago: a recording that somebody plays back.
    #[error("webhook-timestamp lies too far back")]
    TooOld,
    /// An attempt from the future.
    #[error("webhook-timestamp lies in the future")]
    TooNew,
    /// No signature is that of a key that is trusted.
    #[error("no signature in webhook-signature matches")]
    NoMatch,
}

impl Key {
    /// Reads a key in its written form.
    ///
    /// # Errors
    /// [`BadKey`].
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        let (prefix, rest) = text.trim().split_once('_').ok_or(BadKey::Prefix)?;
        if !matches!(prefix, "whsec" | "whsk" | "whpk") {
            return Err(BadKey::Prefix);
        }
        let bytes = STANDARD.decode(rest).map_err(|_| BadKey::Base64)?;
        match prefix {
            "whsec" if SHARED_LEN.contains(&bytes.len()) => Ok(Self::Shared(bytes)),
            "whpk" => bytes.try_into().map(Self::Public).map_err(|_| BadKey::Length),
            "whsk" => Self::private(&bytes),
            _ => Err(BadKey::Length),
        }
    }

    /// The seed, or the seed and the public half after it, as libsodium writes it.
    fn private(bytes: &[u8]) -> Result<Self, BadKey> {
        let (seed, public) = bytes.split_at_checked(ED25519_LEN).ok_or(BadKey::Length)?;
        if !matches!(public.len(), 0 | ED25519_LEN) {
            return Err(BadKey::Length);
        }
        let key = Self::Private(seed.try_into().map_err(|_| BadKey::Length)?);
        let is_pair = public.is_empty() || key.public_bytes().is_some_and(|own| own == public);
        if is_pair { Ok(key) } else { Err(BadKey::Halves) }
    }

    /// A shared secret of 256 bits. `draws` are random and never come again.
    #[must_use]
    pub fn new_shared(draws: [u64; 4]) -> Self {
        Self::Shared(draws.iter().flat_map(|draw| draw.to_be_bytes()).collect())
    }

    /// A key pair. `draws` are random and never come again.
    #[must_use]
    pub fn new_private(draws: [u64; 4]) -> Self {
        let mut seed = [0; ED25519_LEN];
        for (part, draw) in seed.chunks_exact_mut(8).zip(draws) {
            part.copy_from_slice(&draw.to_be_bytes());
        }
        Self::Private(seed)
    }

    /// The written form, with what is secret in it.
    #[must_use]
    pub fn reveal(&self) -> String {
        match self {
            Self::Shared(bytes) => format!("whsec_{}", STANDARD.encode(bytes)),
            Self::Private(seed) => {
                let pair = [&seed[..], &self.public_bytes().unwrap_or_default()].concat();
                format!("whsk_{}", STANDARD.encode(pair))
            }
            Self::Public(bytes) => format!("whpk_{}", STANDARD.encode(bytes)),
        }
    }

    /// What a receiver verifies with: the secret itself where it is shared, the public half of a pair.
    #[must_use]
    pub fn verifier(&self) -> Self {
        match self {
            Self::Private(_) => self.public_bytes().map_or_else(|| self.clone(), Self::Public),
            other => other.clone(),
        }
    }

    fn pair(&self) -> Option<Ed25519KeyPair> {
        let Self::Private(seed) = self else { return None };
        Ed25519KeyPair::from_seed_unchecked(seed).ok()
    }

    fn public_bytes(&self) -> Option<[u8; ED25519_LEN]> {
        self.pair()?.public_key().as_ref().try_into().ok()
    }

    /// The signature with its identifier; `None` for a key that signs nothing.
    fn sign(&self, content: &[u8]) -> Option<String> {
        match self {
            Self::Shared(secret) => {
                let mac = Hmac::<Sha256>::new_from_slice(secret).ok()?.chain_update(content).finalize();
                Some(format!("v1,{}", STANDARD.encode(mac.into_bytes())))
            }
            Self::Private(_) => Some(format!("v1a,{}", STANDARD.encode(self.pair()?.sign(content).as_ref()))),
            Self::Public(_) => None,
        }
    }

    /// Whether a signature is this key's; in constant time where the key is secret.
    fn verifies(&self, version: &str, signature: &[u8], content: &[u8]) -> bool {
        match (self, version) {
            (Self::Shared(secret), "v1") => Hmac::<Sha256>::new_from_slice(secret)
                .is_ok_and(|mac| mac.chain_update(content).verify_slice(signature).is_ok()),
            (Self::Private(_), "v1a") => self.public_bytes().is_some_and(|key| is_of(&key, signature, content)),
            (Self::Public(key), "v1a") => is_of(key, signature, content),
            _ => false,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(***)")
    }
}

/// What stands in [`SIGNATURE`]: one signature for each key that signs, in their order, parted by spaces.
#[must_use]
pub fn sign<'a>(keys: impl IntoIterator<Item = &'a Key>, id: &str, at: UnixMillis, body: &[u8]) -> String {
    let content = content(id, &seconds(at), body);
    keys.into_iter().filter_map(|key| key.sign(&content)).collect::<Vec<_>>().join(" ")
}

/// What stands in [`TIMESTAMP`].
#[must_use]
pub fn seconds(at: UnixMillis) -> String {
    at.0.div_euclid(1_000).to_string()
}

/// Whether a request comes, unaltered and just now, from somebody who has one of these keys. A repeat within the tolerance is
/// believed: whoever takes it knows it by its id.
///
/// # Errors
/// [`Untrue`].
pub fn verify(
    keys: &[Key],
    signed: &Signed<'_>,
    body: &[u8],
    now: UnixMillis,
    tolerance: Duration,
) -> Result<(), Untrue> {
    if signed.id.is_empty() || signed.id.contains('.') {
        return Err(Untrue::Id);
    }
    let is_number = !signed.timestamp.is_empty() && signed.timestamp.bytes().all(|byte| byte.is_ascii_digit());
    let at: i64 = if is_number {
        signed.timestamp.parse().map_err(|_| Untrue::Timestamp)?
    } else {
        return Err(Untrue::Timestamp);
    };
    let (now, tolerance) = (now.0.div_euclid(1_000), i64::try_from(tolerance.as_secs()).unwrap_or(i64::MAX));
    if at < now.saturating_sub(tolerance) {
        return Err(Untrue::TooOld);
    }
    if at > now.saturating_add(tolerance) {
        return Err(Untrue::TooNew);
    }
    let content = content(signed.id, signed.timestamp, body);
    let is_true = signed.signature.split(' ').filter(|one| !one.is_empty()).take(SIGNATURES_MAX).any(|one| {
        let Some((version, signature)) = one.split_once(',') else { return false };
        let Ok(signature) = STANDARD.decode(signature) else { return false };
        keys.iter().any(|key| key.verifies(version, &signature, &content))
    });
    if is_true { Ok(()) } else { Err(Untrue::NoMatch) }
}

/// Whether a signature is that of the pair that a public key belongs to.
fn is_of(key: &[u8; ED25519_LEN], signature: &[u8], content: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, key).verify(content, signature).is_ok()
}

fn content(id: &str, seconds: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", seconds.as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests;

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
            (Self::Public(key), "v1a") => UnparsedPublicKey::new(&ED25519, key).verify(content, signature).is_ok(),
            (Self::Private(_), "v1a") => self.verifier().verifies_public(signature, content),
            _ => false,
        }
    }

    fn verifies_public(&self, signature: &[u8], content: &[u8]) -> bool {
        matches!(self, Self::Public(key) if UnparsedPublicKey::new(&ED25519, key).verify(content, signature).is_ok())
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

fn content(id: &str, seconds: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), b".", seconds.as_bytes(), b".", body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: UnixMillis = UnixMillis(1_614_265_330_000);

    fn shared() -> Key {
        Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key")
    }

    fn verified(keys: &[Key], signature: &str, body: &[u8], now: UnixMillis) -> Result<(), Untrue> {
        let timestamp = seconds(AT);
        verify(keys, &Signed { id: ID, timestamp: &timestamp, signature }, body, now, TOLERANCE)
    }

    /// The vector of the specification's own libraries.
    #[test]
    fn the_signature_is_that_of_the_test_vector() {
        assert_eq!(sign([&shared()], ID, AT, BODY), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn any_of_several_keys_verifies_and_nothing_altered_does() {
        let (old, new, pair) = (shared(), Key::new_shared([1, 2, 3, 4]), Key::new_private([5, 6, 7, 8]));
        let signature = sign([&old, &pair], ID, AT, BODY);
        assert_eq!(signature.split(' ').count(), 2);
        for key in [old.clone(), pair.clone(), pair.verifier()] {
            assert_eq!(verified(&[new.clone(), key], &signature, BODY, AT), Ok(()));
        }
        assert_eq!(verified(std::slice::from_ref(&new), &signature, BODY, AT), Err(Untrue::NoMatch));
        assert_eq!(verified(&[old.clone(), pair.clone()], &signature, b"{}", AT), Err(Untrue::NoMatch));
        assert_eq!(verified(std::slice::from_ref(&old), "v2,AAAA v1 , v1,!", BODY, AT), Err(Untrue::NoMatch));
        // The signature of one scheme under the name of the other.
        let crossed = sign([&old], ID, AT, BODY).replacen("v1,", "v1a,", 1);
        assert_eq!(verified(&[old, pair.verifier()], &crossed, BODY, AT), Err(Untrue::NoMatch));
    }

    #[test]
    fn what_is_late_or_early_is_not_believed() {
        let signature = sign([&shared()], ID, AT, BODY);
        let at = |seconds: i64| verified(&[shared()], &signature, BODY, UnixMillis(AT.0 + seconds * 1_000));
        assert_eq!((at(300), at(-300)), (Ok(()), Ok(())));
        assert_eq!((at(301), at(-301)), (Err(Untrue::TooOld), Err(Untrue::TooNew)));
        let signed = |id, timestamp| Signed { id, timestamp, signature: &signature };
        for bad in ["", "+1614265330", "16142653300000000000000", "1614265330.0"] {
            assert_eq!(verify(&[shared()], &signed(ID, bad), BODY, AT, TOLERANCE), Err(Untrue::Timestamp), "{bad}");
        }
        for bad in ["", "msg.1614265330"] {
            assert_eq!(verify(&[shared()], &signed(bad, "1614265330"), BODY, AT, TOLERANCE), Err(Untrue::Id), "{bad}");
        }
    }

    #[test]
    fn keys_are_read_as_they_are_written_and_not_shown() {
        for key in [shared(), Key::new_shared([1, 2, 3, 4]), Key::new_private([1, 2, 3, 4])] {
            assert_eq!(Key::parse(&key.reveal()), Ok(key.clone()));
            assert_eq!(Key::parse(&key.verifier().reveal()), Ok(key.verifier()));
            assert_eq!(format!("{key:?}"), "Key(***)");
        }
        let seed_alone = format!("whsk_{}", STANDARD.encode([7; 32]));
        assert_eq!(Key::parse(&seed_alone), Ok(Key::Private([7; 32])));
        let strange = format!("whsk_{}", STANDARD.encode([7; 64]));
        assert_eq!(Key::parse(&strange), Err(BadKey::Halves));
        assert_eq!(Key::parse("whsec_AAAA"), Err(BadKey::Length));
        assert_eq!(Key::parse("whsec_***"), Err(BadKey::Base64));
        assert_eq!((Key::parse("secret_AAAA"), Key::parse("secret")), (Err(BadKey::Prefix), Err(BadKey::Prefix)));
    }
}

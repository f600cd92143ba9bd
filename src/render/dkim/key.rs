//! A private key that signs letters, read once from a PEM file.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::fmt;

/// A private key. It is never printed or stored.
pub enum Key {
    /// RSA with at least 2048 bits (RFC 8301 section 3.2).
    Rsa(RsaKeyPair),
    /// RFC 8463.
    Ed25519(Ed25519KeyPair),
}

/// Why a file holds no key that can sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Something else, or nothing.
    #[error("it holds no private key in PEM; `openssl genrsa 2048` or `openssl genpkey -algorithm ed25519` makes one")]
    NoKey,
    /// It would need a password.
    #[error("its key is encrypted; `openssl pkey -in FILE -out PLAIN` takes the password off")]
    Encrypted,
    /// RSA below 2048 bits, which receivers distrust.
    #[error(
        "its RSA key has less than 2048 bits; `openssl genrsa 2048` makes a new one, to be published beside the old"
    )]
    Small,
    /// An algorithm that DKIM doesn't know, or a size beyond what anybody verifies.
    #[error("its key is neither RSA of 2048 to 8192 bits nor Ed25519; DKIM knows no other")]
    Unfit,
}

impl Key {
    /// Reads a key from PEM: PKCS#8 (`BEGIN PRIVATE KEY`), or PKCS#1 for RSA (`BEGIN RSA PRIVATE KEY`).
    ///
    /// # Errors
    /// [`BadKey`], which tells nothing of the content.
    pub fn from_pem(pem: &[u8]) -> Result<Self, BadKey> {
        if memchr::memmem::find(pem, b"ENCRYPTED").is_some() {
            return Err(BadKey::Encrypted);
        }
        let refused = |why: aws_lc_rs::error::KeyRejected| match why.to_string().as_str() {
            "TooSmall" => BadKey::Small,
            _ => BadKey::Unfit,
        };
        match PrivateKeyDer::from_pem_slice(pem).map_err(|_| BadKey::NoKey)? {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map(Self::Rsa).map_err(refused),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                match Ed25519KeyPair::from_pkcs8(der) {
                    Ok(key) => Ok(Self::Ed25519(key)),
                    Err(_) => RsaKeyPair::from_pkcs8(der).map(Self::Rsa).map_err(refused),
                }
            }
            _ => Err(BadKey::Unfit),
        }
    }

    /// As the tag `a=` spells it.
    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "rsa-sha256",
            Self::Ed25519(_) => "ed25519-sha256",
        }
    }

    /// Signs what was made canonical. Deterministic: PKCS#1 v1.5 knows no salt, and Ed25519 signs the hash (RFC 8463 section 3).
    pub(super) fn sign(&self, data: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature).ok()?;
                Some(signature)
            }
            Self::Ed25519(key) => {
                let signature = key.try_sign(digest(&SHA256, data).as_ref()).ok()?;
                Some(signature.as_ref().to_vec())
            }
        }
    }

    /// The text of the DNS record (RFC 6376 section 3.6.1, RFC 8463 section 4): an RSA key as SubjectPublicKeyInfo, an Ed25519 key
    /// bare.
    pub(super) fn dns_text(&self) -> String {
        match self {
            Self::Rsa(key) => {
                // Encoding a public key that was just decoded doesn't fail.
                let der = AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key());
                let encoded = der.map(|der| STANDARD.encode(der.as_ref())).unwrap_or_default();
                format!("v=DKIM1; k=rsa; p={encoded}")
            }
            Self::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref())),
        }
    }
}

impl fmt::Display for Key {
    /// Its kind and size.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa(key) => write!(f, "RSA, {} bits", key.public_modulus_len() * 8),
            Self::Ed25519(_) => f.write_str("Ed25519"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self}, secret)")
    }
}

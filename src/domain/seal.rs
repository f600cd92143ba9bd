//! What the store keeps sealed: secrets of others (logins, keys that partners share with us). Whoever has the database alone, or a copy
//! of it, can't use them.

use super::mac;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};

/// What a sealed text begins with: a version, so that another way of sealing can stand beside this one.
const MARK: &str = "s1:";

/// A key that seals.
pub struct Seal {
    key: LessSafeKey,
    /// What tells the key from another, and says nothing of it.
    name: String,
}

impl Seal {
    /// The seal that a secret of any length makes.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let key = UnboundKey::new(&AES_256_GCM, &mac::keyed(secret, &[b"seal"])).ok()?;
        let name = super::ids::hex(&mac::keyed(secret, &[b"name of the seal"])[..8]);
        Some(Self { key: LessSafeKey::new(key), name })
    }

    /// What tells this key from another.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Seals a text for one purpose (AES-256-GCM). `draws` are random and never come again.
    #[must_use]
    pub fn close(&self, purpose: &str, plain: &str, draws: [u64; 2]) -> Option<String> {
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&draws[0].to_be_bytes());
        nonce[8..].copy_from_slice(&draws[1].to_be_bytes()[..4]);
        let mut bytes = plain.as_bytes().to_vec();
        let one = Nonce::assume_unique_for_key(nonce);
        self.key.seal_in_place_append_tag(one, Aad::from(purpose.as_bytes()), &mut bytes).ok()?;
        let sealed = [&nonce[..], &bytes].concat();
        Some(format!("{MARK}{}", STANDARD_NO_PAD.encode(sealed)))
    }

    /// Opens what was sealed for this purpose. `None`: with another key, for another purpose, or altered since.
    #[must_use]
    pub fn open(&self, purpose: &str, sealed: &str) -> Option<String> {
        let mut bytes = STANDARD_NO_PAD.decode(sealed.strip_prefix(MARK)?).ok()?;
        if bytes.len() < NONCE_LEN {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&bytes[..NONCE_LEN]).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut bytes[NONCE_LEN..]).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_opens_what_it_closed_and_nothing_else() {
        let (seal, other) = (Seal::new("열쇠").expect("a seal"), Seal::new("another").expect("a seal"));
        let sealed = seal.close("account:main", "비밀 token", [1, 2]).expect("sealed");
        assert!(!sealed.contains("token"));
        assert_eq!(seal.open("account:main", &sealed).as_deref(), Some("비밀 token"));
        assert_eq!(seal.open("account:other", &sealed), None);
        assert_eq!(other.open("account:main", &sealed), None);
        assert_ne!(seal.name(), other.name());
        let mut altered = sealed.into_bytes();
        let last = altered.len() - 1;
        altered[last] = if altered[last] == b'A' { b'B' } else { b'A' };
        assert_eq!(seal.open("account:main", std::str::from_utf8(&altered).expect("ASCII")), None);
        assert_eq!(seal.open("account:main", "s1:"), None);
    }
}

//! The address of an edition's web copy: whoever has the mail can open it, and nobody can guess another. An edition's id
//! alone follows from what is public, and which topics a few readers combine is nobody else's business.

use super::mac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Octets of the MAC in the address: 96 bits, far beyond guessing over HTTP.
const MAC_LEN: usize = 12;

/// The purpose, which is part of what is signed: an address for one thing never opens another.
const PURPOSE: &[u8] = b"web copy";

/// The web copy of an edition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebCopy {
    /// The edition.
    pub edition_id: i64,
}

impl WebCopy {
    /// What its address ends with: key id, edition, MAC; parted by dots.
    #[must_use]
    pub fn sign(self, key_id: &str, secret: &str) -> String {
        format!("{key_id}.{:x}.{}", self.edition_id, self.mac(key_id, secret))
    }

    /// Reads the end of an address whose MAC is right. `secret_of` gives the secret of a key id.
    #[must_use]
    pub fn verify<'a>(name: &str, secret_of: impl FnOnce(&str) -> Option<&'a str>) -> Option<Self> {
        let mut parts = name.split('.');
        let (key_id, id, given) = (parts.next()?, parts.next()?, parts.next()?);
        let copy = Self { edition_id: i64::from_str_radix(id, 16).ok()? };
        let expected = copy.sign(key_id, secret_of(key_id)?);
        // The whole name, so that one edition has one address: `0a` reads as the same number as `a`.
        let is_ours = subtle::ConstantTimeEq::ct_eq(name.as_bytes(), expected.as_bytes());
        (bool::from(is_ours) && !given.is_empty()).then_some(copy)
    }

    fn mac(self, key_id: &str, secret: &str) -> String {
        let mac = mac::keyed(secret, &[PURPOSE, key_id.as_bytes(), &self.edition_id.to_be_bytes()]);
        URL_SAFE_NO_PAD.encode(&mac[..MAC_LEN])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_character_is_refused() {
        let copy = WebCopy { edition_id: 2_891_304_143_624_973 };
        let name = copy.sign("k1", "secret");
        assert_eq!(WebCopy::verify(&name, |_| Some("secret")), Some(copy));
        assert_eq!(WebCopy::verify(&name, |_| Some("other")), None);
        assert_eq!(WebCopy::verify(&name, |_| None), None);
        assert_eq!(WebCopy::verify(&name.replacen('.', ".0", 1), |_| Some("secret")), None);
        assert_eq!(WebCopy::verify(&format!("{name}."), |_| Some("secret")), None);
        for index in 0..name.len() {
            let mut bytes = name.clone().into_bytes();
            bytes[index] = if bytes[index] == b'1' { b'2' } else { b'1' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(WebCopy::verify(&changed, |id| (id == "k1").then_some("secret")), None, "{changed}");
        }
    }
}

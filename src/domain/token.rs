//! Tokens in mailed links: keyed MACs bound to their purpose, so that nobody can make one for somebody else.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Octets of the MAC that a token carries: 128 bits.
const MAC_LEN: usize = 16;

/// What a token allows: leaving one schedule of one subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsubscribe {
    /// The subscriber.
    pub subscriber_id: i64,
    /// `immediate` or the digest's name.
    pub schedule: String,
}

/// The purpose, which is part of what is signed: a token for one thing never opens another.
const PURPOSE: &str = "unsubscribe";

impl Unsubscribe {
    /// The token, as it stands in a URL: key id, subscriber and schedule, MAC; parted by dots.
    #[must_use]
    pub fn sign(&self, key_id: &str, secret: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(format!("{}:{}", self.subscriber_id, self.schedule));
        let mac = URL_SAFE_NO_PAD.encode(&mac(key_id, secret, &payload)[..MAC_LEN]);
        format!("{key_id}.{payload}.{mac}")
    }

    /// Reads a token whose MAC is right. `secret_of` gives the secret of a key id.
    #[must_use]
    pub fn verify<'a>(token: &str, secret_of: impl FnOnce(&str) -> Option<&'a str>) -> Option<Self> {
        let mut parts = token.split('.');
        let (key_id, payload, given) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let given = URL_SAFE_NO_PAD.decode(given).ok()?;
        let expected = mac(key_id, secret_of(key_id)?, payload);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(given.as_slice(), &expected[..MAC_LEN])) {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let (subscriber_id, schedule) = text.split_once(':')?;
        Some(Self { subscriber_id: subscriber_id.parse().ok()?, schedule: schedule.to_owned() })
    }
}

fn mac(key_id: &str, secret: &str, payload: &str) -> [u8; 32] {
    // HMAC takes a key of any length, so this can't fail.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return [0; 32] };
    for part in [PURPOSE, key_id, payload] {
        hmac.update(&(part.len() as u64).to_be_bytes());
        hmac.update(part.as_bytes());
    }
    hmac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_character_is_refused() {
        let wish = Unsubscribe { subscriber_id: 7, schedule: "weekly".to_owned() };
        let token = wish.sign("k1", "secret");
        assert_eq!(Unsubscribe::verify(&token, |_| Some("secret")), Some(wish));
        assert_eq!(Unsubscribe::verify(&token, |_| Some("other")), None);
        assert_eq!(Unsubscribe::verify(&token, |_| None), None);
        for index in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let flipped = String::from_utf8(bytes).expect("ASCII");
            // The last character of a MAC of 16 octets carries four bits only; a decoder refuses stray ones.
            assert_eq!(Unsubscribe::verify(&flipped, |id| (id == "k1").then_some("secret")), None, "{flipped}");
        }
    }
}

//! Tokens in mailed links: keyed MACs bound to their purpose, so that nobody can make one for somebody else.

use super::clock::Chance;
use super::mac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

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

/// What a token is for, which is part of what is signed: a token for one thing never opens another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Leaving one schedule; the detail is its name.
    Unsubscribe,
    /// Confirming what was asked for; the detail is the instant of the mail in seconds.
    Confirm,
    /// Everything that somebody may set about themselves; the detail is the instant of the mail in seconds.
    Manage,
    /// What they get, and nothing that whoever a mail is passed on to may see or end for good; the detail is the same.
    Settings,
    /// A form that we showed; the detail is when, in seconds. There is no subscriber.
    Form,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Unsubscribe => "unsubscribe",
            Self::Confirm => "confirm",
            Self::Manage => "manage",
            Self::Settings => "settings",
            Self::Form => "form",
        }
    }
}

/// What a token carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is for.
    pub purpose: Purpose,
    /// The subscriber; 0 for nobody.
    pub subscriber_id: i64,
    /// What the purpose makes of it.
    pub detail: String,
}

impl Unsubscribe {
    /// The token, as it stands in a URL: key id, subscriber and schedule, MAC; parted by dots.
    #[must_use]
    pub fn sign(&self, key_id: &str, secret: &str) -> String {
        let (subscriber_id, detail) = (self.subscriber_id, self.schedule.clone());
        Token { purpose: Purpose::Unsubscribe, subscriber_id, detail }.sign(key_id, secret)
    }

    /// Reads a token whose MAC is right. `secret_of` gives the secret of a key id.
    #[must_use]
    pub fn verify<'a>(token: &str, secret_of: impl FnOnce(&str) -> Option<&'a str>) -> Option<Self> {
        let Token { subscriber_id, detail, .. } = Token::verify(Purpose::Unsubscribe, token, secret_of)?;
        Some(Self { subscriber_id, schedule: detail })
    }
}

impl Token {
    /// The token, as it stands in a URL: key id, subscriber and detail, MAC; parted by dots.
    #[must_use]
    pub fn sign(&self, key_id: &str, secret: &str) -> String {
        let payload = URL_SAFE_NO_PAD.encode(format!("{}:{}", self.subscriber_id, self.detail));
        let mac = URL_SAFE_NO_PAD.encode(&mac(self.purpose, key_id, secret, &payload)[..MAC_LEN]);
        format!("{key_id}.{payload}.{mac}")
    }

    /// Reads a token for a purpose, if its MAC is right. `secret_of` gives the secret of a key id.
    #[must_use]
    pub fn verify<'a>(purpose: Purpose, token: &str, secret_of: impl FnOnce(&str) -> Option<&'a str>) -> Option<Self> {
        let mut parts = token.split('.');
        let (key_id, payload, given) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let given = URL_SAFE_NO_PAD.decode(given).ok()?;
        let expected = mac(purpose, key_id, secret_of(key_id)?, payload);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(given.as_slice(), &expected[..MAC_LEN])) {
            return None;
        }
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
        let (subscriber_id, detail) = text.split_once(':')?;
        Some(Self { purpose, subscriber_id: subscriber_id.parse().ok()?, detail: detail.to_owned() })
    }
}

/// Random octets of a secret.
const SECRET_LEN: usize = 32;

/// A secret of 256 random bits, as it stands in links, cookies and headers.
#[must_use]
pub fn secret(chance: &dyn Chance) -> String {
    let bytes: Vec<u8> = (0..SECRET_LEN / 8).flat_map(|_| chance.draw().to_be_bytes()).collect();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn mac(purpose: Purpose, key_id: &str, secret: &str, payload: &str) -> [u8; 32] {
    mac::keyed(secret, &[purpose.word(), key_id, payload].map(str::as_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_nothing_but_what_it_is_for() {
        let all = [Purpose::Unsubscribe, Purpose::Confirm, Purpose::Manage, Purpose::Form];
        for purpose in all {
            let token = Token { purpose, subscriber_id: 7, detail: "1".to_owned() }.sign("k1", "secret");
            let opens = |other: &Purpose| Token::verify(*other, &token, |_| Some("secret")).is_some();
            assert_eq!(all.into_iter().filter(opens).collect::<Vec<_>>(), [purpose]);
        }
    }

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

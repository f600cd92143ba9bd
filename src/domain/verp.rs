//! Return addresses that name their delivery (VERP), and addresses that leave by mail: keyed MACs bound to their purpose.
//! What comes to one of them is about this delivery, whatever its text says.

use super::mac;

/// What an address is for. It is part of what is signed: an address for one thing never does another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The envelope sender: what can't be delivered comes back to it.
    Bounce,
    /// A mail to it ends the subscriptions of the delivery's schedule (`mailto:` in List-Unsubscribe).
    Leave,
}

impl Purpose {
    /// What stands before the plus sign.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Leave => "leave",
        }
    }
}

/// The delivery that an address names; its carrier is mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Named {
    /// The plan.
    pub plan_id: i64,
    /// The recipient.
    pub recipient_id: i64,
}

/// Longest local part in octets (RFC 5321 section 4.5.3.1.1).
pub const LOCAL_LEN_MAX: usize = 64;
/// Octets of the MAC: 96 bits, so that nobody finds one by trying, and the local part stays short enough.
const MAC_LEN: usize = 12;
/// Octets of each id: ids have 53 bits.
const ID_LEN: usize = 7;
/// RFC 4648 base32 in lower case: mail servers may change the case of a local part.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl Named {
    /// The local part `PURPOSE+KEY-TOKEN`. `None` when an id or the key's name is too long for one.
    #[must_use]
    pub fn local_part(self, purpose: Purpose, key_id: &str, secret: &str) -> Option<String> {
        let mut octets = Vec::with_capacity(2 * ID_LEN + MAC_LEN);
        for id in [self.plan_id, self.recipient_id] {
            let bytes = u64::try_from(id).ok()?.to_be_bytes();
            let (over, kept) = bytes.split_at(bytes.len() - ID_LEN);
            if over.iter().any(|byte| *byte != 0) {
                return None;
            }
            octets.extend_from_slice(kept);
        }
        let mac = mac(purpose, key_id, secret, &octets);
        octets.extend_from_slice(&mac[..MAC_LEN]);
        let local = format!("{}+{key_id}-{}", purpose.word(), encoded(&octets));
        (local.len() <= LOCAL_LEN_MAX).then_some(local)
    }

    /// Reads a local part whose MAC is right, in any case. `secret_of` gives the secret of a key's name.
    #[must_use]
    pub fn read<'a>(local: &str, secret_of: impl FnOnce(&str) -> Option<&'a str>) -> Option<(Purpose, Self)> {
        if local.len() > LOCAL_LEN_MAX {
            return None;
        }
        let local = local.to_ascii_lowercase();
        let (word, token) = local.split_once('+')?;
        let purpose = [Purpose::Bounce, Purpose::Leave].into_iter().find(|purpose| purpose.word() == word)?;
        let (key_id, token) = token.split_once('-')?;
        let octets = decoded(token).filter(|octets| octets.len() == 2 * ID_LEN + MAC_LEN)?;
        let (ids, given) = octets.split_at(2 * ID_LEN);
        let expected = mac(purpose, key_id, secret_of(key_id)?, ids);
        if !bool::from(subtle::ConstantTimeEq::ct_eq(given, &expected[..MAC_LEN])) {
            return None;
        }
        let id = |octets: &[u8]| octets.iter().fold(0i64, |id, octet| (id << 8) | i64::from(*octet));
        Some((purpose, Self { plan_id: id(&ids[..ID_LEN]), recipient_id: id(&ids[ID_LEN..]) }))
    }
}

fn mac(purpose: Purpose, key_id: &str, secret: &str, ids: &[u8]) -> [u8; 32] {
    // The first part keeps this apart from the tokens in links, which share the key.
    mac::keyed(secret, &[b"verp/1", purpose.word().as_bytes(), key_id.as_bytes(), ids])
}

fn encoded(octets: &[u8]) -> String {
    let mut out = String::with_capacity(octets.len().div_ceil(5) * 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for octet in octets {
        buffer = ((buffer << 8) | u32::from(*octet)) & 0xffff;
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(BASE32[(buffer >> bits) as usize & 31]));
        }
    }
    if bits > 0 {
        out.push(char::from(BASE32[(buffer << (5 - bits)) as usize & 31]));
    }
    out
}

/// Stray bits at the end are refused: one value has one spelling.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 5 / 8);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for c in text.bytes() {
        let digit = BASE32.iter().position(|known| *known == c)?;
        buffer = ((buffer << 5) | u32::try_from(digit).ok()?) & 0xffff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((buffer >> bits) & 0xff).ok()?);
        }
    }
    (buffer & ((1 << bits) - 1) == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMED: Named = Named { plan_id: 6_137_782_426_506_211, recipient_id: (1 << 53) - 1 };

    #[test]
    fn an_address_is_short_and_survives_a_change_of_case() {
        for purpose in [Purpose::Bounce, Purpose::Leave] {
            let local = NAMED.local_part(purpose, "0a1b2c", "secret").unwrap();
            assert!(local.len() <= LOCAL_LEN_MAX, "{local}");
            assert_eq!(local, local.to_ascii_lowercase());
            for spelt in [local.clone(), local.to_uppercase()] {
                assert_eq!(Named::read(&spelt, |id| (id == "0a1b2c").then_some("secret")), Some((purpose, NAMED)));
            }
            assert_eq!(Named::read(&local, |_| Some("other")), None);
            assert_eq!(Named::read(&local, |_| None), None);
        }
    }

    #[test]
    fn every_changed_character_is_refused_and_no_purpose_does_anothers_work() {
        let local = NAMED.local_part(Purpose::Bounce, "k1", "secret").unwrap();
        for index in 0..local.len() {
            let mut bytes = local.clone().into_bytes();
            bytes[index] = if bytes[index] == b'a' { b'b' } else { b'a' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(Named::read(&changed, |id| (id == "k1").then_some("secret")), None, "{changed}");
        }
        let swapped = local.replacen("bounce+", "leave+", 1);
        assert_eq!(Named::read(&swapped, |_| Some("secret")), None);
        for cut in 0..local.len() {
            assert_eq!(Named::read(&local[..cut], |_| Some("secret")), None);
        }
    }

    #[test]
    fn what_does_not_fit_has_no_address() {
        assert_eq!(Named { plan_id: -1, recipient_id: 1 }.local_part(Purpose::Bounce, "k", "s"), None);
        assert_eq!(Named { plan_id: 1, recipient_id: i64::MAX }.local_part(Purpose::Bounce, "k", "s"), None);
        assert_eq!(NAMED.local_part(Purpose::Bounce, &"k".repeat(40), "s"), None);
    }

    proptest! {
        #[test]
        fn any_delivery_is_read_back(plan_id in 0i64..1 << 53, recipient_id in 0i64..1 << 53, secret in "[0-9a-f]{64}") {
            let named = Named { plan_id, recipient_id };
            let local = named.local_part(Purpose::Leave, "abcdef", &secret).unwrap();
            prop_assert_eq!(Named::read(&local, |_| Some(&secret)), Some((Purpose::Leave, named)));
        }

        #[test]
        fn anything_else_is_nothing(text in "(bounce|leave)\\+[a-z0-9]{0,6}-?[a-z2-7]{0,60}", other in ".{0,80}") {
            prop_assert_eq!(Named::read(&text, |_| Some("secret")), None);
            prop_assert_eq!(Named::read(&other, |_| Some("secret")), None);
        }
    }
}

//! A keyed hash of a mail address: what is known of people after they are erased, and what a list can be checked against.

use super::audience::Address;
use super::ids::hex;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What is hashed besides the address, so that the key gives other values wherever else it may be used.
const PURPOSE: &[u8] = b"allim/address/1/";

/// The hash of an address under a key: HMAC-SHA256 in hexadecimal, the same for every spelling of one mailbox. Without the
/// key nobody can try addresses against it.
#[must_use]
pub fn address_hash(key: &str, address: &Address) -> String {
    // HMAC takes a key of any length, so this can't fail.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(key.as_bytes()) else { return String::new() };
    hmac.update(PURPOSE);
    hmac.update(address.key().as_bytes());
    hex(&hmac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_mailbox_share_it_and_keys_do_not() {
        let hash = |key: &str, raw: &str| address_hash(key, &Address::parse(raw).unwrap());
        assert_eq!(hash("k", "Kim@Example.org"), hash("k", "kim@example.ORG"));
        assert_ne!(hash("k", "kim@example.org"), hash("l", "kim@example.org"));
        assert_ne!(hash("k", "kim@example.org"), hash("k", "lee@example.org"));
        assert_eq!(hash("k", "kim@example.org").len(), 64);
    }
}

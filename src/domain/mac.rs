//! The keyed MAC that stands behind every token, address and link of ours.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 over parts, each preceded by its length, so that ("ab", "c") and ("a", "bc") differ. The first part is the
/// purpose: what is made for one thing never serves another, though they share the key.
pub(super) fn keyed(secret: &str, parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so this can't fail.
    let Ok(mut hmac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return [0; 32] };
    for part in parts {
        hmac.update(&(part.len() as u64).to_be_bytes());
        hmac.update(part);
    }
    hmac.finalize().into_bytes().into()
}

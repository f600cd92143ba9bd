//! Ids that follow from what they name (design rule 17), so that taking a post in again after a restore
//! keeps feed entry ids and Message-IDs. `golden` below forbids a change of any of these derivations.

use sha2::{Digest, Sha256};

/// Characters of a textual id: RFC 4648 base32 in lower case, so that it survives URLs, mail and case folding.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Length of a textual id in characters: 26 × 5 bits keep 128 bits of the digest.
pub const TEXT_ID_LEN: usize = 26;

/// The id of a post: one per (source, id within the source).
#[must_use]
pub fn post_id(source: &str, source_id: &str) -> String {
    text_id("post", &[source, source_id])
}

/// The id of a story that the source names; posts of one source that name the same story are its variants.
#[must_use]
pub fn story_id(source: &str, story: &str) -> String {
    text_id("story", &[source, story])
}

/// The id of a quarantined message: the same bytes from the same source are one row.
#[must_use]
pub fn quarantine_id(source: &str, content_hash: &str) -> String {
    text_id("quarantine", &[source, content_hash])
}

/// The id of a receipt to a source: one per what it says and what that is about, so that it is told once.
#[must_use]
pub fn receipt_id(kind: &str, source: &str, about: &str) -> String {
    text_id("receipt", &[kind, source, about])
}

/// The key of an entry that a feed gives no id, or one that can't be one here.
#[must_use]
pub fn entry_key(parts: &[&str]) -> String {
    text_id("entry", parts)
}

/// The id of a mail that came back: the same bytes for the same recipient are one row, however often they are handed over.
#[must_use]
pub fn inbound_id(envelope_to: &str, content_hash: &str) -> String {
    text_id("inbound", &[envelope_to, content_hash])
}

/// The id of an occurrence, which is also the plan of the deliveries it makes.
#[must_use]
pub fn occurrence_id(slot: &str, due_at: i64, qualifier: &str) -> i64 {
    number_id("occurrence", &[slot, &due_at.to_string(), qualifier])
}

/// The id of an edition: one per plan and content key.
#[must_use]
pub fn edition_id(plan_id: i64, key: &str) -> i64 {
    number_id("edition", &[&plan_id.to_string(), key])
}

/// The id of an endpoint: one per carrier, what it is told of, and address.
#[must_use]
pub fn endpoint_id(carrier: &str, subject: &str, url: &str) -> i64 {
    number_id("endpoint", &[carrier, subject, url])
}

/// The hexadecimal SHA-256 of some content.
#[must_use]
pub fn content_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The local part of a Message-ID and the seed of a MIME boundary, from what makes a delivery unique.
#[must_use]
pub fn delivery_text_id(plan_id: i64, recipient_id: i64, carrier: &str) -> String {
    text_id("delivery", &[&plan_id.to_string(), &recipient_id.to_string(), carrier])
}

fn text_id(kind: &str, parts: &[&str]) -> String {
    let digest = digest(kind, parts);
    let mut out = String::with_capacity(TEXT_ID_LEN);
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in digest {
        buffer = (buffer << 8) | u32::from(byte);
        bits += 8;
        while bits >= 5 && out.len() < TEXT_ID_LEN {
            bits -= 5;
            out.push(char::from(BASE32[(buffer >> bits) as usize & 31]));
        }
    }
    out
}

/// 53 bits, so that a JSON reader that holds numbers as doubles keeps them exact; never zero.
fn number_id(kind: &str, parts: &[&str]) -> i64 {
    let digest = digest(kind, parts);
    let mut first = [0u8; 8];
    first.copy_from_slice(&digest[..8]);
    let number = i64::try_from(u64::from_be_bytes(first) >> 11).unwrap_or(i64::MAX);
    number.max(1)
}

/// Every part is preceded by its length, so that ("ab", "c") and ("a", "bc") differ.
fn digest(kind: &str, parts: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(b"allim/1/");
    for part in std::iter::once(&kind).chain(parts) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().into()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds, mailboxes and databases hold these: a change would make every old entry new again.
    #[test]
    fn golden() {
        assert_eq!(post_id("cms", "events-1507"), "ldnkvnnmpnbzat4wdbzw473gqj");
        assert_eq!(story_id("cms", "forum-2015"), "lm65fqiggikyv64zzb3gnmmzbi");
        assert_eq!(quarantine_id("cms", &content_hash(b"x")), "vkthyhfdldrrosr3mvd5ts35g5");
        assert_eq!(occurrence_id("weekly", 1_795_392_000_000, ""), 6_137_782_426_506_211);
        assert_eq!(edition_id(7, "key"), 2_891_304_143_624_973);
        assert_eq!(endpoint_id("websub", "/feeds/all.atom", "https://a.example/"), 8_548_935_153_979_584);
        assert_eq!(inbound_id("a@b", &content_hash(b"x")), "suvg5ut73x4iwze2qkce2whn3d");
        assert_eq!(delivery_text_id(7, 8, "email"), "gkotely4btjppnnactjjdvgxsk");
    }

    #[test]
    fn parts_are_told_apart() {
        assert_ne!(post_id("ab", "c"), post_id("a", "bc"));
        assert_ne!(post_id("a", "b"), story_id("a", "b"));
    }
}

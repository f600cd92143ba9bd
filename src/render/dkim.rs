//! DKIM signatures (RFC 6376; Ed25519 by RFC 8463) on finished letters. Own code, because the letter is ours to the last
//! octet: one pass over the body serves all its signatures, and nothing is parsed that was just written.

mod canonical;
mod key;

pub use key::{BadKey, Key};

use super::RenderError;
use crate::domain::clock::UnixMillis;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::io::Write as _;

/// Characters of a folded line, as RFC 5322 section 2.1.1 wants them.
const LINE_LEN_MAX: usize = 78;
/// Octets that a signature adds to a letter, about: RSA with 2048 bits and fifteen signed fields.
const SIGNATURE_LEN: usize = 1_024;
/// Longest string within a TXT record (RFC 1035 section 3.3).
const TXT_STRING_LEN_MAX: usize = 255;

/// Puts one signature on letters: a domain that answers for them, and the key that it shows under a selector.
#[derive(Debug)]
pub struct Signer {
    domain: String,
    selector: String,
    key: Key,
}

impl Signer {
    /// A signer for names that were checked before: dotted names in ASCII.
    #[must_use]
    pub fn new(domain: String, selector: String, key: Key) -> Self {
        Self { domain, selector, key }
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The domain that answers for the letters.
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The name under which the key is published (RFC 6376 section 3.6.2.1).
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// What the domain must publish there, as one text.
    #[must_use]
    pub fn dns_text(&self) -> String {
        self.key.dns_text()
    }

    /// The same as a line of a zone file (RFC 6376 section 3.6.1).
    #[must_use]
    pub fn dns_record(&self) -> String {
        let text = self.key.dns_text();
        let (mut strings, mut rest) = (String::new(), text.as_str());
        while !rest.is_empty() {
            let (string, after) = rest.split_at(rest.len().min(TXT_STRING_LEN_MAX));
            strings.push_str(&format!(" \"{string}\""));
            rest = after;
        }
        let strings = if text.len() > TXT_STRING_LEN_MAX { format!(" ({strings} )") } else { strings };
        format!("{}. IN TXT{strings}", self.dns_name())
    }

    /// Appends the header field with its line end.
    fn sign(&self, letter: &Canonical, t: i64, out: &mut Vec<u8>) -> Result<(), RenderError> {
        let start = out.len();
        let Self { domain, selector, key } = self;
        // Writing into a vector doesn't fail.
        let _ = write!(
            out,
            "DKIM-Signature: v=1; a={}; c=relaxed/relaxed;\r\n d={domain};\r\n s={selector}; t={t};\r\n {};\r\n bh={};\r\n b=",
            key.algorithm(),
            letter.signed_fields,
            letter.body_hash,
        );
        // The field itself comes last, with an empty b= and without a line end (RFC 6376 section 3.7).
        let mut data = Vec::with_capacity(letter.header.len() + out.len() - start);
        data.extend_from_slice(&letter.header);
        canonical::field(&out[start..], &mut data);
        let signature = STANDARD.encode(key.sign(&data).ok_or(RenderError::Unsigned)?);
        // It begins on the line of its tag: not every verifier takes off a space before it.
        let (first, rest) = signature.as_bytes().split_at(signature.len().min(LINE_LEN_MAX - " b=".len()));
        out.extend_from_slice(first);
        for line in rest.chunks(LINE_LEN_MAX - 1) {
            out.extend_from_slice(b"\r\n ");
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
        Ok(())
    }
}

/// What all signatures on a letter share.
struct Canonical {
    /// The tag `h=`, folded.
    signed_fields: String,
    /// The signed header fields, each with its line end.
    header: Vec<u8>,
    /// In base64.
    body_hash: String,
}

impl Canonical {
    /// Every field of a letter is our own, so every field is signed, in particular all of List-* (RFC 8058 section 4 asks
    /// for them) and the MIME fields; what comes on the way stands above. From is named once more than it stands there, so
    /// that none can be added (RFC 6376 section 8.15). No `l=`: nothing can be added below either (section 8.2).
    fn of(letter: &[u8]) -> Self {
        let end = memchr::memmem::find(letter, b"\r\n\r\n").map_or(letter.len(), |at| at + 2);
        let (head, body) = (&letter[..end], letter.get(end + 2..).unwrap_or_default());
        let (mut names, mut header) = (Vec::new(), Vec::with_capacity(head.len()));
        // From the last to the first: that is how a verifier looks for fields of one name (RFC 6376 section 5.4.2).
        for field in canonical::fields(head).into_iter().rev() {
            names.push(canonical::name(field));
            canonical::field(field, &mut header);
            header.extend_from_slice(b"\r\n");
        }
        names.push("From");
        let body_hash = STANDARD.encode(canonical::body_hash(body));
        Self { signed_fields: folded(&names), header, body_hash }
    }
}

/// Names as the tag `h=`; lines may be folded at its colons.
fn folded(names: &[&str]) -> String {
    let (mut tag, mut column) = ("h=".to_owned(), 3);
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            tag.push(':');
            column += 1;
            if column + name.len() + 1 > LINE_LEN_MAX {
                tag.push_str("\r\n ");
                column = 1;
            }
        }
        tag.push_str(name);
        column += name.len();
    }
    tag
}

/// The letter with a signature of each signer before it. `at` is the delivery's own instant and not the present one, so
/// that a repeat is equal byte by byte: both algorithms give the same signature each time.
///
/// # Errors
/// [`RenderError::Unsigned`] when the cryptographic library fails.
pub fn signed(letter: &[u8], signers: &[Signer], at: UnixMillis) -> Result<Vec<u8>, RenderError> {
    let canonical = Canonical::of(letter);
    let mut out = Vec::with_capacity(signers.len() * SIGNATURE_LEN + letter.len() + SIGNATURE_LEN);
    for signer in signers {
        signer.sign(&canonical, at.0.div_euclid(1_000).max(0), &mut out)?;
    }
    out.extend_from_slice(letter);
    Ok(out)
}

#[cfg(test)]
#[path = "dkim_tests.rs"]
mod tests;

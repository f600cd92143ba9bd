//! Mails that come in: bounces, complaints, unsubscribe mails. Here is what every way in agrees on before anything is read.

use super::delivery::words;
use super::ids;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Octets of a mail that is taken in. Reports carry at most the letter that they are about, and ours stay far below it.
pub const MESSAGE_LEN_MAX: usize = 1024 * 1024;
/// Octets of a header that is searched for its recipient.
const HEADER_LEN_MAX: usize = 64 * 1024;
/// Longest address (RFC 5321 section 4.5.3.1: 64 and 255 octets and the sign between them).
const ADDRESS_LEN_MAX: usize = 320;

words! {
    /// How a mail came in.
    Via {
        /// Over LMTP, from a mail server beside this one.
        Lmtp = "lmtp",
        /// Over SMTP, from anywhere.
        Smtp = "smtp",
        /// By `allim inbound`.
        Command = "command",
        /// By the HTTP interface.
        Http = "http",
    }
}

words! {
    /// What a mail turned out to be.
    Verdict {
        /// A letter couldn't be delivered.
        Bounce = "bounce",
        /// A letter isn't delivered yet.
        Delay = "delay",
        /// A reader complained.
        Complaint = "complaint",
        /// A reader left.
        Unsubscribe = "unsubscribe",
        /// A machine answered: neither a bounce nor an answer.
        AutoReply = "auto_reply",
        /// None of these, or it proves nothing. Nothing follows from it.
        Unknown = "unknown",
        /// It can't be read; it stays to be looked at.
        Malformed = "malformed",
        /// Our own mail came back to us.
        Loop = "loop",
    }
}

/// A mail as it came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Follows from recipient and bytes.
    pub id: String,
    /// How it came.
    pub via: Via,
    /// Whom it was sent to; empty when nobody knows.
    pub envelope_to: String,
    /// RFC 5322, as it came.
    pub bytes: Vec<u8>,
}

/// A mail is longer than [`MESSAGE_LEN_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the mail is longer than {MESSAGE_LEN_MAX} octets")]
pub struct TooLong;

impl Mail {
    /// A mail for a recipient; without one, for whom its header names.
    ///
    /// # Errors
    /// [`TooLong`], and nothing is kept then.
    pub fn new(via: Via, envelope_to: Option<&str>, bytes: Vec<u8>) -> Result<Self, TooLong> {
        if bytes.len() > MESSAGE_LEN_MAX {
            return Err(TooLong);
        }
        let envelope_to = envelope_to.map(clean).unwrap_or_else(|| recipient(&bytes).unwrap_or_default());
        let id = ids::inbound_id(&envelope_to, &ids::content_hash(&bytes));
        Ok(Self { id, via, envelope_to, bytes })
    }
}

/// Without what can't stand in an address, and not longer than one.
fn clean(raw: &str) -> String {
    let raw = raw.trim().trim_start_matches('<').trim_end_matches('>');
    raw.chars().filter(|c| !c.is_control() && !c.is_whitespace()).take(ADDRESS_LEN_MAX).collect()
}

/// Fields in which a mail server notes the envelope's recipient, and the one that the writer wrote, last.
const FIELDS: [&str; 4] = ["x-original-to", "delivered-to", "envelope-to", "to"];

/// The recipient as the header names it: an address that our own return addresses begin like, or else the first.
fn recipient(bytes: &[u8]) -> Option<String> {
    let header = String::from_utf8_lossy(&bytes[..bytes.len().min(HEADER_LEN_MAX)]);
    let header = header.replace("\r\n", "\n");
    let header = header.split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " ");
    let mut found: Vec<(usize, String)> = Vec::new();
    for line in header.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        let Some(rank) = FIELDS.iter().position(|field| name.trim().eq_ignore_ascii_case(field)) else { continue };
        let words = value.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | '"' | ';'));
        found.extend(words.filter(|word| word.contains('@')).map(|word| (rank, clean(word))));
    }
    let is_ours = |address: &str| {
        let address = address.to_ascii_lowercase();
        address.starts_with("bounce+") || address.starts_with("leave+")
    };
    // False sorts before true.
    found.into_iter().min_by_key(|(rank, address)| (!is_ours(address), *rank)).map(|(_, address)| address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(header: &str) -> String {
        Mail::new(Via::Command, None, header.as_bytes().to_vec()).unwrap().envelope_to
    }

    #[test]
    fn the_recipient_is_found_where_mail_servers_note_it() {
        assert_eq!(to("To: a@example.org\nX-Original-To: b@example.org\n\nX-Original-To: c@x"), "b@example.org");
        assert_eq!(
            to("to: \"A\"\r\n <bounce+k-abc@example.org>\r\nDelivered-To: root@host\r\n\r\n"),
            "bounce+k-abc@example.org"
        );
        assert_eq!(to("Subject: to: a@example.org\n\nTo: b@example.org\n"), "");
        assert_eq!(to(""), "");
    }

    #[test]
    fn the_same_mail_has_the_same_id_and_a_long_one_none() {
        let mail = |to, bytes: &[u8]| Mail::new(Via::Lmtp, Some(to), bytes.to_vec()).unwrap();
        assert_eq!(mail("<a@b>", b"x").id, mail("a@b", b"x").id);
        assert_ne!(mail("a@b", b"x").id, mail("c@b", b"x").id);
        assert_eq!(mail("a@b\r\nRSET", b"x").envelope_to, "a@bRSET");
        assert!(Mail::new(Via::Lmtp, None, vec![b'x'; MESSAGE_LEN_MAX + 1]).is_err());
    }
}

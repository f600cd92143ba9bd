//! What a relay is told about reports (RFC 3461): only failures, only the header of the letter, and what letter it was.

use crate::domain::audience::Address;
use std::fmt::Write as _;

/// Longest id of a letter and longest original recipient (RFC 3461 sections 4.4 and 4.2), as they are written.
const ID_LEN_MAX: usize = 100;
const RECIPIENT_LEN_MAX: usize = 500;

/// What follows MAIL and what follows RCPT. Delays aren't asked for: they change nothing, and there may be one a reader.
pub(super) fn parameters(to: &Address, id: Option<&str>) -> (String, String) {
    let (mut of_mail, mut of_rcpt) = (" RET=HDRS".to_owned(), " NOTIFY=FAILURE".to_owned());
    if let Some(id) = id.map(xtext).filter(|id| id.len() <= ID_LEN_MAX) {
        of_mail.push_str(" ENVID=");
        of_mail.push_str(&id);
    }
    // Addresses outside ASCII have a type and a spelling of their own (RFC 6533 section 3), which few know.
    if to.as_str().is_ascii() {
        let recipient = xtext(to.as_str());
        if recipient.len() <= RECIPIENT_LEN_MAX {
            of_rcpt.push_str(" ORCPT=rfc822;");
            of_rcpt.push_str(&recipient);
        }
    }
    (of_mail, of_rcpt)
}

/// RFC 3461 section 4: graphic characters but for plus and equals; others as `+` and two hexadecimal digits.
fn xtext(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'+' | b'=') {
            out.push(char::from(byte));
        } else {
            // Writing into a string doesn't fail.
            let _ = write!(out, "+{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_letter_and_its_recipient_are_named_in_xtext() {
        let to = Address::parse("a+b=c@example.net").unwrap();
        let (of_mail, of_rcpt) = parameters(&to, Some("bounce+k1-abc"));
        assert_eq!(of_mail, " RET=HDRS ENVID=bounce+2Bk1-abc");
        assert_eq!(of_rcpt, " NOTIFY=FAILURE ORCPT=rfc822;a+2Bb+3Dc@example.net");
        assert_eq!(parameters(&to, None).0, " RET=HDRS");
        assert_eq!(parameters(&to, Some(&"x".repeat(101))).0, " RET=HDRS");
        let korean = Address::parse("가온@example.net").unwrap();
        assert_eq!(parameters(&korean, None).1, " NOTIFY=FAILURE");
    }
}

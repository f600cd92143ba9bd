//! The finished letter: an edition's pieces, completed for one recipient, as the bytes that go over the wire.

use super::RenderError;
use super::header;
use super::mail::{LocalText, Personal, Pieces};
use super::words::words;
use crate::domain::audience::Address;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::language::Language;
use crate::domain::text::{CleanText, HeaderText};
use lettre::message::header::{ContentTransferEncoding, ContentType, Headers};
use lettre::message::{Body, MultiPart, SinglePart};

/// What a letter is made from. Everything in it is stored, so that a repeat is equal byte by byte.
#[derive(Clone, Copy)]
pub struct Letter<'a> {
    /// The edition's mail.
    pub pieces: &'a Pieces,
    /// Who sends.
    pub sender: &'a Sender,
    /// Where it goes.
    pub to: &'a Address,
    /// How to greet the recipient, if known.
    pub to_name: Option<&'a CleanText>,
    /// The language of the edition.
    pub language: &'a Language,
    /// What makes it this letter and no other.
    pub delivery: &'a DeliveryKey,
    /// When it was planned: its Date.
    pub planned_at: UnixMillis,
    /// The recipient's own link, which takes RFC 8058's one-click POST. `None` in previews only.
    pub unsubscribe_url: Option<&'a str>,
}

/// A configured sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// What the configuration calls it.
    pub name: String,
    /// The name shown as From.
    pub from: LocalText,
    /// The address of From.
    pub address: Address,
    /// Where answers go, if elsewhere.
    pub reply_to: Option<Address>,
    /// RFC 2919 list id, such as `weekly.allim.example.org`.
    pub list_id: String,
    /// The right side of Message-IDs; it must not change while deliveries are open.
    pub message_id_domain: String,
}

/// The letter as RFC 5322 bytes with CRLF line ends: `multipart/alternative` of plain text and HTML. The same letter
/// gives the same bytes, however often and in whichever process it is made.
///
/// # Errors
/// [`RenderError::Field`] when `list_id` or `message_id_domain` isn't a dotted name, or `unsubscribe_url` isn't a
/// URL that can stand in a header.
pub fn letter(letter: &Letter<'_>) -> Result<Vec<u8>, RenderError> {
    let headers = headers(letter)?;
    let greeting = letter.to_name.map(CleanText::line).filter(|name| !name.is_empty());
    let greeting = greeting.map(|name| words(letter.language).greeting(name.as_str()));
    let personal = Personal { greeting: greeting.as_deref(), unsubscribe_url: letter.unsubscribe_url };
    // A boundary may not occur in the parts: `=_` occurs in neither base64 nor quoted-printable, and the id is a hash.
    let body = MultiPart::alternative()
        .boundary(format!("=_{}", letter.delivery.text_id()))
        .singlepart(part(ContentType::TEXT_PLAIN, letter.pieces.text_for(personal))?)
        .singlepart(part(ContentType::TEXT_HTML, letter.pieces.html_for(personal))?);
    let mut bytes = headers.to_string().into_bytes();
    bytes.extend_from_slice(&body.formatted());
    Ok(bytes)
}

/// Always encoded, so that lines stay short and no relay has a reason to touch them: as quoted-printable, or as base64
/// where that is shorter (an octet outside ASCII costs three or four thirds).
fn part(kind: ContentType, text: String) -> Result<SinglePart, RenderError> {
    let foreign = text.bytes().filter(|byte| !byte.is_ascii()).count();
    let is_mostly_ascii = foreign * 6 < text.len();
    let encoding =
        if is_mostly_ascii { ContentTransferEncoding::QuotedPrintable } else { ContentTransferEncoding::Base64 };
    let body = Body::new_with_encoding(text, encoding)
        .map_err(|_| RenderError::Field { field: "body", reason: "it can't be encoded" })?;
    Ok(SinglePart::builder().content_type(kind).body(body))
}

fn headers(letter: &Letter<'_>) -> Result<Headers, RenderError> {
    let sender = letter.sender;
    let list_id = dotted_name("list_id", &sender.list_id)?;
    let domain = dotted_name("message_id_domain", &sender.message_id_domain)?;
    let from = HeaderText::fold(&CleanText::new(sender.from.get(letter.language)));
    let to_name = letter.to_name.map(HeaderText::fold);
    // English day and month names and +0000, whatever the process's locale and zone.
    let date = letter.planned_at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string();

    let mut headers = Headers::new();
    headers.insert_raw(header::plain("Date", date));
    headers.insert_raw(header::mailbox("From", Some(&from), &sender.address));
    if let Some(reply_to) = &sender.reply_to {
        headers.insert_raw(header::mailbox("Reply-To", None, reply_to));
    }
    headers.insert_raw(header::mailbox("To", to_name.as_ref(), letter.to));
    let subject = HeaderText::fold(&CleanText::new(&letter.pieces.subject));
    headers.insert_raw(header::unstructured("Subject", &subject));
    headers.insert_raw(header::plain("Message-ID", format!("<{}@{domain}>", letter.delivery.text_id())));
    headers.insert_raw(header::with_phrase("List-Id", &from, list_id));
    if let Some(url) = letter.unsubscribe_url {
        headers.insert_raw(header::plain("List-Unsubscribe", format!("<{}>", header_url(url)?)));
        headers.insert_raw(header::plain("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
    }
    headers.insert_raw(header::plain("Auto-Submitted", "auto-generated".to_owned()));
    headers.insert_raw(header::plain("Content-Language", letter.language.to_string()));
    headers.insert_raw(header::plain("MIME-Version", "1.0".to_owned()));
    Ok(headers)
}

/// Letters, digits, hyphens and dots: what both a list id and a Message-ID's right side are made of.
fn dotted_name<'a>(field: &'static str, name: &'a str) -> Result<&'a str, RenderError> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if name.len() > 253 || !name.split('.').all(is_label) {
        let reason = "write a name of letters, digits and hyphens with dots, such as `news.example.org`";
        return Err(RenderError::Field { field, reason });
    }
    Ok(name)
}

/// Longest URL in a header: one line of at most 998 characters holds it (RFC 5322 section 2.1.1).
const URL_LEN_MAX: usize = 900;

fn header_url(url: &str) -> Result<&str, RenderError> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_safe = url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b'"' | b'\\'));
    if !is_web || !is_safe || url.len() > URL_LEN_MAX {
        let reason = "it must be an absolute http or https URL in ASCII of at most 900 characters";
        return Err(RenderError::Field { field: "unsubscribe_url", reason });
    }
    Ok(url)
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;

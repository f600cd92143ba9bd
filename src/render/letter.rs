//! The finished letter: an edition's pieces, completed for one recipient, as the bytes that go over the wire.

use super::RenderError;
use super::header;
use super::mail::{LocalText, Personal, Pieces};
use super::part::{Part, Spelling};
use super::words::words;
use crate::domain::audience::{ADDRESS_LEN_MAX, Address};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;
use crate::domain::ids::content_hash;
use crate::domain::language::Language;
use crate::domain::text::{CleanText, HeaderText};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::header::{HeaderValue, Headers};
use std::io::Write as _;

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
    /// The domain of return addresses of their own for each letter, and of addresses to leave by.
    pub bounce_domain: Option<String>,
    /// Where readers find out about the list (RFC 2369 section 3.1); `None` where this site has no pages.
    pub help_url: Option<String>,
}

/// An edition's mail, encoded once: what all its recipients share stands ready, and [`LetterForm::fill`] puts in what is
/// personal. lettre encodes every stretch; only the joints are ours.
pub struct LetterForm {
    language: Language,
    message_id_domain: String,
    /// From and Reply-To.
    before_to: Vec<u8>,
    /// Subject.
    after_to: Vec<u8>,
    /// List-Id, List-Help, Feedback-ID.
    after_id: Vec<u8>,
    /// From Auto-Submitted to MIME-Version.
    last: Vec<u8>,
    text: Part,
    html: Part,
    /// The calendar file as a part, encoded.
    calendar: Option<Vec<u8>>,
    /// Whether it belongs to a list that one can leave; a service letter answers one person.
    is_list: bool,
}

/// What is personal in a letter. Everything in it is stored, so that a repeat is equal byte by byte.
#[derive(Clone, Copy)]
pub struct Fill<'a> {
    /// Where it goes.
    pub to: &'a Address,
    /// How to greet the recipient, if known.
    pub to_name: Option<&'a CleanText>,
    /// What makes it this letter and no other.
    pub delivery: &'a DeliveryKey,
    /// When it was planned: its Date.
    pub planned_at: UnixMillis,
    /// The recipient's own link, which takes RFC 8058's one-click POST; in a service letter, that of its button. `None` in
    /// previews only.
    pub unsubscribe_url: Option<&'a str>,
    /// The link to the recipient's own page.
    pub manage_url: Option<&'a str>,
    /// Whether the plain text goes alone.
    pub text_only: bool,
    /// The recipient's own address to leave by, for mail programs that know no other way.
    pub leave_address: Option<&'a str>,
}

impl LetterForm {
    /// Encodes what all recipients of an edition share.
    ///
    /// # Errors
    /// [`RenderError::Field`] when `list_id` or `message_id_domain` isn't a dotted name.
    pub fn new(pieces: &Pieces, sender: &Sender, language: &Language) -> Result<Self, RenderError> {
        let list_id = dotted_name("list_id", &sender.list_id)?;
        let domain = dotted_name("message_id_domain", &sender.message_id_domain)?;
        let from = HeaderText::fold(&CleanText::new(sender.from.get(language)));
        let mut before_to = Headers::new();
        before_to.insert_raw(header::mailbox("From", Some(&from), &sender.address));
        if let Some(reply_to) = &sender.reply_to {
            before_to.insert_raw(header::mailbox("Reply-To", None, reply_to));
        }
        let subject = HeaderText::fold(&CleanText::new(&pieces.subject));
        let mut last = Headers::new();
        last.insert_raw(header::plain("Auto-Submitted", "auto-generated".to_owned()));
        last.insert_raw(header::plain("Content-Language", language.to_string()));
        last.insert_raw(header::plain("MIME-Version", "1.0".to_owned()));
        Ok(Self {
            language: language.clone(),
            message_id_domain: domain.to_owned(),
            before_to: before_to.to_string().into_bytes(),
            after_to: one(header::unstructured("Subject", &subject)),
            after_id: about_the_list(sender, &from, list_id, language)?,
            last: last.to_string().into_bytes(),
            text: Part::new("text/plain", &pieces.text, Spelling::Plain)?,
            html: Part::new("text/html", &pieces.html, Spelling::Html)?,
            calendar: pieces.calendar.as_deref().map(attachment),
            is_list: true,
        })
    }

    /// The same as a service letter: without the headers of a list, since its link is for its button only.
    #[must_use]
    pub fn without_list(self) -> Self {
        Self { after_id: Vec::new(), is_list: false, ..self }
    }

    /// The letter as RFC 5322 bytes with CRLF line ends: `multipart/alternative` of plain text and HTML. The same values
    /// give the same bytes, however often and in whichever process it is made.
    ///
    /// # Errors
    /// [`RenderError::Field`] when `unsubscribe_url` isn't a URL that can stand in a header.
    pub fn fill(&self, fill: &Fill<'_>) -> Result<Vec<u8>, RenderError> {
        let greeting = fill.to_name.map(CleanText::line).filter(|name| !name.is_empty());
        let greeting = greeting.map(|name| words(&self.language).greeting(name.as_str()));
        let personal = Personal {
            greeting: greeting.as_deref(),
            unsubscribe_url: fill.unsubscribe_url,
            manage_url: fill.manage_url,
        };
        let id = fill.delivery.text_id();
        let mut out = Vec::with_capacity(self.len() + 2_048);
        // English day and month names and +0000, whatever the process's locale and zone.
        let date = fill.planned_at.timestamp().strftime("%a, %d %b %Y %H:%M:%S +0000");
        let _ = write!(out, "Date: {date}\r\n");
        out.extend_from_slice(&self.before_to);
        let name = fill.to_name.map(HeaderText::fold);
        out.extend_from_slice(&one(header::mailbox("To", name.as_ref(), fill.to)));
        out.extend_from_slice(&self.after_to);
        let _ = write!(out, "Message-ID: <{id}@{}>\r\n", self.message_id_domain);
        out.extend_from_slice(&self.after_id);
        if let Some(url) = fill.unsubscribe_url.filter(|_| self.is_list) {
            let _ = write!(out, "List-Unsubscribe: <{}>", header_url("unsubscribe_url", url)?);
            if let Some(address) = fill.leave_address {
                // Behind the link, since mail programs take the first that they know (RFC 2369 section 2).
                let _ = write!(out, ",\r\n <mailto:{}?subject=unsubscribe>", header_address(address)?);
            }
            out.extend_from_slice(b"\r\n");
            out.extend_from_slice(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
        }
        out.extend_from_slice(&self.last);
        match &self.calendar {
            None => self.fill_body(fill.text_only, personal, &id, &mut out),
            Some(calendar) => {
                let _ = write!(out, "Content-Type: multipart/mixed;\r\n boundary=\"=_m{id}\"\r\n\r\n--=_m{id}\r\n");
                self.fill_body(fill.text_only, personal, &id, &mut out);
                let _ = write!(out, "\r\n--=_m{id}\r\n");
                out.extend_from_slice(calendar);
                let _ = write!(out, "\r\n--=_m{id}--\r\n");
            }
        }
        Ok(out)
    }

    /// Both parts as alternatives of each other, or the plain text alone. A boundary may not occur in the parts: `=_` occurs in
    /// neither base64 nor quoted-printable, and the id is a hash.
    fn fill_body(&self, text_only: bool, personal: Personal<'_>, id: &str, out: &mut Vec<u8>) {
        if text_only {
            self.text.fill(personal, out);
            out.extend_from_slice(b"\r\n");
            return;
        }
        let _ = write!(out, "Content-Type: multipart/alternative;\r\n boundary=\"=_{id}\"\r\n\r\n--=_{id}\r\n");
        self.text.fill(personal, out);
        let _ = write!(out, "\r\n--=_{id}\r\n");
        self.html.fill(personal, out);
        let _ = write!(out, "\r\n--=_{id}--\r\n");
    }

    fn len(&self) -> usize {
        let headers = [&self.before_to, &self.after_to, &self.after_id, &self.last];
        headers.iter().map(|header| header.len()).sum::<usize>()
            + self.text.len()
            + self.html.len()
            + self.calendar.as_ref().map_or(0, Vec::len)
    }
}

/// A calendar file as a part. `PUBLISH` makes it something to take over, not an invitation that wants an answer (RFC 6047 section
/// 2.4, RFC 5546 section 3.2.1).
fn attachment(calendar: &str) -> Vec<u8> {
    let mut out = b"Content-Type: text/calendar; charset=utf-8; method=PUBLISH; name=\"events.ics\"\r\n\
        Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"events.ics\"\r\n"
        .to_vec();
    for line in calendar.as_bytes().chunks(ATTACHED_LINE_OCTETS) {
        let _ = write!(out, "\r\n{}", STANDARD.encode(line));
    }
    out
}

/// Octets that make a line of base64 (RFC 2045 section 6.8).
const ATTACHED_LINE_OCTETS: usize = 57;

/// What names the list, tells where to read about it, and groups its mail in a mailbox host's statistics. Feedback-ID is
/// Gmail's: up to three names and, last, what stands for the sender; nothing in it belongs to one recipient.
fn about_the_list(
    sender: &Sender,
    from: &HeaderText,
    list_id: &str,
    language: &Language,
) -> Result<Vec<u8>, RenderError> {
    let mut out = one(header::with_phrase("List-Id", from, list_id));
    if let Some(url) = &sender.help_url {
        let _ = write!(out, "List-Help: <{}>\r\n", header_url("public_url", url)?);
    }
    let name: String = sender.name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    let standing_for_us = &content_hash(list_id.as_bytes())[..FEEDBACK_SENDER_LEN];
    let _ = write!(out, "Feedback-ID: {name}:{language}:allim:{standing_for_us}\r\n");
    Ok(out)
}

/// Gmail wants 5 to 15 characters for the sender in Feedback-ID.
const FEEDBACK_SENDER_LEN: usize = 12;

fn one(value: HeaderValue) -> Vec<u8> {
    let mut headers = Headers::new();
    headers.insert_raw(value);
    headers.to_string().into_bytes()
}

/// A letter for which no form is kept.
///
/// # Errors
/// As [`LetterForm::new`] and [`LetterForm::fill`].
pub fn letter(letter: &Letter<'_>) -> Result<Vec<u8>, RenderError> {
    let Letter { to, to_name, delivery, planned_at, unsubscribe_url, .. } = *letter;
    let form = LetterForm::new(letter.pieces, letter.sender, letter.language)?;
    let text_only = false;
    let (leave_address, manage_url) = (None, None);
    form.fill(&Fill { to, to_name, delivery, planned_at, unsubscribe_url, manage_url, leave_address, text_only })
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

fn header_url<'a>(field: &'static str, url: &'a str) -> Result<&'a str, RenderError> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_safe = url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b',' | b'"' | b'\\'));
    if !is_web || !is_safe || url.len() > URL_LEN_MAX {
        let reason = "it must be an absolute http or https URL in ASCII of at most 900 characters";
        return Err(RenderError::Field { field, reason });
    }
    Ok(url)
}

/// An address made of nothing that means something in a `mailto:` URL (RFC 6068 section 2) but the plus sign, which stands
/// for itself there.
fn header_address(address: &str) -> Result<&str, RenderError> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'@');
    if address.bytes().all(is_plain) && address.len() <= ADDRESS_LEN_MAX {
        return Ok(address);
    }
    let reason = "it must be an address of ASCII letters, digits, `+`, `-` and `.`";
    Err(RenderError::Field { field: "leave_address", reason })
}

#[cfg(test)]
#[path = "letter_tests.rs"]
mod tests;

//! Reads a mail that came in: what sort it is, and what it says of the letter that it is about. Pure, and bounded in time and
//! memory whatever the bytes are.

use super::{arf, auto_reply, dsn, text};
use crate::domain::reply::{Kind, Status};
use mail_parser::{HeaderName, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};
use std::panic::catch_unwind;

/// Parts within parts that are looked into: reports have one letter in them. Each level costs the reader a step of its stack.
const NESTING_MAX: usize = 32;
/// Parts of a mail that are looked at; reports have three.
const PARTS_MAX: usize = 200;
/// Steps between mail servers after which a mail goes in circles (RFC 5321 section 6.3).
const RECEIVED_MAX: usize = 100;
/// Addresses, tokens and fates of one mail that are kept.
pub(super) const KEPT_MAX: usize = 50;

/// What our own mail is known by.
#[derive(Clone, Debug, Default)]
pub struct Own {
    /// The List-Ids of all senders.
    pub list_ids: Vec<String>,
}

/// What a mail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What it is.
    pub sort: Sort,
    /// The letter that it is about.
    pub returned: Returned,
}

/// What a mail is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sort {
    /// A report of what became of a letter (RFC 3464), or words of a mail server to that effect.
    Report(Vec<Fate>),
    /// A complaint (RFC 5965): its type, and to whom the letter went, as far as that is told.
    Complaint(String, Vec<String>),
    /// A machine's answer (RFC 3834).
    AutoReply,
    /// Our own mail.
    Loop,
    /// Anything else.
    Other,
    /// It can't be read, and why.
    Malformed(&'static str),
}

/// What became of a letter at one recipient's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fate {
    /// How far it is.
    pub stage: Stage,
    /// The recipient as we knew them and as they were reached at last; untrusted.
    pub addresses: Vec<String>,
    /// Why.
    pub kind: Kind,
    /// The enhanced status.
    pub status: Option<Status>,
    /// The far side's words.
    pub words: String,
}

/// How far a letter is (RFC 3464 section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It won't arrive.
    Failed,
    /// It is still being tried.
    Delayed,
    /// It arrived, or went on to where reports don't reach.
    Passed,
}

/// What is seen of the letter that a mail is about. None of it is trusted before a MAC or the ledger confirms it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Returned {
    /// Its Message-ID without brackets.
    pub message_id: Option<String>,
    /// Local parts that may be return or leaving addresses of ours; the letter's id in reports is one too.
    pub locals: Vec<String>,
    /// Tokens of unsubscribe links.
    pub links: Vec<String>,
}

impl Reading {
    pub(super) fn of(sort: Sort) -> Self {
        Self { sort, returned: Returned::default() }
    }
}

/// Reads a mail.
#[must_use]
pub fn read(bytes: &[u8], own: &Own) -> Reading {
    if nesting(bytes) > NESTING_MAX {
        return Reading::of(Sort::Malformed("it has too many parts within parts"));
    }
    // The library has places that it holds for unreachable and hostile bytes reach, such as a part that its multipart lost.
    // Nothing of it is kept after one, so nothing can be left half done.
    let Ok(parsed) = catch_unwind(|| MessageParser::default().parse(bytes)) else {
        return Reading::of(Sort::Malformed("its parts contradict each other"));
    };
    let Some(mail) = parsed else {
        return Reading::of(Sort::Malformed("it has no header"));
    };
    if mail.headers().is_empty() || !mail.headers().iter().any(|header| is_field(header.name())) {
        return Reading::of(Sort::Malformed("it has no header"));
    }
    if is_loop(&mail, own) {
        return Reading::of(Sort::Loop);
    }
    let mut returned = Returned::default();
    for part in mail.parts.iter().take(PARTS_MAX) {
        returned.look(part);
    }
    let part = |kinds: &[&str]| mail.parts.iter().take(PARTS_MAX).find(|part| is_of(part, kinds));
    let sort = if let Some(report) = part(&["delivery-status", "global-delivery-status"]) {
        let report = String::from_utf8_lossy(report.contents());
        returned.locals.extend(dsn::letter_ids(&report));
        Sort::Report(dsn::fates(&report))
    } else if let Some(report) = part(&["feedback-report"]) {
        let complaint = arf::complaint(&String::from_utf8_lossy(report.contents()));
        returned.locals.extend(complaint.from.iter().filter_map(|from| local_part(from)));
        match complaint.is_one {
            true => Sort::Complaint(complaint.kind, complaint.recipients),
            false => Sort::Other,
        }
    } else if text::is_from_a_mail_server(&mail) {
        of_words(&mail, &mut returned)
    } else if auto_reply::is_one(&mail) {
        Sort::AutoReply
    } else if text::has_a_subject_of_failure(&mail) {
        of_words(&mail, &mut returned)
    } else {
        Sort::Other
    };
    returned.locals.truncate(KEPT_MAX);
    returned.links.truncate(KEPT_MAX);
    Reading { sort, returned }
}

fn of_words(mail: &Message<'_>, returned: &mut Returned) -> Sort {
    let (fate, message_id) = text::fate(mail);
    returned.message_id = returned.message_id.take().or(message_id);
    fate.map_or(Sort::Other, |fate| Sort::Report(vec![fate]))
}

/// How often a part that holds a mail begins, at most: counted in the raw bytes, before anything is built from them.
fn nesting(bytes: &[u8]) -> usize {
    let holds = |window: &[u8]| window.eq_ignore_ascii_case(b"message/") || window.eq_ignore_ascii_case(b"t/digest");
    bytes.windows(8).filter(|window| holds(window)).take(NESTING_MAX + 1).count()
}

/// A field's name has no space in it; bytes that aren't a mail look like one long name.
fn is_field(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_of(part: &MessagePart<'_>, kinds: &[&str]) -> bool {
    let Some(kind) = part.content_type() else { return false };
    let subtype = kind.subtype().unwrap_or_default();
    kind.ctype().eq_ignore_ascii_case("message") && kinds.iter().any(|wanted| subtype.eq_ignore_ascii_case(wanted))
}

/// Our own letters carry our List-Id, and reports about them don't.
fn is_loop(mail: &Message<'_>, own: &Own) -> bool {
    let list_id = mail.header_raw("List-Id").unwrap_or_default().to_lowercase();
    let is_ours = own.list_ids.iter().any(|id| list_id.contains(&format!("<{}>", id.to_lowercase())));
    let received = mail.headers().iter().filter(|header| header.name == HeaderName::Received).count();
    is_ours || received > RECEIVED_MAX
}

impl Returned {
    /// Looks at a part that may be the letter, or its header.
    fn look(&mut self, part: &MessagePart<'_>) {
        match &part.body {
            PartType::Message(letter) => self.look_at(letter),
            _ => {
                let kind = part.content_type();
                let is_header = kind.and_then(|kind| kind.subtype()).is_some_and(|subtype| {
                    subtype.eq_ignore_ascii_case("rfc822-headers") || subtype.eq_ignore_ascii_case("global-headers")
                });
                if is_header && let Some(letter) = MessageParser::default().parse_headers(part.contents()) {
                    self.look_at(&letter);
                }
            }
        }
    }

    fn look_at(&mut self, letter: &Message<'_>) {
        self.message_id = self.message_id.take().or_else(|| letter.message_id().map(str::to_owned));
        if let Some(path) = letter.header_raw("Return-Path") {
            self.locals.extend(local_part(path));
        }
        let leave = letter.header_raw("List-Unsubscribe").unwrap_or_default();
        for address in leave.split(['<', '>', ',']).map(str::trim) {
            if let Some(address) = address.strip_prefix("mailto:") {
                self.locals.extend(local_part(address));
            } else if let Some((_, token)) = address.rsplit_once("/unsubscribe/") {
                self.links.push(token.to_owned());
            }
        }
    }
}

/// The part before the @.
pub(super) fn local_part(address: &str) -> Option<String> {
    let address = address.trim().trim_start_matches('<');
    address.split_once('@').map(|(local, _)| local.to_owned()).filter(|local| !local.is_empty())
}

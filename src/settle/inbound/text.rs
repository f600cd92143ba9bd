//! Mail servers that tell a failure in words only: qmail, old Exims and sendmails, and webmail hosts with texts of their own.

use super::read::{Fate, Stage};
use crate::domain::reply::{self, Kind, Said};
use mail_parser::Message;

/// Octets of a text that are looked at: the reason stands before the letter that is given back.
const TEXT_LEN_MAX: usize = 32 * 1024;
/// Octets in which the Message-ID of the letter given back is looked for.
const COPY_LEN_MAX: usize = 64 * 1024;

/// Local parts that mail servers write from.
const SERVERS: [&str; 6] = ["mailer-daemon", "mailerdaemon", "postmaster", "mail-daemon", "mail_daemon", "mdaemon"];

/// What subjects of failures hold.
const FAILURES: [&str; 16] = [
    "undeliver",
    "delivery status",
    "delivery failure",
    "delivery has failed",
    "failure notice",
    "returned mail",
    "mail delivery failed",
    "delivery notification",
    "반송",
    "전송 실패",
    "전송실패",
    "발송 실패",
    "발송실패",
    "배달 실패",
    "退信",
    "无法投递",
];

/// What subjects of letters that are still being tried hold.
const DELAYS: [&str; 8] =
    ["delayed", "delay", "warning: message", "warning: could not send", "still being retried", "지연", "延迟", "延误"];

/// What stands before the letter that is given back.
const COPIES: [&str; 9] = [
    "this is a copy of",
    "below this line is a copy",
    "original message",
    "unsent message follows",
    "returned message follows",
    "message headers follow",
    "원본 메일",
    "원본 메시지",
    "原始邮件",
];

/// Whether a mail server wrote it, so that its words count even when it calls itself an automatic answer.
pub(super) fn is_from_a_mail_server(mail: &Message<'_>) -> bool {
    let from = mail.from().and_then(|from| from.first()).and_then(|from| from.address()).unwrap_or_default();
    let local = from.split('@').next().unwrap_or_default().to_ascii_lowercase();
    SERVERS.contains(&local.as_str()) || mail.header_raw("X-Failed-Recipients").is_some()
}

/// Whether its subject tells of a failure.
pub(super) fn has_a_subject_of_failure(mail: &Message<'_>) -> bool {
    let subject = mail.subject().unwrap_or_default().to_lowercase();
    FAILURES.iter().any(|word| subject.contains(word))
}

/// What its words say, if they say anything, and the Message-ID of the letter that is given back below them.
pub(super) fn fate(mail: &Message<'_>) -> (Option<Fate>, Option<String>) {
    let text = mail.body_text(0).unwrap_or_default();
    let (words, copy) = parted(&text);
    let message_id = message_id_in(cut(copy, COPY_LEN_MAX));
    let words = cut(words, TEXT_LEN_MAX);
    let subject = mail.subject().unwrap_or_default().to_lowercase();
    let (code, status) = (reply::code_within(words), reply::status_within(words));
    let code = code.filter(|code| status.is_none_or(|(class, ..)| code / 100 == class));
    let kind = Kind::of(Said::InReport, code, status, words);
    let is_delayed = DELAYS.iter().any(|word| subject.contains(word));
    // Words without a number that no rule knows say nothing.
    if kind == Kind::Unexplained && code.is_none() && status.is_none() && !is_delayed {
        return (None, message_id);
    }
    let stage = if is_delayed { Stage::Delayed } else { Stage::Failed };
    let failed = mail.header_raw("X-Failed-Recipients").unwrap_or_default();
    let addresses = addresses(failed).into_iter().chain(addresses(words)).take(super::read::KEPT_MAX).collect();
    let words = telling_line(words, kind).to_owned();
    (Some(Fate { stage, addresses, kind, status, words }), message_id)
}

/// The words, and the letter that is given back below them.
fn parted(text: &str) -> (&str, &str) {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.trim().to_lowercase();
        // A line of the words may speak of the original message; the mark is short or framed by dashes.
        let is_mark = lower.len() < 100
            && (lower.starts_with('-') || lower.starts_with('>') || lower.ends_with('-') || lower.ends_with(':'));
        if is_mark && COPIES.iter().any(|mark| lower.contains(mark)) || lower.starts_with("return-path:") {
            return text.split_at(at);
        }
        at += line.len();
    }
    (text, "")
}

fn cut(text: &str, len_max: usize) -> &str {
    let end = (0..=len_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    &text[..end]
}

fn message_id_in(copy: &str) -> Option<String> {
    let line = copy.lines().find(|line| line.get(..11).is_some_and(|name| name.eq_ignore_ascii_case("message-id:")))?;
    line.split(['<', '>']).nth(1).map(str::to_owned)
}

fn addresses(text: &str) -> Vec<String> {
    let words =
        text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';' | '(' | ')' | '"' | ':' | '\''));
    words.filter(|word| word.contains('@')).map(|word| word.trim_matches('.').to_owned()).collect()
}

/// The line that tells why: one whose own words mean the same as all of them do.
fn telling_line(words: &str, kind: Kind) -> &str {
    let means_it = |line: &&str| {
        let (code, status) = (reply::code_within(line), reply::status_within(line));
        (code.is_some() || status.is_some() || kind != Kind::Unexplained)
            && Kind::of(Said::InReport, code, status, line) == kind
    };
    words.lines().map(str::trim).filter(|line| !line.is_empty()).find(means_it).unwrap_or_default()
}

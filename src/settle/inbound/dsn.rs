//! Delivery status notifications (RFC 3464): the fields of each recipient.

use super::read::{Fate, KEPT_MAX, Stage};
use crate::domain::reply::{self, Kind, Said};

/// Octets of a report that are read; what a hundred recipients need.
const REPORT_LEN_MAX: usize = 128 * 1024;

/// Longest id of a letter (RFC 3461 section 4.4).
const ID_LEN_MAX: usize = 100;

/// What a `message/delivery-status` part says of each recipient.
pub(super) fn fates(report: &str) -> Vec<Fate> {
    let blocks = blocks(report);
    blocks
        .iter()
        .filter(|block| field(block, "final-recipient").is_some() || field(block, "action").is_some())
        .map(fate)
        .take(KEPT_MAX)
        .collect()
}

/// What a report gives back as the letter's id (RFC 3464 section 2.2.1): as it stands there, and with the characters that SMTP
/// spells out (RFC 3461 section 4, xtext) put back, for not every server does so. Untrusted.
pub(super) fn letter_ids(report: &str) -> Vec<String> {
    let fields = fields(report);
    let Some(id) = field(&fields, "original-envelope-id").filter(|id| id.len() <= ID_LEN_MAX) else {
        return Vec::new();
    };
    let decoded = id.replace("+2B", "+").replace("+2b", "+");
    if decoded == id { vec![decoded] } else { vec![decoded, id.to_owned()] }
}

type Block = Vec<(String, String)>;

fn fate(block: &Block) -> Fate {
    let of = |name: &str| field(block, name).unwrap_or_default();
    let diagnostic = after_type(of("diagnostic-code"));
    let stated = reply::status(of("status").trim());
    let said = reply::status_within(diagnostic);
    // A status without subject is what a server writes that knows none; what the next one said is more.
    let status = match stated {
        Some((_, 0, _)) | None => said.or(stated),
        stated => stated,
    };
    let stage = match of("action").trim().to_ascii_lowercase().as_str() {
        "failed" => Stage::Failed,
        "delayed" => Stage::Delayed,
        "delivered" | "relayed" | "expanded" => Stage::Passed,
        _ if status.is_some_and(|(class, ..)| class == 5) => Stage::Failed,
        _ => Stage::Passed,
    };
    let addresses = ["original-recipient", "final-recipient"]
        .map(|name| after_type(of(name)).trim().trim_start_matches('<').trim_end_matches('>').to_owned());
    let code = reply::code_within(diagnostic).filter(|code| status.is_none_or(|(class, ..)| code / 100 == class));
    Fate {
        stage,
        addresses: addresses.into_iter().filter(|address| address.contains('@')).collect(),
        kind: Kind::of(Said::InReport, code, status, diagnostic),
        status,
        words: if diagnostic.trim().is_empty() { of("status").to_owned() } else { diagnostic.to_owned() },
    }
}

/// The fields of each block, unfolded, names in lower case. Blocks are parted by empty lines.
fn blocks(report: &str) -> Vec<Block> {
    let end =
        (0..=REPORT_LEN_MAX.min(report.len())).rev().find(|end| report.is_char_boundary(*end)).unwrap_or_default();
    let (mut blocks, mut block): (Vec<Block>, Block) = (Vec::new(), Vec::new());
    for line in report[..end].lines() {
        if line.trim().is_empty() {
            blocks.push(std::mem::take(&mut block));
        } else if let (true, Some((_, value))) = (line.starts_with([' ', '\t']), block.last_mut()) {
            value.push(' ');
            value.push_str(line.trim());
        } else if let Some((name, value)) = line.split_once(':') {
            block.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    blocks.push(block);
    blocks
}

/// The fields of a part that is one block, or several that are taken as one.
pub(super) fn fields(report: &str) -> Block {
    blocks(report).concat()
}

/// A field's value.
pub(super) fn field<'a>(block: &'a Block, name: &str) -> Option<&'a str> {
    block.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

/// Without the type that stands before a semicolon, such as `rfc822;` or `smtp;`.
fn after_type(value: &str) -> &str {
    value.split_once(';').map_or(value, |(_, value)| value).trim()
}

//! Complaints of readers as their mailbox hosts pass them on (RFC 5965).

use super::dsn::{field, fields};

/// Complaint types that mean that somebody didn't want the letter. `not-spam` says the contrary, and `auth-failure`
/// (RFC 6591) speaks of signatures.
const COMPLAINTS: [&str; 5] = ["abuse", "fraud", "virus", "other", "opt-out"];

/// What a `message/feedback-report` part says.
pub(super) struct Complaint {
    /// Whether it is a complaint at all.
    pub is_one: bool,
    /// Its type.
    pub kind: String,
    /// To whom the letter went; untrusted, and often left out.
    pub recipients: Vec<String>,
    /// The letter's envelope sender, which may be a return address of ours.
    pub from: Option<String>,
}

pub(super) fn complaint(report: &str) -> Complaint {
    let fields = fields(report);
    let kind = field(&fields, "feedback-type").unwrap_or_default().trim().to_ascii_lowercase();
    let bare = |value: &str| value.trim().trim_start_matches('<').trim_end_matches('>').to_owned();
    let recipients = ["original-rcpt-to", "removal-recipient"].iter().filter_map(|name| field(&fields, name)).map(bare);
    Complaint {
        is_one: COMPLAINTS.contains(&kind.as_str()),
        recipients: recipients.filter(|address| address.contains('@')).collect(),
        from: field(&fields, "original-mail-from").map(bare),
        kind,
    }
}

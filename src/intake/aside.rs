//! Messages that can't be taken in: set aside with the reason and the bytes, and read back.

use super::accept::{Receipt, Verdict};
use super::wire::{EventKind, Incoming, Rejection};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::store::quarantine::{self, Quarantined};
use crate::store::{StoreError, Tx};

/// The message as the quarantine keeps it.
#[derive(serde::Serialize, serde::Deserialize)]
struct Message {
    content_type: Option<String>,
    headers: Vec<(String, String)>,
    bytes: String,
}

/// Puts a message into the quarantine.
pub(super) fn set_aside(
    tx: &mut Tx<'_>,
    incoming: &Incoming,
    rejection: &Rejection,
    now: UnixMillis,
) -> Result<Receipt, StoreError> {
    let clean = |text: &String| text.chars().filter(|c| *c != '\0').collect::<String>();
    let row = Quarantined {
        id: ids::quarantine_id(&incoming.source, &ids::content_hash(&incoming.bytes)),
        source: incoming.source.clone(),
        kind: rejection.kind.map(EventKind::word).map(str::to_owned),
        source_id: rejection.source_id.as_ref().map(clean),
        event_id: rejection.event_id.as_ref().map(clean),
        reason: rejection.reason.word().to_owned(),
        path: clean(&rejection.path),
        detail: clean(&rejection.detail),
        message: written(incoming)?,
        received_at: now,
        replayed_at: None,
    };
    quarantine::put(tx, &row)?;
    let post_id = rejection.source_id.as_deref().map(|source_id| ids::post_id(&incoming.source, source_id));
    let (id, reason, path, detail) = (row.id, row.reason, row.path, row.detail);
    Ok(Receipt { post_id, verdict: Verdict::Quarantined { id, reason, path, detail } })
}

/// A message as a quarantine row keeps it.
pub(super) fn written(incoming: &Incoming) -> Result<String, StoreError> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    // Credentials are none of the quarantine's business.
    let kept = incoming.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("authorization"));
    let message = Message {
        content_type: incoming.content_type.clone(),
        headers: kept.cloned().collect(),
        bytes: STANDARD.encode(&incoming.bytes),
    };
    serde_json::to_string(&message).map_err(|error| StoreError::Shape(error.to_string()))
}

/// The message that a quarantine row keeps.
pub(super) fn read_message(row: &Quarantined) -> Option<Incoming> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let message: Message = serde_json::from_str(&row.message).ok()?;
    let bytes = STANDARD.decode(&message.bytes).ok()?;
    let source = row.source.clone();
    Some(Incoming { source, content_type: message.content_type, headers: message.headers, bytes })
}

//! What a source is told, written down in the transaction that it tells of.

use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::{Event, Rejection};
use crate::store::receipts::{self, Awaited};
use crate::store::{StoreError, Tx, posts};
use serde_json::{Value, json};
use std::time::Duration;

/// A post is looked at for the first time this long after it may be shown.
const LOOK_AFTER: Duration = Duration::from_secs(5);

/// Notes what became of a message: `accepted`, or `quarantined`. A repeat, and what came back, were told when they came first.
pub(in crate::intake) fn message(
    tx: &mut Tx<'_>,
    (source, authority): (&str, Option<&str>),
    decoded: Result<&Event, &Rejection>,
    receipt: &Receipt,
    now: UnixMillis,
) -> Result<(), StoreError> {
    match (&receipt.verdict, decoded) {
        (Verdict::Quarantined { id, reason, path, detail }, decoded) => {
            let (event_id, source_id) = match decoded {
                Ok(event) => (Some(&event.event_id), Some(&event.source_id)),
                Err(rejection) => (rejection.event_id.as_ref(), rejection.source_id.as_ref()),
            };
            let data = json!({
                "quarantine_id": id, "reason": reason, "path": path, "detail": detail, "event_id": event_id,
                "source_id": source_id, "post_id": receipt.post_id,
            });
            let about = format!("{id} {reason} {path}");
            receipts::put(tx, &written("quarantined", (source, authority), &about, data, now))
        }
        (Verdict::Stored | Verdict::Revised | Verdict::Withdrawn | Verdict::Stale, Ok(event)) => {
            accepted(tx, (source, authority), event, receipt, now)
        }
        _ => Ok(()),
    }
}

fn accepted(
    tx: &mut Tx<'_>,
    who: (&str, Option<&str>),
    event: &Event,
    receipt: &Receipt,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let Some(standing) = posts::lock(tx, &event.source, &event.source_id)? else { return Ok(()) };
    let data = json!({
        "event_id": event.event_id, "event_source": event.event_source, "source_id": event.source_id,
        "post_id": standing.post_id, "revision": event.revision.unwrap_or(standing.revision),
        "state": receipt.verdict.word(),
    });
    let about = format!("{} {}", event.event_source, event.event_id);
    receipts::put(tx, &written("accepted", who, &about, data, now))?;
    if receipt.verdict == Verdict::Stale {
        return Ok(());
    }
    let awaited = Awaited {
        post_id: standing.post_id.clone(),
        source: event.source.clone(),
        revision: standing.revision,
        since_at: now,
    };
    let due_at = event.post().map_or(now, |post| post.public_due_at().max(now));
    receipts::await_done(tx, &awaited, due_at.plus(LOOK_AFTER))
}

/// A receipt: a CloudEvent, as posts are.
pub(super) fn written(
    kind: &str,
    (source, authority): (&str, Option<&str>),
    about: &str,
    data: Value,
    now: UnixMillis,
) -> receipts::Receipt {
    let id = ids::receipt_id(kind, source, about);
    let body = json!({
        "specversion": "1.0",
        "type": format!("org.allim.receipt.{kind}.v1"),
        "source": authority.map_or_else(|| "allim".to_owned(), |authority| format!("tag:{authority}:allim")),
        "subject": source,
        "id": id,
        "time": now.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    });
    let (source, kind) = (source.to_owned(), kind.to_owned());
    receipts::Receipt { id, source, kind, body: body.to_string(), made_at: now, failures: 0 }
}

//! Messages that could not be taken in: looked at, mended, taken in again, or put away.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::staff::Role;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::{Incoming, MESSAGE_BYTES_MAX};
use crate::store::quarantine::{self, Head, Quarantined};
use axum::extract::Path;
use serde::Serialize;

/// Messages on one page.
const PAGE: usize = 50;
/// Octets of a message that are shown; beyond them it is mended by its sender.
const SHOWN_MAX: usize = 256 * 1024;
/// Longest reason for putting a message away, in characters.
const REASON_LEN_MAX: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/quarantine", Role::Viewer, list),
        Route::get("/admin/quarantine/{id}", Role::Viewer, show),
        Route::post("/admin/quarantine/{id}/replay", Role::Operator, replay),
        Route::post("/admin/quarantine/{id}/mend", Role::Operator, mend),
        Route::post("/admin/quarantine/{id}/discard", Role::Operator, discard),
    ]
}

#[derive(Serialize)]
struct List {
    rows: Vec<Head>,
    later: Option<String>,
}

async fn list(desk: Desk) -> Answer {
    let after = desk.query.some("after").and_then(|text| text.split_once('-'));
    let after = after.and_then(|(at, id)| Some((UnixMillis(at.parse().ok()?), id.to_owned())));
    let limit = i64::try_from(PAGE + 1).unwrap_or(i64::MAX);
    let mut rows = desk.read(move |tx| quarantine::heads(tx, after.as_ref(), limit)).await?;
    let has_more = rows.len() > PAGE;
    rows.truncate(PAGE);
    let later = rows.last().filter(|_| has_more).map(|last| format!("{}-{}", last.received_at.0, last.id));
    Ok(desk.page("quarantine.html", List { rows, later }))
}

#[derive(Serialize)]
struct Message {
    row: Quarantined,
    content_type: Option<String>,
    text: Option<String>,
    is_cut: bool,
    /// Text that isn't UTF-8 would be spoilt by mending it here.
    can_mend: bool,
    /// Why it was refused once more.
    still: Option<String>,
}

async fn found(desk: &Desk, id: &str) -> Result<(Quarantined, Option<Incoming>), Lost> {
    desk.room.front.intake.quarantined(id).await?.ok_or(Lost::NotFound)
}

fn message((row, incoming): (Quarantined, Option<Incoming>), typed: Option<&str>, still: Option<String>) -> Message {
    let whole = incoming.as_ref().map(|incoming| String::from_utf8(incoming.bytes.clone()));
    let can_mend = matches!(&whole, Some(Ok(text)) if text.len() <= SHOWN_MAX);
    let lossy = incoming.as_ref().map(|incoming| {
        let end = incoming.bytes.len().min(SHOWN_MAX);
        String::from_utf8_lossy(&incoming.bytes[..end]).into_owned()
    });
    let is_cut = incoming.as_ref().is_some_and(|incoming| incoming.bytes.len() > SHOWN_MAX);
    let content_type = incoming.and_then(|incoming| incoming.content_type);
    Message { row, content_type, text: typed.map(str::to_owned).or(lossy), is_cut, can_mend, still }
}

async fn show(desk: Desk, Path(id): Path<String>) -> Answer {
    let found = found(&desk, &id).await?;
    Ok(desk.page("quarantine_message.html", message(found, None, None)))
}

fn of(id: &str) -> Subject {
    Subject::quarantine(id)
}

/// Takes it in as it is: what was in its way may be gone.
async fn replay(desk: Desk, Path(id): Path<String>) -> Answer {
    found(&desk, &id).await?;
    let receipt = desk.room.front.intake.replay(&id).await?.ok_or(Lost::NotFound)?;
    answer(&desk, &id, receipt, "quarantine_replay", None).await
}

/// Takes it in as it was mended.
async fn mend(desk: Desk, Path(id): Path<String>, fields: Fields) -> Answer {
    let (row, incoming) = found(&desk, &id).await?;
    let text = fields.raw("text").to_owned();
    let Some(incoming) = incoming.filter(|_| !text.is_empty() && text.len() <= MESSAGE_BYTES_MAX) else {
        return Err(Lost::Refused("error_form"));
    };
    let mended = Incoming { bytes: text.clone().into_bytes(), ..incoming };
    // Looked at first: what is refused again must not become one more message in the quarantine.
    if let Err(rejection) = desk.room.front.intake.look(&mended) {
        let page =
            message(found(&desk, &id).await?, Some(&text), Some(format!("{}: {}", rejection.path, rejection.detail)));
        return Ok(desk.faulty("quarantine_message.html", page, "error_still"));
    }
    let receipt = desk.room.front.intake.accept(vec![mended]).await?.pop().ok_or(Lost::Broken)?;
    if !matches!(receipt.verdict, Verdict::Quarantined { .. }) {
        let now = desk.room.front.store.now().await?;
        let key = row.id.clone();
        desk.room.front.store.write(move |tx| quarantine::set_replayed(tx, &key, now)).await?;
    }
    answer(&desk, &id, receipt, "quarantine_mend", Some(&text)).await
}

async fn answer(desk: &Desk, id: &str, receipt: Receipt, act: &'static str, typed: Option<&str>) -> Answer {
    if let Verdict::Quarantined { path, detail, .. } = &receipt.verdict {
        let still = format!("{path}: {detail}");
        let page = message(found(desk, id).await?, typed, Some(still));
        return Ok(desk.faulty("quarantine_message.html", page, "error_still"));
    }
    desk.tell(Act::new(act, of(id)).with("verdict", receipt.verdict.word())).await?;
    Ok(desk.done("/admin/quarantine", "said_taken"))
}

/// Puts it away: nobody takes it in, and it is forgotten with what else is old.
async fn discard(desk: Desk, Path(id): Path<String>, fields: Fields) -> Answer {
    let found = found(&desk, &id).await?;
    let reason = fields.get("reason").to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_LEN_MAX {
        return Ok(desk.faulty("quarantine_message.html", message(found, None, None), "error_reason"));
    }
    let now = desk.room.front.store.now().await?;
    let act = Act::new("quarantine_discard", of(&id)).with("reason", reason);
    desk.act(act, move |tx| quarantine::set_replayed(tx, &id, now)).await?;
    Ok(desk.done("/admin/quarantine", "said_discarded"))
}

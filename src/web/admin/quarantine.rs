//! Messages that could not be taken in: looked at, mended, taken in again, thrown away.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::staff::Role;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::{Incoming, MESSAGE_BYTES_MAX};
use crate::store::quarantine::{self, Quarantined};
use axum::extract::Path;
use serde::Serialize;

/// Messages on a page.
const PAGE: i64 = 100;
/// Characters of a message that are shown; what is longer can't be mended here.
const SHOWN_MAX: usize = 48 * 1024;

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
struct Row {
    id: String,
    source: String,
    kind: String,
    source_id: String,
    event_id: String,
    reason: String,
    path: String,
    detail: String,
    received_at: UnixMillis,
    replayed_at: Option<UnixMillis>,
}

impl From<Quarantined> for Row {
    fn from(row: Quarantined) -> Self {
        Self {
            id: row.id,
            source: row.source,
            kind: row.kind.unwrap_or_default(),
            source_id: row.source_id.unwrap_or_default(),
            event_id: row.event_id.unwrap_or_default(),
            reason: row.reason,
            path: row.path,
            detail: row.detail,
            received_at: row.received_at,
            replayed_at: row.replayed_at,
        }
    }
}

#[derive(Serialize)]
struct List {
    rows: Vec<Row>,
    is_more: bool,
}

/// One message.
#[derive(Serialize)]
struct One {
    row: Row,
    content_type: String,
    /// What came in, as text.
    text: String,
    /// Whether `text` is all of it, so that it can be mended.
    is_whole: bool,
    /// Why it was refused again just now: reason, field, what would be right.
    again: Option<(String, String, String)>,
}

fn subject(id: &str) -> Subject {
    Subject { kind: "quarantine", id: id.to_owned() }
}

async fn list(desk: Desk) -> Answer {
    let mut rows = desk.read(|tx| quarantine::list(tx, PAGE + 1)).await?;
    let is_more = rows.len() as i64 > PAGE;
    rows.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    Ok(desk.page("quarantine.html", List { rows: rows.into_iter().map(Row::from).collect(), is_more }))
}

async fn found(desk: &Desk, id: &str) -> Result<(Quarantined, Option<Incoming>), Lost> {
    desk.room.front.intake.quarantined(id).await?.ok_or(Lost::NotFound)
}

fn one(row: Quarantined, incoming: Option<&Incoming>, typed: Option<&str>) -> One {
    let bytes = incoming.map(|incoming| incoming.bytes.as_slice()).unwrap_or_default();
    let came = String::from_utf8(bytes.to_vec());
    let is_text = came.is_ok() && incoming.is_some();
    let came = came.unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into_owned());
    let is_whole = is_text && came.len() <= SHOWN_MAX;
    let cut = |text: &str| text.chars().take(SHOWN_MAX).collect();
    One {
        content_type: incoming.and_then(|incoming| incoming.content_type.clone()).unwrap_or_default(),
        text: typed.map_or_else(|| cut(&came), str::to_owned),
        is_whole,
        again: None,
        row: row.into(),
    }
}

async fn show(desk: Desk, Path(id): Path<String>) -> Answer {
    let (row, incoming) = found(&desk, &id).await?;
    Ok(desk.page("quarantined.html", one(row, incoming.as_ref(), None)))
}

/// What became of it: on to the list, or the message again with the reason why it is refused still.
async fn answer(desk: &Desk, id: &str, receipt: Receipt, typed: Option<&str>) -> Answer {
    let act = Act::new("quarantine_replay", subject(id)).with("verdict", receipt.verdict.word());
    let act = act.with("mended", typed.is_some()).with("post", receipt.post_id.clone().unwrap_or_default());
    desk.act(act, |_| Ok(())).await?;
    let Verdict::Quarantined { reason, path, detail, .. } = receipt.verdict else {
        return Ok(desk.done("/admin/quarantine", "said_taken_in"));
    };
    let (row, incoming) = found(desk, id).await?;
    let part = One { again: Some((reason, path, detail)), ..one(row, incoming.as_ref(), typed) };
    Ok(desk.faulty("quarantined.html", part, "error_again"))
}

async fn replay(desk: Desk, Path(id): Path<String>) -> Answer {
    let (_, incoming) = found(&desk, &id).await?;
    if incoming.is_none() {
        return Err(Lost::Refused("error_refused"));
    }
    let receipt = desk.room.front.intake.replay(&id).await?.ok_or(Lost::NotFound)?;
    answer(&desk, &id, receipt, None).await
}

/// Takes in what was mended in place of what came. If that is refused it is set aside beside the first, which stays.
async fn mend(desk: Desk, Path(id): Path<String>, fields: Fields) -> Answer {
    let (_, incoming) = found(&desk, &id).await?;
    let Some(mut incoming) = incoming else { return Err(Lost::Refused("error_refused")) };
    // A browser sends line ends of its own.
    let typed = fields.raw("text").replace("\r\n", "\n");
    if typed.is_empty() || typed.len() > MESSAGE_BYTES_MAX {
        return Err(Lost::Refused("error_form"));
    }
    incoming.bytes = typed.clone().into_bytes();
    let receipt = desk.room.front.intake.accept(vec![incoming]).await?.pop().ok_or(Lost::Broken)?;
    match &receipt.verdict {
        Verdict::Quarantined { id: fresh, .. } if *fresh != id => {
            let fresh = fresh.clone();
            // It was tried here and is in the form still: nobody needs it twice.
            desk.room.front.store.write(move |tx| quarantine::discard(tx, &fresh)).await?;
        }
        Verdict::Quarantined { .. } => {}
        _ => {
            let (now, old) = (desk.room.front.store.now().await?, id.clone());
            desk.room.front.store.write(move |tx| quarantine::set_replayed(tx, &old, now)).await?;
        }
    }
    answer(&desk, &id, receipt, Some(&typed)).await
}

async fn discard(desk: Desk, Path(id): Path<String>, fields: Fields) -> Answer {
    let reason = fields.get("reason").chars().take(500).collect::<String>();
    let (row, incoming) = found(&desk, &id).await?;
    if reason.is_empty() {
        return Ok(desk.faulty("quarantined.html", one(row, incoming.as_ref(), None), "error_reason"));
    }
    let act = Act::new("quarantine_discard", subject(&id)).with("source", row.source).with("reason", reason);
    desk.act(act, move |tx| quarantine::discard(tx, &id)).await?;
    Ok(desk.done("/admin/quarantine", "said_discarded"))
}

//! Partner institutions: how they do, and what an operator does about it.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::staff::Role;
use crate::store::partners::{self, Partner, Told};
use crate::store::{StoreError, Tx, deliveries, endpoints};
use crate::web::partnership::{Fault, Secrets};
use axum::extract::Path;
use serde::Serialize;
use std::time::Duration;

/// Deliveries that are shown of one.
const TOLD: i64 = 30;
/// Hours for which old keys sign beside new ones, at most.
const OVERLAP_H_MAX: u64 = 24 * 30;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/partners", Role::Viewer, list),
        Route::get("/admin/partners/{name}", Role::Viewer, show),
        Route::post("/admin/partners/{name}/pause", Role::Operator, pause),
        Route::post("/admin/partners/{name}/resume", Role::Operator, resume),
        Route::post("/admin/partners/{name}/test", Role::Operator, test),
        Route::post("/admin/partners/{name}/replay", Role::Operator, replay),
        Route::post("/admin/partners/{name}/rotate", Role::Operator, rotate),
        Route::post("/admin/partners/{name}/end", Role::Operator, end),
    ]
}

impl From<Fault> for Lost {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unknown => Self::NotFound,
            Fault::Store(error) => Self::Store(error),
            Fault::Exists | Fault::Bad(_) | Fault::Otherwise(_) => Self::Refused("error_refused"),
        }
    }
}

#[derive(Serialize)]
struct Row {
    name: String,
    way: &'static str,
    format: &'static str,
    url: String,
    state: &'static str,
    why: String,
    failing_since_at: Option<UnixMillis>,
    waits: i64,
    uncertain: i64,
    created_at: UnixMillis,
}

fn row(tx: &mut Tx<'_>, one: Partner) -> Result<Row, StoreError> {
    let (mut waits, mut uncertain, mut url) = (0, 0, String::new());
    if let Some(id) = one.endpoint_id {
        (waits, uncertain) = deliveries::open_of(tx, &destination::of_endpoint(one.way.word(), id))?;
        // An address may hold a password; what stands before the host isn't shown.
        let endpoint = endpoints::find(tx, id)?;
        url = endpoint.map(|endpoint| endpoints::host(&endpoint.url)).unwrap_or_default();
    }
    let state = match (one.paused_at, one.failing_since_at) {
        (Some(_), _) => "paused",
        (None, Some(_)) => "failing",
        (None, None) => "well",
    };
    Ok(Row {
        way: one.way.word(),
        format: one.format.word(),
        url,
        state,
        why: one.paused_why.unwrap_or_default(),
        failing_since_at: one.failing_since_at,
        waits,
        uncertain,
        created_at: one.created_at,
        name: one.name,
    })
}

#[derive(Serialize)]
struct List {
    rows: Vec<Row>,
}

async fn list(desk: Desk) -> Answer {
    let read = |tx: &mut Tx<'_>| {
        let all = partners::list(tx, false)?;
        all.into_iter().map(|one| row(tx, one)).collect::<Result<Vec<Row>, StoreError>>()
    };
    let rows = desk.read(read).await?;
    Ok(desk.page("partners.html", List { rows }))
}

/// One partner.
#[derive(Serialize)]
struct One {
    row: Row,
    told: Vec<Told>,
    /// Secrets that were just made, shown once.
    secrets: Option<Secrets>,
    /// What a test came to: whether it was taken, and the answer.
    tried: Option<(bool, String)>,
}

async fn one(desk: &Desk, name: &str) -> Result<One, Lost> {
    let asked = name.to_owned();
    let read = move |tx: &mut Tx<'_>| {
        let Some(found) = partners::find(tx, &asked)?.filter(|one| one.ended_at.is_none()) else { return Ok(None) };
        let told = match found.endpoint_id {
            Some(id) => partners::told(tx, id, None, TOLD)?,
            None => Vec::new(),
        };
        Ok(Some((row(tx, found)?, told)))
    };
    let (row, told) = desk.read(read).await?.ok_or(Lost::NotFound)?;
    Ok(One { row, told, secrets: None, tried: None })
}

async fn show(desk: Desk, Path(name): Path<String>) -> Answer {
    let one = one(&desk, &name).await?;
    Ok(desk.page("partner.html", one))
}

/// Writes down what was done by a function that has its own transaction.
async fn note(desk: &Desk, act: &'static str, name: &str, more: (&str, serde_json::Value)) -> Result<(), Lost> {
    desk.act(Act::new(act, Subject::partner(name)).with(more.0, more.1), |_| Ok(())).await
}

fn page(name: &str) -> String {
    format!("/admin/partners/{name}")
}

async fn pause(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let reason: String = fields.get("reason").chars().take(500).collect();
    if reason.is_empty() {
        return Ok(desk.faulty("partner.html", one(&desk, &name).await?, "error_reason"));
    }
    desk.room.front.partnership.pause(&name, &reason).await?;
    note(&desk, "partner_pause", &name, ("reason", reason.into())).await?;
    Ok(desk.done(&page(&name), "said_paused"))
}

async fn resume(desk: Desk, Path(name): Path<String>) -> Answer {
    let was_paused = desk.room.front.partnership.resume(&name).await?;
    note(&desk, "partner_resume", &name, ("was_paused", was_paused.into())).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&page(&name), "said_resumed"))
}

async fn test(desk: Desk, Path(name): Path<String>) -> Answer {
    let _turn = desk.room.front.trying.acquire().await.map_err(|_| Lost::Broken)?;
    let tried = desk.room.front.partnership.test(&name).await?;
    note(&desk, "partner_test", &name, ("is_taken", tried.is_taken.into())).await?;
    let part = One { tried: Some((tried.is_taken, tried.answer)), ..one(&desk, &name).await? };
    Ok(desk.page("partner.html", part))
}

/// Sends again what was planned since an instant in the site's zone (`2026-11-24T09:00`), or what was refused or given up.
async fn replay(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let zone = desk.room.front.zone.clone();
    let since = match fields.some("since") {
        None => None,
        Some(text) => {
            let at = text.parse::<jiff::civil::DateTime>().ok().and_then(|civil| civil.to_zoned(zone).ok());
            let Some(at) = at else {
                return Ok(desk.faulty("partner.html", one(&desk, &name).await?, "error_since"));
            };
            Some(UnixMillis(at.timestamp().as_millisecond()))
        }
    };
    let again = desk.room.front.partnership.replay(&name, since).await?;
    note(&desk, "partner_replay", &name, ("deliveries", again.into())).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&page(&name), if again > 0 { "said_again" } else { "said_none_again" }))
}

/// Gives new keys, or another token, and shows them this once.
async fn rotate(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let is_token = fields.get("what") == "token";
    let secrets = if is_token {
        desk.room.front.partnership.rotate_token(&name).await?
    } else {
        let hours = fields.some("overlap").map(str::parse::<u64>).transpose();
        let Some(hours) = hours.ok().filter(|hours| hours.is_none_or(|hours| hours <= OVERLAP_H_MAX)) else {
            return Ok(desk.faulty("partner.html", one(&desk, &name).await?, "error_overlap"));
        };
        let overlap = hours.map(|hours| Duration::from_secs(hours * 3_600));
        desk.room.front.partnership.rotate_keys(&name, overlap).await?
    };
    note(&desk, "partner_rotate", &name, ("what", if is_token { "token" } else { "keys" }.into())).await?;
    let part = One { secrets: Some(secrets), ..one(&desk, &name).await? };
    Ok(desk.page("partner.html", part))
}

async fn end(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let reason: String = fields.get("reason").chars().take(500).collect();
    if reason.is_empty() {
        return Ok(desk.faulty("partner.html", one(&desk, &name).await?, "error_reason"));
    }
    desk.room.front.partnership.end(&name, &reason).await?;
    note(&desk, "partner_end", &name, ("reason", reason.into())).await?;
    Ok(desk.done("/admin/partners", "said_ended"))
}

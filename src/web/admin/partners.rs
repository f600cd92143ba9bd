//! Partner institutions: how they do, and what is done when they don't.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::partner::Way;
use crate::domain::staff::Role;
use crate::store::partners::{self, Partner, Told};
use crate::store::{StoreError, Tx, deliveries, endpoints};
use crate::web::partnership::{Fault, Secrets, Tried};
use axum::extract::Path;
use serde::Serialize;
use std::time::Duration;

/// Deliveries that the page of a partner shows.
const TOLD: i64 = 30;
/// How far back a partner can be told again by a click, in days.
const DAYS: [u64; 4] = [1, 3, 7, 30];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/partners", Role::Viewer, list),
        Route::get("/admin/partners/{name}", Role::Viewer, show),
        Route::post("/admin/partners/{name}/pause", Role::Operator, pause),
        Route::post("/admin/partners/{name}/resume", Role::Operator, resume),
        Route::post("/admin/partners/{name}/test", Role::Operator, test),
        Route::post("/admin/partners/{name}/replay", Role::Operator, replay),
        Route::post("/admin/partners/{name}/keys", Role::Operator, rotate_keys),
        Route::post("/admin/partners/{name}/token", Role::Operator, rotate_token),
        Route::post("/admin/partners/{name}/end", Role::Operator, end),
    ]
}

#[derive(Serialize)]
struct Row {
    name: String,
    way: String,
    host: Option<String>,
    state: &'static str,
    why: Option<String>,
    since_at: Option<UnixMillis>,
    /// When the oldest delivery that is due was due.
    waiting_since: Option<UnixMillis>,
    selection: Vec<String>,
}

#[derive(Serialize)]
struct List {
    rows: Vec<Row>,
}

fn row(tx: &mut Tx<'_>, partner: &Partner, now: UnixMillis) -> Result<Row, StoreError> {
    let endpoint = partner.endpoint_id.map(|id| endpoints::find(tx, id)).transpose()?.flatten();
    let waiting_since = match &endpoint {
        Some(endpoint) => deliveries::next_due(tx, &destination::of_endpoint(&endpoint.carrier, endpoint.id))?,
        None => None,
    };
    let (state, since_at) = match (partner.ended_at, partner.paused_at, partner.failing_since_at) {
        (Some(at), ..) => ("ended", Some(at)),
        (_, Some(at), _) => ("paused", Some(at)),
        (_, _, Some(at)) => ("failing", Some(at)),
        _ => ("well", None),
    };
    let languages = partner.selection.languages.iter().map(ToString::to_string);
    Ok(Row {
        name: partner.name.clone(),
        way: partner.way.to_string(),
        // Its address may hold a secret; its host doesn't.
        host: endpoint.and_then(|endpoint| url::Url::parse(&endpoint.url).ok()?.host_str().map(str::to_owned)),
        state,
        why: partner.paused_why.clone(),
        since_at,
        waiting_since: waiting_since.filter(|since| *since <= now),
        selection: partner.selection.topics.iter().cloned().chain(languages).collect(),
    })
}

async fn list(desk: Desk) -> Answer {
    let now = desk.room.front.store.now().await?;
    let read = move |tx: &mut Tx<'_>| {
        let partners = partners::list(tx, false)?;
        partners.iter().map(|partner| row(tx, partner, now)).collect::<Result<Vec<_>, _>>()
    };
    let rows = desk.read(read).await?;
    Ok(desk.page("partners.html", List { rows }))
}

#[derive(Serialize)]
struct One {
    row: Row,
    format: String,
    ordering: String,
    embargoed_at: Option<UnixMillis>,
    contact: Option<String>,
    created_at: UnixMillis,
    is_webhook: bool,
    is_told: bool,
    told: Vec<Told>,
    days: [u64; 4],
    secrets: Option<Secrets>,
    tried: Option<Tried>,
}

async fn one(desk: &Desk, name: &str) -> Result<One, Lost> {
    let (name, now) = (name.to_owned(), desk.room.front.store.now().await?);
    let read = move |tx: &mut Tx<'_>| {
        let Some(partner) = partners::find(tx, &name)? else { return Ok(None) };
        let told = match partner.endpoint_id {
            Some(id) => partners::told(tx, id, None, TOLD)?,
            None => Vec::new(),
        };
        Ok(Some((row(tx, &partner, now)?, partner, told)))
    };
    let (row, partner, told) = desk.read(read).await?.ok_or(Lost::NotFound)?;
    Ok(One {
        row,
        format: partner.format.to_string(),
        ordering: partner.ordering.to_string(),
        embargoed_at: partner.embargoed_at,
        contact: partner.contact,
        created_at: partner.created_at,
        is_webhook: partner.way == Way::Webhook,
        is_told: partner.endpoint_id.is_some(),
        told,
        days: DAYS,
        secrets: None,
        tried: None,
    })
}

async fn show(desk: Desk, Path(name): Path<String>) -> Answer {
    let page = one(&desk, &name).await?;
    Ok(desk.page("partner.html", page))
}

/// What is in the way, as a page.
async fn faulty(desk: &Desk, name: &str, fault: Fault) -> Answer {
    match fault {
        Fault::Unknown => Err(Lost::NotFound),
        Fault::Store(error) => Err(Lost::Store(error)),
        Fault::Exists | Fault::Bad(_) | Fault::Otherwise(_) => {
            Ok(desk.faulty("partner.html", one(desk, name).await?, "error_otherwise"))
        }
    }
}

fn at(name: &str) -> String {
    format!("/admin/partners/{}", percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC))
}

async fn pause(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let why = fields.some("reason").unwrap_or("an operator paused it").to_owned();
    match desk.room.front.partnership.pause(&name, &why).await {
        Ok(_) => {
            desk.tell(Act::new("partner_pause", Subject::partner(&name)).with("reason", why)).await?;
            Ok(desk.done(&at(&name), "said_paused"))
        }
        Err(fault) => faulty(&desk, &name, fault).await,
    }
}

async fn resume(desk: Desk, Path(name): Path<String>) -> Answer {
    match desk.room.front.partnership.resume(&name).await {
        Ok(_) => {
            desk.tell(Act::new("partner_resume", Subject::partner(&name))).await?;
            desk.room.front.planner.tell();
            Ok(desk.done(&at(&name), "said_resumed"))
        }
        Err(fault) => faulty(&desk, &name, fault).await,
    }
}

async fn test(desk: Desk, Path(name): Path<String>) -> Answer {
    match desk.room.front.partnership.test(&name).await {
        Ok(tried) => {
            desk.tell(Act::new("partner_test", Subject::partner(&name)).with("taken", tried.is_taken)).await?;
            let page = One { tried: Some(tried), ..one(&desk, &name).await? };
            Ok(desk.page("partner.html", page))
        }
        Err(fault) => faulty(&desk, &name, fault).await,
    }
}

async fn replay(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let days = fields.get("days").parse().ok().filter(|days| DAYS.contains(days));
    let now = desk.room.front.store.now().await?;
    let since = days.map(|days| now.minus(Duration::from_secs(days * 86_400)));
    // Without a time it is what came to nothing.
    match desk.room.front.partnership.replay(&name, since).await {
        Ok(count) => {
            let act = Act::new("partner_replay", Subject::partner(&name)).with("deliveries", count);
            desk.tell(act).await?;
            desk.room.front.planner.tell();
            Ok(desk.done(&at(&name), "said_replayed"))
        }
        Err(fault) => faulty(&desk, &name, fault).await,
    }
}

/// New keys, shown once. The old ones sign beside them for a while, or not at all when they have leaked.
async fn rotate_keys(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let overlap = (fields.get("leaked") == "yes").then_some(Duration::ZERO);
    let made = desk.room.front.partnership.rotate_keys(&name, overlap).await;
    shown_once(&desk, &name, made, "partner_rotate").await
}

async fn rotate_token(desk: Desk, Path(name): Path<String>) -> Answer {
    let made = desk.room.front.partnership.rotate_token(&name).await;
    shown_once(&desk, &name, made, "partner_token").await
}

async fn shown_once(desk: &Desk, name: &str, made: Result<Secrets, Fault>, act: &'static str) -> Answer {
    match made {
        Ok(secrets) => {
            desk.tell(Act::new(act, Subject::partner(name))).await?;
            let page = One { secrets: Some(secrets), ..one(desk, name).await? };
            Ok(desk.page("partner.html", page))
        }
        Err(fault) => faulty(desk, name, fault).await,
    }
}

async fn end(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    let why = fields.some("reason").unwrap_or("an operator ended it").to_owned();
    match desk.room.front.partnership.end(&name, &why).await {
        Ok(()) => {
            desk.tell(Act::new("partner_end", Subject::partner(&name)).with("reason", why)).await?;
            Ok(desk.done("/admin/partners", "said_ended"))
        }
        Err(fault) => faulty(&desk, &name, fault).await,
    }
}

//! Who did what, and when: the audit, to be looked at and taken along.

use super::Route;
use super::desk::{Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Actor;
use crate::domain::clock::UnixMillis;
use crate::domain::staff::Role;
use crate::store::audit::{self, Asked, Written};
use crate::store::{Tx, staff};
use axum::http::header;
use axum::response::IntoResponse as _;
use serde::Serialize;
use std::collections::BTreeMap;

/// Acts on one page.
const PAGE: i64 = 50;
/// Acts that one file holds at most; what is older comes with `before`.
const FILE_MAX: i64 = 100_000;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin/audit", Role::Viewer, list), Route::get("/admin/audit.csv", Role::Owner, export)]
}

#[derive(Serialize)]
struct Row {
    at: UnixMillis,
    actor: String,
    /// The name of somebody in the control room.
    name: Option<String>,
    act: String,
    subject_kind: String,
    subject: String,
    subject_name: Option<String>,
    detail: Vec<(String, String)>,
}

#[derive(Serialize)]
struct Page {
    rows: Vec<Row>,
    actor: String,
    subject: String,
    older: Option<String>,
}

/// What a query asks for; `before` is an instant and a number, parted by a dash.
fn asked(query: &Fields) -> Asked {
    let before = query.some("before").and_then(|text| text.split_once('-'));
    let before = before.and_then(|(at, id)| Some((UnixMillis(at.parse().ok()?), id.parse().ok()?)));
    let subject = query.some("subject").and_then(|text| text.split_once(':'));
    Asked {
        actor: query.some("actor").map(str::to_owned),
        subject: subject.map(|(kind, id)| (kind.to_owned(), id.to_owned())),
        before,
    }
}

async fn list(desk: Desk) -> Answer {
    let asked = asked(&desk.query);
    let read = move |tx: &mut Tx<'_>| Ok((audit::list(tx, &asked, PAGE + 1)?, staff::all(tx)?));
    let (mut acts, people) = desk.read(read).await?;
    let names: BTreeMap<i64, String> = people.into_iter().map(|person| (person.id, person.name)).collect();
    let has_more = acts.len() > PAGE as usize;
    acts.truncate(PAGE as usize);
    let (actor, subject) = (desk.query.get("actor").to_owned(), desk.query.get("subject").to_owned());
    let older = acts.last().filter(|_| has_more).map(|last| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let filters = [("actor", &actor), ("subject", &subject)];
        query.extend_pairs(filters.into_iter().filter(|(_, value)| !value.is_empty()));
        query.append_pair("before", &format!("{}-{}", last.at.0, last.id)).finish()
    });
    let rows = acts.into_iter().map(|act| row(act, &names)).collect();
    Ok(desk.page("audit.html", Page { rows, actor, subject, older }))
}

fn row(act: Written, names: &BTreeMap<i64, String>) -> Row {
    let name = match Actor::from_text(&act.actor) {
        Some(Actor::Staff(id)) => names.get(&id).cloned(),
        _ => None,
    };
    let subject_name = (act.subject_kind == "staff").then(|| names.get(&act.subject.parse().ok()?).cloned()).flatten();
    let text = |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let detail = act.detail.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value)));
    Row {
        at: act.at,
        name,
        subject_name,
        detail: detail.collect(),
        actor: act.actor,
        act: act.act,
        subject_kind: act.subject_kind,
        subject: act.subject,
    }
}

/// The audit as a table for other programs (RFC 4180), the newest first.
async fn export(desk: Desk) -> Answer {
    let asked = asked(&desk.query);
    let acts = desk.read(move |tx| audit::list(tx, &asked, FILE_MAX)).await?;
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["at", "actor", "act", "subject_kind", "subject", "detail", "id"];
    table.write_record(head).map_err(|_| Lost::Broken)?;
    for act in acts {
        let (at, id, detail) = (act.at.to_string(), act.id.to_string(), act.detail.to_string());
        let row = [&at, &act.actor, &act.act, &act.subject_kind, &act.subject, &detail, &id];
        table.write_record(row.map(|cell| harmless(cell))).map_err(|_| Lost::Broken)?;
    }
    let bytes = table.into_inner().map_err(|_| Lost::Broken)?;
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit.csv\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, bytes).into_response())
}

/// A cell that no spreadsheet takes for a formula.
pub(super) fn harmless(cell: &str) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t']) { format!("'{cell}") } else { cell.to_owned() }
}

//! Deliveries that came to no good end: refused, given up, or of unknown outcome.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, State};
use crate::domain::staff::Role;
use crate::store::dead::{self, Dead};
use crate::store::{Tx, accounts, deliveries};
use serde::Serialize;

/// Deliveries on a page, and as many are tried again in one transaction.
const PAGE: i64 = 100;
const STATES: [State; 3] = [State::Uncertain, State::Refused, State::Abandoned];

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/deliveries", Role::Viewer, list),
        Route::post("/admin/deliveries/retry", Role::Operator, retry),
        Route::post("/admin/deliveries/settle", Role::Operator, settle),
    ]
}

#[derive(Serialize)]
struct Row {
    id: String,
    carrier: String,
    schedule: String,
    destination: String,
    reason: String,
    attempts: i64,
    at: UnixMillis,
    reply: String,
}

#[derive(Serialize)]
struct List {
    rows: Vec<Row>,
    state: &'static str,
    states: [&'static str; 3],
    /// The path of the next page; empty on the last.
    older: String,
}

fn state(word: &str) -> State {
    STATES.into_iter().find(|state| state.word() == word).unwrap_or(State::Uncertain)
}

async fn part(desk: &Desk, state: State, before: &str) -> Result<List, Lost> {
    let before = before.split_once('.').and_then(|(at, plan)| Some((UnixMillis(at.parse().ok()?), plan.parse().ok()?)));
    let mut found = desk.read(move |tx| dead::list(tx, state, before, PAGE + 1)).await?;
    let is_more = found.len() as i64 > PAGE && state != State::Uncertain;
    found.truncate(usize::try_from(PAGE).unwrap_or(usize::MAX));
    let last = found.last().filter(|_| is_more);
    let older = |last: &Dead| format!("/admin/deliveries?state={state}&before={}.{}", last.at.0, last.key.plan_id);
    let older = last.map(older).unwrap_or_default();
    let row = |one: Dead| Row {
        id: one.key.to_string(),
        carrier: one.key.carrier,
        schedule: one.schedule,
        destination: one.destination,
        reason: one.reason.unwrap_or_default(),
        attempts: one.attempts,
        at: one.at,
        reply: one.reply.unwrap_or_default(),
    };
    Ok(List { rows: found.into_iter().map(row).collect(), state: state.word(), states: STATES.map(State::word), older })
}

async fn list(desk: Desk) -> Answer {
    let part = part(&desk, state(desk.query.get("state")), desk.query.get("before")).await?;
    Ok(desk.page("deliveries.html", part))
}

fn page(fields: &Fields) -> String {
    format!("/admin/deliveries?state={}", state(fields.get("state")))
}

/// Makes what was ticked due again, a page of it at most: one transaction, one line in the audit.
async fn retry(desk: Desk, fields: Fields) -> Answer {
    let keys: Vec<DeliveryKey> = fields.all("id").into_iter().filter_map(DeliveryKey::parse).collect();
    if keys.is_empty() || keys.len() as i64 > PAGE {
        let part = part(&desk, state(fields.get("state")), "").await?;
        return Ok(desk.faulty("deliveries.html", part, "error_none"));
    }
    let ids: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let now = desk.room.front.store.now().await?;
    let act = Act::new("delivery_retry", Subject::none()).with("deliveries", ids);
    let job = move |tx: &mut Tx<'_>| {
        let mut retried = 0;
        for key in &keys {
            retried += i64::from(deliveries::retry(tx, key, now)?);
        }
        Ok(retried)
    };
    let retried = desk.act_if(act, job, |retried| *retried > 0).await?;
    desk.room.front.planner.tell();
    let said = if retried > 0 { "said_retried" } else { "said_nothing" };
    Ok(desk.done(&page(&fields), said))
}

/// Somebody looked at the far side and says what became of it.
async fn settle(desk: Desk, fields: Fields) -> Answer {
    let arrived = match fields.get("arrived") {
        "yes" => true,
        "no" => false,
        _ => return Err(Lost::Refused("error_form")),
    };
    let Some(key) = DeliveryKey::parse(fields.get("id")) else { return Err(Lost::Refused("error_form")) };
    let now = desk.room.front.store.now().await?;
    let act = Act::new("delivery_settle", Subject::delivery(&key.to_string())).with("arrived", arrived);
    let job = move |tx: &mut Tx<'_>| accounts::settle_doubt(tx, &key, arrived, now);
    let settled = desk.act_if(act, job, |settled| *settled).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&page(&fields), if settled { "said_settled" } else { "said_nothing" }))
}

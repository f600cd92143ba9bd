//! The button that stops everything that goes out, and lets it go on.

use super::Route;
use super::desk::{Act, Answer, Desk};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::staff::Role;
use crate::store::{Tx, destinations, identity};
use serde::Serialize;

/// The scope of a hold on everything.
const ALL: &str = "all";
/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/freeze", Role::Operator, show),
        Route::post("/admin/freeze", Role::Operator, freeze),
        Route::post("/admin/freeze/end", Role::Operator, thaw),
    ]
}

#[derive(Serialize)]
struct Freeze {
    is_frozen: bool,
    typed: String,
}

fn part(desk: &Desk, typed: &str) -> Freeze {
    Freeze { is_frozen: desk.holds.iter().any(|(scope, ..)| scope == ALL), typed: typed.to_owned() }
}

async fn show(desk: Desk) -> Answer {
    Ok(desk.page("freeze.html", part(&desk, "")))
}

/// Holds everything that isn't on its way yet: what passed the gate already can't be called back.
async fn freeze(desk: Desk, fields: Fields) -> Answer {
    let reason = fields.get("reason").to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_LEN_MAX {
        return Ok(desk.faulty("freeze.html", part(&desk, &reason), "error_reason"));
    }
    let now = desk.room.front.store.now().await?;
    let act = Act::new("freeze", Subject::hold(ALL)).with("reason", reason.clone());
    desk.act(act, move |tx| destinations::hold(tx, ALL, &reason, now)).await?;
    Ok(desk.done("/admin", "said_frozen"))
}

/// Lets it go on, urgent mail first. A hold that a doubt about the database put on wants to know what was missed: that is
/// said on the command line.
async fn thaw(desk: Desk) -> Answer {
    let job = |tx: &mut Tx<'_>| {
        if !identity::doubts(tx)?.is_empty() {
            return Ok(false);
        }
        destinations::release_hold(tx, ALL)?;
        Ok(true)
    };
    if !desk.act_if(Act::new("thaw", Subject::hold(ALL)), job, |went| *went).await? {
        return Ok(desk.faulty("freeze.html", part(&desk, ""), "error_doubt"));
    }
    desk.room.front.planner.tell();
    Ok(desk.done("/admin", "said_thawed"))
}

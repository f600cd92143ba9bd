//! What an operator does with a digest: hold, let go, cancel what waits, run now, skip.

use super::super::desk::Act;
use super::super::fields::Fields;
use super::{Answer, Desk, Lost, Role, Route, digest, frozen, next};
use crate::domain::audit::Subject;
use crate::domain::freeze::{Freeze, Way};
use crate::store::{Tx, destinations, freezes, held};
use axum::extract::Path;

/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/admin/digests/{name}/hold", Role::Operator, hold),
        Route::post("/admin/digests/{name}/let-go", Role::Operator, let_go),
        Route::post("/admin/digests/{name}/now", Role::Operator, now),
        Route::post("/admin/digests/{name}/skip", Role::Operator, skip),
        Route::post("/admin/digests/{name}/cancel", Role::Operator, cancel),
    ]
}

fn known(desk: &Desk, name: &str) -> Result<(), Lost> {
    if desk.room.front.digests.contains_key(name) { Ok(()) } else { Err(Lost::NotFound) }
}

fn page(name: &str) -> String {
    format!("/admin/digests/{name}")
}

/// The reason that was given, if it is one.
fn reason(fields: &Fields) -> Option<String> {
    let reason = fields.get("reason");
    (!reason.is_empty() && reason.chars().count() <= REASON_LEN_MAX).then(|| reason.to_owned())
}

async fn hold(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    known(&desk, &name)?;
    let Some(reason) = reason(&fields) else {
        let digest = digest(&desk, &name, None, fields.get("reason")).await?;
        return Ok(desk.faulty("digest.html", digest, "error_reason"));
    };
    let (now, scope) = (desk.room.front.store.now().await?, held::scope(&name));
    let act = Act::new("digest_hold", Subject::digest(&name)).with("reason", reason.clone());
    desk.act(act, move |tx| destinations::hold(tx, &scope, &reason, now)).await?;
    Ok(desk.done(&page(&name), "said_held"))
}

async fn let_go(desk: Desk, Path(name): Path<String>) -> Answer {
    let (now, asked) = (desk.room.front.store.now().await?, name.clone());
    let act = Act::new("digest_let_go", Subject::digest(&name));
    desk.act_if(act, move |tx: &mut Tx<'_>| held::let_go(tx, &asked, now), |was_on| *was_on).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&page(&name), "said_let_go"))
}

async fn now(desk: Desk, Path(name): Path<String>) -> Answer {
    known(&desk, &name)?;
    desk.room.front.planner.fire_now(&name).await?;
    desk.act(Act::new("digest_now", Subject::digest(&name)), |_| Ok(())).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&page(&name), "said_fired"))
}

/// Skips the next issue: a freeze of its day, for this digest alone. So it can be seen in the calendar and taken back there.
async fn skip(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    known(&desk, &name)?;
    let Some(reason) = reason(&fields) else {
        let digest = digest(&desk, &name, None, fields.get("reason")).await?;
        return Ok(desk.faulty("digest.html", digest, "error_reason"));
    };
    let now = desk.room.front.store.now().await?;
    let freezes = desk.read(move |tx| frozen(tx, now)).await?;
    let schedule = desk.room.front.digests.get(&name).map(|(_, schedule)| schedule.clone()).ok_or(Lost::NotFound)?;
    let (Some(at), None) = next(&schedule, &name, &freezes, now) else { return Err(Lost::Refused("error_refused")) };
    let zone = jiff::tz::TimeZone::get(schedule.zone()).map_err(|_| Lost::Broken)?;
    let day = at.timestamp().to_zoned(zone).date();
    let freeze = Freeze {
        name: format!("{name} {day}"),
        first: day,
        last: day,
        zone: schedule.zone().to_owned(),
        digests: vec![name.clone()],
        way: Way::Skip,
        reason: reason.clone(),
    };
    let act = Act::new("digest_skip", Subject::digest(&name)).with("day", day.to_string()).with("reason", reason);
    desk.act(act, move |tx| freezes::put(tx, &freeze, now)).await?;
    Ok(desk.done(&page(&name), "said_skipped"))
}

/// Cancels what waits of an edition, in chunks: others write in between. Each chunk is written down.
async fn cancel(desk: Desk, Path(name): Path<String>, fields: Fields) -> Answer {
    known(&desk, &name)?;
    let Ok(edition_id) = fields.get("edition").parse::<i64>() else { return Err(Lost::Refused("error_form")) };
    let asked = name.clone();
    let waiting = desk.read(move |tx| held::waiting(tx, &asked)).await?;
    let Some(one) = waiting.into_iter().find(|one| one.edition_id == edition_id) else { return Err(Lost::NotFound) };
    let is_held = desk.holds.iter().any(|(scope, ..)| *scope == held::scope(&name) || scope == "all");
    if one.is_growing || !is_held {
        let digest = digest(&desk, &name, None, "").await?;
        let why = if one.is_growing { "error_growing" } else { "error_not_held" };
        return Ok(desk.faulty("digest.html", digest, why));
    }
    loop {
        let now = desk.room.front.store.now().await?;
        let act = Act::new("issue_cancel", Subject::edition(edition_id)).with("digest", name.clone());
        let cancelled = desk.act_if(act, move |tx| held::cancel(tx, edition_id, now), |count| *count > 0).await?;
        if cancelled == 0 {
            break;
        }
    }
    Ok(desk.done(&page(&name), "said_cancelled"))
}

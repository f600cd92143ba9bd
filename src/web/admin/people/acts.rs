//! What is done for one person at an operator's word: not written to, written to again, paused, sent their link, given a copy of
//! their data.

use super::super::Route;
use super::super::desk::{Act, Answer, Desk, Lost};
use super::super::fields::Fields;
use super::story::shown;
use crate::domain::audience::Subscriber;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
use crate::domain::reply::without_addresses;
use crate::domain::staff::Role;
use crate::plan::service::Letter;
use crate::store::people::{self, By};
use crate::store::profile::{self, Then};
use crate::store::suppressions::{self, Cause, EVIDENCE_CHARS_MAX, Wanted};
use crate::store::{StoreError, Tx, subscribers};
use crate::web::manage;
use axum::extract::Path;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/admin/people/{id}/suppress", Role::Operator, suppress),
        Route::post("/admin/people/{id}/lift", Role::Operator, lift),
        Route::post("/admin/people/{id}/pause", Role::Operator, pause),
        Route::post("/admin/people/{id}/resume", Role::Operator, resume),
        Route::post("/admin/people/{id}/link", Role::Operator, link),
        // A copy of somebody's data leaves the house: that is an act, and stands in the audit.
        Route::post("/admin/people/{id}/data", Role::Operator, data),
    ]
}

/// What an act came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    /// It was done.
    Yes,
    /// Nothing had to be done, or nothing could; a word says why.
    No(&'static str),
    /// Nobody has this number.
    Nobody,
}

/// Does something to somebody whose row is locked, and writes it down if it was done.
pub(super) async fn act_on(
    desk: &Desk,
    id: i64,
    act: &'static str,
    mut work: impl FnMut(&mut Tx<'_>, &Subscriber) -> Result<Done, StoreError> + Send + 'static,
) -> Result<Done, Lost> {
    let job = move |tx: &mut Tx<'_>| match subscribers::lock(tx, id)? {
        Some(person) => work(tx, &person),
        None => Ok(Done::Nobody),
    };
    desk.act_if(Act::new(act, Subject::subscriber(id)), job, |done| *done == Done::Yes).await
}

async fn answer(desk: &Desk, id: i64, done: Done, said: &str) -> Answer {
    match done {
        Done::Yes => Ok(desk.done(&format!("/admin/people/{id}"), said)),
        Done::No(why) => Ok(desk.faulty("people_story.html", shown(desk, id, None).await?, why)),
        Done::Nobody => Err(Lost::NotFound),
    }
}

async fn suppress(desk: Desk, Path(id): Path<i64>, fields: Fields) -> Answer {
    // What stands in the reason is kept as long as the hash of the address: no address may be in it.
    let evidence = without_addresses(fields.get("reason"), EVIDENCE_CHARS_MAX);
    if evidence.is_empty() {
        return answer(&desk, id, Done::No("error_suppress_reason"), "").await;
    }
    let now = desk.room.front.store.now().await?;
    let done = act_on(&desk, id, "person_suppress", move |tx, person| {
        let wanted = Wanted { address: &person.address, cause: Cause::Operator, evidence: &evidence, until_at: None };
        let changed = suppressions::set(tx, Some(id), &wanted, now)?;
        Ok(if changed { Done::Yes } else { Done::No("error_suppressed") })
    });
    let done = done.await?;
    answer(&desk, id, done, "said_suppressed").await
}

async fn lift(desk: Desk, Path(id): Path<i64>) -> Answer {
    let now = desk.room.front.store.now().await?;
    let done = act_on(&desk, id, "person_lift", move |tx, person| {
        let lifted = suppressions::lift(tx, Some(id), &person.address, "operator", now)?;
        Ok(if lifted { Done::Yes } else { Done::No("error_not_suppressed") })
    });
    let done = done.await?;
    answer(&desk, id, done, "said_lifted").await
}

async fn pause(desk: Desk, Path(id): Path<i64>, fields: Fields) -> Answer {
    let now = desk.room.front.store.now().await?;
    let pause = manage::until(&desk.room.front, fields.get("until"), now).zip(Then::from_word(fields.get("then")));
    if pause.is_none() {
        return answer(&desk, id, Done::No("error_pause"), "").await;
    }
    set_pause(&desk, id, "person_pause", pause, now).await
}

async fn resume(desk: Desk, Path(id): Path<i64>) -> Answer {
    let now = desk.room.front.store.now().await?;
    set_pause(&desk, id, "person_resume", None, now).await
}

async fn set_pause(
    desk: &Desk,
    id: i64,
    act: &'static str,
    pause: Option<(UnixMillis, Then)>,
    now: UnixMillis,
) -> Answer {
    let language = desk.language.clone();
    let done = act_on(desk, id, act, move |tx, person| {
        let is_paused = profile::of(tx, id)?.is_some_and(|profile| profile.pause.is_some());
        if pause.is_none() && !is_paused {
            return Ok(Done::No("error_not_paused"));
        }
        people::pause(tx, person, pause, By { language: &language, source: "page", actor: "operator" }, now)?;
        Ok(Done::Yes)
    });
    let (done, said) = (done.await?, if pause.is_some() { "said_paused" } else { "said_resumed" });
    desk.room.front.planner.tell();
    answer(desk, id, done, said).await
}

/// Mails somebody the link to their own page, through the ledger like every mail: once a day at most, whoever asks.
async fn link(desk: Desk, Path(id): Path<i64>) -> Answer {
    let (now, planner) = (desk.room.front.store.now().await?, desk.room.front.planner.clone());
    let done = act_on(&desk, id, "person_link", move |tx, person| {
        if profile::of(tx, id)?.is_none_or(|profile| profile.confirmed_at.is_none() || profile.suppressed_at.is_some())
        {
            return Ok(Done::No("error_not_reached"));
        }
        let is_new = planner.letter(tx, &Letter { kind: EditionKind::Link, to: person, about: None }, now)?;
        Ok(if is_new { Done::Yes } else { Done::No("error_link_today") })
    });
    let done = done.await?;
    desk.room.front.planner.tell();
    answer(&desk, id, done, "said_link").await
}

async fn data(desk: Desk, Path(id): Path<i64>) -> Answer {
    let data = manage::data_of(&desk.room.front, id).await?.ok_or(Lost::NotFound)?;
    if act_on(&desk, id, "person_data", |_, _| Ok(Done::Yes)).await? != Done::Yes {
        return Err(Lost::NotFound);
    }
    Ok(manage::as_file(&data))
}

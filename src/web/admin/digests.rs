//! Digests: what the next issue brings, and how a wrong one is stopped.

mod acts;
mod preview;

use super::desk::{Answer, Desk, Lost};
use super::{Room, Route};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::freeze::{self, Freeze, Standing};
use crate::domain::schedule::Schedule;
use crate::domain::staff::Role;
use crate::plan::rehearsal::Rehearsed;
use crate::store::overview::{self, Fired};
use crate::store::rehearsals::{self, Followers};
use crate::store::{Tx, freezes, held, occurrences};
use axum::extract::Path;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/admin/digests", Role::Viewer, list),
        Route::get("/admin/digests/{name}", Role::Viewer, show),
        Route::get("/admin/digests/{name}/dry-run", Role::Editor, dry_run),
        Route::get("/admin/digests/{name}/preview", Role::Editor, preview::show),
        Route::get("/admin/digests/{name}/preview/html", Role::Editor, preview::html),
    ];
    routes.extend(acts::routes());
    routes
}

#[derive(Serialize)]
struct Row {
    name: String,
    title: String,
    line: String,
    zone: String,
    last_at: Option<UnixMillis>,
    planned: i64,
    skipped: Option<String>,
    next_at: Option<UnixMillis>,
    /// Why the next one is skipped or put off.
    frozen: Option<String>,
    followers: i64,
    has_more: bool,
    is_held: bool,
}

#[derive(Serialize)]
struct List {
    rows: Vec<Row>,
}

async fn list(desk: Desk) -> Answer {
    let now = desk.room.front.store.now().await?;
    let names: Vec<String> = desk.room.front.digests.keys().cloned().collect();
    let read = move |tx: &mut Tx<'_>| {
        let slots: Vec<Slot> = occurrences::slots(tx)?.into_iter().map(|state| state.slot).collect();
        let mut followers = Vec::new();
        for name in &names {
            let theirs: Vec<Slot> = slots.iter().filter(|slot| slot.schedule() == name).cloned().collect();
            followers.push((name.clone(), rehearsals::followers(tx, &theirs, now)?));
        }
        Ok((followers, overview::last_fired(tx)?, frozen(tx, now)?))
    };
    let (followers, fired, freezes) = desk.read(read).await?;
    let mut fired: BTreeMap<String, Fired> = fired.into_iter().map(|fired| (fired.slot.clone(), fired)).collect();
    let row = |(name, followers): (String, Followers)| {
        let fired = fired.remove(&name);
        row(&desk, name, followers, fired, &freezes, now)
    };
    let rows = followers.into_iter().filter_map(row).collect();
    Ok(desk.page("digests.html", List { rows }))
}

fn row(
    desk: &Desk,
    name: String,
    followers: Followers,
    fired: Option<Fired>,
    freezes: &[Freeze],
    now: UnixMillis,
) -> Option<Row> {
    let (title, schedule) = desk.room.front.digests.get(&name)?;
    let (next_at, frozen) = next(schedule, &name, freezes, now);
    Some(Row {
        title: title.get(&desk.language).to_owned(),
        line: schedule.line().to_owned(),
        zone: schedule.zone().to_owned(),
        last_at: fired.as_ref().map(|fired| fired.due_at),
        planned: fired.as_ref().map_or(0, |fired| fired.planned),
        skipped: fired.and_then(|fired| fired.skipped),
        next_at,
        frozen,
        followers: followers.all,
        has_more: followers.is_more,
        is_held: is_held(desk, &name),
        name,
    })
}

fn is_held(desk: &Desk, name: &str) -> bool {
    desk.holds.iter().any(|(scope, ..)| *scope == held::scope(name))
}

/// The freezes from yesterday on: nobody's day is further away.
fn frozen(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Vec<Freeze>, crate::store::StoreError> {
    let day = now.minus(Duration::from_secs(2 * 86_400)).timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    freezes::since(tx, &day.to_string())
}

/// When a digest fires next, and the freeze that changes it.
fn next(schedule: &Schedule, name: &str, freezes: &[Freeze], now: UnixMillis) -> (Option<UnixMillis>, Option<String>) {
    let Some(at) = schedule.next_after(now.0).map(UnixMillis) else { return (None, None) };
    match freeze::standing(freezes, name, at, schedule.zone()) {
        Standing::Free => (Some(at), None),
        Standing::Skipped(freeze) => (Some(at), Some(freeze.name.clone())),
        Standing::PutOff(freeze, later) => (Some(later), Some(freeze.name.clone())),
    }
}

#[derive(Serialize)]
struct Waiting {
    edition_id: i64,
    kind: &'static str,
    language: String,
    created_at: UnixMillis,
    waits: i64,
    is_growing: bool,
}

/// One digest.
#[derive(Serialize)]
struct Digest {
    row: Row,
    waiting: Vec<Waiting>,
    languages: Vec<String>,
    dry: Option<Dry>,
    typed: String,
}

/// What a dry run came to.
#[derive(Serialize)]
struct Dry {
    planned: i64,
    is_whole: bool,
    followers: i64,
    has_more: bool,
    paused: i64,
    suppressed: i64,
    nothing: i64,
    shares: Vec<(String, &'static str, i64, i64)>,
}

fn dry(rehearsed: Rehearsed) -> Dry {
    let Rehearsed { followers, shares, planned, is_whole } = rehearsed;
    let share = |share: rehearsals::Share| (share.language, share.kind.word(), share.posts, share.readers);
    Dry {
        planned,
        is_whole,
        followers: followers.all,
        has_more: followers.is_more,
        paused: followers.paused,
        suppressed: followers.suppressed,
        nothing: (followers.all - followers.paused - followers.suppressed - planned).max(0),
        shares: shares.into_iter().map(share).collect(),
    }
}

async fn digest(desk: &Desk, name: &str, dry: Option<Dry>, typed: &str) -> Result<Digest, Lost> {
    if !desk.room.front.digests.contains_key(name) {
        return Err(Lost::NotFound);
    }
    let (now, asked) = (desk.room.front.store.now().await?, name.to_owned());
    let read = move |tx: &mut Tx<'_>| {
        let all = occurrences::slots(tx)?.into_iter().map(|state| state.slot);
        let slots: Vec<Slot> = all.filter(|slot| slot.schedule() == asked).collect();
        let fired = overview::last_fired(tx)?.into_iter().find(|fired| fired.slot == asked);
        Ok((rehearsals::followers(tx, &slots, now)?, fired, frozen(tx, now)?, held::waiting(tx, &asked)?))
    };
    let (followers, fired, freezes, waiting) = desk.read(read).await?;
    let waiting = waiting.into_iter().map(|one| Waiting {
        edition_id: one.edition_id,
        kind: one.kind.word(),
        language: one.language,
        created_at: one.created_at,
        waits: one.waits,
        is_growing: one.is_growing,
    });
    Ok(Digest {
        row: row(desk, name.to_owned(), followers, fired, &freezes, now).ok_or(Lost::NotFound)?,
        waiting: waiting.collect(),
        languages: languages(&desk.room),
        dry,
        typed: typed.to_owned(),
    })
}

fn languages(room: &Room) -> Vec<String> {
    room.front.languages.iter().map(ToString::to_string).collect()
}

async fn show(desk: Desk, Path(name): Path<String>) -> Answer {
    let digest = digest(&desk, &name, None, "").await?;
    Ok(desk.page("digest.html", digest))
}

async fn dry_run(desk: Desk, Path(name): Path<String>) -> Answer {
    if !desk.room.front.digests.contains_key(&name) {
        return Err(Lost::NotFound);
    }
    let rehearsed = desk.room.front.planner.rehearse(&name).await?;
    let digest = digest(&desk, &name, Some(dry(rehearsed)), "").await?;
    Ok(desk.page("digest.html", digest))
}

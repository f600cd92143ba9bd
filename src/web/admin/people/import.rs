//! Lists of subscribers handed in: looked through first, then taken in exactly as they were looked through.

use super::super::Route;
use super::super::desk::{Act, Answer, Desk, Lost};
use super::super::fields::Fields;
use super::report::{self, Told};
use super::taking_in::{self, Given};
use crate::domain::audit::Subject;
use crate::domain::ids;
use crate::domain::reply::without_addresses;
use crate::domain::staff::Role;
use crate::plan::roster::{self, BATCH, Unreadable};
use crate::store::rosters::{self, Kept, New, Roster, Stage};
use axum::extract::Path;
use serde::Serialize;

/// Rows of one list at most: ten times what an institution moves at once.
const ROWS_MAX: usize = 200_000;
/// Characters of what is said of how people agreed.
const BASIS_CHARS_MAX: usize = 500;
/// Faulty rows that the page shows; all of them are in the report.
const FAULTS_SHOWN: usize = 50;
/// A list that hasn't moved for so long was left by a process that ended, and waits for somebody to have it go on.
const STALLED_MS: i64 = 15_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/people/import", Role::Operator, ask),
        Route::post("/admin/people/import", Role::Operator, hand_in),
        Route::get("/admin/people/import/{list}", Role::Operator, show),
        Route::post("/admin/people/import/{list}/take", Role::Operator, take),
        Route::post("/admin/people/import/{list}/go-on", Role::Operator, go_on),
        Route::post("/admin/people/import/{list}/drop", Role::Operator, drop_it),
        Route::get("/admin/people/import/{list}/report.csv", Role::Operator, report::serve),
    ]
}

#[derive(Serialize)]
struct Asking {
    basis: String,
    /// What can't be read, as the reader of lists says it; for whoever made the file.
    unreadable: Option<String>,
    schedules: Vec<String>,
    topics: Vec<String>,
    languages: Vec<String>,
    rows_max: usize,
}

fn asking(desk: &Desk, basis: &str, unreadable: Option<&Unreadable>) -> Asking {
    let rolls = taking_in::rolls(&desk.room.front);
    Asking {
        basis: basis.to_owned(),
        unreadable: unreadable.map(ToString::to_string),
        schedules: rolls.digests.keys().cloned().collect(),
        topics: rolls.topics.into_iter().collect(),
        languages: rolls.languages.iter().map(ToString::to_string).collect(),
        rows_max: ROWS_MAX,
    }
}

async fn ask(desk: Desk) -> Answer {
    Ok(desk.page("people_import.html", asking(&desk, "", None)))
}

/// Keeps a list and begins to look it through. Nothing else is changed.
async fn hand_in(desk: Desk, fields: Fields) -> Answer {
    let faulty = |why: &str, unreadable: Option<&Unreadable>| {
        Ok(desk.faulty("people_import.html", asking(&desk, fields.get("basis"), unreadable), why))
    };
    let basis = without_addresses(fields.get("basis"), BASIS_CHARS_MAX);
    if basis.is_empty() {
        return faulty("error_basis", None);
    }
    let Some(file) = fields.file("list") else { return faulty("error_no_file", None) };
    let rows = match roster::rows(&file.bytes) {
        Ok(rows) if rows.is_empty() => return faulty("error_no_rows", None),
        Ok(rows) if rows.len() > ROWS_MAX => return faulty("error_many_rows", None),
        Ok(rows) => rows,
        Err(why) => return faulty("error_unreadable", Some(&why)),
    };
    let count = i64::try_from(rows.len()).unwrap_or(i64::MAX);
    let given = Given::all(rows);
    let parts: Result<Vec<String>, _> = given.chunks(BATCH).map(serde_json::to_string).collect();
    let whole = [file.bytes.as_ref(), basis.as_bytes(), &desk.who.id.to_be_bytes()].concat();
    let id = ids::content_hash(&whole);
    let parts = parts.map_err(|_| Lost::Broken)?;
    let new = New { id: id.clone(), staff_id: desk.who.id, basis, rows: count, parts };
    let now = desk.room.front.store.now().await?;
    let kept = desk.room.front.store.write(move |tx| rosters::keep(tx, &new, now)).await?;
    if kept == Kept::Full {
        return faulty("error_lists_full", None);
    }
    taking_in::begin(&desk.room, &id);
    Ok(super::super::desk::see_other(&format!("/admin/people/import/{id}")))
}

#[derive(Serialize)]
struct Shown {
    roster: Roster,
    /// Rows that were gone through in this stage.
    gone_through: i64,
    is_running: bool,
    is_stalled: bool,
    faults: Vec<Told>,
    has_more_faults: bool,
    /// Whether taking it in would change anything.
    changes: bool,
}

async fn list(desk: &Desk, id: &str) -> Result<Roster, Lost> {
    let (id, now) = (id.to_owned(), desk.room.front.store.now().await?);
    let roster = desk.read(move |tx| rosters::find(tx, &id)).await?;
    roster.filter(|roster| roster.until_at > now).ok_or(Lost::NotFound)
}

async fn show(desk: Desk, Path(id): Path<String>) -> Answer {
    let roster = list(&desk, &id).await?;
    let is_running = matches!(roster.stage, Stage::Looking | Stage::Taking);
    let mut faults = Vec::new();
    if !is_running && roster.counts.get(report::FAULT).is_some_and(|count| *count > 0) {
        let asked = roster.clone();
        faults = desk.read(move |tx| report::faults(tx, &asked, FAULTS_SHOWN + 1)).await?;
    }
    let has_more_faults = faults.len() > FAULTS_SHOWN;
    faults.truncate(FAULTS_SHOWN);
    let count = |word: &str| roster.counts.get(word).copied().unwrap_or(0);
    let shown = Shown {
        gone_through: roster.counts.values().sum(),
        is_running,
        is_stalled: is_running && roster.moved_at.0 + STALLED_MS < desk.room.front.store.now().await?.0,
        faults,
        has_more_faults,
        changes: count("added") + count("changed") > 0,
        roster,
    };
    Ok(if desk.is_part { desk.part("people_list.html", shown) } else { desk.page("people_list_page.html", shown) })
}

/// Takes in what was looked through.
async fn take(desk: Desk, Path(id): Path<String>) -> Answer {
    let roster = list(&desk, &id).await?;
    let now = desk.room.front.store.now().await?;
    let act =
        Act::new("people_import", Subject::none()).with("rows", roster.rows).with("list", &id[..12.min(id.len())]);
    let asked = id.clone();
    let begun = desk.act_if(act, move |tx| rosters::begin_taking(tx, &asked, now), |begun| *begun).await?;
    if begun {
        taking_in::begin(&desk.room, &id);
    }
    Ok(super::super::desk::see_other(&format!("/admin/people/import/{id}")))
}

/// Has a list go on that a process left.
async fn go_on(desk: Desk, Path(id): Path<String>) -> Answer {
    list(&desk, &id).await?;
    taking_in::begin(&desk.room, &id);
    Ok(super::super::desk::see_other(&format!("/admin/people/import/{id}")))
}

/// Forgets a list at once.
async fn drop_it(desk: Desk, Path(id): Path<String>) -> Answer {
    list(&desk, &id).await?;
    desk.room.front.store.write(move |tx| rosters::drop_one(tx, &id)).await?;
    Ok(desk.done("/admin/people", "said_dropped"))
}

//! People: found as one types, each with their whole story.

mod acts;
mod erase;
mod export;
mod import;
mod report;
mod story;
mod taking_in;

use super::Route;
use super::desk::{Answer, Desk};
use super::fields::Fields;
use crate::domain::staff::Role;
use crate::store::finding::{self, After, Found, Gone, Way};
use crate::store::suppressions::Cause;
use crate::store::{Tx, rosters};
use serde::Serialize;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get("/admin/people", Role::Viewer, list),
        // A look, not an act, and yet no GET: what is typed is mostly a part of somebody's address, which belongs into no history of a
        // browser, no log of a proxy before us, and no address that is passed on.
        Route::post("/admin/people", Role::Viewer, find),
    ];
    routes.extend(story::routes());
    routes.extend(acts::routes());
    routes.extend(erase::routes());
    routes.extend(export::routes());
    routes.extend(import::routes());
    routes
}

#[derive(Serialize)]
struct Lost {
    id: Option<i64>,
    cause: Option<&'static str>,
    since_at: Option<i64>,
}

impl From<Gone> for Lost {
    fn from(gone: Gone) -> Self {
        Self { id: gone.id, cause: gone.cause.map(Cause::word), since_at: gone.since_at.map(|at| at.0) }
    }
}

#[derive(Serialize)]
struct Page {
    typed: String,
    is_asked: bool,
    people: Vec<Found>,
    gone: Option<Lost>,
    next_way: &'static str,
    next_id: i64,
    has_more: bool,
    lists: Vec<rosters::Roster>,
}

impl Page {
    fn empty() -> Self {
        Self {
            typed: String::new(),
            is_asked: false,
            people: Vec::new(),
            gone: None,
            next_way: "",
            next_id: 0,
            has_more: false,
            lists: Vec::new(),
        }
    }
}

async fn list(desk: Desk) -> Answer {
    let lists = if desk.can(Role::Operator) { desk.read(rosters::list).await? } else { Vec::new() };
    Ok(desk.page("people.html", Page { lists, ..Page::empty() }))
}

async fn find(desk: Desk, fields: Fields) -> Answer {
    let typed = fields.get("find").to_owned();
    let after =
        Way::from_word(fields.get("way")).and_then(|way| Some(After { way, id: fields.get("after").parse().ok()? }));
    let asked = typed.clone();
    let found = desk.read(move |tx: &mut Tx<'_>| finding::search(tx, &asked, after)).await?;
    let page = Page {
        is_asked: !typed.is_empty(),
        typed,
        people: found.people,
        gone: found.gone.map(Lost::from),
        next_way: found.next.map_or("", |next| next.way.word()),
        next_id: found.next.map_or(0, |next| next.id),
        has_more: found.next.is_some(),
        ..Page::empty()
    };
    Ok(if desk.is_part { desk.part("people_found.html", page) } else { desk.page("people.html", page) })
}

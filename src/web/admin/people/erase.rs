//! Erasing somebody: told beforehand what goes and what stays, asked twice.

use super::super::Route;
use super::super::desk::{Answer, Desk, Lost};
use super::super::fields::Fields;
use super::acts::{Done, act_on};
use crate::domain::staff::Role;
use crate::store::erasing::{self, Outlook};
use crate::store::people::{self, By};
use crate::store::{StoreError, Tx, subscribers};
use axum::extract::Path;
use serde::Serialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/people/{id}/erase", Role::Operator, ask),
        Route::post("/admin/people/{id}/erase", Role::Operator, erase),
    ]
}

#[derive(Serialize)]
struct Page {
    id: i64,
    address: String,
    name: Option<String>,
    outlook: Outlook,
    /// Whether the first yes was said.
    is_second: bool,
}

async fn page(desk: &Desk, id: i64, is_second: bool) -> Result<Page, Lost> {
    let read = move |tx: &mut Tx<'_>| match subscribers::find(tx, id)? {
        Some(person) => Ok(Some((person, erasing::outlook(tx, id)?))),
        None => Ok::<_, StoreError>(None),
    };
    let (person, outlook) = desk.read(read).await?.ok_or(Lost::NotFound)?;
    let (address, name) = (person.address.to_string(), person.name.map(|name| name.to_string()));
    Ok(Page { id, address, name, outlook, is_second })
}

async fn ask(desk: Desk, Path(id): Path<i64>) -> Answer {
    let page = page(&desk, id, false).await?;
    Ok(desk.page("people_erase.html", page))
}

/// The first yes is asked for again; the second one erases.
async fn erase(desk: Desk, Path(id): Path<i64>, fields: Fields) -> Answer {
    let page = page(&desk, id, true).await?;
    if fields.get("sure") != "yes" {
        return Ok(desk.page("people_erase.html", page));
    }
    if fields.get("number") != id.to_string() {
        return Ok(desk.faulty("people_erase.html", page, "error_number"));
    }
    let address = desk.read(move |tx| subscribers::find(tx, id)).await?.ok_or(Lost::NotFound)?.address;
    let (now, language) = (desk.room.front.store.now().await?, desk.language.clone());
    let done = act_on(&desk, id, "person_erase", move |tx, person| {
        people::erase(tx, person, By { language: &language, source: "page", actor: "operator" }, now)?;
        Ok(Done::Yes)
    });
    if done.await? != Done::Yes {
        return Err(Lost::NotFound);
    }
    erasing::sweep(&desk.room.front.store, &address).await?;
    Ok(desk.done(&format!("/admin/people/{id}"), "said_erased"))
}

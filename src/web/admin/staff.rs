//! Who may come in.

use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use super::{Route, sign_in};
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::staff::{Role, name, secret_hash};
use crate::store::staff::{self, Changed};
use axum::extract::Path;
use serde::Serialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/staff", Role::Owner, list),
        Route::post("/admin/staff", Role::Owner, add),
        Route::post("/admin/staff/{id}/role", Role::Owner, set_role),
        Route::post("/admin/staff/{id}/link", Role::Owner, link),
        Route::post("/admin/staff/{id}/end", Role::Owner, end),
    ]
}

#[derive(Serialize)]
struct Row {
    id: i64,
    name: String,
    role: &'static str,
    has_password: bool,
    is_locked: bool,
    is_me: bool,
    created_at: UnixMillis,
    ended_at: Option<UnixMillis>,
}

#[derive(Serialize)]
struct Staff {
    rows: Vec<Row>,
    roles: [&'static str; 4],
    /// A link that was just made, shown once, with whose it is.
    link: Option<(String, String)>,
    typed: String,
}

async fn staff_page(desk: &Desk, link: Option<(String, String)>, typed: &str) -> Result<Staff, Lost> {
    let (now, me) = (desk.now(), desk.who.id);
    let row = |person: staff::Person| Row {
        id: person.id,
        role: person.role.word(),
        has_password: person.password.is_some(),
        is_locked: person.locked_until.is_some_and(|until| until > now),
        is_me: person.id == me,
        created_at: person.created_at,
        ended_at: person.ended_at,
        name: person.name,
    };
    let rows = desk.read(staff::all).await?.into_iter().map(row).collect();
    Ok(Staff { rows, roles: Role::ALL.map(Role::word), link, typed: typed.to_owned() })
}

async fn list(desk: Desk) -> Answer {
    let page = staff_page(&desk, None, "").await?;
    Ok(desk.page("staff.html", page))
}

/// Adds somebody and shows the link by which they come in.
async fn add(desk: Desk, fields: Fields) -> Answer {
    let (typed, role) = (fields.get("name").to_owned(), Role::from_word(fields.get("role")));
    let (Ok(name), Some(role)) = (name(&typed), role) else {
        return Ok(desk.faulty("staff.html", staff_page(&desk, None, &typed).await?, "error_name"));
    };
    let (id, now) = (desk.room.front.chance.draw_id(), desk.room.front.store.now().await?);
    let (secret, asked) = (sign_in::secret(&desk.room), name.clone());
    let hash = secret_hash(&secret);
    let act = Act::new("staff_add", Subject::staff(id)).with("role", role.word());
    let job = move |tx: &mut crate::store::Tx<'_>| {
        let Some(id) = staff::add(tx, id, &asked, role, now)? else { return Ok(false) };
        staff::add_link(tx, &hash, id, now.plus(sign_in::LINK_AGE_MAX))?;
        Ok(true)
    };
    if !desk.act_if(act, job, |added| *added).await? {
        return Ok(desk.faulty("staff.html", staff_page(&desk, None, &typed).await?, "error_taken"));
    }
    let page = staff_page(&desk, Some((name, address(&desk, &secret))), "").await?;
    Ok(desk.page("staff.html", page))
}

/// The address of a link.
fn address(desk: &Desk, secret: &str) -> String {
    let settings = &desk.room.settings;
    let own = || format!("http://{}", settings.hosts.first().map_or("127.0.0.1", String::as_str));
    format!("{}/admin/link/{secret}", settings.url.clone().unwrap_or_else(own).trim_end_matches('/'))
}

fn refused(changed: Changed) -> Option<&'static str> {
    match changed {
        Changed::Done => None,
        Changed::Nobody => Some("error_nobody"),
        Changed::LastOwner => Some("error_last_owner"),
    }
}

async fn answer(desk: &Desk, changed: Changed, said: &str) -> Answer {
    match refused(changed) {
        None => Ok(desk.done("/admin/staff", said)),
        Some(why) => Ok(desk.faulty("staff.html", staff_page(desk, None, "").await?, why)),
    }
}

async fn set_role(desk: Desk, Path(id): Path<i64>, fields: Fields) -> Answer {
    let Some(role) = Role::from_word(fields.get("role")) else { return Err(Lost::Refused("error_form")) };
    let act = Act::new("staff_role", Subject::staff(id)).with("role", role.word());
    let job = move |tx: &mut crate::store::Tx<'_>| staff::set_role(tx, id, role);
    let changed = desk.act_if(act, job, |changed| *changed == Changed::Done).await?;
    answer(&desk, changed, "said_role").await
}

async fn end(desk: Desk, Path(id): Path<i64>) -> Answer {
    let now = desk.room.front.store.now().await?;
    let job = move |tx: &mut crate::store::Tx<'_>| staff::end(tx, id, now);
    let act = Act::new("staff_end", Subject::staff(id));
    let changed = desk.act_if(act, job, |changed| *changed == Changed::Done).await?;
    answer(&desk, changed, "said_ended").await
}

/// Makes a new link for somebody who lost theirs or their password.
async fn link(desk: Desk, Path(id): Path<i64>) -> Answer {
    let person = desk.read(move |tx| staff::by_id(tx, id)).await?.filter(|person| person.ended_at.is_none());
    let Some(person) = person else { return Err(Lost::NotFound) };
    let (secret, now) = (sign_in::secret(&desk.room), desk.room.front.store.now().await?);
    let (hash, until) = (secret_hash(&secret), now.plus(sign_in::LINK_AGE_MAX));
    let act = Act::new("staff_link", Subject::staff(id));
    desk.act(act, move |tx| staff::add_link(tx, &hash, id, until)).await?;
    let page = staff_page(&desk, Some((person.name, address(&desk, &secret))), "").await?;
    Ok(desk.page("staff.html", page))
}

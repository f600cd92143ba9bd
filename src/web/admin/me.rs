//! One's own page: the password, and leaving.

use super::desk::{Act, Answer, Desk};
use super::fields::Fields;
use super::{Route, password, sign_in};
use crate::domain::audit::Subject;
use crate::domain::staff::{PASSWORD_LEN_MAX, PASSWORD_LEN_MIN, Role};
use crate::store::staff;
use serde::Serialize;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/me", Role::Viewer, show),
        Route::post("/admin/me/password", Role::Viewer, set_password),
        Route::post("/admin/sign-out", Role::Viewer, sign_in::leave),
    ]
}

#[derive(Serialize)]
struct Me {
    has_password: bool,
    length_min: usize,
}

async fn me(desk: &Desk) -> Result<(Me, Option<String>), super::desk::Lost> {
    let id = desk.who.id;
    let kept = desk.read(move |tx| staff::by_id(tx, id)).await?.and_then(|person| person.password);
    Ok((Me { has_password: kept.is_some(), length_min: PASSWORD_LEN_MIN }, kept))
}

async fn show(desk: Desk) -> Answer {
    let (me, _) = me(&desk).await?;
    Ok(desk.page("me.html", me))
}

/// Sets one's password. Whoever has one says it first, so that a desk left open gives nothing away for good.
async fn set_password(desk: Desk, fields: Fields) -> Answer {
    let (me, kept) = me(&desk).await?;
    let (fresh, again) = (fields.raw("fresh").to_owned(), fields.raw("again"));
    let is_known = match kept {
        Some(kept) => password::is_right(&desk.room, fields.raw("present").to_owned(), Some(kept)).await,
        None => true,
    };
    let fault = match () {
        () if !is_known => Some("error_present"),
        () if fresh.chars().count() < PASSWORD_LEN_MIN || fresh.len() > PASSWORD_LEN_MAX => Some("error_length"),
        () if fresh != again => Some("error_again"),
        () if fresh.contains(&desk.who.name) => Some("error_name_inside"),
        () => None,
    };
    if let Some(fault) = fault {
        return Ok(desk.faulty("me.html", me, fault));
    }
    let Some(hash) = password::hash(&desk.room, fresh).await else { return Err(super::desk::Lost::Broken) };
    let (id, session) = (desk.who.id, desk.session.clone());
    let act = Act::new("staff_password", Subject::staff(id));
    desk.act(act, move |tx| staff::set_password(tx, id, Some(&hash), Some(&session))).await?;
    Ok(desk.done("/admin/me", "said_password"))
}

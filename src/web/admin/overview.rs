//! Whether everything is well, at a glance.

use super::Route;
use super::desk::{Answer, Desk};
use crate::domain::staff::Role;
use serde::Serialize;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin", Role::Viewer, show)]
}

#[derive(Serialize)]
struct Overview {}

async fn show(desk: Desk) -> Answer {
    Ok(desk.page("overview.html", Overview {}))
}

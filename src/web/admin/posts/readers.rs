//! What became of a post for each reader of one send.

use super::found;
use crate::domain::delivery::State;
use crate::store::journey::{self, Receipt};
use crate::web::admin::desk::{Answer, Desk, Lost};
use axum::extract::Path;
use serde::Serialize;

/// Readers on one page.
const PAGE: usize = 50;

#[derive(Serialize)]
struct Page {
    id: String,
    title: String,
    plan: i64,
    state: String,
    rows: Vec<Receipt>,
    next: Option<String>,
}

/// Page by page, in the order of numbers.
pub(super) async fn list(desk: Desk, Path(id): Path<String>) -> Answer {
    let (standing, post) = found(&desk, &id).await?;
    let plan: i64 = desk.query.get("plan").parse().map_err(|_| Lost::NotFound)?;
    let state = desk.query.get("state").to_owned();
    let after = desk.query.get("after").parse().unwrap_or(i64::MIN);
    let (wanted, key) = (State::from_word(&state), standing.post_id.clone());
    let read = move |tx: &mut crate::store::Tx<'_>| journey::readers(tx, (&key, plan), wanted, after, PAGE);
    let (rows, next) = desk.read(read).await?;
    let next = next.map(|after| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("plan", &plan.to_string()).append_pair("state", &state);
        query.append_pair("after", &after.to_string()).finish()
    });
    let (id, title) = (standing.post_id, post.title.to_string());
    Ok(desk.page("post_readers.html", Page { id, title, plan, state, rows, next }))
}

//! All subscribers as a table for other programs, page by page, so that a million of them take no more room than a thousand.

use super::super::Route;
use super::super::desk::{Act, Answer, Desk};
use crate::domain::audit::Subject;
use crate::domain::staff::Role;
use crate::plan::roster::Line;
use crate::store::{Store, StoreError, subscribers};
use axum::body::{Body, Bytes};
use axum::http::header;
use axum::response::IntoResponse as _;
use futures_util::stream;

/// People read at once.
const PAGE: i64 = 1_000;

pub(super) fn routes() -> Vec<Route> {
    // An act: the addresses of everybody leave the house, and the audit says at whose word.
    vec![Route::post("/admin/people/export", Role::Operator, export)]
}

async fn export(desk: Desk) -> Answer {
    desk.act(Act::new("people_export", Subject::none()), |_| Ok(())).await?;
    let store = desk.room.front.store.clone();
    // What was begun can't become another answer: a fault cuts the file off, which a browser tells as a failed download.
    let pages = stream::unfold(Some(i64::MIN), move |after| {
        let store = store.clone();
        async move {
            match page(&store, after?).await {
                Ok((text, last)) => Some((Ok(text), last)),
                Err(error) => Some((Err(error), None)),
            }
        }
    });
    let head = stream::once(async { Ok(Bytes::from_static(b"address,name,language,topics,schedule\n")) });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"subscribers.csv\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(futures_util::StreamExt::chain(head, pages))).into_response())
}

/// One page as CSV, and after whom the next one begins.
async fn page(store: &Store, after: i64) -> Result<(Bytes, Option<i64>), StoreError> {
    let read = store.read(move |tx| subscribers::page_with_topics(tx, after, PAGE));
    let people = read.await?;
    let mut out = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    let broken = |error: &dyn std::fmt::Display| StoreError::Shape(format!("a row of the export: {error}"));
    for line in people.iter().flat_map(|(person, subscriptions)| Line::of(person, subscriptions)) {
        out.serialize(line).map_err(|e| broken(&e))?;
    }
    let bytes = out.into_inner().map_err(|e| broken(&e))?;
    let last = people.last().map(|(person, _)| person.id).filter(|_| people.len() as i64 == PAGE);
    Ok((bytes.into(), last))
}

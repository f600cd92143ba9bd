//! What happened to posts, for partners that ask for themselves: every event since a cursor, in the order of the commits and without a
//! gap; and a comparison of what they have with what there is.

use super::cursor::Cursor;
use super::partner_shapes::{Changes, Gone, Have, Reconcile, Reconciled};
use super::{Details, Problem, bad, unavailable};
use crate::domain::clock::UnixMillis;
use crate::domain::partner::{Format, Happened};
use crate::domain::post::Showable;
use crate::render::event::{self, Told};
use crate::render::feed::Tombstone;
use crate::store::partners::changed::{self, Event, Part, State as Post};
use crate::store::partners::{self, Partner};
use crate::store::{Tx, identity};
use crate::web::Front;
use crate::web::ui::parameter;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Events of one answer, unless the request says otherwise, and at most.
const LIMIT_DEFAULT: usize = 100;
const LIMIT_MAX: usize = 500;
/// Seconds that a request may wait: less than what proxies commonly bear.
const WAIT_MAX: u64 = 50;
/// Octets of events in one answer, about.
const ANSWER_LEN: usize = 4 * 1_024 * 1_024;
/// Ids in one comparison.
const IDS_MAX: usize = 10_000;
/// Where a partner begins that has nothing yet, and one that wants nothing old.
const START: &str = "start";
const NOW: &str = "now";

/// Every change since a cursor
///
/// Published, revised and withdrawn posts that the partner's selection holds, as CloudEvents with the post in the wire format, in the
/// order in which they happened and without a gap. A post is given as it is now; one that was withdrawn since, only as withdrawn. Keep
/// `next` together with what you took, and go on from there.
#[utoipa::path(
    get, path = "/api/v1/changes", tag = "partner", security(("partner" = [])),
    params(
        ("after" = Option<String>, Query, description = "`next` of the answer before; `start` (the default) for everything, `now` for nothing old"),
        ("limit" = Option<i64>, Query, description = "How many events, 100 unless said otherwise; an answer may hold fewer", minimum = 1, maximum = 500),
        ("wait" = Option<i64>, Query, description = "Seconds to wait for news where there is none", minimum = 0, maximum = 50),
    ),
    responses(
        (status = 200, description = "Events; `next` even where there is none", body = Changes),
        (status = 400, description = "A parameter can't be: among others a cursor that is cut, or from the future", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 410, description = "The cursor is from before a restore: compare what you have by `POST /api/v1/reconcile`, and go on from its `next_change`", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer, or is in doubt", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn list(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Changes>, Problem> {
    let partner = super::partner::authorized(&front, &headers).await?;
    let said = |name: &str| parameter(query.as_deref(), name);
    let limit = said("limit").map_or(Some(LIMIT_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| bad("limit", "write 1 to 500"))?;
    let wait = said("wait").map_or(Some(0), |text| text.parse().ok());
    let wait = wait.filter(|wait| *wait <= WAIT_MAX).ok_or_else(|| bad("wait", "write 0 to 50 seconds"))?;
    let (epoch, head) = standing(&front).await?;
    let mut seq = begin(said("after").as_deref(), &epoch, head)?;
    let enough = tokio::time::sleep(Duration::from_secs(wait));
    tokio::pin!(enough);
    loop {
        let (selection, after) = (partner.selection.clone(), seq);
        let look = move |tx: &mut Tx<'_>| changed::after(tx, after, &selection, limit);
        let part = front.store.read(look).await.map_err(|error| unavailable(&error))?;
        seq = part.looked_to;
        let has_more = seq < part.head;
        if wait == 0 || has_more || !part.events.is_empty() {
            return answer(&front, epoch, part);
        }
        let goes_on = tokio::select! {
            goes_on = front.changes.beyond(&partner.name, seq) => goes_on,
            () = &mut enough => false,
        };
        if !goes_on {
            return answer(&front, epoch, part);
        }
    }
}

/// The present history of changes and its head, as long as nothing speaks against this database.
async fn standing(front: &Front) -> Result<(String, i64), Problem> {
    let look = |tx: &mut Tx<'_>| Ok((identity::doubts(tx)?.is_empty(), partners::epoch_known(tx)?));
    let (is_good, (epoch, head)) = front.store.read(look).await.map_err(|error| unavailable(&error))?;
    if !is_good {
        let detail =
            "this installation was restored or moved, and an operator has yet to say what it missed; come again later";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "in_doubt", detail));
    }
    if let Some(epoch) = epoch {
        return Ok((epoch, head));
    }
    let draw = front.chance.draw();
    let epoch = front.store.write(move |tx| partners::epoch(tx, draw)).await.map_err(|error| unavailable(&error))?;
    Ok((epoch, head))
}

/// The number that a cursor stands for.
fn begin(after: Option<&str>, epoch: &str, head: i64) -> Result<i64, Problem> {
    let cursor = match after {
        None | Some(START) => return Ok(0),
        Some(NOW) => return Ok(head),
        Some(text) => Cursor::read(text),
    };
    let cursor = cursor.ok_or_else(|| bad("after", "write the `next` of an answer, `start` or `now`"))?;
    if cursor.epoch != epoch {
        let detail = "this cursor is from before this installation was restored, and numbers have begun anew: send what you have to POST \
                      /api/v1/reconcile, and go on from the `next_change` that it answers";
        return Err(Problem::new(StatusCode::GONE, "old_epoch", detail));
    }
    if cursor.seq > head {
        return Err(bad("after", "this cursor is from the future; write the `next` of an answer of this installation"));
    }
    Ok(cursor.seq)
}

/// As many events as an answer has room for.
fn answer(front: &Front, epoch: String, part: Part) -> Result<Json<Changes>, Problem> {
    let Part { events: found, looked_to, head } = part;
    let (mut events, mut length, mut seq) = (Vec::new(), 0, looked_to);
    let count = found.len();
    for (index, one) in found.into_iter().enumerate() {
        let number = one.seq;
        let event = write(front, &one)?;
        length += event.get().len();
        events.push(event);
        if length >= ANSWER_LEN && index + 1 < count {
            seq = number;
            break;
        }
    }
    Ok(Json(Changes { events, next: Cursor { epoch, seq }.write(), more: seq < head }))
}

fn write(front: &Front, event: &Event) -> Result<Box<serde_json::value::RawValue>, Problem> {
    match &event.post {
        Post::Public(showable) => cloud_event(front, event.happened, Told::Post(showable)),
        Post::Gone { post_id, at } => {
            let gone = Tombstone { post_id: post_id.clone(), withdrawn_at: *at };
            cloud_event(front, event.happened, Told::Gone(&gone))
        }
    }
}

fn cloud_event(front: &Front, happened: Happened, told: Told<'_>) -> Result<Box<serde_json::value::RawValue>, Problem> {
    let travelled = match told {
        Told::Post(showable) => &showable.post().path[..],
        Told::Gone(_) => &[],
    };
    let written = event::write(&front.house, (Format::CloudEvent, happened), told, travelled, &front.templates);
    let text = written.ok().and_then(|written| written.structured());
    let raw = text.and_then(|text| serde_json::value::RawValue::from_string(text).ok());
    raw.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "not_written", "an event could not be written"))
}

/// Compare what you have with what there is
///
/// Says which public posts of the partner's selection aren't among `ids` (with the posts, as events), which are here in a newer revision,
/// and which are gone. Answers a part at a time: send the same again with `before` until there is no `next`. `gone` stands in the first
/// part. Afterwards go on with `/api/v1/changes` from the `next_change` of the *first* part: what happened meanwhile follows there.
#[utoipa::path(
    post, path = "/api/v1/reconcile", tag = "partner", security(("partner" = [])),
    request_body = Reconcile,
    responses(
        (status = 200, description = "A part of the difference", body = Reconciled),
        (status = 400, description = "The body can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "More than 10,000 ids: compare by `since`, a part at a time", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer, or is in doubt", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn reconcile(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Reconciled>, Problem> {
    let partner: Partner = super::partner::authorized(&front, &headers).await?;
    let asked: Reconcile = serde_json::from_slice(&body)
        .map_err(|_| bad("", "write {\"ids\": [\"…\"]}, and perhaps `since` and `before`"))?;
    if asked.ids.len() > IDS_MAX {
        let detail = "send at most 10,000 ids; with `since`, and those alone that were published since";
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail));
    }
    let since = match &asked.since {
        None => UnixMillis(i64::MIN),
        Some(text) => text
            .parse()
            .map(UnixMillis::from_timestamp)
            .map_err(|_| bad("since", "write an instant such as 2026-11-23T10:00:00+09:00"))?,
    };
    let before = match &asked.before {
        None => None,
        Some(text) => {
            let place = crate::web::pages::read_cursor(text);
            Some(place.ok_or_else(|| bad("before", "write the `next` of the answer before"))?)
        }
    };
    // Before anything is read, so that nothing falls between the two.
    let (epoch, head) = standing(&front).await?;
    let next_change = Cursor { epoch, seq: head }.write();
    let have: HashMap<String, Option<i64>> = asked.ids.into_iter().map(Have::into_pair).collect();
    let ids: Vec<String> = if before.is_none() { have.keys().cloned().collect() } else { Vec::new() };
    let selection = partner.selection;
    let look = move |tx: &mut Tx<'_>| {
        Ok((changed::public(tx, &selection, since, before.clone())?, changed::gone(tx, &ids, &selection)?))
    };
    let (page, gone) = front.store.read(look).await.map_err(|error| unavailable(&error))?;
    let mut reconciled = Reconciled {
        missing: Vec::new(),
        newer: Vec::new(),
        gone: gone.into_iter().map(|(id, at)| Gone { id, withdrawn_at: at.map(|at| at.to_string()) }).collect(),
        next: page.next.map(|(at, id)| format!("{}-{id}", at.0)),
        next_change,
    };
    reconciled.gone.sort_by(|a, b| a.id.cmp(&b.id));
    let mut length = 0;
    for showable in &page.posts {
        if length >= ANSWER_LEN {
            break;
        }
        length += put(&front, &have, showable, &mut reconciled)?;
        if length >= ANSWER_LEN {
            reconciled.next = Some(place(showable));
        }
    }
    Ok(Json(reconciled))
}

/// Where the page after a post begins.
fn place(showable: &Showable) -> String {
    crate::web::pages::cursor(showable.standing(), showable.post())
}

/// Puts a post where it belongs. Returns its length there.
fn put(
    front: &Front,
    have: &HashMap<String, Option<i64>>,
    showable: &Showable,
    reconciled: &mut Reconciled,
) -> Result<usize, Problem> {
    let standing = showable.standing();
    let (happened, list) = match have.get(&standing.post_id) {
        None => (Happened::Published, &mut reconciled.missing),
        Some(Some(revision)) if *revision < standing.revision => (Happened::Revised, &mut reconciled.newer),
        Some(_) => return Ok(0),
    };
    let event = cloud_event(front, happened, Told::Post(showable))?;
    let length = event.get().len();
    list.push(event);
    Ok(length)
}

//! Posts: taken in, listed, shown, withdrawn. A token sees and touches the posts of its own source only.

use super::shapes::{PostDetail, PostList, RevisionInfo, Taken, Withdrawal, summary};
use super::{Details, Problem, Token, authorized};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::{EventKind, Incoming};
use crate::store::StoreError;
use crate::store::posts::{self, Filter};
use crate::web::Front;
use crate::web::pages::{cursor, read_cursor};
use crate::web::ui::parameter;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// Posts of one answer, unless the request says otherwise, and at most.
const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 200;

/// Publish, revise or withdraw a post
///
/// Takes one event or bare post in; 2xx is said only once it is durable. The same event again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/posts", tag = "posts", security(("token" = [])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Names the event of a bare post, so that a repeat is known as one")),
    request_body(
        description = "A CloudEvents 1.0 event, structured or binary, or a bare post; docs/wire-format.md has the details",
        content(
            (super::openapi::PostDocument = "application/json"),
            (super::openapi::EventDocument = "application/cloudevents+json"),
        )
    ),
    responses(
        (status = 201, description = "A new post", body = Taken),
        (status = 200, description = "Revised, withdrawn, or known already", body = Taken),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Set aside: it contradicts what came before", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "Set aside: too large", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "Set aside: something in it is wrong", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn publish(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let token = authorized(&front, &headers)?;
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let incoming = Incoming {
        source: token.source.clone(),
        content_type: headers.get(header::CONTENT_TYPE).map(text),
        headers: headers
            .iter()
            .filter(|(name, _)| *name != header::AUTHORIZATION)
            .map(|(name, value)| (name.as_str().to_owned(), text(value)))
            .collect(),
        bytes: body.to_vec(),
    };
    take(&front, token, incoming).await
}

/// List posts
///
/// The posts of the token's own source, newest publication first.
#[utoipa::path(
    get, path = "/api/v1/posts", tag = "posts", security(("token" = [])),
    params(
        ("limit" = Option<i64>, Query, description = "How many, 50 unless said otherwise", minimum = 1, maximum = 200),
        ("before" = Option<String>, Query, description = "`next` of the answer before, to go on"),
        ("topic" = Option<String>, Query, description = "Only this topic; a tag as `tag:…`"),
        ("language" = Option<String>, Query, description = "Only this language and its regional forms"),
    ),
    responses(
        (status = 200, description = "Posts", body = PostList),
        (status = 400, description = "A parameter can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn list(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<PostList>, Problem> {
    let token = authorized(&front, &headers)?;
    let parameter = |name: &str| parameter(query.as_deref(), name);
    let bad = |name: &str, detail: &str| {
        let mut problem = Problem::new(StatusCode::BAD_REQUEST, "bad_parameter", detail);
        problem.0.path = Some(name.to_owned());
        problem
    };
    let limit = parameter("limit").map_or(Some(LIMIT_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| bad("limit", "write 1 to 200"))?;
    let before = parameter("before")
        .map(|text| read_cursor(&text).ok_or_else(|| bad("before", "write the `next` of an answer")));
    let filter = Filter {
        source: Some(token.source.clone()),
        topic: parameter("topic"),
        language: parameter("language"),
        public_only: false,
        before: before.transpose()?,
    };
    let mut found = front.store.read(move |tx| posts::list(tx, &filter, limit + 1)).await.map_err(|e| store(&e))?;
    let has_more = found.len() as i64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| has_more).map(|(standing, post)| cursor(standing, post));
    Ok(Json(PostList { posts: found.iter().map(|(standing, post)| summary(&front, standing, post)).collect(), next }))
}

/// Show a post
///
/// Where it stands, and every revision with what was cleaned in it.
#[utoipa::path(
    get, path = "/api/v1/posts/{id}", tag = "posts", security(("token" = [])),
    params(("id" = String, Path, description = "`post_id`")),
    responses(
        (status = 200, description = "The post", body = PostDetail),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "The token's source has no such post", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn show(
    State(front): State<Arc<Front>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PostDetail>, Problem> {
    let token = authorized(&front, &headers)?;
    let (standing, post) = own(&front, token, &id).await?;
    let history = front.store.read(move |tx| posts::history(tx, &id)).await.map_err(|e| store(&e))?;
    let info = |(revision, received_at, repairs): (i64, UnixMillis, Vec<String>)| RevisionInfo {
        revision,
        received_at: received_at.to_string(),
        repairs,
    };
    Ok(Json(PostDetail {
        summary: summary(&front, &standing, &post),
        history: history.into_iter().map(info).collect(),
    }))
}

/// Withdraw a post
///
/// Its page answers 410, feeds drop it, what is not on its way yet isn't mailed. The same again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/posts/{id}/withdraw", tag = "posts", security(("token" = [])),
    params(("id" = String, Path, description = "`post_id`")),
    request_body(content = Option<Withdrawal>, description = "May be left out"),
    responses(
        (status = 200, description = "Withdrawn, or withdrawn before", body = Taken),
        (status = 400, description = "The body isn't such an object", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "The token's source has no such post", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "Set aside: this may not be done", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was changed; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn withdraw(
    State(front): State<Arc<Front>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let token = authorized(&front, &headers)?;
    let withdrawal = match body.trim_ascii().is_empty() {
        true => Withdrawal::default(),
        false => serde_json::from_slice(&body).map_err(|_| {
            Problem::new(StatusCode::BAD_REQUEST, "bad_field", "write `{\"reason\": \"…\"}`, or nothing at all")
        })?,
    };
    let (_, post) = own(&front, token, &id).await?;
    let event = json!({
        "specversion": "1.0",
        "type": EventKind::Withdrawn.type_name(),
        // As a bare post has it: the source's own name.
        "source": token.source,
        "id": format!("withdraw:{id}"),
        "data": { "id": post.source_id, "reason": withdrawal.reason },
    });
    let incoming = Incoming {
        source: token.source.clone(),
        content_type: Some("application/cloudevents+json".to_owned()),
        headers: Vec::new(),
        bytes: event.to_string().into_bytes(),
    };
    take(&front, token, incoming).await
}

async fn take(front: &Front, token: &Token, incoming: Incoming) -> Result<Response, Problem> {
    match front.intake.accept_one(incoming).await {
        Ok(receipt) => answer(receipt),
        Err(error) => {
            tracing::warn!(%error, token = token.name, "a post could not be stored");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "nothing was stored; send it again"))
        }
    }
}

pub(super) fn answer(receipt: Receipt) -> Result<Response, Problem> {
    let post_id = receipt.post_id;
    let (status, state) = match receipt.verdict {
        Verdict::Stored => (StatusCode::CREATED, "stored"),
        Verdict::Revised => (StatusCode::OK, "revised"),
        Verdict::Withdrawn => (StatusCode::OK, "withdrawn"),
        Verdict::Duplicate => (StatusCode::OK, "duplicate"),
        Verdict::Stale => (StatusCode::OK, "stale"),
        Verdict::Own => (StatusCode::OK, "own"),
        Verdict::Quarantined { id, reason, path, detail } => {
            let status = match reason.as_str() {
                "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
                "republished" => StatusCode::CONFLICT,
                reason if reason.ends_with("_reused") => StatusCode::CONFLICT,
                _ => StatusCode::UNPROCESSABLE_ENTITY,
            };
            let mut problem = Problem::new(status, &reason, &detail);
            let more = Details { path: Some(path), state: Some("quarantined"), id: Some(id), post_id, ..*problem.0 };
            problem.0 = Box::new(more);
            return Err(problem);
        }
    };
    Ok((status, Json(Taken { post_id, state })).into_response())
}

/// A post of the token's source; that others exist isn't told.
async fn own(front: &Front, token: &Token, id: &str) -> Result<(Standing, Post), Problem> {
    let id = id.to_owned();
    let found = front.store.read(move |tx| posts::find(tx, &id)).await.map_err(|e| store(&e))?;
    found.filter(|(standing, _)| standing.source == token.source).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, "unknown_post", "the source of this token has no post of this id")
    })
}

fn store(error: &StoreError) -> Problem {
    tracing::warn!(%error, "posts can't be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store doesn't answer; try again")
}

//! Partner institutions as an operator manages them: the same as `allim partner`, by a token that the configuration marks with
//! `partners = true`.

use super::partner::{again, fault, list as list_told, ping, state};
use super::partner_shapes::{Again, PartnerList, PartnerState, SentAgain, ToldList, Why};
use super::{Details, Problem, authorized, bad, unavailable};
use crate::store::partners::{self, Partner};
use crate::store::{StoreError, Tx};
use crate::web::Front;
use crate::web::partnership::{Draft, Fault, Secrets, Tried};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Lets only those pass who may manage partners.
fn allowed(front: &Front, headers: &HeaderMap) -> Result<(), Problem> {
    if authorized(front, headers)?.partners {
        return Ok(());
    }
    let hint = "this token manages no partners; give its [[intake.token]] `partners = true`";
    Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", hint))
}

fn read(body: &Bytes) -> Result<Draft, Problem> {
    serde_json::from_slice(body).map_err(|error| bad("", &format!("the body is no such object: {error}")))
}

/// Why, if the body says so.
fn why(body: &Bytes, default: &str) -> Result<String, Problem> {
    let why: Why = match body.trim_ascii().is_empty() {
        true => Why::default(),
        false => serde_json::from_slice(body).map_err(|_| bad("", "write {\"why\": \"…\"}, or nothing at all"))?,
    };
    Ok(why.why.unwrap_or_else(|| default.to_owned()))
}

async fn find(front: &Front, name: &str) -> Result<Partner, Problem> {
    front.partnership.find(name).await.map(|(partner, _)| partner).map_err(fault)
}

/// A partner as it is now.
async fn shown(front: &Front, name: String) -> Result<Json<PartnerState>, Problem> {
    let look = move |tx: &mut Tx<'_>| partners::find(tx, &name)?.map(|partner| state(tx, partner)).transpose();
    let found = front.store.read(look).await.map_err(|error| unavailable(&error))?;
    found.map(Json).ok_or_else(|| fault(Fault::Unknown))
}

/// List partners
#[utoipa::path(
    get, path = "/api/v1/partners", tag = "partners", security(("token" = [])),
    responses(
        (status = 200, description = "Partners, those that ended too", body = PartnerList),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn list(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Json<PartnerList>, Problem> {
    allowed(&front, &headers)?;
    let look = |tx: &mut Tx<'_>| {
        let all = partners::list(tx, true)?;
        all.into_iter().map(|partner| state(tx, partner)).collect::<Result<Vec<PartnerState>, StoreError>>()
    };
    let partners = front.store.read(look).await.map_err(|error| unavailable(&error))?;
    Ok(Json(PartnerList { partners }))
}

/// Add a partner
///
/// It is told of what happens from now on. Its secrets are shown only in this answer.
#[utoipa::path(
    post, path = "/api/v1/partners", tag = "partners", security(("token" = [])), request_body = Draft,
    responses(
        (status = 201, description = "Its secrets", body = Secrets),
        (status = 400, description = "The body is no such object", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "There is a partner of this name", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "A field can't be", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn add(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    allowed(&front, &headers)?;
    let secrets = front.partnership.add(&read(&body)?).await.map_err(fault)?;
    Ok((StatusCode::CREATED, Json(secrets)).into_response())
}

/// Show a partner
#[utoipa::path(
    get, path = "/api/v1/partners/{name}", tag = "partners", security(("token" = [])),
    params(("name" = String, Path, description = "What it is called")),
    responses(
        (status = 200, description = "The partner", body = PartnerState),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this name", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn show(
    State(front): State<Arc<Front>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<PartnerState>, Problem> {
    allowed(&front, &headers)?;
    shown(&front, name).await
}

/// Set what a partner is told
///
/// What is left out stays.
#[utoipa::path(
    patch, path = "/api/v1/partners/{name}", tag = "partners", security(("token" = [])),
    params(("name" = String, Path, description = "What it is called")), request_body = Draft,
    responses(
        (status = 200, description = "The partner as it is now", body = PartnerState),
        (status = 400, description = "The body is no such object", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this name", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Its keys can't be opened", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "A field can't be", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn set(
    State(front): State<Arc<Front>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<PartnerState>, Problem> {
    allowed(&front, &headers)?;
    front.partnership.set(&name, &read(&body)?).await.map_err(fault)?;
    shown(&front, name).await
}

/// End a partner
///
/// What waits for it is cancelled, and its token is good no more.
#[utoipa::path(
    delete, path = "/api/v1/partners/{name}", tag = "partners", security(("token" = [])),
    params(("name" = String, Path, description = "What it is called")),
    responses(
        (status = 204, description = "Ended"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this name", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn end(
    State(front): State<Arc<Front>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    allowed(&front, &headers)?;
    front.partnership.end(&name, "an operator ended it").await.map_err(fault)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What came of an act.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(in crate::web) enum Acted {
    /// Of `pause` and `resume`.
    Partner(Box<PartnerState>),
    /// Of `rotate` and `token`.
    Secrets(Secrets),
    /// Of `test`.
    Tried(Tried),
    /// Of `replay`.
    Again(SentAgain),
}

/// What an act may be told.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "describes what the acts read")]
pub(in crate::web) enum Asked {
    /// Of `pause`.
    Why(Why),
    /// Of `replay`.
    Again(Again),
}

/// Do something with a partner
///
/// `pause` (with `{"why": "…"}`, perhaps), `resume`, `rotate` (new keys), `token` (a new token), `test` (a signed ping), `replay` (with
/// `{"since": "…"}` or `{"dead": true}`).
#[utoipa::path(
    post, path = "/api/v1/partners/{name}/{act}", tag = "partners", security(("token" = [])),
    params(
        ("name" = String, Path, description = "What it is called"),
        ("act" = String, Path, description = "`pause`, `resume`, `rotate`, `token`, `test` or `replay`"),
    ),
    request_body(content = Option<Asked>, description = "Of `pause` and `replay`; nothing of the others"),
    responses(
        (status = 200, description = "The partner (`pause`, `resume`), secrets (`rotate`, `token`), what came back (`test`), or how many (`replay`)", body = Acted),
        (status = 400, description = "The body can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this name, or no such act", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Not with a partner of this kind", body = Details, content_type = "application/problem+json"),
        (status = 429, description = "Others are trying just now", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn act(
    State(front): State<Arc<Front>>,
    Path((name, act)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Acted>, Problem> {
    allowed(&front, &headers)?;
    let partnership = &front.partnership;
    let acted = match act.as_str() {
        "pause" => {
            partnership.pause(&name, &why(&body, "an operator paused it")?).await.map_err(fault)?;
            Acted::Partner(Box::new(shown(&front, name).await?.0))
        }
        "resume" => {
            partnership.resume(&name).await.map_err(fault)?;
            front.planner.tell();
            Acted::Partner(Box::new(shown(&front, name).await?.0))
        }
        "rotate" => Acted::Secrets(partnership.rotate_keys(&name, None).await.map_err(fault)?),
        "token" => Acted::Secrets(partnership.rotate_token(&name).await.map_err(fault)?),
        "test" => Acted::Tried(ping(&front, &name).await?.0),
        "replay" => Acted::Again(again(&front, &name, &body).await?.0),
        _ => {
            let hint = "there is no such act; /api/openapi.json lists them";
            return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", hint));
        }
    };
    Ok(Json(acted))
}

/// What a partner was told
#[utoipa::path(
    get, path = "/api/v1/partners/{name}/deliveries", tag = "partners", security(("token" = [])),
    params(
        ("name" = String, Path, description = "What it is called"),
        ("limit" = Option<i64>, Query, description = "How many, 50 unless said otherwise", minimum = 1, maximum = 200),
        ("before" = Option<String>, Query, description = "`next` of the answer before, to go on"),
    ),
    responses(
        (status = 200, description = "Deliveries, the newest first", body = ToldList),
        (status = 400, description = "A parameter can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `partners = true`", body = Details, content_type = "application/problem+json"),
        (status = 404, description = "There is none of this name", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn told(
    State(front): State<Arc<Front>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<ToldList>, Problem> {
    allowed(&front, &headers)?;
    let partner = find(&front, &name).await?;
    list_told(&front, &partner, query.as_deref()).await
}

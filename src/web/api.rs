//! The interface for content systems: `/api/v1/…` with bearer tokens, described by `/api/openapi.json`.

pub(super) mod changes;
mod cursor;
pub(super) mod inbound;
pub(super) mod inbox;
pub(super) mod openapi;
pub(super) mod partner;
mod partner_shapes;
pub(super) mod partners;
pub(super) mod posts;
mod shapes;
pub(super) mod subscriptions;
pub(super) mod waiting;

use super::Front;
use crate::domain::ids;
use crate::store::StoreError;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// Who may publish: the hash of a token and the source it speaks for.
pub struct Token {
    /// For logs.
    pub name: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The source.
    pub source: String,
    /// Whether it may hand over mail that came back.
    pub inbound: bool,
    /// Whether it may manage partner institutions.
    pub partners: bool,
}

/// What went wrong, boxed, since most answers are none.
#[derive(Clone, Debug)]
pub(super) struct Problem(Box<Details>);

/// What went wrong (RFC 9457).
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
#[schema(as = Problem)]
struct Details {
    /// The status of the answer.
    status: u16,
    /// The status in words.
    title: String,
    /// Why, as a word of a closed list.
    #[schema(example = "missing_field")]
    reason: String,
    /// A sentence that says what would be right.
    detail: String,
    /// The field that is meant, such as `data.images[2].url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// `quarantined`, when the message was set aside and can be replayed.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
    /// The quarantine row.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// The post, as far as it could be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    post_id: Option<String>,
}

impl Problem {
    fn new(status: StatusCode, reason: &str, detail: &str) -> Self {
        let (title, status) = (status.canonical_reason().unwrap_or_default().to_owned(), status.as_u16());
        let (reason, detail) = (reason.to_owned(), detail.to_owned());
        Self(Box::new(Details { status, title, reason, detail, ..Details::default() }))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let more = match status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "5")),
            _ => None,
        };
        if let Some((name, value)) = more {
            response.headers_mut().insert(name, axum::http::HeaderValue::from_static(value));
        }
        response
    }
}

/// A parameter or field that can't be, and what would be right.
fn bad(path: &str, detail: &str) -> Problem {
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, "bad_parameter", detail);
    problem.0.path = (!path.is_empty()).then(|| path.to_owned());
    problem
}

/// The store doesn't answer.
fn unavailable(error: &StoreError) -> Problem {
    tracing::warn!(%error, "a partner can't be answered");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "the store doesn't answer; try again")
}

/// The hash of the bearer token of a request.
fn token_hash(headers: &HeaderMap) -> Option<String> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let given = given.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    given.map(|(_, token)| ids::content_hash(token.trim().as_bytes()))
}

/// The token of a request, compared in constant time.
///
/// # Errors
/// The answer for those who have none.
fn authorized<'a>(front: &'a Front, headers: &HeaderMap) -> Result<&'a Token, Problem> {
    let hash = token_hash(headers);
    let same = |token: &&Token| {
        let hash = hash.as_deref().unwrap_or_default();
        bool::from(subtle::ConstantTimeEq::ct_eq(token.sha256.to_lowercase().as_bytes(), hash.as_bytes()))
    };
    front.tokens.iter().find(same).ok_or_else(|| {
        let hint = "send `Authorization: Bearer …` with a token that [[intake.token]] knows";
        Problem::new(StatusCode::UNAUTHORIZED, "not_authorized", hint)
    })
}

/// Whatever stands below `/api/` and isn't there.
pub(super) async fn fallback() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such route; /api/openapi.json lists them")
}

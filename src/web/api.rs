//! The posts interface: `POST /api/v1/posts`.

use super::Front;
use crate::domain::ids;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::Incoming;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// Who may publish: the hash of a token and the source it speaks for.
pub struct Token {
    /// For logs.
    pub name: String,
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The source.
    pub source: String,
}

/// Takes one event or bare post in. 2xx is said only once it is durable.
pub(super) async fn publish(State(front): State<Arc<Front>>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(token) = authorized(&front, &headers) else {
        let hint = "send `Authorization: Bearer …` with a token that [[intake.token]] knows";
        let body = problem(StatusCode::UNAUTHORIZED, "not_authorized", hint);
        return ([(header::WWW_AUTHENTICATE, "Bearer")], body).into_response();
    };
    let text = |value: &header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
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
    match front.intake.accept(vec![incoming]).await.map(|mut receipts| receipts.pop()) {
        Ok(Some(receipt)) => answer(&receipt),
        Ok(None) => problem(StatusCode::INTERNAL_SERVER_ERROR, "no_receipt", "the log says more"),
        Err(error) => {
            tracing::warn!(%error, token = token.name, "a post could not be stored");
            let body =
                problem(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "nothing was stored; send it again");
            ([(header::RETRY_AFTER, "5")], body).into_response()
        }
    }
}

/// The token of a request, compared in constant time.
pub(super) fn authorized<'a>(front: &'a Front, headers: &HeaderMap) -> Option<&'a Token> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, given) = value.split_once(' ')?;
    let hash = ids::content_hash(given.trim().as_bytes());
    let same = |token: &&Token| {
        bool::from(subtle::ConstantTimeEq::ct_eq(token.sha256.to_lowercase().as_bytes(), hash.as_bytes()))
    };
    front.tokens.iter().filter(|_| scheme.eq_ignore_ascii_case("bearer")).find(same)
}

fn answer(receipt: &Receipt) -> Response {
    let status = match &receipt.verdict {
        Verdict::Stored => StatusCode::CREATED,
        Verdict::Revised | Verdict::Withdrawn | Verdict::Duplicate | Verdict::Stale => StatusCode::OK,
        Verdict::Quarantined { reason, .. } if reason == "too_large" => StatusCode::PAYLOAD_TOO_LARGE,
        Verdict::Quarantined { reason, .. } if reason.ends_with("_reused") || reason == "republished" => {
            StatusCode::CONFLICT
        }
        Verdict::Quarantined { .. } => StatusCode::UNPROCESSABLE_ENTITY,
    };
    (status, axum::Json(receipt)).into_response()
}

/// A problem after RFC 9457.
pub(super) fn problem(status: StatusCode, reason: &str, detail: &str) -> Response {
    let body =
        json!({ "status": status.as_u16(), "title": status.canonical_reason(), "reason": reason, "detail": detail });
    (status, [(header::CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response()
}

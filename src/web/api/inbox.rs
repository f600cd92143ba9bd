//! Posts of partners by signed webhook (Standard Webhooks): whoever has a key of the source needs no token.

use super::posts::answer;
use super::shapes::Taken;
use super::{Details, Problem};
use crate::domain::standard_webhook::{self as webhook, Key, Signed, Untrue};
use crate::intake::wire::Incoming;
use crate::web::Front;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use std::sync::Arc;

/// Octets of an id, a time and a list of signatures at most: what is longer is none.
const FIELD_LEN_MAX: usize = 4_096;
/// What the header fields of an event in binary mode begin with (CloudEvents, HTTP binding, section 3.1.3).
const ATTRIBUTE_PREFIX: &str = "ce-";

/// Hand over a post, signed
///
/// Takes one event in, as publishing does, from a partner who signs it (Standard Webhooks: HMAC-SHA256 `v1`, Ed25519 `v1a`). 2xx is
/// said only once it is durable; the same event again changes nothing, and one that went out from here is acknowledged and ignored.
#[utoipa::path(
    post, path = "/api/v1/inbox/{source}", tag = "inbox",
    params(
        ("source" = String, Path, description = "The name of the source in the configuration"),
        ("webhook-id" = String, Header, description = "Names the message, the same at each attempt"),
        ("webhook-timestamp" = String, Header, description = "When this attempt was made, in seconds; five minutes off at most"),
        ("webhook-signature" = String, Header, description = "One or several signatures, parted by spaces"),
    ),
    request_body(
        description = "A CloudEvents 1.0 event in one document, or a bare post in JSON: header fields aren't signed, so attributes there are refused; docs/wire-format.md has the details",
        content(
            (super::openapi::EventDocument = "application/cloudevents+json"),
            (super::openapi::PostDocument = "application/json"),
        )
    ),
    responses(
        (status = 201, description = "A new post", body = Taken),
        (status = 200, description = "Revised, withdrawn, known already, or our own", body = Taken),
        (status = 400, description = "Attributes in header fields, which aren't signed", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No signature matches, or the time is off", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Set aside: it contradicts what came before", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "Set aside: too large", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "Set aside: something in it is wrong", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn take(
    State(front): State<Arc<Front>>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    // That there is no such inbox isn't told: nobody has a key of it.
    let none = Vec::new();
    let keys = front.inboxes.get(&source).unwrap_or(&none);
    let id = verified(&front, keys, &headers, &body).map_err(|untrue| {
        metrics::counter!("allim_inbox_refused_total").increment(1);
        Problem::new(StatusCode::UNAUTHORIZED, "not_signed", &untrue.to_string())
    })?;
    if headers.keys().any(|name| name.as_str().starts_with(ATTRIBUTE_PREFIX)) {
        let detail = "attributes in header fields aren't signed: send the event as one document (application/cloudevents+json), or a bare post";
        return Err(Problem::new(StatusCode::BAD_REQUEST, "not_signed_whole", detail));
    }
    // No header field is signed but the id, which a bare post is known by. So none is read, not even the type of the body: what it is
    // the body itself says.
    let fields = vec![("idempotency-key".to_owned(), id)];
    let incoming = Incoming { source: source.clone(), content_type: None, headers: fields, bytes: body.to_vec() };
    match front.intake.accept_one(incoming).await {
        Ok(receipt) => answer(receipt),
        Err(error) => {
            tracing::warn!(%error, source, "a partner's post could not be stored");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", "nothing was stored; send it again"))
        }
    }
}

/// The id of a message whose signature matches.
fn verified(front: &Front, keys: &[Key], headers: &HeaderMap, body: &[u8]) -> Result<String, Untrue> {
    let field = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.filter(|value| value.len() <= FIELD_LEN_MAX).unwrap_or_default()
    };
    let (id, timestamp, signature) = (field(webhook::ID), field(webhook::TIMESTAMP), field(webhook::SIGNATURE));
    let signed = Signed { id, timestamp, signature };
    webhook::verify(keys, &signed, body, front.clock.now(), webhook::TOLERANCE).map(|()| id.to_owned())
}

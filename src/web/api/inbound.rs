//! Mail that came back, from a mail service that hands it over by HTTP.

use super::{Details, Problem, authorized};
use crate::domain::inbound::{Mail, Via};
use crate::store::inbound::{self, Kept};
use crate::web::Front;
use crate::web::ui::parameter;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use std::sync::Arc;

/// The media type of a mail (RFC 2046 section 5.2.1).
const MAIL: &str = "message/rfc822";

/// Hand over a mail that came back
///
/// A bounce, a complaint or a mail that unsubscribes, as it came. 202 is said only once it is durable; what it is, is found
/// out afterwards. The same mail again changes nothing.
#[utoipa::path(
    post, path = "/api/v1/inbound", tag = "inbound", security(("token" = [])),
    params(("to" = Option<String>, Query, description = "The envelope's recipient; without it, the one that the header names")),
    request_body(content = String, content_type = "message/rfc822", description = "At most 1 MiB"),
    responses(
        (status = 202, description = "Kept"),
        (status = 401, description = "No known token", body = Details, content_type = "application/problem+json"),
        (status = 403, description = "The token has no `inbound = true`", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "Too long; nothing was kept", body = Details, content_type = "application/problem+json"),
        (status = 415, description = "Not a mail", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was kept; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn take(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let token = authorized(&front, &headers)?;
    if !token.inbound {
        let hint = "this token hands over no mail; give its [[intake.token]] `inbound = true`";
        return Err(Problem::new(StatusCode::FORBIDDEN, "not_allowed", hint));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(MAIL) {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_a_mail", "send a mail as message/rfc822"));
    }
    // A plus sign that nobody encoded reads as a space, which stands in no address.
    let to = parameter(query.as_deref(), "to").map(|to| to.replace(' ', "+"));
    let mail = Mail::new(Via::Http, to.as_deref(), body.to_vec())
        .map_err(|error| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &error.to_string()))?;
    let again = |detail: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store_unavailable", detail);
    let kept = match front.store.now().await {
        Ok(now) => front.store.write(move |tx| inbound::keep(tx, &mail, now)).await,
        Err(error) => Err(error),
    };
    match kept {
        Ok(Kept::New | Kept::Known) => Ok(StatusCode::ACCEPTED),
        Ok(Kept::Full) => Err(again("too much mail waits to be read; send it again later")),
        Err(error) => {
            tracing::warn!(%error, token = token.name, "a returned mail could not be kept");
            Err(again("nothing was kept; send it again"))
        }
    }
}

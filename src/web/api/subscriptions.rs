//! Asking for mail in somebody's name: for forms of the institution's own. The holder of the address confirms by mail all the same.

use super::{Details, Problem};
use crate::domain::language::Language;
use crate::web::Front;
use crate::web::people::{Form, answered_in_time, body, may_ask, say};
use crate::web::subscribe::{ask_for, wanted};
use crate::web::ui::Asked;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What is asked for.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct Wanted {
    /// The mail address.
    #[schema(example = "name@example.org")]
    address: String,
    /// Names of topics.
    topics: Vec<String>,
    /// `immediate`, or the name of a digest.
    schedule: String,
    /// An hour of their own, where the digest offers one.
    #[serde(default)]
    #[schema(example = "07:30")]
    hour: String,
    /// The time zone of that hour.
    #[serde(default)]
    #[schema(example = "Asia/Seoul")]
    zone: String,
    /// The language that they read; that of the request when absent.
    #[serde(default)]
    #[schema(example = "ko")]
    language: String,
}

/// The answer, which is the same for every address.
#[derive(Serialize, ToSchema)]
pub(in crate::web) struct Noted {
    /// `asked`: a mail that asks for confirmation is sent, unless the address had one today or may not be written to.
    #[schema(example = "asked")]
    state: &'static str,
}

/// Ask for mail
///
/// Needs no token: nobody is subscribed before the holder of the address presses the button behind the link that they are mailed.
#[utoipa::path(
    post, path = "/api/v1/subscriptions", tag = "subscriptions",
    request_body(content = Wanted, content_type = "application/json"),
    responses(
        (status = 202, description = "Noted; the same for every address", body = Noted),
        (status = 400, description = "Not the JSON that is wanted", body = Details, content_type = "application/problem+json"),
        (status = 413, description = "Too long", body = Details, content_type = "application/problem+json"),
        (status = 422, description = "A field can't be", body = Details, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests from this network", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "Nothing was stored; send it again", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn ask(
    State(front): State<Arc<Front>>,
    request: Request,
) -> Result<(StatusCode, Json<Noted>), Problem> {
    let asked = Asked::new(&front, &request);
    if !may_ask(&front, &request) {
        let detail = "too many requests from this network; try again in an hour";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", detail));
    }
    let too_large = || Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "at most 64 kB");
    let body = body(request).await.ok_or_else(too_large)?;
    let given: Wanted = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "bad_json", &error.to_string()))?;
    let one = |name: &str, value: String| (name.to_owned(), value);
    let fields = [
        one("address", given.address),
        one("schedule", given.schedule),
        one("hour", given.hour),
        one("zone", given.zone),
        one("reads", given.language),
    ];
    let form = Form::of(fields.into_iter().chain(given.topics.into_iter().map(|topic| one("topic", topic))).collect());
    let wanted = wanted(&front, &form, asked.language()).map_err(|fault| {
        let english = Language::parse("en").unwrap_or_else(|_| asked.language().clone());
        let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", fault.words(say(&english)));
        problem.0.path = Some(fault.field().to_owned());
        problem
    })?;
    match answered_in_time(ask_for(&front, wanted, asked.language(), "api")).await {
        Ok(()) => Ok((StatusCode::ACCEPTED, Json(Noted { state: "asked" }))),
        Err(error) => {
            tracing::warn!(%error, "a request for mail could not be stored");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "nothing was stored; send it again"))
        }
    }
}

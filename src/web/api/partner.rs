//! Self-service of partner institutions, by their own tokens: how they do, what they were told, telling it again, new keys, a try. A
//! partner sees itself and nobody else, and can't say where it is told: that is the operator's.

use super::partner_shapes::{Again, PartnerState, SentAgain, ToldInfo, ToldList};
use super::{Details, Problem, bad, token_hash, unavailable};
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::domain::partner::Way;
use crate::store::endpoints::Endpoint;
use crate::store::partners::{self, Partner};
use crate::store::{StoreError, Tx, deliveries, endpoints};
use crate::web::partnership::{Fault, Secrets, Tried};
use crate::web::ui::parameter;
use crate::web::{Front, partnership};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use std::sync::Arc;

/// Deliveries of one answer, unless the request says otherwise, and at most.
const LIMIT_DEFAULT: i64 = 50;
const LIMIT_MAX: i64 = 200;

/// The partner that a request comes from.
///
/// # Errors
/// The answer for those who are none.
pub(super) async fn authorized(front: &Front, headers: &HeaderMap) -> Result<Partner, Problem> {
    let unknown = || {
        let hint = "send `Authorization: Bearer …` with a partner's token, as `allim partner add` prints it";
        Problem::new(StatusCode::UNAUTHORIZED, "not_authorized", hint)
    };
    let hash = token_hash(headers).ok_or_else(unknown)?;
    let found = front.store.read(move |tx| partners::by_token(tx, &hash)).await;
    found.map_err(|error| unavailable(&error))?.ok_or_else(unknown)
}

/// How you do
#[utoipa::path(
    get, path = "/api/v1/partner", tag = "partner", security(("partner" = [])),
    responses(
        (status = 200, description = "The partner whose token this is", body = PartnerState),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn show(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Json<PartnerState>, Problem> {
    let partner = authorized(&front, &headers).await?;
    let look = move |tx: &mut Tx<'_>| state(tx, partner.clone());
    front.store.read(look).await.map(Json).map_err(|error| unavailable(&error))
}

/// A partner with what else is known of it.
pub(super) fn state(tx: &mut Tx<'_>, partner: Partner) -> Result<PartnerState, StoreError> {
    let endpoint = partner.endpoint_id.map(|id| endpoints::find(tx, id)).transpose()?.flatten();
    let waiting = match &endpoint {
        Some(Endpoint { id, carrier, .. }) => deliveries::next_due(tx, &destination::of_endpoint(carrier, *id))?,
        None => None,
    };
    let at = |at: Option<UnixMillis>| at.map(|at| at.to_string());
    Ok(PartnerState {
        way: partner.way.to_string(),
        url: endpoint.filter(|_| partner.way != Way::Pull).map(|endpoint| endpoint.url),
        format: partner.format.to_string(),
        topics: partner.selection.topics,
        languages: partner.selection.languages.iter().map(ToString::to_string).collect(),
        ordering: partner.ordering.to_string(),
        trusted_since: at(partner.embargoed_at),
        contact: partner.contact,
        since: partner.created_at.to_string(),
        paused_since: at(partner.paused_at),
        paused_why: partner.paused_why,
        failing_since: at(partner.failing_since_at),
        ended: at(partner.ended_at),
        waiting_since: at(waiting),
        name: partner.name,
    })
}

/// What you were told
///
/// Deliveries with where each stands and what your side said, the newest first.
#[utoipa::path(
    get, path = "/api/v1/partner/deliveries", tag = "partner", security(("partner" = [])),
    params(
        ("limit" = Option<i64>, Query, description = "How many, 50 unless said otherwise", minimum = 1, maximum = 200),
        ("before" = Option<String>, Query, description = "`next` of the answer before, to go on"),
    ),
    responses(
        (status = 200, description = "Deliveries", body = ToldList),
        (status = 400, description = "A parameter can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn told(
    State(front): State<Arc<Front>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<ToldList>, Problem> {
    let partner = authorized(&front, &headers).await?;
    list(&front, &partner, query.as_deref()).await
}

/// A page of what a partner was told.
pub(super) async fn list(front: &Front, partner: &Partner, query: Option<&str>) -> Result<Json<ToldList>, Problem> {
    let limit = parameter(query, "limit").map_or(Some(LIMIT_DEFAULT), |text| text.parse().ok());
    let limit = limit.filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| bad("limit", "write 1 to 200"))?;
    let place = |text: String| {
        let place =
            text.split_once('-').and_then(|(at, plan)| Some((UnixMillis(at.parse().ok()?), plan.parse().ok()?)));
        place.ok_or_else(|| bad("before", "write the `next` of an answer"))
    };
    let before: Option<(UnixMillis, i64)> = parameter(query, "before").map(place).transpose()?;
    let Some(id) = partner.endpoint_id else { return Ok(Json(ToldList { deliveries: Vec::new(), next: None })) };
    let found = front.store.read(move |tx| partners::told(tx, id, before, limit + 1)).await;
    let mut found = found.map_err(|error| unavailable(&error))?;
    let has_more = found.len() as i64 > limit;
    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| has_more).map(|last| format!("{}-{}", last.planned_at.0, last.plan_id));
    Ok(Json(ToldList { deliveries: found.into_iter().map(info).collect(), next }))
}

fn info(told: partners::Told) -> ToldInfo {
    ToldInfo {
        id: told.id,
        event: told.event,
        post_id: told.post_id,
        revision: told.revision,
        state: told.state,
        reason: told.reason,
        attempts: told.attempts,
        reply: told.reply,
        planned_at: told.planned_at.to_string(),
        due_at: told.due_at.map(|at| at.to_string()),
        finished_at: told.finished_at.map(|at| at.to_string()),
    }
}

/// Be told again
///
/// What was planned since an instant, or what was given up or refused, goes again, in its order and each under the id that it has. What
/// was revised or withdrawn since doesn't: that goes itself.
#[utoipa::path(
    post, path = "/api/v1/partner/replay", tag = "partner", security(("partner" = [])),
    request_body = Again,
    responses(
        (status = 200, description = "How many", body = SentAgain),
        (status = 400, description = "The body can't be", body = Details, content_type = "application/problem+json"),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Nothing is sent to this partner", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn replay(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<SentAgain>, Problem> {
    let partner = authorized(&front, &headers).await?;
    again(&front, &partner.name, &body).await
}

/// Tells a partner again.
pub(super) async fn again(front: &Front, name: &str, body: &Bytes) -> Result<Json<SentAgain>, Problem> {
    let hint = "write {\"since\": \"2026-11-23T10:00:00+09:00\"} or {\"dead\": true}";
    let asked: Again = serde_json::from_slice(body).map_err(|_| bad("", hint))?;
    let since = match (&asked.since, asked.dead) {
        (Some(text), false) => {
            let at: jiff::Timestamp = text.parse().map_err(|_| bad("since", hint))?;
            Some(UnixMillis::from_timestamp(at))
        }
        (None, true) => None,
        _ => return Err(bad("", hint)),
    };
    let deliveries = front.partnership.replay(name, since).await.map_err(fault)?;
    front.planner.tell();
    Ok(Json(SentAgain { deliveries }))
}

/// New keys
///
/// They sign from now on; the keys from before sign beside them until `old_keys_until`. Shown only now.
#[utoipa::path(
    post, path = "/api/v1/partner/keys", tag = "partner", security(("partner" = [])),
    responses(
        (status = 200, description = "The new keys", body = Secrets),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "Nothing is signed for this partner", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn rotate(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
) -> Result<Json<Secrets>, Problem> {
    let partner = authorized(&front, &headers).await?;
    front.partnership.rotate_keys(&partner.name, None).await.map(Json).map_err(fault)
}

/// Try your webhook
///
/// Sends a signed ping (`org.allim.ping.v1`) and says what came back.
#[utoipa::path(
    post, path = "/api/v1/partner/test", tag = "partner", security(("partner" = [])),
    responses(
        (status = 200, description = "What came back, good or bad", body = Tried),
        (status = 401, description = "No partner's token", body = Details, content_type = "application/problem+json"),
        (status = 409, description = "This partner has no webhook", body = Details, content_type = "application/problem+json"),
        (status = 429, description = "Others are trying just now", body = Details, content_type = "application/problem+json"),
        (status = 503, description = "The store doesn't answer", body = Details, content_type = "application/problem+json"),
    )
)]
pub(in crate::web) async fn test(State(front): State<Arc<Front>>, headers: HeaderMap) -> Result<Json<Tried>, Problem> {
    let partner = authorized(&front, &headers).await?;
    ping(&front, &partner.name).await
}

/// Tries a webhook, a few at once.
pub(super) async fn ping(front: &Front, name: &str) -> Result<Json<Tried>, Problem> {
    let Ok(_room) = front.trying.try_acquire() else {
        let hint = "others are trying their webhooks just now; come again in a minute";
        return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many", hint));
    };
    front.partnership.test(name).await.map(Json).map_err(fault)
}

/// What a fault is to whoever asks.
pub(super) fn fault(fault: Fault) -> Problem {
    match fault {
        Fault::Unknown => Problem::new(StatusCode::NOT_FOUND, "unknown_partner", &fault.to_string()),
        Fault::Exists => Problem::new(StatusCode::CONFLICT, "exists", &fault.to_string()),
        Fault::Otherwise(detail) => Problem::new(StatusCode::CONFLICT, "not_possible", detail),
        Fault::Bad(partnership::Broken { field, detail }) => {
            let mut problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", &detail);
            problem.0.path = Some(field.to_owned());
            problem
        }
        Fault::Store(error) => unavailable(&error),
    }
}

//! `POST /websub`: our own hub's door (W3C WebSub section 5.1). What is asked here is believed when the callback confirms it
//! (`send/hub.rs`); what can't be is refused at once, in words.

use super::people::Form;
use super::{Front, client, people};
use crate::domain::feed::WEBSUB;
use crate::guard::Rules;
use crate::render::feed::Which;
use crate::store::endpoints::{New, Secret};
use crate::store::hub::{Mode, Request as Asked};
use crate::store::{StoreError, Tx, endpoints, hub};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A secret must be shorter (section 5.1).
const SECRET_LEN: usize = 200;
/// Requests that wait to be confirmed, at most: each is a question that somebody else's server is asked.
const WAITING_MAX: i64 = 1_000;
/// Of these for callbacks at one host: so nobody takes all the room, nor has us ask one server too often.
const WAITING_AT_HOST_MAX: i64 = 100;
/// The part of all subscriptions that one host may have: one in four.
const HOST_SHARE: i64 = 4;
/// Octets of a callback and of a feed's address at most: both are asked back in one line.
const ADDRESS_LEN_MAX: usize = 1_500;
/// Digits of a lease at most: three hundred years.
const LEASE_DIGITS_MAX: usize = 10;
/// Whoever comes when there is no room comes again after this, in seconds.
const COME_AGAIN_S: &str = "600";

/// What the hub goes by.
pub struct Hub {
    /// What may be asked.
    pub rules: Rules,
    /// How long a subscription lasts that asks for no time.
    pub lease: Duration,
    /// How long one lasts at most.
    pub lease_max: Duration,
    /// How many there may be.
    pub subscribers_max: u32,
    /// Notified when something was asked.
    pub wake: Arc<Notify>,
}

/// Why something is refused, as the answer says it.
type Refusal = (StatusCode, String);

fn wrong(field: &str, reason: impl std::fmt::Display) -> Refusal {
    (StatusCode::BAD_REQUEST, format!("{field}: {reason}\n"))
}

pub(super) async fn ask(State(front): State<Arc<Front>>, request: Request) -> Response {
    let Some(own) = &front.hub else {
        return (StatusCode::NOT_FOUND, "there is no hub here\n").into_response();
    };
    if !front.hub_networks.admit(client::address(&front, &request), front.clock.now()) {
        return busy(StatusCode::TOO_MANY_REQUESTS, "too many requests of your network in this hour\n");
    }
    let is_form = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = is_form.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    if !is_form {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/x-www-form-urlencoded\n").into_response();
    }
    let Some(body) = people::body(request).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "the form is too long\n").into_response();
    };
    let asked = match read(&front, own, &Form::parse(&body)) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    let subscribers_max = i64::from(own.subscribers_max);
    match front.store.write(move |tx| keep(tx, &asked, subscribers_max)).await {
        Ok(true) => {
            own.wake.notify_one();
            StatusCode::ACCEPTED.into_response()
        }
        Ok(false) => busy(StatusCode::SERVICE_UNAVAILABLE, "there are as many subscriptions as there may be\n"),
        Err(error) => {
            tracing::warn!(%error, "a request to the hub could not be kept");
            busy(StatusCode::SERVICE_UNAVAILABLE, "come again in a few minutes\n")
        }
    }
}

fn busy(status: StatusCode, words: &'static str) -> Response {
    (status, [(header::RETRY_AFTER, COME_AGAIN_S)], words).into_response()
}

/// Whether there was room for it.
fn keep(tx: &mut Tx<'_>, asked: &Asked, subscribers_max: i64) -> Result<bool, StoreError> {
    let is_known = endpoints::find(tx, asked.id)?.is_some_and(|endpoint| endpoint.ended_at.is_none());
    // Whoever is there already may always renew and leave.
    if !is_known {
        let host = endpoints::host(&asked.callback);
        let is_full = hub::waiting(tx)?.0 >= WAITING_MAX
            || hub::waiting_at(tx, &host)? >= WAITING_AT_HOST_MAX
            || endpoints::count(tx, WEBSUB)? >= subscribers_max
            || endpoints::count_at(tx, WEBSUB, &host)? >= (subscribers_max / HOST_SHARE).max(1);
        if is_full {
            return Ok(false);
        }
    }
    hub::put(tx, asked)?;
    Ok(true)
}

fn read(front: &Front, own: &Hub, form: &Form) -> Result<Asked, Refusal> {
    let mode = match form.get("hub.mode") {
        "publish" => return Err(wrong("hub.mode", "this hub pushes its own feeds, by itself")),
        "subscribe" => Mode::Subscribe,
        "unsubscribe" => Mode::Unsubscribe,
        _ => return Err(wrong("hub.mode", "write subscribe or unsubscribe")),
    };
    let (callback, topic) = (form.get("hub.callback"), form.get("hub.topic"));
    for (field, text) in [("hub.callback", callback), ("hub.topic", topic)] {
        if text.len() > ADDRESS_LEN_MAX {
            return Err(wrong(field, format!("must not be longer than {ADDRESS_LEN_MAX} octets")));
        }
    }
    own.rules.check(callback).map_err(|refused| wrong("hub.callback", refused))?;
    // One callback has one spelling.
    let callback = url::Url::parse(callback).map_err(|error| wrong("hub.callback", error))?.to_string();
    let subject = subject(front, topic)
        .ok_or_else(|| wrong("hub.topic", format!("no feed of ours: {}/feeds lists them", front.origin)))?;
    let secret = Some(form.raw("hub.secret")).filter(|secret| !secret.is_empty());
    if secret.is_some_and(|secret| secret.len() >= SECRET_LEN) {
        return Err(wrong("hub.secret", "must be shorter than 200 octets"));
    }
    let new = New { carrier: WEBSUB, subject: &subject, url: &callback, secret, until_at: None };
    Ok(Asked {
        id: new.id(),
        mode,
        topic: topic.to_owned(),
        secret: secret.map(|secret| Secret(secret.to_owned())),
        // Whoever leaves may say anything of it (section 5.1).
        lease_s: if mode == Mode::Subscribe { lease(own, form.get("hub.lease_seconds"))? } else { 0 },
        asked_at: front.clock.now(),
        failures: 0,
        callback,
        subject,
    })
}

/// Path and query of the feed that an address means, spelled as we spell it.
fn subject(front: &Front, topic: &str) -> Option<String> {
    let rest = topic.strip_prefix(&front.origin)?;
    let which = Which::at(&front.house, rest)?;
    let url = which.url(&front.house, None);
    which.is_followed().then(|| url.strip_prefix(&front.origin).map(str::to_owned)).flatten()
}

/// The seconds that a subscription will last: those asked for, as far as they are granted. The callback is told which.
fn lease(own: &Hub, asked: &str) -> Result<i64, Refusal> {
    let seconds = |lease: Duration| i64::try_from(lease.as_secs()).unwrap_or(i64::MAX);
    if asked.is_empty() {
        return Ok(seconds(own.lease));
    }
    let is_number = asked.len() <= LEASE_DIGITS_MAX && asked.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<i64> = asked.parse().ok().filter(|number| is_number && *number > 0);
    let number =
        number.ok_or_else(|| wrong("hub.lease_seconds", "write a number of seconds above 0, of 10 digits at most"))?;
    Ok(number.min(seconds(own.lease_max)))
}

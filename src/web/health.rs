//! Whether it lives, whether it can work, and how it does.

use super::Front;
use crate::store::{Tx, accounts, deliveries, identity};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Counting may take so long, less than Prometheus waits: that the database is silent has to be told too.
const COUNTING_MAX: Duration = Duration::from_secs(5);

/// Alive: answers as long as the process does, whatever else is broken.
pub(super) async fn alive() -> &'static str {
    "ok\n"
}

/// Ready: the store answers, and so does what else is needed. The body says if nothing is sent, and why.
pub(super) async fn ready(State(front): State<Arc<Front>>) -> Response {
    if let Some(need) = front.needs.iter().find(|need| !need.met.load(Ordering::SeqCst)) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("{}\n", need.unmet)).into_response();
    }
    match front.store.read(identity::doubts).await {
        Ok(doubts) => {
            // Ready all the same: posts are taken in and pages are shown; only an operator can do something about it.
            let held = doubts.iter().map(|doubt| format!("nothing is sent: {}\n", doubt.reason));
            format!("ready\n{}", held.collect::<String>()).into_response()
        }
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the store doesn't answer\n").into_response()
        }
    }
}

/// Prometheus text format; deliveries by state are counted when asked.
pub(super) async fn metrics(State(front): State<Arc<Front>>) -> Response {
    let count = |tx: &mut Tx<'_>| Ok((deliveries::count(tx)?, accounts::logins_failed(tx)?));
    match tokio::time::timeout(COUNTING_MAX, front.store.read(count)).await {
        Ok(Ok((states, logged_out))) => {
            #[allow(clippy::cast_precision_loss, reason = "a gauge is a double")]
            metrics::gauge!("allim_accounts_logged_out").set(logged_out as f64);
            for (state, count) in states {
                #[allow(clippy::cast_precision_loss, reason = "a gauge is a double")]
                metrics::gauge!("allim_deliveries", "state" => state).set(count as f64);
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "deliveries could not be counted"),
        Err(_) => tracing::warn!("deliveries could not be counted: the database doesn't answer"),
    }
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], (front.metrics)()).into_response()
}

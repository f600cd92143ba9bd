//! Side room: HTTP.

mod api;
mod health;
mod server;

pub use api::Token;
pub use server::{listen, serve};

use crate::intake::Intake;
use crate::intake::wire::MESSAGE_BYTES_MAX;
use crate::store::Store;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Renders the metrics.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Something that must hold before this process is ready, beside the store.
pub struct Need {
    /// What is missing while it doesn't hold, such as `the connection to RabbitMQ`.
    pub what: &'static str,
    /// Whether it holds.
    pub met: Arc<AtomicBool>,
}

/// What the handlers share.
pub struct Front {
    /// The ledger.
    pub store: Store,
    /// The door.
    pub intake: Intake,
    /// Who may publish.
    pub tokens: Vec<Token>,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// What readiness waits for.
    pub needs: Vec<Need>,
}

/// Every route.
pub fn router(front: Arc<Front>) -> Router {
    Router::new()
        .route("/api/v1/posts", post(api::publish))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        // A little more than the limit of the wire format, so that a message beyond it is quarantined with its reason.
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES_MAX * 2))
        .with_state(front)
}

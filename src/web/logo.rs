//! The pictures of the site's theme.

use super::Front;
use super::ui::not_found;
use super::validators::{fixed, value};
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use std::sync::Arc;

/// A picture is looked through at the start (`render/logo.rs`), and here nothing of it could run even if somebody opens it alone.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// One of them, by a name that changes with its content, so that it may be kept for good.
pub(super) async fn serve(State(front): State<Arc<Front>>, Path(name): Path<String>, request: Request) -> Response {
    let all = [&front.theme.logo, &front.theme.logo_dark, &front.icon];
    let Some(logo) = all.into_iter().flatten().find(|logo| logo.name == name) else {
        return not_found(&front, &request);
    };
    let mut headers = fixed([
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A page of the institution's own site, or whoever shows ours as a card, may have it too.
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ]);
    headers.insert(header::CONTENT_TYPE, value(logo.kind.media_type()));
    (headers, logo.bytes.clone()).into_response()
}

//! What pages of the control room load: one style sheet, one script. Their names change with what they hold.

use super::desk::see_other;
use crate::domain::ids;
use crate::render::admin::STYLE;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::LazyLock;

/// htmx 2.0.11 (BSD Zero Clause), as published: pages work without it.
const SCRIPT: &str = include_str!("assets/htmx.min.js");

static STYLE_PATH: LazyLock<String> = LazyLock::new(|| path("admin", STYLE, "css"));
static SCRIPT_PATH: LazyLock<String> = LazyLock::new(|| path("htmx", SCRIPT, "js"));

fn path(name: &str, text: &str, ending: &str) -> String {
    format!("/admin/assets/{name}-{}.{ending}", &ids::content_hash(text.as_bytes())[..12])
}

/// Where the style sheet is.
pub(super) fn style_path() -> &'static str {
    &STYLE_PATH
}

/// Where the script is.
pub(super) fn script_path() -> &'static str {
    &SCRIPT_PATH
}

/// One of both, to be kept for good.
pub(super) async fn serve(Path(file): Path<String>) -> Response {
    let asked = format!("/admin/assets/{file}");
    let (kind, text) = match asked {
        asked if asked == *STYLE_PATH => ("text/css; charset=utf-8", STYLE),
        asked if asked == *SCRIPT_PATH => ("text/javascript; charset=utf-8", SCRIPT),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text).into_response()
}

/// Nothing else lives here.
pub(super) async fn to_overview() -> Response {
    see_other("/admin")
}

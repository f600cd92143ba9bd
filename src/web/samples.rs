//! The pictures of the quickstart's sample posts. There are none in a real installation.

use super::{Front, ui};
use axum::body::Bytes;
use axum::extract::{Path, Request, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A picture in memory.
pub struct Sample {
    /// Its media type.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Bytes,
}

/// Shows one picture.
pub(super) async fn picture(State(front): State<Arc<Front>>, Path(name): Path<String>, request: Request) -> Response {
    match front.samples.get(&name) {
        Some(sample) => {
            let headers = [(header::CONTENT_TYPE, sample.media_type), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
            (headers, sample.bytes.clone()).into_response()
        }
        None => ui::not_found(&front, &request),
    }
}

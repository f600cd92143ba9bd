//! `GET /media/{hash}` and `/media/{hash}/{name}`: copies of what posts show, as long as one of these may be shown. An address means the same
//! octets for ever; what it leads to may be withdrawn, so caches ask again after a day.

use super::validators::{fixed, is_known, value};
use super::{Front, ui};
use crate::intake::media::{is_hash, path};
use crate::store::media;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use std::sync::Arc;
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// Octets read from a file at once.
const CHUNK_LEN: usize = 64 * 1024;
/// Types that are told as they are. Pictures are shown, in a page that nothing can run in; everything else is stored: no browser
/// shows a document in such a page.
const TOLD: [&str; 5] = ["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf"];

pub(super) async fn named(
    front: State<Arc<Front>>,
    Path((hash, _)): Path<(String, String)>,
    request: Request,
) -> Response {
    serve(front, Path(hash), request).await
}

pub(super) async fn serve(State(front): State<Arc<Front>>, Path(hash): Path<String>, request: Request) -> Response {
    let Some(folder) = front.media_folder.as_deref().filter(|_| is_hash(&hash)) else {
        return ui::not_found(&front, &request);
    };
    let asked = hash.clone();
    let media_type = match front.store.read(move |tx| media::shown(tx, &asked)).await {
        Ok(Some(shown)) => shown,
        Ok(None) => return ui::not_found(&front, &request),
        Err(error) => {
            tracing::warn!(%error, "a copy could not be looked up");
            return ui::unavailable(&front, &request);
        }
    };
    let etag = format!("\"{hash}\"");
    let mut headers = fixed([
        (header::CACHE_CONTROL, "public, max-age=86400"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
        (header::ACCEPT_RANGES, "none"),
    ]);
    headers.insert(header::ETAG, value(&etag));
    if is_known(request.headers(), &etag, None) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let opened = match File::open(path(folder, &hash)).await {
        Ok(file) => file.metadata().await.map(|about| (file, about.len())),
        Err(error) => Err(error),
    };
    let (file, length) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            tracing::warn!(%error, hash, "a copy is missing in media.folder");
            return ui::not_found(&front, &request);
        }
    };
    let kind = TOLD.into_iter().find(|told| *told == media_type).unwrap_or("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if !kind.starts_with("image/") {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    (headers, Body::from_stream(chunks(file))).into_response()
}

fn chunks(file: File) -> impl stream::Stream<Item = std::io::Result<Bytes>> {
    stream::unfold(Some(file), |file| async move {
        let mut file = file?;
        let mut chunk = vec![0; CHUNK_LEN];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(count) => {
                chunk.truncate(count);
                Some((Ok(Bytes::from(chunk)), Some(file)))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

//! A feed as it is served: compressed once, its headers written once.

use crate::domain::clock::UnixMillis;
use crate::render::feed::Format;
use crate::web::validators::{date, etag, fixed, is_known, rounded_up, takes_gzip, value};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

/// Readers may keep a feed this long without asking.
const CACHE_CONTROL: &str = "public, max-age=60";

/// A feed that was made.
pub(super) struct Made {
    /// Where the change counter stood.
    pub head: i64,
    plain: Representation,
    gzip: Option<Representation>,
    last_modified: Option<UnixMillis>,
}

struct Representation {
    bytes: Bytes,
    etag: String,
    headers: HeaderMap,
    /// The heads of 200 and 304 as they are written, all but the date and the empty line.
    whole: Bytes,
    known: Bytes,
}

/// An answer as it is written: the head without its date and its empty line, and the body.
pub(in crate::web) struct Raw {
    pub head: Bytes,
    pub body: Bytes,
}

impl Made {
    /// A feed of these bytes.
    pub(super) fn new(format: Format, bytes: Vec<u8>, head: i64, changed_at: Option<UnixMillis>) -> Self {
        let last_modified = changed_at.map(rounded_up);
        let gzip = compress(&bytes).filter(|gzip| gzip.len() < bytes.len());
        let gzip = gzip.map(|gzip| Representation::new(format, etag(&bytes, "-gz"), gzip, true, last_modified));
        let plain = Representation::new(format, etag(&bytes, ""), bytes, false, last_modified);
        Self { head, plain, gzip, last_modified }
    }

    fn choose(&self, asked: &HeaderMap) -> &Representation {
        self.gzip.as_ref().filter(|_| takes_gzip(asked)).unwrap_or(&self.plain)
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, asked: &HeaderMap, now: UnixMillis) -> Response {
        let chosen = self.choose(asked);
        // A server may not tell a date that is still to come (RFC 9110 section 8.8.2.1).
        let last_modified = self.last_modified.filter(|at| *at <= now);
        let is_known = is_known(asked, &chosen.etag, last_modified);
        let body = if is_known { Body::empty() } else { Body::from(chosen.bytes.clone()) };
        let mut response = Response::new(body);
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        *response.headers_mut() = chosen.headers.clone();
        if last_modified.is_none() {
            response.headers_mut().remove(header::LAST_MODIFIED);
        }
        response
    }

    /// The same as it is written; `None` in the second in which its date is still to come.
    pub(super) fn raw(&self, asked: &HeaderMap, now: UnixMillis) -> Option<Raw> {
        if self.last_modified.is_some_and(|at| at > now) {
            return None;
        }
        let chosen = self.choose(asked);
        Some(if is_known(asked, &chosen.etag, self.last_modified) {
            Raw { head: chosen.known.clone(), body: Bytes::new() }
        } else {
            Raw { head: chosen.whole.clone(), body: chosen.bytes.clone() }
        })
    }
}

impl Representation {
    fn new(format: Format, etag: String, bytes: Vec<u8>, is_gzip: bool, last_modified: Option<UnixMillis>) -> Self {
        let media_type = match format {
            Format::Rss => "application/rss+xml; charset=utf-8",
            Format::Atom => "application/atom+xml; charset=utf-8",
            Format::Json => "application/feed+json; charset=utf-8",
        };
        let mut headers = fixed([
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, CACHE_CONTROL),
            (header::VARY, "accept-encoding"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Feed readers that run in a browser may read it; there is nothing in it that isn't public.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        ]);
        if is_gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        headers.insert(header::ETAG, value(&etag));
        if let Some(at) = last_modified {
            headers.insert(header::LAST_MODIFIED, value(&date(at)));
        }
        let known = written("304 Not Modified", &headers);
        let mut whole = written("200 OK", &headers);
        whole.extend_from_slice(format!("content-length: {}\r\n", bytes.len()).as_bytes());
        Self { bytes: bytes.into(), etag, headers, whole: whole.into(), known: known.into() }
    }
}

/// Status line and header fields (RFC 9112 sections 4 and 5).
fn written(status: &str, headers: &HeaderMap) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head
}

fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

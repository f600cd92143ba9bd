//! A feed as it is served: compressed once, its headers written once, with a memory of what it said before.

use super::write::Written;
use crate::domain::clock::UnixMillis;
use crate::render::feed::Kind;
use crate::web::validators::{Coding, codings, date, etag, fixed, is_known, rounded_up, value};
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Readers may keep a feed for a minute without asking, and caches may show it for ten more while they ask (RFC 5861).
const CACHE_CONTROL: &str = "public, max-age=60, stale-while-revalidate=600";
/// Only caches that know what it is may keep a part (RFC 3229 section 10.8.1).
const CACHE_CONTROL_DELTA: &str = "no-store, im, max-age=60";
/// Earlier versions of a feed that are remembered: of each only ids and dates.
const VERSIONS_MAX: usize = 16;
/// How hard Brotli tries, of 11: above, it takes ten times as long for a few percent.
const BROTLI_QUALITY: u32 = 9;
const BROTLI_WINDOW: u32 = 22;
const BROTLI_BUFFER_LEN: usize = 4_096;

/// A feed that was made.
pub(super) struct Made {
    /// Where the change counter stood.
    pub head: i64,
    plain: Representation,
    gzip: Option<Representation>,
    brotli: Option<Representation>,
    last_modified: Option<UnixMillis>,
    /// The header field that leads to the hubs, where there is one.
    link: Option<HeaderValue>,
    version: Arc<Version>,
    earlier: Vec<Arc<Version>>,
    /// What is new since an earlier version, by its ETag, as far as anybody has asked.
    deltas: Mutex<BTreeMap<String, Arc<Made>>>,
}

/// What a feed held.
pub(super) struct Version {
    /// The ETag of the plain document without its quotes.
    tag: String,
    /// The posts in it, each with the date of its last revision.
    entries: Vec<(String, UnixMillis)>,
}

impl Version {
    /// Whether it had this post as it is.
    pub(super) fn holds(&self, post_id: &str, updated_at: UnixMillis) -> bool {
        self.entries.iter().any(|(id, at)| id == post_id && *at == updated_at)
    }
}

struct Representation {
    bytes: Bytes,
    etag: String,
    status: StatusCode,
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
    /// A feed as it was written, when the change counter stood at `head`.
    pub(super) fn new(kind: Kind, written: Written, head: i64, changed_at: Option<UnixMillis>) -> Self {
        let tag = etag(&written.bytes, "").trim_matches('"').to_owned();
        let version = Version { tag, entries: written.entries };
        let link = written.link.as_deref().map(value);
        Self::with(StatusCode::OK, kind, written.bytes, head, changed_at.map(rounded_up), link, version)
    }

    fn with(
        status: StatusCode,
        kind: Kind,
        bytes: Vec<u8>,
        head: i64,
        last_modified: Option<UnixMillis>,
        link: Option<HeaderValue>,
        version: Version,
    ) -> Self {
        let written = |coding: Coding, bytes: Vec<u8>| {
            let suffix = match coding {
                Coding::Identity => "",
                Coding::Gzip => "-gz",
                Coding::Brotli => "-br",
            };
            let etag = format!("\"{}{suffix}\"", version.tag);
            Representation::new(status, kind, etag, bytes, coding, last_modified, link.as_ref())
        };
        let shorter = |packed: &Vec<u8>| packed.len() < bytes.len();
        let gzip = gzip(&bytes).filter(shorter).map(|packed| written(Coding::Gzip, packed));
        let brotli = brotli(&bytes).filter(shorter).map(|packed| written(Coding::Brotli, packed));
        let plain = written(Coding::Identity, bytes);
        let (version, deltas) = (Arc::new(version), Mutex::default());
        Self { head, plain, gzip, brotli, last_modified, link, version, earlier: Vec::new(), deltas }
    }

    /// The same, with the memory of the one that it takes the place of.
    pub(super) fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before {
            let all = std::iter::once(&before.version).chain(&before.earlier);
            let others = all.filter(|version| version.tag != self.version.tag);
            self.earlier = others.take(VERSIONS_MAX).cloned().collect();
        }
        self
    }

    /// The earlier version that had this ETag, in whichever coding.
    pub(super) fn earlier(&self, tag: &str) -> Option<Arc<Version>> {
        let tag = tag.strip_prefix('"')?.strip_suffix('"')?;
        let tag = tag.strip_suffix("-gz").or_else(|| tag.strip_suffix("-br")).unwrap_or(tag);
        self.earlier.iter().find(|version| version.tag == tag).cloned()
    }

    /// What is new since an earlier version, if it was made.
    pub(super) fn delta(&self, known: &Version) -> Option<Arc<Self>> {
        self.deltas.lock().unwrap_or_else(PoisonError::into_inner).get(&known.tag).cloned()
    }

    /// Keeps what is new since an earlier version. It has the ETag of the whole feed, of which the client has the rest.
    pub(super) fn keep_delta(&self, known: &Version, kind: Kind, bytes: Vec<u8>) -> Arc<Self> {
        let version = Version { tag: self.version.tag.clone(), entries: Vec::new() };
        let (status, link) = (StatusCode::IM_USED, self.link.clone());
        let delta = Self::with(status, kind, bytes, self.head, self.last_modified, link, version);
        let delta = Arc::new(delta);
        self.deltas.lock().unwrap_or_else(PoisonError::into_inner).insert(known.tag.clone(), delta.clone());
        delta
    }

    /// The octets that it takes up.
    pub(super) fn octets(&self) -> usize {
        let packed = [&self.gzip, &self.brotli].into_iter().flatten().map(|packed| packed.bytes.len());
        self.plain.bytes.len() + packed.sum::<usize>()
    }

    fn choose(&self, asked: &HeaderMap) -> &Representation {
        let of = |coding: Coding| match coding {
            Coding::Identity => Some(&self.plain),
            Coding::Gzip => self.gzip.as_ref(),
            Coding::Brotli => self.brotli.as_ref(),
        };
        codings(asked).into_iter().flatten().find_map(of).unwrap_or(&self.plain)
    }

    /// The answer to a request with these headers.
    pub(super) fn answer(&self, asked: &HeaderMap, now: UnixMillis) -> Response {
        let chosen = self.choose(asked);
        // A server may not tell a date that is still to come (RFC 9110 section 8.8.2.1).
        let last_modified = self.last_modified.filter(|at| *at <= now);
        let is_known = is_known(asked, &chosen.etag, last_modified);
        let body = if is_known { Body::empty() } else { Body::from(chosen.bytes.clone()) };
        let mut response = Response::new(body);
        *response.status_mut() = if is_known { StatusCode::NOT_MODIFIED } else { chosen.status };
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
    fn new(
        status: StatusCode,
        kind: Kind,
        etag: String,
        bytes: Vec<u8>,
        coding: Coding,
        last_modified: Option<UnixMillis>,
        link: Option<&HeaderValue>,
    ) -> Self {
        let is_delta = status == StatusCode::IM_USED;
        let mut headers = fixed([
            (header::CACHE_CONTROL, if is_delta { CACHE_CONTROL_DELTA } else { CACHE_CONTROL }),
            (header::VARY, if is_delta { "accept-encoding, a-im, if-none-match" } else { "accept-encoding, a-im" }),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // Feed readers that run in a browser may read it; there is nothing in it that isn't public.
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, "etag, im"),
        ]);
        headers.insert(header::CONTENT_TYPE, value(&format!("{}; charset=utf-8", kind.media_type())));
        match coding {
            Coding::Identity => None,
            Coding::Gzip => headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip")),
            Coding::Brotli => headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br")),
        };
        if is_delta {
            headers.insert(HeaderName::from_static("im"), HeaderValue::from_static("feed"));
        }
        headers.insert(header::ETAG, value(&etag));
        if let Some(link) = link {
            headers.insert(header::LINK, link.clone());
        }
        if let Some(at) = last_modified {
            headers.insert(header::LAST_MODIFIED, value(&date(at)));
        }
        let known = written("304 Not Modified", &headers);
        let mut whole = written("200 OK", &headers);
        whole.extend_from_slice(format!("content-length: {}\r\n", bytes.len()).as_bytes());
        Self { bytes: bytes.into(), etag, status, headers, whole: whole.into(), known: known.into() }
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

fn gzip(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

fn brotli(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = brotli::CompressorWriter::new(Vec::new(), BROTLI_BUFFER_LEN, BROTLI_QUALITY, BROTLI_WINDOW);
    encoder.write_all(bytes).ok()?;
    encoder.flush().ok()?;
    Some(encoder.into_inner())
}

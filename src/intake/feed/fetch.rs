//! Asking for a feed: only for what changed, by the guard, through a few redirections, each judged as the first address.

use super::Followed;
use crate::domain::clock::UnixMillis;
use crate::guard::{Answer, Call, Failure, Guard};
use crate::store::pulled::Feed;
use flate2::read::MultiGzDecoder;
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderName, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, LOCATION,
};
use std::io::Read as _;
use std::time::Duration;

/// Octets of a feed at most, unpacked: a thousand long articles.
pub const FEED_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Redirections that are followed.
const REDIRECTIONS_MAX: usize = 3;
/// Octets of a validator that are kept: servers that write more get none back.
const VALIDATOR_LEN_MAX: usize = 1_024;

/// What came.
pub(super) enum Fetched {
    /// Nothing has changed.
    Unchanged(Told),
    /// The feed.
    Whole(Document, Told),
    /// There is none, and there will be none.
    Gone,
}

/// A feed as it came.
pub(super) struct Document {
    /// Unpacked.
    pub bytes: Vec<u8>,
    /// As the server said.
    pub content_type: Option<String>,
    /// Where it was, in the end: what its links are relative to.
    pub url: String,
}

/// What the server said for the next time.
#[derive(Default)]
pub(super) struct Told {
    pub moved_to: Option<String>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// How long this stays as it is.
    pub max_age: Option<Duration>,
}

/// Why nothing came.
pub(super) struct Missing {
    pub why: String,
    /// As the server asked.
    pub retry_at: Option<UnixMillis>,
}

impl Missing {
    pub(super) fn new(why: impl ToString) -> Self {
        Self { why: why.to_string(), retry_at: None }
    }
}

/// Asks for a feed.
pub(super) async fn fetch(
    guard: &Guard,
    followed: &Followed,
    feed: &Feed,
    now: UnixMillis,
) -> Result<Fetched, Missing> {
    let mut url = feed.moved_to.clone().unwrap_or_else(|| followed.url.clone());
    let (mut moved_to, mut is_for_good) = (feed.moved_to.clone(), true);
    for _ in 0..=REDIRECTIONS_MAX {
        let answer = ask(guard, feed, &url).await.map_err(|failure| match failure {
            Failure::Refused(refused) => Missing::new(format!("{refused}; see [outgoing]")),
            other => Missing::new(other),
        })?;
        let next = answer.header(&LOCATION).and_then(|next| url::Url::parse(&url).ok()?.join(next).ok());
        match (answer.status, next) {
            (301 | 302 | 303 | 307 | 308, Some(mut next)) => {
                // A fragment is the browser's business.
                next.set_fragment(None);
                is_for_good &= matches!(answer.status, 301 | 308);
                url = next.into();
                if is_for_good {
                    moved_to = Some(url.clone());
                }
            }
            (200, _) => return whole(answer, url, moved_to),
            (304, _) => {
                let kept = Told { etag: feed.etag.clone(), last_modified: feed.last_modified.clone(), ..told(&answer) };
                return Ok(Fetched::Unchanged(Told { moved_to, ..kept }));
            }
            (410, _) => return Ok(Fetched::Gone),
            (status, _) => {
                return Err(Missing { why: format!("it was answered {status}"), retry_at: answer.retry_at(now) });
            }
        }
    }
    Err(Missing::new("it leads elsewhere again and again"))
}

async fn ask(guard: &Guard, feed: &Feed, url: &str) -> Result<Answer, Failure> {
    let accepted = "application/atom+xml, application/rss+xml, application/feed+json, application/json;q=0.9, \
                    application/xml;q=0.8, text/xml;q=0.8, */*;q=0.1";
    let mut headers: Vec<(HeaderName, String)> =
        vec![(ACCEPT, accepted.to_owned()), (ACCEPT_ENCODING, "gzip".to_owned())];
    headers.extend(feed.etag.clone().map(|etag| (IF_NONE_MATCH, etag)));
    headers.extend(feed.last_modified.clone().map(|date| (IF_MODIFIED_SINCE, date)));
    let method = reqwest::Method::GET;
    guard.call(Call { method, url, headers, body: Vec::new(), answer_max: FEED_BYTES_MAX }).await
}

fn whole(answer: Answer, url: String, moved_to: Option<String>) -> Result<Fetched, Missing> {
    if answer.is_cut {
        return Err(Missing::new(too_large()));
    }
    if answer.is_broken {
        return Err(Missing::new("it broke off, or took too long"));
    }
    let told = Told { moved_to, ..told(&answer) };
    let content_type = answer.header(&CONTENT_TYPE).map(str::to_owned);
    let packed = answer.header(&CONTENT_ENCODING).map(|encoding| encoding.trim().to_ascii_lowercase());
    let bytes = match packed.as_deref() {
        None | Some("" | "identity") => answer.body,
        Some("gzip" | "x-gzip") => unpacked(&answer.body)?,
        Some(_) => return Err(Missing::new("it is packed in a way that nobody asked for")),
    };
    Ok(Fetched::Whole(Document { bytes, content_type, url }, told))
}

/// A little that unpacks to a great deal ends at the limit.
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Missing> {
    let mut out = Vec::new();
    let read = MultiGzDecoder::new(bytes).take(FEED_BYTES_MAX as u64 + 1).read_to_end(&mut out);
    read.map_err(|_| Missing::new("it can't be unpacked"))?;
    if out.len() > FEED_BYTES_MAX { Err(Missing::new(too_large())) } else { Ok(out) }
}

fn too_large() -> String {
    format!("it is larger than {} MiB", FEED_BYTES_MAX / 1024 / 1024)
}

fn told(answer: &Answer) -> Told {
    let validator = |name| answer.header(name).filter(|value| value.len() <= VALIDATOR_LEN_MAX).map(str::to_owned);
    let max_age = answer.header(&CACHE_CONTROL).and_then(|line| {
        let directive =
            |part: &str| part.trim().strip_prefix("max-age=").map(|value| value.trim_matches('"').to_owned());
        line.split(',').find_map(directive)?.parse::<u32>().ok()
    });
    Told {
        moved_to: None,
        etag: validator(&ETAG),
        last_modified: validator(&LAST_MODIFIED),
        max_age: max_age.map(|seconds| Duration::from_secs(u64::from(seconds))),
    }
}

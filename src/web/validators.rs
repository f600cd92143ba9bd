//! Conditional requests and compression (RFC 9110 sections 8.8, 12.5.3 and 13).

use crate::domain::clock::UnixMillis;
use crate::domain::ids::content_hash;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Hexadecimal digits of an ETag: 128 bits.
const ETAG_LEN: usize = 32;

/// A strong ETag, in its quotes: equal bytes have equal ones. `suffix` tells the encodings of one document apart.
pub(super) fn etag(bytes: &[u8], suffix: &str) -> String {
    format!("\"{}{suffix}\"", &content_hash(bytes)[..ETAG_LEN])
}

/// Whether the client has this representation already.
pub(super) fn is_known(headers: &HeaderMap, etag: &str, last_modified: Option<UnixMillis>) -> bool {
    let mut asked = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if asked.peek().is_some() {
        // With If-None-Match the date doesn't count (RFC 9110 section 13.1.3).
        return asked.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == etag
        });
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|line| line.to_str().ok()).and_then(read_date);
    matches!((since, last_modified), (Some(since), Some(at)) if at <= since)
}

/// Whether the client takes gzip.
pub(super) fn takes_gzip(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let mut any = None;
    for part in lines.flat_map(|line| line.split(',')) {
        let (coding, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
        match coding.trim() {
            "gzip" | "x-gzip" => return weight > 0.0,
            "*" => any = Some(weight > 0.0),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// An HTTP date of whole seconds, never before the instant itself: a change later in the same second must not look
/// as if the client had it already.
pub(super) fn rounded_up(at: UnixMillis) -> UnixMillis {
    UnixMillis(at.0.saturating_add(999).div_euclid(1_000) * 1_000)
}

/// As HTTP writes dates (RFC 9110 section 5.6.7).
pub(super) fn date(at: UnixMillis) -> String {
    at.timestamp().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn read_date(text: &str) -> Option<UnixMillis> {
    let read = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text);
    read.ok().map(UnixMillis::from_timestamp)
}

/// A header value that we made of ASCII ourselves.
pub(super) fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// Headers of which the values are known while compiling.
pub(super) fn fixed<const N: usize>(list: [(HeaderName, &'static str); N]) -> HeaderMap {
    list.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, text: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, value(text))])
    }

    #[test]
    fn what_the_client_has_is_recognised() {
        let tag = etag(b"feed", "-gz");
        let asked = |text: &str| is_known(&headers(header::IF_NONE_MATCH, text), &tag, Some(UnixMillis(0)));
        assert!(asked(&tag) && asked(&format!("W/{tag}")) && asked(&format!("\"other\", {tag}")) && asked("*"));
        assert!(!asked("\"other\"") && !asked(&etag(b"feed", "")));
        let since =
            |text: &str| is_known(&headers(header::IF_MODIFIED_SINCE, text), &tag, Some(UnixMillis(784_111_777_000)));
        assert!(since("Sun, 06 Nov 1994 08:49:37 GMT") && since("Sun, 06 Nov 1994 08:49:38 GMT"));
        assert!(!since("Sun, 06 Nov 1994 08:49:36 GMT") && !since("yesterday"));
        assert_eq!(date(UnixMillis(784_111_777_000)), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(rounded_up(UnixMillis(784_111_776_001)), UnixMillis(784_111_777_000));
        assert_eq!(rounded_up(UnixMillis(784_111_777_000)), UnixMillis(784_111_777_000));
    }

    #[test]
    fn gzip_only_for_those_who_take_it() {
        let takes = |text: &str| takes_gzip(&headers(header::ACCEPT_ENCODING, text));
        assert!(takes("gzip") && takes("br, gzip;q=0.5") && takes("*") && takes("deflate, gzip, br"));
        assert!(!takes("gzip;q=0") && !takes("identity") && !takes("*, gzip;q=0") && !takes("*;q=0"));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}

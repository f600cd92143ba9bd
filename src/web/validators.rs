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
    if headers.contains_key(header::IF_NONE_MATCH) {
        // With If-None-Match the date doesn't count (RFC 9110 section 13.1.3).
        return asked_tags(headers).any(|tag| tag == "*" || tag == etag);
    }
    let since = headers.get(header::IF_MODIFIED_SINCE).and_then(|line| line.to_str().ok()).and_then(read_date);
    matches!((since, last_modified), (Some(since), Some(at)) if at <= since)
}

/// The ETags of the copies that the client has, without the mark of weak ones.
pub(super) fn asked_tags(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|tag| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag)
    })
}

/// How something may be sent (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As it is.
    Identity,
    Gzip,
    Brotli,
}

/// Those that the client takes, the one it likes best first; of equals the one that is shorter.
pub(super) fn codings(headers: &HeaderMap) -> [Option<Coding>; 2] {
    let lines = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|line| line.to_str().ok());
    let (mut gzip, mut brotli, mut any) = (None, None, None);
    for (coding, weight) in lines.flat_map(|line| line.split(',')).map(weight) {
        match coding {
            "gzip" | "x-gzip" => gzip = Some(weight),
            "br" => brotli = Some(weight),
            "*" => any = Some(weight),
            _ => {}
        }
    }
    let taken = |weight: Option<f32>| weight.or(any).filter(|weight| *weight > 0.0);
    match (taken(brotli), taken(gzip)) {
        (Some(brotli), Some(gzip)) if gzip > brotli => [Some(Coding::Gzip), Some(Coding::Brotli)],
        (Some(_), Some(_)) => [Some(Coding::Brotli), Some(Coding::Gzip)],
        (Some(_), None) => [Some(Coding::Brotli), None],
        (None, Some(_)) => [Some(Coding::Gzip), None],
        (None, None) => [None, None],
    }
}

/// A member of a list with its weight (RFC 9110 section 12.4.2).
pub(super) fn weight(part: &str) -> (&str, f32) {
    let (name, parameters) = part.split_once(';').unwrap_or((part, ""));
    let weight = parameters.trim().strip_prefix("q=").map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or(0.0));
    (name.trim(), weight)
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
    fn codings_only_for_those_who_take_them() {
        use Coding::{Brotli, Gzip};
        let takes = |text: &str| codings(&headers(header::ACCEPT_ENCODING, text));
        assert_eq!(takes("gzip"), [Some(Gzip), None]);
        assert_eq!(takes("deflate, gzip, br"), [Some(Brotli), Some(Gzip)]);
        assert_eq!(takes("br;q=0.5, gzip"), [Some(Gzip), Some(Brotli)]);
        assert_eq!(takes("br, gzip;q=0.5"), [Some(Brotli), Some(Gzip)]);
        assert_eq!(takes("*"), [Some(Brotli), Some(Gzip)]);
        assert_eq!(takes("*, br;q=0"), [Some(Gzip), None]);
        for none in ["gzip;q=0", "identity", "*;q=0", "br;q=0, gzip;q=x"] {
            assert_eq!(takes(none), [None, None], "{none}");
        }
        assert_eq!(codings(&HeaderMap::new()), [None, None]);
    }
}

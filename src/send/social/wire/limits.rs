//! When a limit ends, as header fields tell it: `Retry-After`, else the fields that many have of their own.

use crate::domain::clock::UnixMillis;
use crate::guard::Answer;
use reqwest::header::{HeaderName, RETRY_AFTER};

/// Mastodon's, an instant as ISO 8601 writes it, and Bluesky's, in seconds since 1970; others write seconds from now.
static RESETS: [HeaderName; 2] =
    [HeaderName::from_static("x-ratelimit-reset"), HeaderName::from_static("ratelimit-reset")];
/// Seconds since 1970 that are an instant; fewer are a wait.
const INSTANT_MIN: i64 = 1_000_000_000;

/// When to try again. Without the time of now, what counts from now is told by nothing.
pub(super) fn retry_at(answer: &Answer, now: Option<UnixMillis>) -> Option<UnixMillis> {
    let is_wait = answer.header(&RETRY_AFTER).is_some_and(|text| text.trim().parse::<u32>().is_ok());
    let told = answer.retry_at(now.unwrap_or_default()).filter(|_| now.is_some() || !is_wait);
    told.or_else(|| {
        let texts = RESETS.iter().filter_map(|name| answer.header(name)).filter(|_| answer.status == 429);
        let ends = texts.filter_map(|text| reset(text.trim(), now)).max();
        ends.filter(|ends| now.is_none_or(|now| now < *ends))
    })
}

fn reset(text: &str, now: Option<UnixMillis>) -> Option<UnixMillis> {
    match text.parse::<i64>() {
        Ok(seconds) if seconds >= INSTANT_MIN => Some(UnixMillis(seconds.saturating_mul(1_000))),
        Ok(seconds) => Some(now?.plus(std::time::Duration::from_secs(u64::try_from(seconds).ok()?))),
        Err(_) => text.parse().ok().map(UnixMillis::from_timestamp),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::{HeaderMap, HeaderValue};

    fn at(name: &'static str, text: &str, now: Option<i64>) -> Option<i64> {
        let headers = HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_str(text).unwrap())]);
        let answer = Answer { status: 429, body: Vec::new(), is_cut: false, is_broken: false, headers };
        retry_at(&answer, now.map(UnixMillis)).map(|at| at.0)
    }

    #[test]
    fn limits_end_when_the_network_says_and_never_in_1970() {
        let now = Some(1_795_428_000_000);
        assert_eq!(at("x-ratelimit-reset", "2026-11-23T10:05:00.000000Z", now), Some(1_795_428_300_000));
        assert_eq!(at("ratelimit-reset", "1795428300", now), Some(1_795_428_300_000));
        assert_eq!(at("ratelimit-reset", "300", now), Some(1_795_428_300_000));
        assert_eq!(at("retry-after", "60", now), Some(1_795_428_060_000));
        assert_eq!(at("x-ratelimit-reset", "2020-01-01T00:00:00Z", now), None);
        for (name, text) in [("retry-after", "60"), ("ratelimit-reset", "300"), ("x-ratelimit-reset", "soon")] {
            assert_eq!(at(name, text, None), None, "{name}");
        }
        assert_eq!(at("retry-after", "Mon, 23 Nov 2026 10:00:00 GMT", None), now);
        assert_eq!(at("ratelimit-reset", "1795428300", None), Some(1_795_428_300_000));
    }
}

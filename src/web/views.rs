//! How often posts are looked at, without cookies and without keeping who looked.
//!
//! "No GET changes anything" (design rule 16) holds all the same: a count is a statistic about requests, like those of `/metrics`. No
//! answer to anybody's question and no mail depends on it, and a lost one is no loss.

use super::{Front, client};
use crate::domain::clock::Chance;
use crate::domain::{ids, visit};
use crate::store::{Store, views};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// Who looks at the same post again within a day counts once.
const DAY_MS: i64 = 86_400_000;
/// Visits remembered at most, at 8 octets each. Beyond them all are forgotten, and who comes again that day counts again.
const VISITS_MAX: usize = 500_000;
/// Posts whose views wait to be written; what is looked at beyond them until then isn't counted.
const WAITING_MAX: usize = 10_000;
/// Views are written this often: one small transaction, however many look.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Words of programs that look at pages for themselves, in their `User-Agent`. Short on purpose: those that hide aren't found by a long
/// list either.
const BOT_WORDS: [&str; 14] = [
    "bot",
    "crawl",
    "spider",
    "slurp",
    "preview",
    "fetch",
    "monitor",
    "headless",
    "curl",
    "wget",
    "python",
    "java/",
    "scan",
    "externalhit",
];

/// What was looked at lately.
pub(super) struct Views(Option<Mutex<Seen>>);

struct Seen {
    /// The day that the key is for, counted from 1970 in UTC.
    day: i64,
    /// Made anew each day and kept nowhere: what was hashed with it can't be told from chance afterwards.
    key: String,
    visits: HashSet<u64>,
    waiting: BTreeMap<String, i64>,
}

impl Views {
    pub(super) fn new(is_counting: bool) -> Self {
        let seen =
            || Mutex::new(Seen { day: -1, key: String::new(), visits: HashSet::new(), waiting: BTreeMap::new() });
        Self(is_counting.then(seen))
    }

    pub(super) fn is_counting(&self) -> bool {
        self.0.is_some()
    }

    /// Counts somebody's look at a post, unless they looked before on this day.
    fn look(&self, who: (IpAddr, &str), post_id: &str, now_ms: i64, chance: &dyn Chance) {
        let Some(seen) = &self.0 else { return };
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now_ms.div_euclid(DAY_MS);
        if seen.day != day || seen.visits.len() >= VISITS_MAX {
            let words: Vec<u8> = (0..4).flat_map(|_| chance.draw().to_be_bytes()).collect();
            (seen.day, seen.key) = (day, ids::hex(&words));
            seen.visits.clear();
        }
        let visit = visit::hash(&seen.key, who.0, who.1, post_id);
        let is_known = seen.waiting.contains_key(post_id);
        if (is_known || seen.waiting.len() < WAITING_MAX) && seen.visits.insert(visit) {
            *seen.waiting.entry(post_id.to_owned()).or_insert(0) += 1;
        }
    }

    /// What waits for a post, to be shown with what is written.
    pub(super) fn waiting(&self, post_id: &str) -> i64 {
        let Some(seen) = &self.0 else { return 0 };
        seen.lock().unwrap_or_else(PoisonError::into_inner).waiting.get(post_id).copied().unwrap_or(0)
    }

    fn take(&self) -> BTreeMap<String, i64> {
        let Some(seen) = &self.0 else { return BTreeMap::new() };
        std::mem::take(&mut seen.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }
}

/// Counts a request for the page of a post if a person seems to look.
pub(super) fn count(front: &Front, request: &Request, post_id: &str) {
    if front.views.is_counting() && request.method() == Method::GET && is_person(request.headers()) {
        let address = client::address(front, request);
        let agent = text(request.headers(), header::USER_AGENT.as_str());
        front.views.look((address, agent), post_id, front.clock.now().0, front.chance.as_ref());
    }
}

/// Browsers say what they are and which languages their reader knows, and nobody looks at what is fetched ahead.
fn is_person(headers: &HeaderMap) -> bool {
    let agent = text(headers, header::USER_AGENT.as_str()).to_ascii_lowercase();
    let is_ahead = ["sec-purpose", "purpose", "x-moz"].iter().any(|name| text(headers, name).contains("prefetch"));
    let is_bot = agent.is_empty() || BOT_WORDS.iter().any(|word| agent.contains(word));
    !is_bot && !is_ahead && headers.contains_key(header::ACCEPT_LANGUAGE)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Writes what was counted until `stop` turns true, and the rest then. What a kill interrupts is lost.
pub async fn keep_views(front: Arc<Front>, mut stop: watch::Receiver<bool>) {
    if !front.views.is_counting() {
        return;
    }
    while !*stop.borrow() {
        tokio::select! {
            () = tokio::time::sleep(WRITTEN_EVERY) => {}
            _ = stop.changed() => {}
        }
        write(&front.store, front.views.take()).await;
    }
}

async fn write(store: &Store, waiting: BTreeMap<String, i64>) {
    if waiting.is_empty() {
        return;
    }
    if let Err(error) = store.write(move |tx| views::add(tx, &waiting)).await {
        // Not tried again: the count may have been kept though the answer was lost, and one too few is better than many too many.
        tracing::warn!(%error, "some views of posts were not counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::SeededChance;

    #[test]
    fn a_person_counts_once_a_day_and_post() {
        let (views, chance) = (Views::new(true), SeededChance::new(1));
        let here = IpAddr::from([203, 0, 113, 9]);
        let looks = [(here, "A", "p", 0), (here, "A", "p", 5), (here, "B", "p", 5), (here, "A", "q", 5)];
        for (address, agent, post, at) in looks {
            views.look((address, agent), post, at, &chance);
        }
        assert_eq!((views.waiting("p"), views.waiting("q")), (2, 1));
        assert_eq!(views.take().len(), 2);
        views.look((here, "A"), "p", 6, &chance);
        assert_eq!(views.waiting("p"), 0, "counted before it was written");
        views.look((here, "A"), "p", DAY_MS, &chance);
        assert_eq!(views.waiting("p"), 1, "another day");
        let off = Views::new(false);
        off.look((here, "A"), "p", 0, &chance);
        assert_eq!(off.waiting("p"), 0);
    }

    #[test]
    fn programs_are_told_from_people() {
        let of = |pairs: &[(&'static str, &str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            is_person(&headers)
        };
        let firefox = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0");
        let korean = ("accept-language", "ko");
        assert!(of(&[firefox, korean]));
        for program in [
            &[firefox][..],
            &[korean],
            &[("user-agent", "Mozilla/5.0 (compatible; Googlebot/2.1)"), korean],
            &[("user-agent", "facebookexternalhit/1.1"), korean],
            &[("user-agent", "Yeti/1.1 (NHN Corp.) naverbot"), korean],
            &[firefox, korean, ("sec-purpose", "prefetch;prerender")],
        ] {
            assert!(!of(program), "{program:?}");
        }
    }
}

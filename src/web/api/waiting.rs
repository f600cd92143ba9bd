//! Partners whose requests wait for news: so many at one time, and so many of each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};

/// Requests of one partner that may wait at one time: one alone doesn't take the places of all.
const WAITING_EACH: usize = 8;

/// Those who wait for news.
pub(in crate::web) struct Waiting {
    room: Semaphore,
    /// How many requests of each partner wait.
    each: Mutex<HashMap<String, usize>>,
    head: watch::Sender<i64>,
}

/// The place of a request that waits.
struct Place<'a> {
    waiting: &'a Waiting,
    name: String,
    _room: SemaphorePermit<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut each = self.waiting.each();
        if let Some(count) = each.get_mut(&self.name) {
            *count -= 1;
            if *count == 0 {
                each.remove(&self.name);
            }
        }
    }
}

impl Waiting {
    pub(in crate::web) fn new(room: usize) -> Self {
        Self { room: Semaphore::new(room), each: Mutex::default(), head: watch::channel(0).0 }
    }

    fn each(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a request of a partner, if there is one.
    fn place(&self, name: &str) -> Option<Place<'_>> {
        let room = self.room.try_acquire().ok()?;
        let mut each = self.each();
        let count = each.entry(name.to_owned()).or_default();
        if *count >= WAITING_EACH {
            return None;
        }
        *count += 1;
        Some(Place { waiting: self, name: name.to_owned(), _room: room })
    }

    /// There are changes up to this number.
    pub(in crate::web) fn hear(&self, head: i64) {
        self.head.send_if_modified(|heard| {
            let is_news = head > *heard;
            *heard = head.max(*heard);
            is_news
        });
    }

    /// Nobody waits any longer.
    pub(in crate::web) fn end(&self) {
        self.hear(i64::MAX);
    }

    /// Waits for a change beyond a number. False: don't ask again.
    pub(super) async fn beyond(&self, name: &str, seq: i64) -> bool {
        // Without room nobody waits, and asks again a little later.
        let Some(_place) = self.place(name) else { return false };
        let mut head = self.head.subscribe();
        head.wait_for(|head| *head > seq).await.is_ok_and(|head| *head < i64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_partner_alone_does_not_take_the_places_of_all() {
        let waiting = Waiting::new(WAITING_EACH + 2);
        let mut places: Vec<_> = (0..WAITING_EACH).map(|_| waiting.place("university").unwrap()).collect();
        assert!(waiting.place("university").is_none());
        let museum = waiting.place("museum").unwrap();
        places.pop();
        places.push(waiting.place("university").unwrap());
        let _library = waiting.place("library").unwrap();
        assert!(waiting.place("archive").is_none(), "there are so many places in all");
        drop((museum, places));
        assert_eq!(waiting.each().keys().collect::<Vec<_>>(), ["library"], "who waits no more is forgotten");
    }
}

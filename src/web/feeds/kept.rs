//! The room for feeds of tags and for pages of older posts, of which there may be any number: what was asked for least recently
//! makes place, and one is made at a time.

use super::made::Made;
use crate::render::feed::Which;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Feeds in it at most, and their octets: a feed of long posts is some megabytes.
const FEEDS_MAX: usize = 1_000;
const OCTETS_MAX: usize = 64 * 1024 * 1024;

#[derive(Default)]
pub(super) struct Kept {
    room: Mutex<Room>,
    /// Held by the one who makes one of them.
    pub making: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Room {
    feeds: HashMap<Which, (Arc<Made>, u64)>,
    octets: usize,
    /// Counts what is asked for.
    asked: u64,
}

impl Kept {
    pub(super) fn get(&self, which: &Which) -> Option<Arc<Made>> {
        let room = &mut *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.asked += 1;
        let (made, asked) = room.feeds.get_mut(which)?;
        *asked = room.asked;
        Some(made.clone())
    }

    pub(super) fn put(&self, which: &Which, made: &Arc<Made>) {
        let room = &mut *self.room.lock().unwrap_or_else(PoisonError::into_inner);
        room.asked += 1;
        room.octets += made.octets();
        if let Some((before, _)) = room.feeds.insert(which.clone(), (made.clone(), room.asked)) {
            room.octets -= before.octets();
        }
        while room.feeds.len() > FEEDS_MAX || (room.octets > OCTETS_MAX && room.feeds.len() > 1) {
            let oldest = room.feeds.iter().min_by_key(|(_, (_, asked))| *asked).map(|(which, _)| which.clone());
            let Some((gone, _)) = oldest.and_then(|oldest| room.feeds.remove(&oldest)) else { break };
            room.octets -= gone.octets();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::write::Written;
    use super::*;
    use crate::render::feed::{Format, Kind, Subject};

    #[test]
    fn what_was_asked_for_least_recently_makes_place() {
        let kept = Kept::default();
        let which = |number: usize| Which {
            subject: Subject::Tag(number.to_string()),
            language: None,
            page: None,
            kind: Kind::Entries(Format::Rss),
        };
        let made = |octets: usize| {
            let written = Written { bytes: vec![0; octets], entries: Vec::new(), left_out: Vec::new(), link: None };
            Arc::new(Made::new(Kind::Calendar, written, 0, None))
        };
        for number in 0..FEEDS_MAX {
            kept.put(&which(number), &made(1));
        }
        assert!(kept.get(&which(0)).is_some());
        kept.put(&which(FEEDS_MAX), &made(1));
        assert!(kept.get(&which(0)).is_some() && kept.get(&which(1)).is_none());
        for number in 0..4 {
            kept.put(&which(number), &made(OCTETS_MAX / 3));
        }
        let room = kept.room.lock().unwrap();
        assert!(room.octets <= OCTETS_MAX && room.feeds.contains_key(&which(3)) && !room.feeds.contains_key(&which(0)));
    }
}

//! The relays that a destination's mail goes by: which one is next, by weight, and which one instead when that is out of
//! order.

use super::Office;
use super::desk::Desk;
use super::relay::{Relay, Seat};
use crate::domain::clock::UnixMillis;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One that waits for a relay looks again this often, in case a word was lost.
const LOOK: Duration = Duration::from_millis(100);

/// The relays of a destination, with their weights.
pub struct Group {
    ways: Vec<Way>,
    wheel: Mutex<Wheel>,
}

struct Way {
    relay: Arc<Relay>,
    weight: u32,
}

/// A seat, and which relay of the group it is at.
pub(super) struct Seated {
    pub seat: Seat,
    pub way: usize,
}

impl Group {
    /// These relays. One that weighs nothing is used when all others are out of order.
    #[must_use]
    pub fn new(ways: impl IntoIterator<Item = (Arc<Relay>, u32)>) -> Self {
        let ways: Vec<Way> = ways.into_iter().map(|(relay, weight)| Way { relay, weight }).collect();
        let wheel = Mutex::new(Wheel::new(ways.iter().map(|way| way.weight)));
        Self { ways, wheel }
    }

    /// Connections to all relays together.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.ways.iter().map(|way| way.relay.connections()).sum()
    }

    /// What all relays together may take a second; `None` if one of them has no limit.
    pub(super) fn per_second(&self) -> Option<u32> {
        self.ways.iter().map(|way| way.relay.per_second()).try_fold(0u32, |sum, rate| Some(sum.saturating_add(rate?)))
    }

    /// Whether there are several relays to choose from.
    pub(super) fn is_shared(&self) -> bool {
        self.ways.len() > 1
    }

    /// When the first relay may be tried: not after `now` if one may be now.
    pub(super) fn opens_at(&self, now: UnixMillis) -> UnixMillis {
        self.ways.iter().map(|way| way.relay.opens_at(now)).min().unwrap_or(now)
    }

    /// A seat for one letter and those that come after it. Waits until a relay has one; `None` once the desk is
    /// closed.
    pub(super) async fn seat(&self, office: &Office, desk: &Desk) -> Option<Seated> {
        loop {
            let now = office.store.about_now();
            let wait = match self.choose(now, &[]) {
                Some(way) => {
                    let relay = &self.ways[way].relay;
                    if let Some(seat) = relay.try_seat(now) {
                        return Some(Seated { seat, way });
                    }
                    tokio::select! {
                        seat = relay.seat(office) => match seat {
                            Some(seat) => return Some(Seated { seat, way }),
                            None => LOOK,
                        },
                        () = desk.closed() => return None,
                    }
                }
                None => now.until(self.opens_at(now)).clamp(Duration::from_millis(5), LOOK),
            };
            let heard = self.ways.iter().map(|way| Box::pin(way.relay.changed()));
            tokio::select! {
                _ = futures_util::future::select_all(heard) => {}
                () = tokio::time::sleep(wait) => {}
                () = desk.closed() => return None,
            }
        }
    }

    /// A seat at another relay than those that were tried with this letter, if there is one at once.
    pub(super) fn seat_elsewhere(&self, now: UnixMillis, tried: &[usize]) -> Option<Seated> {
        let mut passed = tried.to_vec();
        while let Some(way) = self.choose(now, &passed) {
            if let Some(seat) = self.ways[way].relay.try_seat(now) {
                return Some(Seated { seat, way });
            }
            passed.push(way);
        }
        None
    }

    /// The relay whose turn it is among those that may be used.
    fn choose(&self, now: UnixMillis, passed: &[usize]) -> Option<usize> {
        // With nothing else to choose, one that is slow is waited for.
        let is_usable = |index: usize| {
            let relay = &self.ways[index].relay;
            !passed.contains(&index) && relay.is_usable(now) && !(self.is_shared() && relay.is_stalled(now))
        };
        self.wheel.lock().unwrap_or_else(PoisonError::into_inner).next(is_usable)
    }
}

/// Turns by weight, evenly mixed: each choice adds every weight to its relay's credit and takes the sum from the one
/// that is chosen. (Known as smooth weighted round robin.) Pure.
struct Wheel {
    weights: Vec<u32>,
    credits: Vec<i64>,
}

impl Wheel {
    fn new(weights: impl Iterator<Item = u32>) -> Self {
        let weights: Vec<u32> = weights.collect();
        Self { credits: vec![0; weights.len()], weights }
    }

    fn next(&mut self, is_usable: impl Fn(usize) -> bool) -> Option<usize> {
        if let [_] = self.weights[..] {
            return is_usable(0).then_some(0);
        }
        let usable: Vec<usize> = (0..self.weights.len()).filter(|index| is_usable(*index)).collect();
        let sum: i64 = usable.iter().map(|index| i64::from(self.weights[*index])).sum();
        if sum == 0 {
            return usable.first().copied();
        }
        for index in &usable {
            self.credits[*index] += i64::from(self.weights[*index]);
        }
        let weighed = usable.into_iter().filter(|index| self.weights[*index] > 0);
        let next = weighed.max_by_key(|index| (self.credits[*index], std::cmp::Reverse(*index)))?;
        self.credits[next] -= sum;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(wheel: &mut Wheel, count: usize, out_of_order: &[usize]) -> Vec<usize> {
        let mut turns = vec![0; wheel.weights.len()];
        for _ in 0..count {
            if let Some(next) = wheel.next(|index| !out_of_order.contains(&index)) {
                turns[next] += 1;
            }
        }
        turns
    }

    #[test]
    fn turns_follow_the_weights_and_spares_wait() {
        let mut wheel = Wheel::new([3, 1, 0].into_iter());
        assert_eq!(turns(&mut wheel, 400, &[]), [300, 100, 0]);
        assert_eq!(turns(&mut wheel, 100, &[0]), [0, 100, 0]);
        assert_eq!(turns(&mut wheel, 10, &[0, 1]), [0, 0, 10]);
        assert_eq!(turns(&mut wheel, 10, &[0, 1, 2]), [0, 0, 0]);
        // One that comes back takes its share, and doesn't make up for what it missed.
        assert_eq!(turns(&mut wheel, 400, &[]), [300, 100, 0]);
    }

    #[test]
    fn turns_are_mixed() {
        let mut wheel = Wheel::new([2, 1].into_iter());
        let order: Vec<_> = (0..6).filter_map(|_| wheel.next(|_| true)).collect();
        assert_eq!(order, [0, 1, 0, 0, 1, 0]);
    }
}

//! How long to wait before the next attempt: pure, with the random draw as a parameter, so that it can be drawn once and stored.

use std::time::Duration;

/// Waits after the first, second, … failure; the last one repeats.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backoff {
    waits: &'static [u64],
}

/// Mail through a relay: seconds. A relay's outage is the breaker's business, so these are for single recipients.
pub const RELAY: Backoff = Backoff { waits: &[60, 300, 900, 1_800, 3_600] };

/// A destination's breaker: seconds until it is tried again.
pub const BREAKER: Backoff = Backoff { waits: &[1, 2, 5, 15, 30, 60] };

/// Recipients' domains that defer everybody, or don't answer: seconds until one letter tries them again.
pub const DOMAIN: Backoff = Backoff { waits: &[30, 60, 300, 900, 1_800] };

/// Partners' webhooks, as Standard Webhooks advises: 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h; 75.6 hours together.
pub const WEBHOOK: Backoff = Backoff { waits: &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400] };

/// Social networks: seconds. What their answers ask for goes first.
pub const NETWORK: Backoff = Backoff { waits: &[60, 300, 1_800, 7_200] };

/// Loss of the database or the broker: seconds.
pub const SERVICE: Backoff = Backoff { waits: &[1, 2, 4, 8, 15, 30] };

/// How far the draw moves a wait, in percent each way.
const JITTER_PERCENT: u64 = 20;

impl Backoff {
    /// The longest wait, the jitter included.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let base = self.waits.iter().copied().max().unwrap_or_default();
        Duration::from_millis(base * 10 * (100 + JITTER_PERCENT))
    }

    /// The wait after `failures` failures (1 or more). `draw` is a random number; ±20 % follow from it.
    #[must_use]
    pub fn wait(&self, failures: u32, draw: u32) -> Duration {
        let index = (failures.max(1) as usize - 1).min(self.waits.len() - 1);
        let base_ms = self.waits[index] * 1_000;
        let span_ms = base_ms * 2 * JITTER_PERCENT / 100;
        let offset_ms = span_ms * u64::from(draw) / u64::from(u32::MAX);
        Duration::from_millis(base_ms - span_ms / 2 + offset_ms)
    }
}

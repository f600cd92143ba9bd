//! The purser of a relay: keeps its row in the ledger, so that a restart forgets nothing and replicas share what is known and
//! what may be sent. Workers never wait for the ledger to say so: they use up what was granted ahead.

use super::Office;
use super::relay::{Limits, Relay};
use crate::domain::backoff;
use crate::domain::breaker::Breaker;
use crate::domain::clock::UnixMillis;
use crate::store::destinations::{self, Standing};
use crate::store::{StoreError, Tx};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// What others learned is read this often.
const LOOK: Duration = Duration::from_secs(1);
/// Grants are made for this part of a second: what one replica holds and doesn't use, the others can't use either.
const GRANTS_PER_SECOND: u32 = 4;
/// The least time between two grants.
const GRANT_REST: Duration = Duration::from_millis(10);
/// Granted at once to a relay that has only a daily limit.
const GRANT_OF_DAY: u32 = 64;

/// Keeps a relay's row until `stop` turns true.
pub async fn keep(office: Arc<Office>, relay: Arc<Relay>, mut stop: watch::Receiver<bool>) {
    let (mut failures, mut was_spent) = (0, false);
    while !*stop.borrow() {
        let mut listens = true;
        let rest = match look(&office, &relay).await {
            Ok(granted) => {
                failures = 0;
                if granted.is_day_spent && !was_spent {
                    let until = granted.next_at.map(tracing::field::display);
                    tracing::info!(relay = relay.name, until, "a relay in its warm-up has sent what its day allows");
                }
                was_spent = granted.is_day_spent;
                let now = office.store.about_now();
                // Nobody's asking brings more before that.
                listens = granted.next_at.is_none();
                granted.next_at.map_or(LOOK, |at| now.until(at).clamp(GRANT_REST, LOOK))
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(relay = relay.name, %error, "a relay's row can't be kept");
                backoff::SERVICE.wait(failures, office.chance.draw_32())
            }
        };
        tell(&relay, office.store.about_now(), was_spent);
        tokio::select! {
            () = heard(&relay), if listens => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Waits for a word from the workers, and a moment longer, for such words come together.
async fn heard(relay: &Relay) {
    relay.stir.notified().await;
    tokio::time::sleep(GRANT_REST).await;
}

fn tell(relay: &Relay, now: UnixMillis, is_day_spent: bool) {
    let is_open = relay.health().breaker.is_in_order(now);
    metrics::gauge!("allim_relay_open", "relay" => relay.name.clone()).set(if is_open { 1.0 } else { 0.0 });
    metrics::gauge!("allim_relay_connections_busy", "relay" => relay.name.clone()).set(relay.busy() as f64);
    if relay.limits.ramp.is_some() {
        let rests = if is_day_spent { 1.0 } else { 0.0 };
        metrics::gauge!("allim_relay_day_spent", "relay" => relay.name.clone()).set(rests);
    }
}

/// What a look into the ledger brought.
#[derive(Debug, Default, PartialEq, Eq)]
struct Granted {
    count: u32,
    /// When there may be more, if what is wanted wasn't granted.
    next_at: Option<UnixMillis>,
    is_day_spent: bool,
}

async fn look(office: &Office, relay: &Arc<Relay>) -> Result<Granted, StoreError> {
    let row = format!("relay:{}", relay.name);
    let wanted = wanted(relay);
    let news = {
        let mut health = relay.health();
        std::mem::take(&mut health.has_news).then_some(health.breaker)
    };
    let now = office.store.about_now();
    if news.is_none() && wanted == 0 {
        if let Some(standing) = office.store.read(move |tx| destinations::find(tx, &row)).await? {
            adopt(relay, standing.breaker);
        }
        return Ok(Granted::default());
    }
    let limits = relay.limits.clone();
    let kept = office.store.write(move |tx| turn_over(tx, &row, &limits, news, wanted, now)).await;
    let (breaker, granted) = kept.inspect_err(|_| relay.health().has_news |= news.is_some())?;
    adopt(relay, breaker);
    if granted.count > 0 {
        relay.budget.fetch_add(i64::from(granted.count), Ordering::Relaxed);
        relay.tell();
    }
    Ok(granted)
}

/// How much more should be granted ahead.
fn wanted(relay: &Relay) -> u32 {
    if !relay.is_limited() {
        return 0;
    }
    let ahead = relay.limits.pace.per_second.map_or(GRANT_OF_DAY, |rate| rate.div_ceil(GRANTS_PER_SECOND));
    let left = u32::try_from(relay.budget.load(Ordering::Relaxed)).unwrap_or(0);
    ahead.saturating_sub(left)
}

/// What another process found out counts here too, unless there is something newer to tell.
fn adopt(relay: &Relay, breaker: Breaker) {
    let mut health = relay.health();
    if !health.has_news && health.breaker != breaker {
        health.breaker = breaker;
        drop(health);
        relay.tell();
    }
}

fn turn_over(
    tx: &mut Tx<'_>,
    row: &str,
    limits: &Limits,
    news: Option<Breaker>,
    wanted: u32,
    now: UnixMillis,
) -> Result<(Breaker, Granted), StoreError> {
    let mut standing = destinations::lock(tx, row)?;
    let before = standing;
    if let Some(breaker) = news {
        standing.breaker = breaker;
    }
    let granted = grant(&mut standing, limits, wanted, now);
    if standing != before {
        destinations::save(tx, row, &standing)?;
    }
    Ok((standing.breaker, granted))
}

/// Grants up to `wanted` and notes it: pure.
fn grant(standing: &mut Standing, limits: &Limits, wanted: u32, now: UnixMillis) -> Granted {
    let (mut left_today, mut next_day_at) = (i64::MAX, None);
    if let Some((ramp, allowed)) = limits.ramp.as_ref().and_then(|ramp| Some((ramp, ramp.allows(now)?))) {
        if standing.day != ramp.day(now) {
            (standing.day, standing.day_count) = (ramp.day(now), 0);
        }
        left_today = (allowed - standing.day_count).max(0);
        next_day_at = Some(ramp.next_day_at(now));
    }
    let wanted_today = wanted.min(u32::try_from(left_today).unwrap_or(u32::MAX));
    let (count, allowance_at) = limits.pace.grant(standing.allowance_at, now, wanted_today);
    standing.allowance_at = allowance_at;
    if next_day_at.is_some() {
        standing.day_count += i64::from(count);
    }
    let is_day_spent = next_day_at.is_some() && left_today == 0;
    let step = limits.pace.per_second.map(|rate| Duration::from_millis(u64::from(1_000 / rate.max(1)).max(1)));
    let next_at = match step {
        _ if is_day_spent => next_day_at,
        Some(step) if count < wanted_today => Some(now.plus(step)),
        _ => None,
    };
    Granted { count, next_at, is_day_spent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::pace::{Pace, Ramp};

    fn nothing() -> Standing {
        Standing { breaker: Breaker::default(), allowance_at: UnixMillis(0), day: 0, day_count: 0 }
    }

    #[test]
    fn a_day_of_the_warm_up_is_granted_once_and_the_next_day_more() {
        let zone = jiff::tz::TimeZone::UTC;
        let ramp = Ramp { since: jiff::civil::date(2026, 11, 1), from_per_day: 100, factor: 2.0, zone };
        let limits = Limits { pace: Pace::default(), ramp: Some(ramp.clone()) };
        let now = UnixMillis::from_timestamp("2026-11-01T10:00:00Z".parse().expect("an instant"));
        let (mut standing, mut sum) = (nothing(), 0);
        for _ in 0..5 {
            sum += grant(&mut standing, &limits, 64, now).count;
        }
        assert_eq!(sum, 100);
        let spent = grant(&mut standing, &limits, 64, now);
        assert_eq!(spent, Granted { count: 0, next_at: Some(ramp.next_day_at(now)), is_day_spent: true });
        assert_eq!(grant(&mut standing, &limits, 1_000, ramp.next_day_at(now)).count, 200);
    }

    #[test]
    fn a_rate_says_when_there_is_more() {
        let limits = Limits { pace: Pace { per_second: Some(10) }, ramp: None };
        let (mut standing, now) = (nothing(), UnixMillis(1_000_000));
        assert_eq!(grant(&mut standing, &limits, 3, now), Granted { count: 3, next_at: None, is_day_spent: false });
        assert_eq!(grant(&mut standing, &limits, 30, now).count, 7);
        let more = grant(&mut standing, &limits, 3, now);
        assert_eq!((more.count, more.next_at), (0, Some(UnixMillis(1_000_100))));
    }
}

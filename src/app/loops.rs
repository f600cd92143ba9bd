//! What the daemon does again and again.

use super::App;
use super::custody::Custody;
use super::wakes::Wakes;
use crate::domain::backoff;
use crate::plan::Ticked;
use crate::send;
use crate::send::lease::{Lease, RENEWAL};
use crate::settle;
use crate::store::{Store, tallies};
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;

/// An idle planner looks for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);
/// How long the planner rests when more posts came while it was at work: what comes in a stream is released together,
/// and leaves the writer to those who bring it. A post that comes alone is planned at once.
const STREAM_REST: Duration = Duration::from_millis(50);
/// Mail for destinations that the configuration lacks may still come back from a process that is gone: looked for this often.
const REROUTE_POLL: Duration = Duration::from_secs(30);
/// An idle settler looks this often.
const SETTLE_POLL: Duration = Duration::from_secs(5);
/// A replica whose clock is further off the database's isn't ready (design rule 9): what it shows and logs would mislead.
pub const CLOCK_OFF_MS_MAX: u64 = 2_000;

/// Plans until `stop` turns true.
pub(super) async fn plan(app: Arc<App>, custody: Custody, wakes: Wakes, mut stop: watch::Receiver<bool>) {
    let waking = wakes.clone();
    let planner = app.planner.clone().telling(move || waking.planned(false));
    let (mut failures, mut is_stream) = (0, false);
    while !*stop.borrow() {
        if is_stream {
            tokio::time::sleep(STREAM_REST).await;
            // What came meanwhile is seen by the tick that begins now.
            let _ = app.plan_wake.notified().now_or_never();
        }
        // A database in doubt stays as it was found: what it missed is for an operator to say.
        let ticked = if custody.is_in_doubt() { Ok(Ticked::default()) } else { planner.tick().await };
        let rest = match ticked {
            Ok(ticked) => {
                failures = 0;
                if ticked != Ticked::default() {
                    tracing::debug!(?ticked, "planned");
                }
                if ticked.noticed > 0 || ticked.moved > 0 {
                    wakes.planned(ticked.noticed > 0);
                }
                match app.planner.next_due().await {
                    // What is due waits for the operator too.
                    _ if custody.is_in_doubt() => POLL,
                    Ok(Some(due)) => app.world.clock.now().until(due).min(POLL),
                    _ => POLL,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "planning failed; it goes on where it stopped");
                backoff::SERVICE.wait(failures, app.world.chance.draw_32())
            }
        };
        is_stream = app.plan_wake.notified().now_or_never().is_some();
        if is_stream {
            continue;
        }
        tokio::select! {
            () = app.plan_wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Settles uncertain deliveries until `stop` turns true.
pub(super) async fn settle(app: Arc<App>, wakes: Wakes, mut stop: watch::Receiver<bool>) {
    let (policy, known) = (app.config.file.send.uncertain, app.config.destinations());
    // None yet: what an earlier configuration left is moved at once.
    let mut rerouted_at: Option<Duration> = None;
    while !*stop.borrow() {
        let uptime = app.world.clock.uptime();
        if rerouted_at.is_none_or(|at| uptime.saturating_sub(at) > REROUTE_POLL) {
            rerouted_at = Some(uptime);
            match send::reroute::run(&app.store, &known).await {
                Ok(0) => {}
                Ok(_) => wakes.due(),
                Err(error) => tracing::warn!(%error, "mail of unknown destinations could not be moved"),
            }
        }
        let rest = match settle::settle(&app.store, policy).await {
            Ok((due, next)) => {
                if due > 0 {
                    wakes.due();
                }
                next.map_or(SETTLE_POLL, |at| {
                    app.world.clock.now().until(at).clamp(Duration::from_millis(50), SETTLE_POLL)
                })
            }
            Err(error) => {
                tracing::warn!(%error, "uncertain deliveries could not be settled");
                SETTLE_POLL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Settles mail that came back until `stop` turns true.
pub(super) async fn settle_inbound(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let settler = super::inbound::settler(&app);
    while !*stop.borrow() {
        let rest = match settler.round().await {
            Ok(round) if round.has_more => continue,
            Ok(_) => SETTLE_POLL,
            Err(error) => {
                tracing::warn!(%error, "some mail that came back could not be settled; it waits");
                SETTLE_POLL
            }
        };
        tokio::select! {
            () = app.inbound_wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Renews the lease until it is ended by aborting this: attempts under way need it longer than anything else.
pub(super) async fn renew(app: Arc<App>, lease: Arc<Lease>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if let Err(error) = lease.renew().await {
            tracing::warn!(%error, "the lease could not be renewed");
        }
        if let Err(error) = app.preparer.refresh_keys().await {
            tracing::warn!(%error, "the token keys could not be read");
        }
    }
}

/// Compares this machine's clock with the database's, as often as leases are renewed, until `stop` turns true.
pub(super) async fn compare_clocks(store: Store, is_right: Arc<AtomicBool>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        match store.clock_offset_ms().await {
            Ok(offset_ms) => {
                let right = offset_ms.unsigned_abs() <= CLOCK_OFF_MS_MAX;
                if is_right.swap(right, Ordering::SeqCst) && !right {
                    tracing::warn!(
                        offset_ms,
                        "this machine's clock is off the database's; it isn't ready until that is set right"
                    );
                }
            }
            Err(error) => tracing::warn!(%error, "the database's clock could not be read"),
        }
        tokio::select! {
            () = tokio::time::sleep(RENEWAL) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Tallies are written this often.
const TALLY: Duration = Duration::from_secs(10);
/// Old ones are taken away this often.
const FORGET: Duration = Duration::from_secs(3_600);

/// Writes what was counted for plots until `stop` turns true, and once more then.
pub(super) async fn tally(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut forgotten_at: Option<Duration> = None;
    loop {
        let uptime = app.world.clock.uptime();
        let written = app.store.write_tallies().await;
        let is_old = forgotten_at.is_none_or(|at| uptime.saturating_sub(at) > FORGET);
        let kept = match written {
            Ok(()) if is_old => {
                forgotten_at = Some(uptime);
                let now = app.store.about_now();
                app.store.write(move |tx| tallies::forget(tx, now)).await
            }
            written => written,
        };
        if let Err(error) = kept {
            tracing::warn!(%error, "what was counted for plots could not be written yet");
        }
        if *stop.borrow() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(TALLY) => {}
            _ = stop.changed() => {}
        }
    }
}

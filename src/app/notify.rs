//! Telling the service manager how the daemon is (`sd_notify(3)`). Without one, every word goes nowhere.

use sd_notify::NotifyState;
use std::time::Duration;

/// Everything runs, by the configuration that was last read.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is read anew; [`ready`] follows, whatever becomes of it.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(%error, "the service manager isn't told of the reload"),
    }
}

/// The end has begun.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// The daemon is alive.
pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager isn't told");
    }
}

/// When the service manager wants to hear of life again: twice within the time after which it would end the daemon.
pub(super) struct Watchdog(Option<tokio::time::Interval>);

impl Watchdog {
    /// As `WATCHDOG_USEC` and `WATCHDOG_PID` say.
    pub(super) fn of_environment() -> Self {
        let every = sd_notify::watchdog_enabled().map(|limit| (limit / 2).max(Duration::from_millis(1)));
        Self(every.map(tokio::time::interval))
    }

    /// Comes back when a word of life is due; never where nobody waits for one.
    pub(super) async fn is_due(&mut self) {
        match &mut self.0 {
            Some(interval) => {
                interval.tick().await;
            }
            None => std::future::pending().await,
        }
    }
}

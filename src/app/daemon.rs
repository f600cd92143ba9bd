//! The daemon from its start to its end, through every change of its configuration.

use super::doors::Doors;
use super::lifecycle::Round;
use super::notify::{self, Watchdog};
use super::{App, build_on, rehearsal};
use crate::config::{self, Config};
use crate::web;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// 1 while the daemon runs by an older configuration than the file's, as that was refused.
const RELOAD_FAILED: &str = "allim_config_reload_failed";
/// Counts reloads by outcome: `taken` or `refused`.
const RELOADS: &str = "allim_config_reloads_total";

/// Runs until `stop` turns true, and takes what `load` reads as its configuration whenever `reload` is heard. A configuration
/// that can't be is refused, and the daemon goes on by the one it has.
///
/// # Errors
/// What keeps it from starting; after a reload, what keeps both configurations from it.
pub async fn run(
    app: App,
    metrics: web::Metrics,
    load: impl Fn() -> anyhow::Result<Config>,
    mut reload: mpsc::Receiver<()>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let mut doors = Doors::new(metrics, stop.clone());
    let mut round = Round::begin(Arc::new(app), &mut doors).await?;
    metrics::gauge!(RELOAD_FAILED).set(0.0);
    let mut watchdog = Watchdog::of_environment();
    notify::ready();
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = watchdog.is_due() => {
                match round.is_well() {
                    true => notify::alive(),
                    false => tracing::error!("a part of the daemon is gone; it waits to be started anew"),
                }
                continue;
            }
            Some(()) = reload.recv() => {}
        }
        notify::reloading();
        let (outcome, next) = take(round, &mut doors, &load).await?;
        round = next;
        metrics::gauge!(RELOAD_FAILED).set(if outcome == Outcome::Taken { 0.0 } else { 1.0 });
        metrics::counter!(RELOADS, "outcome" => outcome.word()).increment(1);
        notify::ready();
    }
    notify::stopping();
    let ended = round.end().await;
    doors.close().await;
    ended
}

/// What became of a new configuration.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Taken,
    Refused,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Refused => "refused",
        }
    }
}

/// Goes over to the configuration in the file, or refuses it and keeps the one that runs.
async fn take(
    round: Round,
    doors: &mut Doors,
    load: &impl Fn() -> anyhow::Result<Config>,
) -> anyhow::Result<(Outcome, Round)> {
    let before = round.app().clone();
    let next = match prepare(&before, load).await {
        Ok(next) => next,
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the new configuration is refused, the daemon goes on by the old one; correct it and reload again"
            );
            return Ok((Outcome::Refused, round));
        }
    };
    if let Err(error) = round.end().await {
        tracing::warn!(error = format!("{error:#}"), "the lease runs out by itself");
    }
    match Round::begin(Arc::new(next), doors).await {
        Ok(round) => {
            tracing::info!("the new configuration is in effect");
            Ok((Outcome::Taken, round))
        }
        Err(error) => {
            tracing::error!(
                error = format!("{error:#}"),
                "the new configuration can't be begun, the daemon goes back to the old one; correct it and reload again"
            );
            Ok((Outcome::Refused, Round::begin(before, doors).await?))
        }
    }
}

/// Reads and builds everything while the old round still runs.
async fn prepare(before: &App, load: &impl Fn() -> anyhow::Result<Config>) -> anyhow::Result<App> {
    let config = load()?;
    config::fixed(&before.config, &config)?;
    let app = build_on(before.grounds.clone(), config).await?;
    rehearsal::rehearse(&app)?;
    Ok(app)
}

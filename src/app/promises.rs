//! Keeps the gauges of promises, which alerts stand on.

use super::App;
use crate::config::Config;
use crate::domain::clock::UnixMillis;
use crate::domain::promise::{self, Look, Promise, State, Terms};
use crate::store::StoreError;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Promises are looked at this often, which is as often as Prometheus asks by default.
const LOOK: Duration = Duration::from_secs(15);

/// The terms of the configuration.
#[must_use]
pub fn terms(config: &Config) -> Terms {
    let table = &config.file.promises;
    Terms {
        owed_max: table.owed_max,
        occurrence_max: table.occurrence_max,
        quiet_max: table.quiet_max.iter().map(|quiet| (quiet.source.clone(), quiet.after)).collect(),
    }
}

/// Looks and judges.
///
/// # Errors
/// [`StoreError`] from the database.
pub async fn judged(app: &App) -> Result<(Look, Vec<Promise>, UnixMillis), StoreError> {
    let sources = app.config.sources.keys().cloned().collect();
    let (look, now) = app.planner.look_at_promises(sources).await?;
    let promises = promise::judge(&look, &terms(&app.config), now);
    Ok((look, promises, now))
}

/// Starts keeping the gauges, until `stop` turns true.
pub(super) fn start(app: &Arc<App>, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) {
    let version = env!("CARGO_PKG_VERSION");
    metrics::gauge!("allim_build_info", "version" => version).set(1.0);
    tasks.spawn(keep(app.clone(), stop.clone()));
}

async fn keep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    let mut known = BTreeSet::new();
    while !*stop.borrow() {
        // A database that is silent is as good as one that is gone.
        let judged = tokio::time::timeout(LOOK, judged(&app)).await;
        metrics::gauge!("allim_store_up").set(if matches!(judged, Ok(Ok(_))) { 1.0 } else { 0.0 });
        match judged {
            Ok(Ok((look, promises, now))) => {
                tell(&look, now, &mut known);
                judge(&promises);
            }
            // What was last known stands; `allim_store_up` says that it is old.
            Ok(Err(error)) => tracing::warn!(%error, "promises could not be looked at"),
            Err(_) => tracing::warn!("promises could not be looked at: the database doesn't answer"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = stop.changed() => {}
        }
    }
}

/// What was found, in numbers. `known` holds the queues that were told of: one that is empty now is told as 0.
#[allow(clippy::cast_precision_loss, reason = "a gauge is a double")]
fn tell(look: &Look, now: UnixMillis, known: &mut BTreeSet<(String, String)>) {
    let age = |since: UnixMillis| since.until(now).as_secs_f64();
    known.extend(look.owed.iter().map(|owed| (owed.carrier.clone(), owed.lane.clone())));
    // Of mail there is something to say from the start, so that a rule that names it finds it.
    known.insert(("email".to_owned(), "normal".to_owned()));
    for (carrier, lane) in known.iter() {
        let found = look.owed.iter().find(|owed| (&owed.carrier, &owed.lane) == (carrier, lane));
        metrics::gauge!("allim_owed_oldest_seconds", "carrier" => carrier.clone(), "lane" => lane.clone())
            .set(found.map_or(0.0, |owed| age(owed.due_at)));
    }
    let behind = look.overdue.iter().map(|(_, due_at)| age(*due_at)).fold(0.0, f64::max);
    metrics::gauge!("allim_occurrence_overdue_seconds").set(behind);
    metrics::gauge!("allim_occurrences_skipped").set(look.skipped.iter().map(|(_, count)| *count).sum::<i64>() as f64);
    metrics::gauge!("allim_planning_oldest_seconds").set(look.planning_since.map_or(0.0, age));
    metrics::gauge!("allim_deliveries_uncertain").set(look.uncertain as f64);
    metrics::gauge!("allim_holds").set(look.holds.len() as f64);
    metrics::gauge!("allim_database_doubts").set(look.doubts as f64);
    for (source, at) in &look.heard {
        metrics::gauge!("allim_source_quiet_seconds", "source" => source.clone()).set(age(*at));
    }
}

/// How promises stand: 0 kept, 1 late, 2 broken.
fn judge(promises: &[Promise]) {
    for promise in promises {
        let state = match promise.state {
            State::Kept => 0.0,
            State::Late => 1.0,
            State::Broken => 2.0,
        };
        let name = match &promise.kind {
            promise::Kind::Heard(source, _) => source.clone(),
            _ => String::new(),
        };
        metrics::gauge!("allim_promise_state", "promise" => promise.kind.word(), "name" => name).set(state);
    }
}

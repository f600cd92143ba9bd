//! The points of `allim check` about the store, and what in it keeps mail from being sent.

use super::{Finding, Verdict};
use crate::app::custody::WAYS;
use crate::app::high_water::HighWater;
use crate::app::{CLOCK_OFF_MS_MAX, World};
use crate::config::Config;
use crate::domain::audience::IMMEDIATE;
use crate::store::identity::{self, Cause};
use crate::store::large::Mailing;
use crate::store::{self, Found, Store, StoreError, destinations, occurrences, quarantine};

/// Whether the store answers, and what it holds.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    const POINT: &str = "store";
    let location = config.store.clone();
    let looked = tokio::task::spawn_blocking(move || store::inspect(&location)).await;
    let looked = looked.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())));
    let known = store::version_known();
    match looked {
        Err(error) => {
            let fix = "check store.url, and that the database runs and lets this user in";
            vec![Finding::new(POINT, Verdict::Fail, error.to_string(), fix)]
        }
        Ok(Found::Empty) => {
            vec![Finding::new(POINT, Verdict::Warn, "no tables yet", "`allim migrate` or the first start makes them")]
        }
        Ok(Found::Version(at)) if at < known => {
            let found = format!("version {at}, this program needs {known}");
            vec![Finding::new(POINT, Verdict::Warn, found, "`allim migrate` or the next start brings it up to date")]
        }
        Ok(Found::Version(at)) if at > known => {
            let found = format!("version {at}, this program knows up to {known}");
            vec![Finding::new(POINT, Verdict::Fail, found, "run the newer allim")]
        }
        Ok(Found::Version(at)) => {
            let mut findings = vec![Finding::ok(POINT, format!("version {at}"))];
            match contents(config).await {
                Ok(more) => findings.extend(more),
                Err(error) => findings.push(Finding::new(
                    POINT,
                    Verdict::Fail,
                    format!("{error:#}"),
                    "see the log of the database",
                )),
            }
            findings
        }
    }
}

/// What in the store keeps mail from being sent.
async fn contents(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let (location, clock) = (config.store.clone(), World::system().clock);
    let store = tokio::task::spawn_blocking(move || Store::open(&location, clock)).await??;
    let look = |tx: &mut store::Tx<'_>| Ok((destinations::holds(tx)?, occurrences::slots(tx)?, quarantine::count(tx)?));
    let (holds, slots, aside) = store.read(look).await?;
    let mut findings = doubts(config, &store).await?;
    let in_doubt = !findings.is_empty();
    let offset_ms = store.clock_offset_ms().await?;
    if offset_ms.unsigned_abs() > CLOCK_OFF_MS_MAX {
        let found = format!("{offset_ms} ms off the database's");
        findings.push(Finding::new(
            "clock",
            Verdict::Fail,
            found,
            "set it by NTP: a replica that is 2 s off isn't ready",
        ));
    }
    let known = config.destinations();
    for (scope, reason, _) in holds.into_iter().filter(|(scope, ..)| !in_doubt || scope != identity::SCOPE) {
        if let Some(name) = scope.strip_prefix("destination:").filter(|name| !known.iter().any(|other| other == name)) {
            let found = format!("{scope} holds mail of a destination that the configuration no longer has: {reason}");
            let fix =
                format!("`allim hold off --destination {name}` lets it go by another; hold that one if it must wait");
            findings.push(Finding::new("hold", Verdict::Warn, found, fix));
            continue;
        }
        let fix = match Mailing::from_scope(&scope) {
            Some(mailing) => format!("`allim hold off --plan {}` lets it go as it is", mailing.plan_id),
            None => "`allim hold off` lets mail go on".to_owned(),
        };
        findings.push(Finding::new("hold", Verdict::Warn, format!("{scope}: {reason}"), fix));
    }
    for slot in slots {
        let name = slot.slot.schedule();
        if name != IMMEDIATE && !config.digests.contains_key(name) {
            let found = format!("people subscribed to `{name}`, which is no [[digest]] any more");
            findings.push(Finding::new(
                "digest",
                Verdict::Warn,
                found,
                "put it back, or move them with `subscriber import`",
            ));
        }
    }
    if aside > 0 {
        let found = format!("{aside} messages are set aside");
        findings.push(Finding::new("quarantine", Verdict::Warn, found, "`allim quarantine list` says why"));
    }
    Ok(findings)
}

/// Whether this database is what it was: what a daemon has found, and what one would find if it were started now.
async fn doubts(config: &Config, store: &Store) -> anyhow::Result<Vec<Finding>> {
    const POINT: &str = "database";
    let instance = &config.file.instance;
    let known = store.read(identity::doubts).await?;
    let suspected = HighWater::new(&instance.state_dir, &instance.name).suspicions(store).await?;
    let new = suspected.into_iter().filter(|(cause, _)| !known.iter().any(|doubt| doubt.cause == *cause));
    let finding = |(cause, reason): (Cause, String)| match cause {
        Cause::Unfinished | Cause::Moved => {
            Finding::new(POINT, Verdict::Fail, reason, "set store.url to the database in use")
        }
        _ => Finding::new(POINT, Verdict::Warn, format!("nothing is sent: {reason}"), WAYS),
    };
    let all = known.iter().map(|doubt| (doubt.cause, doubt.reason.clone())).chain(new);
    Ok(all.map(finding).collect())
}

//! `allim check`: whether this configuration can work here, point by point, each with a verdict and a fix.

mod dkim;

use super::print;
use crate::app::custody::WAYS;
use crate::app::high_water::HighWater;
use crate::app::{self, CLOCK_OFF_MS_MAX, World};
use crate::config::{Config, ConfigError};
use crate::domain::audience::IMMEDIATE;
use crate::domain::delivery::Outcome;
use crate::store::identity::{self, Cause};
use crate::store::{self, Found, Store, StoreError, destinations, occurrences, quarantine};
use serde::Serialize;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// How long each server may take to answer; the daemon is more patient.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);

/// What a look came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// It works, but not as most would want.
    Warn,
    /// It can't work.
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
        }
    }
}

/// One point that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    point: String,
    verdict: Verdict,
    /// What was found.
    found: String,
    /// What to do about it; empty when all is well.
    fix: String,
    /// What the DNS must say, as a line of a zone file.
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<String>,
}

impl Finding {
    fn new(point: &str, verdict: Verdict, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { point: point.to_owned(), verdict, found: found.into(), fix: fix.into(), dns: None }
    }

    fn ok(point: &str, found: impl Into<String>) -> Self {
        Self::new(point, Verdict::Ok, found, "")
    }
}

/// Looks at everything. A configuration that can't be read is a finding like any other.
pub(super) async fn run(loaded: Result<Config, ConfigError>, path: &Path, json: bool) -> anyhow::Result<()> {
    let mut findings = Vec::new();
    match loaded {
        Err(error) => findings.push(Finding::new("config", Verdict::Fail, error.to_string(), "correct the file")),
        Ok(config) => {
            findings.push(Finding::ok("config", path.display().to_string()));
            findings.push(state_dir(&config));
            findings.extend(ledger(&config).await);
            findings.extend(broker(&config).await);
            findings.extend(spool(&config));
            findings.extend(relays(&config).await);
            findings.extend(ways(&config));
            findings.extend(dkim::findings(&config));
            findings.push(public_url(&config).await);
        }
    }
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    if json {
        print::json(&findings)?;
    } else {
        let row =
            |one: &Finding| vec![one.point.clone(), one.verdict.word().to_owned(), one.found.clone(), one.fix.clone()];
        print::table(&["point", "verdict", "found", "fix"], findings.iter().map(row));
        // Below the table and unbroken, so that they can be copied into a zone file.
        let records: Vec<&String> = findings.iter().filter_map(|one| one.dns.as_ref()).collect();
        if !records.is_empty() {
            print::line("\nThe DNS must hold, for receivers to verify signatures:");
            records.iter().for_each(print::line);
        }
    }
    anyhow::ensure!(failed == 0, "{failed} of {} points failed", findings.len());
    Ok(())
}

fn state_dir(config: &Config) -> Finding {
    const POINT: &str = "state_dir";
    let folder = &config.file.instance.state_dir;
    let name = folder.display().to_string();
    if !folder.exists() {
        return Finding::new(POINT, Verdict::Warn, format!("{name} isn't there"), "the first start makes it");
    }
    match writable(folder) {
        Ok(()) => Finding::ok(POINT, name),
        Err(error) => Finding::new(
            POINT,
            Verdict::Fail,
            format!("{name}: {error}"),
            "let the user that allim runs as write there",
        ),
    }
}

fn writable(folder: &Path) -> std::io::Result<()> {
    let probe = folder.join(format!(".allim-check-{}", std::process::id()));
    std::fs::write(&probe, "")?;
    std::fs::remove_file(&probe)
}

async fn ledger(config: &Config) -> Vec<Finding> {
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
        findings.push(Finding::new(
            "hold",
            Verdict::Warn,
            format!("{scope}: {reason}"),
            "`allim hold off` lets mail go on",
        ));
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

async fn broker(config: &Config) -> Option<Finding> {
    const POINT: &str = "broker";
    let settings = app::queue(config)?;
    let fix = "check intake.amqp.url, user and password, and that RabbitMQ runs";
    let tried = async {
        settings.check()?;
        #[cfg(feature = "amqp")]
        crate::intake::amqp::probe(&settings).await?;
        anyhow::Ok(())
    };
    Some(match timeout(ANSWER_TIMEOUT, tried).await {
        Ok(Ok(())) => Finding::ok(POINT, format!("logged in; posts come from the queue `{}`", settings.queue)),
        Ok(Err(error)) => Finding::new(POINT, Verdict::Fail, format!("{error:#}"), fix),
        Err(_) => Finding::new(POINT, Verdict::Fail, "no answer in time", fix),
    })
}

fn spool(config: &Config) -> Option<Finding> {
    const POINT: &str = "spool";
    let folder = config.in_state(&config.file.intake.spool.as_ref()?.folder);
    let name = folder.display().to_string();
    if !folder.exists() {
        return Some(Finding::new(POINT, Verdict::Warn, format!("{name} isn't there"), "the first start makes it"));
    }
    Some(match writable(&folder) {
        Ok(()) => Finding::ok(POINT, name),
        Err(error) => {
            let fix = "allim moves files away once they are taken in: let its user write there";
            Finding::new(POINT, Verdict::Fail, format!("{name}: {error}"), fix)
        }
    })
}

async fn relays(config: &Config) -> Vec<Finding> {
    if config.file.relay.is_empty() {
        let found =
            format!("mail is written into {} and sent to nobody", config.in_state(&config.file.send.folder).display());
        return vec![Finding::new("relay", Verdict::Warn, found, "configure a [[relay]] to send mail")];
    }
    let mut findings = Vec::new();
    for relay in &config.file.relay {
        let point = format!("relay {}", relay.name);
        let place = format!("{}:{}", relay.host, relay.port);
        let fix = "check host, port, tls, user and password of this [[relay]], and the firewall";
        let tried = async {
            let carrier = app::smtp(config, relay, &World::system()).map_err(|error| format!("{error:#}"))?;
            let sender = config.senders.values().next().ok_or("there is no sender")?;
            carrier.probe(&sender.address).await.map_err(|outcome| told(&outcome))
        };
        findings.push(match timeout(ANSWER_TIMEOUT, tried).await {
            Ok(Ok(())) => Finding::ok(&point, format!("{place} is ready to take mail")),
            Ok(Err(error)) => Finding::new(&point, Verdict::Fail, format!("{place}: {error}"), fix),
            Err(_) => Finding::new(&point, Verdict::Fail, format!("{place}: no answer in time"), fix),
        });
    }
    findings
}

/// Which relays a sender's mail goes by, and which recipient domains have a pace of their own.
fn ways(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for group in config.groups.iter().filter(|group| group.relays.len() > 1) {
        let weights: Vec<String> = group.relays.iter().map(|(relay, weight)| format!("{relay} {weight}")).collect();
        findings.push(Finding::ok(&group.name, format!("weights: {}", weights.join(", "))));
    }
    for relay in &config.file.relay {
        if !config.groups.iter().any(|group| group.relays.iter().any(|(name, _)| *name == relay.name)) {
            let fix = "name it in `relay` or `relays` of a [[sender]], or take it out";
            findings.push(Finding::new(
                &format!("relay {}", relay.name),
                Verdict::Warn,
                "no sender's mail goes by it",
                fix,
            ));
        }
    }
    let classes = config.classes.iter().filter(|_| !config.file.relay.is_empty());
    findings.extend(classes.map(|class| {
        let connections = class.connections.map_or_else(|| "half of the".to_owned(), |number| number.to_string());
        let rate = class.per_second.map_or_else(|| "no limit".to_owned(), |rate| format!("{rate} messages"));
        let found = format!("{}: {connections} connections, {rate} a second", class.domains.join(", "));
        Finding::ok(&format!("pace {}", class.name), found)
    }));
    findings
}

/// What was in the way of a connection.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::TryLater { reason, reply, .. }
        | Outcome::Refused { reason, reply }
        | Outcome::Uncertain { reason, reply } => {
            format!("{reason}: {reply}")
        }
        Outcome::Sent { reply } => reply.clone(),
        Outcome::NotAllowed => "not allowed".to_owned(),
    }
}

async fn public_url(config: &Config) -> Finding {
    const POINT: &str = "web.public_url";
    let Some(url) = &config.site.public_url else {
        return Finding::new(
            POINT,
            Verdict::Warn,
            "not set",
            "without it mails have no unsubscribe link; relays refuse such mail",
        );
    };
    let parsed = url::Url::parse(url).ok();
    let Some(host) = parsed.as_ref().and_then(|url| url.host_str()) else {
        return Finding::new(POINT, Verdict::Fail, format!("{url} names no host"), "write https://HOST");
    };
    let port = parsed.as_ref().and_then(url::Url::port_or_known_default).unwrap_or(443);
    match timeout(ANSWER_TIMEOUT, tokio::net::lookup_host((host.trim_matches(['[', ']']), port))).await {
        Ok(Ok(mut addresses)) => match addresses.next() {
            Some(address) => Finding::ok(POINT, format!("{host} is {}", address.ip())),
            None => Finding::new(POINT, Verdict::Fail, format!("{host} has no address"), "set its A or AAAA record"),
        },
        Ok(Err(error)) => Finding::new(
            POINT,
            Verdict::Fail,
            format!("{host}: {error}"),
            "readers can't follow links there: set its A or AAAA record",
        ),
        Err(_) => Finding::new(
            POINT,
            Verdict::Fail,
            format!("{host}: no answer in time"),
            "check this machine's name servers",
        ),
    }
}

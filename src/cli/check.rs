//! `allim check`: whether this configuration can work here, point by point, each with a verdict and a fix.

mod dkim;
mod ledger;
mod posture;
mod relays;

use super::print;
use crate::app;
use crate::config::{Config, ConfigError};
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
pub(super) struct Finding {
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

    /// What is wrong and what to do about it, unless it works.
    pub(super) fn failure(&self) -> Option<String> {
        (self.verdict == Verdict::Fail).then(|| format!("{}: {}; {}", self.point, self.found, self.fix))
    }
}

/// Looks at everything and shows it.
pub(super) async fn run(loaded: Result<Config, ConfigError>, path: &Path, json: bool) -> anyhow::Result<()> {
    let findings = findings(loaded, path).await;
    if json {
        print::json(&findings)?;
    } else {
        show(&findings);
    }
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    anyhow::ensure!(failed == 0, "{failed} of {} points failed", findings.len());
    Ok(())
}

/// Looks at everything. A configuration that can't be read is a finding like any other.
pub(super) async fn findings(loaded: Result<Config, ConfigError>, path: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    match loaded {
        Err(error) => findings.push(Finding::new("config", Verdict::Fail, error.to_string(), "correct the file")),
        Ok(config) => {
            findings.push(Finding::ok("config", path.display().to_string()));
            findings.push(state_dir(&config));
            findings.extend(ledger::findings(&config).await);
            findings.extend(broker(&config).await);
            findings.extend(spool(&config));
            findings.extend(logo(&config));
            findings.extend(relays::findings(&config).await);
            findings.extend(relays::ways(&config));
            findings.extend(dkim::findings(&config));
            findings.extend(posture::findings(&config).await);
            findings.push(public_url(&config).await);
        }
    }
    findings
}

/// As a table, and below it what the DNS must hold.
pub(super) fn show(findings: &[Finding]) {
    let row =
        |one: &Finding| vec![one.point.clone(), one.verdict.word().to_owned(), one.found.clone(), one.fix.clone()];
    print::table(&["point", "verdict", "found", "fix"], findings.iter().map(row));
    // Below the table and unbroken, so that they can be copied into a zone file.
    let mut records: Vec<&String> = Vec::new();
    for record in findings.iter().filter_map(|one| one.dns.as_ref()) {
        if !records.contains(&record) {
            records.push(record);
        }
    }
    if !records.is_empty() {
        print::line("\nThe DNS must hold, for receivers to take the mail and verify its signatures:");
        records.iter().for_each(print::line);
    }
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

fn logo(config: &Config) -> Option<Finding> {
    const POINT: &str = "logo";
    let path = config.file.site.theme.logo.as_ref()?;
    Some(match app::logo::theme(config) {
        Ok(_) => Finding::ok(POINT, config.base.join(path).display().to_string()),
        Err(error) => Finding::new(POINT, Verdict::Fail, format!("{error:#}"), "correct the file, or the path"),
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

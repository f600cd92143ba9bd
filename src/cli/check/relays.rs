//! The points of `allim check` about relays: whether they take mail, how the way there is protected, who goes by which.

use super::{ANSWER_TIMEOUT, Finding, Verdict};
use crate::app::{self, World};
use crate::config::Config;
use crate::config::file::Relay;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use crate::send::carriers::smtp::Tls;
use std::time::Duration;
use tokio::time::timeout;

/// A certificate that ends this soon should have been renewed: those of ninety days are, a month before.
const ENDS_SOON: Duration = Duration::from_secs(14 * 86_400);

/// Whether each relay takes mail.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
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
        match timeout(ANSWER_TIMEOUT, tried).await {
            Ok(Ok(certificate)) => {
                findings.push(Finding::ok(&point, format!("{place} is ready to take mail")));
                let certificate = certificate.as_deref();
                findings.extend(protection(&point, relay, certificate, World::system().clock.now()));
            }
            Ok(Err(error)) => findings.push(Finding::new(&point, Verdict::Fail, format!("{place}: {error}"), fix)),
            Err(_) => {
                findings.push(Finding::new(&point, Verdict::Fail, format!("{place}: no answer in time"), fix));
            }
        }
    }
    findings
}

/// How the way to a relay is protected. A certificate that isn't valid, or names another host, is no connection at all.
fn protection(point: &str, relay: &Relay, certificate: Option<&[u8]>, now: UnixMillis) -> Option<Finding> {
    let host = relay.host.trim_matches(['[', ']']);
    let is_here = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    if relay.tls == Tls::None {
        let found = format!("mail goes to {host} without TLS, for everybody on the way to read and change");
        let fix = "set `tls` of this [[relay]] to `starttls` or `implicit`";
        return (!is_here).then(|| Finding::new(point, Verdict::Warn, found, fix));
    }
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate?).ok()?;
    let ends_at = UnixMillis(parsed.validity().not_after.timestamp().saturating_mul(1_000));
    let found = format!("TLS with a valid certificate for {host} until {ends_at}");
    Some(if now.plus(ENDS_SOON) > ends_at {
        Finding::new(point, Verdict::Warn, found, "whoever runs the relay must renew it, or mail waits from then on")
    } else {
        Finding::ok(point, found)
    })
}

/// Which relays a sender's mail goes by, and which recipient domains have a pace of their own.
pub(super) fn ways(config: &Config) -> Vec<Finding> {
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

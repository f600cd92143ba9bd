//! Senders as the DNS is asked about them, from the configuration.

use super::signing;
use crate::config::{Config, ways};
use crate::render::letter::Sender;
use crate::send::posture::Subject;
use crate::send::posture::board::Settings;
use crate::send::posture::dkim::Published;
use crate::store::second::Rule;

/// How senders are looked at.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    let send = &config.file.send;
    Settings {
        subjects: subjects(config),
        resolver: config.resolver,
        rule: send.posture,
        large: send.large,
        every: send.posture_every,
        second: second(config),
    }
}

/// Which sends wait for a second person.
#[must_use]
pub fn second(config: &Config) -> Rule {
    let admin = &config.file.admin;
    let over = admin.second_person_over.map(|over| i64::try_from(over).unwrap_or(i64::MAX));
    Rule { over, urgent: admin.second_person_urgent }
}

/// The senders whose mail goes to relays. Keys that can't be read are left out: a daemon doesn't start with one, and
/// `allim check` tells of it.
#[must_use]
pub fn subjects(config: &Config) -> Vec<Subject> {
    let subject = |(index, table): (usize, &crate::config::file::SenderTable)| {
        let sender = config.senders.get(&table.name)?;
        let group = ways::of_sender(&config.file, index)?;
        let host = |name: &String| config.file.relay.iter().find(|relay| relay.name == *name);
        let relays: Vec<_> = group.relays.iter().filter_map(|(name, _)| host(name)).collect();
        let signatures = config.dkim.get(&table.name).into_iter().flatten();
        let relays = relays.into_iter().map(|relay| (relay.name.clone(), relay.host.clone()));
        Some(named(sender, relays.collect(), signatures.filter_map(published).collect()))
    };
    let subjects = config.file.sender.iter().enumerate().filter_map(subject);
    subjects.filter(|subject: &Subject| !subject.relays.is_empty()).collect()
}

fn named(sender: &Sender, relays: Vec<(String, String)>, signatures: Vec<Published>) -> Subject {
    let from = in_dns(sender.address.domain());
    let envelope = sender.bounce_domain.as_deref().map_or_else(|| from.clone(), in_dns);
    let envelope_sender = match &sender.bounce_domain {
        Some(_) => format!("bounce@{envelope}"),
        None => sender.address.to_string(),
    };
    Subject {
        sender: sender.name.clone(),
        takes_bounces: sender.bounce_domain.is_some(),
        from,
        envelope,
        envelope_sender,
        signatures,
        relays,
    }
}

/// A domain as it stands in the DNS: Korean ones as `xn--…`.
fn in_dns(domain: &str) -> String {
    url::Host::parse(domain).map_or_else(|_| domain.to_ascii_lowercase(), |host| host.to_string())
}

fn published(dkim: &crate::config::Dkim) -> Option<Published> {
    let signer = signing::signer(dkim).ok()?;
    Some(Published {
        domain: signer.domain().to_owned(),
        name: signer.dns_name(),
        text: signer.dns_text(),
        line: signer.dns_record(),
    })
}

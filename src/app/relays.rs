//! The ways out for mail: relays, and the destinations that go by them.

use super::World;
use crate::config::Config;
use crate::config::file::Relay;
use crate::config::ways;
use crate::domain::destination;
use crate::send::Destination;
use crate::send::carriers::maildir::Maildir;
use crate::send::carriers::smtp::{self, Smtp};
use crate::send::group::Group;
use crate::send::pace::{Pace, Ramp};
use crate::send::relay::{self, Limits};
use anyhow::Context as _;
use std::sync::Arc;

/// The ways out.
pub struct Ways {
    /// The relays; or the folder in the place of one.
    pub relays: Vec<Arc<relay::Relay>>,
    /// The destinations that go by them; the one that most mail goes to comes first.
    pub destinations: Vec<Arc<Destination>>,
}

/// The ways out of a configuration, and a sentence about each for the log.
///
/// # Errors
/// What is missing or wrong.
pub fn ways(config: &Config, world: &World) -> anyhow::Result<Ways> {
    if config.file.relay.is_empty() {
        let folder = config.in_state(&config.file.send.folder);
        let carrier = Maildir::create(&folder).with_context(|| format!("send.folder {}", folder.display()))?;
        tracing::warn!(folder = %folder.display(), "no [[relay]] is configured: mail is written into a folder and sent to nobody");
        let relay = relay::Relay::new("folder", Box::new(carrier), Limits::default());
        let name = crate::config::FOLDER_DESTINATION.to_owned();
        let destination = Destination::new(name, Group::new([(relay.clone(), 1)]));
        return Ok(Ways { relays: vec![relay], destinations: vec![Arc::new(destination)] });
    }
    let used =
        |table: &&Relay| config.groups.iter().any(|group| group.relays.iter().any(|(name, _)| *name == table.name));
    let relays: Vec<_> =
        config.file.relay.iter().filter(used).map(|table| relay(config, table, world)).collect::<Result<_, _>>()?;
    let group = |group: &ways::Group| {
        let relay = |(name, weight): &(String, u32)| {
            relays.iter().find(|relay| relay.name == *name).map(|relay| (relay.clone(), *weight))
        };
        Group::new(group.relays.iter().filter_map(relay))
    };
    let of_everybody = config.groups.iter().map(|table| Destination::new(table.name.clone(), group(table)));
    let of_classes = config.groups.iter().flat_map(|table| {
        let group = &group;
        config.classes.iter().map(move |class| {
            let name = destination::of_class(&table.name, &class.name);
            Destination::of_class(name, group(table), class.connections, Pace { per_second: class.per_second })
        })
    });
    let destinations = of_everybody.chain(of_classes).map(Arc::new).collect();
    Ok(Ways { relays, destinations })
}

fn relay(config: &Config, table: &Relay, world: &World) -> anyhow::Result<Arc<relay::Relay>> {
    let carrier = smtp(config, table, world)?;
    tracing::info!(relay = table.name, host = table.host, port = table.port, tls = ?table.tls, "mail goes to a relay");
    let limits = Limits { pace: Pace { per_second: table.rate() }, ramp: ramp(config, table)? };
    Ok(relay::Relay::new(&table.name, Box::new(carrier), limits))
}

fn ramp(config: &Config, table: &Relay) -> anyhow::Result<Option<Ramp>> {
    let ways::WarmUp { since, from_per_day, factor } = match ways::warm_up(table) {
        Ok(Some(warm_up)) => warm_up,
        Ok(None) => return Ok(None),
        Err(mistake) => anyhow::bail!("relay {}: warm_up.{}: {}", table.name, mistake.key, mistake.reason),
    };
    Ok(Some(Ramp { since, from_per_day, factor, zone: config.zone.clone() }))
}

/// The carrier to a relay, not connected yet.
///
/// # Errors
/// What is missing or wrong.
pub fn smtp(config: &Config, relay: &Relay, world: &World) -> anyhow::Result<Smtp> {
    let about = || format!("relay {}", relay.name);
    let mut settings = smtp::Settings::new(&relay.host, relay.port, relay.tls);
    settings.ca_file = relay.ca_file.as_deref().map(|file| config.in_state(file));
    settings.connections = usize::try_from(relay.connections).unwrap_or(1);
    settings.letters_max = u32::try_from(relay.messages_per_connection).unwrap_or(1);
    if let Some(hello) = &relay.hello {
        settings.hello.clone_from(hello);
    }
    if let (Some(user), Some(file)) = (&relay.user, &relay.password_file) {
        let file = config.in_state(file);
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}: {}", about(), file.display()))?;
        let password = text.lines().next().unwrap_or_default().to_owned();
        settings.credentials = Some(smtp::Credentials { user: user.clone(), password });
    }
    Smtp::new(settings, world.clock.clone()).with_context(about)
}

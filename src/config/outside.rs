//! Checks what is said of the way to others than subscribers.

use super::{File, Mistake};
use crate::domain::public_address::Network;
use crate::guard::Rules;
use std::time::Duration;

/// Less is no lease: a subscriber renews it while it lasts.
const LEASE_MIN: Duration = Duration::from_secs(60);

/// What of the outside may be asked.
pub(super) fn rules(file: &File) -> Result<Rules, Mistake> {
    let table = &file.outgoing;
    let networks = |texts: &[String], key: &str| {
        let read = |(index, text): (usize, &String)| {
            Network::parse(text).map_err(|error| Mistake::new(format!("outgoing.{key}[{index}]"), error))
        };
        texts.iter().enumerate().map(read).collect::<Result<Vec<Network>, Mistake>>()
    };
    let own = networks(&table.own_networks, "own_networks")?;
    let denied = networks(&table.denied_networks, "denied_networks")?;
    for (value, key) in
        [(file.media.file_mib_max, "media.file_mib_max"), (file.media.total_mib_max, "media.total_mib_max")]
    {
        if value == 0 {
            return Err(Mistake::new(key, "must be at least 1; `mirror = false` makes no copies"));
        }
    }
    if table.ports.is_empty() {
        return Err(Mistake::new("outgoing.ports", "name at least one port, such as `[443]`"));
    }
    Ok(Rules { allows_http: table.allow_http, ports: table.ports.clone(), own, denied })
}

/// The hubs of the feeds, our own first. We have one where others can reach it.
pub(super) fn hubs(file: &File, public_url: Option<&str>, rules: &Rules) -> Result<Vec<String>, Mistake> {
    let table = &file.websub;
    if table.lease < LEASE_MIN {
        return Err(Mistake::new("websub.lease", "must be at least 60s"));
    }
    if table.lease_max < table.lease {
        return Err(Mistake::new("websub.lease_max", "must not be shorter than websub.lease"));
    }
    if table.subscribers_max == 0 {
        return Err(Mistake::new("websub.subscribers_max", "must be at least 1; `enabled = false` turns the hub off"));
    }
    if !table.hubs.is_empty() && public_url.is_none() {
        let reason = "other hubs fetch the feeds, so they need `web.public_url`";
        return Err(Mistake::new("websub.hubs", reason));
    }
    for (index, hub) in table.hubs.iter().enumerate() {
        let mistake = |error| Mistake::new(format!("websub.hubs[{index}]"), format!("{error}; see [outgoing]"));
        rules.check(hub).map_err(mistake)?;
        if table.hubs[..index].contains(hub) {
            return Err(Mistake::new(format!("websub.hubs[{index}]"), "stands here twice"));
        }
    }
    let own = public_url.filter(|_| table.enabled).map(|url| format!("{}/websub", url.trim_end_matches('/')));
    Ok(own.into_iter().chain(table.hubs.iter().cloned()).collect())
}

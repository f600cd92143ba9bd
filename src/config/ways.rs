//! The ways out: which relays a sender's mail goes by, and which recipient domains have a pace of their own.

use super::Mistake;
use super::file::{File, Relay};
use super::validate::FOLDER_DESTINATION;
use crate::domain::destination;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// `[[pace]]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaceTable {
    /// Its name, which stands in the names of destinations.
    pub name: String,
    /// The recipient domains.
    pub domains: Vec<String>,
    /// Connections at once; half of the relays' when absent.
    #[serde(default)]
    pub connections: Option<i64>,
    /// Messages a second; no limit when absent.
    #[serde(default)]
    pub per_second: Option<i64>,
}

/// `[relay.warm_up]`
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WarmUpTable {
    /// The first day, as `2026-11-01`.
    pub since: String,
    /// Messages on the first day.
    pub from_per_day: i64,
    /// How much more each day allows than the one before.
    #[serde(default = "factor")]
    pub factor: f64,
}

fn factor() -> f64 {
    2.0
}

/// The relays that a sender's mail goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The destination's name, such as `email:main+spare`.
    pub name: String,
    /// The relays by name, with their weights; one that weighs nothing is used when the others are out of order.
    pub relays: Vec<(String, u32)>,
}

/// Recipient domains that share a pace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its name.
    pub name: String,
    /// The domains, in lower case.
    pub domains: Vec<String>,
    /// Connections at once.
    pub connections: Option<usize>,
    /// Messages a second.
    pub per_second: Option<u32>,
}

/// A relay's first weeks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WarmUp {
    /// The first day.
    pub since: jiff::civil::Date,
    /// Messages on it.
    pub from_per_day: u32,
    /// How much more each day allows.
    pub factor: f64,
}

/// The large mailbox hosts, who slow down or refuse whoever comes too fast: what a sender of good repute gets through.
/// Name, domains, connections, messages a second.
const LARGE_HOSTS: [(&str, &[&str], i64, i64); 5] = [
    ("gmail.com", &["gmail.com", "googlemail.com"], 8, 50),
    ("naver.com", &["naver.com"], 4, 20),
    ("daum.net", &["daum.net", "hanmail.net", "kakao.com"], 4, 20),
    (
        "outlook.com",
        &["outlook.com", "outlook.kr", "hotmail.com", "hotmail.co.kr", "live.com", "live.co.kr", "msn.com"],
        4,
        20,
    ),
    ("yahoo.com", &["yahoo.com", "ymail.com", "rocketmail.com", "aol.com"], 4, 20),
];

/// Every way out of a file, the one for immediate mail first.
pub(super) fn groups(file: &File) -> Result<Vec<Group>, Mistake> {
    let mut groups: Vec<Group> = Vec::new();
    for index in 0..file.sender.len() {
        let group = group(file, index)?;
        match groups.iter().find(|other| other.name == group.name) {
            Some(other) if *other != group => {
                let reason = "another sender weighs the same relays differently; give both the same weights";
                return Err(Mistake::new(format!("sender[{index}].relays"), reason));
            }
            Some(_) => {}
            None => groups.push(group),
        }
    }
    Ok(groups)
}

/// The relays of a sender, by its place in a file that was checked.
#[must_use]
pub fn of_sender(file: &File, index: usize) -> Option<Group> {
    group(file, index).ok()
}

/// The relays of one sender: those it names, or else the first, or else the folder.
pub(super) fn group(file: &File, index: usize) -> Result<Group, Mistake> {
    let key = |field: &str| format!("sender[{index}].{field}");
    let Some(sender) = file.sender.get(index) else {
        return Err(Mistake::new("sender", "at least one [[sender]] is needed"));
    };
    let known = |relay: &str, key: String| match file.relay.iter().any(|table| table.name == relay) {
        true => Ok(relay.to_owned()),
        false => Err(Mistake::new(key, format!("no [[relay]] has the name `{relay}`"))),
    };
    let Some(weights) = &sender.relays else {
        let relay = match (&sender.relay, file.relay.first()) {
            (Some(relay), _) => known(relay, key("relay"))?,
            (None, Some(first)) => first.name.clone(),
            (None, None) => return Ok(Group { name: FOLDER_DESTINATION.to_owned(), relays: Vec::new() }),
        };
        return Ok(Group { name: destination::of_group([relay.as_str()]), relays: vec![(relay, 1)] });
    };
    if sender.relay.is_some() {
        return Err(Mistake::new(key("relay"), "leave it out where `relays` says the same and more"));
    }
    let mut relays = Vec::new();
    for (relay, weight) in weights {
        let key = key(&format!("relays.{relay}"));
        let weight = u32::try_from(*weight).ok().filter(|weight| *weight <= WEIGHT_MAX);
        let weight = weight.ok_or_else(|| Mistake::new(&key, format!("write a weight from 0 to {WEIGHT_MAX}")))?;
        relays.push((known(relay, key)?, weight));
    }
    if relays.iter().all(|(_, weight)| *weight == 0) {
        return Err(Mistake::new(key("relays"), "give at least one relay a weight of 1 or more"));
    }
    Ok(Group { name: destination::of_group(relays.iter().map(|(relay, _)| relay.as_str())), relays })
}

/// The greatest weight: shares finer than this can't be kept anyway.
const WEIGHT_MAX: u32 = 1_000;

/// The classes of recipient domains: those of the file, and the large mailbox hosts that it doesn't speak of.
pub(super) fn classes(file: &File) -> Result<Vec<Class>, Mistake> {
    let (mut classes, mut names, mut taken) = (Vec::new(), BTreeSet::new(), BTreeMap::new());
    for (index, table) in file.pace.iter().enumerate() {
        let key = |field: &str| format!("pace[{index}].{field}");
        class_name(&table.name, &key("name"), &mut names)?;
        let mut domains = Vec::new();
        for (place, domain) in table.domains.iter().enumerate() {
            let key = key(&format!("domains[{place}]"));
            let parsed = url::Host::parse(domain).ok().filter(|host| matches!(host, url::Host::Domain(_)));
            let wrong = || Mistake::new(&key, format!("`{domain}` is no domain; write one such as `naver.com`"));
            let domain = parsed.ok_or_else(wrong)?.to_string();
            if let Some(other) = taken.insert(domain.clone(), table.name.clone()) {
                let reason = format!("`{domain}` stands in the [[pace]] `{other}` already; a domain has one pace");
                return Err(Mistake::new(key, reason));
            }
            domains.push(domain);
        }
        if domains.is_empty() {
            return Err(Mistake::new(key("domains"), "name at least one recipient domain, such as `naver.com`"));
        }
        classes.push(Class {
            name: table.name.clone(),
            domains,
            connections: positive(table.connections, key("connections"))?.map(|number| number as usize),
            per_second: positive(table.per_second, key("per_second"))?,
        });
    }
    if file.send.pace_defaults {
        for (name, domains, connections, per_second) in LARGE_HOSTS {
            let left = domains.iter().filter(|domain| !taken.contains_key(**domain));
            let domains: Vec<String> = left.map(|domain| (*domain).to_owned()).collect();
            if !names.contains(name) && !domains.is_empty() {
                let (connections, per_second) = (usize::try_from(connections).ok(), u32::try_from(per_second).ok());
                classes.push(Class { name: name.to_owned(), domains, connections, per_second });
            }
        }
    }
    Ok(classes)
}

fn class_name(name: &str, key: &str, seen: &mut BTreeSet<String>) -> Result<(), Mistake> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err(Mistake::new(key, format!("`{name}` is not a name; use up to 64 of a-z, 0-9, -, _ and .")));
    }
    if !seen.insert(name.to_owned()) {
        return Err(Mistake::new(key, format!("`{name}` stands here twice; put the domains into one [[pace]]")));
    }
    Ok(())
}

/// The limits of the relays, checked.
pub(super) fn relays(file: &File) -> Result<(), Mistake> {
    let mut seen = BTreeSet::new();
    for (index, relay) in file.relay.iter().enumerate() {
        let key = |field: &str| format!("relay[{index}].{field}");
        super::validate::name(&relay.name, &key("name"), &mut seen)?;
        if relay.user.is_some() != relay.password_file.is_some() {
            return Err(Mistake::new(key("user"), "user and password_file go together"));
        }
        positive(Some(relay.connections), key("connections"))?;
        positive(Some(relay.messages_per_connection), key("messages_per_connection"))?;
        positive(relay.per_second, key("per_second"))?;
        warm_up(relay).map_err(|mistake| Mistake::new(key(&format!("warm_up.{}", mistake.key)), mistake.reason))?;
    }
    Ok(())
}

/// A relay's first weeks, if it is new.
///
/// # Errors
/// The [`Mistake`], with the key within the table.
pub fn warm_up(relay: &Relay) -> Result<Option<WarmUp>, Mistake> {
    let Some(table) = &relay.warm_up else { return Ok(None) };
    let since = table.since.parse().map_err(|_| Mistake::new("since", "write the first day as `2026-11-01`"))?;
    let from_per_day = positive(Some(table.from_per_day), "from_per_day".to_owned())?.unwrap_or(1);
    if !(1.0..=100.0).contains(&table.factor) || table.factor == 1.0 {
        return Err(Mistake::new("factor", "write a number above 1, such as 2.0: each day allows that much more"));
    }
    Ok(Some(WarmUp { since, from_per_day, factor: table.factor }))
}

fn positive(value: Option<i64>, key: String) -> Result<Option<u32>, Mistake> {
    let checked = |value: i64| u32::try_from(value).ok().filter(|value| *value > 0);
    match value {
        None => Ok(None),
        Some(value) => match checked(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Mistake::new(key, "must be at least 1; leave it out for the default")),
        },
    }
}

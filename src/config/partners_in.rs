//! Checks what is said of partners that posts come from: feeds that are pulled, signed webhooks that are taken, and receipts to
//! sources. Secrets lie in files that `app` reads.

use super::Mistake;
use super::file::{FeedTable, File, ReceiptsTable};
use crate::domain::language::Language;
use crate::domain::standard_webhook::Key;
use crate::guard::Rules;
use crate::intake::accept::Source;
use crate::intake::feed::{ENTRIES_MAX, EVERY_MAX, EVERY_MIN, Followed};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// An inbox for signed webhooks.
#[derive(Clone, Debug)]
pub struct Inbox {
    /// Files of shared secrets.
    pub secret_files: Vec<PathBuf>,
    /// Public keys.
    pub public_keys: Vec<Key>,
}

/// How a source is told.
#[derive(Clone, Debug)]
pub enum Receipts {
    /// By a signed webhook: where, and the file of keys.
    Webhook(String, PathBuf),
    /// Through the broker: exchange and routing key.
    Amqp(String, String),
}

type Sources = BTreeMap<String, Source>;

fn known(sources: &Sources, source: &str, key: String) -> Result<(), Mistake> {
    match sources.contains_key(source) {
        true => Ok(()),
        false => Err(Mistake::new(key, format!("no [[intake.source]] has the name `{source}`"))),
    }
}

/// The feeds that are pulled.
pub(super) fn feeds(file: &File, sources: &Sources, rules: &Rules) -> Result<Vec<Followed>, Mistake> {
    let topics: BTreeSet<&String> = file.topic.iter().map(|topic| &topic.name).collect();
    let mut seen = BTreeSet::new();
    let mut feeds = Vec::new();
    for (index, table) in file.intake.feed.iter().enumerate() {
        let key = |field: &str| format!("intake.feed[{index}].{field}");
        known(sources, &table.source, key("source"))?;
        if !seen.insert(&table.url) {
            return Err(Mistake::new(key("url"), "stands here twice"));
        }
        let mapped = table.categories.values().flatten();
        if let Some(unknown) = table.topics.iter().chain(mapped).find(|topic| !topics.contains(topic)) {
            return Err(Mistake::new(key("topics"), format!("no [[topic]] has the name `{unknown}`")));
        }
        if let Some(tag) = &table.language {
            Language::parse(tag).map_err(|error| Mistake::new(key("language"), error))?;
        }
        if !(EVERY_MIN..=EVERY_MAX).contains(&table.every) {
            return Err(Mistake::new(key("every"), "must be 60s to 1d: its server is somebody else's"));
        }
        if !(1..=ENTRIES_MAX).contains(&table.entries_max) {
            return Err(Mistake::new(key("entries_max"), format!("must be 1 to {ENTRIES_MAX}")));
        }
        if table.enabled {
            rules.check(&table.url).map_err(|error| Mistake::new(key("url"), format!("{error}; see [outgoing]")))?;
            feeds.push(followed(table));
        }
    }
    Ok(feeds)
}

fn followed(table: &FeedTable) -> Followed {
    Followed {
        url: table.url.clone(),
        source: table.source.clone(),
        every: table.every,
        topics: table.topics.clone(),
        categories: table.categories.clone(),
        language: table.language.clone(),
        author: table.author.clone(),
        license: table.license.clone(),
        entries_max: table.entries_max,
        from: table.from,
    }
}

/// The inboxes for signed webhooks, by source.
pub(super) fn inboxes(file: &File, sources: &Sources) -> Result<BTreeMap<String, Inbox>, Mistake> {
    let mut inboxes = BTreeMap::new();
    for (index, table) in file.intake.inbox.iter().enumerate() {
        let key = |field: &str| format!("intake.inbox[{index}].{field}");
        known(sources, &table.source, key("source"))?;
        let public = |(at, text): (usize, &String)| match Key::parse(text) {
            Ok(key @ Key::Public(_)) => Ok(key),
            _ => Err(Mistake::new(key(&format!("public_keys[{at}]")), "write a public key: `whpk_` and base64")),
        };
        let public_keys = table.public_keys.iter().enumerate().map(public).collect::<Result<Vec<Key>, _>>()?;
        if public_keys.is_empty() && table.secret_files.is_empty() {
            return Err(Mistake::new(key("secret_files"), "name a file, or a public key: nobody could sign anything"));
        }
        let inbox = Inbox {
            secret_files: table.secret_files.iter().map(|path| file.instance.state_dir.join(path)).collect(),
            public_keys,
        };
        if inboxes.insert(table.source.clone(), inbox).is_some() {
            return Err(Mistake::new(key("source"), "has an inbox already; give that one all the keys"));
        }
    }
    Ok(inboxes)
}

/// How sources are told what became of what they sent.
pub(super) fn receipts(file: &File, sources: &Sources, rules: &Rules) -> Result<BTreeMap<String, Receipts>, Mistake> {
    let mut all = BTreeMap::new();
    for (index, table) in file.intake.receipts.iter().enumerate() {
        let key = |field: &str| format!("intake.receipts[{index}].{field}");
        known(sources, &table.source, key("source"))?;
        let way = match way(file, table) {
            Some(Receipts::Webhook(url, file)) => {
                rules.check(&url).map_err(|error| Mistake::new(key("url"), format!("{error}; see [outgoing]")))?;
                Receipts::Webhook(url, file)
            }
            Some(Receipts::Amqp(..)) if file.intake.amqp.is_none() => {
                return Err(Mistake::new(key("exchange"), "needs [intake.amqp]: it is that broker that is used"));
            }
            Some(way) => way,
            None => {
                let fix = "write `url` and `secret_file`, or `exchange` and `routing_key`";
                return Err(Mistake::new(key("url"), fix));
            }
        };
        if all.insert(table.source.clone(), way).is_some() {
            return Err(Mistake::new(key("source"), "is told already"));
        }
    }
    Ok(all)
}

fn way(file: &File, table: &ReceiptsTable) -> Option<Receipts> {
    match (&table.url, &table.secret_file, &table.exchange, &table.routing_key) {
        (Some(url), Some(secret), None, None) => {
            Some(Receipts::Webhook(url.clone(), file.instance.state_dir.join(secret)))
        }
        (None, None, Some(exchange), Some(key)) => Some(Receipts::Amqp(exchange.clone(), key.clone())),
        _ => None,
    }
}

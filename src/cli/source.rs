//! `allim source`: the feeds of partners that posts come from.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::store::StoreError;
use crate::store::pulled::{self, Feed};
use anyhow::Context as _;

/// What is done with feeds of partners.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists the feeds, when each was pulled, and what was wrong.
    List,
    /// Pulls the feeds of a source now, also those that have ended.
    Pull {
        /// The name of the [[intake.source]].
        name: String,
    },
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List => list(&app, json).await,
        Command::Pull { name } => pull(&app, &name, json).await,
    }
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let configured: Vec<(String, String)> =
        app.config.feeds.iter().map(|feed| (feed.url.clone(), feed.source.clone())).collect();
    let look = move |tx: &mut crate::store::Tx<'_>| {
        let state = |(url, source): &(String, String)| {
            let none = || Feed { url: url.clone(), source: source.clone(), ..Feed::default() };
            Ok(pulled::find(tx, url)?.unwrap_or_else(none))
        };
        configured.iter().map(state).collect::<Result<Vec<Feed>, StoreError>>()
    };
    let feeds = app.store.read(look).await.context("the store")?;
    if json {
        return print::json(&feeds);
    }
    let zone = &app.config.zone;
    let cells = |feed: &Feed| {
        let state = match (&feed.ended_at, &feed.why, feed.checked_at) {
            (Some(_), why, _) => format!("ended: {}", why.as_deref().unwrap_or_default()),
            (None, Some(why), _) => format!("failed {} times: {why}", feed.failures),
            (None, None, None) => "not asked yet".to_owned(),
            (None, None, Some(_)) => "well".to_owned(),
        };
        let state = match &feed.moved_to {
            Some(url) => format!("{state}; moved to {url}"),
            None => state,
        };
        let next_at = feed.checked_at.filter(|_| feed.ended_at.is_none()).map(|_| feed.next_at);
        vec![
            feed.source.clone(),
            feed.url.clone(),
            print::at_opt(feed.checked_at, zone),
            print::at_opt(next_at, zone),
            state,
        ]
    };
    print::table(&["source", "feed", "asked", "next", "state"], feeds.iter().map(cells));
    Ok(())
}

async fn pull(app: &App, name: &str, json: bool) -> anyhow::Result<()> {
    let none = || format!("no [[intake.feed]] that is enabled has the source `{name}`");
    let puller = app::puller(app)?.with_context(none)?;
    let pulled = puller.pull_now(name).await?;
    anyhow::ensure!(!pulled.is_empty(), none());
    if json {
        let row = |(url, outcome): &(String, Result<_, String>)| match outcome {
            Ok(taken) => serde_json::json!({ "url": url, "taken": taken }),
            Err(why) => serde_json::json!({ "url": url, "why": why }),
        };
        print::json(&pulled.iter().map(row).collect::<Vec<_>>())?;
    } else {
        for (url, outcome) in &pulled {
            print::line(match outcome {
                Ok(taken) => format!(
                    "{url}: {} new, {} revised, {} withdrawn, {} of our own, {} set aside",
                    taken.new, taken.revised, taken.withdrawn, taken.own, taken.quarantined
                ),
                Err(why) => format!("{url}: {why}"),
            });
        }
    }
    let failed = pulled.iter().filter(|(_, outcome)| outcome.is_err()).count();
    anyhow::ensure!(failed == 0, "{failed} of {} feeds could not be pulled", pulled.len());
    Ok(())
}

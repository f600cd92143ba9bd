//! `allim websub`: the programs that follow feeds.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::feed::{HUB_PING, WEBSUB};
use crate::domain::{clock::UnixMillis, destination};
use crate::send::hub::deny;
use crate::store::endpoints::Endpoint;
use crate::store::{StoreError, Tx, deliveries, destinations, endpoints};
use anyhow::Context as _;
use serde::Serialize;

/// What is done with those who follow feeds.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists who follows which feed, how they do, and which other hubs are told.
    List {
        /// Those that have ended too.
        #[arg(long)]
        all: bool,
        /// How many at most.
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// Ends a subscription; its callback is told. (A hub of others is told again after the next start, as long as the configuration names it.)
    Drop {
        /// Its id, as `list` prints it.
        id: i64,
    },
}

/// One of them, for people.
#[derive(Serialize)]
struct Row {
    id: i64,
    carrier: String,
    feed: String,
    url: String,
    signed: bool,
    since: UnixMillis,
    until: Option<UnixMillis>,
    ended: Option<UnixMillis>,
    ended_why: Option<String>,
    /// When the oldest delivery that waits is due.
    waiting_since: Option<UnixMillis>,
    failures: u32,
    not_before: Option<UnixMillis>,
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List { all, limit } => list(&app, all, i64::from(limit), json).await,
        Command::Drop { id } => {
            let now = app.store.now().await?;
            let origin = app.house.origin.clone();
            let drop = move |tx: &mut Tx<'_>| match endpoints::find(tx, id)? {
                Some(endpoint) => deny(tx, &endpoint, &origin, "an operator ended it", now),
                None => Ok(false),
            };
            let ended = app.store.write(drop).await?;
            anyhow::ensure!(ended, "there is no such subscription, or it has ended");
            print::line("ended");
            Ok(())
        }
    }
}

async fn list(app: &App, all: bool, limit: i64, json: bool) -> anyhow::Result<()> {
    let look = move |tx: &mut Tx<'_>| {
        let mut found = endpoints::list(tx, HUB_PING, all, limit)?;
        found.extend(endpoints::list(tx, WEBSUB, all, limit)?);
        found.into_iter().map(|endpoint| row(tx, endpoint)).collect::<Result<Vec<Row>, StoreError>>()
    };
    let rows = app.store.read(look).await.context("the store")?;
    if json {
        return print::json(&rows);
    }
    let zone = &app.config.zone;
    let now = app.store.now().await?;
    let cells = |row: &Row| {
        let state = match (&row.ended_why, row.failures) {
            (Some(why), _) => format!("ended: {why}"),
            (None, 0) => "well".to_owned(),
            (None, failures) => match row.not_before.filter(|until| *until > now) {
                Some(until) => format!("failed {failures} times, rests until {}", print::at(until, zone)),
                None => format!("failed {failures} times"),
            },
        };
        let feed = if row.carrier == HUB_PING { "(told of every change)" } else { &row.feed };
        let until = print::at_opt(row.until, zone);
        let waiting = print::at_opt(row.waiting_since.filter(|since| *since <= now), zone);
        vec![row.id.to_string(), feed.to_owned(), row.url.clone(), until, waiting, state]
    };
    print::table(&["id", "feed", "callback", "until", "waiting since", "state"], rows.iter().map(cells));
    Ok(())
}

fn row(tx: &mut Tx<'_>, endpoint: Endpoint) -> Result<Row, StoreError> {
    let name = destination::of_endpoint(&endpoint.carrier, endpoint.id);
    let breaker = destinations::find(tx, &name)?.map(|standing| standing.breaker).unwrap_or_default();
    Ok(Row {
        waiting_since: deliveries::next_due(tx, &name)?,
        id: endpoint.id,
        carrier: endpoint.carrier,
        feed: endpoint.subject,
        url: endpoint.url,
        signed: endpoint.secret.is_some(),
        since: endpoint.created_at,
        until: endpoint.until_at,
        ended: endpoint.ended_at,
        ended_why: endpoint.ended_why,
        failures: breaker.failures,
        not_before: breaker.not_before,
    })
}

//! `allim delivery`: what was sent to whom, when, by which attempt, and why not.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::audience::Address;
use crate::domain::delivery::{DeliveryKey, State};
use crate::domain::post::Post;
use crate::store::deliveries::{self, Attempt, Listed};
use crate::store::{Tx, accounts, bounces, editions, posts, subscribers};
use anyhow::Context as _;
use jiff::tz::TimeZone;

/// What is done with deliveries.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists deliveries, newest plan first.
    List {
        /// Only those in this state: due, claimed, sending, sent, refused, abandoned, uncertain or cancelled.
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// Only those to this address.
        #[arg(long = "for", value_name = "ADDRESS")]
        address: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Shows one delivery with its posts and attempts.
    Show {
        /// Its id, as `list` prints it.
        #[arg(value_parser = key)]
        id: DeliveryKey,
    },
    /// Makes a delivery due again that was refused, given up, is uncertain, or waits for a later attempt.
    Retry {
        /// Its id, as `list` prints it.
        #[arg(value_parser = key)]
        id: DeliveryKey,
    },
    /// Says what became of a delivery whose answer was lost: you looked there, since nobody else could.
    Settle {
        /// Its id, as `list --state uncertain` prints it.
        #[arg(value_parser = key)]
        id: DeliveryKey,
        /// It arrived; it counts as sent.
        #[arg(long, conflicts_with = "not_arrived", required_unless_present = "not_arrived")]
        arrived: bool,
        /// It didn't; it is due again.
        #[arg(long)]
        not_arrived: bool,
    },
}

fn state(text: &str) -> Result<State, String> {
    let words: Vec<&str> = State::ALL.iter().map(|state| state.word()).collect();
    State::from_word(text).ok_or_else(|| format!("write one of: {}", words.join(", ")))
}

fn key(text: &str) -> Result<DeliveryKey, String> {
    DeliveryKey::parse(text)
        .ok_or_else(|| "a delivery's id looks like 123.456.email; `delivery list` prints it".to_owned())
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List { state, address, limit } => list(&app, state, address.as_deref(), limit, json).await,
        Command::Show { id } => show(&app, id, json).await,
        Command::Retry { id } => retry(&app, id, json).await,
        Command::Settle { id, arrived, .. } => settle(&app, id, arrived, json).await,
    }
}

async fn list(app: &App, state: Option<State>, address: Option<&str>, limit: u32, json: bool) -> anyhow::Result<()> {
    let address = address.map(Address::parse).transpose()?;
    let found = app.store.read(move |tx| {
        let recipient = match &address {
            Some(address) => match subscribers::by_address(tx, address)? {
                Some(subscriber) => Some(subscriber.id),
                None => return Ok(None),
            },
            None => None,
        };
        deliveries::list(tx, state, recipient, i64::from(limit)).map(Some)
    });
    let rows = found.await?.context("nobody has this address")?;
    if json {
        return print::json(&rows);
    }
    print_list(&rows, &app.config.zone);
    Ok(())
}

/// Deliveries as a table.
pub(super) fn print_list(rows: &[Listed], zone: &TimeZone) {
    let row = |one: &Listed| {
        let reason = one.reason.clone().unwrap_or_default();
        let at = one.finished_at.unwrap_or(one.due_at);
        let attempts = one.attempts.to_string();
        vec![one.id.clone(), one.schedule.clone(), one.state.clone(), reason, attempts, print::at(at, zone)]
    };
    print::table(&["delivery", "schedule", "state", "reason", "attempts", "ended or due"], rows.iter().map(row));
}

async fn show(app: &App, id: DeliveryKey, json: bool) -> anyhow::Result<()> {
    let load = move |tx: &mut Tx<'_>| {
        let Some(delivery) = deliveries::find(tx, &id)? else { return Ok(None) };
        let attempts = deliveries::attempts(tx, &id)?;
        let items = editions::find(tx, delivery.edition_id)?.map(|edition| edition.content.items).unwrap_or_default();
        let wanted: Vec<_> = items.iter().map(|item| (item.post_id.clone(), item.revision)).collect();
        let bounces = bounces::of_delivery(tx, &id)?;
        Ok(Some((delivery, attempts, bounces, wanted.clone(), posts::at_revisions(tx, &wanted)?)))
    };
    let (delivery, attempts, bounces, wanted, posts) =
        app.store.read(load).await?.context("there is no such delivery")?;
    if json {
        let posts: Vec<_> =
            wanted.iter().map(|(id, revision)| serde_json::json!({ "id": id, "revision": revision })).collect();
        let all = serde_json::json!({ "delivery": delivery, "attempts": attempts, "bounces": bounces, "posts": posts });
        return print::json(&all);
    }
    let zone = &app.config.zone;
    print::fields(&[
        ("delivery", delivery.id.clone()),
        ("state", delivery.state.clone()),
        ("reason", delivery.reason.clone().unwrap_or_default()),
        ("schedule", delivery.schedule.clone()),
        ("subscriber", delivery.recipient_id.to_string()),
        ("planned", print::at(delivery.planned_at, zone)),
        ("due", print::at(delivery.due_at, zone)),
        ("uncertain", print::at_opt(delivery.uncertain_at, zone)),
        ("ended", print::at_opt(delivery.finished_at, zone)),
    ]);
    let post = |((id, revision), (_, post)): (&(String, i64), &(_, Post))| {
        vec![id.clone(), revision.to_string(), post.title.to_string()]
    };
    print::table(&["post", "revision", "title"], wanted.iter().zip(&posts).map(post));
    print::table(
        &["attempt", "sending", "ended", "outcome", "reason", "answer"],
        attempts.iter().map(|one| attempt(one, zone)),
    );
    super::subscriber::print_bounces(&bounces, zone);
    Ok(())
}

fn attempt(one: &Attempt, zone: &TimeZone) -> Vec<String> {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    vec![
        one.number.to_string(),
        print::at_opt(one.sending_at, zone),
        print::at_opt(one.ended_at, zone),
        text(&one.outcome),
        text(&one.reason),
        text(&one.reply),
    ]
}

async fn retry(app: &App, id: DeliveryKey, json: bool) -> anyhow::Result<()> {
    let now = app.store.now().await?;
    let done = app.store.write(move |tx| {
        let retried = deliveries::retry(tx, &id, now)?;
        Ok((retried, deliveries::find(tx, &id)?))
    });
    let (retried, delivery) = done.await?;
    let delivery = delivery.context("there is no such delivery")?;
    anyhow::ensure!(
        retried,
        "this delivery is {}; only one that waits, was refused, abandoned or is uncertain can be tried again",
        delivery.state
    );
    if json {
        return print::json(&delivery);
    }
    print::line(format!("{} is due again; a running allim takes it within a second", delivery.id));
    Ok(())
}

async fn settle(app: &App, id: DeliveryKey, arrived: bool, json: bool) -> anyhow::Result<()> {
    let now = app.store.now().await?;
    let done = app.store.write(move |tx| {
        let settled = accounts::settle_doubt(tx, &id, arrived, now)?;
        Ok((settled, deliveries::find(tx, &id)?))
    });
    let (settled, delivery) = done.await?;
    let delivery = delivery.context("there is no such delivery")?;
    anyhow::ensure!(settled, "this delivery is {}: only an uncertain one can be settled", delivery.state);
    if json {
        return print::json(&delivery);
    }
    print::line(format!("{} is {} now", delivery.id, delivery.state));
    Ok(())
}

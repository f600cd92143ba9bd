//! `allim quarantine`: messages that could not be taken in.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::Incoming;
use crate::store::quarantine::{self, Quarantined};
use anyhow::Context as _;
use jiff::tz::TimeZone;

/// What is done with the quarantine.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists messages that are set aside, oldest first.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Shows one message with the reason why it was set aside.
    Show {
        /// Its id, as `list` prints it.
        id: String,
    },
    /// Takes messages in again, after what was at fault has been set right.
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Replay {
        /// The id of one message.
        #[arg(group = "which")]
        id: Option<String>,
        /// All that are set aside.
        #[arg(long, group = "which")]
        all: bool,
    },
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List { limit } => list(&app, limit, json).await,
        Command::Show { id } => show(&app, &id, json).await,
        Command::Replay { id: Some(id), .. } => replay(&app, vec![id], json).await,
        Command::Replay { id: None, .. } => {
            let ids = app.store.read(quarantine::ids).await?;
            replay(&app, ids, json).await
        }
    }
}

async fn list(app: &App, limit: u32, json: bool) -> anyhow::Result<()> {
    let rows = app.store.read(move |tx| quarantine::list(tx, i64::from(limit))).await?;
    if json {
        return print::json(&rows);
    }
    print_list(&rows, &app.config.zone);
    Ok(())
}

/// Messages as a table.
pub(super) fn print_list(rows: &[Quarantined], zone: &TimeZone) {
    let row = |one: &Quarantined| {
        let source_id = one.source_id.clone().unwrap_or_default();
        let received_at = print::at(one.received_at, zone);
        vec![one.id.clone(), received_at, one.source.clone(), source_id, one.reason.clone(), one.path.clone()]
    };
    print::table(&["id", "received", "source", "post", "reason", "path"], rows.iter().map(row));
}

async fn show(app: &App, id: &str, json: bool) -> anyhow::Result<()> {
    let (row, incoming) = app.intake.quarantined(id).await?.context("there is no such message in the quarantine")?;
    let text = incoming.as_ref().map(|incoming| String::from_utf8_lossy(&incoming.bytes).into_owned());
    if json {
        let content_type = incoming.as_ref().and_then(|incoming| incoming.content_type.clone());
        return print::json(&serde_json::json!({ "quarantined": row, "content_type": content_type, "message": text }));
    }
    let zone = &app.config.zone;
    print::fields(&[
        ("id", row.id.clone()),
        ("reason", row.reason.clone()),
        ("path", row.path.clone()),
        ("detail", row.detail.clone()),
        ("source", row.source.clone()),
        ("event", row.event_id.clone().unwrap_or_default()),
        ("kind", row.kind.clone().unwrap_or_default()),
        ("post", row.source_id.clone().unwrap_or_default()),
        ("received", print::at(row.received_at, zone)),
        ("taken in", print::at_opt(row.replayed_at, zone)),
        ("type", incoming.as_ref().and_then(|incoming: &Incoming| incoming.content_type.clone()).unwrap_or_default()),
    ]);
    print::line("");
    print::line(print::visible(&text.unwrap_or_else(|| "the message can't be read back".to_owned())));
    Ok(())
}

async fn replay(app: &App, ids: Vec<String>, json: bool) -> anyhow::Result<()> {
    let mut receipts: Vec<(String, Receipt)> = Vec::with_capacity(ids.len());
    for id in ids {
        let receipt = app.intake.replay(&id).await?.context("there is no such message in the quarantine")?;
        receipts.push((id, receipt));
    }
    let still = receipts.iter().filter(|(_, receipt)| matches!(receipt.verdict, Verdict::Quarantined { .. })).count();
    if json {
        let rows: Vec<_> =
            receipts.iter().map(|(id, receipt)| serde_json::json!({ "id": id, "receipt": receipt })).collect();
        print::json(&rows)?;
    } else {
        for (id, receipt) in &receipts {
            print::line(format!("{id}  {}", print::visible(&super::post::verdict(&receipt.verdict))));
        }
        print::line(format!("{} taken in, {still} still set aside", receipts.len() - still));
    }
    anyhow::ensure!(still == 0, "{still} of {} messages are still refused", receipts.len());
    Ok(())
}

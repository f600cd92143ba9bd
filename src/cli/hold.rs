//! `allim hold`: stops sending and lets it go on.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::config::FOLDER_DESTINATION;
use crate::store::destinations;
use std::collections::BTreeSet;

/// What is done with holds.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Stops sending. Posts are taken in and planned; their mail waits.
    On {
        /// Only to this destination, such as `email:main`; to all when left out.
        #[arg(long)]
        destination: Option<String>,
        /// Why, for whoever looks.
        #[arg(long)]
        reason: String,
    },
    /// Lets sending go on.
    Off {
        /// Only to this destination; the hold on all when left out.
        #[arg(long)]
        destination: Option<String>,
    },
}

pub(super) async fn run(action: Option<Action>, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match action {
        None => {}
        Some(Action::On { destination, reason }) => {
            let (scope, now) = (scope(&app, destination.as_deref())?, app.store.now().await?);
            app.store.write(move |tx| destinations::hold(tx, &scope, &reason, now)).await?;
        }
        Some(Action::Off { destination }) => {
            let scope = scope(&app, destination.as_deref())?;
            let asked = scope.clone();
            let was_on = app.store.write(move |tx| destinations::release_hold(tx, &asked)).await?;
            anyhow::ensure!(was_on, "no hold of the scope `{scope}` is on");
        }
    }
    show(&app, json).await
}

async fn show(app: &App, json: bool) -> anyhow::Result<()> {
    let holds = app.store.read(destinations::holds).await?;
    if json {
        let row = |(scope, reason, since): &(String, String, _)| serde_json::json!({ "scope": scope, "reason": reason, "since_at": since });
        return print::json(&holds.iter().map(row).collect::<Vec<_>>());
    }
    if holds.is_empty() {
        print::line("no hold is on: mail is sent");
        return Ok(());
    }
    let rows = holds.into_iter().map(|(scope, reason, since)| vec![scope, print::at(since, &app.config.zone), reason]);
    print::table(&["held", "since", "reason"], rows);
    Ok(())
}

/// The scope as the store names it; a destination that doesn't exist would hold nothing, so it is refused.
fn scope(app: &App, destination: Option<&str>) -> anyhow::Result<String> {
    let Some(name) = destination else { return Ok("all".to_owned()) };
    let relays = app.config.file.relay.iter().map(|relay| format!("email:{}", relay.name));
    let mut known: BTreeSet<String> = relays.collect();
    if known.is_empty() {
        known.insert(FOLDER_DESTINATION.to_owned());
    }
    let full = if name.contains(':') { name.to_owned() } else { format!("email:{name}") };
    let list: Vec<&str> = known.iter().map(String::as_str).collect();
    anyhow::ensure!(known.contains(&full), "there is no destination `{full}`; there are: {}", list.join(", "));
    Ok(format!("destination:{full}"))
}

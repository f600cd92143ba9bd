//! `allim audit`: what was done by whom. And the row that a command leaves there.

mod acts;

pub(super) use acts::Act;

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::config::Config;
use crate::domain::audit::{Actor, Subject};
use crate::domain::clock::UnixMillis;
use crate::store::audit::{self, Asked, Entry};

/// Rows that are shown at most.
const ROWS_MAX: i64 = 100_000;

/// Lists acts, the newest first.
pub(super) async fn run(count: i64, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let acts = app.store.read(move |tx| audit::list(tx, &Asked::default(), count.clamp(1, ROWS_MAX))).await?;
    if json {
        return print::json(&acts);
    }
    let row = |act: audit::Written| {
        let on = if act.subject.is_empty() { String::new() } else { format!("{} {}", act.subject_kind, act.subject) };
        vec![print::at(act.at, &app.config.zone), act.actor, act.act, on, act.detail.to_string()]
    };
    print::table(&["when", "who", "what", "on what", "more"], acts.into_iter().map(row));
    Ok(())
}

/// Writes down what a command did, after it did it: one that is killed in between leaves no row.
pub(super) async fn tell(config: Config, act: Act) -> anyhow::Result<()> {
    let app = app::build(config, World::system(), Purpose::Command).await?;
    let now = app.store.now().await?;
    let entry = entry(&app, act.act, act.on, serde_json::json!({}), now);
    Ok(app.store.write(move |tx| audit::note(tx, &entry)).await?)
}

/// The row of the audit for what a command does, to be written in the transaction that does it.
pub(super) fn entry(app: &App, act: &str, subject: Subject, detail: serde_json::Value, at: UnixMillis) -> Entry {
    Entry { id: app.world.chance.draw_id(), at, actor: Actor::Command(user()), act: act.to_owned(), subject, detail }
}

/// The name of the machine's user, as the environment tells it: whoever may run commands here may do everything anyway.
fn user() -> String {
    let names = ["SUDO_USER", "USER", "LOGNAME"];
    names
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned())
}

//! `allim migrate`: brings the tables of the store up to date.

use super::{Context, print};
use crate::app::{self, Purpose, World};
use crate::store::{self, Found};

pub(super) async fn run(context: Context) -> anyhow::Result<()> {
    let (json, location) = (context.json, context.config.store.clone());
    let before = tokio::task::spawn_blocking(move || store::inspect(&location)).await??;
    app::build(context.config, World::system(), Purpose::Command).await?;
    let (known, from) = (store::version_known(), version(before));
    if json {
        return print::json(&serde_json::json!({ "from": from, "version": known }));
    }
    match before {
        Found::Version(at) if at == known => print::line(format!("version {known}: nothing to do")),
        Found::Version(at) => print::line(format!("version {known}, was {at}")),
        Found::Empty => print::line(format!("version {known}, made new")),
    }
    Ok(())
}

/// The version as a number: 0 where there is nothing.
fn version(found: Found) -> i64 {
    match found {
        Found::Empty => 0,
        Found::Version(at) => at,
    }
}

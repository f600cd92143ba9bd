//! What takes and settles mail that comes back, built from the configuration.

use super::App;
use crate::settle::inbound::{Own, Settler};
use crate::settle::listener::{self, Parts};
use anyhow::Context as _;
use lettre::transport::smtp::extension::ClientId;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What settles mail that came back.
#[must_use]
pub fn settler(app: &App) -> Settler {
    let own = Own { list_ids: app.config.senders.values().map(|sender| sender.list_id.clone()).collect() };
    Settler::new(app.store.clone(), own, app.world.chance.clone())
}

/// Starts the listener, if it is configured.
pub(super) async fn listen(app: &App, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> anyhow::Result<()> {
    let table = &app.config.file.inbound;
    let Some(address) = &table.listen else { return Ok(()) };
    let listener = listener::listen(address).await.with_context(|| format!("inbound.listen {address}"))?;
    tracing::info!(address, protocol = ?table.protocol, "taking returned mail");
    let parts = Parts {
        store: app.store.clone(),
        protocol: table.protocol,
        domains: app.config.inbound_domains.clone(),
        name: ClientId::default().to_string(),
        wake: app.inbound_wake.clone(),
    };
    tasks.spawn(listener::serve(listener, parts, stop.clone()));
    Ok(())
}

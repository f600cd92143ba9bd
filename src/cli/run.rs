//! `allim run`: the daemon.

use super::Context;
use crate::app::{self, Purpose, World, lifecycle, telemetry};
use crate::config::{Role, Roles};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Runs until SIGTERM or SIGINT; a second one ends it at once.
pub(super) async fn run(roles: Vec<Role>, mut context: Context) -> anyhow::Result<()> {
    // None named: those of the configuration.
    if let Some(roles) = Roles::new(roles) {
        context.config.roles = roles;
    }
    let prometheus = telemetry::metrics()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping: no new work is begun, what is under way is finished");
        stop.send_replace(true);
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("stopped at once; what was being sent is uncertain");
        std::process::exit(130);
    });
    let app = app::build(context.config, World::system(), Purpose::Daemon).await?;
    lifecycle::run(app, Arc::new(move || prometheus.render()), stopping).await
}

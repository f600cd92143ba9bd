//! `allim run`: the daemon.

use super::Context;
use crate::app::{self, Purpose, World, daemon, telemetry};
use crate::config::{Role, Roles};
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Runs until SIGTERM or SIGINT; a second one ends it at once. SIGHUP reads the configuration anew.
pub(super) async fn run(roles: Vec<Role>, mut context: Context) -> anyhow::Result<()> {
    // None named: those of the configuration.
    let named = Roles::new(roles);
    if let Some(roles) = &named {
        context.config.roles = roles.clone();
    }
    let prometheus = telemetry::metrics()?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut hangup = signal(SignalKind::hangup())?;
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::info!("stopping: no new work is begun, what is under way is finished");
        stop.send_replace(true);
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        tracing::warn!("stopped at once; what was being sent is uncertain");
        std::process::exit(130);
    });
    // One that is asked for while another is under way is not lost, and two are as good as one.
    let (ask, asked) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            let _ = ask.try_send(());
        }
    });
    let file = context.file;
    let load = move || {
        let mut config = super::load(&file)?;
        if let Some(roles) = &named {
            config.roles = roles.clone();
        }
        Ok(config)
    };
    let app = app::build(context.config, World::system(), Purpose::Daemon).await?;
    daemon::run(app, Arc::new(move || prometheus.render()), load, asked, stopping).await
}

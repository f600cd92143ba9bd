//! What the control room is made from.

use super::App;
use crate::web::{self, Front, admin};
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Starts the control room, if there is one.
///
/// # Errors
/// When its address is taken or not ours.
pub(super) async fn start(
    app: &App,
    front: Arc<Front>,
    tasks: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let Some((address, settings)) = app.config.control_room.clone() else { return Ok(()) };
    let listener = web::listen("admin.listen", &address.to_string()).await?;
    let room = Arc::new(admin::Room::new(admin::Parts { front, settings }).context("the control room")?);
    let stop = stop.clone();
    tasks.spawn(async move {
        if let Err(error) = admin::serve(listener, room, stop).await {
            tracing::error!(%error, "the control room ended");
        }
    });
    Ok(())
}

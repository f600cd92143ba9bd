//! The listening sockets of pages and control room. They stay open while the configuration behind them is changed.

use super::{App, promises};
use crate::web::{self, Front, Present, admin};
use anyhow::Context as _;
use axum::Router;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What people come in by. Each door opens when there is first something to show.
pub(super) struct Doors {
    /// What `/metrics` answers.
    pub(super) metrics: web::Metrics,
    pages: Option<watch::Sender<Arc<Present>>>,
    room: Option<watch::Sender<Router>>,
    serving: JoinSet<()>,
    stop: watch::Receiver<bool>,
}

impl Doors {
    /// Closed doors. Those that open close when `stop` turns true.
    pub(super) fn new(metrics: web::Metrics, stop: watch::Receiver<bool>) -> Self {
        Self { metrics, pages: None, room: None, serving: JoinSet::new(), stop }
    }

    /// Shows the pages, and the control room if there is one, in place of those shown before.
    ///
    /// # Errors
    /// When an address is taken or not ours, or a template of the control room is wrong.
    pub(super) async fn show(&mut self, app: &App, front: Arc<Front>) -> anyhow::Result<()> {
        // All that may fail comes before anything is changed.
        let room = app.config.control_room.clone().map(|(address, settings)| {
            let stationery = app.stationery.clone();
            let letters: admin::Letters = Box::new(move |edition, posts| stationery.render(edition, posts, None));
            let terms = promises::terms(&app.config);
            let parts = admin::Parts { front: front.clone(), settings, letters, terms };
            let room = admin::Room::new(parts).context("the control room")?;
            anyhow::Ok((address, admin::router(&Arc::new(room))))
        });
        let room = room.transpose()?;
        self.show_pages(app, Arc::new(Present::new(front))).await?;
        let Some((address, routes)) = room else { return Ok(()) };
        if let Some(shown) = &self.room {
            drop(shown.send_replace(routes));
            return Ok(());
        }
        let listener = web::listen("admin.listen", &address.to_string()).await?;
        let (shown, present) = watch::channel(routes);
        self.room = Some(shown);
        let stop = self.stop.clone();
        self.serving.spawn(async move {
            if let Err(error) = admin::serve(listener, present, stop).await {
                tracing::error!(%error, "the control room ended");
            }
        });
        Ok(())
    }

    async fn show_pages(&mut self, app: &App, pages: Arc<Present>) -> anyhow::Result<()> {
        if let Some(shown) = &self.pages {
            shown.send_replace(pages);
            return Ok(());
        }
        let listener = web::listen("web.listen", &app.config.file.web.listen).await?;
        let (shown, present) = watch::channel(pages);
        self.pages = Some(shown);
        let stop = self.stop.clone();
        self.serving.spawn(async move {
            if let Err(error) = web::serve(listener, present, stop).await {
                tracing::error!(%error, "the web server ended");
            }
        });
        Ok(())
    }

    /// Waits until the last request is answered.
    pub(super) async fn close(mut self) {
        while self.serving.join_next().await.is_some() {}
    }
}

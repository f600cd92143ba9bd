//! The ways to what others name: the couriers to programs, the hub's questions, the copies of pictures.

use super::App;
use crate::domain::clock::UnixMillis;
use crate::domain::feed::HUB_PING;
use crate::guard::Guard;
use crate::intake::media::{self, Mirror};
use crate::send::carriers::hub_ping::HubPing;
use crate::send::carriers::websub::WebSub;
use crate::send::hub::{self, Asker};
use crate::send::lease::Lease;
use crate::send::push::courier::Courier;
use crate::send::push::{self, Office};
use crate::send::recorder::Recorder;
use crate::store::endpoints::{self, New};
use crate::store::{StoreError, Tx};
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

const MIB: u64 = 1_024 * 1_024;
/// Other hubs at most; more is a mistake.
const HUBS_MAX: i64 = 1_000;

/// Starts what copies pictures and files of posts, if they are to be copied.
pub(super) fn start_mirror(
    app: &Arc<App>,
    tasks: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let table = &app.config.file.media;
    if !table.mirror {
        return Ok(());
    }
    let folder = app.config.in_state(&table.folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("media.folder {}", folder.display()))?;
    let mirror = Mirror {
        store: app.store.clone(),
        guard: guard(app)?,
        chance: app.world.chance.clone(),
        folder,
        bytes_max: u64::from(table.file_mib_max) * MIB,
        total_max: u64::from(table.total_mib_max) * MIB,
    };
    tasks.spawn(media::run(Arc::new(mirror), stop.clone()));
    Ok(())
}

/// The way to what others name.
fn guard(app: &App) -> anyhow::Result<Guard> {
    let agent = match &app.config.site.public_url {
        Some(url) => format!("allim/{} (+{url})", env!("CARGO_PKG_VERSION")),
        None => format!("allim/{}", env!("CARGO_PKG_VERSION")),
    };
    Guard::new(app.config.outgoing.clone(), &agent).context("TLS to the outside")
}

/// Starts couriers and questions.
pub(super) async fn start(
    app: &Arc<App>,
    lease: Arc<Lease>,
    recorder: Recorder,
    senders: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let guard = guard(app)?;
    let now = app.store.now().await?;
    let hubs = app.config.file.websub.hubs.clone();
    app.store.write(move |tx| tell_hubs(tx, &hubs, now)).await.context("websub.hubs")?;
    let house = app.house.clone();
    let websub = WebSub { guard: guard.clone(), house: house.clone(), signature: app.config.file.websub.signature };
    let couriers: Vec<Box<dyn Courier>> =
        vec![Box::new(websub), Box::new(HubPing { guard: guard.clone(), house: house.clone() })];
    let (store, chance) = (app.store.clone(), app.world.chance.clone());
    let templates = app.stationery.templates.clone();
    let office = Arc::new(Office::new(store.clone(), lease, recorder, chance.clone(), couriers, templates));
    senders.spawn(push::run(office, app.push_wake.clone(), stop.clone()));
    senders.spawn(hub::run(Arc::new(Asker { store, guard, chance }), app.hub_wake.clone(), stop.clone()));
    Ok(())
}

/// The hubs of the configuration are told of what comes, and no others.
fn tell_hubs(tx: &mut Tx<'_>, hubs: &[String], now: UnixMillis) -> Result<(), StoreError> {
    for endpoint in endpoints::list(tx, HUB_PING, false, HUBS_MAX)? {
        if !hubs.contains(&endpoint.url) {
            endpoints::end(tx, endpoint.id, "the configuration doesn't name it any more", now)?;
        }
    }
    for url in hubs {
        endpoints::ensure(tx, &New { carrier: HUB_PING, subject: "", url, secret: None, until_at: None }, now)?;
    }
    Ok(())
}

//! The ways to what others name: the couriers to programs, the hub's questions, the copies of pictures.

use super::App;
use super::custody::Custody;
#[cfg(feature = "amqp")]
use crate::domain::delivery::Outcome;
use crate::guard::Guard;
use crate::intake::media::{self, Mirror};
#[cfg(feature = "amqp")]
use crate::render::event;
#[cfg(feature = "amqp")]
use crate::send::carriers::amqp_out::{self, AmqpOut};
use crate::send::carriers::hub_ping::HubPing;
use crate::send::carriers::webhook::Webhook;
use crate::send::carriers::websub::WebSub;
use crate::send::hub::{self, Asker};
use crate::send::lease::Lease;
use crate::send::push::courier::Courier;
use crate::send::push::{self, Office};
use crate::send::recorder::Recorder;
use crate::web::Partnership;
#[cfg(feature = "amqp")]
use crate::web::Tried;
use anyhow::Context as _;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

const MIB: u64 = 1_024 * 1_024;

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
        guard: guard(app, table.from_own_networks)?,
        chance: app.world.chance.clone(),
        unpacking: tokio::sync::Mutex::default(),
        folder,
        bytes_max: u64::from(table.file_mib_max) * MIB,
        total_max: u64::from(table.total_mib_max) * MIB,
    };
    tasks.spawn(media::run(Arc::new(mirror), stop.clone()));
    Ok(())
}

/// The way to what others name.
fn guard(app: &App, with_own_networks: bool) -> anyhow::Result<Guard> {
    let agent = match &app.config.site.public_url {
        Some(url) => format!("allim/{} (+{url})", env!("CARGO_PKG_VERSION")),
        None => format!("allim/{}", env!("CARGO_PKG_VERSION")),
    };
    let mut rules = app.config.outgoing.clone();
    if !with_own_networks {
        rules.own.clear();
    }
    Guard::new(rules, &agent).context("TLS to the outside")
}

/// What is done with partner institutions.
///
/// # Errors
/// When there is no TLS to be had.
pub fn partnership(app: &App) -> anyhow::Result<Partnership> {
    Ok(Partnership {
        store: app.store.clone(),
        seal: app.seal.clone(),
        guard: guard(app, true)?,
        house: app.house.clone(),
        chance: app.world.chance.clone(),
        overlap: app.config.file.partners.key_overlap,
    })
}

/// Publishes a ping to the broker of a partner, by a connection of its own, and says what came back.
///
/// # Errors
/// When there is no such partner, or it is told by no broker.
#[cfg(feature = "amqp")]
pub async fn try_broker(partners: &Partnership, name: &str) -> anyhow::Result<Tried> {
    let (broker, id) = (partners.broker(name).await?, partners.ping_id(0));
    let ping = event::ping(&partners.house, &id, partners.store.now().await?);
    let (is_taken, answer) = match amqp_out::try_out(&broker, &id, &ping).await {
        Outcome::Sent { reply } => (true, reply),
        Outcome::TryLater { reply, .. } | Outcome::Refused { reply, .. } | Outcome::Uncertain { reply, .. } => {
            (false, reply)
        }
        Outcome::NotAllowed => (false, String::new()),
    };
    Ok(Tried { is_taken, answer, id })
}

/// Starts couriers and questions. They run though nobody may be there to be told: a partner can be added at any time.
pub(super) async fn start(
    app: &Arc<App>,
    custody: &Custody,
    lease: Arc<Lease>,
    recorder: Recorder,
    senders: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let table = &app.config.file.websub;
    let is_open = table.enabled && app.config.site.public_url.is_some();
    let guard = guard(app, true)?;
    let (store, chance, house) = (app.store.clone(), app.world.chance.clone(), app.house.clone());
    let websub = WebSub { guard: guard.clone(), house: house.clone(), signature: table.signature };
    let webhook = Webhook { guard: guard.clone(), house: house.clone(), seal: app.seal.clone() };
    let couriers: [Arc<dyn Courier>; 3] =
        [Arc::new(websub), Arc::new(HubPing { guard: guard.clone(), house: house.clone() }), Arc::new(webhook)];
    let couriers = couriers.into_iter().chain(brokers(app)).collect();
    let templates = app.stationery.templates.clone();
    let office = Arc::new(Office::new(store.clone(), lease, recorder, chance.clone(), couriers, templates));
    senders.spawn(push::run(office, app.push_wake.clone(), stop.clone()));
    let (custody, other_hubs) = (custody.clone(), table.hubs.clone());
    let is_in_doubt = Arc::new(move || custody.is_in_doubt());
    let asker = Arc::new(Asker { store, guard, chance, house, is_open, other_hubs, is_in_doubt });
    senders.spawn(hub::run(asker, app.hub_wake.clone(), stop.clone()));
    Ok(())
}

/// The courier to brokers of partners, where RabbitMQ is built in.
fn brokers(app: &App) -> Option<Arc<dyn Courier>> {
    #[cfg(feature = "amqp")]
    return Some(Arc::new(AmqpOut::new(app.house.clone(), app.seal.clone())));
    #[cfg(not(feature = "amqp"))]
    {
        let _ = app;
        None
    }
}

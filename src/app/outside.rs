//! The ways to what others name: the couriers to programs, the hub's questions, the copies of pictures, the feeds of partners, receipts
//! to sources.

use super::custody::Custody;
use super::{App, accounts};
use crate::config::Config;
use crate::config::Receipts;
#[cfg(feature = "amqp")]
use crate::domain::delivery::Outcome;
use crate::domain::standard_webhook::Key;
use crate::guard::Guard;
use crate::intake::feed::{self, Puller};
use crate::intake::media::{self, Mirror};
use crate::intake::receipts::{self, Teller, Way};
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
use crate::send::push::{self, Office, Ways};
use crate::send::recorder::Recorder;
use crate::web::Partnership;
#[cfg(feature = "amqp")]
use crate::web::Tried;
use anyhow::Context as _;
use std::path::Path;
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

/// What pulls the feeds of partners; `None` where there are none.
///
/// # Errors
/// When there is no TLS to be had.
pub fn puller(app: &App) -> anyhow::Result<Option<Puller>> {
    if app.config.feeds.is_empty() {
        return Ok(None);
    }
    Ok(Some(Puller {
        store: app.store.clone(),
        intake: app.intake.clone(),
        guard: guard(app, true)?,
        chance: app.world.chance.clone(),
        feeds: app.config.feeds.clone(),
    }))
}

/// Starts what speaks with partners that posts come from: pulling their feeds, and telling sources what became of what they sent.
pub(super) fn start_partners_in(
    app: &Arc<App>,
    custody: &Custody,
    tasks: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    if let Some(puller) = puller(app)? {
        tasks.spawn(feed::run(Arc::new(puller), stop.clone()));
    }
    if app.config.receipts.is_empty() {
        return Ok(());
    }
    let custody = custody.clone();
    let teller = Teller {
        store: app.store.clone(),
        guard: guard(app, true)?,
        chance: app.world.chance.clone(),
        ways: app
            .config
            .receipts
            .iter()
            .map(|(source, told)| Ok((source.clone(), way(told)?)))
            .collect::<anyhow::Result<_>>()?,
        broker: super::queue(&app.config),
        authority: app.config.file.site.tag_authority.clone(),
        grace: app.config.file.immediate.grace,
        is_in_doubt: Arc::new(move || custody.is_in_doubt()),
    };
    tasks.spawn(receipts::run(Arc::new(teller), stop.clone()));
    Ok(())
}

/// Reads the keys of receipts.
///
/// # Errors
/// What is wrong with a file of keys.
pub(super) fn try_receipts(config: &Config) -> anyhow::Result<()> {
    config.receipts.values().try_for_each(|told| way(told).map(drop))
}

fn way(told: &Receipts) -> anyhow::Result<Way> {
    Ok(match told {
        Receipts::Webhook(url, file) => {
            let keys = read_keys(file).with_context(|| format!("intake.receipts secret_file {}", file.display()))?;
            let is_secret = |key: &Key| !matches!(key, Key::Public(_));
            anyhow::ensure!(keys.iter().all(is_secret), "{}: nothing can be signed with a public key", file.display());
            Way::Webhook { url: url.clone(), keys }
        }
        Receipts::Amqp(exchange, key) => Way::Amqp { exchange: exchange.clone(), routing_key: key.clone() },
    })
}

/// The keys in a file, one a line.
///
/// # Errors
/// What is wrong with it; never anything of its content.
pub(super) fn read_keys(file: &Path) -> anyhow::Result<Vec<Key>> {
    let text = std::fs::read_to_string(file)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<Key> = lines.map(Key::parse).collect::<Result<_, _>>()?;
    anyhow::ensure!(!keys.is_empty(), "it holds no key");
    Ok(keys)
}

/// The way to what others name.
///
/// # Errors
/// When there is no TLS to be had.
pub fn guard(app: &App, with_own_networks: bool) -> anyhow::Result<Guard> {
    guard_of(&app.config, with_own_networks)
}

/// The same before there is an app.
pub(super) fn guard_of(config: &Config, with_own_networks: bool) -> anyhow::Result<Guard> {
    let agent = match &config.site.public_url {
        Some(url) => format!("allim/{} (+{url})", env!("CARGO_PKG_VERSION")),
        None => format!("allim/{}", env!("CARGO_PKG_VERSION")),
    };
    let mut rules = config.outgoing.clone();
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
    let accounts = accounts::all(app, &guard)?;
    senders.spawn(accounts::tidy(app.clone(), custody.clone(), stop.clone()));
    let ways = Ways { couriers, accounts, seal: app.seal.clone(), templates };
    let office = Arc::new(Office::new(store.clone(), lease, recorder, chance.clone(), ways));
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

//! The ways to what others name: the couriers to programs, the hub's questions, the copies of pictures, the feeds of partners, receipts
//! to sources.

use super::App;
use super::custody::Custody;
use crate::config::Receipts;
use crate::domain::standard_webhook::Key;
use crate::guard::Guard;
use crate::intake::feed::{self, Puller};
use crate::intake::media::{self, Mirror};
use crate::intake::receipts::{self, Teller, Way};
use crate::send::carriers::hub_ping::HubPing;
use crate::send::carriers::websub::WebSub;
use crate::send::hub::{self, Asker};
use crate::send::lease::Lease;
use crate::send::push::courier::Courier;
use crate::send::push::{self, Office};
use crate::send::recorder::Recorder;
use crate::store::endpoints;
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

/// Starts couriers and questions, where there is a hub, of our own or of others, or was one.
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
    if !is_open && table.hubs.is_empty() && !app.store.read(endpoints::any).await? {
        return Ok(());
    }
    let guard = guard(app, true)?;
    let (store, chance, house) = (app.store.clone(), app.world.chance.clone(), app.house.clone());
    let websub = WebSub { guard: guard.clone(), house: house.clone(), signature: table.signature };
    let couriers: Vec<Arc<dyn Courier>> =
        vec![Arc::new(websub), Arc::new(HubPing { guard: guard.clone(), house: house.clone() })];
    let templates = app.stationery.templates.clone();
    let office = Arc::new(Office::new(store.clone(), lease, recorder, chance.clone(), couriers, templates));
    senders.spawn(push::run(office, app.push_wake.clone(), stop.clone()));
    let (custody, other_hubs) = (custody.clone(), table.hubs.clone());
    let is_in_doubt = Arc::new(move || custody.is_in_doubt());
    let asker = Arc::new(Asker { store, guard, chance, house, is_open, other_hubs, is_in_doubt });
    senders.spawn(hub::run(asker, app.hub_wake.clone(), stop.clone()));
    Ok(())
}

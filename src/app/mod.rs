//! The roof: builds everything from a configuration and keeps it running.

pub mod clock;
pub mod custody;
mod front;
pub mod high_water;
pub mod inbound;
pub mod lifecycle;
pub mod lock;
pub mod logo;
mod loops;
pub mod posture;
pub mod quickstart;
pub mod roster;
pub mod signing;
pub mod telemetry;
mod wakes;

pub use loops::CLOCK_OFF_MS_MAX;

use crate::config::file::Relay;
use crate::config::{Config, ways};
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::{Chance, Clock};
use crate::domain::{destination, ids};
use crate::intake::Intake;
use crate::intake::accept::{Backfill, Revisions};
use crate::intake::amqp;
use crate::plan::route::Classes;
use crate::plan::{Planner, Rules};
use crate::render::templates::Templates;
use crate::send::Destination;
use crate::send::carriers::maildir::Maildir;
use crate::send::carriers::smtp::{self, Smtp};
use crate::send::group::Group;
use crate::send::pace::{Pace, Ramp};
use crate::send::prepare::{Preparer, Stationery};
use crate::send::relay::{self, Limits};
use crate::store::identity::{self, Cause};
use crate::store::token_keys::{self, TokenKey};
use crate::store::{Location, Store, suppressions};
use anyhow::Context as _;
use high_water::HighWater;
use std::fs::File;
use std::sync::Arc;
use tokio::sync::Notify;

/// What the environment gives: time and chance.
#[derive(Clone)]
pub struct World {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub chance: Arc<dyn Chance>,
}

impl App {
    /// The file that remembers how far the database had come.
    #[must_use]
    pub fn high_water(&self) -> HighWater {
        let instance = &self.config.file.instance;
        HighWater::new(&instance.state_dir, &instance.name)
    }
}

impl World {
    /// The real one.
    #[must_use]
    pub fn system() -> Self {
        Self { clock: Arc::new(clock::SystemClock), chance: Arc::new(clock::SystemChance) }
    }
}

/// Everything, built and not yet running.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// Time and chance.
    pub world: World,
    /// The ledger.
    pub store: Store,
    /// The door.
    pub intake: Intake,
    /// The planner.
    pub planner: Planner,
    /// What mail is made of.
    pub stationery: Arc<Stationery>,
    /// Makes editions ready.
    pub preparer: Arc<Preparer>,
    /// Notified when there may be something to plan.
    pub plan_wake: Arc<Notify>,
    /// Notified when a mail came back.
    pub inbound_wake: Arc<Notify>,
    /// Keeps other daemons off; held as long as the app.
    pub lock: Option<File>,
}

/// Whether this process may run beside a daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A daemon: alone on its SQLite database.
    Daemon,
    /// A command, which may run beside one.
    Command,
}

/// Builds the app: one straight function, so that the order of things can be read off.
///
/// # Errors
/// What is missing or wrong, in a sentence for the operator.
pub async fn build(config: Config, world: World, purpose: Purpose) -> anyhow::Result<App> {
    let state_dir = &config.file.instance.state_dir;
    std::fs::create_dir_all(state_dir).with_context(|| format!("instance.state_dir {}", state_dir.display()))?;
    let embedded = matches!(config.store, Location::Sqlite(_));
    let lock = (purpose == Purpose::Daemon && embedded).then(|| lock::take(state_dir)).transpose()?;
    let (location, clock) = (config.store.clone(), world.clock.clone());
    let store = tokio::task::spawn_blocking(move || Store::open(&location, clock)).await?.context("store.url")?;
    refuse_unfinished(&store).await?;
    ensure_keys(&store, &world).await?;
    let templates_folder = config.file.templates.folder.as_ref().map(|folder| config.base.join(folder));
    let templates = Arc::new(Templates::load(templates_folder.as_deref()).context("templates.folder")?);
    let plan_wake = Arc::new(Notify::new());
    let backfill = Backfill::OlderThan(config.file.intake.max_age);
    let intake = Intake::new(store.clone(), config.sources.clone(), backfill, plan_wake.clone());
    let planner = Planner::new(store.clone(), rules(&config, &templates));
    let stationery = Arc::new(stationery(&config, templates));
    let preparer = Arc::new(Preparer::new(store.clone(), stationery.clone()));
    preparer.refresh_keys().await?;
    let inbound_wake = Arc::new(Notify::new());
    Ok(App { config, world, store, intake, planner, stationery, preparer, plan_wake, inbound_wake, lock })
}

fn rules(config: &Config, templates: &Templates) -> Rules {
    let route_default = config.routes.get(&(IMMEDIATE.to_owned(), None)).cloned().unwrap_or_default();
    Rules {
        release: config.release.clone(),
        digests: config.digests.clone(),
        template: templates.version().to_owned(),
        chunk_recipients: config.file.send.chunk,
        grace: config.file.immediate.grace,
        noting: config
            .sources
            .iter()
            .filter(|(_, source)| source.revisions == Revisions::Note)
            .map(|(name, _)| name.clone())
            .collect(),
        consent_kept: config.file.people.consent_kept,
        routes: config.routes.clone(),
        route_default,
        classes: Classes::new(
            config.classes.iter().map(|class| (class.name.as_str(), &class.domains[..])),
            // A folder takes all mail as it comes.
            config.groups.iter().filter(|group| !group.relays.is_empty()).map(|group| group.name.as_str()),
        ),
    }
}

fn stationery(config: &Config, templates: Arc<Templates>) -> Stationery {
    let zone_of = |digest: &crate::plan::digest::Digest| {
        jiff::tz::TimeZone::get(digest.schedule.zone()).unwrap_or_else(|_| config.zone.clone())
    };
    let mut zones: std::collections::BTreeMap<_, _> =
        config.digests.values().map(|digest| (digest.name.clone(), zone_of(digest))).collect();
    zones.insert(IMMEDIATE.to_owned(), config.zone.clone());
    Stationery {
        site: config.site.clone(),
        digest_titles: config.file.digest.iter().map(|table| (table.name.clone(), table.title.clone())).collect(),
        topic_titles: config.topic_titles(),
        zones,
        senders: config.senders.clone(),
        templates,
        notes_revisions: config.file.mail.note_revised,
        calendar_authority: config.file.mail.attach_calendar.then(|| config.tag_domain().to_owned()),
        commercial: config.digests.values().filter(|d| d.commercial).map(|d| d.name.clone()).collect(),
    }
}

/// A database that a move didn't fill to the end is of no use to anybody: rows are missing.
async fn refuse_unfinished(store: &Store) -> anyhow::Result<()> {
    let doubts = store.read(identity::doubts).await.context("store.url")?;
    let unfinished = doubts.into_iter().find(|doubt| doubt.cause == Cause::Unfinished);
    unfinished.map_or(Ok(()), |doubt| Err(anyhow::anyhow!("store.url: {}", doubt.reason)))
}

/// The first start makes the first key of tokens, and the one of address hashes.
async fn ensure_keys(store: &Store, world: &World) -> anyhow::Result<()> {
    let (key, hashes) = (new_token_key(world), new_token_key(world).secret);
    let made = store.write(move |tx| {
        if token_keys::all(tx)?.is_empty() {
            token_keys::insert(tx, &key)?;
        }
        suppressions::ensure_key(tx, &hashes)
    });
    made.await.context("the first keys")
}

/// A new key for the tokens in mailed links.
#[must_use]
pub fn new_token_key(world: &World) -> TokenKey {
    let mut bytes = Vec::with_capacity(32);
    while bytes.len() < 32 {
        bytes.extend(world.chance.draw().to_be_bytes());
    }
    let id = ids::hex(&world.chance.draw().to_be_bytes()[..3]);
    TokenKey { id, secret: ids::hex(&bytes), created_at: world.clock.now() }
}

/// The queue that posts come from, if one is configured.
#[must_use]
pub fn queue(config: &Config) -> Option<amqp::Settings> {
    let table = config.file.intake.amqp.as_ref()?;
    Some(amqp::Settings {
        url: table.url.clone(),
        password_file: table.password_file.as_ref().map(|file| config.in_state(file)),
        ca_file: table.ca_file.as_ref().map(|file| config.in_state(file)),
        queue: table.queue.clone(),
        source: table.source.clone(),
        prefetch: table.prefetch,
        delivery_limit: table.delivery_limit,
        topology: table.topology,
        hold_max: amqp::HOLD_MAX,
    })
}

/// Chooses the one TLS provider of the process, for the queue, the relays and the database: rustls asks for a choice
/// as soon as a second provider is compiled in by any library. To be called once, before anything connects.
pub fn choose_tls_provider() {
    // An error means that one was chosen before, as in tests.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

/// The ways out.
pub struct Ways {
    /// The relays; or the folder in the place of one.
    pub relays: Vec<Arc<relay::Relay>>,
    /// The destinations that go by them; the one that most mail goes to comes first.
    pub destinations: Vec<Arc<Destination>>,
}

/// The ways out of a configuration, and a sentence about each for the log.
///
/// # Errors
/// What is missing or wrong.
pub fn ways(config: &Config, world: &World) -> anyhow::Result<Ways> {
    if config.file.relay.is_empty() {
        let folder = config.in_state(&config.file.send.folder);
        let carrier = Maildir::create(&folder).with_context(|| format!("send.folder {}", folder.display()))?;
        tracing::warn!(folder = %folder.display(), "no [[relay]] is configured: mail is written into a folder and sent to nobody");
        let relay = relay::Relay::new("folder", Box::new(carrier), Limits::default());
        let name = crate::config::FOLDER_DESTINATION.to_owned();
        let destination = Destination::new(name, Group::new([(relay.clone(), 1)]));
        return Ok(Ways { relays: vec![relay], destinations: vec![Arc::new(destination)] });
    }
    let used =
        |table: &&Relay| config.groups.iter().any(|group| group.relays.iter().any(|(name, _)| *name == table.name));
    let relays: Vec<_> =
        config.file.relay.iter().filter(used).map(|table| relay(config, table, world)).collect::<Result<_, _>>()?;
    let group = |group: &ways::Group| {
        let relay = |(name, weight): &(String, u32)| {
            relays.iter().find(|relay| relay.name == *name).map(|relay| (relay.clone(), *weight))
        };
        Group::new(group.relays.iter().filter_map(relay))
    };
    let of_everybody = config.groups.iter().map(|table| Destination::new(table.name.clone(), group(table)));
    let of_classes = config.groups.iter().flat_map(|table| {
        let group = &group;
        config.classes.iter().map(move |class| {
            let name = destination::of_class(&table.name, &class.name);
            Destination::of_class(name, group(table), class.connections, Pace { per_second: class.per_second })
        })
    });
    let destinations = of_everybody.chain(of_classes).map(Arc::new).collect();
    Ok(Ways { relays, destinations })
}

fn relay(config: &Config, table: &Relay, world: &World) -> anyhow::Result<Arc<relay::Relay>> {
    let carrier = smtp(config, table, world)?;
    tracing::info!(relay = table.name, host = table.host, port = table.port, tls = ?table.tls, "mail goes to a relay");
    let limits = Limits { pace: Pace { per_second: table.rate() }, ramp: ramp(config, table)? };
    Ok(relay::Relay::new(&table.name, Box::new(carrier), limits))
}

fn ramp(config: &Config, table: &Relay) -> anyhow::Result<Option<Ramp>> {
    let ways::WarmUp { since, from_per_day, factor } = match ways::warm_up(table) {
        Ok(Some(warm_up)) => warm_up,
        Ok(None) => return Ok(None),
        Err(mistake) => anyhow::bail!("relay {}: warm_up.{}: {}", table.name, mistake.key, mistake.reason),
    };
    Ok(Some(Ramp { since, from_per_day, factor, zone: config.zone.clone() }))
}

/// The carrier to a relay, not connected yet.
///
/// # Errors
/// What is missing or wrong.
pub fn smtp(config: &Config, relay: &Relay, world: &World) -> anyhow::Result<Smtp> {
    let about = || format!("relay {}", relay.name);
    let mut settings = smtp::Settings::new(&relay.host, relay.port, relay.tls);
    settings.ca_file = relay.ca_file.as_deref().map(|file| config.in_state(file));
    settings.connections = usize::try_from(relay.connections).unwrap_or(1);
    settings.letters_max = u32::try_from(relay.messages_per_connection).unwrap_or(1);
    if let Some(hello) = &relay.hello {
        settings.hello.clone_from(hello);
    }
    if let (Some(user), Some(file)) = (&relay.user, &relay.password_file) {
        let file = config.in_state(file);
        let text = std::fs::read_to_string(&file).with_context(|| format!("{}: {}", about(), file.display()))?;
        let password = text.lines().next().unwrap_or_default().to_owned();
        settings.credentials = Some(smtp::Credentials { user: user.clone(), password });
    }
    Smtp::new(settings, world.clock.clone()).with_context(about)
}

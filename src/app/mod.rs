//! The roof: builds everything from a configuration and keeps it running.

pub mod accounts;
pub mod clock;
pub mod custody;
mod front;
pub mod high_water;
pub mod inbound;
pub mod lifecycle;
pub mod lock;
pub mod logo;
mod loops;
pub mod outside;
pub mod posture;
pub mod quickstart;
mod relays;
mod room;
pub mod seal;
pub mod signing;
pub mod telemetry;
mod wakes;

pub use loops::CLOCK_OFF_MS_MAX;
pub use outside::partnership;
pub use outside::puller;
#[cfg(feature = "amqp")]
pub use outside::try_broker;
pub use relays::{Ways, smtp, ways};

use crate::config::Config;
use crate::domain::account::Rule;
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::{Chance, Clock};
use crate::domain::ids;
use crate::domain::seal::Seal;
use crate::domain::token::secret;
use crate::intake::Intake;
use crate::intake::accept::{Backfill, Revisions};
use crate::intake::amqp;
use crate::plan::roster::Rolls;
use crate::plan::route::Classes;
use crate::plan::{Planner, Rules};
use crate::render::feed::House;
use crate::render::templates::Templates;
use crate::send::prepare::{Preparer, Stationery};
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
    /// What lists of subscribers are checked against.
    #[must_use]
    pub fn rolls(&self) -> Rolls {
        Rolls {
            languages: self.config.release.languages.clone(),
            topics: self.config.file.topic.iter().map(|topic| topic.name.clone()).collect(),
            digests: self.config.digests.clone(),
            chance: self.world.chance.clone(),
        }
    }

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
    /// What secrets of others are sealed with in it.
    pub seal: Arc<Seal>,
    /// The door.
    pub intake: Intake,
    /// The planner.
    pub planner: Planner,
    /// What mail is made of.
    pub stationery: Arc<Stationery>,
    /// What feeds have in common.
    pub house: Arc<House>,
    /// Makes editions ready.
    pub preparer: Arc<Preparer>,
    /// Notified when there may be something to plan.
    pub plan_wake: Arc<Notify>,
    /// Notified when a mail came back.
    pub inbound_wake: Arc<Notify>,
    /// Notified when something was asked of our hub.
    pub hub_wake: Arc<Notify>,
    /// Notified when there may be something for endpoints.
    pub push_wake: Arc<Notify>,
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
    ensure_facts(&store, &world, &config.file.site.tag_authority).await?;
    let seal = seal::open(&config, &store, &world).await?;
    let templates_folder = config.file.templates.folder.as_ref().map(|folder| config.base.join(folder));
    let templates = Arc::new(Templates::load(templates_folder.as_deref()).context("templates.folder")?);
    let plan_wake = Arc::new(Notify::new());
    let backfill = Backfill::OlderThan(config.file.intake.max_age);
    let intake = Intake::new(store.clone(), config.sources.clone(), backfill, plan_wake.clone())
        .telling(config.receipts.keys().cloned().collect());
    let accounts = accounts::rules(&config.accounts, || outside::guard_of(&config, true))?;
    let planner = Planner::new(store.clone(), rules(&config, &templates, accounts));
    let stationery = Arc::new(stationery(&config, templates));
    let house = Arc::new(house(&config));
    let preparer = Arc::new(Preparer::new(store.clone(), stationery.clone()));
    preparer.refresh_keys().await?;
    let (inbound_wake, hub_wake, push_wake) = (Arc::default(), Arc::default(), Arc::default());
    Ok(App {
        config,
        world,
        store,
        seal,
        intake,
        planner,
        stationery,
        house,
        preparer,
        plan_wake,
        inbound_wake,
        hub_wake,
        push_wake,
        lock,
    })
}

fn rules(config: &Config, templates: &Templates, accounts: Vec<Rule>) -> Rules {
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
        accounts,
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

fn house(config: &Config) -> House {
    House {
        origin: House::origin(&config.site, &config.file.web.listen),
        site: config.site.clone(),
        zone: config.zone.clone(),
        tag_authority: config.file.site.tag_authority.clone(),
        languages: config.release.languages.clone(),
        topics: config.file.topic.iter().map(|topic| (topic.name.clone(), topic.title.clone())).collect(),
        hubs: config.hubs.clone(),
    }
}

/// A database that a move didn't fill to the end is of no use to anybody: rows are missing.
async fn refuse_unfinished(store: &Store) -> anyhow::Result<()> {
    let doubts = store.read(identity::doubts).await.context("store.url")?;
    let unfinished = doubts.into_iter().find(|doubt| doubt.cause == Cause::Unfinished);
    unfinished.map_or(Ok(()), |doubt| Err(anyhow::anyhow!("store.url: {}", doubt.reason)))
}

/// The first start makes the first key of tokens, and the one of address hashes; and what ids of feed entries are minted under, for
/// good.
async fn ensure_facts(store: &Store, world: &World, authority: &str) -> anyhow::Result<()> {
    let (key, hashes, own) = (new_token_key(world), new_token_key(world).secret, authority.to_owned());
    let made = store.write(move |tx| {
        if token_keys::all(tx)?.is_empty() {
            token_keys::insert(tx, &key)?;
        }
        suppressions::ensure_key(tx, &hashes)?;
        identity::keep_authority(tx, &own)
    });
    let kept = made.await.context("the first keys")?;
    anyhow::ensure!(
        kept == authority,
        "site.tag_authority: this installation's feed entries were minted under `{kept}`; with another one every post would be new \
         to every feed reader: write `{kept}` again"
    );
    Ok(())
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

/// What a bearer token begins with, so that scanners for leaked secrets can tell it.
const TOKEN_PREFIX: &str = "allim_";
/// A new bearer token.
#[must_use]
pub fn new_token(world: &World) -> String {
    format!("{TOKEN_PREFIX}{}", new_secret(world))
}

/// 256 random bits for whoever holds them.
#[must_use]
pub fn new_secret(world: &World) -> String {
    secret(world.chance.as_ref())
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

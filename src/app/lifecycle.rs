//! Running: every loop of the daemon, from start to an orderly end.

use super::custody::Custody;
use super::wakes::Wakes;
use super::{App, Ways, front, inbound, loops, outside, posture, queue, signing, ways};
use crate::config::Role;
use crate::domain::backoff;
use crate::intake::spool::Spool;
use crate::send::decide::Patience;
use crate::send::lease::Lease;
use crate::send::posture::board::{self, Board};
use crate::send::recorder::Recorder;
use crate::send::relay::Relay;
use crate::send::signing::Signing;
use crate::send::{self, Destination, Office};
use crate::store::Dialect;
use crate::web;
use anyhow::Context as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// How long attempts under way may take at shutdown; what isn't finished then becomes uncertain.
const SHUTDOWN_MAX: Duration = Duration::from_secs(30);

/// Runs the daemon, in its roles, until `stop` turns true.
///
/// # Errors
/// What keeps it from starting. Once it runs, faults are logged and tried again.
pub async fn run(app: App, metrics: web::Metrics, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let roles = app.config.roles.clone();
    if app.store.dialect() == Dialect::Sqlite && !roles.is_all() {
        tracing::warn!(%roles, "nobody else can do the rest: an embedded database is one daemon's alone");
    }
    let app = Arc::new(app);
    let custody = Custody::begin(app.store.clone(), app.high_water()).await?;
    let mut others = JoinSet::new();
    let mut needs = Vec::new();
    if roles.has(Role::Intake) {
        needs.extend(start_intake(&app, &mut others, &stop).await?);
        outside::start_mirror(&app, &mut others, &stop)?;
        outside::start_partners_in(&app, &custody, &mut others, &stop)?;
    }
    let sending =
        if roles.has(Role::Send) { Some(Sending::start(&app, &custody, &mut others, &stop).await?) } else { None };
    let destinations = sending.as_ref().map_or_else(Vec::new, |sending| sending.destinations.clone());
    // Everything but the senders ends with this set; the lease goes on until the senders are done.
    others.spawn(custody.clone().watch(app.world.clock.clone(), stop.clone()));
    let wakes = Wakes::start(&app, destinations, &mut others, &stop)?;
    if roles.has(Role::Plan) {
        others.spawn(loops::plan(app.clone(), custody, wakes.clone(), stop.clone()));
    }
    if let Some(sending) = &sending {
        let due = wakes.clone();
        let watching = sending.looking.clone();
        let board = sending.office.board.clone();
        others.spawn(board::watch(app.store.clone(), board, watching, move || due.due(), stop.clone()));
        others.spawn(loops::settle(app.clone(), wakes.clone(), stop.clone()));
        others.spawn(loops::settle_inbound(app.clone(), stop.clone()));
        inbound::listen(&app, &mut others, &stop).await?;
    }
    others.spawn(loops::tally(app.clone(), stop.clone()));
    needs.extend(start_comparing_clocks(&app, &mut others, &stop));
    if roles.has(Role::Web) {
        let listener = web::listen("web.listen", &app.config.file.web.listen).await?;
        let front = Arc::new(front::front(&app, &wakes, metrics, needs)?);
        super::room::start(&app, front.clone(), &mut others, &stop).await?;
        others.spawn(web::watch_changes(front.clone(), wakes.pages(), stop.clone()));
        others.spawn(web::keep_views(front.clone(), stop.clone()));
        let stop = stop.clone();
        others.spawn(async move {
            if let Err(error) = web::serve(listener, front, stop).await {
                tracing::error!(%error, "the web server ended");
            }
        });
    }
    tracing::info!(%roles, "running");
    while others.join_next().await.is_some() {}
    match sending {
        Some(sending) => sending.finish().await,
        None => Ok(()),
    }
}

/// What sends, and what it stands on.
struct Sending {
    office: Arc<Office>,
    looking: board::Settings,
    destinations: Vec<Arc<Destination>>,
    relays: Vec<Arc<Relay>>,
    senders: JoinSet<()>,
    recording: JoinHandle<()>,
    renewing: JoinHandle<()>,
}

impl Sending {
    async fn start(
        app: &Arc<App>,
        custody: &Custody,
        tasks: &mut JoinSet<()>,
        stop: &watch::Receiver<bool>,
    ) -> anyhow::Result<Self> {
        let send = &app.config.file.send;
        let (store, world) = (app.store.clone(), app.world.clone());
        let name = &app.config.file.instance.name;
        let lease =
            Lease::take(store.clone(), world.clock.clone(), name, send.uncertain_wait).await.context("the lease")?;
        let (recorder, recording) = Recorder::start(store.clone(), world.chance.clone());
        let Ways { relays, destinations } = ways(&app.config, &world)?;
        let signing = Signing::start(signing::signers(&app.config)?).context("threads that sign")?;
        let looking = posture::settings(&app.config);
        let office = Arc::new(Office {
            store,
            lease: lease.clone(),
            recorder,
            preparer: app.preparer.clone(),
            signing,
            patience: Patience {
                give_up_after: send.give_up_after,
                uncertain_wait: send.uncertain_wait,
                waits: &backoff::RELAY,
            },
            chance: world.chance.clone(),
            board: Board::new(&looking),
        });
        let mut senders = JoinSet::new();
        for destination in &destinations {
            senders.spawn(send::run(office.clone(), destination.clone(), stop.clone()));
        }
        for relay in &relays {
            tasks.spawn(send::purser::keep(office.clone(), relay.clone(), stop.clone()));
        }
        outside::start(app, custody, lease.clone(), office.recorder.clone(), &mut senders, stop).await?;
        let renewing = tokio::spawn(loops::renew(app.clone(), lease));
        Ok(Self { office, looking, destinations, relays, senders, recording, renewing })
    }

    /// Waits for the attempts under way, records them and ends the lease.
    async fn finish(mut self) -> anyhow::Result<()> {
        let finished = async { while self.senders.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_MAX, finished).await.is_err() {
            tracing::warn!("some attempts didn't end in time; they are uncertain now");
            self.senders.shutdown().await;
        }
        for relay in &self.relays {
            relay.close().await;
        }
        let lease = self.office.lease.clone();
        // The recorder ends when nobody can ask it for anything any more.
        drop(self.office);
        let _ = tokio::time::timeout(SHUTDOWN_MAX, self.recording).await;
        self.renewing.abort();
        lease.end().await.context("ending the lease")
    }
}

/// Starts the ways in, and tells what readiness needs of them.
async fn start_intake(
    app: &Arc<App>,
    tasks: &mut JoinSet<()>,
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<Vec<web::Need>> {
    if let Some(queue) = queue(&app.config) {
        queue.check()?;
    }
    if let Some(table) = &app.config.file.quickstart {
        super::quickstart::load(app, table).await.context("quickstart")?;
    }
    if let Some(table) = &app.config.file.intake.spool {
        let spool = Spool::create(app.intake.clone(), app.config.in_state(&table.folder), table.source.clone());
        tasks.spawn(spool.context("intake.spool.folder")?.watch(app.world.chance.clone(), stop.clone()));
    }
    Ok(start_queue(app, tasks, stop))
}

/// Starts the intake from RabbitMQ, if it is configured, and tells what readiness needs of it.
#[cfg(feature = "amqp")]
fn start_queue(app: &App, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> Vec<web::Need> {
    let Some(settings) = queue(&app.config) else { return Vec::new() };
    let connected = Arc::new(AtomicBool::new(false));
    let (intake, chance) = (app.intake.clone(), app.world.chance.clone());
    tasks.spawn(crate::intake::amqp::run(settings, intake, chance, connected.clone(), stop.clone()));
    vec![web::Need { unmet: "the connection to RabbitMQ is missing", met: connected }]
}

#[cfg(not(feature = "amqp"))]
fn start_queue(_: &App, _: &mut JoinSet<()>, _: &watch::Receiver<bool>) -> Vec<web::Need> {
    Vec::new()
}

/// Replicas go by the database's clock; one whose own is far off isn't ready. An embedded database has no clock.
fn start_comparing_clocks(app: &App, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> Option<web::Need> {
    if app.store.dialect() == Dialect::Sqlite {
        return None;
    }
    let is_right = Arc::new(AtomicBool::new(true));
    tasks.spawn(loops::compare_clocks(app.store.clone(), is_right.clone(), stop.clone()));
    Some(web::Need { unmet: "this machine's clock is more than 2 s off the database's; set it by NTP", met: is_right })
}

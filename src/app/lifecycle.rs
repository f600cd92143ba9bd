//! Running: every loop of the daemon, from start to an orderly end.

use super::{App, Ways, queue, ways};
use crate::domain::backoff;
use crate::intake::spool::Spool;
use crate::render::site::LocalText;
use crate::send::decide::Patience;
use crate::send::lease::{Lease, RENEWAL};
use crate::send::recorder::Recorder;
use crate::send::{self, Destination, Office};
use crate::{settle, web};
use anyhow::Context as _;
use std::sync::Arc;
#[cfg(feature = "amqp")]
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An idle planner looks for work this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);
/// How long attempts under way may take at shutdown; what isn't finished then becomes uncertain.
const SHUTDOWN_MAX: Duration = Duration::from_secs(30);
/// Mail for destinations that the configuration lacks may still come back from a process that is gone: looked for this often.
const REROUTE_POLL: Duration = Duration::from_secs(30);
/// An idle settler looks this often.
const SETTLE_POLL: Duration = Duration::from_secs(5);

/// Runs the daemon until `stop` turns true.
///
/// # Errors
/// What keeps it from starting. Once it runs, faults are logged and tried again.
pub async fn run(app: App, metrics: web::Metrics, stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    if let Some(queue) = queue(&app.config) {
        queue.check()?;
    }
    let app = Arc::new(app);
    let send = &app.config.file.send;
    let (store, world) = (app.store.clone(), app.world.clone());
    let name = app.config.file.instance.name.clone();
    let lease =
        Lease::take(store.clone(), world.clock.clone(), &name, send.uncertain_wait).await.context("the lease")?;
    if let Some(table) = &app.config.file.quickstart {
        super::quickstart::load(&app, table).await.context("quickstart")?;
    }
    let (recorder, recording) = Recorder::start(store.clone(), world.chance.clone());
    let Ways { relays, destinations } = ways(&app.config, &world)?;
    let office = Arc::new(Office {
        store: store.clone(),
        lease: lease.clone(),
        recorder,
        preparer: app.preparer.clone(),
        patience: Patience { give_up_after: send.give_up_after, uncertain_wait: send.uncertain_wait },
        chance: world.chance.clone(),
    });
    let mut senders = JoinSet::new();
    for destination in &destinations {
        senders.spawn(send::run(office.clone(), destination.clone(), stop.clone()));
    }
    // Everything but the senders ends with this set; the lease goes on until the senders are done.
    let mut others = JoinSet::new();
    for relay in &relays {
        others.spawn(send::purser::keep(office.clone(), relay.clone(), stop.clone()));
    }
    let (published, pages) = watch::channel(0u64);
    others.spawn(plan_loop(app.clone(), destinations.clone(), published, stop.clone()));
    others.spawn(settle_loop(app.clone(), destinations, stop.clone()));
    if let Some(table) = &app.config.file.intake.spool {
        let spool = Spool::create(app.intake.clone(), app.config.in_state(&table.folder), table.source.clone());
        others.spawn(spool.context("intake.spool.folder")?.watch(world.chance.clone(), stop.clone()));
    }
    let listener = web::listen(&app.config.file.web.listen).await?;
    let needs = start_queue(&app, &mut others, &stop);
    let front = Arc::new(front(&app, metrics, needs)?);
    others.spawn(web::watch_changes(front.clone(), pages, stop.clone()));
    let router = web::router(front);
    others.spawn(async move {
        if let Err(error) = web::serve(listener, router, stop).await {
            tracing::error!(%error, "the web server ended");
        }
    });
    let renewing = tokio::spawn(renew_loop(app.clone(), lease.clone()));
    while others.join_next().await.is_some() {}
    let finished = async { while senders.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_MAX, finished).await.is_err() {
        tracing::warn!("some attempts didn't end in time; they are uncertain now");
        senders.shutdown().await;
    }
    for relay in &relays {
        relay.close().await;
    }
    drop(office);
    let _ = tokio::time::timeout(SHUTDOWN_MAX, recording).await;
    renewing.abort();
    lease.end().await.context("ending the lease")
}

/// Starts the intake from RabbitMQ, if it is configured, and tells what readiness needs of it.
#[cfg(feature = "amqp")]
fn start_queue(app: &App, tasks: &mut JoinSet<()>, stop: &watch::Receiver<bool>) -> Vec<web::Need> {
    let Some(settings) = queue(&app.config) else { return Vec::new() };
    let connected = Arc::new(AtomicBool::new(false));
    let (intake, chance) = (app.intake.clone(), app.world.chance.clone());
    tasks.spawn(crate::intake::amqp::run(settings, intake, chance, connected.clone(), stop.clone()));
    vec![web::Need { what: "the connection to RabbitMQ", met: connected }]
}

#[cfg(not(feature = "amqp"))]
fn start_queue(_: &App, _: &mut JoinSet<()>, _: &watch::Receiver<bool>) -> Vec<web::Need> {
    Vec::new()
}

fn front(app: &App, metrics: web::Metrics, needs: Vec<web::Need>) -> anyhow::Result<web::Front> {
    let (config, file) = (&app.config, &app.config.file);
    let token = |token: &crate::config::file::Token| web::Token {
        name: token.name.clone(),
        sha256: token.sha256.clone(),
        source: token.source.clone(),
    };
    let titles = file.digest.iter().map(|table| (&table.name, &table.title));
    let digest = |(name, title): (&String, &LocalText)| {
        let digest = config.digests.get(name)?;
        Some((name.clone(), (title.clone(), digest.schedule.clone())))
    };
    // Mail that went to a relay lies in no folder of ours.
    let is_shown = file.web.show_mail_folder && file.relay.is_empty();
    let front = web::Front::new(web::Parts {
        store: app.store.clone(),
        intake: app.intake.clone(),
        tokens: file.intake.token.iter().map(token).collect(),
        metrics,
        needs,
        clock: app.world.clock.clone(),
        site: config.site.clone(),
        tag_authority: file.site.tag_authority.clone(),
        zone: config.zone.clone(),
        languages: config.release.languages.clone(),
        topics: file.topic.iter().map(|topic| (topic.name.clone(), topic.title.clone())).collect(),
        digests: titles.filter_map(digest).collect(),
        templates: app.stationery.templates.clone(),
        listen: file.web.listen.clone(),
        proxies: config.proxies.clone(),
        samples: super::quickstart::pictures(config)?,
        mail_folder: is_shown.then(|| config.in_state(&file.send.folder)),
    });
    front.context("templates.folder: page.css")
}

async fn plan_loop(
    app: Arc<App>,
    destinations: Vec<Arc<Destination>>,
    published: watch::Sender<u64>,
    mut stop: watch::Receiver<bool>,
) {
    let mut failures = 0;
    while !*stop.borrow() {
        let rest = match app.planner.tick().await {
            Ok(ticked) => {
                failures = 0;
                if ticked != crate::plan::Ticked::default() {
                    tracing::debug!(?ticked, "planned");
                }
                if ticked.noticed > 0 {
                    published.send_modify(|count| *count += 1);
                }
                if ticked.planned > 0 || ticked.moved > 0 {
                    destinations.iter().for_each(|destination| destination.wake.notify_one());
                }
                match app.planner.next_due().await {
                    Ok(Some(due)) => app.world.clock.now().until(due).min(POLL),
                    _ => POLL,
                }
            }
            Err(error) => {
                failures += 1;
                tracing::warn!(%error, failures, "planning failed; it goes on where it stopped");
                backoff::SERVICE.wait(failures, app.world.chance.draw_32())
            }
        };
        tokio::select! {
            () = app.plan_wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn settle_loop(app: Arc<App>, destinations: Vec<Arc<Destination>>, mut stop: watch::Receiver<bool>) {
    let (policy, known) = (app.config.file.send.uncertain, app.config.destinations());
    // None yet: what an earlier configuration left is moved at once.
    let mut rerouted_at: Option<Duration> = None;
    while !*stop.borrow() {
        let uptime = app.world.clock.uptime();
        if rerouted_at.is_none_or(|at| uptime.saturating_sub(at) > REROUTE_POLL) {
            rerouted_at = Some(uptime);
            match send::reroute::run(&app.store, &known).await {
                Ok(0) => {}
                Ok(_) => destinations.iter().for_each(|destination| destination.wake.notify_one()),
                Err(error) => tracing::warn!(%error, "mail of unknown destinations could not be moved"),
            }
        }
        let rest = match settle::settle(&app.store, policy).await {
            Ok((due, next)) => {
                if due > 0 {
                    destinations.iter().for_each(|destination| destination.wake.notify_one());
                }
                next.map_or(SETTLE_POLL, |at| {
                    app.world.clock.now().until(at).clamp(Duration::from_millis(50), SETTLE_POLL)
                })
            }
            Err(error) => {
                tracing::warn!(%error, "uncertain deliveries could not be settled");
                SETTLE_POLL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

async fn renew_loop(app: Arc<App>, lease: Arc<Lease>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        if let Err(error) = lease.renew().await {
            tracing::warn!(%error, "the lease could not be renewed");
        }
        if let Err(error) = app.preparer.refresh_keys().await {
            tracing::warn!(%error, "the token keys could not be read");
        }
    }
}

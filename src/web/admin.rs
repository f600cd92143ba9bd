//! The control room: pages for those who run allim, on a listener of their own, below `/admin` (docs/adr/0014-control-room.md).
//!
//! Every page is a [`Route`] with the least [`Role`] that may ask for it; [`door`] lets nobody past who hasn't it. A GET changes
//! nothing. What a person does is written into the audit by the transaction that does it ([`desk::Desk::act`]).

mod assets;
mod audit;
mod calendar;
mod deliveries;
mod desk;
mod digests;
mod door;
mod fields;
mod freeze;
mod me;
mod overview;
mod partners;
mod password;
mod people;
mod posts;
mod quarantine;
mod sign_in;
mod staff;
mod waiting;

use super::Front;
use crate::domain::post::Showable;
use crate::domain::promise::Terms;
use crate::domain::staff::Role;
use crate::render::RenderError;
use crate::render::admin::Pages;
use crate::render::pieces::Pieces;
use crate::store::editions::Edition;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware;
use axum::routing::{self, MethodRouter};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tower::Service as _;

/// A client that takes longer to send its headers is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way may take this long at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);
/// Connections at once: a control room has few people.
const CONNECTIONS_MAX: usize = 256;
/// Octets of an uploaded file with everything around it: a list of a million subscribers fits.
pub(super) const UPLOAD_LEN_MAX: usize = 64 * 1024 * 1024;

/// What is set of the control room.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What its addresses begin with, such as `https://allim.example.org`, if a proxy stands before it.
    pub url: Option<String>,
    /// Hosts by which it may be asked for (with their ports): whoever asks by another name was led here by a page of somebody else.
    pub hosts: Vec<String>,
    /// A session that isn't used for so long ends.
    pub session_idle: Duration,
    /// A session ends after so long.
    pub session_max: Duration,
}

/// What the control room is made from.
pub struct Parts {
    /// What pages for readers are made from, store and planner included.
    pub front: Arc<Front>,
    /// What is set.
    pub settings: Settings,
    /// Renders the mail of an edition.
    pub letters: Letters,
    /// What is promised, and how late is late.
    pub terms: Terms,
}

/// Renders the mail of an edition with its posts.
pub type Letters = Box<dyn Fn(&Edition, Vec<Showable>) -> Result<Pieces, RenderError> + Send + Sync>;

/// What the pages of the control room share.
pub struct Room {
    pub(super) front: Arc<Front>,
    pub(super) pages: Pages,
    pub(super) settings: Settings,
    pub(super) letters: Letters,
    pub(super) terms: Terms,
    /// Whose turn it is to have a password hashed.
    hashing: Semaphore,
    /// How often networks tried to come in.
    knocks: super::people::Networks,
}

impl Room {
    /// Builds it.
    ///
    /// # Errors
    /// [`RenderError`] when a template of ours is wrong.
    pub fn new(parts: Parts) -> Result<Self, RenderError> {
        Ok(Self {
            front: parts.front,
            settings: parts.settings,
            letters: parts.letters,
            terms: parts.terms,
            pages: Pages::new()?,
            hashing: Semaphore::new(password::AT_ONCE_MAX),
            knocks: super::people::Networks::default(),
        })
    }
}

/// One page, or one act, with the least role that may ask for it.
pub(super) struct Route {
    path: &'static str,
    verb: &'static str,
    role: Role,
    methods: MethodRouter<Arc<Room>>,
}

impl Route {
    /// A page.
    pub(super) fn get<H: Handler<T, Arc<Room>>, T: 'static>(path: &'static str, role: Role, handler: H) -> Self {
        Self { path, verb: "GET", role, methods: routing::get(handler) }
    }

    /// An act.
    pub(super) fn post<H: Handler<T, Arc<Room>>, T: 'static>(path: &'static str, role: Role, handler: H) -> Self {
        Self { path, verb: "POST", role, methods: routing::post(handler) }
    }
}

/// Every page and act behind the door.
fn all_routes() -> Vec<Route> {
    let mut routes = overview::routes();
    routes.extend(freeze::routes());
    routes.extend(digests::routes());
    routes.extend(calendar::routes());
    routes.extend(deliveries::routes());
    routes.extend(me::routes());
    routes.extend(staff::routes());
    routes.extend(audit::routes());
    routes.extend(posts::routes());
    routes.extend(people::routes());
    routes.extend(quarantine::routes());
    routes.extend(partners::routes());
    routes.extend(waiting::routes());
    routes
}

/// Every page and act behind the door, for a test that walks them: verb, path, role.
#[must_use]
pub fn routes_told() -> Vec<(&'static str, &'static str, Role)> {
    all_routes().into_iter().map(|route| (route.verb, route.path, route.role)).collect()
}

/// The pages of a room, to be served.
pub fn router(room: &Arc<Room>) -> Router {
    let mut router = Router::new();
    for route in all_routes() {
        let guard = middleware::from_fn_with_state((room.clone(), route.role), door::admit);
        router = router.route(route.path, route.methods.layer(guard));
    }
    let outside = Router::new()
        .route("/", routing::get(assets::to_overview))
        .route("/admin/sign-in", routing::get(sign_in::show).post(sign_in::enter))
        .route("/admin/link/{secret}", routing::get(sign_in::show_link).post(sign_in::enter_by_link))
        .route("/admin/language", routing::post(sign_in::choose_language))
        .route("/admin/assets/{file}", routing::get(assets::serve))
        .fallback(door::lost);
    router
        .merge(outside)
        .layer(DefaultBodyLimit::max(UPLOAD_LEN_MAX))
        .layer(middleware::from_fn_with_state(room.clone(), door::keep_strangers_out))
        .with_state(room.clone())
}

/// Answers requests by the pages that `present` holds until `stop` turns true, then finishes those under way.
///
/// # Errors
/// None now: a fault of one connection ends that one.
pub async fn serve(
    listener: TcpListener,
    present: watch::Receiver<Router>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            _ = stop.changed() => break,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let present = present.clone();
        let service = tower::service_fn(move |mut request: axum::extract::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(axum::extract::ConnectInfo::<SocketAddr>(peer));
            // A person who keeps the connection sees the room of a reload too.
            let mut routes = present.borrow().clone();
            routes.call(request)
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the control room ended");
            }
            drop(place);
        });
    }
    if tokio::time::timeout(SHUTDOWN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests to the control room didn't end in time");
    }
    Ok(())
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(error) => {
            tracing::warn!(%error, "a connection to the control room was not taken");
            // Most likely there are no more file handles: asking again at once would only burn the processor.
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

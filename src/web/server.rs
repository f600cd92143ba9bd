//! Serving: hyper with a deadline for headers, which `axum::serve` lacks, and an orderly end.

use super::lane::{self, Beginning};
use super::{Front, feeds, router};
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A client that takes longer to send its headers is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way may take this long at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Binds the address that a setting gives.
///
/// # Errors
/// When it is taken or not ours.
pub async fn listen(setting: &str, address: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("{setting} {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// What is shown at present. A reload puts another in its place; a request is answered by the one it finds.
pub struct Present {
    pub(super) front: Arc<Front>,
    routes: TowerToHyperService<Router>,
}

impl Present {
    /// What this front shows.
    #[must_use]
    pub fn new(front: Arc<Front>) -> Self {
        Self { routes: TowerToHyperService::new(router(front.clone())), front }
    }
}

/// Answers requests by what `present` holds until `stop` turns true, then finishes those under way.
///
/// # Errors
/// When the fast lane can't be opened; a fault of one connection ends that one.
pub async fn serve(
    listener: TcpListener,
    present: watch::Receiver<Arc<Present>>,
    mut stop: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let mut connections =
        lane::open(listener, present.clone(), HEADER_TIMEOUT, stop.clone()).context("the fast lane")?;
    while !*stop.borrow() {
        let beginning = tokio::select! {
            beginning = connections.recv() => beginning,
            _ = stop.changed() => break,
        };
        let Some(Beginning { place, stream, peer, heard }) = beginning else { break };
        let stream = match TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was lost on its way out of the fast lane");
                continue;
            }
        };
        let porter = Porter { present: present.clone(), peer };
        let (reader, writer) = stream.into_split();
        let io = tokio::io::join(std::io::Cursor::new(heard).chain(reader), writer);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(io), porter));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
    }
    let lane_ended = async { while connections.recv().await.is_some() {} };
    let all_ended = async { tokio::join!(graceful.shutdown(), lane_ended) };
    if tokio::time::timeout(SHUTDOWN_MAX, all_ended).await.is_err() {
        tracing::warn!("some requests didn't end in time");
    }
    Ok(())
}

/// Answers what lies ready, and shows everybody else the way: feeds go past routing, layers and extractors.
struct Porter {
    present: watch::Receiver<Arc<Present>>,
    peer: SocketAddr,
}

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

impl Service<Request<Incoming>> for Porter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Routed>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let present = self.present.borrow().clone();
        if let Some(response) = feeds::at_hand(&present.front, &request) {
            return Either::Left(ready(Ok(response)));
        }
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        Either::Right(present.routes.call(request))
    }
}

//! Serving: hyper with a deadline for headers, which `axum::serve` lacks, and an orderly end.

use super::{Front, feeds, lane, router};
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

/// A client that takes longer to send its headers is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests under way may take this long at shutdown.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// Binds the address.
///
/// # Errors
/// When it is taken or not ours.
pub async fn listen(address: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("web.listen {address}"))?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// Answers requests until `stop` turns true, then finishes those under way.
///
/// # Errors
/// Never at present; a fault of one connection ends that one.
pub async fn serve(listener: TcpListener, front: Arc<Front>, mut stop: watch::Receiver<bool>) -> anyhow::Result<()> {
    let routes = router(front.clone());
    let graceful = GracefulShutdown::new();
    let (in_lane, mut lane_is_empty) = mpsc::channel::<()>(1);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: rest, so that the loop doesn't spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let _ = stream.set_nodelay(true);
        let porter = Porter { front: front.clone(), routes: TowerToHyperService::new(routes.clone()), peer };
        let (http, watcher, in_lane, stop) = (http.clone(), graceful.watcher(), in_lane.clone(), stop.clone());
        tokio::spawn(async move {
            if let Err(error) = converse(stream, porter, http, watcher, in_lane, stop).await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop((listener, in_lane));
    let all_ended = async { tokio::join!(graceful.shutdown(), lane_is_empty.recv()) };
    if tokio::time::timeout(SHUTDOWN_MAX, all_ended).await.is_err() {
        tracing::warn!("some requests didn't end in time");
    }
    Ok(())
}

/// A connection from its first request to its last: in the fast lane as long as it fits in there.
async fn converse(
    mut stream: TcpStream,
    porter: Porter,
    http: http1::Builder,
    watcher: Watcher,
    in_lane: mpsc::Sender<()>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let Some(heard) = lane::answer(&mut stream, &porter.front, HEADER_TIMEOUT, &mut stop).await else { return Ok(()) };
    let (reader, writer) = stream.into_split();
    let io = tokio::io::join(std::io::Cursor::new(heard).chain(reader), writer);
    let connection = watcher.watch(http.serve_connection(TokioIo::new(io), porter));
    // From here on the watcher sees to it that it ends in order.
    drop(in_lane);
    connection.await
}

/// Answers what lies ready, and shows everybody else the way: feeds go past routing, layers and extractors.
struct Porter {
    front: Arc<Front>,
    routes: TowerToHyperService<Router>,
    peer: SocketAddr,
}

type Routed = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

impl Service<Request<Incoming>> for Porter {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<Ready<Result<Response<Body>, Infallible>>, Routed>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(response) = feeds::at_hand(&self.front, &request) {
            return Either::Left(ready(Ok(response)));
        }
        request.extensions_mut().insert(axum::extract::ConnectInfo(self.peer));
        Either::Right(self.routes.call(request))
    }
}

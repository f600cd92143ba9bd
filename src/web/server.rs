//! Serving: hyper with a deadline for headers, which `axum::serve` lacks, and an orderly end.

use super::{Front, feeds, router};
use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use futures_util::future::Either;
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

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
    let mut http = hyper::server::conn::http1::Builder::new();
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
        let routes = TowerToHyperService::new(routes.clone());
        let service = Porter { front: front.clone(), routes, peer };
        let connection = http.serve_connection(TokioIo::new(stream), service);
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(SHUTDOWN_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests didn't end in time");
    }
    Ok(())
}

/// Answers what lies ready, and shows everybody else the way. Feeds are what is asked for most, by far: their way past
/// routing, layers and extractors is what brings them near a bare hyper handler.
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

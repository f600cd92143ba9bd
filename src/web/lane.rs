//! The fast lane: a connection that asks for nothing but feeds lying ready is answered without hyper, which takes over with
//! the first request that is anything else, or for a large body. Feeds are what is asked for most, by far; measured with 64 connections, the
//! lane brings what a bare hyper handler lacks to nginx. It is one thread of its own: handing each small answer from thread
//! to thread costs more than a second processor brings.

use super::feeds::Raw;
use super::server::Present;
use super::validators::date;
use super::{Front, feeds};
use crate::domain::clock::UnixMillis;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::JoinSet;

/// Octets of a request that the lane reads at most, and its header fields.
const HEAD_LEN_MAX: usize = 8 * 1024;
const HEADERS_MAX: usize = 32;
/// Octets of a body at most: what is larger is for all processors, as copying it is most of the work.
const BODY_LEN_MAX: usize = 16 * 1024;
/// Connections at once, those that left the lane too; whoever comes then waits until one ends. Some hundred octets to some ten
/// kilobytes each, and a file descriptor.
const CONNECTIONS_MAX: usize = 4_096;
/// How every request of the lane begins.
const BEGINNING: &[u8] = b"GET /feeds/";

/// What a connection has asked so far.
enum Asked {
    /// Not all of it is there yet.
    More,
    /// For a feed that lies ready. The request took so many octets.
    Feed(usize, Raw),
    /// For something else, or in a way that isn't for the lane to understand.
    Other,
}

/// A connection that asks for something else, with the octets that were read of that and its place among those at once.
pub(super) struct Beginning {
    pub place: OwnedSemaphorePermit,
    pub stream: std::net::TcpStream,
    pub peer: SocketAddr,
    pub heard: Vec<u8>,
}

/// Begins to take connections, until `stop` turns true; returns those that ask for something else. A client that asks nothing for
/// `patience` is cut off.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn open(
    listener: TcpListener,
    present: watch::Receiver<Arc<Present>>,
    patience: Duration,
    stop: watch::Receiver<bool>,
) -> io::Result<mpsc::UnboundedReceiver<Beginning>> {
    let (over, others) = mpsc::unbounded_channel();
    let listener = listener.into_std()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let work = move || {
        let ended = runtime.block_on(accept(listener, present, patience, stop, over));
        if let Err(error) = ended {
            tracing::error!(%error, "nothing can be accepted");
        }
    };
    std::thread::Builder::new().name("web-lane".to_owned()).spawn(work)?;
    Ok(others)
}

async fn accept(
    listener: std::net::TcpListener,
    present: watch::Receiver<Arc<Present>>,
    patience: Duration,
    mut stop: watch::Receiver<bool>,
    over: mpsc::UnboundedSender<Beginning>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while !*stop.borrow() {
        let next = async { (places.clone().acquire_owned().await, listener.accept().await) };
        let (place, accepted) = tokio::select! {
            next = next => next,
            Some(_) = connections.join_next() => continue,
            _ = stop.changed() => break,
        };
        let (mut stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, say: rest, so that the loop doesn't spin.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = place else { break };
        let _ = stream.set_nodelay(true);
        let (present, over, mut stop) = (present.clone(), over.clone(), stop.clone());
        connections.spawn(async move {
            if let Some(heard) = answer(&mut stream, &present, patience, &mut stop).await
                && let Ok(stream) = stream.into_std()
            {
                // Nobody takes it any more at the end.
                let _ = over.send(Beginning { place, stream, peer, heard });
            }
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(patience, connections.join_all()).await;
    Ok(())
}

/// Answers until something else is asked for; returns the octets that were read of that. `None`: the connection has come to
/// its end. A client that asks nothing for `patience` is cut off.
async fn answer(
    stream: &mut TcpStream,
    present: &watch::Receiver<Arc<Present>>,
    patience: Duration,
    stop: &mut watch::Receiver<bool>,
) -> Option<Vec<u8>> {
    let (mut heard, mut head) = (Vec::with_capacity(HEAD_LEN_MAX), Vec::with_capacity(1_024));
    let mut dated = (0, String::new());
    let (is_stopping, timer) = (stop.clone(), tokio::time::sleep(patience));
    let stopped = stop.wait_for(|stop| *stop);
    tokio::pin!(stopped, timer);
    loop {
        let front = present.borrow().front.clone();
        match asked(&front, &heard) {
            Asked::Other => return Some(heard),
            Asked::Feed(len, raw) => {
                heard.drain(..len);
                head.clear();
                head.extend_from_slice(&raw.head);
                if is_past(&mut dated, front.clock.now()) {
                    timer.set(tokio::time::sleep(patience));
                }
                head.extend_from_slice(dated.1.as_bytes());
                tokio::select! {
                    biased;
                    written = write(stream, &head, &raw.body) => written.ok()?,
                    () = &mut timer => return None,
                }
                if *is_stopping.borrow() {
                    return None;
                }
            }
            Asked::More => {
                let read = tokio::select! {
                    biased;
                    read = stream.read_buf(&mut heard) => read.ok()?,
                    _ = &mut stopped => return None,
                    () = &mut timer => return None,
                };
                if read == 0 {
                    return None;
                }
            }
        }
    }
}

fn asked(front: &Front, heard: &[u8]) -> Asked {
    let common = heard.len().min(BEGINNING.len());
    // Requests that the log shows go the way on which it hears of them.
    if heard[..common] != BEGINNING[..common] || tracing::enabled!(tracing::Level::DEBUG) {
        return Asked::Other;
    }
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut fields);
    let len = match request.parse(heard) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) if heard.len() < HEAD_LEN_MAX => return Asked::More,
        _ => return Asked::Other,
    };
    let (Some(1), Some(target)) = (request.version, request.path) else { return Asked::Other };
    let Some(headers) = plain(request.headers) else { return Asked::Other };
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    match feeds::raw(front, path, query, &headers) {
        Some(raw) if raw.body.len() <= BODY_LEN_MAX => Asked::Feed(len, raw),
        _ => Asked::Other,
    }
}

/// The header fields that decide about the answer. `None` when one of them says what the lane doesn't do: a body, another
/// protocol, the end of the connection, a second `Host`, a part of a feed.
fn plain(fields: &[httparse::Header<'_>]) -> Option<HeaderMap> {
    const DECIDING: [HeaderName; 3] = [header::ACCEPT_ENCODING, header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE];
    const FOREIGN: [HeaderName; 7] = [
        header::HOST,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::EXPECT,
        header::TE,
        feeds::A_IM,
    ];
    let mut headers = HeaderMap::new();
    let mut has_host = false;
    for field in fields {
        let is = |name: &HeaderName| field.name.eq_ignore_ascii_case(name.as_str());
        if let Some(name) = DECIDING.iter().find(|name| is(name)) {
            headers.append(name, HeaderValue::from_bytes(field.value).ok()?);
        } else if is(&header::HOST) && !has_host {
            has_host = true;
        } else if is(&header::CONNECTION) && !field.value.eq_ignore_ascii_case(b"keep-alive") || FOREIGN.iter().any(is)
        {
            return None;
        }
    }
    has_host.then_some(headers)
}

/// Writes the field that says the time, and the empty line, when the second is over. Returns whether it was.
fn is_past(dated: &mut (i64, String), now: UnixMillis) -> bool {
    let second = now.0.div_euclid(1_000);
    let is_past = dated.0 != second;
    if is_past {
        *dated = (second, format!("date: {}\r\n\r\n", date(now)));
    }
    is_past
}

async fn write(stream: &mut TcpStream, head: &[u8], body: &[u8]) -> io::Result<()> {
    if body.is_empty() {
        return stream.write_all(head).await;
    }
    let mut parts = [IoSlice::new(head), IoSlice::new(body)];
    let mut rest = &mut parts[..];
    while !rest.is_empty() {
        match stream.write_vectored(rest).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => IoSlice::advance_slices(&mut rest, written),
        }
    }
    Ok(())
}

//! The connection to the broker: address, TLS, and an end that is certain.

use super::Settings;
use anyhow::Context as _;
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout;

/// The name of the connection in RabbitMQ's own lists.
const CONNECTION_NAME: &str = "allim";
/// Seconds between heartbeats unless the URL says otherwise. A peer that is silent for twice as long is given up, so a
/// half-dead connection is noticed within half a minute.
const HEARTBEAT_SECONDS: u16 = 15;
/// The TCP and TLS handshakes may take this long.
const DIAL_MAX: Duration = Duration::from_secs(10);
/// Everything up to an open AMQP connection may take this long; more than [`DIAL_MAX`].
const OPEN_MAX: Duration = Duration::from_secs(20);
/// One request to the broker may take this long; making a quorum queue among busy nodes takes seconds.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// A polite end may take this long; then the socket is cut.
const CLOSE_MAX: Duration = Duration::from_secs(5);
/// `200` in AMQP: all is well.
const REPLY_SUCCESS: u16 = 200;

/// An open connection. Whatever becomes of it, its socket and lapin's thread end when this is dropped.
pub(super) struct Link {
    connection: Connection,
    _wire: Wire,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// What is in the way; never with the password.
    pub(super) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        let address = address(settings)?;
        let place = format!("{}:{}", address.authority.host, address.authority.port);
        let ca = match &settings.ca_file {
            Some(file) => Some(
                tokio::fs::read_to_string(file)
                    .await
                    .with_context(|| format!("intake.amqp.ca_file {}", file.display()))?,
            ),
            None => None,
        };
        let wire = Wire::default();
        let kept = wire.clone();
        let properties = ConnectionProperties::default().with_connection_name(CONNECTION_NAME.into());
        let opening = Connection::connector(
            address,
            lapin::runtime::default_runtime()?,
            async move |address: AMQPUri, runtime| {
                let dialing = async {
                    // Dialled in the clear first, since only then the socket can be got at.
                    let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..address.clone() };
                    let stream = plain.connect_async(&runtime).await?;
                    if let AsyncTcpStream::Plain(socket) = &stream {
                        // An acknowledgement is a few bytes that nothing follows: Nagle would keep it back.
                        socket.get_ref().set_nodelay(true)?;
                        kept.keep(socket.get_ref().as_fd().try_clone_to_owned()?.into());
                    }
                    match address.scheme {
                        AMQPScheme::AMQP => Ok(stream),
                        AMQPScheme::AMQPS => {
                            let trust = TLSConfig { identity: None, cert_chain: ca.as_deref() };
                            stream.into_tls(&address.authority.host, trust).await
                        }
                    }
                };
                let dialed = timeout(DIAL_MAX, dialing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                dialed.map_err(lapin::Error::from)
            },
            properties,
        );
        let connection = match timeout(OPEN_MAX, opening).await {
            Ok(opened) => opened.map_err(Fault::from).with_context(|| format!("connecting to {place}"))?,
            Err(_) => anyhow::bail!("{place} takes connections but doesn't speak AMQP within {OPEN_MAX:?}"),
        };
        Ok(Self { connection, _wire: wire })
    }

    /// A new channel.
    ///
    /// # Errors
    /// When the connection ended, or the broker doesn't answer.
    pub(super) async fn channel(&self) -> anyhow::Result<Channel> {
        asked("opening a channel", self.connection.create_channel()).await
    }

    /// Closes politely: what was sent before, such as acknowledgements, is read by the broker first.
    pub(super) async fn close(self, channel: Option<&Channel>) {
        let goodbye = async {
            if let Some(channel) = channel.filter(|channel| channel.status().connected()) {
                channel.close(REPLY_SUCCESS, "done".into()).await?;
            }
            self.connection.close(REPLY_SUCCESS, "done".into()).await
        };
        match timeout(CLOSE_MAX, goodbye).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, "the broker was gone before the goodbye"),
            Err(_) => tracing::debug!("the broker didn't answer the goodbye"),
        }
    }
}

/// Waits for the broker's answer to a request, for a limited time.
///
/// # Errors
/// The broker's refusal, or its silence.
pub(super) async fn asked<T>(what: &str, request: impl Future<Output = lapin::Result<T>>) -> anyhow::Result<T> {
    match timeout(REQUEST_MAX, request).await {
        Ok(answer) => answer.map_err(Fault::from).with_context(|| what.to_owned()),
        Err(_) => anyhow::bail!("{what}: the broker didn't answer within {REQUEST_MAX:?}"),
    }
}

/// An error of lapin's in the broker's own words, said once: lapin's repeats its source.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(super) struct Fault {
    words: String,
    /// Set when the broker refused one request and closed only the channel.
    pub(super) refusal: Option<AMQPSoftError>,
}

impl From<lapin::Error> for Fault {
    fn from(error: lapin::Error) -> Self {
        let ErrorKind::ProtocolError(refused) = error.kind() else {
            return Self { words: error.to_string(), refusal: None };
        };
        let refusal = match refused.kind() {
            AMQPErrorKind::Soft(refusal) => Some(refusal.clone()),
            AMQPErrorKind::Hard(_) => None,
        };
        Self { words: refused.get_message().to_string(), refusal }
    }
}

/// A second handle to the socket. lapin reads in a thread of its own, and a peer that takes the connection and then
/// says nothing would keep that thread, its buffers and the socket for ever: cutting the socket ends all three.
#[derive(Clone, Default)]
struct Wire(Arc<OnceLock<TcpStream>>);

impl Wire {
    fn keep(&self, socket: TcpStream) {
        let _ = self.0.set(socket);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(socket) = self.0.get() {
            // It fails when the socket is closed already, which is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// The broker's address, with the password out of its file.
///
/// # Errors
/// What is wrong with the URL or the file; never with the password.
pub(super) fn address(settings: &Settings) -> anyhow::Result<AMQPUri> {
    const HINT: &str = "write `amqp://user@host:5672/%2f` or `amqps://user@host:5671/%2f`";
    // The words of these two parsers may repeat the URL, and with it a password.
    let parsed = url::Url::parse(&settings.url).map_err(|_| anyhow::anyhow!("intake.amqp.url is not a URL; {HINT}"))?;
    let mut address: AMQPUri =
        settings.url.parse().map_err(|_| anyhow::anyhow!("intake.amqp.url is not an AMQP URL; {HINT}"))?;
    // lapin takes an IPv6 address for no host at all, and would connect to localhost.
    match parsed.host() {
        Some(url::Host::Ipv6(host)) => address.authority.host = host.to_string(),
        Some(_) => {}
        None => anyhow::bail!("intake.amqp.url names no host; {HINT}"),
    }
    anyhow::ensure!(
        !address.vhost.is_empty(),
        "intake.amqp.url ends with `/`, which is a virtual host without a name; the default one is written `/%2f`"
    );
    if let Some(file) = &settings.password_file {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("intake.amqp.password_file {}", file.display()))?;
        let password = text.lines().next().unwrap_or_default();
        anyhow::ensure!(!password.is_empty(), "intake.amqp.password_file {}: its first line is empty", file.display());
        password.clone_into(&mut address.authority.userinfo.password);
    }
    // Without heartbeats a connection that a firewall has forgotten looks idle for ever.
    let seconds = address.query.heartbeat.filter(|seconds| *seconds > 0).unwrap_or(HEARTBEAT_SECONDS);
    address.query.heartbeat = Some(seconds);
    Ok(address)
}

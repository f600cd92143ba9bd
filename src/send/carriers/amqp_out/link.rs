//! The connection to a partner's broker: address, TLS, and a channel that confirms.

use crate::domain::keyring::Broker;
use anyhow::Context as _;
use lapin::options::ConfirmSelectOptions;
use lapin::protocol::AMQPErrorKind;
use lapin::tcp::{AMQPUriTcpExt as _, AsyncTcpStream, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::timeout;

/// The name of the connection in the broker's own lists.
const CONNECTION_NAME: &str = "allim, to a partner";
/// Seconds between heartbeats unless the address says otherwise.
const HEARTBEAT_SECONDS: u16 = 15;
/// The TCP and TLS handshakes may take this long.
const DIAL_MAX: Duration = Duration::from_secs(10);
/// Everything up to a channel that confirms may take this long; more than [`DIAL_MAX`].
const OPEN_MAX: Duration = Duration::from_secs(20);

/// An open connection with one channel. Its socket ends when this is dropped, and lapin's thread with it.
pub(super) struct Link {
    connection: Connection,
    channel: Channel,
    _wire: Wire,
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// What is in the way; never with the password.
    pub(super) async fn open(broker: &Broker) -> anyhow::Result<Self> {
        let address = address(broker)?;
        let place = format!("{}:{}", address.authority.host, address.authority.port);
        let wire = Wire::default();
        let (kept, ca) = (wire.clone(), broker.ca.clone());
        let properties = ConnectionProperties::default().with_connection_name(CONNECTION_NAME.into());
        let opening = async {
            let runtime = lapin::runtime::default_runtime()?;
            let connection = Connection::connector(
                address,
                runtime,
                async move |address: AMQPUri, runtime| {
                    let dialing = async {
                        // Dialled in the clear first, since only then the socket can be got at.
                        let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..address.clone() };
                        let stream = plain.connect_async(&runtime).await?;
                        if let AsyncTcpStream::Plain(socket) = &stream {
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
                    let dialed =
                        timeout(DIAL_MAX, dialing).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                    dialed.map_err(lapin::Error::from)
                },
                properties,
            )
            .await?;
            let channel = connection.create_channel().await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok::<_, lapin::Error>((connection, channel))
        };
        let opened = timeout(OPEN_MAX, opening).await;
        let opened = opened.map_err(|_| anyhow::anyhow!("{place} doesn't speak AMQP within {OPEN_MAX:?}"))?;
        let (connection, channel) =
            opened.map_err(|error| anyhow::anyhow!(words(&error))).with_context(|| format!("connecting to {place}"))?;
        Ok(Self { connection, channel, _wire: wire })
    }

    /// Whether it can be published to, as far as is known.
    pub(super) fn stands(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// An error in the broker's own words, said once: lapin's repeats its source.
pub(super) fn words(error: &lapin::Error) -> String {
    match error.kind() {
        ErrorKind::ProtocolError(refused) => refused.get_message().to_string(),
        _ => error.to_string(),
    }
}

/// The broker's words, if it refused what was asked and closed only the channel.
pub(super) fn refusal(error: &lapin::Error) -> Option<String> {
    let ErrorKind::ProtocolError(refused) = error.kind() else { return None };
    matches!(refused.kind(), AMQPErrorKind::Soft(_)).then(|| refused.get_message().to_string())
}

/// Reads the address.
///
/// # Errors
/// What is wrong with it; never with the password.
pub(super) fn address(broker: &Broker) -> anyhow::Result<AMQPUri> {
    const HINT: &str = "write `amqps://user@host:5671/%2f`";
    // The words of these two parsers may repeat the address, and with it a password.
    let parsed = url::Url::parse(&broker.url).map_err(|_| anyhow::anyhow!("it is not a URL; {HINT}"))?;
    let mut address: AMQPUri = broker.url.parse().map_err(|_| anyhow::anyhow!("it is not an AMQP URL; {HINT}"))?;
    // lapin takes an IPv6 address for no host at all, and would connect to localhost.
    match parsed.host() {
        Some(url::Host::Ipv6(host)) => address.authority.host = host.to_string(),
        Some(_) => {}
        None => anyhow::bail!("it names no host; {HINT}"),
    }
    anyhow::ensure!(
        !address.vhost.is_empty(),
        "a path of `/` names no virtual host; the default one is written `/%2f`"
    );
    let seconds = address.query.heartbeat.filter(|seconds| *seconds > 0).unwrap_or(HEARTBEAT_SECONDS);
    address.query.heartbeat = Some(seconds);
    Ok(address)
}

/// A second handle to the socket. lapin reads in a thread of its own, and a peer that takes the connection and then
/// says nothing would keep that thread for ever: cutting the socket ends it.
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

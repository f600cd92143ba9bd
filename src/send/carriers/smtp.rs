//! `email` over SMTP (RFC 5321), to a relay that takes it from here. Own connections, kept between letters; why not a
//! library's: `docs/adr/0004-smtp-client.md`.

mod connection;
mod dsn;
mod reply;
mod wire;

use crate::domain::audience::Address;
use crate::domain::clock::Clock;
use crate::domain::delivery::{DeliveryKey, Outcome};
use crate::send::carrier::{Carrier, Gate, Later, Parcel, Session};
use connection::{Carried, Connection, Mail};
use reply::{Step, Trouble};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

/// How the connection is protected (RFC 8314).
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// TLS from the first byte: port 465.
    Implicit,
    /// STARTTLS, required: port 587.
    Starttls,
    /// No TLS: for a relay on this machine.
    None,
}

/// A relay and how it is talked to.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host name or address; the certificate must name it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Protection of the connection.
    pub tls: Tls,
    /// For AUTH; sent over TLS or within this machine only.
    pub credentials: Option<Credentials>,
    /// Certificates (PEM) to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The name said in EHLO: a host name, or an address in square brackets.
    pub hello: String,
    /// Connections at once.
    pub connections: usize,
    /// Letters sent over one connection before it is replaced: relays spread load by new connections.
    pub letters_max: u32,
    /// A connection that has rested longer than this isn't used again; many relays close theirs after 30 s.
    pub idle_max: Duration,
    /// How long each step may take.
    pub deadlines: Deadlines,
}

impl Settings {
    /// A relay with everything else as it usually is.
    #[must_use]
    pub fn new(host: &str, port: u16, tls: Tls) -> Self {
        Self {
            host: host.to_owned(),
            port,
            tls,
            credentials: None,
            ca_file: None,
            hello: lettre::transport::smtp::extension::ClientId::default().to_string(),
            connections: 10,
            letters_max: 100,
            idle_max: Duration::from_secs(25),
            deadlines: Deadlines::default(),
        }
    }
}

/// A user and a password.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(secret)")
    }
}

/// How long each step may take: the least that RFC 5321 section 4.5.3.2 asks a client to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// TCP over all addresses of the host; then TLS again.
    pub connect: Duration,
    /// The greeting, and the answer to EHLO.
    pub greeting: Duration,
    /// The answer to each other command.
    pub command: Duration,
    /// The answer to DATA.
    pub data: Duration,
    /// Each write of a block of the letter.
    pub block: Duration,
    /// The answer to the final dot.
    pub dot: Duration,
    /// QUIT: the one that we may cut short.
    pub quit: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            greeting: Duration::from_secs(300),
            command: Duration::from_secs(300),
            data: Duration::from_secs(120),
            block: Duration::from_secs(180),
            dot: Duration::from_secs(600),
            quit: Duration::from_secs(5),
        }
    }
}

/// Why a relay can't be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum BadSettings {
    /// No host that a certificate could name.
    #[error("host: `{0}` is neither a host name nor an address")]
    Host(String),
    /// The name for EHLO.
    #[error("hello: write a host name of letters, digits, hyphens and dots, or an address in square brackets")]
    Hello,
    /// A password would travel in the clear.
    #[error("user: a password is sent only over TLS, or to `localhost` or a loopback address; set `tls`")]
    ClearPassword,
    /// The certificates to trust.
    #[error("ca_file: {0}")]
    CaFile(String),
    /// Nothing to trust.
    #[error("this machine has no root certificates (Debian: package ca-certificates), and no ca_file is set")]
    NoRoots,
    /// The TLS library.
    #[error(transparent)]
    Tls(#[from] tokio_rustls::rustls::Error),
}

/// What the sessions of a relay share.
struct Shared {
    settings: Settings,
    server_name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
}

/// Sends to a relay.
pub struct Smtp {
    shared: Arc<Shared>,
}

impl Smtp {
    /// A relay that isn't connected to yet.
    ///
    /// # Errors
    /// [`BadSettings`], so that nothing starts half-configured.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Result<Self, BadSettings> {
        let host = settings.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let server_name = ServerName::try_from(host.clone()).map_err(|_| BadSettings::Host(host.clone()))?;
        let is_hello = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
        if settings.hello.is_empty() || !settings.hello.chars().all(is_hello) {
            return Err(BadSettings::Hello);
        }
        let address: Option<std::net::IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if settings.credentials.is_some() && settings.tls == Tls::None && !is_here {
            return Err(BadSettings::ClearPassword);
        }
        let tls = Arc::new(client_config(&settings)?);
        Ok(Self { shared: Arc::new(Shared { settings, server_name, tls, clock }) })
    }

    /// Connects, introduces itself and leaves, without a letter: for `allim check`. `sender` is left out of what the
    /// server says. Returns the certificate that it showed, in DER, if it showed one.
    ///
    /// # Errors
    /// What was in the way, as an outcome.
    pub async fn probe(&self, sender: &Address) -> Result<Option<Vec<u8>>, Outcome> {
        let connection = Connection::open(&self.shared).await.map_err(|trouble| trouble.outcome(sender))?;
        let certificate = connection.certificate();
        connection.quit().await;
        Ok(certificate)
    }
}

fn client_config(settings: &Settings) -> Result<ClientConfig, BadSettings> {
    let mut roots = RootCertStore::empty();
    if settings.tls != Tls::None {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    if let Some(file) = &settings.ca_file {
        let wrong = |error: &dyn fmt::Display| BadSettings::CaFile(format!("{}: {error}", file.display()));
        let certificates = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
        let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
        if certificates.is_empty() {
            return Err(wrong(&"holds no certificate"));
        }
        for certificate in certificates {
            roots.add(certificate).map_err(|e| wrong(&e))?;
        }
    }
    if roots.is_empty() && settings.tls != Tls::None {
        return Err(BadSettings::NoRoots);
    }
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::aws_lc_rs::default_provider()));
    Ok(config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}

impl Carrier for Smtp {
    fn sessions(&self) -> usize {
        self.shared.settings.connections
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(Line { shared: self.shared.clone(), resting: None, ready: None })
    }
}

/// A session: at most one connection, and the letter that was made ready ahead.
struct Line {
    shared: Arc<Shared>,
    resting: Option<Connection>,
    ready: Option<Ready>,
}

/// A letter as it goes over the wire.
struct Ready {
    key: DeliveryKey,
    /// The letter and its final dot, which ends at `dot_end`; room for what is written together with it.
    bytes: Vec<u8>,
    dot_end: usize,
    is_utf8: bool,
    is_8bit: bool,
}

impl Ready {
    async fn new(parcel: &Parcel) -> Result<Self, Outcome> {
        let letter = parcel.signed_letter().await?;
        let header_len = memchr::memmem::find(&letter, b"\r\n\r\n").unwrap_or(letter.len());
        let (from, to) = (parcel.envelope_sender(), &parcel.to.address);
        let is_utf8 = !letter[..header_len].is_ascii() || !from.as_str().is_ascii() || !to.as_str().is_ascii();
        let is_8bit = !letter.is_ascii();
        let bytes = wire::stuffed(letter);
        Ok(Self { key: parcel.key.clone(), dot_end: bytes.len(), bytes, is_utf8, is_8bit })
    }

    fn mail<'a>(&'a mut self, parcel: &'a Parcel) -> Mail<'a> {
        Mail {
            key: &self.key,
            from: parcel.envelope_sender(),
            to: &parcel.to.address,
            // The token of a return address of its own is signed, so that it proves the letter wherever it is given back.
            id: parcel.return_path.as_ref().and_then(|path| path.as_str().rsplit_once('@')).map(|(local, _)| local),
            bytes: &mut self.bytes,
            dot_end: self.dot_end,
            is_utf8: self.is_utf8,
            is_8bit: self.is_8bit,
        }
    }
}

impl Session for Line {
    fn carry<'a>(
        &'a mut self,
        parcel: &'a Parcel,
        gate: &'a mut Gate,
        ahead: Option<(&'a Parcel, &'a mut Gate)>,
    ) -> Later<'a, Outcome> {
        Box::pin(async move {
            let mut ready = match self.ready.take().filter(|ready| ready.key == parcel.key) {
                Some(ready) => ready,
                None => match Ready::new(parcel).await {
                    Ok(ready) => ready,
                    Err(outcome) => return outcome,
                },
            };
            // One that can't be made will say so when its turn comes.
            let mut after = match ahead {
                Some((parcel, gate)) => Ready::new(parcel).await.ok().map(|ready| (ready, parcel, gate)),
                None => None,
            };
            let announced = after.as_mut().map(|(ready, parcel, gate)| (ready.mail(parcel), &mut **gate));
            let sent = self.send(&mut ready.mail(parcel), gate, announced).await;
            self.ready = after.map(|(ready, ..)| ready);
            match sent {
                Ok(Carried::Taken(reply)) => Outcome::Sent { reply: reply.text_without(&parcel.to.address) },
                Ok(Carried::NotAllowed) => Outcome::NotAllowed,
                Err(trouble) => trouble.outcome(&parcel.to.address),
            }
        })
    }

    fn close(&mut self) -> Later<'_, ()> {
        Box::pin(async {
            if let Some(connection) = self.resting.take() {
                connection.quit().await;
            }
        })
    }
}

impl Line {
    async fn send(
        &mut self,
        mail: &mut Mail<'_>,
        gate: &mut Gate,
        mut ahead: Option<(Mail<'_>, &mut Gate)>,
    ) -> Result<Carried, Trouble> {
        if let Some(mut connection) = self.rested(mail.key).await {
            match connection.send(mail, gate, ahead.as_mut()).await {
                // The server had left meanwhile, before it took anything: that isn't this letter's failure.
                Err(Trouble::Broken(Step::Reset | Step::Mail, _)) => {}
                Err(Trouble::Said(Step::Reset | Step::Mail, reply)) if reply.code == 421 => {}
                done => return self.rest(connection, done),
            }
        }
        let mut connection = Connection::open(&self.shared).await?;
        let done = connection.send(mail, gate, ahead.as_mut()).await;
        self.rest(connection, done)
    }

    /// The connection of the letter before, if it is still good for the one with this key.
    async fn rested(&mut self, key: &DeliveryKey) -> Option<Connection> {
        let mut connection = self.resting.take()?;
        match &connection.announced {
            Some(announced) if announced == key => return Some(connection),
            // The server waits for another letter than this; without its dot it takes nothing.
            Some(_) => return None,
            None => {}
        }
        let rested = self.shared.clock.uptime().saturating_sub(connection.used_at);
        if rested > self.shared.settings.idle_max || !connection.is_quiet() {
            // It may be dead: nobody waits for its QUIT.
            tokio::spawn(connection.quit());
            return None;
        }
        if connection.used >= self.shared.settings.letters_max {
            connection.quit().await;
            return None;
        }
        Some(connection)
    }

    fn rest(&mut self, mut connection: Connection, done: Result<Carried, Trouble>) -> Result<Carried, Trouble> {
        if connection.is_sound {
            connection.used_at = self.shared.clock.uptime();
            self.resting = Some(connection);
        }
        done
    }
}

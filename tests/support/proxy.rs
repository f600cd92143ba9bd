//! A wire between the daemon and a server that can be cut, slowed, half closed or taken away while it is in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What is wrong with the wire, until something else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Each piece is held back for this many milliseconds, both ways.
    Delay(u64),
    /// Nothing is carried towards that end any more, and neither end is told. Connections from which something was
    /// withheld are cut when the fault ends, as a firewall does with those that it has forgotten.
    HalfOpen(Towards),
    /// One octet each second, both ways.
    Trickle,
    /// What holds this reaches the server, and its answer is lost: the connection is cut.
    LoseAnswer(&'static str),
    /// Nobody listens, and what was connected is cut.
    Refuse,
}

/// An end of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    Daemon,
    Server,
}

const TRICKLE: Duration = Duration::from_secs(1);

/// Ports that the system doesn't hand out by itself: nobody may take one while its wire refuses.
static PORT: AtomicU16 = AtomicU16::new(0);
const PORTS: u16 = 9_000;
const PORT_FIRST: u16 = 10_000;

/// The wire.
#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    server: u16,
    fault: watch::Sender<Fault>,
    /// Counts the cuts.
    cut: watch::Sender<usize>,
    /// Octets that were withheld or slowed since the fault was set.
    touched: AtomicUsize,
    /// Connections that stand.
    open: AtomicUsize,
    /// Connections that were ever made.
    made: AtomicUsize,
}

impl Proxy {
    /// A wire to a server on this machine, without a fault.
    pub async fn to(server: u16) -> Self {
        let listener = listener().await;
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared {
            server,
            fault: watch::Sender::new(Fault::Nothing),
            cut: watch::Sender::new(0),
            touched: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            made: AtomicUsize::new(0),
        });
        tokio::spawn(shared.clone().serve(listener, port));
        Self { port, shared }
    }

    /// From now on this is wrong.
    pub fn set(&self, fault: Fault) {
        self.shared.touched.store(0, Ordering::SeqCst);
        self.shared.fault.send_replace(fault);
    }

    /// Cuts every connection. Returns how many there were.
    pub fn cut(&self) -> usize {
        let open = self.open();
        self.shared.cut.send_modify(|count| *count += 1);
        open
    }

    /// Octets that the fault has withheld or slowed.
    pub fn touched(&self) -> usize {
        self.shared.touched.load(Ordering::SeqCst)
    }

    /// Connections that stand.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Connections that were ever made.
    pub fn made(&self) -> usize {
        self.shared.made.load(Ordering::SeqCst)
    }
}

async fn listener() -> TcpListener {
    let process = u16::try_from(std::process::id() % u32::from(PORTS)).expect("fits");
    for _ in 0..PORTS {
        // By hundreds, so that test processes with neighbouring ids don't meet.
        let next = PORT.fetch_add(1, Ordering::SeqCst);
        let port = PORT_FIRST + (process.wrapping_mul(101).wrapping_add(next)) % PORTS;
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)).await {
            return listener;
        }
    }
    panic!("no free port from {PORT_FIRST} on");
}

impl Shared {
    async fn serve(self: Arc<Self>, mut listener: TcpListener, port: u16) {
        let mut fault = self.fault.subscribe();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (near, _) = accepted.expect("a connection");
                    tokio::spawn(self.clone().connection(near));
                    continue;
                }
                refuses = fault.wait_for(|fault| *fault == Fault::Refuse) => {
                    if refuses.is_err() {
                        return;
                    }
                }
            }
            drop(listener);
            self.cut.send_modify(|count| *count += 1);
            if fault.wait_for(|fault| *fault != Fault::Refuse).await.is_err() {
                return;
            }
            listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is still ours");
        }
    }

    async fn connection(self: Arc<Self>, near: TcpStream) {
        let mut cut = self.cut.subscribe();
        let Ok(far) = TcpStream::connect(("127.0.0.1", self.server)).await else { return };
        near.set_nodelay(true).and_then(|()| far.set_nodelay(true)).expect("a socket");
        let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
        self.made.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        // The end of one way ends both, and both sockets are closed.
        tokio::select! {
            () = self.carry(from_near, to_far, Towards::Server) => {}
            () = self.carry(from_far, to_near, Towards::Daemon) => {}
            _ = cut.changed() => {}
        }
        self.open.fetch_sub(1, Ordering::SeqCst);
    }

    async fn carry(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, towards: Towards) {
        let mut faults = self.fault.subscribe();
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let fault = *faults.borrow_and_update();
                let step = if fault == Fault::Trickle { 1 } else { rest.len() };
                match fault {
                    Fault::HalfOpen(end) if end == towards => {
                        self.touched.fetch_add(rest.len(), Ordering::SeqCst);
                        let _ = faults.changed().await;
                        return;
                    }
                    Fault::Delay(ms) => {
                        self.touched.fetch_add(rest.len(), Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(ms)).await;
                    }
                    Fault::Trickle => {
                        self.touched.fetch_add(1, Ordering::SeqCst);
                        tokio::select! { () = tokio::time::sleep(TRICKLE) => {} _ = faults.changed() => {} }
                    }
                    Fault::LoseAnswer(to_what)
                        if towards == Towards::Server && memchr::memmem::find(rest, to_what.as_bytes()).is_some() =>
                    {
                        self.touched.fetch_add(rest.len(), Ordering::SeqCst);
                        // Whoever ends this way ends the other too, before it could carry the answer.
                        let _ = to.write_all(rest).await;
                        return;
                    }
                    Fault::Nothing | Fault::HalfOpen(_) | Fault::LoseAnswer(_) | Fault::Refuse => {}
                }
                if to.write_all(&rest[..step]).await.is_err() {
                    return;
                }
                rest = &rest[step..];
            }
        }
    }
}

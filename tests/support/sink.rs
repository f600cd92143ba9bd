//! An SMTP server that records every message it accepted, and can be told to misbehave at each step.

mod kind;

pub use kind::{Kind, Tls};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A message as it was accepted.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub recipient: String,
    pub message_id: String,
    pub bytes: Vec<u8>,
}

impl Received {
    /// The ids of the posts that the mail links to, read from its text part.
    pub fn posts(&self) -> Vec<String> {
        posts_in(&self.bytes)
    }
}

/// The ids of the posts that a mail links to, read from its text part.
pub fn posts_in(mail: &[u8]) -> Vec<String> {
    let parsed = mail_parser::MessageParser::default().parse(mail).expect("a mail");
    let text = parsed.body_text(0).expect("a text part").into_owned();
    let mut ids: Vec<String> = text
        .split("/posts/")
        .skip(1)
        .map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect())
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// How the sink behaves; can be changed while it runs.
#[derive(Default)]
pub struct Behaviour {
    /// Time before the answer to the final dot, in milliseconds.
    pub dot_delay_ms: AtomicUsize,
    /// Takes this many more messages and then says nothing after their dot: the connection is cut.
    pub silent_dots: AtomicUsize,
    /// Refuses every recipient with 451.
    pub defer: AtomicBool,
    /// Refuses recipients at this domain with 451.
    pub defer_domain: Mutex<Option<String>>,
    /// Refuses recipients at these domains for reasons of policy.
    pub object_at: Mutex<Vec<String>>,
    /// Says nothing more on a connection on which a recipient at this domain is named.
    pub stall_domain: Mutex<Option<String>>,
    /// Says nothing on new connections, and nothing more on others from their next command on.
    pub stall: AtomicBool,
    /// Done instead of the usual at the next command of that name, once each: a verb in capitals, or `CONNECT`, `BODY`
    /// (after the first line of a letter), `.` (the letter is taken, then this).
    pub tricks: Mutex<Vec<(&'static str, Trick)>>,
    /// What was heard, as `connection verb…`, and `connection EOF` at the end.
    pub heard: Mutex<Vec<String>>,
    /// Octets of letters, also of those that didn't end.
    pub letter_octets: AtomicUsize,
    /// The most octets that had come behind a MAIL when it was read: more than none if commands are pipelined.
    pub ahead: AtomicUsize,
}

/// Something that a server may do.
#[derive(Clone, Copy, Debug)]
pub enum Trick {
    /// Says nothing more and reads nothing more, and leaves the connection open.
    Stall,
    /// Closes the connection.
    Drop,
    /// Says this instead and goes on.
    Say(&'static str),
    /// Says this instead and closes the connection.
    SayAndDrop(&'static str),
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}
type Wire = BufReader<Box<dyn Stream>>;

#[derive(Clone)]
pub struct Sink {
    pub port: u16,
    pub received: Arc<Mutex<Vec<Received>>>,
    pub behaviour: Arc<Behaviour>,
    pub connections: Arc<AtomicUsize>,
    kind: Arc<Kind>,
}

/// What has been said in a connection.
#[derive(Default)]
struct Dialogue {
    number: usize,
    from: Option<String>,
    recipient: Option<String>,
    is_private: bool,
}

impl Sink {
    pub async fn start() -> Self {
        Self::of(Kind::default()).await
    }

    pub async fn of(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            port: listener.local_addr().expect("an address").port(),
            received: Arc::default(),
            behaviour: Arc::default(),
            connections: Arc::default(),
            kind: Arc::new(kind),
        };
        let serving = sink.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let serving = serving.clone();
                let number = serving.connections.fetch_add(1, Ordering::SeqCst) + 1;
                tokio::spawn(async move {
                    let _ = serving.talk(stream, number).await;
                    serving.note(number, "EOF");
                });
            }
        });
        sink
    }

    pub fn count(&self) -> usize {
        self.received.lock().expect("not poisoned").len()
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Plays a trick at the next `verb`.
    pub fn play(&self, verb: &'static str, trick: Trick) {
        self.behaviour.tricks.lock().expect("not poisoned").push((verb, trick));
    }

    pub fn heard(&self) -> Vec<String> {
        self.behaviour.heard.lock().expect("not poisoned").clone()
    }

    /// Whether something that begins like this was heard, as `connection verb`.
    pub fn has_heard(&self, line: &str) -> bool {
        self.heard().iter().any(|heard| heard.starts_with(line))
    }

    fn note(&self, number: usize, line: &str) {
        self.behaviour.heard.lock().expect("not poisoned").push(format!("{number} {line}"));
    }

    fn trick(&self, verb: &str) -> Option<Trick> {
        let mut tricks = self.behaviour.tricks.lock().expect("not poisoned");
        let at = tricks.iter().position(|(at, _)| *at == verb)?;
        Some(tricks.remove(at).1)
    }

    async fn talk(&self, stream: TcpStream, number: usize) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream: Wire = BufReader::new(Box::new(stream));
        let mut dialogue = Dialogue { number, ..Dialogue::default() };
        if let Tls::Implicit(acceptor) = &self.kind.tls {
            stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
            dialogue.is_private = true;
        }
        self.stalled().await;
        if !self.answer(&mut stream, self.trick("CONNECT"), "220 sink ESMTP\r\n").await? {
            return Ok(());
        }
        let mut line = Vec::new();
        loop {
            line.clear();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let verb = text.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            self.note(number, if verb == "AUTH" { "AUTH" } else { &text });
            if verb == "MAIL" {
                self.behaviour.ahead.fetch_max(stream.buffer().len(), Ordering::SeqCst);
            }
            self.stalled().await;
            let trick = self.trick(&verb);
            // A command that a trick refuses changes nothing.
            let answer = match trick {
                Some(Trick::Say(text) | Trick::SayAndDrop(text)) if text.starts_with(['4', '5']) => String::new(),
                _ => self.usual(&verb, &text, &mut dialogue, &mut stream).await?,
            };
            if !self.answer(&mut stream, trick, &answer).await? || verb == "QUIT" {
                return Ok(());
            }
            if verb == "DATA" && answer.starts_with("354") {
                let Some(bytes) = self.read_data(&mut stream).await? else { return Ok(()) };
                let recipient = dialogue.recipient.take().unwrap_or_default();
                dialogue.from = None;
                if !self.take(&recipient, bytes).await
                    || !self.answer(&mut stream, self.trick("."), "250 2.0.0 taken\r\n").await?
                {
                    return Ok(());
                }
            }
            if verb == "STARTTLS"
                && let (Tls::Starttls(acceptor), true) = (&self.kind.tls, answer.starts_with("220"))
            {
                stream = BufReader::new(Box::new(acceptor.accept(stream.into_inner()).await?));
                dialogue = Dialogue { number, is_private: true, ..Dialogue::default() };
            }
        }
    }

    /// Never comes back while the sink is told to stall.
    async fn stalled(&self) {
        if self.behaviour.stall.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }

    /// Answers as usual, or plays a trick. False: the connection is to be closed.
    async fn answer(&self, stream: &mut Wire, trick: Option<Trick>, usual: &str) -> std::io::Result<bool> {
        let (text, goes_on) = match trick {
            None => (usual, true),
            Some(Trick::Stall) => std::future::pending().await,
            Some(Trick::Drop) => return Ok(false),
            Some(Trick::Say(text)) => (text, true),
            Some(Trick::SayAndDrop(text)) => (text, false),
        };
        let step = if self.kind.trickles { 1 } else { text.len().max(1) };
        for part in text.as_bytes().chunks(step) {
            stream.write_all(part).await?;
            stream.flush().await?;
            tokio::task::yield_now().await;
        }
        Ok(goes_on)
    }

    async fn usual(&self, verb: &str, text: &str, d: &mut Dialogue, stream: &mut Wire) -> std::io::Result<String> {
        let angle = || text.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
        let answer = match verb {
            "EHLO" => self.kind.offers(d.is_private),
            "STARTTLS" if matches!(self.kind.tls, Tls::Starttls(_)) && !d.is_private => "220 go".to_owned(),
            "AUTH" => return self.kind.authenticate(text, stream).await,
            "MAIL" if d.from.is_some() => "503 5.5.1 nested MAIL".to_owned(),
            "MAIL" => {
                d.from = Some(angle());
                "250 2.1.0 ok".to_owned()
            }
            "RCPT" if d.from.is_none() => "503 5.5.1 MAIL first".to_owned(),
            "RCPT" if self.behaviour.defer.load(Ordering::SeqCst) => "451 4.7.1 later".to_owned(),
            "RCPT" if is_at(&self.behaviour.stall_domain, text) => std::future::pending().await,
            "RCPT" if is_at(&self.behaviour.defer_domain, text) => "451 4.7.1 later".to_owned(),
            "RCPT" if self.objects_to(text) => "550 5.7.26 this mail is unauthenticated".to_owned(),
            "RCPT" => {
                d.recipient = Some(angle());
                "250 2.1.5 ok".to_owned()
            }
            "DATA" if d.recipient.is_none() => "554 5.5.1 no valid recipients".to_owned(),
            "DATA" => "354 go".to_owned(),
            "RSET" => {
                (d.from, d.recipient) = (None, None);
                "250 ok".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "502 5.5.1 what?".to_owned(),
        };
        Ok(answer + "\r\n")
    }

    fn objects_to(&self, text: &str) -> bool {
        let domains = self.behaviour.object_at.lock().expect("not poisoned");
        domains.iter().any(|domain| text.contains(&format!("@{domain}>")))
    }

    /// Records a message. False: it was taken, and the answer is kept back.
    async fn take(&self, recipient: &str, bytes: Vec<u8>) -> bool {
        let delay = self.behaviour.dot_delay_ms.load(Ordering::SeqCst) as u64;
        let message_id = header(&bytes, "message-id:");
        let message = Received { at: Instant::now(), recipient: recipient.to_owned(), message_id, bytes };
        self.received.lock().expect("not poisoned").push(message);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let silent = |left: usize| left.checked_sub(1);
        self.behaviour.silent_dots.fetch_update(Ordering::SeqCst, Ordering::SeqCst, silent).is_err()
    }

    /// A letter without its final dot. `None`: a trick wants the connection closed.
    async fn read_data(&self, stream: &mut Wire) -> std::io::Result<Option<Vec<u8>>> {
        let (mut bytes, mut line) = (Vec::new(), Vec::new());
        loop {
            line.clear();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.behaviour.letter_octets.fetch_add(line.len(), Ordering::SeqCst);
            if line == b".\r\n" {
                return Ok(Some(bytes));
            }
            bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            match self.trick("BODY") {
                None => {}
                Some(Trick::Drop) => return Ok(None),
                Some(Trick::Say(text) | Trick::SayAndDrop(text)) => {
                    stream.write_all(text.as_bytes()).await?;
                    stream.flush().await?;
                    std::future::pending::<()>().await;
                }
                Some(Trick::Stall) => std::future::pending().await,
            }
        }
    }
}

fn is_at(domain: &Mutex<Option<String>>, text: &str) -> bool {
    domain.lock().expect("not poisoned").as_ref().is_some_and(|domain| text.contains(&format!("@{domain}>")))
}

fn header(bytes: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

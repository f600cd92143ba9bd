//! An SMTP server that records every message it accepted, and can be told to fall silent or to refuse.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A message as it was accepted.
#[derive(Clone, Debug)]
pub struct Received {
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
}

#[derive(Clone)]
pub struct Sink {
    pub port: u16,
    pub received: Arc<Mutex<Vec<Received>>>,
    pub behaviour: Arc<Behaviour>,
    pub connections: Arc<AtomicUsize>,
}

impl Sink {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let sink = Self {
            port: listener.local_addr().expect("an address").port(),
            received: Arc::default(),
            behaviour: Arc::default(),
            connections: Arc::default(),
        };
        let serving = sink.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                let serving = serving.clone();
                serving.connections.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    let _ = serving.talk(stream).await;
                });
            }
        });
        sink
    }

    pub fn count(&self) -> usize {
        self.received.lock().expect("not poisoned").len()
    }

    async fn talk(&self, stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 sink ESMTP\r\n").await?;
        let (mut recipient, mut line) = (String::new(), Vec::new());
        loop {
            line.clear();
            if stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(());
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            let verb = text.split([' ', ':']).next().unwrap_or_default().to_uppercase();
            let answer: &[u8] = match verb.as_str() {
                "EHLO" => b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                "RCPT" if self.behaviour.defer.load(Ordering::SeqCst) => b"451 4.7.1 later\r\n",
                "RCPT" => {
                    recipient = text.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    b"250 2.1.5 ok\r\n"
                }
                "DATA" => {
                    stream.write_all(b"354 go\r\n").await?;
                    let bytes = read_data(&mut stream).await?;
                    if !self.take(&recipient, bytes).await {
                        return Ok(());
                    }
                    b"250 2.0.0 taken\r\n"
                }
                "QUIT" => {
                    stream.write_all(b"221 bye\r\n").await?;
                    return Ok(());
                }
                _ => b"250 ok\r\n",
            };
            stream.write_all(answer).await?;
        }
    }

    /// Records a message. False: it was taken, and the answer is kept back.
    async fn take(&self, recipient: &str, bytes: Vec<u8>) -> bool {
        let delay = self.behaviour.dot_delay_ms.load(Ordering::SeqCst) as u64;
        let message_id = header(&bytes, "message-id:");
        let message = Received { recipient: recipient.to_owned(), message_id, bytes };
        self.received.lock().expect("not poisoned").push(message);
        if delay > 0 {
            tokio::time::sleep(Duration::from_millis(delay)).await;
        }
        let silent = |left: usize| left.checked_sub(1);
        self.behaviour.silent_dots.fetch_update(Ordering::SeqCst, Ordering::SeqCst, silent).is_err()
    }
}

async fn read_data(stream: &mut BufReader<TcpStream>) -> std::io::Result<Vec<u8>> {
    let (mut bytes, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(bytes);
        }
        bytes.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn header(bytes: &[u8], name: &str) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap_or_default();
    line.split_once(':').map_or("", |(_, value)| value).trim().to_owned()
}

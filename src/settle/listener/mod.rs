//! A small server that takes mail for the bounce domains: LMTP (RFC 2033) from a mail server beside it, or SMTP (RFC 5321). It
//! keeps each mail and commits before it answers; it reads none, relays none and answers none.

mod dialogue;
mod letter;
#[cfg(test)]
mod tests;

use crate::domain::inbound::{MESSAGE_LEN_MAX, Mail, TooLong, Via};
use crate::store::inbound::Kept;
use crate::store::{Store, StoreError, inbound};
use dialogue::{Dialogue, Heard};
use letter::Letter;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once: a mail server opens few, and a flood is told to come again.
const CONNECTIONS_MAX: usize = 64;
/// Octets of a command line: RFC 5321 section 4.5.3.1.4 asks for 512, extensions for somewhat more.
const LINE_LEN_MAX: u64 = 2_048;
/// How long a command is waited for (RFC 5321 section 4.5.3.2.7).
const COMMAND_DEADLINE: Duration = Duration::from_secs(300);
/// How long a whole letter may take: at the size that is taken, a modem's pace.
const LETTER_DEADLINE: Duration = Duration::from_secs(600);
/// How long an answer may take to be written.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);
/// How long dialogues under way are waited for at the end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

/// What is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// From a mail server that has taken the mail: each recipient has an answer of its own.
    #[default]
    Lmtp,
    /// From anywhere.
    Smtp,
}

/// What the server needs.
#[derive(Clone)]
pub struct Parts {
    /// Where mails are kept.
    pub store: Store,
    /// What is spoken.
    pub protocol: Protocol,
    /// Domains whose mail is taken, in lower case.
    pub domains: Vec<String>,
    /// The name said in the greeting.
    pub name: String,
    /// Notified after each mail.
    pub wake: Arc<Notify>,
}

/// Binds the address.
///
/// # Errors
/// When it is taken or not ours.
pub async fn listen(address: &str) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Takes mail until `stop` turns true.
pub async fn serve(listener: TcpListener, parts: Parts, mut stop: watch::Receiver<bool>) {
    let (parts, places) = (Arc::new(parts), Arc::new(Semaphore::new(CONNECTIONS_MAX)));
    let mut dialogues = JoinSet::new();
    while !*stop.borrow() {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = dialogues.join_next() => continue,
            _ = stop.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection to the listener for returned mail was lost");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (parts, stop) = (parts.clone(), stop.clone());
        let place = places.clone().try_acquire_owned();
        dialogues.spawn(async move {
            let held = match place {
                Ok(_place) => hold(stream, &parts, stop).await,
                Err(_) => refuse(stream, &parts.name).await,
            };
            if let Err(error) = held {
                tracing::debug!(%error, "a dialogue of the listener for returned mail broke off");
            }
        });
    }
    let ended = async { while dialogues.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(SHUTDOWN_MAX, ended).await;
}

async fn refuse(mut stream: TcpStream, name: &str) -> std::io::Result<()> {
    say(&mut stream, &format!("421 4.3.2 {name} has too many connections; come again later\r\n")).await
}

type Wire = BufReader<TcpStream>;

/// One connection.
async fn hold(stream: TcpStream, parts: &Parts, mut stop: watch::Receiver<bool>) -> std::io::Result<()> {
    let mut wire = BufReader::new(stream);
    let mut dialogue = Dialogue::new(parts.protocol, parts.name.clone(), parts.domains.clone());
    say(wire.get_mut(), &dialogue.greeting()).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        let heard = tokio::select! {
            heard = tokio::time::timeout(COMMAND_DEADLINE, read_line(&mut wire, &mut line)) => heard,
            _ = stop.changed() => return say(wire.get_mut(), "421 4.3.2 closing down\r\n").await,
        };
        match heard {
            Err(_) => return say(wire.get_mut(), "421 4.4.2 nothing was said for too long\r\n").await,
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Line::End)) => return Ok(()),
            Ok(Ok(Line::TooLong)) => return say(wire.get_mut(), "500 5.5.2 the line is too long\r\n").await,
            Ok(Ok(Line::Whole)) => {}
        }
        match dialogue.hear(&String::from_utf8_lossy(&line)) {
            Heard::Say(answer) => say(wire.get_mut(), &answer).await?,
            Heard::Bye(answer) => return say(wire.get_mut(), &answer).await,
            Heard::Letter(recipients) => {
                say(wire.get_mut(), "354 go on; end with a dot on a line of its own\r\n").await?;
                let read = tokio::time::timeout(LETTER_DEADLINE, read_letter(&mut wire)).await;
                let Ok(letter) = read else {
                    return say(wire.get_mut(), "421 4.4.2 the letter took too long\r\n").await;
                };
                let answer = keep(parts, &recipients, letter?).await;
                say(wire.get_mut(), &dialogue.after_letter(recipients.len(), answer)).await?;
            }
        }
    }
}

enum Line {
    Whole,
    End,
    TooLong,
}

async fn read_line(wire: &mut Wire, line: &mut Vec<u8>) -> std::io::Result<Line> {
    let len = wire.take(LINE_LEN_MAX).read_until(b'\n', line).await?;
    Ok(match line.last() {
        Some(b'\n') => Line::Whole,
        _ if len as u64 == LINE_LEN_MAX => Line::TooLong,
        _ => Line::End,
    })
}

/// The letter up to its final dot, as far as it fits; what is too long is read to its end all the same.
async fn read_letter(wire: &mut Wire) -> std::io::Result<Letter> {
    let mut letter = Letter::new(MESSAGE_LEN_MAX);
    loop {
        let heard = wire.fill_buf().await?;
        if heard.is_empty() {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let (used, is_whole) = letter.push(heard);
        wire.consume(used);
        if is_whole {
            return Ok(letter);
        }
    }
}

/// Keeps a letter, once for each recipient, in one transaction. Returns the answer.
async fn keep(parts: &Parts, recipients: &[String], letter: Letter) -> &'static str {
    const TOO_LONG: &str = "552 5.3.4 the letter is too long";
    if letter.is_too_long() {
        return TOO_LONG;
    }
    let via = match parts.protocol {
        Protocol::Lmtp => Via::Lmtp,
        Protocol::Smtp => Via::Smtp,
    };
    let bytes = letter.into_bytes();
    let mails: Result<Vec<Mail>, TooLong> =
        recipients.iter().map(|to| Mail::new(via, Some(to), bytes.clone())).collect();
    let Ok(mails) = mails else { return TOO_LONG };
    match store_all(&parts.store, mails).await {
        Ok(true) => {
            parts.wake.notify_one();
            "250 2.0.0 kept"
        }
        Ok(false) => "452 4.3.1 too much mail waits to be read; come again later",
        Err(error) => {
            tracing::warn!(%error, "a returned mail could not be kept; its sender will come again");
            "451 4.3.0 it can't be kept now; come again later"
        }
    }
}

/// All or none: an error takes back what went before.
async fn store_all(store: &Store, mails: Vec<Mail>) -> Result<bool, StoreError> {
    let now = store.now().await?;
    store
        .write(move |tx| {
            for mail in &mails {
                if inbound::keep(tx, mail, now)? == Kept::Full {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
}

async fn say(stream: &mut TcpStream, text: &str) -> std::io::Result<()> {
    let written = async {
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await
    };
    tokio::time::timeout(WRITE_DEADLINE, written).await.map_err(|_| std::io::ErrorKind::TimedOut)?
}

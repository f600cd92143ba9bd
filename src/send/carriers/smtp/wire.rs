//! Bytes to and from a server: TCP or TLS, replies under deadlines, and the letter up to its final dot.

use super::Deadlines;
use super::reply::{Reply, Step, Trouble};
use futures_util::FutureExt as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// Addresses of a host that are tried, one after the other.
const ADDRESSES_MAX: usize = 4;
/// Octets read at once: most replies fit.
const READ_LEN: usize = 4 * 1024;
/// Octets offered to TLS at once: one record (RFC 8446 section 5.1), so that a write that fails leaves little in doubt.
const TLS_WRITE_LEN_MAX: usize = 16 * 1024;
/// What ends a letter (RFC 5321 section 4.1.1.4); it stands at the beginning of a line.
const END: &[u8] = b".\r\n";

enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection, without knowledge of the dialogue.
pub(super) struct Wire {
    stream: Stream,
    heard: Vec<u8>,
    deadlines: Deadlines,
}

impl Wire {
    /// Connects; the deadline is shared out among the host's addresses.
    pub(super) async fn connect(host: &str, port: u16, deadlines: Deadlines) -> Result<Self, Trouble> {
        let broken = |error: io::Error| Trouble::Broken(Step::Connect, error.to_string());
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::time::timeout(deadlines.connect, tokio::net::lookup_host((host, port))).await;
        let found = found.map_err(|_| Trouble::Silence(Step::Connect))?.map_err(broken)?;
        let addresses: Vec<SocketAddr> = found.take(ADDRESSES_MAX).collect();
        let share = deadlines.connect / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut trouble = Trouble::Broken(Step::Connect, "the host has no address".to_owned());
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Without it each letter waits 40 ms for the acknowledgement of what went before.
                    stream.set_nodelay(true).map_err(broken)?;
                    return Ok(Self { stream: Stream::Plain(stream), heard: Vec::new(), deadlines });
                }
                Ok(Err(error)) => trouble = broken(error),
                Err(_) => trouble = Trouble::Silence(Step::Connect),
            }
        }
        Err(trouble)
    }

    /// Goes over to TLS. What a server said before the handshake and we haven't read could have been put there by
    /// anybody, so it ends the connection (CVE-2011-0411).
    pub(super) async fn into_tls(self, host: ServerName<'static>, config: Arc<ClientConfig>) -> Result<Self, Trouble> {
        let Stream::Plain(stream) = self.stream else { return Ok(self) };
        if !self.heard.is_empty() {
            return Err(Trouble::Broken(Step::StartTls, "the server spoke out of turn".to_owned()));
        }
        let handshake = TlsConnector::from(config).connect(host, stream);
        let stream = tokio::time::timeout(self.deadlines.connect, handshake).await;
        let stream = stream.map_err(|_| Trouble::Silence(Step::Handshake))?;
        let stream = stream.map_err(|error| Trouble::Broken(Step::Handshake, error.to_string()))?;
        Ok(Self { stream: Stream::Tls(Box::new(stream)), heard: self.heard, deadlines: self.deadlines })
    }

    /// Whether nobody between here and the server can read along.
    pub(super) fn is_private(&self) -> bool {
        match &self.stream {
            Stream::Tls(_) => true,
            Stream::Plain(stream) => stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback()),
        }
    }

    /// The certificate that the server showed, in DER.
    pub(super) fn certificate(&self) -> Option<Vec<u8>> {
        let Stream::Tls(stream) = &self.stream else { return None };
        let (_, connection) = stream.get_ref();
        connection.peer_certificates()?.first().map(|certificate| certificate.to_vec())
    }

    /// Writes commands, ready with their line ends.
    pub(super) async fn say(&mut self, step: Step, commands: &[u8]) -> Result<(), Trouble> {
        let deadline = self.deadlines.of(step);
        let writing = async {
            let mut rest = commands;
            while !rest.is_empty() {
                rest = &rest[self.write(rest).await?..];
            }
            self.flush().await
        };
        match tokio::time::timeout(deadline, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Trouble::Broken(step, error.to_string())),
            Err(_) => Err(Trouble::Silence(step)),
        }
    }

    /// The next reply.
    pub(super) async fn hear(&mut self, step: Step) -> Result<Reply, Trouble> {
        let deadline = self.deadlines.of(step);
        let listening = async {
            loop {
                if let Some(reply) = self.heard_reply(step)? {
                    return Ok(reply);
                }
                if self.read(step).await? == 0 {
                    return Err(Trouble::Broken(step, "the server closed the connection".to_owned()));
                }
            }
        };
        tokio::time::timeout(deadline, listening).await.unwrap_or(Err(Trouble::Silence(step)))
    }

    /// Looks, without waiting, whether the server has said something unasked or closed the connection.
    pub(super) fn interruption(&mut self, step: Step) -> Result<(), Trouble> {
        loop {
            if let Some(reply) = self.heard_reply(step)? {
                return Err(Trouble::Said(step, reply));
            }
            match self.read(step).now_or_never() {
                None if self.heard.is_empty() => return Ok(()),
                None => return Err(Trouble::Broken(step, "the server spoke out of turn".to_owned())),
                Some(Ok(0)) => return Err(Trouble::Broken(step, "the server closed the connection".to_owned())),
                Some(Ok(_)) => {}
                Some(Err(trouble)) => return Err(trouble),
            }
        }
    }

    /// Writes a letter that [`stuffed`] has made ready, whose final dot ends at `dot_end`; commands may follow it. Trouble at
    /// [`Step::Content`] means that the dot surely wasn't written, trouble at [`Step::Dot`] that it may have been.
    pub(super) async fn letter(&mut self, stuffed: &[u8], dot_end: usize) -> Result<(), Trouble> {
        let dot_at = dot_end.saturating_sub(END.len());
        let mut written = 0;
        while written < stuffed.len() {
            let (rest, is_tls) = (&stuffed[written..], matches!(self.stream, Stream::Tls(_)));
            let offered = if is_tls { &rest[..rest.len().min(TLS_WRITE_LEN_MAX)] } else { rest };
            let wrote = tokio::time::timeout(self.deadlines.block, self.write(offered)).await;
            // A write to a socket that fails has written nothing; TLS may have passed on a part of what it was offered.
            let out = written + if is_tls { offered.len() } else { 0 };
            match wrote {
                Ok(Ok(count)) => written += count,
                Ok(Err(error)) => return Err(self.cut_off(out > dot_at, Some(error))),
                Err(_) => return Err(self.cut_off(out > dot_at, None)),
            }
        }
        match tokio::time::timeout(self.deadlines.block, self.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.cut_off(true, Some(error))),
            Err(_) => Err(self.cut_off(true, None)),
        }
    }

    /// Why a letter couldn't be written. A server that has had enough may have said so before it stopped reading; that
    /// counts only while the dot wasn't written, for an answer must come after its question.
    fn cut_off(&mut self, dot_may_be_out: bool, error: Option<io::Error>) -> Trouble {
        let step = if dot_may_be_out { Step::Dot } else { Step::Content };
        match (self.interruption(Step::Content), error) {
            (Err(Trouble::Said(_, reply)), _) if !dot_may_be_out => Trouble::Said(Step::Dot, reply),
            (_, Some(error)) => Trouble::Broken(step, error.to_string()),
            (_, None) => Trouble::Silence(step),
        }
    }

    /// Says QUIT and waits a moment for the answer.
    pub(super) async fn quit(mut self) {
        let deadline = self.deadlines.quit;
        let parting = async {
            self.say(Step::Reset, b"QUIT\r\n").await?;
            self.hear(Step::Reset).await?;
            if let Stream::Tls(stream) = &mut self.stream {
                let _ = stream.shutdown().await;
            }
            Ok::<(), Trouble>(())
        };
        // Nothing is open any more, so it doesn't matter how the connection ends.
        let _ = tokio::time::timeout(deadline, parting).await;
    }

    fn heard_reply(&mut self, step: Step) -> Result<Option<Reply>, Trouble> {
        match Reply::parse(&self.heard) {
            Ok(Some((reply, len))) => {
                self.heard.drain(..len);
                Ok(Some(reply))
            }
            Ok(None) => Ok(None),
            Err(_) => Err(Trouble::Broken(step, "the answer is no SMTP".to_owned())),
        }
    }

    async fn read(&mut self, step: Step) -> Result<usize, Trouble> {
        self.heard.reserve(READ_LEN);
        let read = match &mut self.stream {
            Stream::Plain(stream) => stream.read_buf(&mut self.heard).await,
            Stream::Tls(stream) => stream.read_buf(&mut self.heard).await,
        };
        read.map_err(|error| Trouble::Broken(step, error.to_string()))
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = match &mut self.stream {
            Stream::Plain(stream) => stream.write(bytes).await?,
            Stream::Tls(stream) => stream.write(bytes).await?,
        };
        if count == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(count) }
    }

    async fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(_) => Ok(()),
            Stream::Tls(stream) => stream.flush().await,
        }
    }
}

impl Deadlines {
    fn of(&self, step: Step) -> Duration {
        match step {
            Step::Connect | Step::Handshake => self.connect,
            Step::Greeting | Step::Ehlo => self.greeting,
            Step::StartTls | Step::Auth | Step::Reset | Step::Mail | Step::Rcpt => self.command,
            Step::Data => self.data,
            Step::Content => self.block,
            Step::Dot => self.dot,
        }
    }
}

/// Room for the commands that are written together with a letter: those of most addresses, with what they say of reports.
const ROOM: usize = 1_024;

/// A letter as it goes over the wire: every line ends with CRLF, a dot at the beginning of a line is doubled (RFC 5321
/// section 4.5.2), and the final dot stands at the end. A lone CR or LF becomes a line end of its own: nothing that
/// one server takes for the end of the letter and another doesn't may pass.
pub(super) fn stuffed(mut letter: Vec<u8>) -> Vec<u8> {
    if is_ready(&letter) {
        letter.reserve(END.len() + ROOM);
        letter.extend_from_slice(END);
        return letter;
    }
    let mut out = Vec::with_capacity(letter.len() + letter.len() / 32 + ROOM);
    let mut lines = letter.split(|byte| *byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if lines.peek().is_none() && line.is_empty() {
            break;
        }
        for part in line.split(|byte| *byte == b'\r') {
            if part.first() == Some(&b'.') {
                out.push(b'.');
            }
            out.extend_from_slice(part);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(END);
    out
}

/// Whether a letter needs no change: it ends a line, every CR and LF belongs to a line end, and no line begins with a dot.
fn is_ready(letter: &[u8]) -> bool {
    let is_end = |at: usize| {
        letter.get(at) == Some(&b'\r') && letter.get(at + 1) == Some(&b'\n') && letter.get(at + 2) != Some(&b'.')
    };
    let mut after = 0;
    for at in memchr::memchr2_iter(b'\r', b'\n', letter) {
        if at < after {
            continue;
        }
        if !is_end(at) {
            return false;
        }
        after = at + 2;
    }
    after == letter.len() && letter.first() != Some(&b'.')
}

#[cfg(test)]
mod tests {
    use super::stuffed;

    #[test]
    fn no_line_of_a_letter_ends_it() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b"a\r\nb\r\n", b"a\r\nb\r\n.\r\n"),
            (b"a\r\n\r\n.b\r\n", b"a\r\n\r\n..b\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b".a\r\n", b"..a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b"", b".\r\n"),
            (b"a\n.\nb\r.\r\n", b"a\r\n..\r\nb\r\n..\r\n.\r\n"),
            (b"a\r\n\r\n", b"a\r\n\r\n.\r\n"),
            (b"a\r\r\n.b", b"a\r\n\r\n..b\r\n.\r\n"),
        ];
        for (letter, wanted) in cases {
            assert_eq!(stuffed(letter.to_vec()), wanted, "{:?}", String::from_utf8_lossy(letter));
        }
    }
}

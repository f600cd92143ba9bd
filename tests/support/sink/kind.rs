//! What kind of server the sink is: what it announces, how it is protected, whom it lets in.

use super::Wire;
use base64::Engine as _;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

/// What kind of server the sink is.
#[derive(Clone)]
pub struct Kind {
    pub tls: Tls,
    /// Announced to EHLO.
    pub extensions: Vec<&'static str>,
    /// User and password that AUTH takes.
    pub login: Option<(&'static str, &'static str)>,
    /// Whether it writes its answers one octet at a time.
    pub trickles: bool,
}

impl Default for Kind {
    fn default() -> Self {
        Self { tls: Tls::None, extensions: vec!["PIPELINING", "8BITMIME", "SMTPUTF8"], login: None, trickles: false }
    }
}

/// How the sink protects its connections.
#[derive(Clone)]
pub enum Tls {
    None,
    /// STARTTLS is announced and possible.
    Starttls(TlsAcceptor),
    Implicit(TlsAcceptor),
}

impl Kind {
    pub(super) fn offers(&self, is_private: bool) -> String {
        let mut lines = vec!["sink"];
        lines.extend(&self.extensions);
        if matches!(self.tls, Tls::Starttls(_)) && !is_private {
            lines.push("STARTTLS");
        }
        let last = lines.len() - 1;
        let line = |(index, text): (usize, &&str)| format!("250{}{text}\r\n", if index == last { ' ' } else { '-' });
        lines.iter().enumerate().map(line).collect::<String>().trim_end().to_owned()
    }

    pub(super) async fn authenticate(&self, text: &str, stream: &mut Wire) -> std::io::Result<String> {
        let decode = |text: &str| {
            let bytes = base64::engine::general_purpose::STANDARD.decode(text.trim()).expect("base64");
            String::from_utf8(bytes).expect("UTF-8")
        };
        let mut words = text.split(' ').skip(1);
        let given = match (words.next(), words.next()) {
            (Some("PLAIN"), Some(all)) => {
                let all = decode(all);
                let mut parts = all.split('\0').skip(1).map(str::to_owned);
                (parts.next().expect("a user"), parts.next().expect("a password"))
            }
            (Some("LOGIN"), None) => {
                let mut asked = Vec::new();
                for prompt in [&b"334 VXNlcm5hbWU6\r\n"[..], b"334 UGFzc3dvcmQ6\r\n"] {
                    stream.write_all(prompt).await?;
                    stream.flush().await?;
                    let mut line = String::new();
                    stream.read_line(&mut line).await?;
                    asked.push(decode(&line));
                }
                (asked.remove(0), asked.remove(0))
            }
            _ => return Ok("504 5.5.4 unknown\r\n".to_owned()),
        };
        let right = self.login.is_some_and(|(user, password)| given == (user.to_owned(), password.to_owned()));
        // A rude server repeats what it was given.
        Ok(if right { "235 2.7.0 ok\r\n".to_owned() } else { format!("535 5.7.8 not {}/{}\r\n", given.0, given.1) })
    }
}

//! Side room: the way to addresses that strangers name, such as the callbacks of feed subscribers. Nothing is asked that isn't the
//! public's: the scheme, the port and each address that a name resolves to are judged, and the connection is made to an address that
//! was judged, so that a name that means something else the next moment leads nowhere (DNS rebinding). No redirect is followed, no
//! proxy is used, and every answer has an end.

mod rules;
mod signed;

pub use rules::{Refused, Rules};
pub use signed::Signed;

use crate::domain::clock::UnixMillis;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, redirect};
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// How long a request may take from its beginning to the end of the answer.
pub const ANSWER_MAX: Duration = Duration::from_secs(30);
/// Idle connections kept to one host, and for how long.
const IDLE_MAX: usize = 2;
const IDLE_FOR: Duration = Duration::from_secs(60);
/// Characters kept of what went wrong.
const WORDS_MAX: usize = 200;

/// What is asked.
pub struct Call<'a> {
    /// The method.
    pub method: Method,
    /// Where.
    pub url: &'a str,
    /// Header fields.
    pub headers: Vec<(HeaderName, String)>,
    /// The body; empty for none.
    pub body: Vec<u8>,
    /// Octets of the answer's body that are read at most; what is beyond stays unread.
    pub answer_max: usize,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The first octets of the body.
    pub body: Vec<u8>,
    /// Whether the body was longer.
    pub is_cut: bool,
    /// Whether the body broke off.
    pub is_broken: bool,
    /// Its header fields.
    pub headers: HeaderMap,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It isn't to be asked.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Nothing was said to the far side.
    #[error("{0}")]
    Unreachable(String),
    /// The far side may have heard it.
    #[error("{0}")]
    Lost(String),
}

/// The way out.
#[derive(Clone)]
pub struct Guard {
    rules: Arc<Rules>,
    /// To the public, and to the operator's own networks.
    public: Client,
    /// To the operator's own networks alone.
    own: Client,
}

impl Guard {
    /// The way out under these rules; `agent` is what we call ourselves. Where the system has no certificates of authorities nobody is
    /// trusted, and the log says so: a daemon whose mail goes by a relay beside it starts all the same.
    ///
    /// # Errors
    /// When there is no TLS to be had.
    pub fn new(rules: Rules, agent: &str) -> Result<Self, reqwest::Error> {
        let rules = Arc::new(rules);
        let client = |is_own_only: bool, has_authorities: bool| {
            let builder = Client::builder();
            let builder = if has_authorities { builder } else { builder.tls_certs_only([]) };
            builder
                .dns_resolver(Arc::new(Judged { rules: rules.clone(), is_own_only }))
                .redirect(redirect::Policy::none())
                .no_proxy()
                .connect_timeout(CONNECT_MAX)
                .timeout(ANSWER_MAX)
                .pool_max_idle_per_host(IDLE_MAX)
                .pool_idle_timeout(IDLE_FOR)
                .user_agent(agent)
                .build()
        };
        let has_authorities = client(false, true).is_ok();
        if !has_authorities {
            tracing::warn!(
                "the system has no certificates of authorities (Debian: ca-certificates): no https of others is trusted"
            );
        }
        Ok(Self { public: client(false, has_authorities)?, own: client(true, has_authorities)?, rules })
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Asks.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn call(&self, call: Call<'_>) -> Result<Answer, Failure> {
        let judged = self.rules.judge(call.url)?;
        let client = if judged.is_own_only { &self.own } else { &self.public };
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let value = HeaderValue::from_str(&value).map_err(|error| Failure::Unreachable(error.to_string()))?;
            headers.append(name, value);
        }
        let request = client.request(call.method, judged.url).headers(headers);
        let request = if call.body.is_empty() { request } else { request.body(call.body) };
        let mut response = request.send().await.map_err(failure)?;
        let headers = response.headers().clone();
        let (status, mut body, mut is_cut, mut is_broken) = (response.status().as_u16(), Vec::new(), false, false);
        // The status was heard: a body that breaks off or never ends changes nothing of it.
        while let Some(chunk) = response.chunk().await.unwrap_or_else(|_| {
            is_broken = true;
            None
        }) {
            let room = call.answer_max - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_cut = true;
                break;
            }
        }
        Ok(Answer { status, body, is_cut, is_broken, headers })
    }
}

impl Answer {
    /// A header field, if it is there and can be read.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// When the far side asks to be tried again (RFC 9110 section 10.2.3), in seconds from `now` or as a date.
    #[must_use]
    pub fn retry_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        let text = self.header(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(now.plus(Duration::from_secs(u64::from(seconds))));
        }
        let date = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(UnixMillis(date.timestamp().as_millisecond()))
    }

    /// The first words of the body, for the ledger.
    #[must_use]
    pub fn words(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} {}", self.status, line.chars().take(WORDS_MAX).collect::<String>()).trim_end().to_owned()
    }
}

/// Resolves names, and leaves out what isn't to be asked.
struct Judged {
    rules: Arc<Rules>,
    is_own_only: bool,
}

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, is_own_only) = (self.rules.clone(), self.is_own_only);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let is_good = |address: &IpAddr| rules.is_own(*address) || (!is_own_only && rules.is_public(*address));
            let good: Vec<SocketAddr> = found.into_iter().filter(|found| is_good(&found.ip())).collect();
            if good.is_empty() {
                return Err(Refused::Private.into());
            }
            Ok(Box::new(good.into_iter()) as Addrs)
        })
    }
}

/// Says what went wrong, without the address, which may hold a secret.
fn failure(error: reqwest::Error) -> Failure {
    let was_said = !(error.is_connect() || error.is_dns() || error.is_builder());
    let error = error.without_url();
    let (mut words, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<Refused>() {
            return Failure::Refused(*refused);
        }
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    let words = words.chars().take(WORDS_MAX).collect();
    if was_said { Failure::Lost(words) } else { Failure::Unreachable(words) }
}

#[cfg(test)]
mod tests;

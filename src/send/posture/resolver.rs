//! Asks the DNS, without a memory of its own: who mends a record doesn't wait for us to forget the old one.

use super::ask::{Answer, Question};
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use std::net::SocketAddr;
use std::time::Duration;

/// How long one name server may take, and how often it is asked: a recursive one that has to walk needs a few seconds.
const TIMEOUT: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// How long one question may take, over all servers and ways to ask them.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(6);

/// Asks name servers.
pub struct Resolver(TokioResolver);

/// Why there is nobody to ask.
#[derive(Debug, thiserror::Error)]
#[error("no name server: {0}; name one in `send.resolver`")]
pub struct NoResolver(String);

impl Resolver {
    /// The system's name servers (resolv.conf), or this one.
    ///
    /// # Errors
    /// [`NoResolver`] when the system's can't be read.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, NoResolver> {
        let failed = |error: NetError| NoResolver(error.to_string());
        let mut builder = match server {
            None => TokioResolver::builder_tokio().map_err(failed)?,
            Some(server) => {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|connection| connection.port = server.port());
                let server = NameServerConfig::new(server.ip(), true, connections);
                let config = ResolverConfig::from_name_servers(vec![server]);
                TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        let options = builder.options_mut();
        (options.timeout, options.attempts, options.cache_size) = (TIMEOUT, ATTEMPTS, 0);
        // What stands in this machine's hosts file nobody else sees.
        options.use_hosts_file = ResolveHosts::Never;
        builder.build().map(Self).map_err(failed)
    }

    /// What the DNS says.
    pub async fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Texts(name) => self.named(name, RecordType::TXT).await,
            Question::Exchanges(name) => self.named(name, RecordType::MX).await,
            Question::Pointers(address) => self.records(Name::from(*address), RecordType::PTR).await,
            Question::Addresses(name) => {
                let (v4, v6) = tokio::join!(self.named(name, RecordType::A), self.named(name, RecordType::AAAA));
                match (v4, v6) {
                    (Answer::Records(mut v4), Answer::Records(v6)) => {
                        v4.extend(v6);
                        Answer::Records(v4)
                    }
                    (Answer::Records(found), _) | (_, Answer::Records(found)) => Answer::Records(found),
                    (Answer::Nothing, Answer::Nothing) => Answer::Nothing,
                    _ => Answer::Silence,
                }
            }
        }
    }

    async fn named(&self, name: &str, kind: RecordType) -> Answer {
        // With the dot at its end no search list is tried. A name that can't be, such as one with too long a label, has no
        // records.
        match Name::from_ascii(format!("{name}.")) {
            Ok(name) => self.records(name, kind).await,
            Err(_) => Answer::Nothing,
        }
    }

    async fn records(&self, name: Name, kind: RecordType) -> Answer {
        let found = match tokio::time::timeout(ANSWER_TIMEOUT, self.0.lookup(name, kind)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_no_records_found() => return Answer::Nothing,
            Ok(Err(_)) | Err(_) => return Answer::Silence,
        };
        let record = |data: &RData| Some((preference(data), words(data, kind)?));
        let mut records: Vec<(u16, String)> = found.answers().iter().filter_map(|one| record(&one.data)).collect();
        records.sort_by_key(|(preference, _)| *preference);
        let records: Vec<String> = records.into_iter().map(|(_, words)| words).collect();
        if records.is_empty() { Answer::Nothing } else { Answer::Records(records) }
    }
}

fn preference(data: &RData) -> u16 {
    if let RData::MX(exchange) = data { exchange.preference } else { 0 }
}

/// A record of the wanted kind in words; others, such as the CNAME that led there, are passed over.
fn words(data: &RData, kind: RecordType) -> Option<String> {
    let name = |name: &Name| {
        let text = name.to_ascii().to_ascii_lowercase();
        if text == "." { text } else { text.trim_end_matches('.').to_owned() }
    };
    match data {
        RData::TXT(text) if kind == RecordType::TXT => {
            Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned())
        }
        RData::A(address) if kind == RecordType::A => Some(address.to_string()),
        RData::AAAA(address) if kind == RecordType::AAAA => Some(address.to_string()),
        RData::MX(exchange) if kind == RecordType::MX => Some(name(&exchange.exchange)),
        RData::PTR(pointer) if kind == RecordType::PTR => Some(name(pointer)),
        _ => None,
    }
}

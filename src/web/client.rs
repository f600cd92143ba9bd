//! Who asks: the client's address behind trusted proxies, and the line that the log keeps of a request.

use super::Front;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Reverse proxies whose `X-Forwarded-For` is believed: single addresses and ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Range>);

/// Addresses that share their first bits (RFC 4632).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    network: u128,
    mask: u128,
}

/// An entry that is neither an address nor a range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither an address nor a range; write one such as `10.0.0.5`, `10.0.0.0/8` or `fd00::/8`")]
pub struct BadRange(String);

impl TrustedProxies {
    /// Reads addresses and ranges.
    ///
    /// # Errors
    /// The index of the first that is neither, and what is wrong.
    pub fn parse(list: &[String]) -> Result<Self, (usize, BadRange)> {
        let read = |(index, text): (usize, &String)| Range::parse(text).ok_or_else(|| (index, BadRange(text.clone())));
        list.iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn holds(&self, address: IpAddr) -> bool {
        let bits = bits(address);
        self.0.iter().any(|range| bits & range.mask == range.network)
    }

    /// The address that a request comes from: the peer's, or, as long as that is a trusted proxy, the one before it in
    /// `X-Forwarded-For`. What stands further left was written by nobody we know.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer;
        let lines = headers.get_all("x-forwarded-for").iter().filter_map(|line| line.to_str().ok());
        let hops: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        for hop in hops.iter().rev() {
            if !self.holds(client) {
                break;
            }
            let Some(address) = address_in(hop) else { break };
            client = address;
        }
        client
    }

    /// Whether the request was passed on by a proxy that isn't trusted, so that its client isn't known.
    #[must_use]
    pub fn is_hidden(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded");
        is_forwarded && !self.holds(peer)
    }
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = length.unwrap_or(width);
        if length > width {
            return None;
        }
        // An IPv4 address is kept as the IPv6 address that it maps to, so that both kinds of socket agree.
        let fixed = 128 - width + length;
        let mask = if fixed == 0 { 0 } else { u128::MAX << (128 - fixed) };
        let network = bits(address);
        // `10.0.0.5/8` is a slip: the range or the one address was meant.
        (network & mask == network).then_some(Self { network, mask })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Some proxies write a port too.
fn address_in(hop: &str) -> Option<IpAddr> {
    let bracketed = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    bracketed.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// Whether a request comes from this machine or its private network: who may look at mails while allim is tried out.
pub(super) fn is_near(front: &Front, request: &Request) -> bool {
    let (peer, headers) = (peer(request), request.headers());
    if front.proxies.is_hidden(peer, headers) {
        return false;
    }
    match front.proxies.client(peer, headers).to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

/// The address that a request comes from.
pub(super) fn address(front: &Front, request: &Request) -> IpAddr {
    front.proxies.client(peer(request), request.headers())
}

/// The peer of a request's connection.
fn peer(request: &Request) -> IpAddr {
    let connected = request.extensions().get::<ConnectInfo<SocketAddr>>();
    connected.map_or(IpAddr::from([0, 0, 0, 0]), |ConnectInfo(socket)| socket.ip())
}

/// Logs a request at level `debug`, without query and tokens.
pub(super) async fn log(State(front): State<Arc<Front>>, request: Request, next: Next) -> Response {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return next.run(request).await;
    }
    let method = request.method().clone();
    let path = told(request.uri().path()).to_owned();
    let client = address(&front, &request);
    let began = front.clock.uptime();
    let response = next.run(request).await;
    let micros = (front.clock.uptime() - began).as_micros();
    tracing::debug!(%method, path, status = response.status().as_u16(), %client, micros, "request");
    response
}

/// Paths below these hold a token.
const SECRET_BELOW: [&str; 4] = ["/unsubscribe/", "/manage/", "/confirm/", "/feeds/private/"];

/// A path as the log may hold it.
fn told(path: &str) -> &str {
    SECRET_BELOW.into_iter().find(|secret| path.starts_with(secret)).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(list: &[&str]) -> TrustedProxies {
        TrustedProxies::parse(&list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).unwrap()
    }

    fn client(list: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        proxies(list).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        let spoofed = ["1.1.1.1, 203.0.113.9"];
        assert_eq!(client(&[], "127.0.0.1", &spoofed), "127.0.0.1");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &spoofed), "203.0.113.9");
        assert_eq!(client(&["127.0.0.1"], "::ffff:127.0.0.1", &spoofed), "203.0.113.9");
        assert_eq!(client(&["127.0.0.1", "10.0.0.0/8"], "127.0.0.1", &["203.0.113.9, 10.9.8.7"]), "203.0.113.9");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &["1.1.1.1", "[2001:db8::5]:443"]), "2001:db8::5");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &["unknown"]), "127.0.0.1");
        assert_eq!(client(&["fd00::/8"], "fd12::1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client(&["0.0.0.0/0"], "8.8.8.8", &["203.0.113.9"]), "203.0.113.9");
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for bad in ["10.0.0.0/33", "10.0.0.5/8", "localhost", "10.0.0/8", "", "::/129", "10.0.0.0/-1"] {
            let refused = TrustedProxies::parse(&["::1".to_owned(), bad.to_owned()]);
            assert_eq!(refused, Err((1, BadRange(bad.to_owned()))));
        }
    }

    #[test]
    fn tokens_stay_out_of_the_log() {
        assert_eq!(told("/unsubscribe/k1.abc.def"), "/unsubscribe/");
        assert_eq!(told("/posts/abc"), "/posts/abc");
    }
}

//! What may be asked.

use crate::domain::public_address::{self, Network};
use std::net::IpAddr;
use url::{Host, Url};

/// Octets of an address at most.
const URL_LEN_MAX: usize = 8_192;

/// What may be asked of what strangers name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether `http` may be asked too.
    pub allows_http: bool,
    /// The ports.
    pub ports: Vec<u16>,
    /// The operator's own networks: may be asked, at any port and without TLS.
    pub own: Vec<Network>,
    /// Networks that aren't to be asked, though they are the public's.
    pub denied: Vec<Network>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { allows_http: false, ports: vec![443], own: Vec::new(), denied: Vec::new() }
    }
}

/// Why an address isn't to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It can't be read.
    #[error("it is no absolute URL of at most 8192 octets")]
    NoUrl,
    /// Another scheme.
    #[error("it must begin with https://")]
    Scheme,
    /// It holds a name or a password.
    #[error("it must not hold a user name or a password")]
    Credentials,
    /// It holds a fragment.
    #[error("it must not hold a fragment")]
    Fragment,
    /// A port that isn't listed.
    #[error("its port isn't allowed here")]
    Port,
    /// It leads into a private network, or nowhere.
    #[error("it doesn't lead to a public address")]
    Private,
}

/// An address that may be asked.
#[derive(Debug)]
pub(super) struct Judged {
    pub url: Url,
    /// Only if it leads into one of the operator's own networks.
    pub is_own_only: bool,
}

impl Rules {
    /// Checks what can be told of an address without resolving its name.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn check(&self, text: &str) -> Result<(), Refused> {
        self.judge(text).map(drop)
    }

    pub(super) fn judge(&self, text: &str) -> Result<Judged, Refused> {
        if text.len() > URL_LEN_MAX {
            return Err(Refused::NoUrl);
        }
        let url = Url::parse(text).map_err(|_| Refused::NoUrl)?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(Refused::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refused::Credentials);
        }
        if url.fragment().is_some() {
            return Err(Refused::Fragment);
        }
        let is_plain = url.scheme() == "http" && !self.allows_http;
        let port = url.port_or_known_default().unwrap_or(0);
        let is_usual = self.ports.contains(&port) || (port == 80 && url.scheme() == "http" && self.allows_http);
        let against = if is_plain { Some(Refused::Scheme) } else { (!is_usual).then_some(Refused::Port) };
        // The library reads every spelling of an IPv4 address, the decimal and the octal ones too (URL standard, section 3.5).
        let literal = match url.host() {
            Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
            Some(Host::Domain(_)) => None,
            None => return Err(Refused::NoUrl),
        };
        match (literal, against) {
            (Some(address), _) if self.is_own(address) => {}
            (Some(_), Some(refused)) => return Err(refused),
            (Some(address), None) if !self.is_public(address) => return Err(Refused::Private),
            // A name of the operator's own networks, if anything: its addresses will tell.
            (None, Some(refused)) if self.own.is_empty() => return Err(refused),
            _ => {}
        }
        Ok(Judged { url, is_own_only: against.is_some() })
    }

    /// Whether an address lies in one of the operator's own networks.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.own.iter().any(|network| network.holds(address))
    }

    /// Whether an address is the public's, and not denied.
    #[must_use]
    pub fn is_public(&self, address: IpAddr) -> bool {
        public_address::is_public(address) && !self.denied.iter().any(|network| network.holds(address))
    }
}

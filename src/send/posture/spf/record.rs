//! An SPF record, read whole: what is wrong anywhere in it makes all of it unreadable (RFC 7208 section 4.6).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What a term that matches says (section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// What a term is about (section 5). Names may hold macros.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    All,
    Include(String),
    Address(Option<String>, Prefixes),
    Exchange(Option<String>, Prefixes),
    Pointer(Option<String>),
    Network(Network),
    Exists(String),
}

/// A record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    pub terms: Vec<(Qualifier, Mechanism)>,
    pub redirect: Option<String>,
}

/// Addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Whether an address lies in it.
    pub(super) fn holds(self, other: IpAddr) -> bool {
        match (self.address, other.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                (u32::from(net) ^ u32::from(one)) & mask == 0
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                (u128::from(net) ^ u128::from(one)) & mask == 0
            }
            _ => false,
        }
    }
}

/// How many bits of the addresses of a name count (section 5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefixes {
    v4: u32,
    v6: u32,
}

impl Prefixes {
    /// The network around an address.
    pub(super) fn network(self, address: IpAddr) -> Network {
        Network { address, bits: if address.is_ipv4() { self.v4 } else { self.v6 } }
    }
}

impl Record {
    /// Reads a record; the term that can't be read is the error.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut record, mut has_exp) = (Self::default(), false);
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            let wrong = || term.to_owned();
            let name_len = term.find(|c: char| !is_of_name(c)).unwrap_or(term.len());
            if term[name_len..].starts_with('=') {
                let (name, value) = (term[..name_len].to_ascii_lowercase(), &term[name_len + 1..]);
                match name.as_str() {
                    "redirect" if record.redirect.is_none() && is_domain(value) => {
                        record.redirect = Some(value.to_owned());
                    }
                    "exp" if !has_exp && is_domain(value) => has_exp = true,
                    "redirect" | "exp" | "" => return Err(wrong()),
                    // Modifiers that nobody knows are passed over (section 6).
                    _ => {}
                }
                continue;
            }
            record.terms.push(directive(term).ok_or_else(wrong)?);
        }
        Ok(record)
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

fn is_domain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()) && super::macros::is_well_formed(text)
}

fn directive(term: &str) -> Option<(Qualifier, Mechanism)> {
    let (qualifier, rest) = match term.chars().next()? {
        '+' => (Qualifier::Pass, &term[1..]),
        '-' => (Qualifier::Fail, &term[1..]),
        '~' => (Qualifier::SoftFail, &term[1..]),
        '?' => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    let name_len = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, rest) = (rest[..name_len].to_ascii_lowercase(), &rest[name_len..]);
    let value = rest.strip_prefix(':');
    let named = || value.filter(|value| is_domain(value)).map(str::to_owned);
    let mechanism = match name.as_str() {
        "all" if rest.is_empty() => Mechanism::All,
        "include" => Mechanism::Include(named()?),
        "exists" => Mechanism::Exists(named()?),
        "ptr" if rest.is_empty() => Mechanism::Pointer(None),
        "ptr" => Mechanism::Pointer(Some(named()?)),
        "ip4" => Mechanism::Network(network::<Ipv4Addr>(value?, 32)?),
        "ip6" => Mechanism::Network(network::<Ipv6Addr>(value?, 128)?),
        "a" | "mx" => {
            let (target, prefixes) = target(rest)?;
            if name == "a" { Mechanism::Address(target, prefixes) } else { Mechanism::Exchange(target, prefixes) }
        }
        _ => return None,
    };
    Some((qualifier, mechanism))
}

fn network<T: std::str::FromStr + Into<IpAddr>>(text: &str, whole: u32) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, number(bits, whole)?),
        None => (text, whole),
    };
    Some(Network { address: address.parse::<T>().ok()?.into(), bits })
}

/// `[:domain][/bits][//bits]`.
fn target(text: &str) -> Option<(Option<String>, Prefixes)> {
    let (head, v6) = match text.split_once("//") {
        Some((head, bits)) => (head, number(bits, 128)?),
        None => (text, 128),
    };
    // A macro may hold a slash, as one of the characters that it cuts at.
    let slash = head.rfind('/').filter(|at| !head[*at..].contains('}'));
    let (name, v4) = match slash {
        Some(at) => (&head[..at], number(&head[at + 1..], 32)?),
        None => (head, 32),
    };
    let name = match name.strip_prefix(':') {
        Some(name) => Some(name).filter(|name| is_domain(name)).map(str::to_owned).map(Some)?,
        None if name.is_empty() => None,
        None => return None,
    };
    Some((name, Prefixes { v4, v6 }))
}

fn number(text: &str, max: u32) -> Option<u32> {
    let is_plain = text.chars().all(|c| c.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| is_plain && *number <= max)
}

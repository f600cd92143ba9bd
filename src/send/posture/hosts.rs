//! The hosts around a sender: its relays with their names, and who takes what comes back.

use super::ask::{Known, Missing, Question};
use super::{Grade, Point, Subject, is_nowhere};
use std::net::IpAddr;

/// A relay's host with its public addresses.
pub(super) struct Host<'a> {
    pub relay: &'a str,
    pub host: &'a str,
    pub addresses: Vec<IpAddr>,
    /// Whether the DNS didn't say.
    pub is_silent: bool,
}

pub(super) fn hosts<'a>(subject: &'a Subject, known: &Known) -> Result<Vec<Host<'a>>, Missing> {
    let host = |(relay, host): &'a (String, String)| {
        let bare = host.trim_matches(['[', ']']);
        let addresses = match bare.parse() {
            Ok(address) => Some(vec![address]),
            Err(_) if is_nowhere(bare) => Some(Vec::new()),
            Err(_) => known.addresses(&bare.trim_end_matches('.').to_ascii_lowercase())?,
        };
        let is_silent = addresses.is_none();
        let addresses = addresses.into_iter().flatten().filter(|address| is_public(*address)).collect();
        Ok(Host { relay, host: bare, addresses, is_silent })
    };
    subject.relays.iter().map(host).collect()
}

/// Whether others can meet this address; one of this machine or its network says nothing about the address that mail
/// leaves from.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            let is_inner = address.is_loopback() || address.is_private() || address.is_link_local() || is_shared;
            !is_inner && !address.is_unspecified()
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            !(address.is_loopback() || address.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80)
        }
    }
}

/// Whether anything can come back.
pub(super) fn exchanges(subject: &Subject, known: &Known) -> Result<Point, Missing> {
    let domain = subject.envelope.as_str();
    let Some(hosts) = known.names(Question::Exchanges(domain.to_owned()))? else {
        return Ok(Point::unanswered("mx", &format!("who takes mail for {domain}")));
    };
    let (why, fix) = if subject.takes_bounces {
        ("what comes back never reaches allim", "point its MX to the mail server that hands it to allim")
    } else {
        ("many receivers refuse mail from a domain that takes none", "point its MX to your mail server")
    };
    let missing = |what: &str| {
        let found = format!("{domain} {what}: {why}");
        Point::new("mx", Grade::Wrong, found, fix).with_dns(format!("{domain}. IN MX 10 HOST."))
    };
    if hosts == ["."] {
        return Ok(missing("says that it takes no mail (RFC 7505)"));
    }
    if !hosts.is_empty() {
        return Ok(Point::well("mx", format!("{domain} takes mail at {}", hosts.join(", "))));
    }
    // Without an MX the name's own address takes mail (RFC 5321 section 5.1).
    Ok(match known.addresses(domain)? {
        None => Point::unanswered("mx", &format!("the addresses of {domain}")),
        Some(addresses) if addresses.is_empty() => missing("has no MX"),
        Some(_) => {
            let found = format!("{domain} has no MX; mail goes to its own address");
            Point::new("mx", Grade::Doubtful, found, fix)
        }
    })
}

/// Reverse DNS of a relay's addresses, confirmed forwards.
pub(super) fn pointers(host: &Host<'_>, known: &Known) -> Result<Vec<Point>, Missing> {
    let (mut points, relay) = (Vec::new(), host.relay);
    if host.is_silent {
        return Ok(vec![Point::unanswered("rdns", &format!("the addresses of {}", host.host))]);
    }
    if host.addresses.is_empty() {
        let found = format!("relay {relay}: from which address {} sends can't be told here", host.host);
        return Ok(vec![Point::well("rdns", found)]);
    }
    for address in &host.addresses {
        let Some(names) = known.names(Question::Pointers(*address))? else {
            points.push(Point::unanswered("rdns", &format!("the name of {address}")));
            continue;
        };
        let (mut confirmed, mut is_silent) = (None, false);
        for name in &names {
            match known.addresses(name)? {
                Some(addresses) if addresses.contains(address) => confirmed = confirmed.or(Some(*name)),
                Some(_) => {}
                None => is_silent = true,
            }
        }
        let fix =
            "if the relay sends from there, whoever gave you the address must set its PTR record to the relay's name";
        points.push(match (confirmed, names.is_empty()) {
            (Some(name), _) => Point::well("rdns", format!("relay {relay}: {address} is {name} and back")),
            (None, _) if is_silent => Point::unanswered("rdns", &format!("the address of the name of {address}")),
            (None, true) => {
                let found =
                    format!("relay {relay}: {address} has no name (PTR). Gmail and Naver refuse mail from such");
                Point::new("rdns", Grade::Doubtful, found, fix)
            }
            (None, false) => {
                let found =
                    format!("relay {relay}: {address} is called {}, which is another address", names.join(", "));
                Point::new("rdns", Grade::Doubtful, found, fix)
            }
        });
    }
    Ok(points)
}

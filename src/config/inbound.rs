//! Checks what is said of mail that comes back.

use super::{File, Mistake};
use crate::domain::audience::Address;
use crate::render::letter::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A domain as addresses hold it: in lower case, in ASCII.
pub(super) fn mail_domain(domain: &str, key: String) -> Result<String, Mistake> {
    let address = Address::parse(&format!("a@{domain}"));
    let address = address.map_err(|_| Mistake::new(key, "write a domain of yours, such as `bounce.example.org`"))?;
    Ok(address.domain().to_owned())
}

/// The domains whose mail the listener takes.
pub(super) fn domains(file: &File, senders: &BTreeMap<String, Arc<Sender>>) -> Result<Vec<String>, Mistake> {
    let table = &file.inbound;
    let of = |(index, domain): (usize, &String)| mail_domain(domain, format!("inbound.domains[{index}]"));
    let mut domains: BTreeSet<String> = table.domains.iter().enumerate().map(of).collect::<Result<_, _>>()?;
    if domains.is_empty() {
        domains = senders.values().filter_map(|sender| sender.bounce_domain.clone()).collect();
    }
    if let Some(listen) = &table.listen {
        let address: Result<std::net::SocketAddr, _> = listen.parse();
        let hint = "write an address and a port, such as `127.0.0.1:8024`";
        address.map_err(|_| Mistake::new("inbound.listen", hint))?;
        if domains.is_empty() {
            let hint = "name the domains whose mail comes here, or give a sender a `bounce_domain`";
            return Err(Mistake::new("inbound.domains", hint));
        }
    }
    Ok(domains.into_iter().collect())
}

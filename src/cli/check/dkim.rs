//! The points of `allim check` about signatures: keys, who may read them, and what the DNS must say.

use super::{Finding, Verdict};
use crate::app::signing;
use crate::config::{Config, Dkim};
use std::fmt::Write as _;

/// A finding for each signature, and one for a sender whose signatures DMARC wouldn't count.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, list) in &config.dkim {
        let point = format!("dkim {name}");
        if list.is_empty() {
            if !config.file.relay.is_empty() {
                findings.push(Finding::ok(&point, "mail isn't signed here, so the relay must sign it"));
            }
            continue;
        }
        findings.extend(list.iter().map(|dkim| signature(&point, dkim)));
        let from = config.senders.get(name).map_or("", |sender| sender.address.domain());
        if !list.iter().any(|dkim| is_aligned(&dkim.domain, from)) {
            let found = format!("no signature is by {from}, the domain of its address");
            let fix = "add a [[sender.dkim]] with that domain: else DMARC takes the mail for unsigned";
            findings.push(Finding::new(&point, Verdict::Warn, found, fix));
        }
    }
    findings
}

fn signature(point: &str, dkim: &Dkim) -> Finding {
    let name = format!("{}._domainkey.{}", dkim.selector, dkim.domain);
    let signer = match signing::signer(dkim) {
        Ok(signer) => signer,
        Err(error) => {
            let fix = "make the key, or let the user that allim runs as read it";
            return Finding::new(point, Verdict::Fail, format!("{error:#}"), fix);
        }
    };
    let mut found = name;
    // Writing into a string doesn't fail.
    let _ = write!(found, ": {}", signer.key());
    let finding = match signing::exposure(&dkim.key_file) {
        None => Finding::ok(point, found),
        Some(fix) => Finding::new(point, Verdict::Warn, format!("{found}, {}", dkim.key_file.display()), fix),
    };
    Finding { dns: Some(signer.dns_record()), ..finding }
}

/// Whether a signature counts for DMARC (RFC 7489 section 3.1.1), as far as it can be told without a list of public
/// suffixes: one domain is the other or lies below it.
fn is_aligned(signing: &str, from: &str) -> bool {
    let from = from.to_ascii_lowercase();
    let below = |inner: &str, outer: &str| inner.strip_suffix(outer).is_some_and(|rest| rest.ends_with('.'));
    signing == from || below(signing, &from) || below(&from, signing)
}

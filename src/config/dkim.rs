//! Checks `[[sender.dkim]]`: names that can stand in the DNS, each once. Keys are read when they are needed, by `app`.

use super::Mistake;
use super::file::File;
use crate::render::letter::Sender;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Signatures on one letter: two algorithms for a few domains. Each costs time, and a kilobyte of the header.
const SIGNATURES_MAX: usize = 8;
/// Longest name and longest label in the DNS (RFC 1035 section 2.3.4).
const NAME_LEN_MAX: usize = 253;
const LABEL_LEN_MAX: usize = 63;

/// A signature that a sender's mail bears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dkim {
    /// Where it stands in the file, such as `sender[0].dkim[1]`.
    pub key: String,
    /// The domain that signs.
    pub domain: String,
    /// Under which it publishes the key.
    pub selector: String,
    /// The private key.
    pub key_file: PathBuf,
}

/// The signatures of each sender.
pub(super) fn check(
    file: &File,
    senders: &BTreeMap<String, Arc<Sender>>,
) -> Result<BTreeMap<String, Vec<Dkim>>, Mistake> {
    let mut all = BTreeMap::new();
    for (number, table) in file.sender.iter().enumerate() {
        if table.dkim.len() > SIGNATURES_MAX {
            let reason = format!("a letter bears at most {SIGNATURES_MAX} signatures");
            return Err(Mistake::new(format!("sender[{number}].dkim"), reason));
        }
        let own = senders.get(&table.name).map_or("", |sender| sender.address.domain());
        let (mut list, mut seen) = (Vec::new(), BTreeSet::new());
        for (index, table) in table.dkim.iter().enumerate() {
            let key = format!("sender[{number}].dkim[{index}]");
            let domain = table.domain.as_deref().unwrap_or(own).to_ascii_lowercase();
            if !domain.contains('.') || !is_name(&domain) {
                let fix = "write a domain of yours in ASCII, such as `example.org`; one in another script as `xn--…`";
                return Err(Mistake::new(format!("{key}.domain"), fix));
            }
            let selector = table.selector.to_ascii_lowercase();
            if !is_name(&selector) {
                let fix = "write a name of letters, digits and hyphens, such as `2026a`";
                return Err(Mistake::new(format!("{key}.selector"), fix));
            }
            if !seen.insert((domain.clone(), selector.clone())) {
                let reason = format!("`{selector}` of {domain} stands here twice; each key has a selector of its own");
                return Err(Mistake::new(format!("{key}.selector"), reason));
            }
            list.push(Dkim { domain, selector, key_file: file.instance.state_dir.join(&table.key_file), key });
        }
        all.insert(table.name.clone(), list);
    }
    Ok(all)
}

/// Labels of letters, digits, hyphens and underscores between dots.
fn is_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        !label.is_empty() && label.len() <= LABEL_LEN_MAX && label.bytes().all(fits)
    };
    name.len() <= NAME_LEN_MAX && name.split('.').all(is_label)
}

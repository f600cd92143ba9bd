//! Who may send for a domain (SPF, RFC 7208). Own code, because it must say what is wrong in words and what no address could
//! mend; the libraries there are tell the result for one address.

mod macros;
mod record;

use super::ask::{Answer, Known, Missing, Question};
use macros::Scene;
use record::{Mechanism, Qualifier, Record};
use std::net::IpAddr;

/// How the sentence ends that tells of too many look-ups.
pub const TOO_MANY: &str = "takes more than 10 look-ups";

/// Whether a text is a record: its version is followed by a space or the end (section 4.5).
fn is_record(text: &str) -> bool {
    let (version, rest) = text.split_at(text.floor_char_boundary(6));
    version.eq_ignore_ascii_case("v=spf1") && (rest.is_empty() || rest.starts_with(' '))
}

/// Terms that cost look-ups, over all records of one evaluation (section 4.6.4).
const LOOK_UPS_MAX: u32 = 10;
/// Look-ups that find nothing (same section).
const VOID_MAX: u32 = 2;
/// Hosts of one `mx` or `ptr` (same section).
const HOSTS_MAX: usize = 10;

/// What a domain's policy says (section 2.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// There is no record.
    None,
    /// It may.
    Pass,
    /// Nothing is said.
    Neutral,
    /// It probably may not.
    SoftFail,
    /// It may not.
    Fail,
    /// The record can't be read by anybody, with the reason.
    Permanent(String),
    /// The DNS was silent.
    Temporary,
}

/// What the policy of `domain` says of an address that sends for `sender` at that domain. Without an address: of any address,
/// so that `Pass` means everybody, and an error one that strikes every address that no term before it names.
///
/// # Errors
/// [`Missing`] when the DNS must be asked first.
pub fn verdict(known: &Known, domain: &str, sender: &str, from: Option<IpAddr>) -> Result<Verdict, Missing> {
    let mut walk = Walk { known, sender, sender_domain: domain, from, look_ups: 0, voids: 0 };
    walk.check_host(domain).map_or_else(|stop| stop.verdict(), Ok)
}

/// One evaluation.
struct Walk<'a> {
    known: &'a Known,
    sender: &'a str,
    sender_domain: &'a str,
    from: Option<IpAddr>,
    look_ups: u32,
    voids: u32,
}

/// Why an evaluation goes no further.
enum Stop {
    Missing(Missing),
    Permanent(String),
    Temporary,
}

impl Stop {
    fn verdict(self) -> Result<Verdict, Missing> {
        match self {
            Self::Missing(missing) => Err(missing),
            Self::Permanent(why) => Ok(Verdict::Permanent(why)),
            Self::Temporary => Ok(Verdict::Temporary),
        }
    }
}

impl From<Missing> for Stop {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl Walk<'_> {
    /// The function `check_host` (section 4).
    fn check_host(&mut self, domain: &str) -> Result<Verdict, Stop> {
        let texts = self.known.texts(domain, is_record)?.ok_or(Stop::Temporary)?;
        let text = match texts[..] {
            [] => return Ok(Verdict::None),
            [text] => text,
            _ => return Err(Stop::Permanent(format!("{domain} has {} SPF records where one is allowed", texts.len()))),
        };
        let record = Record::parse(text).map_err(|term| {
            Stop::Permanent(format!("the SPF record of {domain} has `{term}`, which nobody can read"))
        })?;
        for (qualifier, mechanism) in &record.terms {
            if self.matches(mechanism, domain)? {
                return Ok(match qualifier {
                    Qualifier::Pass => Verdict::Pass,
                    Qualifier::Fail => Verdict::Fail,
                    Qualifier::SoftFail => Verdict::SoftFail,
                    Qualifier::Neutral => Verdict::Neutral,
                });
            }
        }
        let has_all = record.terms.iter().any(|(_, mechanism)| *mechanism == Mechanism::All);
        let Some(target) = record.redirect.filter(|_| !has_all) else { return Ok(Verdict::Neutral) };
        self.count_look_up()?;
        let Some(target) = self.expanded(&target, domain) else { return Ok(Verdict::Neutral) };
        match self.check_host(&target)? {
            Verdict::None => Err(Stop::Permanent(format!("{domain} hands over to {target}, which has no SPF record"))),
            verdict => Ok(verdict),
        }
    }

    fn matches(&mut self, mechanism: &Mechanism, domain: &str) -> Result<bool, Stop> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Network(network) => Ok(self.from.is_some_and(|from| network.holds(from))),
            Mechanism::Include(target) => {
                self.count_look_up()?;
                let Some(target) = self.expanded(target, domain) else { return Ok(false) };
                match self.check_host(&target)? {
                    Verdict::None => {
                        Err(Stop::Permanent(format!("{domain} includes {target}, which has no SPF record")))
                    }
                    verdict => Ok(verdict == Verdict::Pass),
                }
            }
            Mechanism::Address(target, prefixes) => {
                self.count_look_up()?;
                let Some((target, from)) = self.target(target.as_deref(), domain) else { return Ok(false) };
                let found = self.addresses(&target, true)?;
                Ok(found.into_iter().any(|address| prefixes.network(address).holds(from)))
            }
            Mechanism::Exchange(target, prefixes) => {
                self.count_look_up()?;
                let Some((target, from)) = self.target(target.as_deref(), domain) else { return Ok(false) };
                let hosts = self.names(Question::Exchanges(target.clone()))?;
                if hosts.len() > HOSTS_MAX {
                    return Err(Stop::Permanent(format!("{target} has more than {HOSTS_MAX} MX hosts")));
                }
                for host in hosts.iter().filter(|host| *host != ".") {
                    if self.addresses(host, false)?.into_iter().any(|one| prefixes.network(one).holds(from)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Pointer(target) => {
                self.count_look_up()?;
                let Some((target, from)) = self.target(target.as_deref(), domain) else { return Ok(false) };
                let below = |name: &str| name.strip_suffix(&target).is_some_and(|r| r.is_empty() || r.ends_with('.'));
                for name in self.names(Question::Pointers(from))?.iter().take(HOSTS_MAX).filter(|name| below(name)) {
                    if self.addresses(name, false)?.contains(&from) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Mechanism::Exists(target) => {
                self.count_look_up()?;
                let Some((target, _)) = self.target(Some(target), domain) else { return Ok(false) };
                Ok(self.addresses(&target, true)?.iter().any(IpAddr::is_ipv4))
            }
        }
    }

    /// The name that a term is about, and the address that is judged; nothing while none is.
    fn target(&self, target: Option<&str>, domain: &str) -> Option<(String, IpAddr)> {
        let from = self.from?;
        Some((target.map_or_else(|| Some(domain.to_owned()), |target| self.expanded(target, domain))?, from))
    }

    /// A name with its macros put in; nothing where they are about an address and there is none.
    fn expanded(&self, target: &str, domain: &str) -> Option<String> {
        let (sender, sender_domain, from) = (self.sender, self.sender_domain, self.from);
        macros::expand(target, &Scene { sender, sender_domain, domain, from })
    }

    fn count_look_up(&mut self) -> Result<(), Stop> {
        self.look_ups += 1;
        if self.look_ups > LOOK_UPS_MAX {
            let why = format!("the SPF record of {} {TOO_MANY}", self.sender_domain);
            return Err(Stop::Permanent(why));
        }
        Ok(())
    }

    fn addresses(&mut self, name: &str, counts: bool) -> Result<Vec<IpAddr>, Stop> {
        let found = self.known.addresses(name)?.ok_or(Stop::Temporary)?;
        if found.is_empty() && counts {
            self.count_void()?;
        }
        Ok(found)
    }

    fn names(&mut self, question: Question) -> Result<Vec<String>, Stop> {
        match self.known.ask(question)? {
            Answer::Silence => Err(Stop::Temporary),
            Answer::Records(names) => Ok(names.clone()),
            Answer::Nothing => {
                self.count_void()?;
                Ok(Vec::new())
            }
        }
    }

    fn count_void(&mut self) -> Result<(), Stop> {
        self.voids += 1;
        if self.voids > VOID_MAX {
            let why =
                format!("the SPF record of {} names more than {VOID_MAX} hosts that aren't there", self.sender_domain);
            return Err(Stop::Permanent(why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

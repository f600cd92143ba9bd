//! What a domain asks of receivers (DMARC, RFC 7489), and which domains belong together. Without a list of public suffixes:
//! the labels are walked up, as the revision of DMARC does (DMARCbis, "DNS Tree Walk").

use super::ask::{Known, Missing};

/// Labels of a name that the walk begins with, after the name itself (DMARCbis: eight queries at most).
const LABELS_MAX: usize = 7;

/// A published policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `p=`.
    pub wish: Wish,
    /// `aspf=s`: SPF counts for the very domain only.
    pub strict_spf: bool,
    /// `adkim=s`: likewise DKIM.
    pub strict_dkim: bool,
}

/// What receivers are to do with mail that nobody answers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing.
    None,
    /// Treat it with suspicion.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Wish {
    /// As the record spells it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A policy.
    Policy(Policy),
    /// No record.
    Nothing,
    /// Records that count as none (RFC 7489 section 6.6.3), with the reason.
    Unreadable(String),
    /// The DNS was silent.
    Silence,
}

/// The policy for mail from a domain, and the organization's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walked {
    /// The policy of the domain itself, or else of its organization.
    pub found: Found,
    /// The domain that the organization holds; the domain itself where nothing is published.
    pub organization: String,
    /// Whether the DNS was silent on the way up, so that another domain may be the organization's.
    pub is_unsure: bool,
}

/// Walks up from a domain.
///
/// # Errors
/// [`Missing`] when the DNS must be asked first.
pub fn walk(known: &Known, domain: &str) -> Result<Walked, Missing> {
    let (mut organization, mut of_domain, mut of_organization) = (domain.to_owned(), None, None);
    let mut below = domain;
    for name in names(domain) {
        match record(known, name)? {
            Read::Nothing => {}
            Read::Silence => {
                // What the domain itself says holds, whatever is above it.
                let found = of_domain.unwrap_or(Found::Silence);
                return Ok(Walked { found, organization, is_unsure: true });
            }
            Read::Unreadable(why) if name == domain => of_domain = Some(Found::Unreadable(why)),
            Read::Unreadable(_) => {}
            Read::Record(policy, psd) => {
                // A registry's record: the organization is what lies right below it.
                if psd == Some(true) && name != domain {
                    organization = below.to_owned();
                    of_organization = of_organization.or(Some(Found::Policy(policy)));
                    break;
                }
                organization = name.to_owned();
                of_organization = Some(Found::Policy(policy));
                if name == domain {
                    of_domain.clone_from(&of_organization);
                }
                if psd == Some(false) {
                    break;
                }
            }
        }
        below = name;
    }
    let found = of_domain.or(of_organization).unwrap_or(Found::Nothing);
    Ok(Walked { found, organization, is_unsure: false })
}

/// The domain and those above it.
fn names(domain: &str) -> impl Iterator<Item = &str> {
    let labels = domain.split('.').count();
    let above = std::iter::successors(domain.split_once('.').map(|(_, rest)| rest), |name| {
        name.split_once('.').map(|(_, rest)| rest)
    });
    std::iter::once(domain)
        .chain(above.filter(move |name| labels <= LABELS_MAX || name.split('.').count() <= LABELS_MAX))
}

enum Read {
    Nothing,
    Silence,
    Unreadable(String),
    /// The policy, and what `psd=` says.
    Record(Policy, Option<bool>),
}

fn record(known: &Known, domain: &str) -> Result<Read, Missing> {
    let Some(texts) = known.texts(&format!("_dmarc.{domain}"), is_record)? else { return Ok(Read::Silence) };
    Ok(match texts[..] {
        [] => Read::Nothing,
        [text] => parse(text).map_or_else(
            || Read::Unreadable(format!("the record at _dmarc.{domain} has no `p=` that anybody can read")),
            |(policy, psd)| Read::Record(policy, psd),
        ),
        _ => Read::Unreadable(format!("_dmarc.{domain} has {} records where one is allowed", texts.len())),
    })
}

/// Whether a text is a record: its first tag is the version, with space around its parts as may be (RFC 7489 section 6.4).
fn is_record(text: &str) -> bool {
    let first = text.split(';').next().and_then(|tag| tag.split_once('='));
    first.is_some_and(|(key, value)| key.trim() == "v" && value.trim() == "DMARC1")
}

fn parse(text: &str) -> Option<(Policy, Option<bool>)> {
    let tag = |name: &str| {
        let tags = text.split(';').filter_map(|tag| tag.split_once('='));
        tags.map(|(key, value)| (key.trim(), value.trim())).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let value = |name: &str| tag(name).map(|(_, value)| value.to_ascii_lowercase());
    let wish = match value("p").as_deref() {
        Some("none") => Wish::None,
        Some("quarantine") => Wish::Quarantine,
        Some("reject") => Wish::Reject,
        // With somebody to tell it counts as a wish for reports alone (RFC 7489 section 6.6.3).
        _ if value("rua").is_some_and(|rua| rua.starts_with("mailto:")) => Wish::None,
        _ => return None,
    };
    let is_strict = |name| value(name).as_deref() == Some("s");
    let psd = match value("psd").as_deref() {
        Some("y") => Some(true),
        Some("n") => Some(false),
        _ => None,
    };
    Some((Policy { wish, strict_spf: is_strict("aspf"), strict_dkim: is_strict("adkim") }, psd))
}

/// Whether an identity of `domain` counts for mail from `from` (RFC 7489 section 3.1); nothing when the DNS was silent.
///
/// # Errors
/// [`Missing`] when the DNS must be asked first.
pub fn is_aligned(known: &Known, from: &str, domain: &str, is_strict: bool) -> Result<Option<bool>, Missing> {
    if from == domain || is_strict {
        return Ok(Some(from == domain));
    }
    let (one, other) = (walk(known, from)?, walk(known, domain)?);
    if one.is_unsure || other.is_unsure {
        return Ok(None);
    }
    Ok(Some(one.organization == other.organization))
}

#[cfg(test)]
mod tests {
    use super::super::ask::{Answer, Question};
    use super::*;

    fn known(records: &[(&str, &str)], names: &[&str]) -> Known {
        let mut known = Known::default();
        for name in names {
            let question = Question::Texts(format!("_dmarc.{name}"));
            let texts: Vec<String> =
                records.iter().filter(|(of, _)| of == name).map(|(_, text)| (*text).to_owned()).collect();
            known.insert(question, if texts.is_empty() { Answer::Nothing } else { Answer::Records(texts) });
        }
        known
    }

    const NAMES: [&str; 5] = ["news.gaon.re.zz", "bounce.gaon.re.zz", "gaon.re.zz", "re.zz", "zz"];

    #[test]
    fn the_organization_is_found_by_walking_up() {
        let known = known(&[("gaon.re.zz", "v=DMARC1; p=quarantine; adkim=s")], &NAMES);
        let walked = walk(&known, "news.gaon.re.zz").expect("all is known");
        assert_eq!(walked.organization, "gaon.re.zz");
        let Found::Policy(policy) = walked.found else { panic!("{walked:?}") };
        assert!(policy.wish == Wish::Quarantine && policy.strict_dkim && !policy.strict_spf);
        assert_eq!(is_aligned(&known, "news.gaon.re.zz", "bounce.gaon.re.zz", false), Ok(Some(true)));
        assert_eq!(is_aligned(&known, "news.gaon.re.zz", "bounce.gaon.re.zz", true), Ok(Some(false)));
    }

    #[test]
    fn a_registry_is_no_organization() {
        let records = [("re.zz", "v=DMARC1; p=reject; psd=y"), ("gaon.re.zz", "v=DMARC1;p=none")];
        let both = known(&records, &NAMES);
        assert_eq!(walk(&both, "bounce.gaon.re.zz").expect("known").organization, "gaon.re.zz");
        let registry = known(&records[..1], &[&NAMES[..], &["other.re.zz"]].concat());
        assert_eq!(walk(&registry, "bounce.gaon.re.zz").expect("known").organization, "gaon.re.zz");
        assert_eq!(is_aligned(&registry, "gaon.re.zz", "other.re.zz", false), Ok(Some(false)));
    }

    #[test]
    fn what_counts_as_none() {
        let none = known(&[], &NAMES);
        let walked = walk(&none, "gaon.re.zz").expect("known");
        assert_eq!((walked.found, walked.organization.as_str()), (Found::Nothing, "gaon.re.zz"));
        let twice = known(&[("gaon.re.zz", "v=DMARC1; p=none"), ("gaon.re.zz", "v=DMARC1; p=reject")], &NAMES);
        assert!(matches!(walk(&twice, "gaon.re.zz").expect("known").found, Found::Unreadable(_)));
        let wrong = known(&[("gaon.re.zz", "v=DMARC1; p=maybe")], &NAMES);
        assert!(matches!(walk(&wrong, "gaon.re.zz").expect("known").found, Found::Unreadable(_)));
        let reports = known(&[("gaon.re.zz", "v=DMARC1; rua=mailto:d@gaon.re.zz")], &NAMES);
        assert!(matches!(walk(&reports, "gaon.re.zz").expect("known").found, Found::Policy(_)));
        let other = known(&[("gaon.re.zz", "v=DMARC10; p=none")], &NAMES);
        assert_eq!(walk(&other, "gaon.re.zz").expect("known").found, Found::Nothing);
        let mut silent = Known::default();
        silent.insert(Question::Texts("_dmarc.gaon.re.zz".to_owned()), Answer::Silence);
        assert_eq!(walk(&silent, "gaon.re.zz").expect("known").found, Found::Silence);
    }
}

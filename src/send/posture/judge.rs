//! The judgement: pure. One function for each thing that receivers look at.

use super::ask::{Known, Missing};
use super::dkim::Shown;
use super::dmarc::{self, Found};
use super::hosts::{Host, exchanges, hosts, pointers};
use super::spf::{self, Verdict};
use super::{Grade, Point, Subject, is_nowhere};

/// Mailbox hosts whose domains may stand in nobody else's From: their own rules say so, and their DMARC policies.
const MAILBOX_HOSTS: [&str; 12] = [
    "gmail.com",
    "googlemail.com",
    "naver.com",
    "daum.net",
    "hanmail.net",
    "kakao.com",
    "outlook.com",
    "hotmail.com",
    "live.com",
    "yahoo.com",
    "aol.com",
    "icloud.com",
];

/// What is to be said of a sender.
///
/// # Errors
/// [`Missing`] when the DNS must be asked first.
pub fn judge(subject: &Subject, known: &Known) -> Result<Vec<Point>, Missing> {
    if is_nowhere(&subject.from) {
        let found = format!("{} is a name for examples and private networks: nothing is looked up", subject.from);
        return Ok(vec![Point::new("from", Grade::Well, found, "")]);
    }
    let hosts = hosts(subject, known)?;
    let mut points: Vec<Point> = from(subject).into_iter().collect();
    let spf = spf_point(subject, known, &hosts)?;
    // A record that lets everybody send passes; a DNS that is silent says neither.
    let spf_is_there = match spf.grade {
        Grade::Well | Grade::Doubtful | Grade::Wrong => Some(true),
        Grade::Unanswered => None,
        Grade::Refused => Some(false),
    };
    points.push(spf);
    let (of_signatures, signed_by) = signatures(subject, known)?;
    points.extend(of_signatures);
    points.extend(dmarc_points(subject, known, spf_is_there, &signed_by)?);
    points.push(exchanges(subject, known)?);
    for host in &hosts {
        points.extend(pointers(host, known)?);
    }
    Ok(points)
}

/// Whose domain stands in From.
fn from(subject: &Subject) -> Option<Point> {
    let from = subject.from.as_str();
    let is_theirs = MAILBOX_HOSTS.contains(&from);
    let found = || format!("{from} belongs to a mailbox host: nobody else's mail may say that it comes from there");
    is_theirs.then(|| Point::new("from", Grade::Refused, found(), "write from an address at a domain of your own"))
}

fn spf_point(subject: &Subject, known: &Known, hosts: &[Host<'_>]) -> Result<Point, Missing> {
    const WHO: &str = "Gmail, Yahoo, Microsoft and Naver refuse mail to many without SPF";
    let domain = subject.envelope.as_str();
    let say = |from| spf::verdict(known, domain, &subject.envelope_sender, from);
    let anybody = say(None)?;
    let terms: String = match hosts.iter().flat_map(|host| &host.addresses).collect::<Vec<_>>()[..] {
        [] => " ip4:ADDRESS".to_owned(),
        ref all => {
            all.iter().map(|address| format!(" {}:{address}", if address.is_ipv4() { "ip4" } else { "ip6" })).collect()
        }
    };
    let line = format!("{domain}. IN TXT \"v=spf1{terms} ~all\"");
    match &anybody {
        Verdict::Temporary => return Ok(Point::unanswered("spf", &format!("the SPF record of {domain}"))),
        Verdict::None => {
            let fix = "publish one that names the addresses that your relays send from";
            return Ok(
                Point::new("spf", Grade::Refused, format!("{domain} has no SPF record. {WHO}"), fix).with_dns(line)
            );
        }
        Verdict::Pass => {
            let found = format!("the SPF record of {domain} lets everybody send (`+all`), so it proves nothing");
            let fix = "name the addresses that your relays send from, and end it with `~all` or `-all`";
            return Ok(Point::new("spf", Grade::Wrong, found, fix).with_dns(line));
        }
        _ => {}
    }
    let (mut allowed, mut others) = (Vec::new(), Vec::new());
    for host in hosts {
        for address in &host.addresses {
            let is_allowed = say(Some(*address))? == Verdict::Pass;
            if is_allowed { &mut allowed } else { &mut others }.push(format!("{address} (relay {})", host.relay));
        }
    }
    Ok(match anybody {
        Verdict::Permanent(why) if others.is_empty() && allowed.is_empty() && why.ends_with(spf::TOO_MANY) => {
            let found =
                format!("{why}; whether the address that the relay sends from is named before that can't be told here");
            Point::new("spf", Grade::Doubtful, found, "mend the record, so that it takes at most 10 look-ups")
        }
        Verdict::Permanent(why) if allowed.is_empty() => {
            let found = format!("{why}: receivers take that for no SPF at all. {WHO}");
            Point::new(
                "spf",
                Grade::Refused,
                found,
                "mend the record, so that one text with at most 10 look-ups is left",
            )
        }
        Verdict::Permanent(why) => {
            let found = format!("{why}; {} is named before that", allowed.join(", "));
            Point::new("spf", Grade::Doubtful, found, "mend the record: other addresses that you send from fail")
        }
        _ if others.is_empty() && allowed.is_empty() => {
            let found = format!("{domain} has a record; from which address the relay sends can't be told here");
            Point::well("spf", found)
        }
        _ if others.is_empty() => Point::well("spf", format!("{domain} lets {} send", allowed.join(", "))),
        _ => {
            let found = format!("the SPF record of {domain} doesn't name {}", others.join(", "));
            let fix = "right if the relay sends from another address that it names; else add this one";
            Point::new("spf", Grade::Doubtful, found, fix)
        }
    })
}

/// A point for each signature, and the domains whose signatures hold; `None` where the DNS was silent.
type Signatures<'a> = (Vec<Point>, Option<Vec<&'a str>>);

fn signatures<'a>(subject: &'a Subject, known: &Known) -> Result<Signatures<'a>, Missing> {
    let (mut points, mut good, mut is_silent, mut has_rsa) = (Vec::new(), Vec::new(), false, false);
    for published in &subject.signatures {
        let (name, publish) = (&published.name, "publish the record below");
        let bad = |why: &str| {
            let found = format!("{name}: {why}, so no receiver can verify what is signed here");
            Point::new("dkim", Grade::Wrong, found, publish).with_dns(published.line.as_str())
        };
        let point = match published.shown(known)? {
            Shown::Ours => {
                good.push(published.domain.as_str());
                has_rsa |= published.is_rsa();
                Point::well("dkim", format!("{name} shows our key"))
            }
            Shown::Testing => {
                good.push(published.domain.as_str());
                has_rsa |= published.is_rsa();
                let found = format!("{name} shows our key with `t=y`: receivers may take the mail for unsigned");
                Point::new("dkim", Grade::Doubtful, found, "take `t=y` out of the record")
            }
            Shown::Nothing => bad("no key is published"),
            Shown::Other(why) => bad(why),
            Shown::Silence => {
                is_silent = true;
                Point::unanswered("dkim", name)
            }
        };
        points.push(point);
    }
    if !points.is_empty() && good.is_empty() && !is_silent {
        // None of ours holds: that is what they refuse. With one that does, the others only cost.
        for point in &mut points {
            point.grade = Grade::Refused;
            point.found.push_str(". Gmail, Yahoo, Microsoft and Naver refuse mail to many without DKIM");
        }
    } else if !good.is_empty() && !has_rsa && !is_silent {
        let found = "only Ed25519 signatures hold, which Gmail and Microsoft don't verify";
        points.push(Point::new("dkim", Grade::Doubtful, found, "add a [[sender.dkim]] with an RSA key"));
    }
    Ok((points, (!is_silent).then_some(good)))
}

/// The policy, and whether SPF or DKIM speaks for the domain in From.
fn dmarc_points(
    subject: &Subject,
    known: &Known,
    spf_is_there: Option<bool>,
    signed_by: &Option<Vec<&str>>,
) -> Result<Vec<Point>, Missing> {
    let from = subject.from.as_str();
    let walked = dmarc::walk(known, from)?;
    let line = format!("_dmarc.{}. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{from}\"", walked.organization);
    const WHO: &str = "Gmail, Yahoo, Microsoft and Naver refuse mail to many from a domain without DMARC";
    let policy = match walked.found {
        Found::Policy(policy) => policy,
        Found::Silence => return Ok(vec![Point::unanswered("dmarc", &format!("_dmarc.{from}"))]),
        Found::Nothing => {
            let found = format!("{from} has no DMARC record. {WHO}");
            return Ok(vec![Point::new("dmarc", Grade::Refused, found, "publish the record below").with_dns(line)]);
        }
        Found::Unreadable(why) => {
            let found = format!("{why}, which counts as none. {WHO}");
            return Ok(vec![
                Point::new("dmarc", Grade::Refused, found, "leave one, such as the one below").with_dns(line),
            ]);
        }
    };
    let mut points = vec![Point::well("dmarc", format!("{from} asks for `p={}`", policy.wish.word()))];
    let by_spf = match spf_is_there {
        Some(true) => dmarc::is_aligned(known, from, &subject.envelope, policy.strict_spf)?,
        other => other,
    };
    let mut by_dkim = signed_by.is_some().then_some(false);
    for domain in signed_by.iter().flatten() {
        by_dkim = match (by_dkim, dmarc::is_aligned(known, from, domain, policy.strict_dkim)?) {
            (Some(true), _) | (_, Some(true)) => Some(true),
            (None, _) | (_, None) => None,
            _ => Some(false),
        };
    }
    let envelope = &subject.envelope;
    points.extend(match (by_spf, by_dkim) {
        (Some(true), Some(true)) => None,
        (_, Some(true)) => {
            let found = format!("DKIM alone speaks for {from}; the envelope sender is at {envelope}");
            Some(Point::well("dmarc", found))
        }
        (Some(true), _) => None,
        (None, _) | (_, None) => Some(Point::unanswered("dmarc", "whose domains belong together")),
        (Some(false), Some(false)) if subject.signatures.is_empty() => {
            let found = format!("nothing from here speaks for {from}: the envelope sender is at {envelope}, and the relay must sign");
            Some(Point::new("dmarc", Grade::Doubtful, found, "add a [[sender.dkim]], or see that the relay signs as that domain"))
        }
        (Some(false), Some(false)) => {
            let found = format!(
                "neither SPF ({envelope}) nor a DKIM signature speaks for {from}, so every mail fails DMARC. Gmail, Yahoo, \
                 Microsoft and Naver refuse such mail to many"
            );
            let fix = format!("sign as {from} with a [[sender.dkim]], or set a `bounce_domain` below it");
            Some(Point::new("dmarc", Grade::Refused, found, fix))
        }
    });
    Ok(points)
}

//! The points of `allim check` about what the DNS says of senders, and what the rules for mail to many make of it.

use super::{Finding, Verdict};
use crate::app::posture;
use crate::config::Config;
use crate::send::posture::resolver::Resolver;
use crate::send::posture::{Grade, Point, Rule, look};

/// What is to be said of each sender that has a relay.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let subjects = posture::subjects(config);
    if subjects.is_empty() {
        return Vec::new();
    }
    let resolver = match Resolver::new(config.resolver) {
        Ok(resolver) => resolver,
        Err(error) => return vec![Finding::new("dns", Verdict::Warn, error.to_string(), "see /etc/resolv.conf")],
    };
    let mut findings = Vec::new();
    for subject in &subjects {
        let points = look(subject, &resolver).await;
        let is_refused = points.iter().any(|point| point.grade == Grade::Refused);
        findings.extend(points.into_iter().map(|point| finding(&subject.sender, point)));
        if is_refused {
            findings.push(consequence(config, &subject.sender));
        }
    }
    findings
}

fn finding(sender: &str, point: Point) -> Finding {
    let verdict = match point.grade {
        Grade::Well => Verdict::Ok,
        Grade::Unanswered | Grade::Doubtful => Verdict::Warn,
        Grade::Wrong | Grade::Refused => Verdict::Fail,
    };
    let finding = Finding::new(&format!("{} {sender}", point.about), verdict, point.found, point.fix);
    Finding { dns: point.dns, ..finding }
}

/// What the daemon makes of it.
fn consequence(config: &Config, sender: &str) -> Finding {
    let send = &config.file.send;
    let (found, fix) = match send.posture {
        Rule::Refuse => (
            format!("mail by `{sender}` to more than {} recipients waits until that is mended", send.large),
            "mend the points above; or set `send.posture` to `warn`, and be refused",
        ),
        Rule::Warn => (
            format!("mail by `{sender}` to many goes out all the same (`send.posture`), and is refused"),
            "mend the points above",
        ),
    };
    Finding::new(&format!("send {sender}"), Verdict::Warn, found, fix)
}

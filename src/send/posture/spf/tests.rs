//! Records by what they should say; most are the cases of RFC 7208.

use super::super::ask::{Answer, Known, Missing, Question};
use super::{Verdict, verdict};
use std::net::IpAddr;

/// Records of a small world: `name kind value`.
const ZONE: &[(&str, &str, &str)] = &[
    ("well.zz", "TXT", "v=spf1 ip4:192.0.2.0/28 include:relay.zz ip6:2001:db8::/32 -all"),
    ("relay.zz", "TXT", "v=spf1 a:out.relay.zz/30 mx ~all"),
    ("out.relay.zz", "A", "198.51.100.9"),
    ("relay.zz", "MX", "mx.relay.zz"),
    ("mx.relay.zz", "A", "203.0.113.7"),
    ("twice.zz", "TXT", "v=spf1 -all"),
    ("twice.zz", "TXT", "v=spf1 ~all"),
    ("other.zz", "TXT", "v=spf10 -all"),
    ("anybody.zz", "TXT", "v=spf1 mx +all"),
    ("through.zz", "TXT", "V=SPF1 include:anybody.zz -all"),
    ("handed.zz", "TXT", "v=spf1 redirect=well.zz"),
    ("lost.zz", "TXT", "v=spf1 redirect=nobody.zz"),
    ("broken.zz", "TXT", "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"),
    ("number.zz", "TXT", "v=spf1 ip4:192.0.2.1/33 -all"),
    ("gone.zz", "TXT", "v=spf1 include:nobody.zz -all"),
    ("round.zz", "TXT", "v=spf1 include:round.zz -all"),
    ("many.zz", "TXT", "v=spf1 ip4:192.0.2.1 a a a a a a a a a a a -all"),
    ("many.zz", "A", "192.0.2.2"),
    ("void.zz", "TXT", "v=spf1 a:n1.zz a:n2.zz a:n3.zz -all"),
    ("macro.zz", "TXT", "v=spf1 exists:%{ir}.%{v}._spf.%{d2} -all"),
    ("1.2.0.192.in-addr._spf.macro.zz", "A", "127.0.0.2"),
    ("local.zz", "TXT", "v=spf1 include:%{l}.%{o}._x.zz -all"),
    ("news.local.zz._x.zz", "TXT", "v=spf1 ip4:192.0.2.7 -all"),
    ("silent.zz", "TXT", "v=spf1 include:mute.zz -all"),
    ("modifier.zz", "TXT", "v=spf1 a:out.relay.zz exp=e.%{d} note=x:y ?all"),
    ("pointer.zz", "TXT", "v=spf1 ptr -all"),
    ("192.0.2.9", "PTR", "mail.pointer.zz"),
    ("mail.pointer.zz", "A", "192.0.2.9"),
];

fn answer(question: &Question) -> Answer {
    let (name, kinds): (String, &[&str]) = match question {
        Question::Texts(name) => (name.clone(), &["TXT"]),
        Question::Addresses(name) => (name.clone(), &["A", "AAAA"]),
        Question::Exchanges(name) => (name.clone(), &["MX"]),
        Question::Pointers(address) => (address.to_string(), &["PTR"]),
    };
    if name == "mute.zz" {
        return Answer::Silence;
    }
    let found = ZONE.iter().filter(|(of, kind, _)| *of == name && kinds.contains(kind));
    let found: Vec<String> = found.map(|(.., value)| (*value).to_owned()).collect();
    if found.is_empty() { Answer::Nothing } else { Answer::Records(found) }
}

fn says(domain: &str, from: Option<&str>) -> Verdict {
    let from: Option<IpAddr> = from.map(|address| address.parse().expect("an address"));
    let mut known = Known::default();
    loop {
        match verdict(&known, domain, &format!("news@{domain}"), from) {
            Ok(verdict) => return verdict,
            Err(Missing(question)) => known.insert(question.clone(), answer(&question)),
        }
    }
}

#[test]
fn an_address_may_or_may_not() {
    let cases = [
        ("well.zz", "192.0.2.14", Verdict::Pass),
        ("well.zz", "192.0.2.16", Verdict::Fail),
        ("well.zz", "198.51.100.10", Verdict::Pass),
        ("well.zz", "203.0.113.7", Verdict::Pass),
        ("well.zz", "2001:db8::1", Verdict::Pass),
        ("well.zz", "::ffff:192.0.2.3", Verdict::Pass),
        ("relay.zz", "192.0.2.1", Verdict::SoftFail),
        ("handed.zz", "192.0.2.1", Verdict::Pass),
        ("handed.zz", "192.0.2.99", Verdict::Fail),
        ("modifier.zz", "192.0.2.99", Verdict::Neutral),
        ("macro.zz", "192.0.2.1", Verdict::Pass),
        ("macro.zz", "192.0.2.3", Verdict::Fail),
        ("local.zz", "192.0.2.7", Verdict::Pass),
        ("pointer.zz", "192.0.2.9", Verdict::Pass),
        ("pointer.zz", "192.0.2.10", Verdict::Fail),
        ("nobody.zz", "192.0.2.1", Verdict::None),
        ("other.zz", "192.0.2.1", Verdict::None),
        ("silent.zz", "192.0.2.1", Verdict::Temporary),
    ];
    for (domain, from, wanted) in cases {
        assert_eq!(says(domain, Some(from)), wanted, "{domain} from {from}");
    }
}

#[test]
fn what_no_address_can_mend() {
    for domain in ["twice.zz", "broken.zz", "number.zz", "gone.zz", "round.zz", "lost.zz", "many.zz"] {
        assert!(matches!(says(domain, None), Verdict::Permanent(_)), "{domain}: {:?}", says(domain, None));
    }
    for domain in ["anybody.zz", "through.zz"] {
        assert_eq!(says(domain, None), Verdict::Pass, "{domain} lets everybody send");
    }
    for domain in ["well.zz", "handed.zz", "macro.zz", "void.zz"] {
        assert_eq!(says(domain, None), Verdict::Fail, "{domain}");
    }
}

#[test]
fn limits_strike_those_whom_no_earlier_term_names() {
    assert_eq!(says("many.zz", Some("192.0.2.1")), Verdict::Pass);
    assert!(matches!(says("many.zz", Some("192.0.2.3")), Verdict::Permanent(_)));
    assert!(matches!(says("void.zz", Some("192.0.2.3")), Verdict::Permanent(_)));
}

proptest::proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "v=spf1( [+?~-]?(a|mx|ip4|ip6|include|exists|all|redirect|ptr)[:=/%{}a-z0-9.]{0,12}){0,6}") {
        let mut known = Known::default();
        known.insert(Question::Texts("x.zz".to_owned()), Answer::Records(vec![text]));
        for _ in 0..50 {
            let from = Some("192.0.2.1".parse().expect("an address"));
            match verdict(&known, "x.zz", "a@x.zz", from) {
                Ok(_) => break,
                Err(Missing(question)) => known.insert(question, Answer::Nothing),
            }
        }
    }
}

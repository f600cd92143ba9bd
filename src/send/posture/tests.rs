//! Senders as they are met, each with what is to be said of it.

use super::ask::{Answer, Known, Missing, Question};
use super::dkim::Published;
use super::{Grade, Point, Subject, judge};

/// `name kind value`; a value `…` means that the DNS is silent.
type Zone = Vec<(&'static str, &'static str, &'static str)>;

/// All is well.
const WELL: [(&str, &str, &str); 10] = [
    ("gaon.zz", "TXT", "v=spf1 include:relay.zz -all"),
    ("bounce.gaon.zz", "TXT", "v=spf1 include:relay.zz -all"),
    ("relay.zz", "TXT", "v=spf1 ip4:192.0.2.25 -all"),
    ("2026a._domainkey.gaon.zz", "TXT", "v=DKIM1; k=rsa; p=AAAA"),
    ("_dmarc.gaon.zz", "TXT", "v=DMARC1; p=none"),
    ("gaon.zz", "MX", "mx.gaon.zz"),
    ("bounce.gaon.zz", "MX", "mx.gaon.zz"),
    ("mail.relay.zz", "A", "192.0.2.25"),
    ("192.0.2.25", "PTR", "mail.relay.zz"),
    ("mx.gaon.zz", "A", "192.0.2.26"),
];

fn zone(without: &[&str], with: &[(&'static str, &'static str, &'static str)]) -> Zone {
    let kept = WELL.into_iter().filter(|(name, kind, _)| !without.contains(&format!("{name} {kind}").as_str()));
    kept.chain(with.iter().copied()).collect()
}

fn subject() -> Subject {
    Subject {
        sender: "news".to_owned(),
        from: "gaon.zz".to_owned(),
        envelope: "gaon.zz".to_owned(),
        envelope_sender: "news@gaon.zz".to_owned(),
        takes_bounces: false,
        signatures: vec![Published {
            domain: "gaon.zz".to_owned(),
            name: "2026a._domainkey.gaon.zz".to_owned(),
            text: "v=DKIM1; k=rsa; p=AAAA".to_owned(),
            line: "2026a._domainkey.gaon.zz. IN TXT \"v=DKIM1; k=rsa; p=AAAA\"".to_owned(),
        }],
        relays: vec![("main".to_owned(), "mail.relay.zz".to_owned())],
    }
}

fn points(subject: &Subject, zone: &Zone) -> Vec<Point> {
    let mut known = Known::default();
    loop {
        match judge(subject, &known) {
            Ok(points) => return points,
            Err(Missing(question)) => {
                let (name, kinds): (String, &[&str]) = match &question {
                    Question::Texts(name) => (name.clone(), &["TXT"]),
                    Question::Addresses(name) => (name.clone(), &["A", "AAAA"]),
                    Question::Exchanges(name) => (name.clone(), &["MX"]),
                    Question::Pointers(address) => (address.to_string(), &["PTR"]),
                };
                let found = zone.iter().filter(|(of, kind, _)| *of == name && kinds.contains(kind));
                let found: Vec<String> = found.map(|(.., value)| (*value).to_owned()).collect();
                let answer = match &found[..] {
                    [] => Answer::Nothing,
                    [silence] if silence == "…" => Answer::Silence,
                    _ => Answer::Records(found),
                };
                known.insert(question, answer);
            }
        }
    }
}

/// What isn't well, as `about grade`, and the words of all points.
fn told(subject: &Subject, zone: &Zone) -> (Vec<String>, String) {
    let points = points(subject, zone);
    let troubles = points.iter().filter(|point| point.grade != Grade::Well);
    let troubles = troubles.map(|point| format!("{} {:?}", point.about, point.grade)).collect();
    let words = points
        .iter()
        .map(|point| format!("{} | {} | {}\n", point.found, point.fix, point.dns.clone().unwrap_or_default()));
    (troubles, words.collect())
}

fn assert_told(subject: &Subject, zone: &Zone, troubles: &[&str], says: &[&str]) {
    let (found, words) = told(subject, zone);
    assert_eq!(found, troubles, "{words}");
    for part in says {
        assert!(words.contains(part), "`{part}` isn't in:\n{words}");
    }
}

#[test]
fn nothing_is_said_against_who_does_all_right() {
    assert_told(
        &subject(),
        &zone(&[], &[]),
        &[],
        &["gaon.zz lets 192.0.2.25 (relay main) send", "mail.relay.zz and back"],
    );
    let bouncing = Subject {
        envelope: "bounce.gaon.zz".to_owned(),
        envelope_sender: "bounce@bounce.gaon.zz".to_owned(),
        takes_bounces: true,
        ..subject()
    };
    assert_told(&bouncing, &zone(&[], &[]), &[], &["bounce.gaon.zz takes mail at mx.gaon.zz"]);
    let by_loopback = Subject { relays: vec![("main".to_owned(), "127.0.0.1".to_owned())], ..subject() };
    assert_told(&by_loopback, &zone(&[], &[]), &[], &["can't be told here"]);
}

#[test]
fn spf() {
    let spf = |records: &[&'static str]| {
        let records: Zone = records.iter().map(|text| ("gaon.zz", "TXT", *text)).collect();
        zone(&["gaon.zz TXT"], &records)
    };
    let line = "gaon.zz. IN TXT \"v=spf1 ip4:192.0.2.25 ~all\"";
    assert_told(&subject(), &spf(&[]), &["spf Refused"], &["no SPF record", line, "Gmail, Yahoo"]);
    assert_told(&subject(), &spf(&["v=spf1 -all", "v=spf1 ~all"]), &["spf Refused"], &["has 2 SPF records"]);
    assert_told(&subject(), &spf(&["v=spf1 +all"]), &["spf Wrong"], &["lets everybody send"]);
    assert_told(&subject(), &spf(&["v=spf1 a a a a a a a a a a a -all"]), &["spf Refused"], &["more than 10 look-ups"]);
    assert_told(
        &subject(),
        &spf(&["v=spf1 include:relay.zz a a a a a a a a a a -all"]),
        &["spf Doubtful"],
        &["named before"],
    );
    assert_told(&subject(), &spf(&["v=spf1 ip4:198.51.100.1 -all"]), &["spf Doubtful"], &["doesn't name 192.0.2.25"]);
    assert_told(&subject(), &spf(&["…"]), &["spf Unanswered"], &["the DNS didn't say"]);
}

#[test]
fn dkim() {
    let key = |texts: &[&'static str]| {
        let records: Zone = texts.iter().map(|text| ("2026a._domainkey.gaon.zz", "TXT", *text)).collect();
        zone(&["2026a._domainkey.gaon.zz TXT"], &records)
    };
    let line = "2026a._domainkey.gaon.zz. IN TXT \"v=DKIM1; k=rsa; p=AAAA\"";
    assert_told(&subject(), &key(&[]), &["dkim Refused"], &["no key is published", line]);
    assert_told(&subject(), &key(&["v=DKIM1; p=BBBB"]), &["dkim Refused"], &["another key stands there"]);
    assert_told(&subject(), &key(&["…"]), &["dkim Unanswered"], &[]);
    // With one signature that holds, another one that doesn't is no reason to refuse.
    let second = Published { name: "2026b._domainkey.gaon.zz".to_owned(), ..subject().signatures[0].clone() };
    let two = Subject { signatures: vec![subject().signatures[0].clone(), second], ..subject() };
    assert_told(&two, &zone(&[], &[]), &["dkim Wrong"], &["2026b._domainkey.gaon.zz: no key"]);
    let ed25519 = Published { text: "v=DKIM1; k=ed25519; p=AAAA".to_owned(), ..subject().signatures[0].clone() };
    let alone = Subject { signatures: vec![ed25519], ..subject() };
    assert_told(
        &alone,
        &key(&["v=DKIM1; k=ed25519; p=AAAA"]),
        &["dkim Doubtful"],
        &["add a [[sender.dkim]] with an RSA key"],
    );
}

#[test]
fn dmarc() {
    let none = zone(&["_dmarc.gaon.zz TXT"], &[]);
    let line = "_dmarc.gaon.zz. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@gaon.zz\"";
    assert_told(&subject(), &none, &["dmarc Refused"], &["has no DMARC record", line]);
    let silent = zone(&["_dmarc.gaon.zz TXT"], &[("_dmarc.gaon.zz", "TXT", "…")]);
    assert_told(&subject(), &silent, &["dmarc Unanswered"], &[]);
    let elsewhere = Subject {
        envelope: "relay.zz".to_owned(),
        signatures: vec![Published { domain: "relay.zz".to_owned(), ..subject().signatures[0].clone() }],
        ..subject()
    };
    let zone_with_mx = zone(&[], &[("relay.zz", "MX", "mail.relay.zz")]);
    assert_told(&elsewhere, &zone_with_mx, &["dmarc Refused"], &["speaks for gaon.zz", "every mail fails DMARC"]);
    // Where the relay signs, it may do so as the right domain.
    let unsigned = Subject { signatures: Vec::new(), ..elsewhere };
    assert_told(&unsigned, &zone_with_mx, &["dmarc Doubtful"], &["the relay must sign"]);
    let strict = zone(&["_dmarc.gaon.zz TXT"], &[("_dmarc.gaon.zz", "TXT", "v=DMARC1; p=reject; aspf=s")]);
    let below = Subject { envelope: "bounce.gaon.zz".to_owned(), ..subject() };
    assert_told(&below, &strict, &[], &["DKIM alone speaks for gaon.zz"]);
}

#[test]
fn what_comes_back_and_reverse_dns() {
    let bouncing = Subject { envelope: "bounce.gaon.zz".to_owned(), takes_bounces: true, ..subject() };
    assert_told(&bouncing, &zone(&["bounce.gaon.zz MX"], &[]), &["mx Wrong"], &["what comes back never reaches allim"]);
    let null = zone(&["gaon.zz MX"], &[("gaon.zz", "MX", ".")]);
    assert_told(&subject(), &null, &["mx Wrong"], &["takes no mail (RFC 7505)"]);
    let bare = zone(&["gaon.zz MX"], &[("gaon.zz", "A", "192.0.2.9")]);
    assert_told(&subject(), &bare, &["mx Doubtful"], &["its own address"]);
    assert_told(&subject(), &zone(&["192.0.2.25 PTR"], &[]), &["rdns Doubtful"], &["has no name (PTR)"]);
    let other = zone(&["192.0.2.25 PTR"], &[("192.0.2.25", "PTR", "mx.gaon.zz")]);
    assert_told(&subject(), &other, &["rdns Doubtful"], &["is called mx.gaon.zz"]);
}

#[test]
fn a_name_that_is_nowhere_is_not_asked_for_and_a_mailbox_host_is_not_ones_own() {
    let example = Subject { from: "news.example.org".to_owned(), ..subject() };
    let points = judge(&example, &Known::default()).expect("nothing is asked");
    assert!(points.iter().all(|point| point.grade == Grade::Well), "{points:?}");
    let gmail = Subject { from: "gmail.com".to_owned(), ..subject() };
    let records = zone(&[], &[("_dmarc.gmail.com", "TXT", "v=DMARC1; p=none")]);
    let (troubles, words) = told(&gmail, &records);
    assert!(troubles.contains(&"from Refused".to_owned()) && words.contains("belongs to a mailbox host"), "{words}");
}

#[test]
fn silence_alone_refuses_nobody() {
    let silent: Zone = WELL.into_iter().map(|(name, kind, _)| (name, kind, "…")).collect();
    let points = points(&subject(), &silent);
    assert!(points.iter().all(|point| matches!(point.grade, Grade::Well | Grade::Unanswered)), "{points:?}");
}

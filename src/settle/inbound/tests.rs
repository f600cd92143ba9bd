use super::*;
use crate::domain::reply::Kind;
use proptest::prelude::*;

/// Mails in the shape of those that common servers write; `{to}` and the like stand for what differs.
const MAILS: &[(&str, &str)] = &[
    ("postfix", include_str!("../../../tests/inbound/mails/postfix.eml")),
    ("postfix-delay", include_str!("../../../tests/inbound/mails/postfix-delay.eml")),
    ("exim", include_str!("../../../tests/inbound/mails/exim.eml")),
    ("exchange", include_str!("../../../tests/inbound/mails/exchange.eml")),
    ("gmail", include_str!("../../../tests/inbound/mails/gmail.eml")),
    ("naver", include_str!("../../../tests/inbound/mails/naver.eml")),
    ("naver-blocked", include_str!("../../../tests/inbound/mails/naver-blocked.eml")),
    ("daum-full", include_str!("../../../tests/inbound/mails/daum-full.eml")),
    ("qmail", include_str!("../../../tests/inbound/mails/qmail.eml")),
    ("policy", include_str!("../../../tests/inbound/mails/policy.eml")),
    ("arf", include_str!("../../../tests/inbound/mails/arf.eml")),
    ("vacation", include_str!("../../../tests/inbound/mails/vacation.eml")),
    ("vacation-ko", include_str!("../../../tests/inbound/mails/vacation-ko.eml")),
    ("leave", include_str!("../../../tests/inbound/mails/leave.eml")),
    ("answer", include_str!("../../../tests/inbound/mails/answer.eml")),
    ("loop", include_str!("../../../tests/inbound/mails/loop.eml")),
];

const READER: &str = "reader@example.net";

fn own() -> Own {
    Own { list_ids: vec!["news.example.org".to_owned()] }
}

fn filled(name: &str) -> Vec<u8> {
    let (_, text) = MAILS.iter().find(|(known, _)| *known == name).unwrap();
    let text = text.replace("{to}", "bounce+k-token@bounce.example.org").replace("{reader}", READER);
    text.replace("{leave}", "leave+k-token@bounce.example.org").replace("{id}", "abc@example.org").into_bytes()
}

fn told(name: &str) -> String {
    match read(&filled(name), &own()).sort {
        Sort::Report(fates) => {
            let [fate] = &fates[..] else { panic!("{name}: {fates:?}") };
            format!("{:?} {}", fate.stage, fate.kind)
        }
        Sort::Complaint(kind, _) => format!("complaint {kind}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn each_servers_mail_is_what_it_is() {
    for (name, wanted) in [
        ("postfix", "Failed no_such_address"),
        ("postfix-delay", "Delayed transient"),
        ("exim", "Failed no_such_address"),
        ("exchange", "Failed no_such_address"),
        ("gmail", "Failed no_such_address"),
        ("naver", "Failed no_such_address"),
        ("naver-blocked", "Failed policy"),
        ("daum-full", "Failed full"),
        ("qmail", "Failed no_such_address"),
        ("policy", "Failed policy"),
        ("arf", "complaint abuse"),
        ("vacation", "AutoReply"),
        ("vacation-ko", "AutoReply"),
        ("leave", "Other"),
        ("answer", "Other"),
        ("loop", "Loop"),
    ] {
        assert_eq!(told(name), wanted, "{name}");
    }
}

#[test]
fn a_report_names_recipient_and_letter() {
    for name in ["postfix", "exchange", "gmail", "exim", "qmail"] {
        let reading = read(&filled(name), &own());
        let Sort::Report(fates) = &reading.sort else { panic!("{name}") };
        assert!(fates[0].addresses.iter().any(|address| address == READER), "{name}: {:?}", fates[0].addresses);
        assert_eq!(reading.returned.message_id.as_deref(), Some("abc@example.org"), "{name}");
        assert!(
            fates[0].words.contains("5.1.1") || fates[0].words.contains("No such user"),
            "{name}: {}",
            fates[0].words
        );
    }
    let returned = read(&filled("arf"), &own()).returned;
    assert!(returned.locals.iter().any(|local| local == "leave+k-token"), "{returned:?}");
    assert_eq!(returned.links, ["redacted"]);
}

#[test]
fn what_is_no_complaint_isnt_taken_for_one() {
    for kind in ["not-spam", "auth-failure"] {
        let mail = String::from_utf8(filled("arf"))
            .unwrap()
            .replace("Feedback-Type: abuse", &format!("Feedback-Type: {kind}"));
        assert_eq!(read(mail.as_bytes(), &own()).sort, Sort::Other);
    }
}

#[test]
fn of_several_fates_each_is_told() {
    let mail = String::from_utf8(filled("postfix")).unwrap();
    let more = "Final-Recipient: rfc822; other@example.net\nAction: relayed\nStatus: 2.0.0\n\nFinal-Recipient: rfc822;full@example.net\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 552 5.2.2 full\n\n--4Q.1/relay\nContent-Description: Undelivered";
    let mail = mail.replace("--4Q.1/relay\nContent-Description: Undelivered", more);
    let Sort::Report(fates) = read(mail.as_bytes(), &own()).sort else { panic!() };
    let told: Vec<_> = fates.iter().map(|fate| (fate.stage, fate.kind, fate.status)).collect();
    assert_eq!(told[0], (Stage::Failed, Kind::NoSuchAddress, Some((5, 1, 1))));
    assert_eq!(told[1].0, Stage::Passed);
    assert_eq!(told[2], (Stage::Failed, Kind::Full, Some((5, 2, 2))));
}

#[test]
fn what_goes_in_circles_or_is_no_mail_ends_here() {
    let circling = "Received: from a by b; Mon, 23 Nov 2026 00:12:00 +0000\n".repeat(101) + "Subject: x\n\n";
    assert_eq!(read(circling.as_bytes(), &own()).sort, Sort::Loop);
    assert!(matches!(read(b"", &own()).sort, Sort::Malformed(_)));
    let garbage: Vec<u8> = (0..1_048_576u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(matches!(read(&garbage, &own()).sort, Sort::Malformed(_) | Sort::Other));
    // Each level would be a mail within a mail within a mail.
    let nested = "Content-Type: message/rfc822\n\n".repeat(30_000);
    assert!(matches!(read(nested.as_bytes(), &own()).sort, Sort::Malformed(_)));
    let digests: String =
        (0..20_000).map(|n| format!("Content-Type: multipart/digest; boundary=b{n}\n\n--b{n}\n\n")).collect();
    assert!(matches!(read(digests.as_bytes(), &own()).sort, Sort::Malformed(_)));
    let parts: String =
        (0..9_000).map(|n| format!("Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n")).collect();
    let _ = read(parts.as_bytes(), &own());
}

/// Found by the histories below: a multipart within itself, which the library holds for impossible where its own checks are
/// compiled in.
#[test]
fn a_multipart_within_itself_is_survived() {
    let mail = filled("arf");
    let (place, piece) = (mail.len() * 469 / 1_000, mail.len() * 677 / 1_000);
    for place in place - 20..place + 20 {
        let within = [&mail[..place], &mail[..piece], &mail[place..]].concat();
        assert!(
            matches!(read(&within, &own()).sort, Sort::Malformed(_) | Sort::Complaint(..) | Sort::Other),
            "{place}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = read(&bytes, &own());
    }

    /// A mail cut, with octets changed, and with a piece of another put in.
    #[test]
    fn no_spoilt_mail_does_harm(
        which in 0..MAILS.len(),
        other in 0..MAILS.len(),
        cut in 0.0f64..1.0,
        piece in (0.0f64..1.0, 0.0f64..1.0),
        changes in proptest::collection::vec((0.0f64..1.0, any::<u8>()), 0..20),
    ) {
        let at = |len: usize, place: f64| ((len as f64) * place) as usize;
        let mut bytes = filled(MAILS[which].0);
        for (place, octet) in changes {
            let index = at(bytes.len(), place);
            bytes[index] = octet;
        }
        let insert = filled(MAILS[other].0);
        let (from, to) = (at(insert.len(), piece.0.min(piece.1)), at(insert.len(), piece.0.max(piece.1)));
        let place = at(bytes.len(), cut);
        let _ = read(&bytes[..place], &own());
        bytes.splice(place..place, insert[from..to].iter().copied());
        let _ = read(&bytes, &own());
    }
}

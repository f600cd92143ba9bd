use super::*;
use proptest::prelude::*;

fn kind(said: Said, line: &str) -> Kind {
    let code: u16 = line[..3].parse().unwrap();
    let text = line[3..].trim();
    let status = status(text).filter(|(class, ..)| *class == code / 100);
    Kind::of(said, Some(code), status, text)
}

/// The table of replies, line by line.
#[test]
fn each_line_of_the_table() {
    use Kind::*;
    let cases = [
        ("550 5.1.1 no", NoSuchAddress),
        ("551 5.1.6 moved", NoSuchAddress),
        ("553 5.1.3 bad syntax", NoSuchAddress),
        ("550 5.1.2 no such domain", NoSuchAddress),
        ("550 5.1.10 RESOLVER.ADR.RecipientNotFound", NoSuchAddress),
        ("550 5.2.1 not accepting messages", Disabled),
        ("552 5.2.2 full", Full),
        ("452 4.2.2 full", Full),
        ("452 mailbox full", Full),
        ("452 4.3.1 insufficient system storage", Transient),
        ("450 4.1.1 user unknown for now", Transient),
        ("421 4.7.0 busy", Transient),
        ("451 4.7.1 greylisted", Transient),
        ("550 5.7.1 user unknown, or we don't like you", Policy),
        ("554 5.7.1 relay access denied", Policy),
        ("550 5.7.26 unauthenticated", Policy),
        ("550 5.7.515 does not meet the requirements", Policy),
        ("550 5.7.27 SPF", Policy),
        ("552 5.3.4 too long", Content),
        ("554 5.6.0 malformed", Content),
        ("552 5.2.3 too long for this mailbox", Content),
        ("550 5.1.8 sender's domain", Ours),
        ("503 5.5.1 sequence", Ours),
        ("550 requested action not taken: mailbox unavailable", Unexplained),
        ("550 5.5.0 requested actions not taken as the mailbox is unavailable", Unexplained),
        ("550 5.0.0 no", Unexplained),
        ("554 5.4.4 host not found", Unexplained),
    ];
    for (line, wanted) in cases {
        assert_eq!(kind(Said::ToRecipient, line), wanted, "{line}");
        assert_eq!(kind(Said::InReport, line), wanted, "{line}");
    }
    assert_eq!(kind(Said::ToRecipient, "552 too many recipients"), Transient);
    assert_eq!(kind(Said::ToRecipient, "552 storage"), Full);
    assert_eq!(kind(Said::ToLetter, "552 storage"), Content);
    assert_eq!(kind(Said::ToLetter, "554 no"), Content);
    assert_eq!(kind(Said::ToLetter, "550 no such user here"), NoSuchAddress);
}

#[test]
fn words_of_common_servers() {
    use Kind::*;
    let cases = [
        ("550 <reader>: Recipient address rejected: User unknown in virtual mailbox table", NoSuchAddress),
        ("550 Unknown user", NoSuchAddress),
        ("550 sorry, no mailbox here by that name. (#5.1.1)", NoSuchAddress),
        ("554 delivery error: dd This user doesn\u{2019}t have a yahoo account", NoSuchAddress),
        ("550 존재하지 않는 사용자입니다", NoSuchAddress),
        ("550 없는 계정입니다", NoSuchAddress),
        ("550 收件人不存在", NoSuchAddress),
        ("550 휴면 계정", Disabled),
        ("550 Account has been\r\n disabled", Disabled),
        ("550 메일함 용량 초과", Full),
        ("554 mailbox is full", Full),
        ("550 수신 거부된 발신자입니다", Policy),
        ("550 스팸으로 차단되었습니다", Policy),
        ("550 Your IP is on a blocklist; see example.net", Policy),
        ("550 the sender's domain does not exist", Policy),
        ("550 Message size exceeds the limit", Content),
    ];
    for (line, wanted) in cases {
        assert_eq!(kind(Said::InReport, line), wanted, "{line}");
    }
}

#[test]
fn who_never_suppresses_and_who_does() {
    for kind in [Kind::Transient, Kind::Policy, Kind::Content, Kind::Ours] {
        assert_eq!(kind.threshold(), None);
    }
    let of = |kind: Kind| kind.threshold().map(|t| (t.count, t.within.as_secs() / 86_400, t.lasts.is_some()));
    assert_eq!(of(Kind::NoSuchAddress), Some((1, 1, false)));
    assert_eq!(of(Kind::Disabled), Some((2, 7, false)));
    assert_eq!(of(Kind::Full), Some((5, 14, true)));
    assert_eq!(of(Kind::Unexplained), Some((3, 30, true)));
}

#[test]
fn numbers_are_found_among_words() {
    assert_eq!(status_within("smtp; 550 5.1.1 <a@b>: no"), Some((5, 1, 1)));
    assert_eq!(status_within("host mx[192.0.2.25] said: 550-5.7.26 no"), Some((5, 7, 26)));
    assert_eq!(status_within("Remote host said: (#5.1.1)"), Some((5, 1, 1)));
    assert_eq!(status_within("from 5.1.1.9 or version 2.1.1"), None);
    assert_eq!(code_within("smtp;550 no"), Some(550));
    assert_eq!(code_within("host mx-550.example said: 451 later"), Some(451));
    assert_eq!(code_within("1.2.550 x 5501"), None);
    assert_eq!(without_addresses("550 <a@b.example> is\r\n unknown", 20), "550 (address) is unk");
}

proptest! {
    #[test]
    fn no_text_is_too_much(text in ".{0,300}", code in proptest::option::of(0u16..1_000)) {
        for said in [Said::ToRecipient, Said::ToLetter, Said::InReport] {
            let _ = Kind::of(said, code, status_within(&text), &text);
        }
        prop_assert!(!without_addresses(&text, 50).contains('@'));
    }
}

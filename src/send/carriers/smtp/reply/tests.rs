use super::*;

fn reply(text: &str) -> Reply {
    let (reply, len) = Reply::parse(text.as_bytes()).unwrap().unwrap();
    assert_eq!(len, text.len());
    reply
}

#[test]
fn replies_are_read_whole_or_not_at_all() {
    let two = b"250-one\r\n250 2.1.0 two\r\n354 go\r\n";
    let (first, len) = Reply::parse(two).unwrap().unwrap();
    assert_eq!((first.code, first.lines, len), (250, vec!["one".to_owned(), "2.1.0 two".to_owned()], 24));
    assert_eq!(reply("354 go\r\n").code, 354);
    assert_eq!(reply("250\r\n").lines, [""]);
    assert_eq!(reply("250 no carriage return\n").lines, ["no carriage return"]);
    for partial in ["", "2", "250", "250 ok", "250-ok\r\n", "250-ok\r\n250"] {
        assert_eq!(Reply::parse(partial.as_bytes()), Ok(None), "{partial}");
    }
    for garbled in ["HTTP/1.1 400 Bad\r\n", "25\r\n", "250-a\r\n251 b\r\n", "250_\r\n", "999 x\r\n", "\r\n"] {
        assert_eq!(Reply::parse(garbled.as_bytes()), Err(Garbled), "{garbled}");
    }
    assert_eq!(Reply::parse("250-x\r\n".repeat(3_000).as_bytes()), Err(Garbled));
}

#[test]
fn the_enhanced_status_counts_only_if_its_class_fits() {
    assert_eq!(reply("550 5.1.1 gone\r\n").status, Some((5, 1, 1)));
    assert_eq!(reply("550-5.7.26 a\r\n550 5.7.26 b\r\n").status, Some((5, 7, 26)));
    assert_eq!(reply("550 5.1.10\r\n").status, Some((5, 1, 10)));
    for none in ["550 2.1.1 odd\r\n", "550 no\r\n", "550 5.1\r\n", "550 5.1.1111 x\r\n", "550 5.x.1\r\n", "550\r\n"] {
        assert_eq!(reply(none).status, None, "{none}");
    }
}

#[test]
fn what_each_reply_means() {
    use Meaning::{Later, Never};
    let cases = [
        (Step::Rcpt, "550 5.1.1 x", Never(Reason::NoSuchAddress)),
        (Step::Rcpt, "556 5.1.10 x", Never(Reason::NoSuchAddress)),
        (Step::Rcpt, "550 5.1.0 x", Never(Reason::RecipientRefused)),
        (Step::Rcpt, "550 5.1.8 sender's domain", Later(Reason::OurError)),
        (Step::Rcpt, "550 5.2.1 x", Never(Reason::MailboxDisabled)),
        (Step::Rcpt, "550 no such user", Never(Reason::NoSuchAddress)),
        (Step::Rcpt, "550 blocked by a blocklist", Never(Reason::Policy)),
        (Step::Rcpt, "552 5.2.2 x", Later(Reason::MailboxFull)),
        (Step::Rcpt, "452 4.2.2 x", Later(Reason::MailboxFull)),
        (Step::Rcpt, "552 x", Later(Reason::MailboxFull)),
        (Step::Rcpt, "552 too many", Later(Reason::Deferred)),
        (Step::Rcpt, "452 too many", Later(Reason::Deferred)),
        (Step::Rcpt, "450 4.7.1 greylisted", Later(Reason::Deferred)),
        (Step::Rcpt, "550 no", Never(Reason::RecipientRefused)),
        (Step::Rcpt, "551 no", Never(Reason::RecipientRefused)),
        (Step::Rcpt, "553 no", Never(Reason::RecipientRefused)),
        (Step::Rcpt, "554 5.7.1 relay access denied", Never(Reason::Policy)),
        (Step::Rcpt, "550 5.7.515 x", Never(Reason::Policy)),
        (Step::Rcpt, "552 5.3.4 too long for them", Never(Reason::ContentRefused)),
        (Step::Rcpt, "421 4.7.0 x", Later(Reason::Busy)),
        (Step::Rcpt, "503 5.5.1 x", Later(Reason::OurError)),
        (Step::Rcpt, "530 5.7.0 authenticate", Later(Reason::OurError)),
        (Step::Greeting, "554 no", Later(Reason::OurError)),
        (Step::Greeting, "421 later", Later(Reason::Busy)),
        (Step::Ehlo, "550 no", Later(Reason::OurError)),
        (Step::StartTls, "454 not now", Later(Reason::Busy)),
        (Step::Auth, "535 5.7.8 no", Later(Reason::OurError)),
        (Step::Auth, "454 4.7.0 no", Later(Reason::Busy)),
        (Step::Mail, "550 5.7.1 no", Later(Reason::OurError)),
        (Step::Mail, "451 no", Later(Reason::Busy)),
        (Step::Mail, "552 5.3.4 too long", Never(Reason::ContentRefused)),
        (Step::Mail, "552 too long", Never(Reason::ContentRefused)),
        (Step::Data, "554 5.7.1 no", Later(Reason::OurError)),
        (Step::Data, "451 no", Later(Reason::Busy)),
        (Step::Dot, "451 4.3.0 no", Later(Reason::Deferred)),
        (Step::Dot, "421 no", Later(Reason::Busy)),
        (Step::Dot, "554 5.7.1 spam", Never(Reason::Policy)),
        (Step::Dot, "552 5.3.4 too long", Never(Reason::ContentRefused)),
        (Step::Dot, "550 5.6.0 x", Never(Reason::ContentRefused)),
        (Step::Dot, "552 x", Never(Reason::ContentRefused)),
        (Step::Dot, "550 x", Never(Reason::ContentRefused)),
        (Step::Dot, "550 5.1.1 x", Never(Reason::NoSuchAddress)),
        (Step::Dot, "552 5.2.2 full", Later(Reason::MailboxFull)),
    ];
    for (step, text, wanted) in cases {
        assert_eq!(meaning(step, &reply(&format!("{text}\r\n"))), wanted, "{step:?} {text}");
    }
}

#[test]
fn nothing_that_names_the_recipient_is_kept() {
    let to = Address::parse("Kim.Canary@example.com").unwrap();
    let said = reply("550-5.1.1 <kim.canary@example.com>: no such user\r\n550 'kim.canary' is unknown\r\n");
    assert_eq!(said.text_without(&to), "550 5.1.1 (address) no such user (address) is unknown");
    let secret = Trouble::Said(Step::Auth, reply("535 5.7.8 you said hunter2\r\n")).outcome(&to);
    let wanted = Outcome::TryLater { reason: Reason::OurError, reply: "AUTH: 535 5.7.8".to_owned(), not_before: None };
    assert_eq!(secret, wanted);
}

#[test]
fn only_a_definite_answer_after_the_dot_is_an_answer() {
    let to = Address::parse("kim@example.com").unwrap();
    for trouble in [
        Trouble::Silence(Step::Dot),
        Trouble::Broken(Step::Dot, "closed".to_owned()),
        Trouble::Said(Step::Dot, reply("354 go on\r\n")),
    ] {
        assert!(matches!(trouble.outcome(&to), Outcome::Uncertain { reason: Reason::AnswerLost, .. }));
    }
    let before = Trouble::Said(Step::Data, reply("250 what?\r\n")).outcome(&to);
    assert!(matches!(before, Outcome::TryLater { reason: Reason::Unreachable, .. }));
    assert!(matches!(Trouble::Silence(Step::Content).outcome(&to), Outcome::TryLater { reason: Reason::Timeout, .. }));
}

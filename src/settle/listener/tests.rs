use super::dialogue::{Dialogue, Heard};
use super::letter::Letter;
use super::*;
use proptest::prelude::*;

/// Dot-stuffs a letter as a client does (RFC 5321 section 4.5.2).
fn stuffed(letter: &str) -> Vec<u8> {
    let lines =
        letter.split("\r\n").map(|line| if line.starts_with('.') { format!(".{line}") } else { line.to_owned() });
    let mut wire = lines.collect::<Vec<_>>().join("\r\n");
    if !letter.ends_with("\r\n") {
        wire.push_str("\r\n");
    }
    (wire + ".\r\n").into_bytes()
}

#[test]
fn a_letter_ends_at_its_dot_and_nowhere_else() {
    let read = |wire: &[u8]| {
        let mut letter = Letter::new(1_000);
        let (used, is_whole) = letter.push(wire);
        (String::from_utf8(letter.into_bytes()).unwrap(), used, is_whole)
    };
    assert_eq!(read(b"a\r\n..b\r\n.\r\nNOOP\r\n"), ("a\r\n.b\r\n".to_owned(), 11, true));
    assert_eq!(read(b".\r\n"), (String::new(), 3, true));
    // What somebody writes who wants to hide a second letter in the first.
    for smuggled in ["a\n.\nMAIL", "a\n.\r\nMAIL", "a\r.\r\nMAIL", "a\r\n.\nMAIL", "a\r\n.\rMAIL"] {
        assert!(!read(smuggled.as_bytes()).2, "{smuggled:?}");
    }
}

#[test]
fn a_letter_that_is_too_long_is_read_to_its_end_and_not_kept() {
    let mut letter = Letter::new(10);
    assert_eq!(letter.push(b"0123456789a\r\n.\r\nNOOP"), (16, true));
    assert!(letter.is_too_long() && letter.into_bytes().len() <= 10);
}

proptest! {
    #[test]
    fn every_letter_comes_through_however_it_is_cut(lines in proptest::collection::vec("[.a\\n\\r가]{0,6}", 1..8), cut in 1usize..9) {
        let letter: String = lines.iter().map(|line| line.replace('\r', "") + "\r\n").collect();
        let wire = stuffed(&letter);
        let mut read = Letter::new(10_000);
        let mut whole = false;
        for part in wire.chunks(cut) {
            prop_assert!(!whole);
            let (used, is_whole) = read.push(part);
            whole = is_whole;
            prop_assert!(used == part.len());
        }
        prop_assert!(whole);
        prop_assert_eq!(String::from_utf8(read.into_bytes()).unwrap(), letter);
    }

    #[test]
    fn no_command_is_too_strange(lines in proptest::collection::vec("(LHLO|EHLO|MAIL FROM:|RCPT TO:|DATA|RSET|.{0,4})[ <>@a-z.=가]{0,30}", 0..40)) {
        for protocol in [Protocol::Lmtp, Protocol::Smtp] {
            let mut dialogue = Dialogue::new(protocol, "host".to_owned(), vec!["b.example".to_owned()]);
            for line in &lines {
                match dialogue.hear(line) {
                    Heard::Say(answer) | Heard::Bye(answer) => prop_assert!(answer.ends_with("\r\n")),
                    Heard::Letter(to) => prop_assert!(to.iter().all(|to| to.to_lowercase().ends_with("@b.example"))),
                }
            }
        }
    }
}

fn said(dialogue: &mut Dialogue, line: &str) -> String {
    match dialogue.hear(line) {
        Heard::Say(answer) | Heard::Bye(answer) => answer[..3].to_owned(),
        Heard::Letter(to) => format!("letter for {}", to.len()),
    }
}

#[test]
fn only_mail_for_our_domains_is_taken() {
    let mut dialogue = Dialogue::new(Protocol::Smtp, "host".to_owned(), vec!["bounce.example.org".to_owned()]);
    for (line, answer) in [
        ("MAIL FROM:<>", "503"),
        ("LHLO me", "500"),
        ("ehlo me", "250"),
        ("RCPT TO:<a@bounce.example.org>", "503"),
        ("MAIL FROM:<> SIZE=99999999", "552"),
        ("MAIL FROM:<> SMTPUTF8", "555"),
        ("mail from:<> SIZE=100 BODY=8BITMIME", "250"),
        ("MAIL FROM:<>", "503"),
        ("DATA", "503"),
        ("RCPT TO:<a@example.org>", "550"),
        ("RCPT TO:<a@bounce.example.org@example.org>", "550"),
        ("RCPT TO:<postmaster>", "550"),
        ("RCPT TO:a@bounce.example.org", "501"),
        ("RCPT TO:<a b@bounce.example.org>", "501"),
        ("RCPT TO:<Bounce+X@BOUNCE.example.ORG>", "250"),
        ("DATA", "letter for 1"),
    ] {
        assert_eq!(said(&mut dialogue, line), answer, "{line}");
    }
    assert_eq!(dialogue.after_letter(1, "250 kept"), "250 kept\r\n");
    assert_eq!(said(&mut dialogue, "DATA"), "503");
}

#[test]
fn recipients_and_mistakes_have_limits_and_lmtp_answers_for_each_recipient() {
    let mut dialogue = Dialogue::new(Protocol::Lmtp, "host".to_owned(), vec!["b.example".to_owned()]);
    assert_eq!((said(&mut dialogue, "EHLO me").as_str(), said(&mut dialogue, "LHLO me").as_str()), ("500", "250"));
    assert_eq!(said(&mut dialogue, "MAIL FROM:<x@y.example>"), "250");
    for number in 0..100 {
        assert_eq!(said(&mut dialogue, &format!("RCPT TO:<{number}@b.example>")), "250");
    }
    assert_eq!(said(&mut dialogue, "RCPT TO:<101@b.example>"), "452");
    assert_eq!(said(&mut dialogue, "DATA"), "letter for 100");
    assert_eq!(dialogue.after_letter(3, "250 kept"), "250 kept\r\n".repeat(3));
    let bye = (0..30).find(|_| matches!(dialogue.hear("WHAT"), Heard::Bye(_)));
    assert!(bye.is_some());
}

use super::*;
use crate::render::mail::tests::{digest, language, render, site};
use std::process::{Command, Stdio};

fn sender() -> Sender {
    Sender {
        name: "weekly".to_owned(),
        from: LocalText::same("하늘정책연구원, \"주간\" 소식"),
        address: Address::parse("news@allim.example.org").unwrap(),
        reply_to: Some(Address::parse("ask@allim.example.org").unwrap()),
        list_id: "weekly.allim.example.org".to_owned(),
        message_id_domain: "allim.example.org".to_owned(),
        bounce_domain: None,
        help_url: Some("https://allim.example.org/".to_owned()),
    }
}

const URL: &str = "https://allim.example.org/unsubscribe/abcdefghijklmnopqrstuvwxyz0123456789";

/// A letter with the given subject, recipient's name and link.
fn write(subject: &str, name: &str, url: Option<&str>, sender: &Sender) -> Result<Vec<u8>, RenderError> {
    let mut pieces = render(&digest(), true, "ko", &site());
    pieces.subject = subject.to_owned();
    // Stored and read back, as every letter's pieces are.
    let pieces: Pieces = serde_json::from_str(&serde_json::to_string(&pieces).unwrap()).unwrap();
    letter(&Letter {
        pieces: &pieces,
        sender,
        to: &Address::parse("reader@example.com").unwrap(),
        to_name: Some(&CleanText::new(name)),
        language: &language("ko"),
        delivery: &DeliveryKey { plan_id: 7, recipient_id: 9, carrier: "mail".to_owned() },
        planned_at: UnixMillis(1_776_812_400_000),
        unsubscribe_url: url,
    })
}

/// Python's `email` package with its strict policy, as a second opinion: headers and decoded parts as JSON.
fn python(bytes: &[u8]) -> serde_json::Value {
    let program = "import sys, json, email, email.policy\n\
        m = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.strict + email.policy.SMTP)\n\
        d = {k.lower(): str(v) for k, v in m.items()}\n\
        defects = [str(x) for v in m.values() for x in getattr(v, 'defects', [])]\n\
        parts = [{'type': p.get_content_type(), 'body': p.get_content()} for p in m.iter_parts()]\n\
        a = m['to'].addresses[0]; f = m['from'].addresses[0]\n\
        print(json.dumps({'headers': d, 'defects': defects, 'parts': parts, 'type': m.get_content_type(),\n\
          'to': [a.display_name, a.addr_spec], 'from': [f.display_name, f.addr_spec], 'count': len(m.keys())}))\n";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn another_reader_sees_what_was_meant() {
    let subjects = [
        "주간 소식 · 2026년 4월 22일 · 3건",
        "Plain English subject that is quite long, so long indeed that it must be folded somewhere",
        "Half 한글 half English ‧ \"quoted\" <상세문의> =?utf-8?B?Zm9v?= 끝",
        "=?utf-8?B?Zm9v?=",
        &"아주 긴 제목 ".repeat(80),
        &"x".repeat(900),
        "🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓🎓",
    ];
    for subject in subjects {
        let bytes = write(subject, "김, \"하늘\"", Some(URL), &sender()).unwrap();
        let seen = python(&bytes);
        assert_eq!(seen["defects"], serde_json::json!([]), "{subject}");
        assert_eq!(seen["headers"]["subject"], subject.trim(), "{}", String::from_utf8_lossy(&bytes[..900]));
        assert_eq!(seen["to"], serde_json::json!(["김, \"하늘\"", "reader@example.com"]));
        assert_eq!(seen["from"], serde_json::json!(["하늘정책연구원, \"주간\" 소식", "news@allim.example.org"]));
        assert_eq!(seen["type"], "multipart/alternative");
        let parts = seen["parts"].as_array().unwrap();
        assert_eq!((parts.len(), &parts[0]["type"], &parts[1]["type"]), (2, &"text/plain".into(), &"text/html".into()));
        assert!(parts[0]["body"].as_str().unwrap().contains("김, \"하늘\" 님, 안녕하세요."));
        assert!(parts[1]["body"].as_str().unwrap().contains("김, &quot;하늘&quot; 님, 안녕하세요."));
    }
}

#[test]
fn both_encodings_are_read_back_as_written() {
    let english = "Dear all,\n\nFrom here on: = signs, trailing space \n.\n".to_owned() + &"long ".repeat(300);
    for content in [english.clone(), english + "한글", "한글 ".repeat(300)] {
        let pieces = Pieces { subject: "s".to_owned(), html: content.clone(), text: content.clone(), calendar: None };
        let bytes = letter(&Letter {
            pieces: &pieces,
            sender: &sender(),
            to: &Address::parse("reader@example.com").unwrap(),
            to_name: None,
            language: &language("en"),
            delivery: &DeliveryKey { plan_id: 1, recipient_id: 2, carrier: "mail".to_owned() },
            planned_at: UnixMillis(0),
            unsubscribe_url: None,
        });
        let bytes = bytes.unwrap();
        assert!(bytes.is_ascii() && bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= 79));
        for part in python(&bytes)["parts"].as_array().unwrap() {
            assert_eq!(part["body"].as_str().unwrap().replace("\r\n", "\n").trim_end(), content.trim_end());
        }
    }
}

#[test]
fn the_headers_are_those_that_receivers_ask_for() {
    let bytes = write("제목", "김하늘", Some(URL), &sender()).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let id = DeliveryKey { plan_id: 7, recipient_id: 9, carrier: "mail".to_owned() }.text_id();
    for line in [
        "Date: Tue, 21 Apr 2026 23:00:00 +0000".to_owned(),
        format!("Message-ID: <{id}@allim.example.org>"),
        format!("List-Unsubscribe: <{URL}>"),
        "List-Unsubscribe-Post: List-Unsubscribe=One-Click".to_owned(),
        "Auto-Submitted: auto-generated".to_owned(),
        "MIME-Version: 1.0".to_owned(),
        "Reply-To: ask@allim.example.org".to_owned(),
        format!("--=_{id}--"),
    ] {
        assert!(
            text.contains(&format!("\r\n{line}\r\n")) || text.starts_with(&format!("{line}\r\n")),
            "{line}\n{}",
            &text[..1_500]
        );
    }
    assert!(text.contains(" <weekly.allim.example.org>\r\n"));
    assert!(text.is_ascii() && !text.replace("\r\n", "").contains(['\r', '\n']));
    let long: Vec<&str> = text.split("\r\n").filter(|line| line.len() > 78).collect();
    assert_eq!(long, [format!("List-Unsubscribe: <{URL}>")].iter().filter(|line| line.len() > 78).collect::<Vec<_>>());
}

#[test]
fn the_same_letter_is_the_same_bytes_and_holds_no_mark() {
    let first = write("제목", "김하늘", Some(URL), &sender()).unwrap();
    assert_eq!(first, write("제목", "김하늘", Some(URL), &sender()).unwrap());
    for url in [Some(URL), None] {
        let seen = python(&write("제목", "", url, &sender()).unwrap());
        assert_eq!(seen["headers"].get("list-unsubscribe").is_some(), url.is_some());
        for part in seen["parts"].as_array().unwrap() {
            let body = part["body"].as_str().unwrap();
            assert!(!body.contains(|c: char| c >= '\u{10FFF0}') && !body.contains("안녕하세요"));
            assert_eq!((body.contains(URL), body.contains("수신 거부")), (url.is_some(), url.is_some()));
        }
    }
}

#[test]
fn no_value_brings_a_header_of_its_own() {
    let hostile = "x\r\nBcc: victim@example.net\r\n\r\nbody\0\u{85}\u{2028}";
    let plain = python(&write("제목", "김", Some(URL), &sender()).unwrap());
    let seen =
        python(&write(hostile, hostile, Some(URL), &Sender { from: LocalText::same(hostile), ..sender() }).unwrap());
    assert_eq!(seen["headers"]["subject"], "x Bcc: victim@example.net body");
    assert!(seen["headers"].get("bcc").is_none());
    assert_eq!(seen["count"], plain["count"]);

    for bad in ["a\r\nBcc: x", "a b", "a>", "", "a..b", "목록.example"] {
        for sender in
            [Sender { list_id: bad.to_owned(), ..sender() }, Sender { message_id_domain: bad.to_owned(), ..sender() }]
        {
            assert!(matches!(write("제목", "김", Some(URL), &sender), Err(RenderError::Field { .. })), "{bad}");
        }
    }
    for bad in
        ["https://a.example/>\r\nBcc: x", "https://a.example/a b", "mailto:a@example.org", "https://a.example/한글"]
    {
        assert!(matches!(write("제목", "김", Some(bad), &sender()), Err(RenderError::Field { .. })), "{bad}");
    }
}

#[test]
fn an_address_to_leave_by_stands_behind_the_link_and_brings_no_field_of_its_own() {
    let pieces = Pieces { subject: "s".to_owned(), html: "h".to_owned(), text: "t".to_owned(), calendar: None };
    let form = LetterForm::new(&pieces, &sender(), &language("en")).unwrap();
    let (to, delivery) = (
        Address::parse("reader@example.com").unwrap(),
        DeliveryKey { plan_id: 1, recipient_id: 2, carrier: "mail".to_owned() },
    );
    let fill = |leave_address| {
        let planned_at = UnixMillis(0);
        form.fill(&Fill {
            manage_url: None,
            to: &to,
            to_name: None,
            delivery: &delivery,
            planned_at,
            unsubscribe_url: Some(URL),
            text_only: false,
            leave_address,
        })
    };
    let letter = fill(Some("leave+k1-abc234@bounce.example.org")).unwrap();
    let wanted = format!(
        "\r\nList-Unsubscribe: <{URL}>,\r\n <mailto:leave+k1-abc234@bounce.example.org?subject=unsubscribe>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    );
    assert!(String::from_utf8(letter.clone()).unwrap().contains(&wanted));
    assert_eq!(letter, fill(Some("leave+k1-abc234@bounce.example.org")).unwrap());
    for bad in ["a@b>\r\nBcc: x@y", "a@b?body=x", "a b@c", "a@b%0d", "알@b"] {
        assert!(matches!(fill(Some(bad)), Err(RenderError::Field { field: "leave_address", .. })), "{bad}");
    }
}

//! Letters of many shapes, made as the daemon makes them, before readers that aren't ours: Python's `email` with its strict
//! policy, mailparser and dkimpy (`letters.py`), and mail-parser.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::audience::Address;
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::DeliveryKey;
use allim::domain::edition::{EditionKind, ItemForm};
use allim::domain::language::Language;
use allim::domain::post::{Post, Showable, Standing};
use allim::domain::text::CleanText;
use allim::render::dkim::{Key, Signer, signed};
use allim::render::letter::{Fill, LetterForm, Sender};
use allim::render::mail::{Entry, HTML_LEN_MAX, Issue, LocalText, Site, pieces};
use allim::render::templates::Templates;
use mail_parser::{MessageParser, MimeHeaders as _};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use support::keys;

const AT: UnixMillis = UnixMillis(1_776_812_400_000);

/// What is hard in a post: a title, and the language it is in.
const TITLES: [(&str, &str); 9] = [
    ("ko", "2026 물과 도시 포럼 ‧ 참가자 모집 <상세문의>"),
    ("en", "Call for papers: \"Rivers & <Harbours>\", second round; see https://cfp.example.org/?a=1&b=2"),
    ("zh", "关于举办“水与城市”论坛的通知（第二轮）"),
    ("ko", "가족 👩‍👩‍👧‍👦 과 함께하는 🚰 행사 🇰🇷 안내 👍🏽"),
    ("en", "Right to left: \u{202B}שלום עולם\u{202C} and \u{200F}back, soft\u{AD}hyphen, =?utf-8?B?bm90IG91cnM=?="),
    ("ko", "아주긴낱말이띄어쓰기없이계속이어지는제목입니다그래서접을곳이없습니다그래도줄은짧아야합니다"),
    ("en", "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft.pdf_and_one_more_word"),
    ("zh", "𠮷野家与𡈽屋：超出基本平面的汉字，以及\u{3000}全角空格　和 ﷽"),
    ("ko", "짧다"),
];

/// A name and an address of a reader.
const READERS: [(&str, &str); 5] = [
    ("", "reader@example.com"),
    ("이하늘", "ha.neul+news@example.com"),
    ("Kim, \"Sky\" \\o/ =?x?=", "o'dd_name@example.com"),
    ("아주 긴 이름을 가진 독자님의 이름은 여러 줄로 접힙니다 그래도 읽힙니다", "reader@xn--3e0b707e.example"),
    ("독자", "독자@example.com"),
];

fn post(id: usize, language: &str, title: &str) -> Showable {
    let body = match id % 3 {
        0 => {
            json!({ "format": "html", "content": format!("<h2>안내 {id}</h2><p>본문 <b>굵게</b>, <a href=\"https://form.example.org/?id={id}&x=1\">신청</a></p>\
            <ul><li>하나</li><li>둘</li></ul><table><tr><td>때</td><td>오후</td></tr></table><p>{}</p>", "긴 글이 이어집니다. ".repeat(60)) })
        }
        1 => {
            json!({ "format": "markdown", "content": format!("Write to us: [form](https://form.example.org/{id}).\n\n{}", "More words. ".repeat(90)) })
        }
        _ => {
            json!({ "format": "text", "content": format!("正文第{id}段。\n\n.\n..\nFrom here on\n{}", "很长的一行".repeat(120)) })
        }
    };
    let post: Post = serde_json::from_value(json!({
        "source_id": id.to_string(), "language": language, "topics": ["events"], "breadcrumb": ["알림", "행사"], "title": title,
        "published_at": AT.0 - 60_000, "url": format!("https://board.example.org/view?id={id}&p=1"), "body": body,
        "images": [{ "url": format!("https://board.example.org/{id}.jpg"), "alt": "불 켜진 \"강당\"", "caption": "강당 <사진>" }],
        "attachments": [{ "url": format!("https://board.example.org/down.do?f={id}&n=2"), "name": "모집 요강 & 서식.pdf", "bytes": 1_234_567 }],
        "contact": { "department": "국제협력실", "email": "ask@example.org" },
        "event": { "starts_at": "2026-05-06T14:00:00", "time_zone": "Asia/Seoul", "location": "강당" },
    }))
    .expect("a post");
    let standing = Standing {
        post_id: format!("p{id}"),
        story_id: format!("s{id}"),
        source: "cms".to_owned(),
        revision: 1,
        received_at: AT,
        revised_at: None,
        public_at: Some(AT),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    Showable::public(standing, post).expect("public")
}

fn site() -> Site {
    Site {
        name: serde_json::from_value(
            json!({ "ko": "해오름 물연구소", "en": "Haeoreum Water Institute", "zh": "日升水研究所" }),
        )
        .expect("names"),
        public_url: Some("https://allim.example.org".to_owned()),
        contact: Some("info@example.org".to_owned()),
        postal_address: Some("1 Harbour Road, Haeoreum".to_owned()),
    }
}

fn sender() -> Sender {
    Sender {
        name: "news".to_owned(),
        from: LocalText::same("해오름 물연구소, \"주간\" 소식"),
        address: Address::parse("news@example.org").expect("an address"),
        reply_to: Some(Address::parse("ask@example.org").expect("an address")),
        list_id: "news.example.org".to_owned(),
        message_id_domain: "example.org".to_owned(),
        bounce_domain: None,
        help_url: Some("https://allim.example.org/".to_owned()),
    }
}

/// An issue of the posts of these titles, for readers of a language. Digests have their events attached.
fn form(language: &str, titles: &[(&str, &str)], is_digest: bool) -> (String, LetterForm) {
    form_of(EditionKind::Issue, language, titles, is_digest)
}

fn form_of(kind: EditionKind, language: &str, titles: &[(&str, &str)], is_digest: bool) -> (String, LetterForm) {
    let entry = |(index, (of, title)): (usize, &(&str, &str))| Entry {
        showable: post(index, of, title),
        topic_title: ["행사", "Notices & more", "研究"][index % 3].to_owned(),
        also_titles: if index % 4 == 0 { vec!["발간물".to_owned()] } else { vec![] },
        form: if index == 19 { ItemForm::Revised } else { ItemForm::Post },
    };
    let entries: Vec<Entry> = titles.iter().enumerate().map(entry).collect();
    let language = Language::parse(language).expect("a tag");
    let issue = Issue {
        language: &language,
        schedule_title: "주간 소식 — News of the week",
        kind,
        is_digest,
        is_commercial: false,
        site: &site(),
        entries: &entries,
        planned_at: AT,
        zone: &jiff::tz::TimeZone::get("Asia/Seoul").expect("a zone"),
        web_copy_url: Some("https://allim.example.org/editions/k1.a.b-c_d"),
        notes_revisions: true,
        calendar_authority: is_digest.then_some("example.org"),
    };
    let pieces = pieces(&issue, &Templates::load(None).expect("templates")).expect("pieces");
    assert!(pieces.html.len() <= HTML_LEN_MAX);
    let form = LetterForm::new(&pieces, &sender(), &language).expect("a form");
    (pieces.subject, form)
}

fn signers() -> Vec<Signer> {
    let signer = |selector: &str, pem: String| {
        Signer::new("example.org".to_owned(), selector.to_owned(), Key::from_pem(pem.as_bytes()).expect("a key"))
    };
    vec![signer("rsa", keys::rsa(2048)), signer("ed", keys::ed25519())]
}

/// Name and text of a TXT record.
fn record(signer: &Signer) -> (String, Value) {
    let line = signer.dns_record();
    let (name, text) = line.split_once(". IN TXT ").expect("a record");
    (name.to_owned(), text.split('"').skip(1).step_by(2).collect::<String>().into())
}

#[test]
fn readers_that_are_not_ours_find_no_defect() {
    let (Some(python), Some(tools)) = (support::server("ALLIM_TEST_PYTHON"), support::server("ALLIM_TEST_TOOLS"))
    else {
        return;
    };
    let (folder, signers) = (tempfile::tempdir().expect("a folder"), signers());
    let twenty: Vec<(&str, &str)> = TITLES.iter().cycle().take(20).copied().collect();
    let mut issues: Vec<(String, LetterForm)> = Vec::new();
    for language in ["ko", "en", "zh"] {
        issues.extend(TITLES.iter().map(|title| form(language, &[*title], false)));
        issues.push(form(language, &TITLES[..3], true));
        issues.push(form(language, &twenty, true));
        issues.push(form_of(EditionKind::Heartbeat, language, &[], true));
        issues.push(form_of(EditionKind::Correction, language, &TITLES[..1], false));
        issues.push(form_of(EditionKind::Test, language, &TITLES[..2], false));
    }
    let mut letters = Vec::new();
    for (number, (subject, form)) in (0i64..).zip(&issues) {
        for (recipient_id, (name, address)) in (0i64..).zip(READERS) {
            let delivery = DeliveryKey { plan_id: number, recipient_id, carrier: "email".to_owned() };
            let fill = Fill {
                to: &Address::parse(address).expect("an address"),
                to_name: Some(&CleanText::new(name)),
                delivery: &delivery,
                planned_at: AT,
                unsubscribe_url: Some(&format!("https://allim.example.org/unsubscribe/k1.{}.abc-_", "x".repeat(60))),
                manage_url: Some(&format!("https://allim.example.org/manage/k1.{}.abc-_", "y".repeat(60))),
                leave_address: None,
                text_only: false,
            };
            let letter = signed(&form.fill(&fill).expect("a letter"), &signers, AT).expect("signed");
            by_mail_parser(&letter, subject);
            let path = folder.path().join(format!("{number}-{recipient_id}.eml"));
            std::fs::write(&path, letter).expect("written");
            letters.push(json!({ "path": path, "subject": subject, "name": name, "is_utf8": !address.is_ascii() }));
        }
    }
    assert_eq!(letters.len(), 3 * 14 * 5);
    let records: serde_json::Map<String, Value> = signers.iter().map(record).collect();
    let wrong = asked(&python, &tools, &json!({ "letters": letters, "records": records }));
    assert!(wrong.is_empty(), "{} defects:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// What `letters.py` found wrong.
fn asked(python: &str, tools: &str, question: &Value) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/letters.py");
    let mut child = Command::new(python)
        .arg(script)
        .env("PYTHONPATH", format!("{tools}/python"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("a pipe").write_all(question.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "letters.py failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn by_mail_parser(letter: &[u8], subject: &str) {
    let message = MessageParser::default().parse(letter).expect("a mail");
    assert_eq!(message.subject(), Some(subject));
    assert!(message.parts.iter().all(|part| !part.is_encoding_problem), "{subject}");
    let kinds: Vec<_> = message.parts.iter().filter_map(|part| part.content_type()?.subtype()).collect();
    let attached = kinds.iter().filter(|kind| **kind == "calendar").count();
    assert_eq!((message.text_body_count(), message.html_body_count(), message.attachment_count()), (1, 1, attached));
    match attached {
        0 => assert_eq!(kinds, ["alternative", "plain", "html"]),
        _ => assert_eq!(kinds, ["mixed", "alternative", "plain", "html", "calendar"]),
    }
}

/// The checks must be able to fail: a letter that was spoilt in one place each is told of.
#[test]
fn the_checks_see_what_is_wrong() {
    let (Some(python), Some(tools)) = (support::server("ALLIM_TEST_PYTHON"), support::server("ALLIM_TEST_TOOLS"))
    else {
        return;
    };
    let (folder, signers) = (tempfile::tempdir().expect("a folder"), signers());
    let (subject, form) = form("ko", &TITLES[..1], false);
    let delivery = DeliveryKey { plan_id: 1, recipient_id: 1, carrier: "email".to_owned() };
    let to = Address::parse("reader@example.com").expect("an address");
    let url = Some("https://allim.example.org/unsubscribe/x");
    let fill = Fill {
        to: &to,
        to_name: None,
        delivery: &delivery,
        planned_at: AT,
        unsubscribe_url: url,
        manage_url: url,
        leave_address: None,
        text_only: false,
    };
    let letter = signed(&form.fill(&fill).expect("a letter"), &signers, AT).expect("signed");
    let text = String::from_utf8(letter).expect("ASCII");
    let records: serde_json::Map<String, Value> = signers.iter().map(record).collect();
    let spoilt = [
        ("a bare CR", text.replacen("\r\nSubject", "\nSubject", 1)),
        ("encoded word", text.replacen("=?utf-8?B?", &format!("=?utf-8?B?{}", "6rCA".repeat(20)), 1)),
        ("list-help stands there 0", text.replacen("\r\nList-Help", "\r\nX-Help", 1)),
        ("doesn't verify", text.replacen("\r\nAuto-Submitted: auto-generated", "\r\nAuto-Submitted: auto-replied", 1)),
        (
            "a header line",
            text.replacen(
                "Auto-Submitted: auto-",
                &format!("X-Long: {}\r\nAuto-Submitted: auto-", "a b ".repeat(40)),
                1,
            ),
        ),
    ];
    for (told, spoilt) in spoilt {
        let path = folder.path().join("spoilt.eml");
        assert_ne!(spoilt, text, "{told}");
        std::fs::write(&path, spoilt).expect("written");
        let letters = json!([{ "path": path, "subject": subject, "name": "", "is_utf8": false }]);
        let wrong = asked(&python, &tools, &json!({ "letters": letters, "records": records }));
        assert!(wrong.iter().any(|one| one.contains(told)), "{told}: {wrong:?}");
    }
}

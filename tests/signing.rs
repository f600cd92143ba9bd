//! DKIM from the configuration to the letter: two algorithms and two domains, verified by dkimpy, which isn't ours.
#![allow(missing_docs, reason = "a test")]

mod support;

use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Setting, keys, post, wait_until};

/// A limit, not a wait.
const LIMIT: Duration = Duration::from_secs(60);

/// Reads `{"records": {name: text}, "letter": base64}` from its input; says of each signature whether it verifies, and what
/// its `h=` names.
const VERIFY: &str = r#"
import base64, json, re, sys, dkim
asked = json.load(sys.stdin)
letter = base64.b64decode(asked["letter"])
def dns(name, timeout=5):
    text = asked["records"].get(name.decode().rstrip("."))
    return None if text is None else text.encode()
said = []
signer = dkim.DKIM(letter)
fields = [value for name, value in signer.headers if name.lower() == b"dkim-signature"]
for index, field in enumerate(fields):
    tags = dict(re.findall(r"(\w+)=([^;]*)", re.sub(r"\s+", "", field.decode())))
    try:
        holds = dkim.DKIM(letter).verify(index, dnsfunc=dns)
    except dkim.DKIMException as error:
        holds = str(error)
    said.append({"holds": holds, "tags": tags})
print(json.dumps(said))
"#;

fn key_file(setting: &Setting, name: &str, pem: &str) -> PathBuf {
    let path = setting.path().join(name);
    std::fs::write(&path, pem).expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("ours");
    path
}

/// A sender that signs three times: RSA from both kinds of file, and Ed25519.
fn signing() -> Setting {
    let mut setting = Setting::new();
    key_file(&setting, "a.pem", &keys::rsa_pkcs1());
    key_file(&setting, "b.pem", &keys::ed25519());
    key_file(&setting, "c.pem", &keys::rsa(2048));
    setting.extra = "[[sender.dkim]]\nselector = \"2026a\"\nkey_file = \"a.pem\"\n\
        [[sender.dkim]]\nselector = \"2026b\"\nkey_file = \"b.pem\"\n\
        [[sender.dkim]]\ndomain = \"mail.example.net\"\nselector = \"a.b\"\nkey_file = \"c.pem\"\n"
        .to_owned();
    setting
}

/// The records that `allim check` wants published, as a resolver would give them: name and text.
fn records(findings: &Value) -> serde_json::Map<String, Value> {
    let line = |line: &str| {
        let (name, text) = line.split_once(". IN TXT ").expect("a record");
        let text: String = text.split('"').skip(1).step_by(2).collect();
        (name.to_owned(), Value::from(text))
    };
    let all = findings.as_array().expect("a list").iter();
    all.filter_map(|one| one["dns"].as_str()).map(line).collect()
}

fn verified(python: &str, records: &serde_json::Map<String, Value>, letter: &[u8]) -> Vec<Value> {
    use base64::Engine as _;
    let letter = base64::engine::general_purpose::STANDARD.encode(letter);
    let asked = serde_json::json!({ "records": records, "letter": letter }).to_string();
    let mut child = Command::new(python)
        .args(["-c", VERIFY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    child.stdin.take().expect("a pipe").write_all(asked.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn letters(setting: &Setting) -> Vec<Vec<u8>> {
    let Ok(files) = std::fs::read_dir(setting.maildir()) else { return Vec::new() };
    files.map(|file| std::fs::read(file.expect("a file").path()).expect("a letter")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_verifier_finds_every_signature_good() {
    let Some(python) = support::server("ALLIM_TEST_PYTHON") else { return };
    let setting = signing();
    setting.subscribe(&[
        "ko@example.net,\"김하나, 귀하\",ko,events,immediate".to_owned(),
        "en@example.net,Ann O'Nym,en,events,immediate".to_owned(),
        "독자@example.net,,ko,events,immediate".to_owned(),
    ]);
    let findings: Value = serde_json::from_str(&setting.run(&["--json", "check"])).expect("JSON");
    let records = records(&findings);
    assert_eq!(records.len(), 3, "{findings}");
    let daemon = setting.start();
    let client = reqwest::Client::new();
    let title = "제목이 아주 길어서 여러 줄로 접히는 알림 — 2026년 행사 안내 ".repeat(4);
    for (sent, id, title, language) in
        [(0, "k", title.trim(), "ko"), (3, "e", "Plain words,  two spaces \t and a tab", "en")]
    {
        let mut body = post(id, title, language, &["events"]);
        let words = if language == "ko" { "긴 낱말 " } else { "long words " };
        let text = format!("{title}  \n\n .\n two  spaces and a tab\there \n\n{}", words.repeat(400));
        body["body"]["content"] = Value::from(text);
        support::publish(&client, &setting.url("/api/v1/posts"), &body).await;
        // Each post in a mail of its own: two that are released together would share one.
        wait_until("letters", LIMIT, || letters(&setting).len() >= sent + 3);
    }
    daemon.stop();
    let all = letters(&setting).concat();
    for encoding in ["quoted-printable", "base64"] {
        assert!(memchr::memmem::find(&all, encoding.as_bytes()).is_some(), "no letter holds {encoding}");
    }
    for letter in letters(&setting) {
        let verdicts = verified(&python, &records, &letter);
        assert_eq!(verdicts.len(), 3);
        for said in verdicts {
            assert_eq!(said["holds"], true, "{said}\n{}", String::from_utf8_lossy(&letter));
            let tags = &said["tags"];
            assert!(tags.get("l").is_none() && tags["c"] == "relaxed/relaxed", "{tags}");
            let names = tags["h"].as_str().expect("a list").to_lowercase();
            let names: Vec<&str> = names.split(':').collect();
            assert_eq!(names.iter().filter(|name| **name == "from").count(), 2, "{names:?}");
            let head = String::from_utf8_lossy(&letter).split("\r\n\r\n").next().expect("a header").to_lowercase();
            for line in head.lines().filter(|line| !line.starts_with(' ')) {
                let name = line.split(':').next().expect("a name");
                assert!(name == "dkim-signature" || names.contains(&name), "{name} isn't signed");
            }
            for name in ["subject", "date", "to", "message-id", "mime-version", "content-type", "list-id"] {
                assert!(names.contains(&name), "{name}");
            }
            assert!(names.contains(&"list-unsubscribe") && names.contains(&"list-unsubscribe-post"), "{names:?}");
        }
    }
    let letter = letters(&setting).remove(0);
    let text = String::from_utf8(letter).expect("text");
    let spoilt = [
        text.replacen("List-Unsubscribe: <http", "List-Unsubscribe: <https", 1),
        format!("From: somebody@example.org\r\n{text}"),
        format!("{text}more\r\n"),
        text.replacen("\r\nSubject: ", "\r\nSubject: x", 1),
        text.replacen("charset=utf-8", "charset=utf-7", 1),
    ];
    for spoilt in spoilt {
        assert_ne!(spoilt, text);
        let said = verified(&python, &records, spoilt.as_bytes());
        assert!(said.len() == 3 && said.iter().all(|one| one["holds"] != true), "{said:?}");
    }
    // What relays do to letters doesn't matter.
    let travelled = format!("Received: by relay.example.org\r\n{}", text.replace("\r\n ", "\r\n\t  "));
    let said = verified(&python, &records, travelled.as_bytes());
    assert!(said.len() == 3 && said.iter().all(|one| one["holds"] == true), "{said:?}");
}

#[test]
fn what_is_wrong_with_a_key_is_told_and_nothing_starts() {
    let mut setting = signing();
    let told = |setting: &Setting, arguments: &[&str]| {
        let output = setting.command(arguments).output().expect("it runs");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8(text).expect("text"))
    };
    let (well, table) = told(&setting, &["check"]);
    assert!(well && table.contains("\n2026b._domainkey.example.org. IN TXT \"v=DKIM1; k=ed25519; p="), "{table}");
    assert!(table.contains("\n2026a._domainkey.example.org. IN TXT ( \"v=DKIM1; k=rsa; p=MII"), "{table}");
    let (_, shown) = told(&setting, &["config", "show"]);
    assert!(shown.contains("key_file = \"a.pem\"") && !shown.contains("PRIVATE KEY"), "{shown}");

    let open = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(setting.path().join("b.pem"), open).expect("ours");
    let (well, findings) = told(&setting, &["--json", "check"]);
    assert!(well && findings.contains("every user of this machine can read this private key"), "{findings}");

    for (pem, reason) in [
        (Some(keys::rsa(1024)), "less than 2048 bits"),
        (Some("-----BEGIN CERTIFICATE-----\n".to_owned()), "no private key"),
        (None, "No such file"),
    ] {
        let path = setting.path().join("b.pem");
        match pem {
            Some(pem) => std::fs::write(&path, pem).expect("written"),
            None => std::fs::remove_file(&path).expect("removed"),
        }
        for arguments in [&["check"][..], &["run"]] {
            let (well, said) = told(&setting, arguments);
            let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
            assert!(!well && said.contains("b.pem"), "{reason}: {said}");
            assert!(
                arguments[0] == "check" || said.contains(reason) && said.contains("sender[0].dkim[1].key_file"),
                "{said}"
            );
        }
    }
    setting.extra = "[[sender.dkim]]\ndomain = \"example.com\"\nselector = \"s\"\nkey_file = \"a.pem\"\n".to_owned();
    let (well, findings) = told(&setting, &["--json", "check"]);
    assert!(well && findings.contains("no signature is by example.org"), "{findings}");
}

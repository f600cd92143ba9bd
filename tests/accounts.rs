//! `allim account`, as an operator runs it: what each account would say of a post, and logins.
#![allow(missing_docs, reason = "a test")]

mod support;

use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Stdio;
use support::{Setting, post};

const ACCOUNTS: &str = r#"
[[account]]
name = "fediverse"
network = "mastodon"
language = "ko"
server = "https://social.example.org"
token_file = "fediverse.token"
[[account]]
name = "x"
network = "x"
language = "ko"
client_id = "our-program"
link = "source"
[[account]]
name = "bluesky"
network = "bluesky"
language = "ko"
user = "notices.example.org"
link = "source"
[[account]]
name = "team"
network = "chat_webhook"
language = "en"
flavour = "slack"
topics = ["notices"]
"#;

fn setting() -> Setting {
    let mut setting = Setting::new();
    setting.extra = ACCOUNTS.to_owned();
    setting
}

fn published(setting: &Setting, body: &Value) -> String {
    let file = setting.path().join("post.json");
    std::fs::write(&file, body.to_string()).expect("written");
    let published = setting.run(&["--json", "post", "publish", file.to_str().expect("a path"), "--to", "direct"]);
    let published: Value = serde_json::from_str(&published).expect("JSON");
    published["post_id"].as_str().expect("an id").to_owned()
}

#[test]
fn all_accounts_are_shown_side_by_side_and_what_does_not_fit_is_refused_with_the_reason() {
    let setting = setting();
    let mut body = post("forum-1", "지역 혁신 공개 토론회", "ko", &["events"]);
    body["tags"] = json!(["혁신 정책"]);
    body["url"] = json!(format!("https://board.example.org/{}", "x".repeat(400)));
    let id = published(&setting, &body);
    let shown: Value = serde_json::from_str(&setting.run(&["--json", "account", "preview", &id])).expect("JSON");
    let of = |name: &str| {
        let one = shown.as_array().expect("a list").iter().find(|one| one["account"] == name);
        one.unwrap_or_else(|| panic!("{name}: {shown}")).clone()
    };
    let fediverse = of("fediverse");
    let text = fediverse["says"]["text"].as_str().expect("a text");
    assert!(text.starts_with("지역 혁신 공개 토론회") && text.contains("#혁신정책"), "{text}");
    assert!(text.ends_with(&format!("/posts/{id}")) && fediverse["counts"][0]["max"] == 500, "{fediverse}");
    // X counts any address as 23; Bluesky counts it whole, and 400 characters of 300 can't be.
    assert!(of("x")["counts"][0]["count"].as_u64().is_some_and(|count| count <= 280));
    let refused = of("bluesky");
    assert!(
        refused["refused"].as_str().is_some_and(|why| why.contains("of the 300 that the network takes")),
        "{refused}"
    );
    assert!(of("team")["passed_over"].as_str().is_some_and(|why| why.contains("posts in en only")));
    let table = setting.run(&["account", "preview", &id]);
    assert!(table.contains("can't be posted: its address alone") && table.contains("of 280 weighted"), "{table}");
    let list = setting.run(&["account", "list"]);
    assert!(list.contains("fediverse") && list.contains("chat_webhook"), "{list}");
}

#[test]
fn a_token_is_pasted_and_kept_and_a_browser_is_sent_with_a_challenge() {
    let setting = setting();
    let login = |name: &str, line: &str| {
        let mut command = setting.command(&["account", "login", name]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        child.stdin.take().expect("a pipe").write_all(line.as_bytes()).expect("it is read");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let (is_well, out, err) = login("fediverse", "canary-token-4711\n");
    assert!(
        is_well && out.contains("is logged in") && !out.contains("canary") && !err.contains("canary"),
        "{out}{err}"
    );
    // It is sealed: whoever has the database alone can't use it, and no file holds it.
    assert!(!setting.path().join("fediverse.token").exists());
    let mut files = 0;
    for entry in std::fs::read_dir(setting.path()).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            let bytes = std::fs::read(&path).expect("read");
            assert!(memchr::memmem::find(&bytes, b"canary-token-4711").is_none(), "{}", path.display());
            files += 1;
        }
    }
    assert!(files > 0);
    let list = setting.run(&["account", "list"]);
    assert!(list.contains("well"), "{list}");
    let (is_well, out, err) = login("x", "https://localhost/?state=another&code=abc\n");
    assert!(
        !is_well && out.contains("https://x.com/i/oauth2/authorize?response_type=code&client_id=our-program"),
        "{out}"
    );
    assert!(out.contains("code_challenge_method=S256") && err.contains("answers another question"), "{err}");
    let (is_well, _, err) = login("nobody", "x\n");
    assert!(!is_well && err.contains("no [[account]] has the name `nobody`; there are: fediverse, x"), "{err}");
}

//! Partners as operators manage them: by the command line, and the same by the interface.

use crate::interface::Site;
use crate::support;
use allim::domain::clock::UnixMillis;
use allim::domain::partner::FAILING_MAX;
use allim::store::Tx;
use allim::store::partners;
use axum::http::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const OPERATOR: &str = "operators-token";

type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver that answers with a status, and keeps the signature and body of what it heard.
async fn receiver(status: u16) -> (String, Heard) {
    let heard = Heard::default();
    let kept = heard.clone();
    let hear = move |headers: HeaderMap, body: String| async move {
        let signature = headers.get("webhook-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
        kept.lock().expect("not poisoned").push((signature.to_owned(), body));
        (axum::http::StatusCode::from_u16(status).expect("a status"), "as you say")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(hear)).await });
    (url, heard)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_lives_by_the_command_line() {
    let site = Site::new();
    let (url, heard) = receiver(202).await;
    let run = |arguments: &[&str]| site.setting.run(&[&["partner"], arguments].concat());
    let fails = |arguments: &[&str]| {
        let output = site.setting.command(&[&["partner"], arguments].concat()).output().expect("it runs");
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
    };
    let secrets = site.add(&["university", "--url", &url, "--topic", "events", "--contact", "duty@example.net"]);
    assert!(text(&secrets, "token").starts_with("allimp_"));
    let key = std::fs::metadata(site.setting.path().join("seal.key")).expect("a key");
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    let listed = run(&["list"]);
    assert!(listed.contains("university") && listed.contains("events") && listed.contains("well"), "{listed}");
    let shown = run(&["show", "university", "--json"]);
    for secret in ["token", "shared_secret", "public_key"] {
        assert!(!listed.contains(text(&secrets, secret)) && !shown.contains(text(&secrets, secret)));
    }

    assert!(run(&["test", "university"]).contains("taken: 202 as you say"));
    let (signature, body) = heard.lock().expect("not poisoned").remove(0);
    assert_eq!(signature.split(' ').count(), 2);
    assert!(body.contains("org.allim.ping.v1"), "{body}");
    run(&["rotate", "university"]);
    run(&["test", "university"]);
    assert_eq!(heard.lock().expect("not poisoned").remove(0).0.split(' ').count(), 4, "old keys sign beside");
    run(&["rotate", "university", "--overlap", "0s"]);
    run(&["test", "university"]);
    assert_eq!(heard.lock().expect("not poisoned").remove(0).0.split(' ').count(), 2);

    let (refusing, _) = receiver(500).await;
    run(&["set", "university", "--url", &refusing, "--format", "atom", "--order", "line", "--trusted", "--lang", "ko"]);
    assert!(fails(&["test", "university"]).contains("500"));
    let shown = run(&["show", "university"]);
    assert!(shown.contains("atom") && shown.contains("line") && shown.contains("trusted since"), "{shown}");
    run(&["set", "university", "--untrusted", "--topic", "all"]);
    let shown = run(&["show", "university"]);
    assert!(shown.contains("everything (ko)") && !shown.contains("trusted since"), "{shown}");

    run(&["pause", "university", "--reason", "they move house"]);
    assert!(run(&["list"]).contains("they move house"));
    assert!(site.setting.run(&["hold"]).contains("destination:webhook:"));
    run(&["resume", "university"]);
    assert!(site.setting.run(&["hold"]).contains("no hold is on"));
    assert!(run(&["replay", "university", "--dead"]).starts_with('0'));
    assert!(fails(&["replay", "university"]).contains("--since"));
    for (bad, why) in [
        (&["add", "University"][..], "a-z"),
        (&["add", "university"], "there is a partner"),
        (&["add", "x", "--url", "ftp://a.example/"], "https"),
        (&["add", "x", "--url", "https://a.example/", "--topic", "sport"], "sport"),
        (&["add", "x", "--url", "https://a.example/", "--format", "xml"], "cloudevent"),
        (&["add", "x", "--url", "https://a.example/", "--contact", "nobody"], "mail address"),
        (&["add", "x", "--url", "amqp://u:s3cret@a.example/%2f"], "routing key"),
        (&["set", "university", "--url", "amqp://a.example/%2f", "--exchange", "x"], "stays"),
        (&["end", "nobody"], "no partner"),
    ] {
        let said = fails(bad);
        assert!(said.contains(why) && !said.contains("s3cret"), "{bad:?}: {said}");
    }
    run(&["end", "university"]);
    assert!(!run(&["list"]).contains("university") && run(&["list", "--all"]).contains("ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_goes_by_the_interface_with_an_operators_token() {
    let site = Site::new();
    let (url, heard) = receiver(200).await;
    let draft = json!({ "name": "university", "url": url, "languages": ["ko"], "contact": "duty@example.net" });
    for (token, status) in [("", 401), ("x", 401), (support::TOKEN, 403)] {
        for (method, path) in [
            (Method::GET, "/api/v1/partners"),
            (Method::POST, "/api/v1/partners"),
            (Method::GET, "/api/v1/partners/university"),
            (Method::PATCH, "/api/v1/partners/university"),
            (Method::DELETE, "/api/v1/partners/university"),
            (Method::POST, "/api/v1/partners/university/rotate"),
            (Method::GET, "/api/v1/partners/university/deliveries"),
        ] {
            let answer = site.ask(method.clone(), path, token, Some(&draft)).await;
            assert_eq!(
                (answer.status.as_u16(), answer.kind.as_str()),
                (status, "application/problem+json"),
                "{method} {path}"
            );
        }
    }
    let ask = async |method: Method, path: &str, body: Option<&Value>| {
        site.ask(method, &format!("/api/v1/partners{path}"), OPERATOR, body).await
    };
    let added = ask(Method::POST, "", Some(&draft)).await;
    assert_eq!(added.status, StatusCode::CREATED, "{}", added.json);
    assert!(text(&added.json, "shared_secret").starts_with("whsec_"));
    assert_eq!(ask(Method::POST, "", Some(&draft)).await.status, StatusCode::CONFLICT);
    let bad = ask(Method::POST, "", Some(&json!({ "name": "x", "url": "https://a.example/#x" }))).await;
    assert_eq!((bad.status, text(&bad.json, "path")), (StatusCode::UNPROCESSABLE_ENTITY, "url"));
    let bad = ask(Method::POST, "", Some(&json!({ "name": "x", "adress": "https://a.example/" }))).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);

    let set = ask(Method::PATCH, "/university", Some(&json!({ "trusted": true, "topics": ["notices"] }))).await;
    assert_eq!(
        (set.status, &set.json["topics"], &set.json["languages"]),
        (StatusCode::OK, &json!(["notices"]), &json!(["ko"]))
    );
    assert!(set.json["trusted_since"].is_string());
    let tried = ask(Method::POST, "/university/test", None).await;
    assert_eq!((&tried.json["is_taken"], heard.lock().expect("not poisoned").len()), (&json!(true), 1));
    let paused = ask(Method::POST, "/university/pause", Some(&json!({ "why": "they move" }))).await;
    assert_eq!(text(&paused.json, "paused_why"), "they move");
    assert_eq!(ask(Method::POST, "/university/resume", None).await.json["paused_since"], Value::Null);
    let again = ask(Method::POST, "/university/replay", Some(&json!({ "since": "2026-11-01T00:00:00Z" }))).await;
    assert_eq!(again.json, json!({ "deliveries": 0 }));
    assert!(text(&ask(Method::POST, "/university/rotate", None).await.json, "public_key").starts_with("whpk_"));
    let token = ask(Method::POST, "/university/token", None).await;
    let own = site.ask(Method::GET, "/api/v1/partner", text(&token.json, "token"), None).await;
    assert_eq!(own.status, StatusCode::OK);
    let old = site.ask(Method::GET, "/api/v1/partner", text(&added.json, "token"), None).await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Method::POST, "/university/sell", None).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(Method::GET, "/university/deliveries", None).await.json["deliveries"], json!([]));
    assert_eq!(ask(Method::DELETE, "/university", None).await.status, StatusCode::NO_CONTENT);
    assert_eq!(ask(Method::DELETE, "/university", None).await.status, StatusCode::NOT_FOUND);
    let all = ask(Method::GET, "", None).await.json;
    assert!(all["partners"][0]["ended"].is_string(), "{all}");

    let described = site.ask(Method::GET, "/api/openapi.json", "", None).await.json;
    for path in [
        "/api/v1/changes",
        "/api/v1/reconcile",
        "/api/v1/partner",
        "/api/v1/partner/test",
        "/api/v1/partners/{name}/{act}",
    ] {
        assert!(described["paths"][path].is_object(), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_keys_that_are_made_at_once_none_is_lost() {
    let site = std::sync::Arc::new(Site::new());
    let token = text(&site.add(&["university", "--url", "https://a.example/hook"]), "token").to_owned();
    let mut rotating = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (site, token) = (site.clone(), token.clone());
        rotating.spawn(async move { site.ask(Method::POST, "/api/v1/partner/keys", &token, None).await.json });
    }
    let made = rotating.join_all().await;
    let find = |tx: &mut Tx<'_>| {
        let id = partners::find(tx, "university")?.and_then(|partner| partner.endpoint_id).expect("an endpoint");
        allim::store::endpoints::find(tx, id)
    };
    let secret = site.store().await.read(find).await.expect("read").and_then(|endpoint| endpoint.secret);
    let key = std::fs::read_to_string(site.setting.path().join("seal.key")).expect("a key");
    let seal = allim::domain::seal::Seal::new(key.trim()).expect("a seal");
    let purpose = allim::domain::partner::seal_purpose("university");
    let opened = seal.open(&purpose, &secret.expect("sealed").0).expect("opened");
    let keyring = allim::domain::keyring::Keyring::read(&opened).expect("keys");
    let live: Vec<String> = keyring.verifiers(crate::now()).into_iter().map(|(key, _)| key).collect();
    for keys in &made {
        assert!(live.contains(&text(keys, "public_key").to_owned()), "{} live keys", live.len());
        assert!(live.contains(&text(keys, "shared_secret").to_owned()), "{} live keys", live.len());
    }
    assert_eq!(live.len(), 2 * (made.len() + 1));
}

#[cfg(feature = "amqp")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_tried_and_its_password_shown_nowhere() {
    let Some(server) = support::broker::Broker::shared("partners.tried") else { return };
    let site = Site::new();
    let port = server.url.rsplit_once(':').and_then(|(_, rest)| rest.split('/').next()).expect("a port");
    let file = site.setting.path().join("password");
    std::fs::write(&file, "guest\n").expect("written");
    let (url, file) = (format!("amqp://guest@127.0.0.1:{port}/%2f"), file.to_str().expect("a path"));
    site.add(&["archive", "--url", &url, "--password-file", file, "--routing-key", "partners.tried.nobody"]);
    let output = site.setting.command(&["partner", "test", "archive"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains("NO_ROUTE"), "{said}");
    let shown = site.setting.run(&["partner", "show", "archive", "--json"]);
    assert!(shown.contains("amqp://guest@127.0.0.1") && !shown.contains("guest:"), "{shown}");
    let bytes = std::fs::read(site.setting.path().join("allim.sqlite")).expect("a database");
    let wal = std::fs::read(site.setting.path().join("allim.sqlite-wal")).unwrap_or_default();
    for bytes in [bytes, wal] {
        assert!(!String::from_utf8_lossy(&bytes).contains("guest:guest"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_seal_is_refused_once_something_is_sealed() {
    let site = Site::new();
    let key = site.setting.path().join("seal.key");
    let own = std::fs::read_to_string(&key).expect("a key");
    std::fs::write(&key, "another key of at least 32 characters").expect("written");
    // Nothing is sealed yet, so any will do.
    site.setting.run(&["partner", "list"]);
    std::fs::write(&key, &own).expect("written");
    site.add(&["university", "--url", "https://a.example/hook"]);
    std::fs::write(&key, "another key of at least 32 characters").expect("written");
    let output = site.setting.command(&["partner", "list"]).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("seal"), "{said}");
    std::fs::write(&key, "short").expect("written");
    assert!(!site.setting.command(&["partner", "list"]).output().expect("it runs").status.success());
    std::fs::write(&key, &own).expect("written");
    site.setting.run(&["partner", "list"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contact_of_a_partner_that_was_paused_by_itself_gets_one_letter() {
    let site = Site::new();
    let contact = ["--contact", "duty@partner.example.net", "--contact-lang", "ko"];
    site.add(&[&["han-university", "--url", "https://a.example/hook"], &contact[..]].concat());
    let now = UnixMillis(support::now_seconds() * 1_000);
    let fail = move |tx: &mut Tx<'_>| {
        let id = partners::find(tx, "han-university")?.and_then(|partner| partner.endpoint_id).expect("an endpoint");
        partners::heard(tx, id, true, now.minus(FAILING_MAX))?;
        partners::heard(tx, id, true, now)
    };
    let heard = site.store().await.write(fail).await.expect("heard");
    assert_eq!(heard, partners::Heard::Pause { name: "han-university".to_owned() });
    let folder = site.setting.maildir();
    let letters = || std::fs::read_dir(&folder).map_or_else(|_| Vec::new(), |all| all.flatten().collect());
    support::wait_until("the letter", Duration::from_secs(30), || letters().len() == 1);
    let letter = std::fs::read(letters()[0].path()).expect("a letter");
    let letter = mail_parser::MessageParser::default().parse(&letter).expect("a mail");
    assert_eq!(letter.to().and_then(|to| to.first()).and_then(|to| to.address()), Some("duty@partner.example.net"));
    assert!(letter.subject().is_some_and(|subject| subject.contains("멈추었습니다")), "{:?}", letter.subject());
    for text in [letter.body_text(0), letter.body_html(0)] {
        let text = text.expect("a body");
        assert!(text.contains("“han-university”") && !text.contains("/manage/"), "{text}");
    }
    assert!(site.setting.run(&["partner", "show", "han-university"]).contains("contact told"));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(letters().len(), 1, "once");
}

//! Signed webhooks, against receivers that verify them with libraries that aren't ours, and against some that misbehave.

use crate::{attempt, endpoint, house, key, now, seal, support};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Outcome, Reason};
use allim::domain::keyring::Keyring;
use allim::domain::partner::{Format, Happened, WEBHOOK};
use allim::domain::post::{Body, BodyFormat, Post, Showable, Standing};
use allim::domain::public_address::Network;
use allim::domain::text::CleanText;
use allim::guard::{Guard, Rules};
use allim::render::event::{self, Told};
use allim::send::carriers::webhook::Webhook;
use allim::send::push::courier::{Courier, News};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const DRAWS: [u64; 8] = [0x1507, 2, 3, 4, 5, 6, 7, 8];

/// A request as it came.
#[derive(Clone)]
struct Heard {
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Default)]
struct Conduct {
    heard: Vec<Heard>,
    /// What is answered: status and header fields. Default: 204.
    answer: Option<(u16, Vec<(&'static str, String)>)>,
}

type Shared = Arc<Mutex<Conduct>>;

async fn answer(State(conduct): State<Shared>, request: Request) -> Response {
    let text = |value: &axum::http::HeaderValue| value.to_str().expect("ASCII").to_owned();
    let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
    let body = axum::body::to_bytes(request.into_body(), 1 << 22).await.expect("a body");
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let answer = {
        let mut conduct = conduct.lock().expect("not poisoned");
        conduct.heard.push(Heard { headers, body });
        conduct.answer.clone()
    };
    let (status, headers) = answer.unwrap_or((204, Vec::new()));
    let mut response = (StatusCode::from_u16(status).expect("a status"), "words of theirs").into_response();
    for (name, value) in headers {
        response.headers_mut().insert(name, value.parse().expect("a value"));
    }
    response
}

async fn receiver() -> (String, Shared) {
    let conduct = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = axum::Router::new().fallback(answer).with_state(conduct.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://127.0.0.1:{port}/hook?of=us"), conduct)
}

fn webhook(with_own_networks: bool) -> Webhook {
    let own = if with_own_networks { vec![Network::parse("127.0.0.0/8").expect("a network")] } else { Vec::new() };
    let rules = Rules { own, ..Rules::default() };
    Webhook { guard: Guard::new(rules, "allim/test").expect("TLS"), house: house(), seal: seal() }
}

fn post(content: &str) -> Post {
    let text = json!({ "source_id": "n", "language": "ko", "topics": ["events"], "title": "봄 \"세미나\" — 한글과 漢字 👍",
        "published_at": 1_795_392_000_000_i64, "body": { "format": "text", "content": "" } });
    let post: Post = serde_json::from_value(text).expect("a post");
    Post { body: Body { format: BodyFormat::Text, content: CleanText::new(content) }, ..post }
}

fn showable() -> Showable {
    let at = UnixMillis(1_795_392_000_000);
    let standing = Standing {
        post_id: "ldnkvnnmpnbzat4wdbzw473gqj".to_owned(),
        story_id: "ldnkvnnmpnbzat4wdbzw473gqj".to_owned(),
        source: "cms".to_owned(),
        revision: 1,
        received_at: at,
        revised_at: None,
        public_at: Some(at),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    Showable::public(standing, post("본문.\n\n둘째 문단.")).expect("public")
}

fn body(webhook: &Webhook, subject: &str) -> String {
    webhook.write(subject, &News::Post(Box::new(showable())), &crate::templates()).expect("written")
}

/// What the libraries of others say of requests.
fn verified(requests: &[Value]) -> Option<Vec<(String, String)>> {
    let (python, tools) = (support::server("ALLIM_TEST_PYTHON")?, support::server("ALLIM_TEST_TOOLS")?);
    let mut child = Command::new(python)
        .env("PYTHONPATH", format!("{tools}/python"))
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/partners/verify.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python starts");
    child.stdin.take().expect("piped").write_all(json!(requests).to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "the verifier failed");
    let said: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let word = |one: &Value, name: &str| one[name].as_str().expect("text").to_owned();
    Some(said.iter().map(|one| (word(one, "v1"), word(one, "v1a"))).collect())
}

fn request(heard: &Heard, (secret, public): &(String, String)) -> Value {
    json!({ "headers": heard.headers, "body": heard.body, "secret": secret, "public": public })
}

/// The shared secret and the public key of the newest keys, or of those before them.
fn keys(ring: &Keyring, which: usize) -> (String, String) {
    let all: Vec<String> = ring.verifiers(now()).into_iter().map(|(key, _)| key).collect();
    (all[2 * which].clone(), all[2 * which + 1].clone())
}

#[tokio::test]
async fn deliveries_are_verified_by_others_and_what_is_altered_or_late_is_not() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let ring = Keyring::new(DRAWS);
    let endpoint = endpoint(WEBHOOK, &url, &ring);
    for format in Format::ALL {
        for happened in [Happened::Published, Happened::Revised] {
            let body = body(&webhook, &format!("{format}:{happened}"));
            let outcome = attempt(&webhook, &key(happened as i64, WEBHOOK), &endpoint, &body, true).await;
            assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
        }
    }
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    assert_eq!(heard.len(), 8);
    let own = keys(&ring, 0);
    let mut requests: Vec<Value> = heard.iter().map(|one| request(one, &own)).collect();
    // Altered, late, early, under another id, of somebody else, and without a signature.
    let mut spoil = |how: &dyn Fn(&mut Heard)| {
        let mut one = heard[0].clone();
        how(&mut one);
        requests.push(request(&one, &own));
    };
    spoil(&|one| one.body = one.body.replacen("봄", "몸", 1));
    let shift = |by: i64| {
        move |one: &mut Heard| {
            let at: i64 = one.headers["webhook-timestamp"].parse().expect("seconds");
            one.headers.insert("webhook-timestamp".to_owned(), (at + by).to_string());
        }
    };
    spoil(&shift(1));
    spoil(&|one| {
        one.headers.insert("webhook-id".to_owned(), "another".to_owned());
    });
    spoil(&|one| {
        one.headers.insert("webhook-signature".to_owned(), "v1,AAAA v1a,AAAA".to_owned());
    });
    spoil(&shift(-3_600));
    spoil(&shift(3_600));
    requests.push(request(&heard[0], &keys(&Keyring::new([9; 8]), 0)));
    let Some(said) = verified(&requests) else { return };
    let (good, bad) = said.split_at(8);
    assert!(good.iter().all(|(v1, v1a)| v1 == "ok" && v1a == "ok"), "{good:?}");
    assert!(bad.iter().all(|(v1, v1a)| v1 != "ok" && v1a != "ok"), "{bad:?}");
    assert!(bad[4].0.contains("too old") && bad[5].0.contains("too new"), "{bad:?}");
}

#[tokio::test]
async fn a_repeat_bears_the_same_id_and_bytes_and_the_time_of_its_attempt() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let endpoint = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let body = body(&webhook, "cloudevent:published");
    attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
    attempt(&webhook, &key(2, WEBHOOK), &endpoint, &body, true).await;
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    let said = |index: usize, name: &str| heard[index].headers[name].clone();
    assert_eq!(said(0, "webhook-id"), key(1, WEBHOOK).text_id());
    assert_eq!((said(0, "webhook-id"), &heard[0].body), (said(1, "webhook-id"), &heard[1].body));
    assert_ne!(said(0, "webhook-timestamp"), said(1, "webhook-timestamp"));
    assert_ne!(said(0, "webhook-id"), said(2, "webhook-id"));
    assert_eq!(said(0, "content-type"), "application/cloudevents+json; charset=utf-8");
    let event: Value = serde_json::from_str(&heard[0].body).expect("JSON");
    assert_eq!(event["type"], "org.allim.post.published.v1");
}

#[tokio::test]
async fn an_entry_goes_with_the_attributes_of_its_event_in_header_fields() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let endpoint = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let body = body(&webhook, "atom:embargoed");
    attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
    let heard = conduct.lock().expect("not poisoned").heard.remove(0);
    assert_eq!(heard.headers["content-type"], "application/atom+xml; type=entry");
    assert_eq!(heard.headers["ce-allimembargo"], "2026-11-23T00:00:00Z");
    assert_eq!(heard.headers["ce-allimpath"], "example.org:2026");
    assert!(heard.body.contains("<entry xmlns=\"http://www.w3.org/2005/Atom\""), "{}", heard.body);
}

#[tokio::test]
async fn attributes_that_are_not_ascii_are_encoded() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let endpoint = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let post = Post { path: vec!["한국.example:2026".to_owned()], ..post("본문.") };
    let showable = Showable::public(showable().standing().clone(), post).expect("public");
    let body = webhook.write("atom:published", &News::Post(Box::new(showable)), &crate::templates()).expect("written");
    let outcome = attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
    assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    let heard = conduct.lock().expect("not poisoned").heard.remove(0);
    let path = &heard.headers["ce-allimpath"];
    assert_eq!(path, "%ED%95%9C%EA%B5%AD.example:2026,example.org:2026");
    // The same as our own door reads it.
    let read =
        allim::domain::allim_path::read(&percent_encoding::percent_decode_str(path).decode_utf8().expect("UTF-8"));
    assert_eq!(read, Ok(vec!["한국.example:2026".to_owned(), "example.org:2026".to_owned()]));
}

#[tokio::test]
async fn old_keys_sign_beside_the_new_ones_as_long_as_they_live() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let day = Duration::from_secs(86_400);
    let first = Keyring::new(DRAWS);
    let turning = first.rotated([9, 10, 11, 12, 13, 14, 15, 16], now(), day);
    let turned = first.rotated([9, 10, 11, 12, 13, 14, 15, 16], now().minus(day * 2), day);
    let body = body(&webhook, "cloudevent:published");
    for ring in [&turning, &turned] {
        attempt(&webhook, &key(1, WEBHOOK), &endpoint(WEBHOOK, &url, ring), &body, true).await;
    }
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    let (new, old) = (keys(&turning, 0), keys(&first, 0));
    let asked = [(0, &new), (0, &old), (1, &new), (1, &old)];
    let requests: Vec<Value> = asked.iter().map(|(index, keys)| request(&heard[*index], keys)).collect();
    let Some(said) = verified(&requests) else { return };
    let is_good: Vec<bool> = said.iter().map(|(v1, v1a)| v1 == "ok" && v1a == "ok").collect();
    assert_eq!(is_good, [true, true, true, false]);
}

#[tokio::test]
async fn only_2xx_is_success_and_410_the_end() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let endpoint = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let body = body(&webhook, "cloudevent:published");
    let location = || vec![("location", "http://127.0.0.1:1/elsewhere".to_owned())];
    for (status, headers) in [
        (200, Vec::new()),
        (202, Vec::new()),
        (301, location()),
        (302, location()),
        (307, location()),
        (400, Vec::new()),
        (401, Vec::new()),
        (404, Vec::new()),
        (410, Vec::new()),
        (429, Vec::new()),
        (500, Vec::new()),
        (503, Vec::new()),
    ] {
        conduct.lock().expect("not poisoned").answer = Some((status, headers));
        let outcome = attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
        let is_as_told = match &outcome {
            Outcome::Sent { .. } => status < 300,
            Outcome::Refused { reason, .. } => status == 410 && *reason == Reason::Gone,
            Outcome::TryLater { reason: Reason::Busy, .. } => status >= 429,
            Outcome::TryLater { reason, .. } => (301..410).contains(&status) && *reason == Reason::Deferred,
            _ => false,
        };
        assert!(is_as_told, "{status}: {outcome:?}");
        let words = format!("{outcome:?}");
        assert!(!words.contains("whsec_") && !words.contains("127.0.0.1") && !words.contains("of=us"), "{words}");
    }
    assert_eq!(conduct.lock().expect("not poisoned").heard.len(), 12, "no redirect was followed");
}

#[tokio::test]
async fn what_a_partner_asks_for_is_kept_within_bounds() {
    let ((url, conduct), webhook) = (receiver().await, webhook(true));
    let endpoint = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let body = body(&webhook, "cloudevent:published");
    for (asked, seconds) in [("120", 120..=121), ("31536000", 86_400..=86_401)] {
        conduct.lock().expect("not poisoned").answer = Some((503, vec![("retry-after", asked.to_owned())]));
        let outcome = attempt(&webhook, &key(1, WEBHOOK), &endpoint, &body, true).await;
        let Outcome::TryLater { not_before: Some(at), .. } = outcome else { panic!("{outcome:?}") };
        let wait = now().until(at).as_secs() + 1;
        assert!(wait >= *seconds.start() - 2 && wait <= *seconds.end(), "{asked}: {wait}");
    }
}

#[tokio::test]
async fn nothing_goes_without_the_ledgers_word_or_keys_or_to_private_networks() {
    let ((url, conduct), open) = (receiver().await, webhook(true));
    let ring = Keyring::new(DRAWS);
    let there = endpoint(WEBHOOK, &url, &ring);
    let body = body(&open, "cloudevent:published");
    assert_eq!(attempt(&open, &key(1, WEBHOOK), &there, &body, false).await, Outcome::NotAllowed);
    let mut strange = there.clone();
    strange.subject = "museum".to_owned();
    let outcome = attempt(&open, &key(1, WEBHOOK), &strange, &body, true).await;
    assert!(
        matches!(outcome, Outcome::TryLater { reason: Reason::OurError, .. }),
        "keys of another partner: {outcome:?}"
    );
    let closed = webhook(false);
    let outcome = attempt(&closed, &key(1, WEBHOOK), &there, &body, true).await;
    assert!(matches!(outcome, Outcome::TryLater { reason: Reason::Deferred, .. }), "{outcome:?}");
    assert!(conduct.lock().expect("not poisoned").heard.is_empty());
    let nobody = endpoint(WEBHOOK, "http://127.0.0.1:9/hook", &ring);
    let outcome = attempt(&open, &key(1, WEBHOOK), &nobody, &body, true).await;
    assert!(matches!(outcome, Outcome::TryLater { reason: Reason::Unreachable, .. }), "{outcome:?}");
}

#[tokio::test]
async fn an_answer_that_never_comes_leaves_it_uncertain() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    // Takes the request, and is gone.
    tokio::spawn(async move {
        use tokio::io::AsyncReadExt as _;
        let (mut socket, _) = listener.accept().await.expect("a connection");
        let mut some = [0; 512];
        let _ = socket.read(&mut some).await;
    });
    let webhook = webhook(true);
    let body = body(&webhook, "cloudevent:published");
    let there = endpoint(WEBHOOK, &url, &Keyring::new(DRAWS));
    let outcome = attempt(&webhook, &key(1, WEBHOOK), &there, &body, true).await;
    assert!(matches!(outcome, Outcome::Uncertain { reason: Reason::AnswerLost, .. }), "{outcome:?}");
    let manners = webhook.manners();
    assert_eq!(
        (manners.uncertain_wait, manners.give_up_after),
        (Duration::from_secs(60), Duration::from_secs(273_600))
    );
}

#[test]
fn a_format_that_is_not_there_any_more_is_said() {
    let news = News::Post(Box::new(showable()));
    for subject in ["", "cloudevent", "xml:published", "cloudevent:sold"] {
        assert!(webhook(true).write(subject, &news, &crate::templates()).is_err(), "{subject}");
    }
    let showable = showable();
    let what = (Format::CloudEvent, Happened::Published);
    let written = event::write(&house(), what, Told::Post(&showable), &[], &crate::templates()).expect("written");
    assert_eq!(body(&webhook(true), "cloudevent:published"), written.keep());
}

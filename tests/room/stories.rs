//! What operators do, told in a browser (`tests/operator_stories`), in Korean and English: by mouse, by keyboard alone, without JavaScript,
//! on a phone. What counts in the end is the world outside: mails at a real SMTP server, feeds, who is let in.

use super::House;
use super::support::proxy::{Fault, Proxy};
use super::support::sink::Sink;
use super::support::{self, Relay, Setting, TOKEN};
use allim::domain::staff::Role;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

/// How the operator of a story sits there.
struct Mode {
    language: &'static str,
    width: u16,
    dark: bool,
    scripts: bool,
    keyboard: bool,
}

const KOREAN: Mode = Mode { language: "ko", width: 1200, dark: false, scripts: true, keyboard: false };
const ENGLISH: Mode = Mode { language: "en", ..KOREAN };
const PHONE: Mode = Mode { language: "en", width: 390, dark: true, ..KOREAN };
const KOREAN_PHONE: Mode = Mode { language: "ko", ..PHONE };
const KEYBOARD: Mode = Mode { keyboard: true, ..KOREAN };
const STILL: Mode = Mode { scripts: false, ..ENGLISH };

/// More would take the machine's time from each other, and a browser is large.
static TWO_AT_A_TIME: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// The world around a house, as the stories ask for it.
struct World {
    house: House,
    sink: Sink,
    wire: Proxy,
}

/// Tells a story in a house of its own for each mode.
async fn told(name: &str, readers: &[&str], room: &str, modes: &[Mode]) {
    let Some(tools) = support::server("ALLIM_TEST_TOOLS") else { return };
    let _turn = TWO_AT_A_TIME.acquire().await.expect("it stays open");
    let mut found = Vec::new();
    for mode in modes {
        let world = World::new(readers, room).await;
        let mut question = world.clone().question(mode, name == "partner").await;
        question["tools"] = json!(tools);
        let script = format!("{}/tests/operator_stories/{name}.mjs", env!("CARGO_MANIFEST_DIR"));
        let faults = tokio::task::spawn_blocking(move || faults(&script, &question)).await.expect("a thread");
        found.extend(faults);
    }
    assert!(found.is_empty(), "{name}: {} faults:\n{}", found.len(), found.join("\n"));
}

fn faults(script: &str, question: &Value) -> Vec<String> {
    let mut child =
        Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node");
    child.stdin.take().expect("a pipe").write_all(question.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{script} failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

impl World {
    async fn new(readers: &[&str], room: &str) -> Arc<Self> {
        let sink = Sink::start().await;
        let wire = Proxy::to(sink.port).await;
        let mut setting = Setting::new();
        setting.relay = Some(Relay { port: wire.port, connections: 2 });
        let weekly = "title = { ko = \"주간 소식\", en = \"Weekly\", zh = \"周刊\" }\nschedule = \"0 9 * * MON\"\n";
        setting.extra.push_str(&format!("\n[[digest]]\nname = \"weekly\"\n{weekly}"));
        let readers: Vec<String> = readers.iter().map(|line| (*line).to_owned()).collect();
        setting.subscribe(&readers);
        let late = "address,language,topics,schedule\nlate@example.net,ko,events,immediate\n";
        std::fs::write(setting.path().join("late.csv"), late).expect("a list");
        Arc::new(Self { house: House::furnished(setting, room), sink, wire })
    }

    async fn question(self: Arc<Self>, mode: &Mode, has_partner: bool) -> Value {
        let house = &self.house;
        // Nobody answers for this one: where it is, deliveries wait for it.
        let hook = ["partner", "add", "academy", "--url", "https://partner.example.org/hook", "--json"];
        let partner: Value =
            if has_partner { serde_json::from_str(&house.setting.run(&hook)).expect("JSON") } else { Value::Null };
        let (first, second) = if mode.language == "ko" { ("김다온", "박소연") } else { ("Kim Daon", "Sam Reed") };
        let links = json!({ "operator": house.link(first, Role::Operator), "second": house.link(second, Role::Operator),
            "viewer": house.link(if mode.language == "ko" { "이새롬" } else { "Alex Lee" }, Role::Viewer) });
        let (origin, site) = (house.origin(), format!("http://127.0.0.1:{}", house.setting.port));
        json!({ "origin": origin, "site": site, "outside": self.serve().await, "token": TOKEN, "links": links,
            "language": mode.language, "width": mode.width, "dark": mode.dark, "scripts": mode.scripts,
            "keyboard": mode.keyboard, "pictures": std::env::var("ALLIM_PICTURES").unwrap_or_default(),
            "partner_token": partner["token"], "partner_secret": partner["shared_secret"] })
    }

    /// Answers the story's questions about the world. Returns where.
    async fn serve(self: Arc<Self>) -> String {
        let routes = Router::new()
            .route("/mails", get(mails))
            .route("/relay/{state}", post(relay))
            .route("/run", post(run))
            .with_state(self);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        format!("http://{address}")
    }
}

async fn mails(State(world): State<Arc<World>>) -> Json<Value> {
    let received = world.sink.received.lock().expect("not poisoned");
    let one = |bytes: &[u8]| {
        let mail = mail_parser::MessageParser::default().parse(bytes).expect("a mail");
        format!("{}\n{}", mail.subject().unwrap_or_default(), mail.body_text(0).unwrap_or_default())
    };
    Json(received.iter().map(|mail| json!({ "to": mail.recipient, "text": one(&mail.bytes) })).collect())
}

async fn relay(State(world): State<Arc<World>>, Path(state): Path<String>) {
    world.wire.set(if state == "down" { Fault::Refuse } else { Fault::Nothing });
}

async fn run(State(world): State<Arc<World>>, Json(words): Json<Vec<String>>) -> (StatusCode, String) {
    let command = move || {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = world.house.setting.command(&words);
        command.current_dir(world.house.setting.path()).output().expect("it runs")
    };
    let output = tokio::task::spawn_blocking(command).await.expect("a thread");
    let status = if output.status.success() { StatusCode::OK } else { StatusCode::CONFLICT };
    (status, String::from_utf8_lossy(&output.stdout).into_owned())
}

const HANA: &str = "hana@example.net,이하나,ko,events,immediate";
const KIM: &str = "kim@example.net,김바다,ko,events,immediate";
const LEE: &str = "lee@example.net,이슬,ko,notices,immediate";

#[tokio::test(flavor = "multi_thread")]
async fn why_one_person_did_not_get_one_post() {
    told("why", &[HANA, LEE], "", &[KOREAN, PHONE, STILL]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_digest_is_stopped_before_it_leaves() {
    told("digest", &["hana@example.net,이하나,ko,events,weekly"], "", &[KOREAN, PHONE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sent_post_is_corrected() {
    told("correct", &[HANA, KIM], "", &[KOREAN, PHONE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quarantined_message_is_replayed() {
    told("quarantine", &[HANA], "", &[KOREAN_PHONE, ENGLISH, STILL]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partners_keys_are_rotated() {
    told("partner", &[], "", &[KEYBOARD, PHONE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_errors_is_taken_in() {
    told("import", &[HANA, KIM], "", &[KOREAN, PHONE]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased() {
    told("erase", &[HANA, KIM], "", &[KOREAN_PHONE, ENGLISH]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_person_releases() {
    told("second", &[HANA, KIM], "second_person_over = 1", &[KOREAN_PHONE, ENGLISH]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_overview_tells_that_the_relay_is_down() {
    told("outage", &[HANA, KIM], "", &[KOREAN, PHONE]).await;
}

//! Feeds, pages, unsubscribing and the interface, as a client of a running daemon sees them.
#![allow(missing_docs, reason = "a test")]

mod api;
mod axe;
mod board;
mod calendars;
mod copies;
mod editions;
mod feeds;
mod finding;
mod history;
mod issues;
mod languages;
mod newsboat;
mod pages;
mod passed_on;
mod private;
mod readers;
mod stories;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
mod theme;
mod unshown;
mod unsubscribe;
mod websub;

use reqwest::header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE, ETAG, HeaderMap, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::io::Read as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Daemon, Setting, TOKEN, post, publish, wait_until};

struct Site {
    setting: Setting,
    _daemon: Daemon,
    client: reqwest::Client,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8(self.bytes.clone()).expect("UTF-8")
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }
}

impl Site {
    fn new() -> Self {
        Self::with(Setting::new())
    }

    fn with(setting: Setting) -> Self {
        let daemon = setting.start();
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().expect("a client");
        Self { setting, _daemon: daemon, client }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let mut request = self.client.request(method, self.setting.url(path)).timeout(Duration::from_secs(20));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body.to_owned());
        }
        let answer = request.send().await.expect("an answer");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Answer { status, headers, bytes: answer.bytes().await.expect("a body").to_vec() }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, &[], None).await
    }

    async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        self.ask(method, path, &headers, body.map(ToString::to_string).as_deref()).await
    }

    async fn publish(&self, body: &Value) -> String {
        publish(&self.client, &self.setting.url("/api/v1/posts"), body).await
    }

    /// Publishes, and waits until the post has a page.
    async fn publish_openly(&self, body: &Value) -> String {
        let id = self.publish(body).await;
        self.until(&format!("/posts/{id}"), |answer| answer.status == StatusCode::OK).await;
        id
    }

    async fn until(&self, path: &str, fits: impl Fn(&Answer) -> bool) -> Answer {
        let began = support::now_seconds();
        loop {
            let answer = self.get(path).await;
            if fits(&answer) {
                return answer;
            }
            assert!(support::now_seconds() - began < 20, "waited for {path}; last: {}", answer.text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What a program that looks at answers of ours finds wrong: it reads a question and prints a list of sentences.
fn faults(program: &mut Command, question: &Value) -> Vec<String> {
    let mut child = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(question.to_string().as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{program:?} failed");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

const FEEDS: [&str; 3] = ["rss", "atom", "json"];

/// A post that is full of what breaks feeds and pages.
fn hostile() -> Value {
    let mut body = post("hostile", "‧ · □ ○ ＊ <상세문의> ]]> <script>alert('t')</script> 끝", "ko", &["events"]);
    body["summary"] = json!("요약 ]]> <img src=x onerror=alert('s')>");
    body["author"] = json!({ "name": "홍보팀 <b>" });
    let content = "<p onclick=\"alert('c')\">본문 ]]> &lt;상세문의&gt; \u{0}\u{8}&#0;&#8;</p><script>alert('b')</script>\
                   <a href=\"javascript:alert('h')\">x</a><style>p{}</style><iframe src=\"https://e.example/\"></iframe>";
    body["body"] = json!({ "format": "html", "content": content });
    body["attachments"] = json!([{ "url": "https://files.example.org/a.pdf?x=1&y=2", "name": "안내 & 요강.pdf", "media_type": "application/pdf", "bytes": 1234 }]);
    body
}

/// What every page says to the browser, so that nothing in it can run.
fn check_headers(page: &Answer) {
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert!(!page.headers.contains_key("set-cookie"));
}

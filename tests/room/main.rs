//! The control room, as those who work there and those who shouldn't get in see it.
#![allow(missing_docs, reason = "a test")]

mod acts;
mod doors;
mod glance;
mod people;
mod posts;
mod stories;
#[path = "../support/mod.rs"]
mod support;
mod works;

use allim::domain::staff::Role;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Method, StatusCode};
use std::time::Duration;
use support::{Daemon, Setting, free_port};

/// A daemon with a control room.
struct House {
    setting: Setting,
    port: u16,
    client: reqwest::Client,
    daemon: Option<Daemon>,
}

/// Somebody who is signed in.
struct Person<'a> {
    house: &'a House,
    cookie: String,
}

struct Answer {
    status: StatusCode,
    text: String,
    location: String,
    cookies: Vec<String>,
    policy: String,
}

impl House {
    fn new() -> Self {
        Self::with(Setting::new())
    }

    /// A daemon of this setting, to which a control room is added.
    fn with(setting: Setting) -> Self {
        Self::furnished(setting, "")
    }

    /// The same with more lines of `[admin]`.
    fn furnished(mut setting: Setting, lines: &str) -> Self {
        let port = free_port();
        setting.extra.push_str(&format!("\n[admin]\nlisten = \"127.0.0.1:{port}\"\n{lines}\n"));
        let daemon = Some(setting.start());
        Self { setting, port, client: client(), daemon }
    }

    fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Ends the daemon as an operator would, and begins it anew.
    fn restart(&mut self) {
        drop(self.daemon.take());
        self.daemon = Some(self.setting.start());
        // The connections of the one before are gone.
        self.client = client();
    }

    /// The link by which somebody new comes in.
    fn link(&self, name: &str, role: Role) -> String {
        let printed = self.setting.run(&["staff", "add", name, "--role", role.word()]);
        printed.lines().find(|line| line.starts_with("http")).expect("a link").trim().to_owned()
    }

    /// Somebody of this role, signed in.
    async fn person(&self, role: Role) -> Person<'_> {
        let link = self.link(&format!("{} {}", role.word(), free_port()), role);
        let path = link.strip_prefix(&self.origin()).expect("our address").to_owned();
        let answer = self.ask(Method::POST, &path, &[("origin", &self.origin())], None).await;
        assert_eq!((answer.status, answer.location.as_str()), (StatusCode::SEE_OTHER, "/admin/me"), "{}", answer.text);
        Person { house: self, cookie: answer.cookies[0].split(';').next().expect("a pair").to_owned() }
    }

    async fn ask(&self, method: Method, path: &str, headers: &[(&str, &str)], form: Option<String>) -> Answer {
        let url = format!("{}{path}", self.origin());
        let mut request = self.client.request(method, url).timeout(Duration::from_secs(20));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(form) = form {
            request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
        }
        Answer::of(request.send().await.expect("an answer")).await
    }
}

impl Answer {
    async fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("ASCII").to_owned();
        Self {
            status,
            location: headers.get(LOCATION).map(text).unwrap_or_default(),
            cookies: headers.get_all(SET_COOKIE).iter().map(text).collect(),
            policy: headers.get("content-security-policy").map(text).unwrap_or_default(),
            text: String::from_utf8_lossy(&answer.bytes().await.expect("a body")).into_owned(),
        }
    }
}

impl Person<'_> {
    fn cookie(&self) -> &str {
        &self.cookie
    }

    /// A page in English.
    async fn get(&self, path: &str) -> Answer {
        let headers = [(COOKIE.as_str(), self.cookie.as_str()), ("accept-language", "en")];
        self.house.ask(Method::GET, path, &headers, None).await
    }

    /// An act, as a form of a page of ours sends it.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let origin = self.house.origin();
        let headers = [(COOKIE.as_str(), self.cookie.as_str()), (ORIGIN.as_str(), &origin), ("accept-language", "en")];
        self.house.ask(Method::POST, path, &headers, Some(form)).await
    }

    /// An act with files: field, name, type, what it holds.
    async fn upload(&self, path: &str, fields: &[(&str, &str)], files: &[(&str, &str, &str, &[u8])]) -> Answer {
        const EDGE: &str = "----edge-of-a-part";
        let mut body = Vec::new();
        for (name, value) in fields {
            let part = format!("--{EDGE}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(part.into_bytes());
        }
        for (field, name, kind, bytes) in files {
            let head = format!(
                "--{EDGE}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: {kind}\r\n\r\n"
            );
            body.extend(head.into_bytes());
            body.extend_from_slice(bytes);
            body.extend(b"\r\n");
        }
        body.extend(format!("--{EDGE}--\r\n").into_bytes());
        let request = self.house.client.post(format!("{}{path}", self.house.origin())).body(body);
        let request = request.header(COOKIE, &self.cookie).header(ORIGIN, self.house.origin());
        let request = request.header("accept-language", "en").timeout(Duration::from_secs(60));
        let kind = format!("multipart/form-data; boundary={EDGE}");
        Answer::of(request.header("content-type", kind).send().await.expect("an answer")).await
    }

    /// An act that must lead on to another page; returns where to.
    async fn does(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let answer = self.post(path, fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", answer.text);
        answer.location
    }

    /// Asks for a page until it holds a text.
    async fn until(&self, path: &str, text: &str) -> Answer {
        let began = support::now_seconds();
        loop {
            let answer = self.get(path).await;
            if answer.status == StatusCode::OK && answer.text.contains(text) {
                return answer;
            }
            assert!(support::now_seconds() - began < 30, "waited for {text} at {path}; last: {}", answer.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn client() -> reqwest::Client {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    client.build().expect("a client")
}

/// A request by another name than the room is known by.
async fn by_name(house: &House, name: &str) -> StatusCode {
    house.ask(Method::GET, "/admin/sign-in", &[(HOST.as_str(), name)], None).await.status
}

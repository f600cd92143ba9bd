//! A room on Matrix (<https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid>,
//! `#event-replacements`, `#redactions`). The transaction id is the delivery's, so a repeat is known; events carry it too, so that they
//! can be found later. Rooms with encryption aren't served: what is announced is for everybody.

use crate::domain::delivery::{Outcome, Reason};
use crate::domain::ids;
use crate::guard::Guard;
use crate::render::blurb::{Blurb, Style};
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::render::templates::escape;
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Wire, busy, login, parsed};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Servers keep transaction ids for half an hour at least.
const KEPT_FOR: Duration = Duration::from_secs(25 * 60);
/// An event may be 65,536 octets long, and holds the text four times at most: plain and as HTML, and both again when it replaces another.
const TEXT_LEN_MAX: usize = 12_000;
/// Events that are looked through, page by page.
const LOOKED_THROUGH: usize = 100;
const PAGES_MAX: usize = 5;
/// Under which an event carries its delivery.
const DELIVERY: &str = "allim.delivery";

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    room: String,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "target"])?;
        terms.images(&[ImageUse::Card, ImageUse::None])?;
        let room = terms.target("the room's id, such as `!abcdefgh:example.org`")?;
        if !room.starts_with('!') {
            return Err(Wrong::new("target", "write the room's id, which begins with `!`, not one of its names"));
        }
        Ok(Self { server: terms.server(None)?, room })
    }
}

no_client_secret!(Settings);

/// A room.
pub struct Matrix {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Made {
    event_id: String,
}

#[derive(Deserialize)]
struct Messages {
    chunk: Vec<Value>,
    end: Option<String>,
}

impl Matrix {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, steps: &[&str]) -> String {
        let steps = [&["rooms", &self.settings.room], steps].concat();
        let path: Vec<String> =
            steps.iter().map(|step| utf8_percent_encode(step, NON_ALPHANUMERIC).to_string()).collect();
        format!("{}/_matrix/client/v3/{}", self.settings.server, path.join("/"))
    }

    async fn put(&self, saying: &Saying<'_>, id: &str, content: &Value, gate: &mut Gate) -> Said {
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = Ask::new(Method::PUT, self.url(&["send", "m.room.message", id])).making();
        match wire.json::<Made>(ask.bearer(&saying.credential.access).json(content)).await {
            Ok(made) => Said::there(self.remote(made.event_id), "200"),
            Err(failed) => Said::nothing(read(&wire, failed)),
        }
    }

    fn remote(&self, id: String) -> Remote {
        let url = Some(format!("https://matrix.to/#/{}/{id}", self.settings.room));
        Remote { id, url, more: Default::default() }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let since = saying.since.minus(super::mastodon::CLOCKS_DIFFER).0;
        let is_older = |event: &Value| event["origin_server_ts"].as_i64().is_some_and(|at| at < since);
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let url = format!("{}?dir=b&limit={LOOKED_THROUGH}{from}", self.url(&["messages"]));
            let messages: Messages = wire.json(Ask::get(url).bearer(&saying.credential.access)).await?;
            let found = messages.chunk.iter().find(|event| event["content"][DELIVERY] == saying.id);
            if let Some(id) = found.and_then(|event| event["event_id"].as_str()) {
                return Ok(Found::There(self.remote(id.to_owned())));
            }
            // The room's beginning is told by no place to go on from, or by a page with nothing on it.
            let Some(end) = messages.end.filter(|_| !messages.chunk.is_empty() && !messages.chunk.iter().any(is_older))
            else {
                return Ok(Found::NotThere);
            };
            from = format!("&from={}", utf8_percent_encode(&end, NON_ALPHANUMERIC));
        }
        Ok(Found::CantTell)
    }
}

/// A message, plain and as HTML, with its title in bold and its address as a link.
fn content(blurb: &Blurb, id: &str) -> Value {
    let mut html = escape(&blurb.text);
    let title = escape(&blurb.title);
    if html.starts_with(&title) && !title.is_empty() {
        html = format!("<strong>{title}</strong>{}", &html[title.len()..]);
    }
    if let Some(url) = blurb.url.as_deref().map(escape) {
        html = html.replacen(&url, &format!("<a href=\"{url}\">{url}</a>"), 1);
    }
    let html = html.replace('\n', "<br>");
    json!({
        "msgtype": "m.text", "body": blurb.text, "format": "org.matrix.custom.html", "formatted_body": html, DELIVERY: id,
    })
}

/// The names of errors (`#standard-error-response`).
fn read(wire: &Wire<'_>, failed: Failed) -> Outcome {
    let Some(answer) = &failed.answer else { return failed.outcome };
    let body: Value = parsed(answer).unwrap_or_default();
    let reply = wire.words(answer);
    match body["errcode"].as_str() {
        Some("M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_LOCKED" | "M_USER_SUSPENDED") => login(reply),
        Some("M_LIMIT_EXCEEDED") => {
            let wait = body["retry_after_ms"].as_f64().and_then(|ms| wire.after(ms / 1_000.0));
            busy(reply, wait.or_else(|| wire.retry_at(answer)))
        }
        // Not in the room, or without the right to write in it: nothing about the post.
        Some("M_FORBIDDEN" | "M_NOT_FOUND") => Outcome::TryLater { reason: Reason::OurError, reply, not_before: None },
        _ => failed.outcome,
    }
}

impl Network for Matrix {
    fn carrier(&self) -> &'static str {
        "matrix"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Octets, max: TEXT_LEN_MAX }],
            hashtags: Hashtags::None,
            tags_max: 0,
            url_in_text: true,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: true, repeats_safely_for: Some(KEPT_FOR) }
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(async move {
            let mut content = content(saying.blurb, saying.id);
            if let Some(parent) = saying.reply_to {
                content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": parent.id } });
            }
            self.put(saying, saying.id, &content, gate).await
        })
    }

    fn edit<'a>(&'a self, saying: &'a Saying<'a>, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(async move {
            // Each text replaces once: a repeat is known, and the next revision is another transaction.
            let id = format!("{}-{}", saying.id, &ids::content_hash(saying.blurb.text.as_bytes())[..16]);
            let new = content(saying.blurb, &id);
            let mut content = new.clone();
            content["body"] = json!(format!("* {}", saying.blurb.text));
            content["m.new_content"] = new;
            content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": remote.id });
            let said = self.put(saying, &id, &content, gate).await;
            // Whoever changes or takes it away later names the first event.
            Said { remote: said.remote.map(|_| remote.clone()), outcome: said.outcome }
        })
    }

    fn unsay<'a>(&'a self, credential: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let id = format!("unsay-{}", &ids::content_hash(remote.id.as_bytes())[..16]);
            let wire = Wire::new(&self.guard, None, credential);
            let ask = Ask::new(Method::PUT, self.url(&["redact", &remote.id, &id]));
            match wire.json::<Made>(ask.bearer(&credential.access).json(&json!({}))).await {
                Ok(_) => Outcome::Sent { reply: "200".to_owned() },
                Err(failed) if failed.answer.as_ref().is_some_and(|answer| answer.status == 404) => {
                    Outcome::Sent { reply: "404, it isn't there any more".to_owned() }
                }
                Err(failed) => read(&wire, failed),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move {
            let wire = Wire::new(&self.guard, saying.now, saying.credential);
            self.look(saying).await.unwrap_or_else(|failed| Found::Later(read(&wire, failed)))
        })
    }
}

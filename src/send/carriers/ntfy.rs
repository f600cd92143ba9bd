//! A topic of ntfy, which pushes to telephones (<https://docs.ntfy.sh/publish/#publish-as-json>,
//! <https://docs.ntfy.sh/subscribe/api/#fetch-cached-messages>). What the server keeps, for twelve hours, can be looked through.

use crate::domain::delivery::Outcome;
use crate::guard::Guard;
use crate::render::blurb::{Blurb, Style};
use crate::render::fit::{Hashtags, Limit, Measure, beginning};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Step, Wire, login, parsed};
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// The public server.
const SERVER: &str = "https://ntfy.sh";
/// Messages are kept for twelve hours where nothing else is set; an hour is left.
const KEPT_FOR: Duration = Duration::from_secs(11 * 3_600);
/// Characters of a title.
const TITLE_MAX: usize = 200;
/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    topic: String,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "target"])?;
        terms.images(&[ImageUse::Card, ImageUse::None])?;
        let topic = terms.target("the topic, such as `institute-notices`")?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if topic.len() > 64 || !topic.chars().all(fits) {
            return Err(Wrong::new("target", "write the topic: up to 64 letters, digits, `-` and `_`"));
        }
        Ok(Self { server: terms.server(Some(SERVER))?, topic })
    }
}

no_client_secret!(Settings);

/// A topic.
pub struct Ntfy {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    event: String,
    topic: String,
    title: Option<String>,
    #[serde(default)]
    message: String,
    click: Option<String>,
}

impl Ntfy {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    /// A topic that is open needs no token.
    fn with_token(saying: &Saying<'_>, ask: Ask) -> Ask {
        let token = &saying.credential.access;
        if token.is_empty() { ask } else { ask.bearer(token) }
    }

    fn remote(&self, id: String) -> Remote {
        let url = Some(format!("{}/{}", self.settings.server, self.settings.topic));
        Remote { id, url, more: Default::default() }
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let blurb = saying.blurb;
        let mut body = json!({
            "topic": self.settings.topic, "title": beginning(&blurb.title, TITLE_MAX), "message": message(blurb),
        });
        if let Some(url) = &blurb.url {
            body["click"] = json!(url);
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = Self::with_token(saying, Ask::post(format!("{}/", self.settings.server)).making().json(&body));
        let answer = match wire.ask(ask).await {
            Ok(answer) => answer,
            Err(failed) => return Said::nothing(read(&wire, failed)),
        };
        match parsed::<Message>(&answer) {
            Some(message) if message.event == "message" && message.topic == self.settings.topic => {
                Said::there(self.remote(message.id), "200")
            }
            _ => Said::nothing(wire.bad(Step::Making, &answer)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Outcome> {
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let since = saying.since.minus(super::mastodon::CLOCKS_DIFFER).0 / 1_000;
        let url = format!("{}/{}/json?poll=1&since={since}", self.settings.server, self.settings.topic);
        let answer = wire.ask(Self::with_token(saying, Ask::get(url))).await.map_err(|failed| read(&wire, failed))?;
        if answer.is_broken || answer.is_cut {
            return Err(wire.bad(Step::Harmless, &answer));
        }
        let (text, blurb) = (String::from_utf8_lossy(&answer.body), saying.blurb);
        // One JSON object on each line.
        let lines = text.lines().filter(|line| !line.trim().is_empty()).map(serde_json::from_str::<Message>);
        let messages: Vec<Message> = lines.collect::<Result<_, _>>().map_err(|_| wire.bad(Step::Harmless, &answer))?;
        let is_it = |message: &Message| {
            message.click == blurb.url
                && message.message.trim() == self::message(blurb)
                && message.title.as_deref() == Some(&beginning(&blurb.title, TITLE_MAX))
        };
        if let Some(message) = messages.into_iter().find(is_it) {
            return Ok(Found::There(self.remote(message.id)));
        }
        let is_kept = saying.since.until(saying.now) < KEPT_FOR;
        Ok(if is_kept { Found::NotThere } else { Found::CantTell })
    }
}

/// The server writes a word of its own where there is no message.
fn message(blurb: &Blurb) -> &str {
    let text = blurb.text.trim();
    if text.is_empty() { blurb.title.trim() } else { text }
}

/// 403 is about the right to write into the topic.
fn read(wire: &Wire<'_>, failed: Failed) -> Outcome {
    match &failed.answer {
        Some(answer) if answer.status == 403 => login(wire.words(answer)),
        _ => failed.outcome,
    }
}

impl Network for Ntfy {
    fn carrier(&self) -> &'static str {
        "ntfy"
    }

    fn style(&self) -> Style {
        Style {
            // A longer message becomes a file.
            limits: vec![Limit { measure: Measure::Octets, max: 4_096 }],
            hashtags: Hashtags::None,
            tags_max: 0,
            url_in_text: false,
            title_in_text: false,
        }
    }

    fn can(&self) -> Can {
        Can { edit: false, delete: false, reply: false, repeats_safely_for: None }
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.post(saying, gate))
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(Found::Later) })
    }
}

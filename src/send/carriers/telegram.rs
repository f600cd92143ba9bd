//! A channel or group on Telegram, by the Bot API (<https://core.telegram.org/bots/api#sendmessage>, `#making-requests`). The bot's token
//! is part of every address, so none of these gets into what is told. A bot can't look what it wrote: a lost answer is held.

use crate::domain::delivery::Outcome;
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Step, Wire, busy, login, parsed};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Where the interface is; a bot server of one's own speaks it too.
const SERVER: &str = "https://api.telegram.org";

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    chat: String,
    image: ImageUse,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "target"])?;
        let chat = terms.target("the channel, such as `@example_notices` or `-1001234567890`")?;
        let is_number = chat.parse::<i64>().is_ok();
        if !is_number && !chat.starts_with('@') {
            return Err(Wrong::new("target", "write the channel's name with its @, or its number"));
        }
        let image = terms.images(&[ImageUse::Card, ImageUse::None])?;
        Ok(Self { server: terms.server(Some(SERVER))?, chat, image })
    }
}

no_client_secret!(Settings);

/// A channel.
pub struct Telegram {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Answered<T> {
    ok: bool,
    result: Option<T>,
}

#[derive(Deserialize)]
struct Message {
    message_id: i64,
    chat: Option<Chat>,
}

#[derive(Deserialize)]
struct Chat {
    username: Option<String>,
}

impl Telegram {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn ask(&self, credential: &Credential, method: &str, body: &Value) -> Ask {
        Ask::post(format!("{}/bot{}/{method}", self.settings.server, credential.access)).json(body)
    }

    /// The text, its title in bold, and the card of its address.
    fn text(&self, saying: &Saying<'_>) -> Value {
        let blurb = saying.blurb;
        let title = blurb.text.lines().next().filter(|line| *line == blurb.title).unwrap_or_default();
        let length = title.encode_utf16().count();
        let preview = match blurb.url.as_ref().filter(|_| self.settings.image == ImageUse::Card) {
            Some(url) => json!({ "url": url }),
            None => json!({ "is_disabled": true }),
        };
        let mut body = json!({ "chat_id": self.settings.chat, "text": blurb.text, "link_preview_options": preview });
        if length > 0 {
            body["entities"] = json!([{ "type": "bold", "offset": 0, "length": length }]);
        }
        body
    }

    async fn call<T: DeserializeOwned>(&self, wire: &Wire<'_>, step: Step, ask: Ask) -> Result<T, Outcome> {
        let ask = if step == Step::Making { ask.making() } else { ask };
        let answer = wire.ask(ask).await.map_err(|failed| read(wire, failed))?;
        match parsed(&answer) {
            Some(Answered { ok: true, result: Some(result) }) => Ok(result),
            // Errors come with a status of their own: this is no answer of a bot server.
            _ => Err(wire.bad(step, &answer)),
        }
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let mut body = self.text(saying);
        if let Some(id) = saying.reply_to.and_then(|parent| parent.id.parse::<i64>().ok()) {
            body["reply_parameters"] = json!({ "message_id": id, "allow_sending_without_reply": true });
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = self.ask(saying.credential, "sendMessage", &body);
        match self.call::<Message>(&wire, Step::Making, ask).await {
            Ok(message) => Said::there(remote(message), "200"),
            Err(outcome) => Said::nothing(outcome),
        }
    }

    async fn change(&self, saying: &Saying<'_>, remote: &Remote, gate: &mut Gate) -> Said {
        let mut body = self.text(saying);
        body["message_id"] = json!(remote.id.parse::<i64>().unwrap_or_default());
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        match self.call::<Value>(&wire, Step::Harmless, self.ask(saying.credential, "editMessageText", &body)).await {
            Ok(_) => Said::there(remote.clone(), "200"),
            Err(Outcome::Refused { reply, .. }) if reply.contains("message is not modified") => {
                Said::there(remote.clone(), "it was so already")
            }
            Err(outcome) => Said::nothing(outcome),
        }
    }
}

fn remote(message: Message) -> Remote {
    let name = message.chat.and_then(|chat| chat.username);
    let url = name.map(|name| format!("https://t.me/{name}/{}", message.message_id));
    Remote { id: message.message_id.to_string(), url, more: Default::default() }
}

/// The error is in the body, with a description for people; of its words these are known.
fn read(wire: &Wire<'_>, failed: Failed) -> Outcome {
    let Some(answer) = &failed.answer else { return failed.outcome };
    let body: Value = parsed(answer).unwrap_or_default();
    let description = body["description"].as_str().unwrap_or_default();
    let reply = wire.words(answer);
    match answer.status {
        // A token that isn't known, or isn't one.
        401 | 404 => login(reply),
        // The bot was shut out, or may not write: nothing about the post.
        403 => login(reply),
        400 if ["chat not found", "not enough rights", "need administrator rights", "CHAT_WRITE_FORBIDDEN"]
            .iter()
            .any(|words| description.contains(words)) =>
        {
            login(reply)
        }
        429 => {
            let wait = body["parameters"]["retry_after"].as_f64().and_then(|wait| wire.after(wait));
            busy(reply, wait.or_else(|| wire.retry_at(answer)))
        }
        _ => failed.outcome,
    }
}

impl Network for Telegram {
    fn carrier(&self) -> &'static str {
        "telegram"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Utf16, max: 4_096 }],
            hashtags: Hashtags::Words,
            tags_max: 5,
            url_in_text: true,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: true, repeats_safely_for: None }
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.post(saying, gate))
    }

    fn edit<'a>(&'a self, saying: &'a Saying<'a>, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.change(saying, remote, gate))
    }

    fn unsay<'a>(&'a self, credential: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let id = remote.id.parse::<i64>().unwrap_or_default();
            let body = json!({ "chat_id": self.settings.chat, "message_id": id });
            let wire = Wire::new(&self.guard, None, credential);
            match self.call::<bool>(&wire, Step::Harmless, self.ask(credential, "deleteMessage", &body)).await {
                Ok(_) => Outcome::Sent { reply: "200".to_owned() },
                Err(Outcome::Refused { reply, .. }) if reply.contains("message to delete not found") => {
                    Outcome::Sent { reply: "it isn't there any more".to_owned() }
                }
                Err(outcome) => outcome,
            }
        })
    }
}

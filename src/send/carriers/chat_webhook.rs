//! Rooms of teams, by the webhooks that they give out: Slack (<https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>),
//! Discord (<https://docs.discord.com/developers/resources/webhook#execute-webhook>) and Microsoft Teams
//! (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook>, workflows with adaptive
//! cards). The webhook's address is the secret. None of them can be asked what was written: a lost answer is held.

mod shapes;

use crate::domain::delivery::{Outcome, Reason};
use crate::guard::{Answer, Guard};
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Step, Wire, busy, login, parsed};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// Whose webhook it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Slack,
    Discord,
    Teams,
}

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    flavour: Flavour,
    image: ImageUse,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["flavour"])?;
        let words = [("slack", Flavour::Slack), ("discord", Flavour::Discord), ("teams", Flavour::Teams)];
        let given = terms.flavour.as_deref();
        let given = given.ok_or_else(|| Wrong::new("flavour", "is needed: `slack`, `discord` or `teams`"))?;
        let flavour = Terms::one_of("flavour", Some(given), &words)?;
        Ok(Self { flavour, image: terms.images(&[ImageUse::Card, ImageUse::None])? })
    }
}

no_client_secret!(Settings);

/// A room.
pub struct ChatWebhook {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    channel_id: String,
}

impl ChatWebhook {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn body(&self, saying: &Saying<'_>) -> Value {
        let image = saying.blurb.image.as_ref().filter(|_| self.settings.image == ImageUse::Card);
        match self.settings.flavour {
            Flavour::Slack => shapes::slack(saying.blurb, image),
            Flavour::Discord => shapes::discord(saying.blurb, image),
            Flavour::Teams => shapes::teams(saying.blurb, image),
        }
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let body = self.body(saying);
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let (wire, address) = (Wire::new(&self.guard, saying.now, saying.credential), &saying.credential.access);
        let url = match self.settings.flavour {
            // Else the answer is empty, and comes before the message is there.
            Flavour::Discord => format!("{address}{}wait=true", if address.contains('?') { '&' } else { '?' }),
            Flavour::Slack | Flavour::Teams => address.clone(),
        };
        let answer = match wire.ask(Ask::post(url).making().json(&body)).await {
            Ok(answer) => answer,
            Err(failed) => return Said::nothing(read(&wire, failed)),
        };
        self.made(&wire, &answer)
    }

    /// What the documents say of a success, and nothing else.
    fn made(&self, wire: &Wire<'_>, answer: &Answer) -> Said {
        let text = String::from_utf8_lossy(&answer.body);
        let is_whole = !answer.is_broken && !answer.is_cut;
        match self.settings.flavour {
            Flavour::Slack if is_whole && text.trim() == "ok" => taken("ok"),
            // A workflow answers 202 with nothing, the older connectors 200 with 1.
            Flavour::Teams if is_whole && matches!(text.trim(), "" | "1") => taken("taken"),
            Flavour::Discord => match parsed::<Message>(answer) {
                Some(message) => Said::there(remote(message), "200"),
                None => Said::nothing(wire.bad(Step::Making, answer)),
            },
            Flavour::Slack | Flavour::Teams => Said::nothing(wire.bad(Step::Making, answer)),
        }
    }

    /// The address of a message of the webhook's own.
    fn message_url(credential: &Credential, remote: &Remote) -> String {
        let (address, query) = credential.access.split_once('?').unwrap_or((&credential.access, ""));
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        format!("{}/messages/{}{query}", address.trim_end_matches('/'), remote.id)
    }

    async fn change(&self, saying: &Saying<'_>, remote: &Remote, gate: &mut Gate) -> Said {
        let body = self.body(saying);
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = Ask::new(Method::PATCH, Self::message_url(saying.credential, remote)).json(&body);
        match wire.json::<Message>(ask).await {
            Ok(_) => Said::there(remote.clone(), "200"),
            Err(failed) if is_no_message(&failed) => Said::refused(Reason::ContentRefused, "it isn't there any more"),
            Err(failed) => Said::nothing(read(&wire, failed)),
        }
    }
}

/// It was taken, and nobody says where it is.
fn taken(reply: &str) -> Said {
    Said::nothing(Outcome::Sent { reply: reply.to_owned() })
}

fn remote(message: Message) -> Remote {
    let more = [("channel".to_owned(), message.channel_id)].into_iter().collect();
    Remote { id: message.id, url: None, more }
}

/// Discord's code of a message that isn't there.
fn is_no_message(failed: &Failed) -> bool {
    let body = failed.answer.as_ref().filter(|answer| answer.status == 404).and_then(parsed::<Value>);
    body.is_some_and(|body| body["code"] == 10_008)
}

/// A webhook that isn't good any more is named in many ways: 401, 404, and with Slack 403 and 410.
fn read(wire: &Wire<'_>, failed: Failed) -> Outcome {
    let Some(answer) = &failed.answer else { return failed.outcome };
    let reply = wire.words(answer);
    match answer.status {
        401 | 403 | 404 | 410 => login(reply),
        429 => {
            // Discord tells it in the body too, to the millisecond.
            let wait = parsed::<Value>(answer).and_then(|body| body["retry_after"].as_f64());
            busy(reply, wait.and_then(|wait| wire.after(wait)).or_else(|| wire.retry_at(answer)))
        }
        _ => failed.outcome,
    }
}

impl Network for ChatWebhook {
    fn carrier(&self) -> &'static str {
        "chat_webhook"
    }

    fn style(&self) -> Style {
        let (measure, max) = match self.settings.flavour {
            Flavour::Slack => (Measure::Utf16, shapes::SLACK_TEXT_MAX),
            Flavour::Discord => (Measure::Scalars, shapes::DISCORD_TEXT_MAX),
            Flavour::Teams => (Measure::Octets, shapes::TEAMS_TEXT_MAX),
        };
        Style {
            limits: vec![Limit { measure, max }],
            hashtags: Hashtags::None,
            tags_max: 0,
            // The title is a link by itself.
            url_in_text: false,
            title_in_text: false,
        }
    }

    fn can(&self) -> Can {
        let is_discord = self.settings.flavour == Flavour::Discord;
        Can { edit: is_discord, delete: is_discord, reply: false, repeats_safely_for: None }
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
            let wire = Wire::new(&self.guard, None, credential);
            match wire.ask(Ask::new(Method::DELETE, Self::message_url(credential, remote))).await {
                Ok(answer) if answer.status == 204 => Outcome::Sent { reply: "204".to_owned() },
                Ok(answer) => wire.bad(Step::Harmless, &answer),
                Err(failed) if is_no_message(&failed) => Outcome::Sent { reply: "it isn't there any more".to_owned() },
                Err(failed) => read(&wire, failed),
            }
        })
    }
}

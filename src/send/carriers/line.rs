//! An official account on LINE: a broadcast to its friends (<https://developers.line.biz/en/reference/messaging-api/#send-broadcast-message>,
//! <https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>). A repeat within a day is known by its retry key. What was
//! broadcast can't be looked up, changed or taken back.

use crate::domain::delivery::{Outcome, Reason};
use crate::domain::ids;
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Step, Wire, login, parsed};
use reqwest::header::HeaderName;
use serde_json::{Value, json};
use std::time::Duration;

/// Where the interface is.
const SERVER: &str = "https://api.line.me";
/// Retry keys are good for 24 hours after the first request; an hour is left for queues.
const KEYS_KEPT_FOR: Duration = Duration::from_secs(23 * 3_600);
/// By which LINE names a request.
const REQUEST: HeaderName = HeaderName::from_static("x-line-request-id");
/// By which it names the one that was taken before.
const ACCEPTED: HeaderName = HeaderName::from_static("x-line-accepted-request-id");

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server"])?;
        terms.images(&[ImageUse::Card, ImageUse::None])?;
        Ok(Self { server: terms.server(Some(SERVER))? })
    }
}

no_client_secret!(Settings);

/// An account.
pub struct Line {
    settings: Settings,
    guard: Guard,
}

/// The delivery's id as a UUID (RFC 9562 section 5.8, version 8: made as one likes).
fn retry_key(id: &str) -> String {
    let hash = ids::content_hash(id.as_bytes());
    format!("{}-{}-8{}-8{}-{}", &hash[..8], &hash[8..12], &hash[12..15], &hash[15..18], &hash[18..30])
}

impl Line {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let body = json!({ "messages": [{ "type": "text", "text": saying.blurb.text }] });
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = Ask::post(format!("{}/v2/bot/message/broadcast", self.settings.server)).making();
        let ask = ask.bearer(&saying.credential.access).header("x-line-retry-key", retry_key(saying.id)).json(&body);
        let remote = |id: Option<&str>| {
            let id = id.map_or_else(|| retry_key(saying.id), |id| id.chars().take(100).collect());
            Remote { id, url: None, more: Default::default() }
        };
        match wire.ask(ask).await {
            // `{}`, or with `sentMessages`, and never an error.
            Ok(answer) => match parsed::<serde_json::Map<String, Value>>(&answer) {
                Some(body) if !body.contains_key("message") && !body.contains_key("error") => {
                    Said::there(remote(answer.header(&REQUEST)), "200")
                }
                _ => Said::nothing(wire.bad(Step::Making, &answer)),
            },
            Err(failed) => match &failed.answer {
                Some(answer) if answer.status == 409 => {
                    Said::there(remote(answer.header(&ACCEPTED)), "it was taken before")
                }
                Some(answer) if answer.status == 403 => Said::nothing(login(wire.words(answer))),
                // The month's messages are used up: it opens with the next, or with another plan.
                Some(answer) if answer.status == 429 && wire.words(answer).contains("monthly limit") => {
                    let reply = wire.words(answer);
                    Said::nothing(Outcome::TryLater { reason: Reason::Policy, reply, not_before: None })
                }
                _ => Said::nothing(failed.outcome),
            },
        }
    }
}

impl Network for Line {
    fn carrier(&self) -> &'static str {
        "line"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Utf16, max: 5_000 }],
            hashtags: Hashtags::None,
            tags_max: 0,
            url_in_text: true,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: false, delete: false, reply: false, repeats_safely_for: Some(KEYS_KEPT_FOR) }
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.post(saying, gate))
    }
}

#[cfg(test)]
mod tests {
    use super::retry_key;

    #[test]
    fn a_retry_key_is_a_uuid_and_stays() {
        let key = retry_key("gkotely4btjppnnactjjdvgxsk");
        assert_eq!(key, retry_key("gkotely4btjppnnactjjdvgxsk"));
        assert_eq!(key.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!((&key[14..15], &key[19..20]), ("8", "8"));
    }
}

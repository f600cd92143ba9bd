//! Mastodon, and what speaks its interface (<https://docs.joinmastodon.org/methods/statuses/>, `…/media/`, `…/instance/#v2`). A repeat
//! within the hour is known by its `Idempotency-Key`; later the account's own posts are looked through.

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::Likeness;
use crate::send::social::wire::{
    Ask, Failed, Picked, Sought, Step, Wire, gone, login, parsed, pick, picture, without_tags,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Characters of a post where the server doesn't say.
const CHARACTERS: usize = 500;
/// What an address counts for, unless the server says otherwise.
const URL_COUNT: usize = 23;
/// Mastodon forgets an idempotency key after an hour; a part of it is left for clocks and queues.
const KEYS_KEPT_FOR: Duration = Duration::from_secs(50 * 60);
/// Octets of a picture at most, as servers have it by default.
const PICTURE_LEN_MAX: usize = 16 * 1_024 * 1_024;
/// How often it is asked whether an uploaded picture is ready, and the wait between.
const READY_ASKED_MAX: usize = 10;
const READY_WAIT: Duration = Duration::from_millis(500);
/// Own posts on a page, the most that one answer holds, and pages that are looked through.
const LOOKED_THROUGH: usize = 40;
const PAGES_MAX: usize = 5;
/// What parts the fields of an upload; a picture that held it would be refused by nobody but itself.
const BOUNDARY: &str = "allim-d41b7f0c9e6a4c52-part";

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    visibility: &'static str,
    image: ImageUse,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "visibility"])?;
        let words = [("public", "public"), ("unlisted", "unlisted"), ("private", "private")];
        Ok(Self {
            server: terms.server(None)?,
            visibility: Terms::one_of("visibility", terms.visibility.as_deref(), &words)?,
            image: terms.images(&[ImageUse::Card, ImageUse::Attach, ImageUse::None])?,
        })
    }
}

no_client_secret!(Settings);

/// An account.
pub struct Mastodon {
    settings: Settings,
    guard: Guard,
    characters: AtomicUsize,
    /// Whether the server said how long a post may be, or that it never will.
    has_learned: AtomicBool,
}

#[derive(Deserialize)]
struct Status {
    id: String,
    url: Option<String>,
    #[serde(default)]
    content: String,
    created_at: Option<jiff::Timestamp>,
    in_reply_to_id: Option<String>,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

impl Mastodon {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard, characters: AtomicUsize::new(CHARACTERS), has_learned: AtomicBool::new(false) }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/{path}", self.settings.server)
    }

    fn wire(&self, saying: &Saying<'_>) -> Wire<'_> {
        Wire::new(&self.guard, saying.now, saying.credential)
    }

    /// The picture's id. A picture that the server doesn't want isn't worth the post.
    async fn upload(&self, saying: &Saying<'_>) -> Result<Option<String>, Outcome> {
        let Some(image) = saying.blurb.image.as_ref().filter(|_| self.settings.image == ImageUse::Attach) else {
            return Ok(None);
        };
        let Some((bytes, kind)) = picture(&self.guard, image, PICTURE_LEN_MAX).await else { return Ok(None) };
        let (wire, token) = (self.wire(saying), &saying.credential.access);
        let ending = kind.rsplit('/').next().unwrap_or("jpeg");
        let field = |head: &str, value: &[u8]| {
            [format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes(), value, b"\r\n"]
                .concat()
        };
        let file = format!("name=\"file\"; filename=\"picture.{ending}\"\r\nContent-Type: {kind}");
        let body = [
            field("name=\"description\"", image.alt.as_bytes()),
            field(&file, &bytes),
            format!("--{BOUNDARY}--\r\n").into_bytes(),
        ];
        let kind = format!("multipart/form-data; boundary={BOUNDARY}");
        let ask = Ask::post(self.url("v2/media")).bearer(token).body(&kind, body.concat());
        let answer = match wire.ask(ask).await {
            Ok(answer) => answer,
            Err(Failed { outcome: Outcome::Refused { .. }, .. }) => return Ok(None),
            Err(failed) => return Err(failed.outcome),
        };
        let media: WithId = parsed(&answer).ok_or_else(|| wire.bad(Step::Harmless, &answer))?;
        let mut status = answer.status;
        for _ in 0..READY_ASKED_MAX {
            // 202 and 206: it is there, and not ready to be shown.
            if status == 200 {
                break;
            }
            tokio::time::sleep(READY_WAIT).await;
            let ask = Ask::get(self.url(&format!("v1/media/{}", media.id))).bearer(token);
            status = match wire.ask(ask).await {
                Ok(answer) => answer.status,
                // It can't be made into a picture.
                Err(Failed { outcome: Outcome::Refused { .. }, .. }) => return Ok(None),
                Err(failed) => return Err(failed.outcome),
            };
        }
        Ok((status == 200).then_some(media.id))
    }

    /// What the instance says of itself; asked until it answers.
    async fn ask_instance(&self, credential: &Credential, now: Option<UnixMillis>) {
        let ask = Ask::get(self.url("v2/instance"));
        let instance = match Wire::new(&self.guard, now, credential).json::<serde_json::Value>(ask).await {
            Ok(instance) => instance,
            Err(failed) => {
                let is_unknown = failed.answer.is_some_and(|answer| matches!(answer.status, 404 | 410));
                self.has_learned.store(is_unknown, Ordering::Relaxed);
                return;
            }
        };
        let statuses = &instance["configuration"]["statuses"];
        let number = |name: &str| statuses[name].as_u64().and_then(|count| usize::try_from(count).ok());
        if let Some(max) = number("max_characters").filter(|max| *max > 0) {
            // Addresses that count for more than elsewhere: of these a post has one, and what it takes more is left.
            let more = number("characters_reserved_per_url").unwrap_or_default().saturating_sub(URL_COUNT);
            self.characters.store(max.saturating_sub(more).max(1), Ordering::Relaxed);
        }
        self.has_learned.store(true, Ordering::Relaxed);
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        // It may not have answered when the account began; the next post knows.
        if !self.has_learned.load(Ordering::Relaxed) {
            self.ask_instance(saying.credential, Some(saying.now)).await;
        }
        let media = match self.upload(saying).await {
            Ok(media) => media,
            Err(outcome) => return Said::nothing(outcome),
        };
        let mut body = self.body(saying, media.as_deref());
        body["visibility"] = json!(self.settings.visibility);
        if let Some(parent) = saying.reply_to {
            body["in_reply_to_id"] = json!(parent.id);
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let ask = Ask::post(self.url("v1/statuses")).making().bearer(&saying.credential.access);
        let ask = ask.header("idempotency-key", saying.id).json(&body);
        self.said(self.wire(saying).json(ask).await, media, saying.reply_to.is_some())
    }

    fn body(&self, saying: &Saying<'_>, media: Option<&str>) -> serde_json::Value {
        let mut body = json!({ "status": saying.blurb.text, "language": base(&saying.blurb.language) });
        if let Some(media) = media {
            body["media_ids"] = json!([media]);
        }
        body
    }

    /// `is_of_another`: the call named another post, which may be gone.
    fn said(&self, answered: Result<Status, Failed>, media: Option<String>, is_of_another: bool) -> Said {
        match answered {
            Ok(status) => {
                let more = media.map(|id| ("media".to_owned(), id)).into_iter().collect();
                Said::there(Remote { id: status.id, url: status.url, more }, "200")
            }
            Err(failed) if is_of_another && is_missing(&failed) => Said::nothing(gone()),
            Err(failed) => Said::nothing(scoped(failed)),
        }
    }

    async fn change(&self, saying: &Saying<'_>, remote: &Remote, gate: &mut Gate) -> Said {
        // What isn't named goes from the post.
        let media = remote.more.get("media").cloned();
        let body = self.body(saying, media.as_deref());
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let ask = Ask::new(Method::PUT, self.url(&format!("v1/statuses/{}", remote.id)));
        self.said(self.wire(saying).json(ask.bearer(&saying.credential.access).json(&body)).await, media, true)
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let (wire, token) = (self.wire(saying), &saying.credential.access);
        let own: WithId = wire.json(Ask::get(self.url("v1/accounts/verify_credentials")).bearer(token)).await?;
        let parent = saying.reply_to.map(|parent| parent.id.as_str());
        let sought = Sought::new(saying.blurb, false);
        let likeness = |status: &Status| {
            let may_be = status.in_reply_to_id.as_deref() == parent && is_since(status.created_at, saying.since);
            if may_be { sought.likeness(&without_tags(&status.content), &[]) } else { Likeness::Other }
        };
        let (mut is_unclear, mut before) = (false, String::new());
        for _ in 0..PAGES_MAX {
            let path = format!("v1/accounts/{}/statuses?limit={LOOKED_THROUGH}&exclude_reblogs=true{before}", own.id);
            let statuses: Vec<Status> = wire.json(Ask::get(self.url(&path)).bearer(token)).await?;
            match pick(&statuses, likeness) {
                Picked::This(status) => {
                    let (id, url) = (status.id.clone(), status.url.clone());
                    return Ok(Found::There(Remote { id, url, more: Default::default() }));
                }
                Picked::Unclear => is_unclear = true,
                Picked::None => {}
            }
            // A page is filled before it is filtered: a short one isn't the last, an empty one is.
            let is_older = |status: &Status| !is_since(status.created_at, saying.since);
            let Some(last) = statuses.last().filter(|_| !statuses.iter().any(is_older)) else {
                return Ok(if is_unclear { Found::CantTell } else { Found::NotThere });
            };
            before = format!("&max_id={}", last.id);
        }
        Ok(Found::CantTell)
    }
}

/// Clocks of servers differ by so much.
pub(super) const CLOCKS_DIFFER: Duration = Duration::from_secs(300);

/// Whether a post was made after this one was planned.
pub(super) fn is_since(made_at: Option<jiff::Timestamp>, since: UnixMillis) -> bool {
    made_at.is_none_or(|at| UnixMillis::from_timestamp(at) >= since.minus(CLOCKS_DIFFER))
}

/// Mastodon takes ISO 639 codes, and of tags with more no more than these two.
fn base(language: &str) -> &str {
    match language {
        "zh-TW" | "zh-Hant" => "zh-TW",
        "zh-CN" | "zh-Hans" => "zh-CN",
        other => other.split('-').next().unwrap_or(other),
    }
}

fn is_missing(failed: &Failed) -> bool {
    failed.answer.as_ref().is_some_and(|answer| answer.status == 404)
}

/// 403 is about the token, not the post: it lacks a scope, or the account is blocked.
fn scoped(failed: Failed) -> Outcome {
    match (failed.answer, failed.outcome) {
        (Some(answer), Outcome::Refused { reply, .. }) if answer.status == 403 => login(reply),
        (_, outcome) => outcome,
    }
}

impl Network for Mastodon {
    fn carrier(&self) -> &'static str {
        "mastodon"
    }

    fn style(&self) -> Style {
        let max = self.characters.load(Ordering::Relaxed);
        Style {
            limits: vec![Limit { measure: Measure::Mastodon, max }],
            hashtags: Hashtags::Words,
            tags_max: 5,
            url_in_text: true,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: true, repeats_safely_for: Some(KEYS_KEPT_FOR) }
    }

    fn learn<'a>(&'a self, credential: &'a Credential) -> Later<'a, ()> {
        Box::pin(async move {
            self.ask_instance(credential, None).await;
        })
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
            let ask = Ask::new(Method::DELETE, self.url(&format!("v1/statuses/{}", remote.id)));
            match Wire::new(&self.guard, None, credential).json::<WithId>(ask.bearer(&credential.access)).await {
                Ok(_) => Outcome::Sent { reply: "200".to_owned() },
                Err(failed) if is_missing(&failed) => {
                    Outcome::Sent { reply: "404, it isn't there any more".to_owned() }
                }
                Err(failed) => scoped(failed),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(|failed| Found::Later(scoped(failed))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_those_that_mastodon_knows() {
        assert_eq!((base("ko"), base("en-GB"), base("zh-Hant"), base("zh-Hans")), ("ko", "en", "zh-TW", "zh-CN"));
    }
}

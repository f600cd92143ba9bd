//! Threads, by its API (<https://developers.facebook.com/docs/threads/posts>, `…/threads/get-started`, `…/threads/troubleshooting`). A
//! post is made ready first (a container), and published by a second call: only that one is the point of no return.

use super::facebook::settled;
use super::mastodon::CLOCKS_DIFFER;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::graph;
use crate::send::social::login::{Draw, Login};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::oauth::{self, Tokens};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Likeness, Picked, Sought, Step, Wire, gone, login, pick};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// Where the interface is.
const SERVER: &str = "https://graph.threads.net/v1.0";
/// Where people say yes.
const LOGIN_PAGE: &str = "https://threads.net/oauth/authorize";
/// What we ask to be allowed.
const SCOPES: &str = "threads_basic,threads_content_publish,threads_manage_replies,threads_delete";
/// A token that lasts sixty days is renewed when this is left of it: it can be renewed until it ends, and never after.
const RENEWED_BEFORE: Duration = Duration::from_secs(7 * 86_400);
/// Posts on a page, and pages that are looked through.
const LOOKED_THROUGH: usize = 100;
const PAGES_MAX: usize = 5;

/// What is said of an account.
#[derive(Clone)]
pub struct Settings {
    server: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    redirect: String,
    image: ImageUse,
}

hidden_secret!(Settings);

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "client_id", "client_secret_file", "redirect"])?;
        Ok(Self {
            server: terms.server(Some(SERVER))?,
            client_id: terms.client_id.clone(),
            client_secret: terms.client_secret.clone(),
            redirect: terms.redirect(),
            image: terms.images(&[ImageUse::Card, ImageUse::None])?,
        })
    }
}

/// An account.
pub struct Threads {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

#[derive(Deserialize)]
struct Success {
    success: bool,
}

#[derive(Deserialize)]
struct Posts {
    data: Vec<Value>,
    #[serde(default)]
    paging: Value,
}

impl Threads {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.server)
    }

    /// Tokens are given out beside the versions of the interface.
    fn tokens_url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.server.trim_end_matches("/v1.0"))
    }

    fn wire(&self, credential: &Credential, now: impl Into<Option<UnixMillis>>) -> Wire<'_> {
        Wire::new(&self.guard, now, credential).hiding(self.settings.client_secret.as_deref())
    }

    async fn renew(&self, credential: &Credential, now: UnixMillis) -> Result<Option<Credential>, Outcome> {
        if credential.expires_at.is_none_or(|ends| now.plus(RENEWED_BEFORE) < ends) {
            return Ok(None);
        }
        let wire = self.wire(credential, now);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "th_refresh_token"), ("access_token", &credential.access)])
            .finish();
        let ask = Ask::get(format!("{}?{query}", self.tokens_url("refresh_access_token")));
        let tokens = wire.json::<Tokens>(ask.secret()).await;
        match tokens.map_err(|failed| settled(&wire, Step::Harmless, failed, || login("no token".to_owned()))) {
            Ok(tokens) => Ok(Some(tokens.credential(credential, now))),
            Err(Outcome::Refused { reply, .. }) => Err(login(reply)),
            Err(outcome) => Err(outcome),
        }
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let (wire, token) = (self.wire(saying.credential, saying.now), &saying.credential.access);
        let mut form = vec![("media_type", "TEXT"), ("text", saying.blurb.text.as_str())];
        if let Some(url) = saying.blurb.url.as_deref().filter(|_| self.settings.image == ImageUse::Card) {
            form.push(("link_attachment", url));
        }
        if let Some(parent) = saying.reply_to {
            form.push(("reply_to_id", &parent.id));
        }
        // What is answered may be gone.
        let not_there = || if saying.reply_to.is_some() { gone() } else { not_there() };
        let ready = match wire.json::<WithId>(Ask::post(self.url("me/threads")).bearer(token).form(&form)).await {
            Ok(ready) => ready,
            Err(failed) => return Said::nothing(settled(&wire, Step::Harmless, failed, not_there)),
        };
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let ask = Ask::post(self.url("me/threads_publish")).making().bearer(token);
        match wire.json::<WithId>(ask.form(&[("creation_id", &ready.id)])).await {
            Ok(made) => Said::there(Remote { id: made.id, url: None, more: Default::default() }, "200"),
            Err(failed) => Said::nothing(settled(&wire, Step::Making, failed, not_there)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let since = saying.since.minus(CLOCKS_DIFFER).0 / 1_000;
        // What answers something of one's own is listed by itself.
        let list = if saying.reply_to.is_some() { "replies" } else { "threads" };
        let fields = "id,text,permalink,link_attachment_url,replied_to";
        let list = format!("me/{list}?fields={fields}&since={since}&limit={LOOKED_THROUGH}");
        let wire = self.wire(saying.credential, saying.now);
        let sought = Sought::new(saying.blurb, self.settings.image == ImageUse::Card);
        let likeness = |post: &Value| {
            let link = post["link_attachment_url"].as_str().unwrap_or_default();
            let answered = saying.reply_to.is_none_or(|parent| post["replied_to"]["id"] == parent.id);
            let text = post["text"].as_str().unwrap_or_default();
            if answered { sought.likeness(text, &[link]) } else { Likeness::Other }
        };
        let (mut is_unclear, mut after) = (false, String::new());
        for _ in 0..PAGES_MAX {
            let ask = Ask::get(self.url(&format!("{list}{after}"))).bearer(&saying.credential.access);
            let posts: Posts = wire.json(ask).await?;
            match pick(&posts.data, likeness) {
                Picked::This(post) => {
                    let url = post["permalink"].as_str().map(str::to_owned);
                    let id = post["id"].as_str().map(str::to_owned);
                    let there = |id| Found::There(Remote { id, url, more: Default::default() });
                    return Ok(id.map_or(Found::CantTell, there));
                }
                Picked::Unclear => is_unclear = true,
                Picked::None => {}
            }
            // A page may hold fewer than were asked for: the end is no place to go on from, or nothing there.
            let Some(next) = graph::next(&posts.paging).filter(|_| !posts.data.is_empty()) else {
                return Ok(if is_unclear { Found::CantTell } else { Found::NotThere });
            };
            after = next;
        }
        Ok(Found::CantTell)
    }
}

fn not_there() -> Outcome {
    let reply = "there is no such account, or the token has no right to it".to_owned();
    Outcome::TryLater { reason: Reason::OurError, reply, not_before: None }
}

impl Login for Threads {
    fn page(&self, draw: &Draw) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("client_id", self.settings.client_id.as_deref().unwrap_or_default());
        query.append_pair("redirect_uri", &self.settings.redirect).append_pair("scope", SCOPES);
        query.append_pair("response_type", "code").append_pair("state", &draw.state);
        format!("{LOGIN_PAGE}?{}", query.finish())
    }

    /// The code makes a token for an hour, and that one for sixty days.
    fn exchange<'a>(&'a self, code: &'a str, _: &'a Draw, now: UnixMillis) -> Later<'a, Result<Credential, Outcome>> {
        Box::pin(async move {
            let (Some(id), Some(secret)) = (&self.settings.client_id, &self.settings.client_secret) else {
                return Err(login("client_id and client_secret_file are needed to log in".to_owned()));
            };
            let none = Credential::default();
            // The address that is pasted ends with `#_`, which isn't of the code.
            let code = code.trim_end_matches("#_");
            let wire = self.wire(&none, now).hiding(Some(code));
            let pairs = [
                ("client_id", id.as_str()),
                ("client_secret", secret),
                ("grant_type", "authorization_code"),
                ("redirect_uri", &self.settings.redirect),
                ("code", code),
            ];
            let ask = Ask::post(self.tokens_url("oauth/access_token")).form(&pairs);
            let short = oauth::tokens(&wire, ask).await?.credential(&none, now);
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("grant_type", "th_exchange_token"), ("client_secret", secret)])
                .extend_pairs([("access_token", &short.access)])
                .finish();
            let wire = self.wire(&short, now);
            let ask = Ask::get(format!("{}?{query}", self.tokens_url("access_token")));
            Ok(oauth::tokens(&wire, ask).await?.credential(&none, now))
        })
    }
}

impl Network for Threads {
    fn carrier(&self) -> &'static str {
        "threads"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Scalars, max: 500 }],
            hashtags: Hashtags::Words,
            // A second one is text.
            tags_max: 1,
            url_in_text: self.settings.image != ImageUse::Card,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: false, delete: true, reply: true, repeats_safely_for: None }
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }

    fn refresh<'a>(
        &'a self,
        credential: &'a Credential,
        now: UnixMillis,
    ) -> Later<'a, Result<Option<Credential>, Outcome>> {
        Box::pin(self.renew(credential, now))
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.post(saying, gate))
    }

    fn unsay<'a>(&'a self, credential: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let wire = self.wire(credential, None);
            let ask = Ask::new(Method::DELETE, self.url(&remote.id)).bearer(&credential.access);
            match wire.json::<Success>(ask).await {
                Ok(Success { success: true }) => Outcome::Sent { reply: "200".to_owned() },
                Ok(_) => Outcome::Refused { reason: Reason::ContentRefused, reply: "it wasn't deleted".to_owned() },
                Err(failed) => settled(&wire, Step::Harmless, failed, || Outcome::Sent {
                    reply: "it isn't there any more".to_owned(),
                }),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move {
            let wire = self.wire(saying.credential, saying.now);
            let later = |failed| Found::Later(settled(&wire, Step::Harmless, failed, not_there));
            self.look(saying).await.unwrap_or_else(later)
        })
    }
}

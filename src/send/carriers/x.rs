//! X, by its API v2 with the rights of a user (<https://docs.x.com/x-api/posts/create-post>, `…/users/get-posts`,
//! <https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code>, `…/rate-limits`). Refresh tokens are good once.

use super::mastodon::is_since;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::guard::{Answer, Guard};
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::login::{Draw, Login};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::oauth::{self, Tokens};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{
    Ask, Failed, Likeness, Picked, Sought, Wire, busy, duplicate, instant_in, login, pick,
};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the interface is.
const SERVER: &str = "https://api.x.com";
/// Where people say yes.
const LOGIN_PAGE: &str = "https://x.com/i/oauth2/authorize";
/// What we ask to be allowed; `offline.access` brings a refresh token.
const SCOPES: &str = "tweet.read tweet.write users.read offline.access";
/// Own posts that are looked through.
const LOOKED_THROUGH: usize = 100;

/// What is said of an account.
#[derive(Clone)]
pub struct Settings {
    server: String,
    client_id: String,
    client_secret: Option<String>,
    redirect: String,
}

hidden_secret!(Settings);

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "client_id", "client_secret_file", "redirect"])?;
        terms.images(&[ImageUse::Card])?;
        Ok(Self {
            server: terms.server(Some(SERVER))?,
            client_id: terms.client_id()?,
            client_secret: terms.client_secret.clone(),
            redirect: terms.redirect(),
        })
    }
}

/// An account.
pub struct X {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct WithId {
    id: String,
}

#[derive(Deserialize)]
struct Posts {
    #[serde(default)]
    data: Vec<Post>,
    meta: Value,
}

#[derive(Deserialize)]
struct Post {
    id: String,
    #[serde(default)]
    text: String,
    created_at: Option<jiff::Timestamp>,
    #[serde(default)]
    entities: Value,
    #[serde(default)]
    referenced_tweets: Vec<Referenced>,
}

#[derive(Deserialize)]
struct Referenced {
    #[serde(rename = "type")]
    kind: String,
    id: String,
}

#[derive(Deserialize)]
struct Deleted {
    deleted: bool,
}

impl X {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/2/{path}", self.settings.server)
    }

    fn wire(&self, credential: &Credential, now: impl Into<Option<UnixMillis>>) -> Wire<'_> {
        Wire::new(&self.guard, now, credential).hiding(self.settings.client_secret.as_deref())
    }

    /// A program with a secret proves itself by it, one without names itself.
    fn token_ask(&self, pairs: &[(&str, &str)]) -> Ask {
        let ask = Ask::post(self.url("oauth2/token"));
        match &self.settings.client_secret {
            Some(secret) => ask.basic(&self.settings.client_id, secret).form(pairs),
            None => ask.form(&[pairs, &[("client_id", &self.settings.client_id)]].concat()),
        }
    }

    async fn renew(&self, credential: &Credential, now: UnixMillis) -> Result<Option<Credential>, Outcome> {
        let Some(refresh) = credential.refresh.as_deref().filter(|_| oauth::ends_soon(credential, now)) else {
            return Ok(None);
        };
        let ask = self.token_ask(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]);
        let tokens: Tokens = oauth::tokens(&self.wire(credential, now), ask).await?;
        Ok(Some(tokens.credential(credential, now)))
    }

    async fn first(&self, code: &str, draw: &Draw, now: UnixMillis) -> Result<Credential, Outcome> {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.settings.redirect),
            ("code_verifier", &draw.verifier),
        ];
        let none = Credential::default();
        let wire = self.wire(&none, now).hiding(Some(code)).hiding(Some(&draw.verifier));
        let tokens = oauth::tokens(&wire, self.token_ask(&pairs)).await?;
        let mut credential = tokens.credential(&none, now);
        let me = Ask::get(self.url("users/me")).bearer(&credential.access);
        let me: Data<WithId> = self.wire(&credential, now).json(me).await?;
        credential.more.insert("user_id".to_owned(), me.data.id);
        Ok(credential)
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let mut body = json!({ "text": saying.blurb.text });
        if let Some(parent) = saying.reply_to {
            body["reply"] = json!({ "in_reply_to_tweet_id": parent.id });
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = self.wire(saying.credential, saying.now);
        let ask = Ask::post(self.url("tweets")).making().bearer(&saying.credential.access).json(&body);
        match wire.json::<Data<WithId>>(ask).await {
            Ok(made) => Said::there(remote(made.data.id), "201"),
            Err(failed) if is_duplicate(&failed) => match self.look(saying).await {
                Ok(Found::There(there)) => Said::there(there, "it was there"),
                // The same text stands there, and it isn't known whether it is this one.
                _ => Said::nothing(duplicate()),
            },
            Err(failed) => Said::nothing(limited(failed)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let (wire, token) = (self.wire(saying.credential, saying.now), &saying.credential.access);
        let user = match saying.credential.more.get("user_id") {
            Some(user) => user.clone(),
            None => wire.json::<Data<WithId>>(Ask::get(self.url("users/me")).bearer(token)).await?.data.id,
        };
        let fields = "tweet.fields=created_at,entities,referenced_tweets&exclude=retweets";
        let path = format!("users/{user}/tweets?max_results={LOOKED_THROUGH}&{fields}");
        let posts: Posts = wire.json(Ask::get(self.url(&path)).bearer(token)).await?;
        let parent = saying.reply_to.map(|parent| parent.id.as_str());
        let sought = Sought::new(saying.blurb, false);
        let likeness = |post: &Post| {
            let answers = post.referenced_tweets.iter().find(|tweet| tweet.kind == "replied_to");
            // Addresses stand in the text shortened, and whole beside it.
            let urls = post.entities["urls"].as_array().map_or(&[][..], Vec::as_slice);
            let urls = urls.iter().flat_map(|url| [&url["expanded_url"], &url["unwound_url"]]);
            let urls: Vec<&str> = urls.filter_map(Value::as_str).collect();
            let may_be = answers.map(|tweet| tweet.id.as_str()) == parent && is_since(post.created_at, saying.since);
            if may_be { sought.likeness(&post.text, &urls) } else { Likeness::Other }
        };
        match pick(&posts.data, likeness) {
            Picked::This(post) => return Ok(Found::There(remote(post.id.clone()))),
            Picked::Unclear => return Ok(Found::CantTell),
            Picked::None => {}
        }
        let is_last = posts.meta["next_token"].is_null();
        let is_whole = is_last || posts.data.iter().any(|post| !is_since(post.created_at, saying.since));
        Ok(if is_whole { Found::NotThere } else { Found::CantTell })
    }
}

fn remote(id: String) -> Remote {
    let url = Some(format!("https://x.com/i/web/status/{id}"));
    Remote { id, url, more: Default::default() }
}

/// 403 with these words, of which the document says no more.
fn is_duplicate(failed: &Failed) -> bool {
    let answer = failed.answer.as_ref().filter(|answer| answer.status == 403);
    answer.is_some_and(|answer| String::from_utf8_lossy(&answer.body).contains("duplicate content"))
}

/// When a limit ends is told in a field of its own.
fn limited(failed: Failed) -> Outcome {
    match (&failed.answer, failed.outcome) {
        (Some(answer), Outcome::TryLater { reason: Reason::Busy, reply, not_before }) if answer.status == 429 => {
            // The day's limit is told beside that of fifteen minutes.
            let is_day_over = answer.header(&DAY_LEFT).is_some_and(|left| left.trim() == "0");
            let day = instant_in(answer, "x-user-limit-24hour-reset").filter(|_| is_day_over);
            busy(reply, day.or_else(|| instant_in(answer, "x-rate-limit-reset")).or(not_before))
        }
        // 403 is about the account or its rights, unless it names a fault of the text.
        (Some(answer), Outcome::Refused { reply, .. }) if answer.status == 403 && !is_about_text(answer) => {
            login(reply)
        }
        (_, outcome) => outcome,
    }
}

/// Words by which the text is refused: said before, too long, an answer where none is let, an address that is known for harm.
fn is_about_text(answer: &Answer) -> bool {
    const WORDS: [&str; 6] =
        ["duplicate content", "too long", "reply to a ", "reply to this ", "deleted or not visible", "harmful"];
    let body = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    WORDS.iter().any(|words| body.contains(words))
}

const DAY_LEFT: reqwest::header::HeaderName = reqwest::header::HeaderName::from_static("x-user-limit-24hour-remaining");

impl Login for X {
    fn page(&self, draw: &Draw) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([("response_type", "code"), ("client_id", &self.settings.client_id)]);
        query.extend_pairs([("redirect_uri", self.settings.redirect.as_str()), ("scope", SCOPES)]);
        query.extend_pairs([("state", draw.state.as_str()), ("code_challenge", &draw.challenge())]);
        query.append_pair("code_challenge_method", "S256");
        format!("{LOGIN_PAGE}?{}", query.finish())
    }

    fn exchange<'a>(
        &'a self,
        code: &'a str,
        draw: &'a Draw,
        now: UnixMillis,
    ) -> Later<'a, Result<Credential, Outcome>> {
        Box::pin(self.first(code, draw, now))
    }
}

impl Network for X {
    fn carrier(&self) -> &'static str {
        "x"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Weighted, max: 280 }],
            hashtags: Hashtags::Words,
            tags_max: 2,
            url_in_text: true,
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
            let ask = Ask::new(Method::DELETE, self.url(&format!("tweets/{}", remote.id))).bearer(&credential.access);
            match wire.json::<Data<Deleted>>(ask).await {
                Ok(answer) if answer.data.deleted => Outcome::Sent { reply: "200".to_owned() },
                Ok(_) => Outcome::Refused { reason: Reason::ContentRefused, reply: "it wasn't deleted".to_owned() },
                Err(failed) if failed.answer.as_ref().is_some_and(|answer| answer.status == 404) => {
                    Outcome::Sent { reply: "404, it isn't there any more".to_owned() }
                }
                Err(failed) => limited(failed),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(|failed| Found::Later(limited(failed))) })
    }
}

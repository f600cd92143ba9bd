//! An organisation on LinkedIn, by the Posts API (<https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api>,
//! `…/shares/little-text-format`, <https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow>).

use super::mastodon::CLOCKS_DIFFER;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Outcome;
use crate::guard::Guard;
use crate::render::blurb::{Blurb, Style};
use crate::render::fit::{Hashtags, Kind, Limit, Measure, beginning};
use crate::send::carrier::{Gate, Later};
use crate::send::social::login::{Draw, Login};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::oauth::{self, Tokens};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{
    Ask, Failed, Likeness, Picked, Sought, Step, Wire, duplicate, gone, login, parsed, pick,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Method;
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::{Value, json};

/// Where the interface is.
const SERVER: &str = "https://api.linkedin.com";
/// Where tokens are given out.
const TOKENS: &str = "https://www.linkedin.com/oauth/v2";
/// The month of the interface that this file speaks; each is served for a year at least.
const VERSION: &str = "202610";
/// What we ask to be allowed.
const SCOPES: &str = "w_organization_social r_organization_social";
/// Names the post that was made.
const MADE: HeaderName = HeaderName::from_static("x-restli-id");
/// Posts on a page, and pages that are looked through.
const LOOKED_THROUGH: usize = 50;
const PAGES_MAX: usize = 5;
/// Characters that mean something in a commentary, and stand for themselves after a backslash.
const RESERVED: &str = "|{}@[]()<>#\\*_~";

/// What is said of an account.
#[derive(Clone)]
pub struct Settings {
    server: String,
    /// Where tokens are given out: beside the interface where a server was named, else at LinkedIn's own place.
    tokens: String,
    author: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    redirect: String,
    image: ImageUse,
}

hidden_secret!(Settings);

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "target", "client_id", "client_secret_file", "redirect"])?;
        let target = terms.target("the organisation's number, such as `2414183`")?;
        if !target.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::new("target", "write the organisation's number, as in `urn:li:organization:2414183`"));
        }
        let server = terms.server(Some(SERVER))?;
        Ok(Self {
            tokens: terms.server.as_ref().map_or_else(|| TOKENS.to_owned(), |_| format!("{server}/oauth/v2")),
            server,
            author: format!("urn:li:organization:{target}"),
            client_id: terms.client_id.clone(),
            client_secret: terms.client_secret.clone(),
            redirect: terms.redirect(),
            image: terms.images(&[ImageUse::Card, ImageUse::None])?,
        })
    }
}

/// An organisation.
pub struct LinkedIn {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
struct Posts {
    elements: Vec<Value>,
}

impl LinkedIn {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn ask(&self, method: Method, path: &str, token: &str) -> Ask {
        let ask = Ask::new(method, format!("{}/rest/posts{path}", self.settings.server)).bearer(token);
        ask.header("linkedin-version", VERSION).header("x-restli-protocol-version", "2.0.0")
    }

    fn wire(&self, credential: &Credential, now: impl Into<Option<UnixMillis>>) -> Wire<'_> {
        Wire::new(&self.guard, now, credential).hiding(self.settings.client_secret.as_deref())
    }

    async fn tokens(&self, wire: &Wire<'_>, pairs: &[(&str, &str)]) -> Result<Tokens, Outcome> {
        let (Some(id), Some(secret)) = (&self.settings.client_id, &self.settings.client_secret) else {
            return Err(login("client_id and client_secret_file are needed to log in".to_owned()));
        };
        let form = [pairs, &[("client_id", id.as_str()), ("client_secret", secret.as_str())]].concat();
        oauth::tokens(wire, Ask::post(format!("{}/accessToken", self.settings.tokens)).form(&form)).await
    }

    async fn renew(&self, credential: &Credential, now: UnixMillis) -> Result<Option<Credential>, Outcome> {
        let Some(refresh) = credential.refresh.as_deref().filter(|_| oauth::ends_soon(credential, now)) else {
            return Ok(None);
        };
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let tokens = self.tokens(&self.wire(credential, now), &pairs).await?;
        Ok(Some(tokens.credential(credential, now)))
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let blurb = saying.blurb;
        let mut body = json!({
            "author": self.settings.author, "commentary": little_text(blurb), "visibility": "PUBLIC",
            "distribution": { "feedDistribution": "MAIN_FEED", "targetEntities": [], "thirdPartyDistributionChannels": [] },
            "lifecycleState": "PUBLISHED", "isReshareDisabledByAuthor": false,
        });
        if let Some(url) = blurb.url.as_ref().filter(|_| self.settings.image == ImageUse::Card) {
            let (title, summary) = (beginning(&blurb.title, 300), beginning(&blurb.summary, 300));
            body["content"] = json!({ "article": { "source": url, "title": title, "description": summary } });
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = self.wire(saying.credential, saying.now);
        match wire.ask(self.ask(Method::POST, "", &saying.credential.access).making().json(&body)).await {
            Ok(answer) => match answer.header(&MADE).filter(|id| answer.status == 201 && id.starts_with("urn:li:")) {
                Some(id) => Said::there(remote(id.to_owned()), "201"),
                None => Said::nothing(wire.bad(Step::Making, &answer)),
            },
            // The error names the post that says the same.
            Err(failed) => match duplicate_of(&failed) {
                Some(id) if matches!(self.look(saying).await, Ok(Found::There(there)) if there.id == id) => {
                    Said::there(remote(id), "it was there")
                }
                // It may be the post itself, of which the look doesn't know yet.
                Some(_) => Said::nothing(duplicate()),
                None => Said::nothing(read(failed)),
            },
        }
    }

    async fn change(&self, saying: &Saying<'_>, remote: &Remote, gate: &mut Gate) -> Said {
        let body = json!({ "patch": { "$set": { "commentary": little_text(saying.blurb) } } });
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = self.wire(saying.credential, saying.now);
        let ask = self.ask(Method::POST, &path(remote), &saying.credential.access);
        match wire.ask(ask.header("x-restli-method", "PARTIAL_UPDATE").json(&body)).await {
            Ok(answer) if answer.status == 204 => Said::there(remote.clone(), "204"),
            Ok(answer) => Said::nothing(wire.bad(Step::Harmless, &answer)),
            Err(failed) if is_missing(&failed) => Said::nothing(gone()),
            Err(failed) => Said::nothing(read(failed)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let author = utf8_percent_encode(&self.settings.author, NON_ALPHANUMERIC);
        let wire = self.wire(saying.credential, saying.now);
        let since = saying.since.minus(CLOCKS_DIFFER).0;
        let is_new = |post: &Value| post["createdAt"].as_i64().is_none_or(|at| at >= since);
        let sought = Sought::new(saying.blurb, self.settings.image == ImageUse::Card);
        let likeness = |post: &Value| {
            let source = post["content"]["article"]["source"].as_str().unwrap_or_default();
            let text = plain(post["commentary"].as_str().unwrap_or_default());
            if is_new(post) { sought.likeness(&text, &[source]) } else { Likeness::Other }
        };
        let (mut is_unclear, mut start) = (false, 0);
        for _ in 0..PAGES_MAX {
            let path = format!("?q=author&author={author}&start={start}&count={LOOKED_THROUGH}&sortBy=CREATED");
            let ask = self.ask(Method::GET, &path, &saying.credential.access).header("x-restli-method", "FINDER");
            let posts: Posts = wire.json(ask).await?;
            match pick(&posts.elements, likeness) {
                Picked::This(post) => {
                    let id = post["id"].as_str().map(str::to_owned);
                    return Ok(id.map_or(Found::CantTell, |id| Found::There(remote(id))));
                }
                Picked::Unclear => is_unclear = true,
                Picked::None => {}
            }
            // A page may hold fewer than were asked for; only an empty one, or an older post, is the end.
            if posts.elements.is_empty() || posts.elements.iter().any(|post| !is_new(post)) {
                return Ok(if is_unclear { Found::CantTell } else { Found::NotThere });
            }
            start += LOOKED_THROUGH;
        }
        Ok(Found::CantTell)
    }
}

fn path(remote: &Remote) -> String {
    format!("/{}", utf8_percent_encode(&remote.id, NON_ALPHANUMERIC))
}

fn remote(id: String) -> Remote {
    let url = Some(format!("https://www.linkedin.com/feed/update/{id}"));
    Remote { id, url, more: Default::default() }
}

/// The text as LinkedIn's little text: what is reserved after a backslash, and hashtags by their template.
fn little_text(blurb: &Blurb) -> String {
    let escaped = |text: &str, out: &mut String| {
        for c in text.chars() {
            if RESERVED.contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
    };
    let (mut out, mut at) = (String::with_capacity(blurb.text.len() + 32), 0);
    for span in blurb.spans.iter().filter(|span| span.kind == Kind::Tag) {
        let (Some(before), Some(tag)) = (blurb.text.get(at..span.start), blurb.text.get(span.start + 1..span.end))
        else {
            continue;
        };
        escaped(before, &mut out);
        out.push_str("{hashtag|\\#|");
        escaped(tag, &mut out);
        out.push('}');
        at = span.end;
    }
    escaped(blurb.text.get(at..).unwrap_or_default(), &mut out);
    out
}

fn is_missing(failed: &Failed) -> bool {
    failed.answer.as_ref().is_some_and(|answer| answer.status == 404)
}

/// A commentary as readers see it.
fn plain(commentary: &str) -> String {
    let (mut out, mut rest) = (String::new(), commentary);
    while let Some((before, after)) = rest.split_once("{hashtag|\\#|") {
        out.push_str(before);
        let (tag, after) = after.split_once('}').unwrap_or((after, ""));
        out.push('#');
        out.push_str(tag);
        rest = after;
    }
    (out + rest).replace('\\', "")
}

/// 422 with the code `DUPLICATE_POST`, or 409, naming the other post.
fn duplicate_of(failed: &Failed) -> Option<String> {
    let answer = failed.answer.as_ref().filter(|answer| matches!(answer.status, 409 | 422))?;
    let message = parsed::<Value>(answer)?["message"].as_str()?.to_owned();
    let start = message.find("urn:li:")?;
    let of_urn = |c: char| c.is_ascii_alphanumeric() || c == ':';
    Some(message[start..].chars().take_while(|c| of_urn(*c)).collect())
}

/// 403 is a right that is missing, and 426 a version that is served no more: neither is about the post.
fn read(failed: Failed) -> Outcome {
    match (&failed.answer, failed.outcome) {
        (Some(answer), Outcome::Refused { reply, .. }) if answer.status == 403 => login(reply),
        (_, outcome) => outcome,
    }
}

impl Login for LinkedIn {
    fn page(&self, draw: &Draw) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("response_type", "code");
        query.append_pair("client_id", self.settings.client_id.as_deref().unwrap_or_default());
        query.append_pair("redirect_uri", &self.settings.redirect);
        query.append_pair("state", &draw.state).append_pair("scope", SCOPES);
        format!("{}/authorization?{}", self.settings.tokens, query.finish())
    }

    /// LinkedIn knows no challenge for programs with a secret.
    fn exchange<'a>(&'a self, code: &'a str, _: &'a Draw, now: UnixMillis) -> Later<'a, Result<Credential, Outcome>> {
        Box::pin(async move {
            let none = Credential::default();
            let wire = self.wire(&none, now).hiding(Some(code));
            let redirect = self.settings.redirect.as_str();
            let pairs = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect)];
            Ok(self.tokens(&wire, &pairs).await?.credential(&none, now))
        })
    }
}

impl Network for LinkedIn {
    fn carrier(&self) -> &'static str {
        "linkedin"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Utf16, max: 3_000 }],
            hashtags: Hashtags::Words,
            tags_max: 3,
            url_in_text: self.settings.image != ImageUse::Card,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: false, repeats_safely_for: None }
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

    fn edit<'a>(&'a self, saying: &'a Saying<'a>, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.change(saying, remote, gate))
    }

    fn unsay<'a>(&'a self, credential: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let wire = self.wire(credential, None);
            let ask = self.ask(Method::DELETE, &path(remote), &credential.access).header("x-restli-method", "DELETE");
            // A second deletion is answered as the first.
            match wire.ask(ask).await {
                Ok(answer) if answer.status == 204 => Outcome::Sent { reply: "204".to_owned() },
                Ok(answer) => wire.bad(Step::Harmless, &answer),
                Err(failed) if is_missing(&failed) => {
                    Outcome::Sent { reply: "404, it isn't there any more".to_owned() }
                }
                Err(failed) => read(failed),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(|failed| Found::Later(read(failed))) })
    }
}

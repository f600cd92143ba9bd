//! Bluesky, by the AT protocol (<https://docs.bsky.app/docs/api/com-atproto-repo-create-record>, the lexicons
//! `com.atproto.server.createSession`, `com.atproto.repo.*`, `app.bsky.feed.post`). A post's record key follows from the delivery, so
//! there can't be a second one of it, and whether it is there can be looked up for ever.
//!
//! Records can be changed, but readers are shown the first: a revision is answered or left.

mod record;

use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Wire, in_seconds, login, picture};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use record::{Record, facets, record_key, remote, reply_refs};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Where most accounts are.
const SERVER: &str = "https://bsky.social";
/// The collection of posts.
const POSTS: &str = "app.bsky.feed.post";
/// Octets of a picture at most (`app.bsky.embed.images`, `…external`).
const PICTURE_LEN_MAX: usize = 1_000_000;
/// A session is renewed this long before it ends.
const EARLY: Duration = Duration::from_secs(300);
/// How long a session is trusted that doesn't say when it ends.
const SESSION_SECONDS: f64 = 3_600.0;

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    user: String,
    image: ImageUse,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "user"])?;
        let user = terms.user.clone().filter(|user| !user.is_empty());
        Ok(Self {
            server: terms.server(Some(SERVER))?,
            user: user.ok_or_else(|| Wrong::new("user", "is needed: the handle, such as `notices.example.org`"))?,
            image: terms.images(&[ImageUse::Card, ImageUse::Attach, ImageUse::None])?,
        })
    }
}

no_client_secret!(Settings);

/// An account.
pub struct Bluesky {
    settings: Settings,
    guard: Guard,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    did: String,
    access_jwt: String,
    refresh_jwt: String,
}

#[derive(Deserialize)]
struct Uploaded {
    blob: Value,
}

/// When a token of three parts ends, as its middle one says (RFC 7519 section 4.1.4).
fn ends_at(token: &str) -> Option<UnixMillis> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let seconds = serde_json::from_slice::<Value>(&claims).ok()?["exp"].as_i64()?;
    Some(UnixMillis(seconds.saturating_mul(1_000)))
}

impl Bluesky {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, method: &str) -> String {
        format!("{}/xrpc/com.atproto.{method}", self.settings.server)
    }

    fn wire(&self, saying: &Saying<'_>) -> Wire<'_> {
        Wire::new(&self.guard, saying.now, saying.credential)
    }

    async fn renew(&self, credential: &Credential, now: UnixMillis) -> Result<Option<Credential>, Outcome> {
        let has_session = credential.more.contains_key("did");
        if has_session && credential.expires_at.is_none_or(|ends| now.plus(EARLY) < ends) {
            return Ok(None);
        }
        let wire = Wire::new(&self.guard, now, credential);
        let password = credential.more.get("password").unwrap_or(&credential.access);
        if let (true, Some(refresh)) = (has_session, &credential.refresh) {
            let ask = Ask::post(self.url("server.refreshSession")).bearer(refresh).secret();
            match wire.json::<Session>(ask).await {
                Ok(session) => return Ok(Some(made(session, password, now))),
                // A session that ended for good: the password makes another.
                Err(failed) if is_about_session(&failed) => {}
                Err(failed) => return Err(self.read(failed)),
            }
        }
        let body = json!({ "identifier": self.settings.user, "password": password });
        let session = wire.json::<Session>(Ask::post(self.url("server.createSession")).json(&body).secret()).await;
        session.map(|session| Some(made(session, password, now))).map_err(|failed| self.read(failed))
    }

    /// `ExpiredToken` and the like come with 400.
    fn read(&self, failed: Failed) -> Outcome {
        match failed.outcome {
            Outcome::Refused { reply, .. } | Outcome::TryLater { reply, .. }
                if failed.answer.as_ref().is_some_and(|answer| answer.status == 400 && is_expired(&answer.body)) =>
            {
                login(reply)
            }
            outcome => outcome,
        }
    }

    async fn embed(&self, saying: &Saying<'_>) -> Result<Option<Value>, Outcome> {
        let (blurb, way) = (saying.blurb, self.settings.image);
        let image = match blurb.image.as_ref().filter(|_| way != ImageUse::None) {
            Some(image) => picture(&self.guard, image, PICTURE_LEN_MAX).await.map(|found| (image, found)),
            None => None,
        };
        let blob = match &image {
            None => None,
            Some((image, (bytes, kind))) => {
                let ask = Ask::post(self.url("repo.uploadBlob")).bearer(&saying.credential.access);
                match self.wire(saying).json::<Uploaded>(ask.body(kind, bytes.clone())).await {
                    Ok(uploaded) => Some((image.alt.clone(), uploaded.blob)),
                    Err(failed) => match self.read(failed) {
                        // A picture that isn't wanted isn't worth the post.
                        Outcome::Refused { .. } => None,
                        outcome => return Err(outcome),
                    },
                }
            }
        };
        if let (ImageUse::Attach, Some((alt, blob))) = (way, &blob) {
            let images = json!([{ "image": blob, "alt": alt }]);
            return Ok(Some(json!({ "$type": "app.bsky.embed.images", "images": images })));
        }
        let Some(url) = blurb.url.as_ref().filter(|_| way != ImageUse::None) else { return Ok(None) };
        let mut external = json!({ "uri": url, "title": blurb.title, "description": blurb.summary });
        if let Some((_, blob)) = blob {
            external["thumb"] = blob;
        }
        Ok(Some(json!({ "$type": "app.bsky.embed.external", "external": external })))
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let Some(did) = saying.credential.more.get("did") else {
            return Said::nothing(login("there is no session yet".to_owned()));
        };
        let embed = match self.embed(saying).await {
            Ok(embed) => embed,
            Err(outcome) => return Said::nothing(outcome),
        };
        let blurb = saying.blurb;
        let mut record = json!({
            "$type": POSTS, "text": blurb.text, "langs": [blurb.language], "facets": facets(blurb),
            "createdAt": saying.now.to_string(),
        });
        if let Some(embed) = embed {
            record["embed"] = embed;
        }
        if let Some(parent) = saying.reply_to {
            record["reply"] = reply_refs(parent);
        }
        let body =
            json!({ "repo": did, "collection": POSTS, "rkey": record_key(saying.id, saying.since), "record": record });
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let ask = Ask::post(self.url("repo.createRecord")).making().bearer(&saying.credential.access).json(&body);
        match self.wire(saying).json::<Record>(ask).await {
            Ok(record) => Said::there(remote(record, saying.reply_to), "200"),
            Err(failed) if is_about_session(&failed) => Said::nothing(self.read(failed)),
            // Servers answer 400 or 500 where the key is taken, that is where an earlier attempt made the post.
            Err(failed) if failed.answer.as_ref().is_some_and(|answer| matches!(answer.status, 400 | 409 | 500)) => {
                match self.look(saying).await {
                    Ok(Found::There(there)) => Said::there(there, "it was there"),
                    Ok(Found::NotThere) => Said::nothing(self.read(failed)),
                    _ => {
                        let reply = "the key may be taken by the post itself".to_owned();
                        Said::nothing(Outcome::Uncertain { reason: Reason::AnswerLost, reply })
                    }
                }
            }
            Err(failed) => Said::nothing(self.read(failed)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let Some(did) = saying.credential.more.get("did") else { return Ok(Found::CantTell) };
        let key = record_key(saying.id, saying.since);
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("repo", did.as_str()), ("collection", POSTS), ("rkey", &key)])
            .finish();
        let ask = Ask::get(format!("{}?{query}", self.url("repo.getRecord"))).bearer(&saying.credential.access);
        match self.wire(saying).json::<Record>(ask).await {
            Ok(record) => Ok(Found::There(remote(record, saying.reply_to))),
            Err(failed) if failed.answer.as_ref().is_some_and(|answer| names(&answer.body, &["RecordNotFound"])) => {
                Ok(Found::NotThere)
            }
            Err(failed) => Err(failed),
        }
    }
}

/// The error that an answer names.
fn names(body: &[u8], errors: &[&str]) -> bool {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    value["error"].as_str().is_some_and(|error| errors.contains(&error))
}

fn is_expired(body: &[u8]) -> bool {
    names(body, &["ExpiredToken", "InvalidToken", "AuthenticationRequired", "AuthMissing"])
}

fn is_about_session(failed: &Failed) -> bool {
    failed.answer.as_ref().is_some_and(|answer| answer.status == 401 || is_expired(&answer.body))
}

fn made(session: Session, password: &str, now: UnixMillis) -> Credential {
    let ends = ends_at(&session.access_jwt).or_else(|| in_seconds(now, SESSION_SECONDS));
    let more = [("did", session.did), ("password", password.to_owned())];
    Credential {
        access: session.access_jwt,
        refresh: Some(session.refresh_jwt),
        expires_at: ends,
        more: more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

impl Network for Bluesky {
    fn carrier(&self) -> &'static str {
        "bluesky"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![
                Limit { measure: Measure::Graphemes, max: 300 },
                Limit { measure: Measure::Octets, max: 3_000 },
            ],
            hashtags: Hashtags::Loose,
            tags_max: 5,
            url_in_text: true,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: false, delete: true, reply: true, repeats_safely_for: Some(Duration::MAX) }
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
            let (did, key) = (credential.more.get("did"), remote.id.rsplit('/').next().unwrap_or_default());
            let Some(did) = did else { return login("there is no session yet".to_owned()) };
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let body = json!({ "repo": did, "collection": POSTS, "rkey": key });
            let ask = Ask::post(self.url("repo.deleteRecord")).bearer(&credential.access).json(&body);
            // One that isn't there is answered as one that was.
            match Wire::new(&self.guard, None, credential).json::<Value>(ask).await {
                Ok(_) => Outcome::Sent { reply: "200".to_owned() },
                Err(failed) => self.read(failed),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(|failed| Found::Later(self.read(failed))) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_read_from_its_token() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"exp":1795392000}"#);
        assert_eq!(ends_at(&format!("a.{claims}.c")), Some(UnixMillis(1_795_392_000_000)));
        assert_eq!((ends_at("abc"), ends_at("a.!.c")), (None, None));
    }
}

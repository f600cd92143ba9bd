//! Bookmarks, by the first interface of del.icio.us, which Pinboard and others speak (<https://pinboard.in/api/>: "General", "posts/add",
//! "posts/get", "posts/delete"). A bookmark is known by its address, so a repeat replaces it and makes no second one. Its token is part
//! of every address, and gets into nothing that is told.

use crate::domain::delivery::{Outcome, Reason};
use crate::guard::{Answer, Guard};
use crate::render::blurb::{Blurb, Style};
use crate::render::fit::{Hashtags, Kind, Limit, Measure, beginning};
use crate::send::carrier::{Gate, Later};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Step, Wire, login};
use roxmltree::Document;
use std::time::Duration;

/// Pinboard's.
const SERVER: &str = "https://api.pinboard.in/v1";
/// Characters of a title at most.
const TITLE_MAX: usize = 255;
/// Characters of a description that go: an address that holds more is refused by servers before the service sees it.
const TEXT_MAX: usize = 600;

/// Octets of an address that go: the guard asks none that is longer than 8,192.
const URL_LEN_MAX: usize = 8_000;

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    is_shared: bool,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "visibility"])?;
        terms.images(&[ImageUse::Card, ImageUse::None])?;
        let words = [("public", true), ("private", false)];
        let is_shared = Terms::one_of("visibility", terms.visibility.as_deref(), &words)?;
        Ok(Self { server: terms.server(Some(SERVER))?, is_shared })
    }
}

no_client_secret!(Settings);

/// An account.
pub struct Delicious {
    settings: Settings,
    guard: Guard,
}

/// What an answer says, read strictly: no document type, one root, one of two forms.
enum Told {
    /// `<result code="…"/>`
    Result(String),
    /// `<posts>…</posts>`, and whether it holds this address.
    Posts(Vec<String>),
}

fn told(answer: &Answer) -> Option<Told> {
    if answer.is_broken || answer.is_cut {
        return None;
    }
    let text = std::str::from_utf8(&answer.body).ok()?;
    let document = Document::parse(text).ok()?;
    let root = document.root_element();
    match root.tag_name().name() {
        "result" => root.attribute("code").map(|code| Told::Result(code.to_owned())),
        "posts" => {
            let posts = root.children().filter(|node| node.has_tag_name("post"));
            Some(Told::Posts(posts.filter_map(|post| post.attribute("href").map(str::to_owned)).collect()))
        }
        _ => None,
    }
}

impl Delicious {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, credential: &Credential, method: &str, pairs: &[(&str, &str)]) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("auth_token", &credential.access).extend_pairs(pairs);
        format!("{}/posts/{method}?{}", self.settings.server, query.finish())
    }

    fn ask(&self, credential: &Credential, method: &str, pairs: &[(&str, &str)]) -> Ask {
        Ask::get(self.url(credential, method, pairs))
    }

    async fn add(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        let blurb = saying.blurb;
        let Some(url) = &blurb.url else { return Said::refused(Reason::ContentRefused, "a bookmark needs an address") };
        // White space and commas part tags, and one that begins with a point is private.
        let tags: Vec<&str> = blurb.tags.iter().map(|tag| tag.trim_start_matches('.')).collect();
        let (title, tags) = (beginning(&blurb.title, TITLE_MAX), tags.join(" "));
        let dt = saying.now.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let shared = if self.settings.is_shared { "yes" } else { "no" };
        let address = |extended: &str| {
            let what = [("url", url.as_str()), ("description", &title), ("extended", extended), ("tags", &tags)];
            let how = [("dt", dt.as_str()), ("replace", "yes"), ("shared", shared)];
            self.url(saying.credential, "add", &[&what[..], &how[..]].concat())
        };
        // A syllable of Hangul takes nine octets in an address: of a long description the beginning goes.
        let (mut extended, mut kept) = (without_tags(blurb).to_owned(), TEXT_MAX);
        while kept > 0 && address(&extended).len() > URL_LEN_MAX {
            kept -= TEXT_MAX / 12;
            extended = beginning(&extended, kept);
        }
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let answer = match wire.ask(Ask::get(address(&extended)).making()).await {
            Ok(answer) => answer,
            Err(failed) => return Said::nothing(read(failed)),
        };
        match told(&answer) {
            Some(Told::Result(code)) if matches!(code.as_str(), "done" | "item already exists") => {
                Said::there(Remote { id: url.clone(), url: Some(url.clone()), more: Default::default() }, code)
            }
            // The document's own word for anything that failed.
            Some(Told::Result(code)) if code == "something went wrong" => {
                Said::nothing(Outcome::Uncertain { reason: Reason::AnswerLost, reply: wire.words(&answer) })
            }
            Some(Told::Result(_)) => Said::refused(Reason::ContentRefused, wire.words(&answer)),
            _ => Said::nothing(wire.bad(Step::Making, &answer)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Outcome> {
        let Some(url) = &saying.blurb.url else { return Ok(Found::CantTell) };
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = self.ask(saying.credential, "get", &[("url", url)]);
        let answer = wire.ask(ask).await.map_err(read)?;
        match told(&answer) {
            Some(Told::Posts(hrefs)) if hrefs.iter().any(|href| is_same(href, url)) => {
                Ok(Found::There(Remote { id: url.clone(), url: Some(url.clone()), more: Default::default() }))
            }
            Some(Told::Posts(_)) => Ok(Found::NotThere),
            _ => Err(wire.bad(Step::Harmless, &answer)),
        }
    }
}

/// Tags travel beside the text: where they are its last line they needn't stand there too.
fn without_tags(blurb: &Blurb) -> &str {
    let first = blurb.spans.iter().find(|span| span.kind == Kind::Tag).map(|span| span.start);
    let last = blurb.spans.last().is_some_and(|span| span.end == blurb.text.len());
    let text = first.filter(|_| last).and_then(|start| blurb.text.get(..start));
    text.filter(|text| text.ends_with('\n') || text.is_empty()).unwrap_or(&blurb.text).trim_end()
}

/// An address without a path is the one with a slash.
fn is_same(one: &str, other: &str) -> bool {
    one == other || url::Url::parse(one).ok().zip(url::Url::parse(other).ok()).is_some_and(|(one, other)| one == other)
}

/// 403 is about the token, as 401 is.
fn read(failed: Failed) -> Outcome {
    match (&failed.answer, failed.outcome) {
        (Some(answer), Outcome::Refused { reply, .. }) if answer.status == 403 => login(reply),
        (_, outcome) => outcome,
    }
}

impl Network for Delicious {
    fn carrier(&self) -> &'static str {
        "delicious"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Scalars, max: TEXT_MAX }],
            hashtags: Hashtags::Loose,
            tags_max: 20,
            url_in_text: false,
            title_in_text: false,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: false, repeats_safely_for: Some(Duration::MAX) }
    }

    fn say<'a>(&'a self, saying: &'a Saying<'a>, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.add(saying, gate))
    }

    fn edit<'a>(&'a self, saying: &'a Saying<'a>, _: &'a Remote, gate: &'a mut Gate) -> Later<'a, Said> {
        Box::pin(self.add(saying, gate))
    }

    fn unsay<'a>(&'a self, credential: &'a Credential, remote: &'a Remote, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let wire = Wire::new(&self.guard, None, credential);
            let answer = match wire.ask(self.ask(credential, "delete", &[("url", &remote.id)])).await {
                Ok(answer) => answer,
                Err(failed) => return read(failed),
            };
            match told(&answer) {
                Some(Told::Result(code)) if matches!(code.as_str(), "done" | "item not found") => {
                    Outcome::Sent { reply: code }
                }
                _ => wire.bad(Step::Harmless, &answer),
            }
        })
    }

    fn find<'a>(&'a self, saying: &'a Saying<'a>) -> Later<'a, Found> {
        Box::pin(async move { self.look(saying).await.unwrap_or_else(Found::Later) })
    }
}

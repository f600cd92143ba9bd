//! A page on Facebook, by the Graph API (<https://developers.facebook.com/docs/graph-api/reference/page/feed/>, `…/pages-api/posts`).
//! The token is the page's own, which doesn't end if it was made from a long-lived one of a person.

use super::mastodon::CLOCKS_DIFFER;
use crate::domain::delivery::{Outcome, Reason};
use crate::guard::Guard;
use crate::render::blurb::Style;
use crate::render::fit::{Hashtags, Limit, Measure};
use crate::send::carrier::{Gate, Later};
use crate::send::social::graph::{self, Meant};
use crate::send::social::network::{Can, Credential, Found, Network, Remote, Said, Saying};
use crate::send::social::terms::{ImageUse, Terms, Wrong};
use crate::send::social::wire::{Ask, Failed, Picked, Sought, Step, Wire, gone, pick};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

/// Where the interface is, with the version that this file speaks.
const SERVER: &str = "https://graph.facebook.com/v24.0";
/// Posts on a page, and pages that are looked through.
const LOOKED_THROUGH: usize = 100;
const PAGES_MAX: usize = 5;

/// What is said of an account.
#[derive(Clone, Debug)]
pub struct Settings {
    server: String,
    page: String,
    image: ImageUse,
}

impl Settings {
    pub(super) fn read(terms: &Terms) -> Result<Self, Wrong> {
        terms.only(&["server", "target"])?;
        let page = terms.target("the page's id, such as `104857601234567`")?;
        if !page.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Wrong::new("target", "write the page's id, which is a number"));
        }
        let image = terms.images(&[ImageUse::Card, ImageUse::None])?;
        Ok(Self { server: terms.server(Some(SERVER))?, page, image })
    }
}

no_client_secret!(Settings);

/// A page.
pub struct Facebook {
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
struct Feed {
    data: Vec<Value>,
    #[serde(default)]
    paging: Value,
}

impl Facebook {
    pub(super) fn new(settings: Settings, guard: Guard) -> Self {
        Self { settings, guard }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/{path}", self.settings.server)
    }

    async fn post(&self, saying: &Saying<'_>, gate: &mut Gate) -> Said {
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let mut form = vec![("message", saying.blurb.text.as_str())];
        if let Some(url) = saying.blurb.url.as_deref().filter(|_| self.settings.image == ImageUse::Card) {
            form.push(("link", url));
        }
        let ask = Ask::post(self.url(&format!("{}/feed", self.settings.page)));
        match wire.json::<WithId>(ask.making().bearer(&saying.credential.access).form(&form)).await {
            Ok(made) => Said::there(remote(made.id, None), "200"),
            Err(failed) => match graph::read(&wire, Step::Making, failed) {
                Meant::Duplicate(refused) => match self.look(saying).await {
                    Ok(Found::There(there)) => Said::there(there, "it was there"),
                    Ok(Found::NotThere) => Said::nothing(refused),
                    _ => {
                        let reply = "a duplicate".to_owned();
                        Said::nothing(Outcome::Uncertain { reason: Reason::AnswerLost, reply })
                    }
                },
                Meant::NotThere => Said::nothing(no_page()),
                Meant::Outcome(outcome) => Said::nothing(outcome),
            },
        }
    }

    async fn change(&self, saying: &Saying<'_>, remote: &Remote, gate: &mut Gate) -> Said {
        if !gate.pass().await {
            return Said::nothing(Outcome::NotAllowed);
        }
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let ask = Ask::post(self.url(&remote.id)).bearer(&saying.credential.access);
        match wire.json::<Success>(ask.form(&[("message", &saying.blurb.text)])).await {
            Ok(Success { success: true }) => Said::there(remote.clone(), "200"),
            Ok(_) => Said::refused(Reason::ContentRefused, "it wasn't changed"),
            Err(failed) => Said::nothing(settled(&wire, Step::Harmless, failed, gone)),
        }
    }

    async fn look(&self, saying: &Saying<'_>) -> Result<Found, Failed> {
        let wire = Wire::new(&self.guard, saying.now, saying.credential);
        let since = saying.since.minus(CLOCKS_DIFFER).0 / 1_000;
        let fields = "id,message,permalink_url,attachments%7Bunshimmed_url,url%7D";
        let sought = Sought::new(saying.blurb, self.settings.image == ImageUse::Card);
        let likeness = |post: &Value| {
            let attached = post["attachments"]["data"].as_array().map_or(&[][..], Vec::as_slice);
            let urls = attached.iter().flat_map(|item| [&item["unshimmed_url"], &item["url"]]);
            let urls: Vec<&str> = urls.filter_map(Value::as_str).collect();
            sought.likeness(post["message"].as_str().unwrap_or_default(), &urls)
        };
        // The feed holds what visitors wrote too.
        let list =
            format!("{}/published_posts?fields={fields}&since={since}&limit={LOOKED_THROUGH}", self.settings.page);
        let (mut is_unclear, mut after) = (false, String::new());
        for _ in 0..PAGES_MAX {
            let ask = Ask::get(self.url(&format!("{list}{after}"))).bearer(&saying.credential.access);
            let feed: Feed = wire.json(ask).await?;
            match pick(&feed.data, likeness) {
                Picked::This(post) => {
                    let url = post["permalink_url"].as_str().map(str::to_owned);
                    let id = post["id"].as_str().map(str::to_owned);
                    return Ok(id.map_or(Found::CantTell, |id| Found::There(remote(id, url))));
                }
                Picked::Unclear => is_unclear = true,
                Picked::None => {}
            }
            let Some(next) = graph::next(&feed.paging).filter(|_| !feed.data.is_empty()) else {
                return Ok(if is_unclear { Found::CantTell } else { Found::NotThere });
            };
            after = next;
        }
        Ok(Found::CantTell)
    }
}

fn remote(id: String, url: Option<String>) -> Remote {
    let url = url.or_else(|| Some(format!("https://www.facebook.com/{id}")));
    Remote { id, url, more: Default::default() }
}

fn no_page() -> Outcome {
    let reply = "there is no such page, or the token isn't the page's".to_owned();
    Outcome::TryLater { reason: Reason::OurError, reply, not_before: None }
}

/// What a failed call means, where a post that isn't there means something of its own.
pub(super) fn settled(wire: &Wire<'_>, step: Step, failed: Failed, not_there: impl Fn() -> Outcome) -> Outcome {
    match graph::read(wire, step, failed) {
        Meant::Duplicate(outcome) | Meant::Outcome(outcome) => outcome,
        Meant::NotThere => not_there(),
    }
}

impl Network for Facebook {
    fn carrier(&self) -> &'static str {
        "facebook"
    }

    fn style(&self) -> Style {
        Style {
            limits: vec![Limit { measure: Measure::Utf16, max: 63_206 }],
            hashtags: Hashtags::Words,
            tags_max: 5,
            // A link beside the message has a card, and the message ends without an address.
            url_in_text: self.settings.image != ImageUse::Card,
            title_in_text: true,
        }
    }

    fn can(&self) -> Can {
        Can { edit: true, delete: true, reply: false, repeats_safely_for: None }
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
            let wire = Wire::new(&self.guard, saying.now, saying.credential);
            let later = |failed| Found::Later(settled(&wire, Step::Harmless, failed, no_page));
            self.look(saying).await.unwrap_or_else(later)
        })
    }
}

//! Tells other hubs that feeds have changed, as publishers do: they fetch the feeds themselves (PubSubHubbub 0.4 section 7.1, which
//! W3C WebSub leaves open).

use crate::domain::delivery::Outcome;
use crate::domain::feed;
use crate::guard::{Call, Guard};
use crate::render::RenderError;
use crate::render::feed::{House, Which};
use crate::render::templates::Templates;
use crate::send::carrier::{Gate, Later};
use crate::send::push::courier::{Courier, News, Push, judge};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use std::sync::Arc;

/// Octets of an answer that are kept.
const ANSWER_MAX: usize = 1_024;

/// The publisher's side of other hubs.
pub struct HubPing {
    /// The way out.
    pub guard: Guard,
    /// What feeds have in common.
    pub house: Arc<House>,
}

impl HubPing {
    async fn push(&self, push: &Push<'_>, gate: &mut Gate) -> Outcome {
        if !gate.pass().await {
            return Outcome::NotAllowed;
        }
        let headers = vec![(CONTENT_TYPE, "application/x-www-form-urlencoded".to_owned())];
        let (url, body) = (&push.endpoint.url, push.body.as_bytes().to_vec());
        judge(
            &self.guard.call(Call { method: Method::POST, url, headers, body, answer_max: ANSWER_MAX }).await,
            push.now,
        )
    }
}

impl Courier for HubPing {
    fn carrier(&self) -> &'static str {
        feed::HUB_PING
    }

    fn write(&self, _: &str, news: &News, _: &Templates) -> Result<String, RenderError> {
        let feeds = match news {
            News::Post(showable) => feed::paths(showable.post(), &feed::ENDINGS),
            News::Gone { feeds, .. } => feeds.clone(),
        };
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("hub.mode", "publish");
        // A language or a topic of the post that isn't ours has no feed.
        for path in feeds.iter().filter(|path| Which::at(&self.house, path).is_some()) {
            form.append_pair("hub.url", &format!("{}{path}", self.house.origin));
        }
        Ok(form.finish())
    }

    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(self.push(push, gate))
    }
}

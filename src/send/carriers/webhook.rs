//! Signed webhooks to partner institutions (Standard Webhooks 1.0.0). The id is the delivery's, the same over all attempts; the time is
//! the attempt's; and each live key signs, so that a key can be replaced without a gap.

use crate::domain::backoff;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::keyring::Keyring;
use crate::domain::partner;
use crate::domain::seal::Seal;
use crate::guard::{Guard, Signed};
use crate::render::RenderError;
use crate::render::event::{self, Told, Written};
use crate::render::feed::House;
use crate::render::templates::Templates;
use crate::send::carrier::{Gate, Later};
use crate::send::push::courier::{Courier, Manners, News, Push, judge};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::header::HeaderName;
use std::sync::Arc;
use std::time::Duration;

/// A partner may ask to be left alone for this long at most.
const ASKED_MAX: Duration = Duration::from_secs(24 * 3_600);
/// The schedule is over after 75.6 hours.
const GIVE_UP_AFTER: Duration = Duration::from_secs(76 * 3_600);
const UNCERTAIN_WAIT: Duration = Duration::from_secs(60);
/// What attributes in header fields bear encoded only, beside everything beyond ASCII (CloudEvents, HTTP binding, section 3.1.3.2).
const UNSAFE: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// How partners are tried: see [`Webhook`].
pub(super) const MANNERS: Manners = Manners {
    give_up_after: GIVE_UP_AFTER,
    uncertain_wait: UNCERTAIN_WAIT,
    backoff: &backoff::WEBHOOK,
    opens_after: 1,
};

/// Webhooks as a carrier.
pub struct Webhook {
    /// The way out.
    pub guard: Guard,
    /// What posts have in common.
    pub house: Arc<House>,
    /// What partners' keys are sealed with.
    pub seal: Arc<Seal>,
}

impl Webhook {
    async fn push(&self, push: &Push<'_>, gate: &mut Gate) -> Outcome {
        gate.ask();
        let opened = keyring(&self.seal, push);
        let keys = opened.map_or_else(Vec::new, |keyring| keyring.live(push.now));
        if keys.is_empty() {
            return ours("the keys of this partner can't be read with the seal of this installation");
        }
        let Some(written) = Written::read(push.body) else { return ours("what was written can't be read") };
        let (content_type, body, more) = dressed(&written);
        let (url, id) = (&push.endpoint.url, push.key.text_id());
        if !gate.pass().await {
            return Outcome::NotAllowed;
        }
        let (content_type, body) = (content_type.as_str(), body.as_bytes());
        let signed = Signed { url, id: &id, now: push.now, keys: &keys, content_type, more, body };
        bounded(judge(&self.guard.post_signed(&signed).await, push.now), push.now)
    }
}

/// A fault of ours: it costs time, and no delivery.
pub(super) fn ours(words: &str) -> Outcome {
    Outcome::TryLater { reason: Reason::OurError, reply: words.to_owned(), not_before: None }
}

/// The secrets of the partner that a delivery goes to.
pub(super) fn keyring(seal: &Seal, push: &Push<'_>) -> Option<Keyring> {
    let purpose = partner::seal_purpose(&push.endpoint.subject);
    Keyring::read(&seal.open(&purpose, &push.endpoint.secret.as_ref()?.0)?)
}

/// What is written for all partners of one format.
pub(super) fn write(house: &House, subject: &str, news: &News, templates: &Templates) -> Result<String, RenderError> {
    let unknown = RenderError::Field { field: "format", reason: "there is no such format any more" };
    let what = partner::read_subject(subject).ok_or(unknown)?;
    let (told, travelled) = match news {
        News::Post(showable) => (Told::Post(showable), &showable.post().path),
        News::Gone { tombstone, path, .. } => (Told::Gone(tombstone), path),
    };
    event::write(house, what, told, travelled, templates).map(|written| written.keep())
}

/// Content type, body and header fields: an event in one document, or, where the document is of another kind, its attributes in
/// header fields (CloudEvents, HTTP binding, sections 3.1 and 3.2).
fn dressed(written: &Written) -> (String, String, Vec<(HeaderName, String)>) {
    if let Some(body) = written.is_wire().then(|| written.structured()).flatten() {
        return (format!("{}; charset=utf-8", event::CLOUD_EVENT), body, Vec::new());
    }
    let field = |(name, value): (&String, &String)| {
        Some((
            HeaderName::from_bytes(format!("ce-{name}").as_bytes()).ok()?,
            utf8_percent_encode(value, UNSAFE).to_string(),
        ))
    };
    (written.media_type.clone(), written.body.clone(), written.attributes.iter().filter_map(field).collect())
}

/// What a partner asks for, within bounds.
fn bounded(outcome: Outcome, now: UnixMillis) -> Outcome {
    match outcome {
        Outcome::TryLater { reason, reply, not_before } => {
            Outcome::TryLater { reason, reply, not_before: not_before.map(|at| at.min(now.plus(ASKED_MAX))) }
        }
        outcome => outcome,
    }
}

impl Courier for Webhook {
    fn carrier(&self) -> &'static str {
        partner::WEBHOOK
    }

    fn manners(&self) -> Manners {
        MANNERS
    }

    fn write(&self, subject: &str, news: &News, templates: &Templates) -> Result<String, RenderError> {
        write(&self.house, subject, news, templates)
    }

    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(self.push(push, gate))
    }
}

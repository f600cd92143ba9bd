//! Partner institutions: what they are told in, how it is signed and carried, and the interface that they ask.
#![allow(missing_docs, reason = "a test")]

#[cfg(feature = "amqp")]
mod amqp;
mod formats;
mod interface;
mod operators;
#[path = "../support/mod.rs"]
mod support;
mod webhook;

use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{DeliveryKey, Outcome};
use allim::domain::keyring::Keyring;
use allim::domain::language::Language;
use allim::domain::partner;
use allim::domain::seal::Seal;
use allim::render::feed::House;
use allim::render::site::Site;
use allim::render::templates::Templates;
use allim::send::carrier::Gate;
use allim::send::push::courier::{Courier, Push};
use allim::store::endpoints::{Endpoint, Secret};
use std::sync::Arc;
use tokio::sync::oneshot;

pub fn now() -> UnixMillis {
    UnixMillis(support::now_seconds() * 1_000)
}

pub fn seal() -> Arc<Seal> {
    Arc::new(Seal::new("a key of the tests, long enough").expect("a seal"))
}

pub fn house() -> Arc<House> {
    let languages: Vec<Language> = ["ko", "en"].map(|tag| Language::parse(tag).expect("a tag")).to_vec();
    let site: Site = serde_json::from_value(serde_json::json!({
        "name": { "ko": "하늘정책연구원", "en": "Sky Policy Institute" }, "public_url": "https://allim.example.org",
    }))
    .expect("a site");
    Arc::new(House {
        origin: "https://allim.example.org".to_owned(),
        site,
        zone: jiff::tz::TimeZone::get("Asia/Seoul").expect("a zone"),
        tag_authority: "example.org,2026".to_owned(),
        languages,
        topics: Vec::new(),
        hubs: Vec::new(),
    })
}

pub fn templates() -> Templates {
    Templates::load(None).expect("templates")
}

/// The endpoint of a partner with these secrets.
pub fn endpoint(carrier: &str, url: &str, keyring: &Keyring) -> Endpoint {
    let secret = seal().close(&partner::seal_purpose("university"), &keyring.write(), [1, 2]).expect("sealed");
    Endpoint {
        id: 7,
        carrier: carrier.to_owned(),
        subject: "university".to_owned(),
        url: url.to_owned(),
        secret: Some(Secret(secret)),
        since: 0,
        created_at: now(),
        renewed_at: now(),
        until_at: None,
        ended_at: None,
        ended_why: None,
    }
}

pub fn key(plan_id: i64, carrier: &str) -> DeliveryKey {
    DeliveryKey { plan_id, recipient_id: 7, carrier: carrier.to_owned() }
}

/// One attempt, whose gate opens or doesn't.
pub async fn attempt(
    courier: &dyn Courier,
    key: &DeliveryKey,
    endpoint: &Endpoint,
    body: &str,
    allowed: bool,
) -> Outcome {
    let (say, answer) = oneshot::channel();
    say.send(allowed).expect("somebody listens");
    let mut gate = Gate::answered_by(answer);
    courier.carry(&Push { key, endpoint, body, now: now() }, &mut gate).await
}

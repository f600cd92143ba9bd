//! Receipts back to the source: what became of what it sent, by webhook or through the broker. Each is durable with what it tells of
//! ([`note`]), and told until somebody takes it or three days have gone by.

mod done;
pub(super) mod note;

use crate::domain::backoff;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::standard_webhook::{self as webhook, Key};
use crate::guard::{Call, Guard};
use crate::intake::amqp;
use crate::store::receipts::{self, Receipt};
use crate::store::{Store, StoreError};
use reqwest::header::{CONTENT_TYPE, HeaderName};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// An idle teller looks this often.
const POLL: Duration = Duration::from_secs(1);
/// Told at once: one slow source holds up no other.
const AT_ONCE_MAX: usize = 8;
/// What was taken is taken again after this, if nobody says what came of it.
const TAKEN_FOR: Duration = Duration::from_secs(120);
/// Who can't be told for so long isn't told any more.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(3 * 86_400);
/// What far sides ask us to wait at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(86_400);
/// Receipts are kept this long, so that none is told twice.
const KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);
/// Receipts forgotten in one transaction.
const FORGOTTEN_MAX: i64 = 1_000;
/// How often old ones are looked for.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);
/// Octets of an answer that are read.
const ANSWER_MAX: usize = 4_096;
const MEDIA_TYPE: &str = "application/cloudevents+json";

/// How a source is told.
#[derive(Clone)]
pub enum Way {
    /// By a signed request (Standard Webhooks).
    Webhook {
        /// Where.
        url: String,
        /// What it is signed with.
        keys: Vec<Key>,
    },
    /// Through the broker that posts come from.
    Amqp {
        /// The exchange; empty for the one that leads to the queue of the key's name.
        exchange: String,
        /// The routing key.
        routing_key: String,
    },
}

/// What tells sources.
pub struct Teller {
    /// The ledger.
    pub store: Store,
    /// The way out.
    pub guard: Guard,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
    /// How each source is told.
    pub ways: BTreeMap<String, Way>,
    /// The broker.
    pub broker: Option<amqp::Settings>,
    /// Of this installation.
    pub authority: String,
    /// How long immediate mail waits.
    pub grace: Duration,
    /// Whether the database may be another than it was: then nobody is told anything.
    pub is_in_doubt: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Why a source wasn't told, and when to try again.
struct Untold {
    why: String,
    /// Told never.
    is_for_good: bool,
    /// As the far side asked.
    retry_at: Option<UnixMillis>,
}

impl Untold {
    fn new(why: impl ToString) -> Self {
        Self { why: why.to_string(), is_for_good: false, retry_at: None }
    }
}

/// Tells sources until `stop` turns true.
pub async fn run(teller: Arc<Teller>, mut stop: watch::Receiver<bool>) {
    let mut telling = JoinSet::new();
    let mut forgotten_at: Option<UnixMillis> = None;
    while !*stop.borrow() {
        let rest = match round(&teller, &mut telling, &mut forgotten_at).await {
            Ok(()) => POLL,
            Err(error) => {
                tracing::warn!(%error, "receipts could not be looked through");
                backoff::SERVICE.wait(1, teller.chance.draw_32())
            }
        };
        tokio::select! {
            Some(_) = telling.join_next() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    telling.shutdown().await;
}

async fn round(
    teller: &Arc<Teller>,
    telling: &mut JoinSet<()>,
    forgotten_at: &mut Option<UnixMillis>,
) -> Result<(), StoreError> {
    if (teller.is_in_doubt)() {
        return Ok(());
    }
    let now = teller.store.now().await?;
    if forgotten_at.is_none_or(|at| at.until(now) >= FORGET_EVERY) {
        teller.store.write(move |tx| receipts::forget(tx, now.minus(KEPT_FOR), FORGOTTEN_MAX)).await?;
        *forgotten_at = Some(now);
    }
    done::look(&teller.store, &teller.authority, teller.grace).await?;
    while telling.len() < AT_ONCE_MAX && teller.store.read(receipts::next_due).await?.is_some_and(|due| due <= now) {
        let taken = teller.store.write(move |tx| receipts::take(tx, now, now.plus(TAKEN_FOR))).await?;
        let Some(receipt) = taken else { break };
        let teller = teller.clone();
        telling.spawn(async move {
            if let Err(error) = tell(&teller, receipt).await {
                tracing::warn!(%error, "what came of a receipt could not be recorded; it goes again");
            }
        });
    }
    Ok(())
}

async fn tell(teller: &Teller, receipt: Receipt) -> Result<(), StoreError> {
    let told = match teller.ways.get(&receipt.source) {
        Some(Way::Webhook { url, keys }) => by_webhook(teller, url, keys, &receipt).await,
        Some(Way::Amqp { exchange, routing_key }) => by_broker(teller, exchange, routing_key, &receipt).await,
        None => {
            Err(Untold { is_for_good: true, ..Untold::new("the configuration tells this source nothing any more") })
        }
    };
    let (now, id) = (teller.store.now().await?, receipt.id);
    let outcome = if told.is_ok() { "told" } else { "failed" };
    metrics::counter!("allim_receipts_total", "kind" => receipt.kind, "outcome" => outcome).increment(1);
    let Err(untold) = told else { return teller.store.write(move |tx| receipts::set_sent(tx, &id, now)).await };
    let failures = u32::try_from(receipt.failures + 1).unwrap_or(u32::MAX);
    let wait = backoff::WEBHOOK.wait(failures, teller.chance.draw_32());
    let asked_for = untold.retry_at.map_or(Duration::ZERO, |at| now.until(at).min(RETRY_AFTER_MAX));
    let due_at = now.plus(wait.max(asked_for));
    let is_over = untold.is_for_good || due_at > receipt.made_at.plus(GIVEN_UP_AFTER);
    tracing::info!(source = receipt.source, why = untold.why, again = !is_over, "a source could not be told");
    teller.store.write(move |tx| receipts::put_off(tx, &id, &untold.why, (!is_over).then_some(due_at))).await
}

async fn by_webhook(teller: &Teller, url: &str, keys: &[Key], receipt: &Receipt) -> Result<(), Untold> {
    let now = teller.store.now().await.map_err(Untold::new)?;
    let body = receipt.body.clone().into_bytes();
    let signature = webhook::sign(keys, &receipt.id, now, &body);
    let headers = vec![
        (CONTENT_TYPE, MEDIA_TYPE.to_owned()),
        (HeaderName::from_static(webhook::ID), receipt.id.clone()),
        (HeaderName::from_static(webhook::TIMESTAMP), webhook::seconds(now)),
        (HeaderName::from_static(webhook::SIGNATURE), signature),
    ];
    let call = Call { method: reqwest::Method::POST, url, headers, body, answer_max: ANSWER_MAX };
    let answer = teller.guard.call(call).await.map_err(Untold::new)?;
    match answer.status {
        200..=299 => Ok(()),
        status => Err(Untold {
            why: format!("it was answered {status}"),
            is_for_good: status == 410,
            retry_at: answer.retry_at(now),
        }),
    }
}

#[cfg(feature = "amqp")]
async fn by_broker(teller: &Teller, exchange: &str, routing_key: &str, receipt: &Receipt) -> Result<(), Untold> {
    let Some(broker) = &teller.broker else { return Err(Untold::new("no broker is configured")) };
    let letter = amqp::Letter { exchange, routing_key, id: &receipt.id, media_type: MEDIA_TYPE };
    amqp::publish_to(broker, &letter, receipt.body.as_bytes()).await.map_err(|error| Untold::new(format!("{error:#}")))
}

#[cfg(not(feature = "amqp"))]
async fn by_broker(_: &Teller, _: &str, _: &str, _: &Receipt) -> Result<(), Untold> {
    Err(Untold::new("this allim was built without RabbitMQ"))
}

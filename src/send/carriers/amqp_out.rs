//! Messages to an exchange of a partner's broker (RabbitMQ). A message counts as sent once the broker has confirmed it and had a queue
//! for it: `mandatory` is set, since a broker confirms what it has no queue for as well, and drops it.

mod link;

use super::webhook::{self, MANNERS, ours};
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::keyring::Broker;
use crate::domain::partner;
use crate::domain::seal::Seal;
use crate::render::RenderError;
use crate::render::event::{self, Written};
use crate::render::feed::House;
use crate::render::templates::Templates;
use crate::send::carrier::{Gate, Later};
use crate::send::push::courier::{Courier, Manners, News, Push};
use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation};
use link::Link;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// `delivery_mode` of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;
/// The broker may take this long to confirm; a disk that is busy takes seconds.
const CONFIRM_MAX: Duration = Duration::from_secs(30);
/// What stands before an attribute in a header field (CloudEvents, AMQP binding, section 3.1.3.1).
const ATTRIBUTE: &str = "cloudEvents:";

/// Brokers of partners as a carrier. Connections are kept, one for each partner.
pub struct AmqpOut {
    house: Arc<House>,
    seal: Arc<Seal>,
    links: std::sync::Mutex<HashMap<i64, Arc<Mutex<Kept>>>>,
}

/// A connection, and the address that it was made to.
#[derive(Default)]
struct Kept {
    open: Option<(Broker, Link)>,
}

impl AmqpOut {
    /// The carrier.
    #[must_use]
    pub fn new(house: Arc<House>, seal: Arc<Seal>) -> Self {
        Self { house, seal, links: std::sync::Mutex::default() }
    }

    async fn push(&self, push: &Push<'_>, gate: &mut Gate) -> Outcome {
        gate.ask();
        let Some(broker) = webhook::keyring(&self.seal, push).and_then(|keyring| keyring.broker) else {
            return ours("the broker of this partner can't be read with the seal of this installation");
        };
        let Some(written) = Written::read(push.body) else { return ours("what was written can't be read") };
        let kept = {
            let mut links = self.links.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            links.entry(push.endpoint.id).or_default().clone()
        };
        let mut kept = kept.lock().await;
        let channel = match kept.channel(&broker).await {
            Ok(channel) => channel,
            Err(error) => return unreachable(&error),
        };
        if !gate.pass().await {
            return Outcome::NotAllowed;
        }
        let outcome = publish(&channel, &broker, &push.key.text_id(), &written).await;
        if !matches!(outcome, Outcome::Sent { .. }) {
            // Whatever is wrong with it, the next one begins anew.
            kept.open = None;
        }
        outcome
    }
}

impl Kept {
    /// The channel to a broker; the one from before as long as it stands and the address is the same.
    async fn channel(&mut self, broker: &Broker) -> anyhow::Result<Channel> {
        if let Some((_, link)) = self.open.as_ref().filter(|(to, link)| to == broker && link.stands()) {
            return Ok(link.channel());
        }
        self.open = None;
        let link = Link::open(broker).await?;
        let channel = link.channel();
        self.open = Some((broker.clone(), link));
        Ok(channel)
    }
}

/// Publishes one event by a connection of its own, and says what the broker said: for tries.
pub async fn try_out(broker: &Broker, id: &str, written: &Written) -> Outcome {
    match Link::open(broker).await {
        Err(error) => unreachable(&error),
        Ok(link) => publish(&link.channel(), broker, id, written).await,
    }
}

/// Whether an address can be one of a broker.
///
/// # Errors
/// What is wrong with it; never with the password.
pub fn check(broker: &Broker) -> anyhow::Result<()> {
    link::address(broker).map(drop)
}

fn unreachable(error: &anyhow::Error) -> Outcome {
    Outcome::TryLater { reason: Reason::Unreachable, reply: format!("{error:#}"), not_before: None }
}

async fn publish(channel: &Channel, broker: &Broker, id: &str, written: &Written) -> Outcome {
    let (properties, body) = dressed(broker, id, written);
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let (exchange, routing_key) = (broker.exchange.as_str(), broker.routing_key.as_str());
    let publishing = async {
        let sending = channel.basic_publish(exchange.into(), routing_key.into(), options, body.as_bytes(), properties);
        sending.await?.await
    };
    match tokio::time::timeout(CONFIRM_MAX, publishing).await {
        Ok(Ok(confirmation)) => judge(confirmation),
        // The broker closes the channel over an exchange that isn't there; what it refuses it has not kept.
        Ok(Err(error)) => match link::refusal(&error) {
            Some(words) => Outcome::TryLater { reason: Reason::Deferred, reply: words, not_before: None },
            None => lost(link::words(&error)),
        },
        Err(_) => lost(format!("the broker confirmed nothing within {CONFIRM_MAX:?}")),
    }
}

fn lost(reply: String) -> Outcome {
    Outcome::Uncertain { reason: Reason::AnswerLost, reply }
}

fn judge(confirmation: Confirmation) -> Outcome {
    let later = |reply: String| Outcome::TryLater { reason: Reason::Deferred, reply, not_before: None };
    match confirmation {
        Confirmation::Ack(None) => Outcome::Sent { reply: "confirmed".to_owned() },
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => {
            later(format!("returned: {} {}", returned.reply_code, returned.reply_text))
        }
        Confirmation::Nack(None) => later("the broker refused to keep the message".to_owned()),
        // Without confirms nobody knows; that is our mistake, and it may have arrived.
        Confirmation::NotRequested => lost("the broker confirms nothing on this channel".to_owned()),
    }
}

/// Properties and body: an event in one document, or its attributes in header fields.
fn dressed(broker: &Broker, id: &str, written: &Written) -> (BasicProperties, String) {
    let properties = BasicProperties::default().with_delivery_mode(PERSISTENT).with_message_id(id.into());
    let structured = (written.is_wire() && !broker.is_binary).then(|| written.structured()).flatten();
    if let Some(body) = structured {
        return (properties.with_content_type(event::CLOUD_EVENT.into()), body);
    }
    let mut headers = FieldTable::default();
    for (name, value) in &written.attributes {
        headers.insert(format!("{ATTRIBUTE}{name}").into(), AMQPValue::LongString(value.as_str().into()));
    }
    let properties = properties.with_content_type(written.media_type.as_str().into()).with_headers(headers);
    (properties, written.body.clone())
}

impl Courier for AmqpOut {
    fn carrier(&self) -> &'static str {
        partner::AMQP
    }

    fn manners(&self) -> Manners {
        MANNERS
    }

    fn write(&self, subject: &str, news: &News, templates: &Templates) -> Result<String, RenderError> {
        webhook::write(&self.house, subject, news, templates)
    }

    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(self.push(push, gate))
    }
}

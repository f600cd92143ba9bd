//! Queue, dead-letter exchange and dead-letter queue: made, or looked for.

use super::link::{Fault, Link, asked};
use super::{Settings, Topology};
use anyhow::Context as _;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};

/// Sees to it that the queue is there. Takes channels of its own, since the broker closes one with each refusal.
///
/// # Errors
/// What is missing or different, and the command or setting that would put it right.
pub(super) async fn ensure(link: &Link, settings: &Settings) -> anyhow::Result<()> {
    match settings.topology {
        Topology::Declare => declare(link, settings).await.map_err(|error| explained(error, settings)),
        Topology::Check => look(link, settings).await,
    }
}

async fn declare(link: &Link, settings: &Settings) -> anyhow::Result<()> {
    let channel = link.channel().await?;
    let dead = settings.dead();
    let (exchange, queue) = (dead.as_str(), settings.queue.as_str());
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    // The dead-letter side first: from the moment that the queue exists, a rejected message must have a place to go.
    let declaring = channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, durable, FieldTable::default());
    asked(&format!("exchange `{exchange}`"), declaring).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    let declaring = channel.queue_declare(exchange.into(), QueueDeclareOptions::durable(), arguments.clone());
    asked(&format!("queue `{exchange}`"), declaring).await?;
    let binding = channel.queue_bind(
        exchange.into(),
        exchange.into(),
        "".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    asked(&format!("binding queue `{exchange}` to its exchange"), binding).await?;
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(settings.delivery_limit.into()));
    arguments.insert("x-dead-letter-exchange".into(), text(exchange));
    let declaring = channel.queue_declare(queue.into(), QueueDeclareOptions::durable(), arguments);
    asked(&format!("queue `{queue}`"), declaring).await?;
    asked("closing a channel", channel.close(200, "done".into())).await
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

/// A refusal in the operator's words; the broker's own stay behind it.
fn explained(error: anyhow::Error, settings: &Settings) -> anyhow::Error {
    let Settings { queue, delivery_limit, .. } = settings;
    let dead = settings.dead();
    match refusal(&error) {
        Some(AMQPSoftError::PRECONDITIONFAILED) => error.context(format!(
            "the broker has a queue or exchange of this name that was made otherwise. allim makes the durable queue \
             `{queue}` with x-queue-type=quorum, x-delivery-limit={delivery_limit}, x-dead-letter-exchange={dead}, and \
             the durable fanout exchange and quorum queue `{dead}`. Empty and delete the other one (`rabbitmqctl \
             delete_queue NAME`) and it is made anew; or set intake.amqp.queue to another name, delivery_limit to \
             what it has, or topology = \"check\" to use it as it is"
        )),
        Some(AMQPSoftError::ACCESSREFUSED) => error.context(format!(
            "this user may not make what is missing. Let it configure, write and read `{queue}` and `{dead}` \
             (`rabbitmqctl set_permissions`), or make both beforehand and set intake.amqp.topology = \"check\""
        )),
        _ => error,
    }
}

/// Without the right to make anything. AMQP tells whether something exists, not how it was made.
async fn look(link: &Link, settings: &Settings) -> anyhow::Result<()> {
    let Settings { queue, delivery_limit, .. } = settings;
    let dead = settings.dead();
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    let channel = link.channel().await?;
    let looking = channel.queue_declare(queue.as_str().into(), passive, FieldTable::default());
    asked(&format!("queue `{queue}`"), looking).await.with_context(|| {
        format!(
            "intake.amqp.topology is \"check\", so the queue must be there. Make it: `rabbitmqadmin declare queue \
             name={queue} durable=true arguments='{{\"x-queue-type\": \"quorum\", \"x-delivery-limit\": \
             {delivery_limit}, \"x-dead-letter-exchange\": \"{dead}\"}}'`, or set topology = \"declare\""
        )
    })?;
    let passive = ExchangeDeclareOptions { passive: true, durable: true, ..ExchangeDeclareOptions::default() };
    let looking = channel.exchange_declare(dead.as_str().into(), ExchangeKind::Fanout, passive, FieldTable::default());
    // A queue that somebody else made may have a dead-letter exchange of another name.
    if let Err(error) = asked(&format!("exchange `{dead}`"), looking).await {
        if refusal(&error).is_none() {
            return Err(error);
        }
        tracing::warn!(
            error = format!("{error:#}"),
            "no exchange of the usual name; unless the queue names another one, the broker drops what is rejected, and \
             only the quarantine keeps it"
        );
    }
    Ok(())
}

/// The broker's refusal of a single request, if the error is one.
fn refusal(error: &anyhow::Error) -> Option<&AMQPSoftError> {
    error.downcast_ref::<Fault>()?.refusal.as_ref()
}

//! Publishing: for `allim post publish --to amqp`, for trying an installation out, and for receipts to sources.

use super::Settings;
use super::link::{Link, asked};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};

/// `delivery_mode` of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// What stands on a message that isn't a post.
pub struct Letter<'a> {
    /// The exchange; empty for the one that leads to the queue of the key's name.
    pub exchange: &'a str,
    /// The routing key.
    pub routing_key: &'a str,
    /// Its id, the same at each attempt.
    pub id: &'a str,
    /// What it is.
    pub media_type: &'a str,
}

/// Puts one message into the queue and returns once the broker has confirmed that it keeps it. Makes no queue.
///
/// # Errors
/// When the broker can't be reached, has no such queue, or doesn't confirm. After a lost answer the message may be in
/// the queue all the same; publishing it again is safe, the second one is a duplicate.
pub async fn publish(settings: &Settings, bytes: &[u8], content_type: &str) -> anyhow::Result<()> {
    let properties = BasicProperties::default().with_content_type(content_type.into());
    confirmed_by(settings, ("", &settings.queue), bytes, properties).await
}

/// Publishes one message to an exchange and returns once the broker has confirmed that a queue keeps it.
///
/// # Errors
/// When the broker can't be reached, has no such exchange, leads the message to no queue, or doesn't confirm.
pub async fn publish_to(settings: &Settings, letter: &Letter<'_>, bytes: &[u8]) -> anyhow::Result<()> {
    let properties =
        BasicProperties::default().with_content_type(letter.media_type.into()).with_message_id(letter.id.into());
    confirmed_by(settings, (letter.exchange, letter.routing_key), bytes, properties).await
}

async fn confirmed_by(
    settings: &Settings,
    way: (&str, &str),
    bytes: &[u8],
    properties: BasicProperties,
) -> anyhow::Result<()> {
    let link = Link::open(settings).await?;
    let outcome = confirmed(&link, way, bytes, properties.with_delivery_mode(PERSISTENT)).await;
    link.close(None).await;
    outcome
}

async fn confirmed(
    link: &Link,
    (exchange, key): (&str, &str),
    bytes: &[u8],
    properties: BasicProperties,
) -> anyhow::Result<()> {
    let channel = link.channel().await?;
    asked("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    // Without `mandatory` the broker would confirm a message that it has no queue for.
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let publishing =
        async { channel.basic_publish(exchange.into(), key.into(), options, bytes, properties).await?.await };
    match asked(&format!("publishing to `{exchange}` for `{key}`"), publishing).await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => anyhow::bail!(
            "the broker has no queue `{key}` to put the message into ({} {}); a running daemon makes its own",
            returned.reply_code,
            returned.reply_text
        ),
        Confirmation::Nack(None) => anyhow::bail!("the broker refused to keep the message; its log says why"),
        Confirmation::NotRequested => anyhow::bail!("the broker confirms nothing on this channel"),
    }
}

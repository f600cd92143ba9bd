//! Publishing: for `allim post publish --to amqp` and for trying an installation out.

use super::Settings;
use super::link::{Link, asked};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Confirmation};

/// `delivery_mode` of a message that survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Puts one message into the queue and returns once the broker has confirmed that it keeps it. Makes no queue.
///
/// # Errors
/// When the broker can't be reached, has no such queue, or doesn't confirm. After a lost answer the message may be in
/// the queue all the same; publishing it again is safe, the second one is a duplicate.
pub async fn publish(settings: &Settings, bytes: &[u8], content_type: &str) -> anyhow::Result<()> {
    let link = Link::open(settings).await?;
    let outcome = confirmed(&link, &settings.queue, bytes, content_type).await;
    link.close(None).await;
    outcome
}

async fn confirmed(link: &Link, queue: &str, bytes: &[u8], content_type: &str) -> anyhow::Result<()> {
    let channel = link.channel().await?;
    asked("asking for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let properties = BasicProperties::default().with_content_type(content_type.into()).with_delivery_mode(PERSISTENT);
    // Without `mandatory` the broker would confirm a message that it has no queue for.
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let publishing = async { channel.basic_publish("".into(), queue.into(), options, bytes, properties).await?.await };
    match asked(&format!("publishing to queue `{queue}`"), publishing).await? {
        Confirmation::Ack(None) => Ok(()),
        Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned)) => anyhow::bail!(
            "the broker has no queue `{queue}` to put the message into ({} {}); a running daemon makes it",
            returned.reply_code,
            returned.reply_text
        ),
        Confirmation::Nack(None) => anyhow::bail!("the broker refused to keep the message; its log says why"),
        Confirmation::NotRequested => anyhow::bail!("the broker confirms nothing on this channel"),
    }
}

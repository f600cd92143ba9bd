//! Consuming: connect, see to the queue, take deliveries in until anything ends, rest, and again.
//!
//! lapin could reconnect by itself. It isn't asked to: a queue that was deleted must be made again, a channel must be
//! opened again, `/readyz` must tell, and the rest between two attempts must not end after a number of them. One loop
//! that starts from nothing does the same for a broker that restarts, a closed channel, a cancelled consumer and a dead
//! peer, and there is one way to test.

use super::Settings;
use super::link::{Fault, Link, asked};
use super::message::incoming;
use super::topology;
use crate::domain::backoff;
use crate::domain::clock::Chance;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::wire::MESSAGE_BYTES_MAX;
use crate::intake::{Batch, Intake};
use futures_util::{FutureExt as _, StreamExt as _};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel, Consumer};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Messages of one commit: enough to share a sync, and the pages of the indexes, among all that waited; few enough that
/// the first waits some hundredths of a second. Half of the usual prefetch, so that the broker fills the next meanwhile.
const BATCH_MAX: usize = 1_000;
/// Bytes after which a batch takes no further message: about what one message may have.
const BATCH_BYTES_MAX: usize = MESSAGE_BYTES_MAX;
/// How often a consumer that hears nothing looks whether its channel still stands.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long a commit under way may take at shutdown; then its messages go back to the queue.
const STOP_MAX: Duration = Duration::from_secs(10);

/// Takes posts in until `stop` turns true. `ready` is true while a consumer stands.
pub async fn run(
    settings: Settings,
    intake: Intake,
    chance: Arc<dyn Chance>,
    ready: Arc<AtomicBool>,
    mut stop: watch::Receiver<bool>,
) {
    let desk = Desk { settings, intake, chance };
    let mut failures = 0;
    while !*stop.borrow() {
        let ended = desk.session(&ready, &mut stop).await;
        if ready.swap(false, Ordering::SeqCst) {
            failures = 0;
        }
        metrics::gauge!("allim_intake_amqp_connected").set(0.0);
        match ended {
            Ended::Stopped => break,
            Ended::HandedBack => desk.await_store(&mut stop).await,
            Ended::Lost(error) => {
                failures += 1;
                let rest = backoff::SERVICE.wait(failures, desk.chance.draw_32());
                let (queue, rest_ms) = (&desk.settings.queue, rest.as_millis());
                tracing::warn!(
                    queue,
                    error = format!("{error:#}"),
                    failures,
                    rest_ms,
                    "no posts from RabbitMQ for now"
                );
                pause(rest, &mut stop).await;
            }
        }
    }
}

/// Why a session ended.
enum Ended {
    /// The daemon stops.
    Stopped,
    /// The store took nothing for too long, and the messages are back in the queue.
    HandedBack,
    /// Connection, channel or consumer are gone, or never came to be.
    Lost(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Lost(error.into())
    }
}

struct Desk {
    settings: Settings,
    intake: Intake,
    chance: Arc<dyn Chance>,
}

/// Deliveries that are committed together: what the store takes, and what answers the broker.
struct Held {
    batch: Batch,
    ackers: Vec<Acker>,
}

impl Desk {
    async fn session(&self, ready: &AtomicBool, stop: &mut watch::Receiver<bool>) -> Ended {
        let opened = tokio::select! {
            opened = self.open() => opened,
            () = stopped(stop) => return Ended::Stopped,
        };
        let (link, channel, consumer) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ended::Lost(error),
        };
        tracing::info!(queue = self.settings.queue, "taking posts from RabbitMQ");
        metrics::gauge!("allim_intake_amqp_connected").set(1.0);
        ready.store(true, Ordering::SeqCst);
        // One batch is fetched and decoded ahead while the one before is committed.
        let (ahead, opened) = mpsc::channel(1);
        let ended = tokio::select! {
            ended = self.work(&channel, opened, stop) => ended,
            never = self.fetch(consumer, ahead) => match never {},
        };
        link.close(Some(&channel)).await;
        ended
    }

    async fn open(&self) -> anyhow::Result<(Link, Channel, Consumer)> {
        let link = Link::open(&self.settings).await?;
        match self.consumer(&link).await {
            Ok((channel, consumer)) => Ok((link, channel, consumer)),
            Err(error) => {
                link.close(None).await;
                Err(error)
            }
        }
    }

    async fn consumer(&self, link: &Link) -> anyhow::Result<(Channel, Consumer)> {
        topology::ensure(link, &self.settings).await?;
        let channel = link.channel().await?;
        // Per consumer: quorum queues know no other, and RabbitMQ 4.3 refuses `global`.
        let limiting = channel.basic_qos(self.settings.prefetch, BasicQosOptions { global: false });
        asked("setting the prefetch", limiting).await?;
        let queue = self.settings.queue.as_str();
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default());
        let consumer = asked(&format!("consuming from queue `{queue}`"), consuming).await?;
        Ok((channel, consumer))
    }

    /// Fetches one batch after the other, each when there is room for it, until the consumer ends.
    async fn fetch(&self, mut consumer: Consumer, ahead: mpsc::Sender<Result<Held, Ended>>) -> Infallible {
        while let Ok(room) = ahead.reserve().await {
            let held = self.next_batch(&mut consumer).await;
            let is_end = held.is_err();
            room.send(held);
            if is_end {
                break;
            }
        }
        // Whoever commits ends the session once it comes to the end.
        std::future::pending().await
    }

    /// Commits and answers one batch after the other, until the session ends.
    async fn work(
        &self,
        channel: &Channel,
        mut opened: mpsc::Receiver<Result<Held, Ended>>,
        stop: &mut watch::Receiver<bool>,
    ) -> Ended {
        loop {
            let held = tokio::select! {
                biased;
                () = stopped(stop) => return Ended::Stopped,
                held = opened.recv() => held,
                () = tokio::time::sleep(LOOK_EVERY) => match stands(channel) {
                    Ok(()) => continue,
                    Err(ended) => return ended,
                },
            };
            let done = match held {
                Some(Ok(held)) => self.finish(channel, &held, stop).await,
                Some(Err(ended)) => Err(ended),
                None => Err(Ended::Lost(anyhow::anyhow!("nothing is fetched any more"))),
            };
            if let Err(ended) = done {
                return ended;
            }
        }
    }

    async fn finish(&self, channel: &Channel, held: &Held, stop: &mut watch::Receiver<bool>) -> Result<(), Ended> {
        let receipts = self.commit(channel, held, stop).await?;
        answer(&held.ackers, &receipts).await
    }

    /// What has arrived, at least one message.
    async fn next_batch(&self, consumer: &mut Consumer) -> Result<Held, Ended> {
        let (mut messages, mut ackers, mut bytes) = (Vec::new(), Vec::new(), 0);
        let mut next = Some(consumer.next().await);
        while let Some(arrived) = next {
            let delivery =
                arrived.ok_or_else(|| anyhow::anyhow!("the broker ended the consumer: the queue is gone"))??;
            bytes += delivery.data.len();
            ackers.push(delivery.acker.clone());
            messages.push(incoming(&self.settings.source, delivery));
            if messages.len() >= BATCH_MAX || bytes >= BATCH_BYTES_MAX {
                break;
            }
            next = consumer.next().now_or_never();
        }
        let batch = self.intake.open(messages).await?;
        Ok(Held { batch, ackers })
    }

    /// Commits a batch, trying again while the store is out of reach, but holds it no longer than RabbitMQ suffers.
    async fn commit(
        &self,
        channel: &Channel,
        held: &Held,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Vec<Receipt>, Ended> {
        let overlong = tokio::time::sleep(self.settings.hold_max);
        tokio::pin!(overlong);
        let mut failures = 0;
        loop {
            // A future that is dropped here cancels no transaction: the store finishes it, and the messages that come
            // again are duplicates then. At a stop, a batch under way is finished unless the store is out of reach.
            let error = tokio::select! {
                taken = self.intake.keep(&held.batch) => match taken {
                    Ok(receipts) => return Ok(receipts),
                    Err(error) => error,
                },
                () = &mut overlong => return Err(hand_back(held).await),
                () = overdue(stop) => return Err(Ended::Stopped),
            };
            failures += 1;
            let messages = held.ackers.len();
            tracing::warn!(%error, messages, failures, "messages from RabbitMQ wait for the store");
            tokio::select! {
                () = tokio::time::sleep(backoff::SERVICE.wait(failures, self.chance.draw_32())) => {}
                () = &mut overlong => return Err(hand_back(held).await),
                // Closing the channel puts them back.
                () = stopped(stop) => return Err(Ended::Stopped),
            }
            stands(channel)?;
        }
    }

    /// Each delivery counts against `x-delivery-limit`, so nothing is taken again before the store answers: a long
    /// outage of the store would else dead-letter good messages.
    async fn await_store(&self, stop: &mut watch::Receiver<bool>) {
        let mut failures = 0;
        while !*stop.borrow() {
            let answer = tokio::select! {
                answer = self.intake.accept(Vec::new()) => answer,
                () = stopped(stop) => return,
            };
            let Err(error) = answer else { return };
            failures += 1;
            tracing::warn!(%error, failures, "the store is out of reach; nothing is taken from RabbitMQ");
            pause(backoff::SERVICE.wait(failures, self.chance.draw_32()), stop).await;
        }
    }
}

/// Gives everything up to the end of the batch back to the queue.
async fn hand_back(held: &Held) -> Ended {
    let messages = held.ackers.len();
    tracing::warn!(messages, "the store took nothing for too long; the messages go back to the queue");
    if let Some(last) = held.ackers.last() {
        // When it fails the session is over, and the broker takes them back by itself.
        let _ = last.nack(BasicNackOptions { multiple: true, requeue: true }).await;
    }
    Ended::HandedBack
}

/// Answers for a batch that is durable: what was set aside goes to the dead-letter queue, one by one, and everything
/// else is acknowledged at once. An answer that doesn't arrive only brings the message again, as a duplicate.
async fn answer(ackers: &[Acker], receipts: &[Receipt]) -> Result<(), Ended> {
    let mut last_good = None;
    for (acker, receipt) in ackers.iter().zip(receipts) {
        let Verdict::Quarantined { id, reason, path, .. } = &receipt.verdict else {
            last_good = Some(acker);
            continue;
        };
        tracing::warn!(quarantine_id = id, reason, path, "a message was set aside and goes to the dead-letter queue");
        acker.reject(BasicRejectOptions { requeue: false }).await.map_err(Fault::from)?;
        metrics::counter!("allim_intake_amqp_dead_lettered_total").increment(1);
    }
    // Up to the last good one: RabbitMQ closes the channel when the tag itself was answered before.
    if let Some(acker) = last_good {
        acker.ack(BasicAckOptions { multiple: true }).await.map_err(Fault::from)?;
        metrics::counter!("allim_intake_amqp_acks_total").increment(1);
    }
    Ok(())
}

fn stands(channel: &Channel) -> Result<(), Ended> {
    if channel.status().connected() { Ok(()) } else { Err(Ended::Lost(anyhow::anyhow!("the channel was closed"))) }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that nobody is left who could say stop, which is as good as having said so.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Some time after the stop.
async fn overdue(stop: &mut watch::Receiver<bool>) {
    stopped(stop).await;
    tokio::time::sleep(STOP_MAX).await;
}

async fn pause(rest: Duration, stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(rest) => {}
        () = stopped(stop) => {}
    }
}

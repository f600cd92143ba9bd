//! Posts of about 1 kB from a quorum queue, stored and committed before they are acknowledged, against a raw lapin loop
//! that only consumes and acknowledges (multiple) on a queue of the same kind.

use crate::{Round, row, setting};
use futures_util::StreamExt as _;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const MESSAGES: usize = 20_000;
/// The product's default, for both.
const PREFETCH: u16 = 2_000;

pub async fn run(rounds: usize) {
    let Ok(url) = std::env::var("ALLIM_TEST_AMQP") else {
        println!("| intake | not measured: ALLIM_TEST_AMQP names no RabbitMQ; run `just bench` | | | |");
        return;
    };
    let (mut product, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        product.push(ours(&url, &format!("bench-ours-{}-{round}", std::process::id())).await.rate());
        baseline.push(raw(&url, &format!("bench-raw-{}-{round}", std::process::id())).await.rate());
    }
    row(
        "intake: 1 kB posts from a quorum queue, durable before the ack, SQLite",
        "messages/s",
        product,
        baseline,
        "a raw lapin consume-and-ack(multiple) loop",
    );
}

/// Opens a channel and fills a fresh queue, confirmed.
async fn filled(url: &str, queue: &str, delivery_limit: bool) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    if !delivery_limit {
        let mut arguments = FieldTable::default();
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
        let options = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue.into(), options, arguments).await.expect("a queue");
    }
    channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
    let at = allim::app::World::system().clock.now().timestamp();
    let mut confirms = Vec::with_capacity(MESSAGES);
    for number in 0..MESSAGES {
        let bytes = setting::message(&format!("{queue}-{number}"), 700, at).bytes;
        let properties = BasicProperties::default().with_delivery_mode(2).with_content_type("application/json".into());
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        confirms.push(
            channel.basic_publish("".into(), queue.into(), options, &bytes, properties).await.expect("published"),
        );
    }
    for confirm in confirms {
        assert!(matches!(confirm.await.expect("an answer"), lapin::Confirmation::Ack(None)));
    }
    (connection, channel)
}

/// The product's consumer, from its start to the last post in the store.
async fn ours(url: &str, queue: &str) -> Round {
    let folder = tempfile::tempdir().expect("a folder");
    let extra =
        format!("[intake.amqp]\nurl = \"{url}\"\nqueue = \"{queue}\"\nsource = \"cms\"\nprefetch = {PREFETCH}\n");
    let app = setting::app(folder.path(), &extra).await;
    let settings = allim::app::queue(&app.config).expect("a queue");
    // A first life of the consumer declares the queue as the product wants it.
    let (stop, stopping) = watch::channel(false);
    let connected = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let consume = |connected: Arc<std::sync::atomic::AtomicBool>, stopping| {
        tokio::spawn(allim::intake::amqp::run(
            settings.clone(),
            app.intake.clone(),
            app.world.chance.clone(),
            connected,
            stopping,
        ))
    };
    let first = consume(connected.clone(), stopping);
    while !connected.load(std::sync::atomic::Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.send_replace(true);
    first.await.expect("a task");
    let (connection, _channel) = filled(url, queue, true).await;
    let (stop, stopping) = watch::channel(false);
    let started = Instant::now();
    let second = consume(connected, stopping);
    // One consumer takes them in their order: once the last is there, all are. Counting them would cost a scan each time.
    let last = allim::domain::ids::post_id("cms", &format!("{queue}-{}", MESSAGES - 1));
    let is_there = |id: String| app.store.read(move |tx| allim::store::posts::find(tx, &id));
    while is_there(last.clone()).await.expect("asked").is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = started.elapsed();
    let stored = app.store.read(allim::store::posts::count).await.expect("counted").0;
    assert_eq!(stored, MESSAGES as i64);
    stop.send_replace(true);
    second.await.expect("a task");
    connection.close(200, "done".into()).await.expect("closed");
    Round { count: MESSAGES, took }
}

async fn raw(url: &str, queue: &str) -> Round {
    let (connection, channel) = filled(url, queue, false).await;
    let started = Instant::now();
    channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.expect("prefetch");
    let mut consumer = channel
        .basic_consume(queue.into(), "bench".into(), BasicConsumeOptions::default(), FieldTable::default())
        .await
        .expect("a consumer");
    for number in 1..=MESSAGES {
        let delivery = consumer.next().await.expect("a delivery").expect("a delivery");
        if number.is_multiple_of(100) {
            channel.basic_ack(delivery.delivery_tag, BasicAckOptions { multiple: true }).await.expect("acknowledged");
        }
    }
    let took = started.elapsed();
    connection.close(200, "done".into()).await.expect("closed");
    Round { count: MESSAGES, took }
}

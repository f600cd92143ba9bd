//! Messages to a partner's broker: the real RabbitMQ, with a reader of our own library on the other side.

use crate::support::broker::Broker as Server;
use crate::{attempt, endpoint, house, key, seal, support, templates};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Outcome, Reason};
use allim::domain::keyring::{Broker, Keyring};
use allim::domain::partner::AMQP;
use allim::render::feed::Tombstone;
use allim::send::carriers::amqp_out::{self, AmqpOut};
use allim::send::push::courier::{Courier as _, News};
use lapin::message::BasicGetMessage;
use lapin::options::{
    BasicGetOptions, ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use serde_json::Value;
use std::process::Command;
use std::time::Duration;

const KEY: &str = "posts.ko";

/// An exchange of this name, with a durable queue behind it if there is to be one.
async fn exchange(url: &str, name: &str, with_queue: bool) -> Channel {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.expect("away");
    channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.expect("away");
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(name.into(), ExchangeKind::Topic, durable, FieldTable::default()).await.expect("made");
    if with_queue {
        bind(&channel, name).await;
    }
    // Kept as long as its channel.
    std::mem::forget(connection);
    channel
}

async fn bind(channel: &Channel, name: &str) {
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), FieldTable::default()).await.expect("made");
    let bound = channel.queue_bind(
        name.into(),
        name.into(),
        "posts.*".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.expect("bound");
}

async fn next(channel: &Channel, queue: &str) -> Option<BasicGetMessage> {
    channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.expect("asked")
}

fn ring(url: &str, exchange: &str, is_binary: bool) -> Keyring {
    let broker =
        Broker { url: url.to_owned(), exchange: exchange.to_owned(), routing_key: KEY.to_owned(), is_binary, ca: None };
    Keyring { broker: Some(broker), ..Keyring::default() }
}

fn courier() -> AmqpOut {
    AmqpOut::new(house(), seal())
}

/// An event, as it is kept.
fn body(courier: &AmqpOut, subject: &str) -> String {
    let tombstone =
        Tombstone { post_id: "ldnkvnnmpnbzat4wdbzw473gqj".to_owned(), withdrawn_at: UnixMillis(1_795_392_000_000) };
    courier
        .write(subject, &News::Gone { tombstone, feeds: Vec::new(), path: Vec::new() }, &templates())
        .expect("written")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_there_once_it_is_confirmed_and_bears_the_deliverys_id() {
    let Some(server) = Server::shared("partners.events") else { return };
    let channel = exchange(&server.url, "partners.events", true).await;
    let courier = courier();
    let there = endpoint(AMQP, &server.url, &ring(&server.url, "partners.events", false));
    let body_kept = body(&courier, "cloudevent:withdrawn");
    for plan in [1, 2] {
        let outcome = attempt(&courier, &key(plan, AMQP), &there, &body_kept, true).await;
        assert_eq!(outcome, Outcome::Sent { reply: "confirmed".to_owned() });
        let message = next(&channel, "partners.events").await.expect("a message");
        let properties = &message.delivery.properties;
        assert_eq!(properties.message_id().as_ref().map(ToString::to_string), Some(key(plan, AMQP).text_id()));
        assert_eq!(properties.delivery_mode(), &Some(2), "it survives a restart");
        assert_eq!(
            properties.content_type().as_ref().map(ToString::to_string).as_deref(),
            Some("application/cloudevents+json")
        );
        let event: Value = serde_json::from_slice(&message.delivery.data).expect("JSON");
        assert_eq!(
            (&event["type"], &event["data"]["id"]),
            (&"org.allim.post.withdrawn.v1".into(), &"ldnkvnnmpnbzat4wdbzw473gqj".into())
        );
    }
    assert_eq!(attempt(&courier, &key(3, AMQP), &there, &body_kept, false).await, Outcome::NotAllowed);
    assert!(next(&channel, "partners.events").await.is_none(), "nothing goes without the ledger's word");

    let there = endpoint(AMQP, &server.url, &ring(&server.url, "partners.events", true));
    for subject in ["cloudevent:withdrawn", "atom:withdrawn"] {
        let kept = body(&courier, subject);
        assert!(matches!(attempt(&courier, &key(4, AMQP), &there, &kept, true).await, Outcome::Sent { .. }));
        let message = next(&channel, "partners.events").await.expect("a message").delivery;
        let headers = message.properties.headers().as_ref().expect("headers").inner().clone();
        let said = headers.iter().find(|(name, _)| name.as_str() == "cloudEvents:type").map(|(_, value)| value);
        assert_eq!(said, Some(&AMQPValue::LongString("org.allim.post.withdrawn.v1".into())));
        let kind = message.properties.content_type().as_ref().map(ToString::to_string).unwrap_or_default();
        let text = String::from_utf8(message.data).expect("UTF-8");
        match subject {
            "cloudevent:withdrawn" => assert_eq!(
                (kind.as_str(), text.as_str()),
                ("application/json", "{\"id\":\"ldnkvnnmpnbzat4wdbzw473gqj\"}")
            ),
            _ => assert!(kind == "application/atomdeleted+xml" && text.contains("deleted-entry"), "{kind}: {text}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_returned_and_not_taken_for_sent() {
    let Some(server) = Server::shared("partners.nobody") else { return };
    let channel = exchange(&server.url, "partners.nobody", false).await;
    let courier = courier();
    let there = endpoint(AMQP, &server.url, &ring(&server.url, "partners.nobody", false));
    let kept = body(&courier, "cloudevent:withdrawn");
    let outcome = attempt(&courier, &key(1, AMQP), &there, &kept, true).await;
    let Outcome::TryLater { reason: Reason::Deferred, reply, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reply.contains("312") && reply.contains("NO_ROUTE"), "{reply}");
    // Once somebody listens, the same goes through.
    bind(&channel, "partners.nobody").await;
    assert!(matches!(attempt(&courier, &key(1, AMQP), &there, &kept, true).await, Outcome::Sent { .. }));

    // An exchange that isn't there closes the channel; the next one goes all the same.
    let wrong = endpoint(AMQP, &server.url, &ring(&server.url, "partners.no-such-exchange", false));
    let outcome = attempt(&courier, &key(2, AMQP), &wrong, &kept, true).await;
    let Outcome::TryLater { reply, .. } = &outcome else { panic!("{outcome:?}") };
    assert!(reply.contains("NOT_FOUND"), "{reply}");
    assert!(matches!(attempt(&courier, &key(2, AMQP), &there, &kept, true).await, Outcome::Sent { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_stands_in_no_error() {
    let Some(server) = Server::shared("partners.closed") else { return };
    let courier = courier();
    let kept = body(&courier, "cloudevent:withdrawn");
    let place = server.url.rsplit_once('@').expect("an address").1;
    let wrong = format!("amqp://guest:s3cret-w0rd@{place}");
    let nobody = "amqp://guest:s3cret-w0rd@127.0.0.1:1/%2f".to_owned();
    for url in [wrong, nobody] {
        let there = endpoint(AMQP, "amqp://guest@somewhere/", &ring(&url, "x", false));
        let outcome = attempt(&courier, &key(1, AMQP), &there, &kept, true).await;
        let Outcome::TryLater { reason: Reason::Unreachable, reply, .. } = &outcome else { panic!("{outcome:?}") };
        assert!(!reply.contains("s3cret") && !reply.is_empty(), "{reply}");
    }
    for bad in ["amqp://u:s3cret-w0rd@", "s3cret-w0rd", "amqp://u:s3cret-w0rd@host/"] {
        let broker = ring(bad, "x", false).broker.expect("a broker");
        let error = amqp_out::check(&broker).expect_err(bad);
        assert!(!format!("{error:#} {error:?}").contains("s3cret"), "{error:#}");
    }
    let closed = endpoint(AMQP, "amqp://somewhere/", &Keyring::default());
    let outcome = attempt(&courier, &key(1, AMQP), &closed, &kept, true).await;
    assert!(matches!(outcome, Outcome::TryLater { reason: Reason::OurError, .. }), "{outcome:?}");
}

/// The broker goes away between two events, with the connection that was kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_restarts_is_found_again_and_has_what_it_confirmed() {
    let (Some(server), Some(restart)) = (Server::alone("partners.restart"), support::server("ALLIM_TEST_AMQP_RESTART"))
    else {
        return;
    };
    exchange(&server.url, "partners.restart", true).await;
    let courier = courier();
    let there = endpoint(AMQP, &server.url, &ring(&server.url, "partners.restart", false));
    let kept = body(&courier, "cloudevent:withdrawn");
    assert!(matches!(attempt(&courier, &key(1, AMQP), &there, &kept, true).await, Outcome::Sent { .. }));
    let restarted = tokio::task::spawn_blocking(move || Command::new(restart).status()).await.expect("a thread");
    assert!(restarted.expect("it runs").success());
    let mut tries = 0;
    loop {
        match attempt(&courier, &key(2, AMQP), &there, &kept, true).await {
            Outcome::Sent { .. } => break,
            Outcome::TryLater { reason: Reason::Unreachable, .. } | Outcome::Uncertain { .. } => tries += 1,
            other => panic!("{other:?}"),
        }
        assert!(tries < 200, "the broker isn't found again");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let connection = Connection::connect(&server.url, ConnectionProperties::default()).await.expect("a connection");
    let channel = connection.create_channel().await.expect("a channel");
    let mut ids = Vec::new();
    while let Some(message) = next(&channel, "partners.restart").await {
        ids.push(message.delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default());
    }
    ids.dedup();
    assert_eq!(ids, [1, 2].map(|plan| key(plan, AMQP).text_id()), "what was confirmed survived");
}

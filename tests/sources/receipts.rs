//! What a source is told: written with what it tells of, once, and told until it is heard; on both databases.

use crate::server::{Reply, Server};
use crate::shapes::{OWN, intake};
use crate::world::{World, on_both};
use allim::domain::clock::SeededChance;
use allim::domain::delivery::State;
use allim::domain::public_address::Network;
use allim::domain::standard_webhook::Key;
use allim::guard::{Guard, Rules};
use allim::intake::accept::Verdict;
use allim::intake::receipts::{self, Teller, Way};
use allim::store::receipts as rows;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

on_both!(a_receipt_is_durable_with_what_it_tells_of, done_is_told_when_nothing_is_open, who_cannot_be_told_is_given_up,);

async fn accept(world: &World, message: &Value) -> Verdict {
    let door = intake(world).telling(BTreeSet::from(["partner".to_owned()]));
    let mut incoming = world.incoming(message);
    incoming.source = "partner".to_owned();
    door.accept(vec![incoming]).await.expect("accepted").remove(0).verdict
}

/// All receipts that are due, each taken.
async fn due(world: &World) -> Vec<Value> {
    let now = world.now().await;
    let mut all = Vec::new();
    while let Some(receipt) =
        world.store.write(move |tx| rows::take(tx, now, now.plus(Duration::from_secs(60)))).await.expect("taken")
    {
        let mut event: Value = serde_json::from_str(&receipt.body).expect("JSON");
        assert_eq!((event["id"].as_str(), receipt.source.as_str()), (Some(receipt.id.as_str()), "partner"));
        all.push(event["data"].take());
    }
    all
}

async fn a_receipt_is_durable_with_what_it_tells_of(world: World) {
    let mut post = world.post("one", &["events"]).await;
    assert_eq!(accept(&world, &post).await, Verdict::Stored);
    assert_eq!(accept(&world, &post).await, Verdict::Duplicate);
    let said = due(&world).await;
    assert_eq!((said.len(), &said[0]["state"], &said[0]["revision"]), (1, &json!("stored"), &json!(1)), "{said:?}");
    post["title"] = json!("고친 제목");
    assert_eq!(accept(&world, &post).await, Verdict::Revised);
    assert_eq!(due(&world).await[0]["revision"], 2);
    // What waits for its post is told twice: set aside, then taken.
    let withdrawal = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "s", "id": "w", "data": { "id": "two" } });
    assert!(matches!(accept(&world, &withdrawal).await, Verdict::Quarantined { .. }));
    assert!(matches!(accept(&world, &withdrawal).await, Verdict::Quarantined { .. }));
    let said = due(&world).await;
    assert_eq!(
        (said.len(), &said[0]["reason"], &said[0]["path"], &said[0]["event_id"]),
        (1, &json!("unknown_post"), &json!("id"), &json!("w"))
    );
    assert_eq!(accept(&world, &world.post("two", &["events"]).await).await, Verdict::Stored);
    let mut states: Vec<String> = due(&world).await.iter().map(|said| said["state"].to_string()).collect();
    states.sort();
    assert_eq!(states, ["\"stored\"", "\"withdrawn\""]);
    // A source that wants to hear nothing costs nothing.
    world.publish("quiet", &["events"]).await;
    assert!(due(&world).await.is_empty());
}

/// Tells the partner at a server, until it is stopped.
struct Telling {
    end: tokio::sync::watch::Sender<bool>,
    running: tokio::task::JoinHandle<()>,
    doubt: Arc<AtomicBool>,
}

impl Telling {
    fn start(world: &World, server: &Server) -> Self {
        let own = vec![Network::parse("127.0.0.0/8").expect("a network")];
        let doubt = Arc::new(AtomicBool::new(false));
        let doubted = doubt.clone();
        let way = Way::Webhook { url: server.url("/receipts"), keys: vec![Key::new_shared([1, 2, 3, 4])] };
        let teller = Teller {
            store: world.store.clone(),
            guard: Guard::new(Rules { own, ..Rules::default() }, "allim test").expect("a guard"),
            chance: Arc::new(SeededChance::new(7)),
            ways: BTreeMap::from([("partner".to_owned(), way)]),
            broker: None,
            authority: OWN.to_owned(),
            grace: Duration::ZERO,
            is_in_doubt: Arc::new(move || doubted.load(Ordering::SeqCst)),
        };
        let (end, stop) = tokio::sync::watch::channel(false);
        Self { end, running: tokio::spawn(receipts::run(Arc::new(teller), stop)), doubt }
    }

    async fn stop(self) {
        self.end.send(true).expect("it runs");
        self.running.await.expect("it ends");
    }
}

fn heard(server: &Server, kind: &str) -> Vec<Value> {
    let kind = format!("org.allim.receipt.{kind}.v1");
    let events = server.asked().into_iter().map(|asked| serde_json::from_slice::<Value>(&asked.body).expect("JSON"));
    events.filter(|event| event["type"] == kind).collect()
}

/// Waits, moving the clock of a database that has none.
async fn until(world: &World, what: &str, fits: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(40), async {
        while !fits() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            world.clock.set(world.now().await.plus(Duration::from_millis(100)));
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited for {what}"));
}

async fn done_is_told_when_nothing_is_open(world: World) {
    let server = Server::start().await;
    server.say("/receipts", Reply::new(202, ""));
    world.subscriber("kim", &[("events", "immediate")]).await;
    assert_eq!(accept(&world, &world.post("one", &["events"]).await).await, Verdict::Stored);
    world.tick_immediate_only().await;
    let telling = Telling::start(&world, &server);
    // A mail waits: however long it takes, it isn't done.
    telling.doubt.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(server.asked().is_empty(), "a database in doubt tells nobody anything");
    telling.doubt.store(false, Ordering::SeqCst);
    let began = world.now().await;
    until(&world, "the first receipt", || heard(&server, "accepted").len() == 1).await;
    while began.until(world.now().await) < Duration::from_secs(18) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        world.clock.set(world.now().await.plus(Duration::from_millis(100)));
    }
    assert!(heard(&server, "done").is_empty());
    // Its answer is lost: it goes again, so it isn't done either.
    let term = world.register().await;
    let claimed = world.claim(term, 1).await.remove(0);
    assert!(world.begin(&claimed).await);
    let later = world.now().await.plus(Duration::from_secs(3_600));
    assert_eq!(world.record(&claimed, State::Uncertain, Some(later)).await, 1);
    let post_id = allim::domain::ids::post_id("partner", "one");
    let open = async || {
        let post_id = post_id.clone();
        world.store.read(move |tx| rows::is_open(tx, &post_id)).await.expect("read")
    };
    assert!(open().await, "it may go again");
    // Another that isn't sent again is over.
    let rest = "UPDATE deliveries SET due_at = 9223372036854775807, finished_at = 1";
    world.store.write(move |tx| tx.execute(rest, &[])).await.expect("set");
    assert!(!open().await);
    let again = "UPDATE deliveries SET state = 'due', due_at = 0, finished_at = NULL";
    world.store.write(move |tx| tx.execute(again, &[])).await.expect("set");
    assert_eq!(world.send_all().await, 1);
    until(&world, "the end", || heard(&server, "done").len() == 1).await;
    assert_eq!(heard(&server, "done")[0]["data"]["carriers"], json!({ "email": { "sent": 1 } }));
    telling.stop().await;
}

async fn who_cannot_be_told_is_given_up(world: World) {
    let server = Server::start().await;
    assert_eq!(accept(&world, &world.post("one", &["events"]).await).await, Verdict::Stored);
    server.say("/receipts", Reply::new(410, ""));
    let telling = Telling::start(&world, &server);
    until(&world, "an attempt", || !server.asked().is_empty()).await;
    let given_up = async {
        while world.store.read(rows::next_due).await.expect("read").is_some() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), given_up).await.expect("nothing is due any more");
    telling.stop().await;
    let (kept, now) = (Duration::from_secs(31 * 86_400), world.now().await);
    assert_eq!(world.store.write(move |tx| rows::forget(tx, now, 10)).await.expect("forgotten"), 1);
    assert_eq!(world.store.write(move |tx| rows::forget(tx, now.plus(kept), 10)).await.expect("forgotten"), 0);
}

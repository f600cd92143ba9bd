//! Partner institutions: who is told of what, in which order, and that none waits for another.

use crate::house::House;
use crate::world::{World, on_both};
use allim::domain::clock::{Clock, UnixMillis};
use allim::domain::delivery::{Outcome, Reason};
use allim::domain::partner::{Format, Order, Selection, WEBHOOK, Way, read_subject};
use allim::intake::accept::Verdict;
use allim::render::RenderError;
use allim::render::templates::Templates;
use allim::send::carrier::{Gate, Later};
use allim::send::push::courier::{Courier, Manners, News, Push};
use allim::store::partners::{self, New};
use allim::store::{Tx, deliveries};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

on_both!(
    partners_are_told_what_they_selected_and_what_follows_of_it,
    what_is_under_embargo_is_for_those_who_are_trusted,
    who_is_trusted_no_more_gets_nothing_that_waited,
    who_says_gone_is_gone,
);

const HOUR: Duration = Duration::from_secs(3_600);

/// What arrived: at whom, what, and when.
type Arrived = (String, String, UnixMillis);

/// A courier to programs in this process.
struct Hand {
    clock: Arc<dyn Clock>,
    down: Mutex<BTreeSet<String>>,
    arrived: Mutex<Vec<Arrived>>,
    carried: Mutex<BTreeSet<(String, String)>>,
    gone: Mutex<BTreeSet<String>>,
    calls: AtomicUsize,
}

impl Hand {
    fn of(world: &World) -> Arc<Self> {
        let (down, arrived, carried, gone, calls) = Default::default();
        Arc::new(Self { clock: world.clock.clone(), down, arrived, carried, gone, calls })
    }

    fn set_down(&self, name: &str, is_down: bool) {
        let mut down = self.down.lock().expect("names");
        if is_down {
            down.insert(name.to_owned())
        } else {
            down.remove(name)
        };
    }

    fn set_gone(&self, name: &str) {
        self.gone.lock().expect("names").insert(name.to_owned());
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn at(&self, name: &str) -> Vec<String> {
        let arrived = self.arrived.lock().expect("a list");
        arrived.iter().filter(|(to, ..)| to == name).map(|(_, what, _)| what.clone()).collect()
    }
}

impl Courier for Hand {
    fn carrier(&self) -> &'static str {
        WEBHOOK
    }

    fn manners(&self) -> Manners {
        Manners {
            give_up_after: Duration::from_secs(76 * 3_600),
            backoff: &allim::domain::backoff::WEBHOOK,
            opens_after: 1,
            ..Manners::default()
        }
    }

    fn write(&self, subject: &str, news: &News, _: &Templates) -> Result<String, RenderError> {
        let (_, happened) = read_subject(subject).expect("a subject");
        Ok(match news {
            News::Post(showable) => format!("{happened} {}", showable.post().title.as_str()),
            News::Gone { tombstone, .. } => format!("{happened} {}", tombstone.post_id),
        })
    }

    fn carry<'a>(&'a self, push: &'a Push<'a>, gate: &'a mut Gate) -> Later<'a, Outcome> {
        Box::pin(async move {
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let name = push.endpoint.subject.clone();
            self.calls.fetch_add(1, Ordering::SeqCst);
            if self.gone.lock().expect("names").contains(&name) {
                return Outcome::Refused { reason: Reason::Gone, reply: "410".to_owned() };
            }
            if self.down.lock().expect("names").contains(&name) {
                return Outcome::TryLater {
                    reason: Reason::Unreachable,
                    reply: "refused".to_owned(),
                    not_before: None,
                };
            }
            let is_first = self.carried.lock().expect("ids").insert((name.clone(), push.key.text_id()));
            assert!(is_first, "the same delivery twice");
            self.arrived.lock().expect("a list").push((name, push.body.to_owned(), self.clock.now()));
            Outcome::Sent { reply: "204".to_owned() }
        })
    }
}

async fn add(world: &World, name: &'static str, topics: &[&str], ordering: Order, is_trusted: bool) {
    let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let (selection, now) = (Selection { topics, languages: Vec::new() }, world.now().await);
    let add = move |tx: &mut Tx<'_>| {
        let url = format!("https://{name}.example.net/hook");
        let new = New {
            name,
            way: Way::Webhook,
            url: &url,
            secret: Some("s1:x"),
            token_hash: name,
            format: Format::CloudEvent,
            selection: &selection,
            ordering,
            is_trusted,
            contact: None,
        };
        partners::add(tx, &new, now)
    };
    assert!(world.store.write(add).await.expect("added"));
}

async fn house(world: World) -> (House, Arc<Hand>) {
    let hand = Hand::of(&world);
    (House::with(world, Vec::new(), vec![hand.clone()]).await, hand)
}

async fn revise(house: &House, id: &str, topics: &[&str], title: &str) {
    let mut message = house.world.post(id, topics).await;
    message["title"] = json!(title);
    assert_eq!(house.world.accept(&message).await, Verdict::Revised);
}

async fn withdraw(house: &House, id: &str) {
    let data = json!({ "id": id });
    let event = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": format!("w-{id}"), "data": data });
    assert_eq!(house.world.accept(&event).await, Verdict::Withdrawn);
}

fn without_ids(list: &[String]) -> Vec<&str> {
    list.iter().map(|what| if what.starts_with("withdrawn") { "withdrawn" } else { what.as_str() }).collect()
}

async fn partners_are_told_what_they_selected_and_what_follows_of_it(world: World) {
    world.publish("before", &["events"]).await;
    world.tick().await;
    let (house, hand) = house(world).await;
    add(&house.world, "all", &[], Order::Line, false).await;
    add(&house.world, "events", &["events"], Order::Pass, false).await;
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    house.world.publish("two", &["notices"]).await;
    house.rest().await;
    // It leaves the topic: who got the original hears of that too.
    revise(&house, "one", &["notices"], "고친 제목").await;
    house.rest().await;
    // And this one comes into it, for whom it is news.
    revise(&house, "two", &["events"], "새 제목").await;
    house.rest().await;
    withdraw(&house, "one").await;
    house.rest().await;
    let all = hand.at("all");
    assert_eq!(
        without_ids(&all),
        ["published one의 제목", "published two의 제목", "revised 고친 제목", "revised 새 제목", "withdrawn"]
    );
    let events = hand.at("events");
    assert_eq!(without_ids(&events), ["published one의 제목", "revised 고친 제목", "published 새 제목", "withdrawn"]);
    // What is withdrawn before anybody got it is told to nobody.
    hand.set_down("events", true);
    house.world.publish("three", &["events"]).await;
    house.rest().await;
    withdraw(&house, "three").await;
    house.rest().await;
    assert_eq!((hand.at("all").len(), hand.at("events").len()), (7, 4));
    house.close().await;
}

async fn what_is_under_embargo_is_for_those_who_are_trusted(world: World) {
    let (house, hand) = house(world).await;
    add(&house.world, "trusted", &[], Order::Line, true).await;
    add(&house.world, "others", &[], Order::Line, false).await;
    let until = house.world.now().await.plus(HOUR * 24 * 30).to_string();
    for id in ["kept", "dropped"] {
        let mut message = house.world.post(id, &["events"]).await;
        message["embargo_until"] = json!(until);
        assert_eq!(house.world.accept(&message).await, Verdict::Stored);
    }
    house.rest().await;
    let mut message = house.world.post("kept", &["events"]).await;
    (message["embargo_until"], message["title"]) = (json!(until), json!("고친 제목"));
    assert_eq!(house.world.accept(&message).await, Verdict::Revised);
    withdraw(&house, "dropped").await;
    house.rest().await;
    let mut trusted = hand.at("trusted");
    trusted[..2].sort();
    trusted[2..].sort();
    assert_eq!(
        without_ids(&trusted),
        ["embargoed dropped의 제목", "embargoed kept의 제목", "embargoed 고친 제목", "withdrawn"]
    );
    assert!(hand.at("others").is_empty());
    // Its time comes at once.
    let mut message = house.world.post("kept", &["events"]).await;
    message["title"] = json!("고친 제목");
    assert_eq!(house.world.accept(&message).await, Verdict::Revised);
    house.rest().await;
    assert_eq!(hand.at("others"), ["published 고친 제목"]);
    assert_eq!(hand.at("trusted").len(), 5, "and is told again, as everybody's");
    house.close().await;
}

async fn who_is_trusted_no_more_gets_nothing_that_waited(world: World) {
    let (house, hand) = house(world).await;
    add(&house.world, "trusted", &[], Order::Pass, true).await;
    hand.set_down("trusted", true);
    let until = house.world.now().await.plus(HOUR * 24 * 30).to_string();
    let mut message = house.world.post("kept", &["events"]).await;
    message["embargo_until"] = json!(until);
    assert_eq!(house.world.accept(&message).await, Verdict::Stored);
    house.rest().await;
    let now = house.world.now().await;
    let change = partners::Change { is_trusted: Some(false), ..partners::Change::default() };
    assert!(house.world.store.write(move |tx| partners::set(tx, "trusted", &change, now)).await.expect("set"));
    hand.set_down("trusted", false);
    let forget = |tx: &mut Tx<'_>| {
        tx.execute("UPDATE destinations SET not_before_at = NULL, failures = 0", &[])?;
        tx.execute("UPDATE deliveries SET due_at = 0 WHERE state = 'due'", &[])
    };
    house.world.store.write(forget).await.expect("forgotten");
    house.rest().await;
    assert_eq!(hand.at("trusted"), Vec::<String>::new());
    house.close().await;
}

async fn who_says_gone_is_gone(world: World) {
    let (house, hand) = house(world).await;
    add(&house.world, "leaver", &[], Order::Line, false).await;
    hand.set_gone("leaver");
    for id in ["one", "two", "three"] {
        house.world.publish(id, &["events"]).await;
    }
    house.rest().await;
    assert_eq!(hand.calls(), 1, "asked once, and never again");
    let ended = house.world.store.read(|tx| partners::find(tx, "leaver")).await.expect("read").expect("there");
    assert!(ended.ended_at.is_some());
    house.world.publish("four", &["events"]).await;
    house.rest().await;
    assert_eq!(hand.calls(), 1);
    house.close().await;
}

/// One partner is away for three days, another one is beside it.
#[tokio::test]
async fn who_was_away_gets_everything_in_its_order_and_nobody_waited() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = allim::store::Location::Sqlite(folder.path().join("s.sqlite"));
    let (house, hand) = house(World::new(location).await).await;
    add(&house.world, "away", &[], Order::Line, false).await;
    add(&house.world, "beside", &[], Order::Line, false).await;
    house.world.publish("first", &["events"]).await;
    house.rest().await;
    hand.set_down("away", true);
    for hour in 0..72 {
        for number in 0..3 {
            house.world.publish(&format!("p{hour}-{number}"), &["events"]).await;
        }
        house.rest().await;
        if hour % 5 == 4 {
            revise(&house, &format!("p{hour}-1"), &["events"], &format!("고친 {hour}")).await;
        }
        if hour % 9 == 8 {
            withdraw(&house, &format!("p{hour}-2")).await;
        }
        house.pass(HOUR).await;
    }
    assert_eq!(hand.at("away").len(), 1);
    hand.set_down("away", false);
    house.pass(HOUR * 25).await;
    // Beside it, each thing was told when it happened.
    let late = |tx: &mut Tx<'_>| deliveries::list(tx, None, None, 10_000);
    let all = house.world.store.read(late).await.expect("listed");
    let beside: Vec<_> =
        all.iter().filter(|one| one.recipient_id == allim::domain::ids::endpoint_id(WEBHOOK, "beside", "")).collect();
    assert_eq!(beside.len(), 1 + 216 + 14 + 8);
    for one in beside {
        assert!(one.attempts <= 1 && one.finished_at.is_some_and(|at| at.0 - one.planned_at.0 < 60_000), "{one:?}");
    }
    // Away got the same in the same order, but for what was overtaken before it could hear of it.
    let (away, beside) = (hand.at("away"), hand.at("beside"));
    let last = |list: &[String]| -> Vec<String> {
        let told = |what: &&String| !what.starts_with("withdrawn");
        list.iter().filter(told).map(|what| what.split_once(' ').expect("two words").1.to_owned()).collect()
    };
    let (away, beside) = (last(&away), last(&beside));
    let places: Vec<usize> =
        away.iter().map(|title| beside.iter().position(|other| other == title).expect("told beside too")).collect();
    assert!(places.is_sorted(), "in the order in which it happened");
    let withdrawn = (0..72).filter(|hour| hour % 9 == 8).count();
    assert_eq!(away.len(), 1 + 216 - withdrawn, "each post that still stands, once");
    assert!(all.iter().all(|one| one.reason.as_deref() != Some("gave_up")), "nothing was given up");
    house.close().await;
}

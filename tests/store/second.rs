//! Sends that wait for a second person.

use crate::world::{World, on_both};
use allim::domain::delivery::State;
use allim::store::second::{self, Decided, Rule, Waiting};
use allim::store::{StoreError, Tx, destinations};
use serde_json::json;
use std::time::Duration;

on_both!(
    a_send_to_more_than_that_waits_and_one_to_as_many_goes,
    urgent_mail_waits_whatever_its_size,
    what_a_second_person_refuses_is_never_sent,
    a_revision_after_the_approval_waits_again,
    nothing_waits_without_the_setting_or_when_there_is_nothing_left,
);

const OVER_TWO: Rule = Rule { over: Some(2), urgent: false };

async fn keep_back(world: &World, rule: Rule) -> Vec<i64> {
    let now = world.now().await;
    let keep = move |tx: &mut Tx<'_>| second::keep_back(tx, &rule, "email:folder", now);
    world.store.write(keep).await.expect("looked").into_iter().collect()
}

async fn waiting(world: &World) -> Vec<Waiting> {
    world.store.read(second::waiting).await.expect("read")
}

async fn decide(
    world: &World,
    plan: i64,
    word: fn(&mut Tx<'_>, i64, allim::domain::clock::UnixMillis) -> Result<Decided, StoreError>,
) -> Decided {
    let now = world.now().await;
    world.store.write(move |tx| word(tx, plan, now)).await.expect("decided")
}

async fn readers(world: &World, count: usize, topic: &str) {
    for number in 0..count {
        world.subscriber(&format!("{topic}{number}"), &[(topic, "immediate")]).await;
    }
}

async fn a_send_to_more_than_that_waits_and_one_to_as_many_goes(world: World) {
    readers(&world, 3, "events").await;
    readers(&world, 2, "notices").await;
    world.publish("small", &["notices"]).await;
    world.tick().await;
    world.publish("large", &["events"]).await;
    world.tick().await;
    // While it is planned nobody knows how large it gets.
    let change = |sql: &'static str| world.store.write(move |tx| tx.execute(sql, &[]));
    change("UPDATE occurrences SET planned_at = NULL, planned = 1 WHERE planned = 3").await.expect("still planned");
    assert!(keep_back(&world, OVER_TWO).await.is_empty());
    let term = world.register().await;
    assert_eq!(world.claim(term, 100).await.len(), 2, "the small one goes, the other rests");
    change("UPDATE occurrences SET planned_at = fired_at, planned = 3 WHERE planned = 1").await.expect("planned");
    change("UPDATE batches SET due_at = planned_at WHERE due_at > planned_at").await.expect("a second later");
    let plan = keep_back(&world, OVER_TWO).await.remove(0);
    let [waits] = &waiting(&world).await[..] else { panic!("one waits") };
    assert_eq!((waits.plan_id, waits.recipients, waits.is_planned, waits.posts.len()), (plan, 3, true, 1));
    assert_eq!((waits.posts[0].source.as_str(), waits.editions.len()), ("cms", 1));
    // A restart: everything is looked at again, and again it waits.
    change("UPDATE batches SET due_at = planned_at WHERE state = 'due'").await.expect("due");
    assert!(keep_back(&world, OVER_TWO).await.is_empty(), "it is held already");
    assert!(world.claim(term, 100).await.is_empty());
    assert_eq!(decide(&world, plan, second::approve).await, Decided::Done);
    assert_eq!(decide(&world, plan, second::approve).await, Decided::NotWaiting, "once");
    assert!(keep_back(&world, OVER_TWO).await.is_empty());
    assert!(waiting(&world).await.is_empty());
    assert_eq!(world.claim(term, 100).await.len(), 3, "exactly that goes");
    world.publish("next", &["events"]).await;
    world.tick().await;
    assert_eq!(keep_back(&world, OVER_TWO).await.len(), 1, "the next one waits again");
}

async fn urgent_mail_waits_whatever_its_size(world: World) {
    readers(&world, 1, "events").await;
    let mut message = world.post("a", &["events"]).await;
    message["priority"] = json!("urgent");
    world.accept(&message).await;
    world.publish("b", &["events"]).await;
    world.tick().await;
    let rule = Rule { over: None, urgent: true };
    let kept = keep_back(&world, rule).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(decide(&world, kept[0], second::approve).await, Decided::Done);
    let term = world.register().await;
    assert_eq!(world.claim(term, 100).await.len(), 1);
}

async fn what_a_second_person_refuses_is_never_sent(world: World) {
    readers(&world, 4, "events").await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    // One of them has a row of its own, and waits for its second attempt.
    let term = world.register().await;
    let first = world.claim(term, 1).await.remove(0);
    world.record(&first, State::Due, Some(allim::domain::clock::UnixMillis(0))).await;
    let plan = keep_back(&world, OVER_TWO).await.remove(0);
    assert!(world.claim(term, 100).await.is_empty(), "the row rests too");
    let open = "UPDATE occurrences SET planned_at = NULL";
    world.store.write(move |tx| tx.execute(open, &[])).await.expect("still planned");
    assert_eq!(decide(&world, plan, second::reject).await, Decided::BeingPlanned);
    let done = "UPDATE occurrences SET planned_at = fired_at";
    world.store.write(move |tx| tx.execute(done, &[])).await.expect("planned");
    assert_eq!(decide(&world, plan, second::reject).await, Decided::Done);
    assert_eq!(world.states().await, [("cancelled".to_owned(), 4)].into());
    assert_eq!(world.state(&first.key).await, ("cancelled".to_owned(), Some("operator".to_owned())));
    assert_eq!(decide(&world, plan, second::approve).await, Decided::NotWaiting);
    world.tick().await;
    assert!(world.claim(term, 100).await.is_empty());
}

async fn a_revision_after_the_approval_waits_again(world: World) {
    readers(&world, 3, "events").await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    let plan = keep_back(&world, OVER_TWO).await.remove(0);
    assert_eq!(decide(&world, plan, second::approve).await, Decided::Done);
    let approved = world.now().await;
    world.clock.set(approved.plus(Duration::from_secs(1)));
    while world.now().await == approved {
        tokio::task::yield_now().await;
    }
    let mut message = world.post("a", &["events"]).await;
    message["title"] = json!("다른 제목");
    world.accept(&message).await;
    world.tick().await;
    assert_eq!(keep_back(&world, OVER_TWO).await, [plan], "nobody else has seen this");
    let revisions: Vec<i64> = waiting(&world).await[0].posts.iter().map(|post| post.revision).collect();
    assert_eq!(revisions, [2]);
    assert_eq!(decide(&world, plan, second::approve).await, Decided::Done);
    let term = world.register().await;
    assert!(keep_back(&world, OVER_TWO).await.is_empty());
    assert_eq!(world.claim(term, 100).await.len(), 3);
}

async fn nothing_waits_without_the_setting_or_when_there_is_nothing_left(world: World) {
    readers(&world, 3, "events").await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    assert!(keep_back(&world, Rule::default()).await.is_empty());
    let plan = keep_back(&world, OVER_TWO).await.remove(0);
    let tidy = |rule: Rule| {
        let store = world.store.clone();
        async move {
            let now = store.now().await.expect("a time");
            store.write(move |tx| second::tidy(tx, &rule, now)).await.expect("tidied")
        }
    };
    assert!(!tidy(OVER_TWO).await, "it still waits");
    assert_eq!(waiting(&world).await.len(), 1);
    assert!(tidy(Rule::default()).await, "the setting is gone");
    assert!(waiting(&world).await.is_empty());
    let term = world.register().await;
    let claimed = world.claim(term, 2).await;
    assert_eq!(claimed.len(), 2);
    for one in &claimed {
        world.record(one, State::Sent, None).await;
    }
    // The post is withdrawn while the last of it waits: the hold has nothing to hold.
    assert_eq!(keep_back(&world, OVER_TWO).await, [plan]);
    world.intake.withdraw("cms", "a").await.expect("withdrawn");
    world.tick().await;
    assert!(!tidy(OVER_TWO).await);
    assert!(world.store.read(destinations::holds).await.expect("read").is_empty());
}

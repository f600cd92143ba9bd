//! Endpoints: who is told of which change, once, and for how long.

use crate::world::{World, on_both};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Lane, State};
use allim::domain::destination;
use allim::domain::feed::{HUB_PING, WEBSUB};
use allim::intake::accept::Verdict;
use allim::store::deliveries::{self, Claimed};
use allim::store::endpoints::{self, New, Ready};
use allim::store::hub::{self, Mode, Request};
use allim::store::{Tx, reroute};
use serde_json::json;
use std::time::Duration;

on_both!(
    who_follows_a_feed_is_told_of_each_change_in_it_once,
    an_endpoint_that_ended_gets_nothing_more,
    a_revision_takes_the_place_of_what_waits,
    a_lease_ends_and_is_renewed,
    a_renewal_outlives_what_was_seen_before_it,
    regional_forms_are_told_to_those_who_follow_the_language,
    what_is_on_its_way_when_an_endpoint_ends_is_settled_by_its_answer,
    the_newest_request_to_the_hub_counts,
);

async fn follow(world: &World, carrier: &'static str, subject: &'static str, until_at: Option<UnixMillis>) -> i64 {
    let now = world.now().await;
    let new = New { carrier, subject, url: "https://reader.example.net/", secret: Some("s"), until_at };
    world.store.write(move |tx| endpoints::ensure(tx, &new, now)).await.expect("made")
}

/// States of what was planned for an endpoint, in the order of their words.
async fn states(world: &World, id: i64) -> Vec<String> {
    let list = world.store.read(move |tx| deliveries::list(tx, None, Some(id), 100)).await.expect("listed");
    let mut states: Vec<_> = list.into_iter().map(|one| one.state).collect();
    states.sort();
    states
}

async fn claim(world: &World, term: i64, carrier: &str, id: i64) -> Vec<Claimed> {
    let (now, name) = (world.now().await, destination::of_endpoint(carrier, id));
    world.store.write(move |tx| deliveries::claim(tx, term, &name, Lane::Normal, now, 10)).await.expect("claimed")
}

async fn withdraw(world: &World, id: &str) {
    let data = json!({ "id": id });
    let event = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": format!("w-{id}"), "data": data });
    assert_eq!(world.accept(&event).await, Verdict::Withdrawn);
}

async fn revise(world: &World, id: &str) {
    let mut message = world.post(id, &["events"]).await;
    message["title"] = json!(format!("{id}, 고침"));
    assert_eq!(world.accept(&message).await, Verdict::Revised);
}

async fn who_follows_a_feed_is_told_of_each_change_in_it_once(world: World) {
    world.publish("before", &["events"]).await;
    world.tick().await;
    let events = follow(&world, WEBSUB, "/feeds/events.atom", None).await;
    let korean = follow(&world, WEBSUB, "/feeds/all.rss?lang=ko", None).await;
    let english = follow(&world, WEBSUB, "/feeds/all.rss?lang=en", None).await;
    let notices = follow(&world, WEBSUB, "/feeds/notices.json", None).await;
    let other_hub = follow(&world, HUB_PING, "", None).await;
    world.publish("one", &["events"]).await;
    let mut old = world.post("old", &["events"]).await;
    old["published_at"] = json!(world.now().await.minus(Duration::from_secs(40 * 86_400)).to_string());
    assert_eq!(world.accept(&old).await, Verdict::Stored);
    world.tick().await;
    world.tick().await;
    let counts = |all: &[Vec<String>]| all.iter().map(Vec::len).collect::<Vec<_>>();
    let mut all = Vec::new();
    for id in [events, korean, english, notices, other_hub] {
        all.push(states(&world, id).await);
    }
    assert_eq!(counts(&all), [1, 1, 0, 0, 1], "not of what was before, nor of what is history");
    // A subscription that is renewed begins nothing anew.
    assert_eq!(follow(&world, WEBSUB, "/feeds/events.atom", None).await, events);
    let term = world.register().await;
    for id in [events, korean] {
        for one in claim(&world, term, WEBSUB, id).await {
            assert!(world.begin(&one).await);
            world.record(&one, State::Sent, None).await;
        }
    }
    revise(&world, "one").await;
    world.tick().await;
    assert_eq!(states(&world, events).await, ["due", "sent"]);
    withdraw(&world, "one").await;
    world.tick().await;
    // Atom can tell of a withdrawal; in RSS what waits is cancelled, and nothing can be said.
    assert_eq!(states(&world, events).await, ["cancelled", "due", "sent"]);
    assert_eq!(states(&world, korean).await, ["cancelled", "sent"]);
    // Nothing of it is anybody's mail, and no configuration's destination.
    assert!(world.store.read(reroute::named).await.expect("read").is_empty());
}

async fn an_endpoint_that_ended_gets_nothing_more(world: World) {
    let id = follow(&world, WEBSUB, "/feeds/all.atom", None).await;
    world.publish("one", &["events"]).await;
    world.publish("two", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    let mut claimed = claim(&world, term, WEBSUB, id).await;
    assert_eq!(claimed.len(), 2);
    let lost = claimed.pop().expect("two");
    assert!(world.begin(&lost).await);
    world.record(&lost, State::Uncertain, Some(world.now().await)).await;
    world.publish("three", &["events"]).await;
    world.tick().await;
    let now = world.now().await;
    assert!(world.store.write(move |tx| endpoints::end(tx, id, "it unsubscribed", now)).await.expect("ended"));
    assert!(!world.begin(&claimed[0]).await, "what was claimed doesn't go out");
    let settled = world.store.write(move |tx| deliveries::settle_uncertain(tx, now, false)).await.expect("settled");
    assert_eq!(settled, 0, "what may have arrived isn't sent again");
    assert!(world.store.read(move |tx| endpoints::ready(tx, now, 9)).await.expect("read").is_empty());
    assert_eq!(states(&world, id).await, ["cancelled", "cancelled", "uncertain"]);
    world.publish("four", &["events"]).await;
    world.tick().await;
    assert_eq!(states(&world, id).await.len(), 3);
    let key = lost.key.clone();
    assert!(!world.store.write(move |tx| deliveries::retry(tx, &key, now)).await.expect("asked"), "nobody is there");
    // Whoever comes again begins anew.
    follow(&world, WEBSUB, "/feeds/all.atom", None).await;
    world.publish("five", &["events"]).await;
    world.tick().await;
    assert_eq!(states(&world, id).await.len(), 4);
}

async fn a_revision_takes_the_place_of_what_waits(world: World) {
    let id = follow(&world, WEBSUB, "/feeds/all.json", None).await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    let now = world.now().await;
    let ready = world.store.read(move |tx| endpoints::ready(tx, now, 9)).await.expect("read");
    assert_eq!(ready, [Ready { id, carrier: WEBSUB.to_owned(), is_on_trial: false }]);
    revise(&world, "one").await;
    let term = world.register().await;
    let claimed = claim(&world, term, WEBSUB, id).await;
    assert!(!world.begin(&claimed[0]).await, "what was revised a moment ago isn't sent as it was");
    world.record(&claimed[0], State::Due, Some(world.now().await)).await;
    world.tick().await;
    assert_eq!(states(&world, id).await, ["cancelled", "due"]);
    // What may have arrived as it was isn't told again after its revision.
    let claimed = claim(&world, term, WEBSUB, id).await;
    assert!(world.begin(&claimed[0]).await);
    world.record(&claimed[0], State::Uncertain, Some(world.now().await)).await;
    world.clock.set(world.now().await.plus(Duration::from_secs(1)));
    let mut message = world.post("one", &["events"]).await;
    message["title"] = json!("또 고침");
    assert_eq!(world.accept(&message).await, Verdict::Revised);
    world.tick().await;
    let now = world.now().await.plus(Duration::from_secs(60));
    assert_eq!(world.store.write(move |tx| deliveries::settle_uncertain(tx, now, true)).await.expect("settled"), 0);
    assert_eq!(states(&world, id).await, ["cancelled", "due", "uncertain"]);
}

/// A delivery that is on its way when its endpoint ends is settled by its answer, and never goes again.
async fn what_is_on_its_way_when_an_endpoint_ends_is_settled_by_its_answer(world: World) {
    let id = follow(&world, WEBSUB, "/feeds/all.atom", None).await;
    world.publish("one", &["events"]).await;
    world.publish("two", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    let claimed = claim(&world, term, WEBSUB, id).await;
    for one in &claimed {
        assert!(world.begin(one).await);
    }
    let now = world.now().await;
    assert!(world.store.write(move |tx| endpoints::end(tx, id, "it unsubscribed", now)).await.expect("ended"));
    world.record(&claimed[0], State::Sent, None).await;
    world.record(&claimed[1], State::Due, Some(now)).await;
    assert_eq!(states(&world, id).await, ["cancelled", "sent"]);
    let ended = world.store.read(move |tx| endpoints::find(tx, id)).await.expect("read").expect("it is there");
    assert!(
        ended.secret.is_none()
            && !world.store.write(move |tx| endpoints::end(tx, id, "again", now)).await.expect("asked")
    );
    let later = now.plus(Duration::from_secs(1));
    assert_eq!(world.store.write(move |tx| endpoints::forget(tx, later)).await.expect("forgotten"), 1);
}

/// A feed in a language holds its regional forms too.
async fn regional_forms_are_told_to_those_who_follow_the_language(world: World) {
    let wide = follow(&world, WEBSUB, "/feeds/all.atom?lang=zh", None).await;
    let narrow = follow(&world, WEBSUB, "/feeds/all.atom?lang=zh-Hans", None).await;
    let other = follow(&world, WEBSUB, "/feeds/all.atom?lang=zh-Hant", None).await;
    let mut message = world.post("one", &["events"]).await;
    message["language"] = json!("zh-Hans");
    assert_eq!(world.accept(&message).await, Verdict::Stored);
    world.tick().await;
    for (id, count) in [(wide, 1), (narrow, 1), (other, 0)] {
        assert_eq!(states(&world, id).await.len(), count);
    }
}

/// One that was renewed this moment isn't ended by what was seen before.
async fn a_renewal_outlives_what_was_seen_before_it(world: World) {
    let id = follow(&world, WEBSUB, "/feeds/all.atom", None).await;
    let seen = world.store.read(move |tx| endpoints::find(tx, id)).await.expect("read").expect("it is there");
    let now = world.now().await.plus(Duration::from_millis(5));
    let new = New {
        carrier: WEBSUB,
        subject: "/feeds/all.atom",
        url: "https://reader.example.net/",
        secret: None,
        until_at: None,
    };
    world.store.write(move |tx| endpoints::ensure(tx, &new, now)).await.expect("renewed");
    let end = move |tx: &mut Tx<'_>| endpoints::end_unless_renewed(tx, &seen, "it answered 410 Gone", now);
    assert!(!world.store.write(end).await.expect("asked"));
}

async fn a_lease_ends_and_is_renewed(world: World) {
    let end = world.now().await.plus(Duration::from_millis(700));
    let id = follow(&world, WEBSUB, "/feeds/all.atom", Some(end)).await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    let wait = |until: UnixMillis| {
        let world = &world;
        async move {
            while world.now().await < until {
                world.clock.set(world.now().await.plus(Duration::from_millis(50)));
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    wait(end).await;
    let now = world.now().await;
    let term = world.register().await;
    let claimed = claim(&world, term, WEBSUB, id).await;
    assert!(!world.begin(&claimed[0]).await, "its time is over, whether somebody has swept or not");
    world.record(&claimed[0], State::Due, Some(now)).await;
    assert_eq!(world.store.read(endpoints::next_lapse).await.expect("read"), Some(end));
    assert_eq!(world.store.write(move |tx| endpoints::end_lapsed(tx, now, 10)).await.expect("ended"), 1);
    assert_eq!(states(&world, id).await, ["cancelled"]);
    let later = now.plus(Duration::from_secs(600));
    follow(&world, WEBSUB, "/feeds/all.atom", Some(later)).await;
    let endpoint = world.store.read(move |tx| endpoints::find(tx, id)).await.expect("read").expect("it is there");
    assert_eq!((endpoint.ended_at, endpoint.until_at, endpoint.ended_why), (None, Some(later), None));
}

async fn the_newest_request_to_the_hub_counts(world: World) {
    let now = world.now().await;
    let request = |mode: Mode, asked_at: UnixMillis| Request {
        id: 7,
        mode,
        subject: "/feeds/all.atom".to_owned(),
        topic: "https://allim.example.org/feeds/all.atom".to_owned(),
        callback: "https://reader.example.net/".to_owned(),
        secret: None,
        lease_s: 60,
        asked_at,
        failures: 0,
    };
    let (first, second) =
        (request(Mode::Subscribe, now), request(Mode::Unsubscribe, now.plus(Duration::from_millis(1))));
    let later = now.plus(Duration::from_secs(120));
    let (one, other) = (first.clone(), second.clone());
    let work = move |tx: &mut Tx<'_>| {
        hub::put(tx, &one)?;
        assert_eq!(hub::take(tx, later, later.plus(Duration::from_secs(1)))?, Some(one.clone()));
        assert_eq!(hub::take(tx, later, later)?, None, "it is in somebody's hands");
        hub::put(tx, &other)?;
        assert!(!hub::settle(tx, &one)?, "something newer was asked for");
        hub::put_off(tx, &other, later)?;
        assert_eq!(hub::waiting(tx)?, (1, Some(later)));
        assert_eq!(hub::take(tx, later, later)?.map(|request| request.failures), Some(1));
        hub::settle(tx, &other)
    };
    assert!(world.store.write(work).await.expect("done"));
    assert_eq!(world.store.read(hub::waiting).await.expect("read"), (0, None));
    assert_eq!((second.mode, first.mode), (Mode::Unsubscribe, Mode::Subscribe));
}

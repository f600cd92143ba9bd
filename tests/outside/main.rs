//! Own accounts at social networks: what the ledger makes of what networks answer, on both databases. The networks' own interfaces are
//! tested in `tests/carriers`.
#![allow(missing_docs, reason = "a test")]

mod house;
mod network;
mod partners;
#[path = "../support/mod.rs"]
mod support;
mod weather;
#[path = "../store/world.rs"]
#[allow(dead_code, reason = "the store's suite uses all of it")]
mod world;

use allim::domain::account::Revised;
use allim::domain::clock::UnixMillis;
use allim::intake::accept::Verdict;
use allim::send::social::network::Can;
use allim::store::{Tx, accounts, deliveries};
use house::{House, Setting};
use network::Answer;
use serde_json::json;
use std::time::Duration;
use world::{World, on_both};

on_both!(
    a_story_is_said_once_in_the_accounts_language,
    revisions_follow_by_policy_and_withdrawals_take_away,
    an_account_begins_with_now_and_ends_with_the_configuration,
);

/// PostgreSQL's own clock rules there, and no test moves it.
macro_rules! over_time {
    ($($name:ident),+ $(,)?) => {
        mod over_time {
            $(#[tokio::test] async fn $name() {
                let folder = tempfile::tempdir().expect("a folder");
                let location = allim::store::Location::Sqlite(folder.path().join("s.sqlite"));
                super::$name(crate::world::World::new(location).await).await;
            })+
        }
    };
}

over_time!(
    what_was_revised_before_it_was_said_is_said_as_it_is,
    a_lost_answer_is_looked_up,
    what_cant_be_looked_up_waits_for_a_person,
    a_revision_of_what_is_in_doubt_finds_out_first,
    slots_pace_and_stale_posts_are_given_up,
    a_login_that_ended_loses_nothing,
    a_lost_answer_to_what_was_said_is_looked_up_too,
    what_is_left_as_it_is_is_found_out_all_the_same,
    what_was_found_by_a_person_is_taken_away_if_it_can_be_found,
);

const HOUR: Duration = Duration::from_secs(3_600);

async fn revise(house: &House, id: &str, title: &str) {
    let mut message = house.world.post(id, &["events"]).await;
    message["title"] = json!(title);
    assert_eq!(house.world.accept(&message).await, Verdict::Revised);
}

async fn withdraw(house: &House, id: &str) {
    let event = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": format!("w-{id}"),
        "data": { "id": id } });
    assert_eq!(house.world.accept(&event).await, Verdict::Withdrawn);
}

async fn a_story_is_said_once_in_the_accounts_language(world: World) {
    let house =
        House::open(world, vec![Setting::new("ko"), Setting { topics: &["notices"], ..Setting::new("en") }]).await;
    let mut korean = house.world.post("ko-1", &["events", "notices"]).await;
    korean["story"] = json!("s");
    korean["languages_expected"] = json!(["en"]);
    assert_eq!(house.world.accept(&korean).await, Verdict::Stored);
    house.rest().await;
    assert_eq!(
        (house.texts("ko"), house.texts("en")),
        (vec!["ko-1의 제목".to_owned()], vec![]),
        "a translation is waited for"
    );
    let mut english = house.world.post("en-1", &["notices"]).await;
    english["story"] = json!("s");
    english["language"] = json!("en");
    assert_eq!(house.world.accept(&english).await, Verdict::Stored);
    house.world.publish("other", &["events"]).await;
    house.rest().await;
    house.pass(HOUR * 5).await;
    assert_eq!(house.texts("ko"), ["ko-1의 제목", "other의 제목"]);
    assert_eq!(house.texts("en"), ["en-1의 제목"]);
    house.close().await;
}

async fn revisions_follow_by_policy_and_withdrawals_take_away(world: World) {
    let all = Can { edit: true, delete: true, reply: true, repeats_safely_for: None };
    let settings = vec![
        Setting { can: all, ..Setting::new("ko") },
        Setting { name: "answers", can: all, revised: Revised::Reply, ..Setting::new("ko") },
        Setting { name: "leaves", can: Can { delete: false, ..all }, revised: Revised::Leave, ..Setting::new("ko") },
    ];
    let house = House::open(world, settings).await;
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    revise(&house, "one", "고친 제목").await;
    house.rest().await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "changed");
    assert_eq!(house.texts("answers"), ["one의 제목", "답: 고친 제목"]);
    assert_eq!(house.texts("leaves"), ["one의 제목"]);
    revise(&house, "one", "또 고친 제목").await;
    withdraw(&house, "one").await;
    house.rest().await;
    assert_eq!(house.texts("ko"), Vec::<String>::new());
    assert_eq!(house.texts("answers"), Vec::<String>::new(), "the answer goes with what it answered");
    assert_eq!(house.texts("leaves"), ["one의 제목"], "nobody but a person can take it away");
    house.close().await;
}

async fn what_was_revised_before_it_was_said_is_said_as_it_is(world: World) {
    let house = House::open(world, vec![Setting::new("ko")]).await;
    house.answer("ko", [Answer::Busy]);
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    revise(&house, "one", "고친 제목").await;
    house.rest().await;
    assert_eq!(house.texts("ko"), Vec::<String>::new(), "it is out of order for a while");
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"]);
    house.answer("ko", [Answer::Busy]);
    house.world.publish("two", &["events"]).await;
    house.rest().await;
    withdraw(&house, "two").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "what was withdrawn before it was said never is");
    house.close().await;
}

async fn a_lost_answer_is_looked_up(world: World) {
    let house = House::open(world, vec![Setting { finds: true, ..Setting::new("ko") }]).await;
    house.answer("ko", [Answer::Lost { was_taken: true }]);
    house.world.publish("taken", &["events"]).await;
    house.rest().await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["taken의 제목"]);
    house.answer("ko", [Answer::Lost { was_taken: false }]);
    house.world.publish("lost", &["events"]).await;
    house.rest().await;
    assert_eq!(house.texts("ko"), ["taken의 제목"]);
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["taken의 제목", "lost의 제목"]);
    assert_eq!(house.world.states().await.get("sent"), Some(&2));
    // What was found is what is taken away.
    withdraw(&house, "taken").await;
    house.rest().await;
    assert_eq!(house.texts("ko"), ["lost의 제목"]);
    house.close().await;
}

async fn what_cant_be_looked_up_waits_for_a_person(world: World) {
    let house = House::open(world, vec![Setting::new("ko")]).await;
    house.answer("ko", [Answer::Lost { was_taken: true }, Answer::Good, Answer::Lost { was_taken: false }]);
    for id in ["one", "two", "three"] {
        house.world.publish(id, &["events"]).await;
        house.rest().await;
        house.pass(HOUR).await;
    }
    house.pass(HOUR * 24 * 10).await;
    assert_eq!(house.texts("ko"), ["one의 제목", "two의 제목"], "never again by itself, and nobody waits for it");
    let uncertain = house.uncertain().await;
    assert_eq!(uncertain.len(), 2);
    let now = house.world.now().await;
    for (key, is_there) in uncertain.into_iter().zip([true, false]) {
        let settle = move |tx: &mut Tx<'_>| accounts::settle_doubt(tx, &key, is_there, now);
        assert!(house.world.store.write(settle).await.expect("settled"));
    }
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["one의 제목", "two의 제목", "three의 제목"]);
    assert_eq!(house.world.states().await.get("sent"), Some(&3));
    // What a person found there stands where the ledger doesn't know: nothing is said again, and a person sees to the rest.
    revise(&house, "one", "고친 제목").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["one의 제목", "two의 제목", "three의 제목"]);
    assert_eq!(house.world.states().await.get("refused"), Some(&1));
    house.close().await;
}

async fn a_revision_of_what_is_in_doubt_finds_out_first(world: World) {
    let house = House::open(world, vec![Setting { finds: true, ..Setting::new("ko") }]).await;
    house.answer("ko", [Answer::Lost { was_taken: true }]);
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    revise(&house, "one", "고친 제목").await;
    house.rest().await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "found, and changed");
    house.answer("ko", [Answer::Lost { was_taken: false }]);
    house.world.publish("two", &["events"]).await;
    house.rest().await;
    withdraw(&house, "two").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "not there, so there is nothing to take away");
    house.answer("ko", [Answer::Lost { was_taken: true }]);
    house.world.publish("three", &["events"]).await;
    house.rest().await;
    withdraw(&house, "three").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "found, and taken away");
    house.close().await;
}

async fn slots_pace_and_stale_posts_are_given_up(world: World) {
    let setting = Setting { slots: &["09:00", "18:00"], max_age: Some(HOUR * 40), ..Setting::new("ko") };
    let house = House::open(world, vec![setting]).await;
    // From the next midnight in Seoul on.
    let day = 86_400_000;
    let midnight = (house.world.now().await.0 / day + 2) * day - 9 * 3_600_000;
    let at = |hours: i64| UnixMillis(midnight + hours * 3_600_000);
    house.until(at(0)).await;
    for id in ["a", "b", "c", "d"] {
        house.world.publish(id, &["events"]).await;
        house.rest().await;
    }
    assert!(house.texts("ko").is_empty(), "they wait for nine o'clock");
    house.until(at(9)).await;
    assert_eq!(house.texts("ko"), ["d의 제목"], "the newest first, and one at a time");
    house.until(at(17)).await;
    assert_eq!(house.texts("ko").len(), 1);
    // What is taken back doesn't wait.
    withdraw(&house, "d").await;
    house.until(at(17).plus(Duration::from_secs(60))).await;
    assert!(house.texts("ko").is_empty());
    house.answer("ko", [Answer::Busy]);
    house.until(at(18)).await;
    assert!(house.texts("ko").is_empty());
    house.until(at(19)).await;
    assert_eq!(house.texts("ko"), ["c의 제목"], "it had its slot, and needs no other for its next try");
    house.until(at(33)).await;
    assert_eq!(house.texts("ko"), ["c의 제목", "b의 제목"]);
    house.until(at(66)).await;
    assert_eq!(house.texts("ko").len(), 2, "what is older than forty hours is no news");
    assert_eq!(house.reasons().await.iter().filter(|reason| *reason == "stale").count(), 1);
    house.close().await;
}

async fn a_login_that_ended_loses_nothing(world: World) {
    let house = House::open(world, vec![Setting { renews: true, ..Setting::new("ko") }]).await;
    house.answer("ko", [Answer::LoggedOut]);
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["one의 제목"], "renewed by itself");
    house.fake("ko").forbid_renewal(true);
    house.answer("ko", [Answer::LoggedOut; 40]);
    house.world.publish("two", &["events"]).await;
    house.rest().await;
    house.pass(HOUR * 24 * 8).await;
    assert_eq!(house.texts("ko").len(), 1);
    assert_eq!(house.world.store.read(accounts::logins_failed).await.expect("counted"), 1, "a person is asked for");
    house.fake("ko").forbid_renewal(false);
    house.fake("ko").forget_answers();
    house.pass(HOUR * 24).await;
    assert_eq!(house.texts("ko"), ["one의 제목", "two의 제목"], "nothing is lost meanwhile");
    assert_eq!(house.world.store.read(accounts::logins_failed).await.expect("counted"), 0);
    house.close().await;
}

async fn an_account_begins_with_now_and_ends_with_the_configuration(world: World) {
    world.publish("before", &["events"]).await;
    world.tick().await;
    let house = House::open(world, vec![Setting::new("ko")]).await;
    house.world.publish("after", &["events"]).await;
    house.rest().await;
    assert_eq!(house.texts("ko"), ["after의 제목"]);
    house.answer("ko", [Answer::Busy]);
    house.world.publish("waits", &["events"]).await;
    house.rest().await;
    let now = house.world.now().await;
    house.world.store.write(move |tx| accounts::tidy(tx, &[], now)).await.expect("ended");
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["after의 제목"]);
    let all = house.world.store.read(|tx| deliveries::list(tx, None, None, 10)).await.expect("listed");
    assert!(all.iter().any(|one| one.state == "cancelled" && one.reason.as_deref() == Some("unsubscribed")));
    house.close().await;
}

/// An answer (a reply) whose own answer was lost isn't given again.
async fn a_lost_answer_to_what_was_said_is_looked_up_too(world: World) {
    let can = Can { edit: false, delete: true, reply: true, repeats_safely_for: None };
    let house = House::open(
        world,
        vec![
            Setting { name: "finds", can, finds: true, revised: Revised::Reply, ..Setting::new("ko") },
            Setting { name: "blind", can, revised: Revised::Reply, ..Setting::new("ko") },
        ],
    )
    .await;
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    for name in ["finds", "blind"] {
        house.answer(name, [Answer::Lost { was_taken: true }]);
    }
    revise(&house, "one", "고친 제목").await;
    house.rest().await;
    house.pass(HOUR * 24 * 5).await;
    for name in ["finds", "blind"] {
        assert_eq!(house.texts(name), ["one의 제목", "답: 고친 제목"], "{name}");
    }
    assert_eq!(house.uncertain().await.len(), 1, "who can't be asked leaves it to a person");
    withdraw(&house, "one").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("finds"), Vec::<String>::new(), "both are gone");
    house.close().await;
}

async fn what_is_left_as_it_is_is_found_out_all_the_same(world: World) {
    let house = House::open(world, vec![Setting { finds: true, revised: Revised::Leave, ..Setting::new("ko") }]).await;
    house.answer("ko", [Answer::Lost { was_taken: false }]);
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    revise(&house, "one", "고친 제목").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"], "it wasn't there, so it is said as it is now");
    house.answer("ko", [Answer::Lost { was_taken: true }]);
    house.world.publish("two", &["events"]).await;
    house.rest().await;
    revise(&house, "two", "또 고친 제목").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목", "two의 제목"], "it was there, and is left");
    withdraw(&house, "two").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), ["고친 제목"]);
    house.close().await;
}

async fn what_was_found_by_a_person_is_taken_away_if_it_can_be_found(world: World) {
    let house = House::open(world, vec![Setting { finds: true, ..Setting::new("ko") }]).await;
    house.answer("ko", [Answer::Lost { was_taken: true }]);
    house.world.publish("one", &["events"]).await;
    house.rest().await;
    let (key, now) = (house.uncertain().await.remove(0), house.world.now().await);
    let settle = move |tx: &mut Tx<'_>| accounts::settle_doubt(tx, &key, true, now);
    assert!(house.world.store.write(settle).await.expect("settled"));
    withdraw(&house, "one").await;
    house.pass(HOUR).await;
    assert_eq!(house.texts("ko"), Vec::<String>::new());
    house.close().await;
}

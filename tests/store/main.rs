//! The conformance suite of the store: every test runs on SQLite and on PostgreSQL.
#![allow(missing_docs, reason = "a test")]

mod endpoints;
mod journey;
mod letters;
mod pages;
mod partners;
mod people_known;
mod promised;
mod room;
mod second;
#[path = "../support/mod.rs"]
mod support;
mod works;
mod world;

use allim::domain::audience::{Address, Subscriber};
use allim::domain::clock::{Clock as _, ManualClock, UnixMillis};
use allim::domain::delivery::{Lane, State};
use allim::domain::language::Language;
use allim::domain::post::{Body, BodyFormat, Post};
use allim::domain::text::CleanText;
use allim::intake::accept::Verdict;
use allim::intake::wire::Incoming;
use allim::plan::{Ticked, release};
use allim::store::deliveries::{self, Claimed};
use allim::store::identity::Cause;
use allim::store::owed::Recipient;
use allim::store::people::{self, By};
use allim::store::profile::{self, Then};
use allim::store::token_keys::{self, TokenKey};
use allim::store::{
    Location, Store, StoreError, Tx, changes, destinations, feeds, identity, large, occurrences, owed, posts,
    processes, quarantine, reroute, subscribers, suppressions, views,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(20);
const MINUTE: i64 = 60_000;
/// 2026-11-23T00:00:00Z, a full minute.
const START: i64 = 1_795_392_000_000;

use world::{World, on_both, postgres, rules};

on_both!(
    a_failed_job_leaves_nothing_and_spoils_no_other,
    numbers_come_in_commit_order,
    every_verdict,
    what_overtook_its_post_is_taken_once_it_comes,
    a_batch_of_everything_is_taken_in_its_order,
    callers_that_come_together_each_get_their_own_answer,
    bad_text_and_nulls_are_stored_clean,
    planning_gives_each_story_once,
    an_item_names_every_topic_that_brought_it,
    those_who_may_be_written_to_are_found_however_many_they_are,
    claims_are_exclusive,
    nothing_is_claimed_or_sent_under_a_hold,
    a_large_send_is_kept_back_and_goes_on,
    a_send_that_was_let_go_or_is_over_is_not_kept_back,
    what_waits_for_a_lost_destination_moves_in_steps,
    sending_is_refused_after_withdrawal_unsubscription_and_lost_lease,
    a_definite_answer_settles_an_uncertain_delivery,
    what_its_reader_left_or_moved_away_from_rests_until_its_answer,
    what_was_left_in_a_pause_or_claimed_when_its_reader_was_gone_comes_back_as_it_was,
    a_dead_process_is_rescued,
    an_unsent_issue_is_superseded,
    a_revision_moves_what_waits_and_a_withdrawal_cancels_it,
    the_small_nouns_keep_what_they_are_given,
    what_was_due_before_a_restore_counts_as_sent,
    a_doubt_ends_by_a_decision_and_the_counter_begins_above_it,
    lists_and_looks,
    views_add_up,
);

async fn a_failed_job_leaves_nothing_and_spoils_no_other(world: World) {
    let now = world.now().await;
    let key = |id: &str| TokenKey { id: id.to_owned(), secret: "s".to_owned(), created_at: now };
    let (good, bad) = (key("good"), key("bad"));
    let fails = world.store.write(move |tx| {
        token_keys::insert(tx, &bad)?;
        Err::<(), _>(StoreError::Shape("on purpose".to_owned()))
    });
    let works = world.store.write(move |tx| token_keys::insert(tx, &good));
    let (failed, worked) = tokio::join!(fails, works);
    assert!(matches!(failed, Err(StoreError::Shape(_))));
    worked.expect("the other one is kept");
    let panics = world.store.write(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
    assert!(panics.is_err());
    let kept = world.store.read(token_keys::all).await.expect("read");
    assert_eq!(kept.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["good"]);
    let twice = key("good");
    let refused = world.store.write(move |tx| token_keys::insert(tx, &twice)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}

async fn numbers_come_in_commit_order(world: World) {
    let seen = Arc::new(AtomicUsize::new(0));
    let mut releasing = tokio::task::JoinSet::new();
    for releaser in 0..8 {
        let (store, seen) = (world.store.clone(), seen.clone());
        releasing.spawn(async move {
            for number in 0..20 {
                let change = changes::Change {
                    kind: changes::ChangeKind::Public,
                    post_id: format!("{releaser}-{number}"),
                    story_id: "s".to_owned(),
                    language: "ko".to_owned(),
                    at: UnixMillis(number),
                };
                let changes = vec![change.clone(), change];
                store.write(move |tx| changes::number(tx, &changes)).await.expect("numbered");
                seen.fetch_add(2, Ordering::SeqCst);
            }
        });
    }
    // Whoever reads the head has seen every number below it.
    while seen.load(Ordering::SeqCst) < 320 {
        let read = world.store.read(|tx| {
            let head = changes::head(tx)?;
            let row = tx.query_opt(
                "SELECT COUNT(*) FROM changes WHERE seq <= (SELECT value FROM counters WHERE name = 'change')",
                &[],
            )?;
            Ok((head, row.expect("a count").int(0)?))
        });
        let (head, count) = read.await.expect("read");
        assert!(count >= head, "head {head} but {count} changes");
    }
    while let Some(done) = releasing.join_next().await {
        done.expect("a releaser");
    }
    assert_eq!(world.store.read(changes::head).await.expect("a head"), 320);
}

fn reason(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Quarantined { reason, .. } => reason,
        _ => "",
    }
}

fn event(kind: &str, id: &str, data: &Value) -> Value {
    json!({ "specversion": "1.0", "type": format!("org.allim.post.{kind}.v1"), "source": "urn:cms", "id": id, "data": data })
}

async fn every_verdict(world: World) {
    let mut post = world.post("a", &["events"]).await;
    assert_eq!(world.accept(&post).await, Verdict::Stored);
    assert_eq!(world.accept(&post).await, Verdict::Duplicate);
    post["title"] = json!("새 제목");
    assert_eq!(world.accept(&post).await, Verdict::Revised);
    post["revision"] = json!(5);
    post["title"] = json!("다섯째");
    assert_eq!(world.accept(&event("revised", "e5", &post)).await, Verdict::Revised);
    post["revision"] = json!(4);
    post["title"] = json!("넷째, 늦게");
    assert_eq!(world.accept(&event("revised", "e4", &post)).await, Verdict::Stale);
    post["title"] = json!("넷째, anders");
    assert_eq!(reason(&world.accept(&event("revised", "e4b", &post)).await), "revision_reused");
    assert_eq!(reason(&world.accept(&event("revised", "e5", &post)).await), "event_id_reused");
    assert_eq!(
        reason(&world.accept(&event("revised", "x", &world.post("nobody", &["events"]).await)).await),
        "unknown_post"
    );
    assert_eq!(world.accept(&event("withdrawn", "w", &json!({ "id": "a" }))).await, Verdict::Withdrawn);
    assert_eq!(world.accept(&event("withdrawn", "w2", &json!({ "id": "a" }))).await, Verdict::Duplicate);
    post["revision"] = json!(6);
    assert_eq!(reason(&world.accept(&event("revised", "e6", &post)).await), "withdrawn_post");
    let bad = world.accept(&json!({ "id": "b", "title": "t", "language": "??" })).await;
    assert_eq!(reason(&bad), "bad_field");
    let kept = world.store.read(|tx| quarantine::list(tx, 100)).await.expect("a list");
    assert_eq!(kept.len(), 5);
    let (standing, content) = found(&world, "a").await;
    assert_eq!((standing.revision, content.title.as_str()), (5, "다섯째"));
    assert_eq!(standing.state(), "withdrawn");
}

async fn found(world: &World, source_id: &str) -> (allim::domain::post::Standing, Post) {
    let id = allim::domain::ids::post_id("cms", source_id);
    world.store.read(move |tx| posts::find(tx, &id)).await.expect("read").expect("a post")
}

async fn what_overtook_its_post_is_taken_once_it_comes(world: World) {
    let withdrawn = event("withdrawn", "w", &json!({ "id": "late" }));
    assert_eq!(reason(&world.accept(&withdrawn).await), "unknown_post");
    world.publish("late", &["events"]).await;
    assert_eq!(found(&world, "late").await.0.state(), "withdrawn");
    assert_eq!(world.store.read(quarantine::count).await.expect("counted"), 0);
    world.tick().await;
    assert_eq!(found(&world, "late").await.0.public_at, None);
}

async fn a_batch_of_everything_is_taken_in_its_order(world: World) {
    world.publish("old", &["events"]).await;
    let one = world.post("one", &["events"]).await;
    let mut again = one.clone();
    again["title"] = json!("새 제목");
    let (mut ko, mut en) = (world.post("ko", &["events"]).await, world.post("en", &["notices"]).await);
    (ko["story"], en["story"], en["language"]) = (json!("both"), json!("both"), json!("en"));
    let mut third = world.post("late", &["events"]).await;
    third["revision"] = json!(3);
    let batch = [
        one.clone(),
        ko,
        one.clone(),
        again.clone(),
        event("withdrawn", "w-old", &json!({ "id": "old" })),
        event("revised", "r-late", &third),
        json!("not a post"),
        world.post("late", &["events"]).await,
        en,
        event("published", "e-two", &world.post("two", &["events"]).await),
        event("published", "e-two", &world.post("other", &["events"]).await),
        event("withdrawn", "w-one", &json!({ "id": "one" })),
        one,
    ];
    let verdicts = world.accept_all(&batch).await;
    let words: Vec<_> = verdicts.iter().map(Verdict::word).collect();
    let expected = "stored stored duplicate revised withdrawn quarantined quarantined stored stored stored quarantined \
                    withdrawn duplicate";
    assert_eq!(words.join(" "), expected);
    assert_eq!((reason(&verdicts[5]), reason(&verdicts[10])), ("unknown_post", "event_id_reused"));
    let (one, content) = found(&world, "one").await;
    assert_eq!((one.state(), one.revision, content.title.as_str()), ("withdrawn", 2, "새 제목"));
    assert_eq!(found(&world, "late").await.0.revision, 3);
    assert_eq!(found(&world, "ko").await.0.story_id, found(&world, "en").await.0.story_id);
    assert_eq!(world.store.read(quarantine::count).await.expect("counted"), 2);
    // The same again changes nothing but what was set aside, and what it waited for is there by now.
    let again = world.accept_all(&batch).await;
    let words: BTreeSet<_> = again.iter().map(Verdict::word).collect();
    assert_eq!(words, BTreeSet::from(["duplicate", "quarantined"]));
    assert_eq!(world.store.read(quarantine::count).await.expect("counted"), 2);
    assert_eq!(world.store.read(posts::count).await.expect("counted").0, 6);
}

async fn callers_that_come_together_each_get_their_own_answer(world: World) {
    let mut callers = tokio::task::JoinSet::new();
    let mut post = world.post("", &["events"]).await;
    for number in 0..60 {
        // Every post comes twice; every tenth can't be read.
        post["id"] = json!(format!("post-{}", number / 2));
        let message = if number % 10 == 9 { format!("not JSON {number}") } else { post.to_string() };
        let incoming = Incoming {
            source: "cms".to_owned(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            bytes: message.into_bytes(),
        };
        let intake = world.intake.clone();
        callers.spawn(async move { (number, intake.accept_one(incoming).await.expect("an answer")) });
    }
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    while let Some(answered) = callers.join_next().await {
        let (number, receipt) = answered.expect("a caller");
        *words.entry(receipt.verdict.word()).or_default() += 1;
        let id = allim::domain::ids::post_id("cms", &format!("post-{}", number / 2));
        assert_eq!(receipt.post_id, (number % 10 != 9).then_some(id));
    }
    assert_eq!(words, BTreeMap::from([("stored", 30), ("duplicate", 24), ("quarantined", 6)]));
}

async fn bad_text_and_nulls_are_stored_clean(world: World) {
    let mut post = world.post("n", &["events"]).await;
    post["title"] = json!("제\u{0}목 ]]> \u{8}");
    post["body"]["content"] = json!("본문\u{0}");
    let verdicts = world.accept_all(&[post, json!({ "id": "\u{0}", "title": "" }), json!("한 줄")]).await;
    assert_eq!(verdicts[0], Verdict::Stored);
    assert!(verdicts[1..].iter().all(|verdict| matches!(verdict, Verdict::Quarantined { .. })), "{verdicts:?}");
    let (standing, content) = found(&world, "n").await;
    assert_eq!(content.title.as_str(), "제목 ]]>");
    assert_eq!(content.body, Body { format: BodyFormat::Text, content: CleanText::new("본문") });
    let history = world.store.read(move |tx| posts::history(tx, &standing.post_id)).await.expect("a history");
    assert_eq!(history[0].2.len(), 2, "{history:?}");
}

async fn planning_gives_each_story_once(world: World) {
    let mut ids = BTreeSet::new();
    for number in 0..7 {
        ids.insert(world.subscriber(&format!("r{number}"), &[("events", "immediate"), ("notices", "immediate")]).await);
    }
    world.publish("both", &["events", "notices"]).await;
    world.publish("one", &["notices"]).await;
    let ticked = world.tick().await;
    assert_eq!((ticked.fired, ticked.planned), (1, 7));
    assert_eq!(world.tick().await.planned, 0);
    let term = world.register().await;
    let claimed = world.claim(term, 100).await;
    assert_eq!(claimed.iter().map(|c| c.key.recipient_id).collect::<BTreeSet<_>>(), ids);
    assert_eq!(claimed.iter().map(|c| c.edition_id).collect::<BTreeSet<_>>().len(), 1, "one edition is shared");
    let edition = claimed[0].edition_id;
    let edition =
        world.store.read(move |tx| allim::store::editions::find(tx, edition)).await.expect("read").expect("one");
    assert_eq!(edition.content.items.len(), 2);
}

async fn an_item_names_every_topic_that_brought_it(world: World) {
    let both = world.subscriber("both", &[("events", "often"), ("notices", "often")]).await;
    let one = world.subscriber("one", &[("notices", "often")]).await;
    let elsewhere = world.subscriber("elsewhere", &[("events", "immediate"), ("notices", "often")]).await;
    let items = async |id: i64| {
        let read = move |tx: &mut allim::store::Tx<'_>| {
            let listed = deliveries::list(tx, None, Some(id), i64::MAX)?.into_iter();
            let open = listed.filter(|one| one.schedule == "often" && one.state == "due");
            let edition = |one: deliveries::Listed| allim::store::editions::find(tx, one.edition_id);
            let found: Vec<_> = open.map(edition).collect::<Result<_, _>>()?;
            let items = found.into_iter().flatten().flat_map(|edition| edition.content.items);
            Ok(items.map(|item| (item.post_id, item.revision, item.topic, item.also)).collect::<Vec<_>>())
        };
        world.store.read(read).await.expect("read")
    };
    let item = |id: &str, revision: i64, topic: &str, also: &[&str]| {
        let also: Vec<String> = also.iter().map(ToString::to_string).collect();
        (allim::domain::ids::post_id("cms", id), revision, topic.to_owned(), also)
    };
    world.tick().await;
    // First each reader is searched alone, then all who are alike are worked out together.
    world.publish("a", &["notices", "events"]).await;
    fire(&world).await;
    assert_eq!(items(both).await, [item("a", 1, "events", &["notices"])]);
    assert_eq!(items(one).await, [item("a", 1, "notices", &[])]);
    // Superseded together with a newer one, and moved to a successor by a revision, it keeps what brought it.
    world.publish("b", &["notices", "events"]).await;
    fire(&world).await;
    let mut posts = items(both).await;
    posts.sort();
    let mut expected = vec![item("a", 1, "events", &["notices"]), item("b", 1, "events", &["notices"])];
    expected.sort();
    assert_eq!(posts, expected);
    let mut revised = world.post("a", &["notices", "events"]).await;
    revised["title"] = json!("고친 제목");
    assert_eq!(world.accept(&revised).await, Verdict::Revised);
    world.tick().await;
    assert!(items(both).await.contains(&item("a", 2, "events", &["notices"])));
    // The topic of another schedule isn't why this issue came.
    assert!(items(elsewhere).await.iter().all(|(_, _, topic, also)| topic == "notices" && also.is_empty()));
}

async fn those_who_may_be_written_to_are_found_however_many_they_are(world: World) {
    let mut ids = Vec::new();
    for number in 0..600 {
        ids.push(world.subscriber(&format!("r{number}"), &[("events", "daily")]).await);
    }
    ids.sort_unstable();
    let (gone, now) = (ids.iter().copied().step_by(7).collect::<Vec<_>>(), world.now().await);
    let leave = move |tx: &mut allim::store::Tx<'_>| {
        let leave = "UPDATE subscribers SET suppressed_at = $2 WHERE id = $1";
        gone.iter().try_for_each(|id| tx.execute(leave, &[(*id).into(), now.into()]).map(drop))
    };
    world.store.write(leave).await.expect("they left");
    let lock = |ids: Vec<i64>| {
        let told = |one: Recipient| (one.id, one.language.to_string(), one.domain.to_string());
        let lock = move |tx: &mut allim::store::Tx<'_>| Ok(owed::lock(tx, &ids)?.into_iter().map(told).collect());
        async { world.store.write::<Vec<_>, _>(lock).await.expect("locked") }
    };
    // Nobody of a list this short is looked for among neighbours.
    let mut one_by_one = Vec::new();
    for id in &ids {
        one_by_one.extend(lock(vec![*id]).await);
    }
    assert_eq!(one_by_one.len(), 600 - 86);
    for step in [1, 2, 3, 5, 9] {
        let mut wanted: Vec<i64> = ids.iter().copied().step_by(step).collect();
        // People who don't exist are asked for too.
        wanted.extend([1, ids[300] + 1, i64::MAX]);
        wanted.sort_unstable();
        let is_wanted = |one: &&(i64, String, String)| wanted.binary_search(&one.0).is_ok();
        let expected: Vec<_> = one_by_one.iter().filter(is_wanted).cloned().collect();
        assert_eq!(lock(wanted.clone()).await, expected, "one in {step}");
    }
}

async fn claims_are_exclusive(world: World) {
    for number in 0..40 {
        world.subscriber(&format!("r{number}"), &[("events", "immediate")]).await;
    }
    world.publish("a", &["events"]).await;
    assert_eq!(world.tick().await.planned, 40);
    let terms = [world.register().await, world.register().await, world.register().await];
    let mut seen = BTreeSet::new();
    loop {
        let (a, b, c) = tokio::join!(world.claim(terms[0], 4), world.claim(terms[1], 4), world.claim(terms[2], 4));
        let claimed: Vec<Claimed> = a.into_iter().chain(b).chain(c).collect();
        if claimed.is_empty() {
            break;
        }
        for claim in claimed {
            assert_eq!(claim.attempt, 1);
            assert!(seen.insert(claim.key), "claimed twice");
        }
    }
    assert_eq!(seen.len(), 40);
}

async fn one_claimed(world: &World) -> (i64, Claimed) {
    world.subscriber("r", &[("events", "immediate")]).await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    (term, world.claim(term, 1).await.remove(0))
}

async fn nothing_is_claimed_or_sent_under_a_hold(world: World) {
    let (term, claimed) = one_claimed(&world).await;
    world.put_hold("all").await;
    assert!(!world.begin(&claimed).await);
    assert_eq!(world.record(&claimed, State::Due, Some(UnixMillis(0))).await, 1);
    assert!(world.claim(term, 1).await.is_empty());
    world.store.write(|tx| destinations::release_hold(tx, "all")).await.expect("released");
    world.put_hold("destination:email:folder").await;
    assert!(world.claim(term, 1).await.is_empty());
    world.store.write(|tx| destinations::release_hold(tx, "destination:email:folder")).await.expect("released");
    let again = world.claim(term, 1).await.remove(0);
    assert_eq!(again.attempt, 2);
    assert!(world.begin(&again).await);
}

/// Keeps back sends of `news` to more than `large` readers at the head of the queue.
async fn keep_back(world: &World, large: i64) -> BTreeSet<large::Mailing> {
    let now = world.now().await;
    let keep = move |tx: &mut allim::store::Tx<'_>| {
        let refused = BTreeMap::from([("news".to_owned(), "a test".to_owned())]);
        let until = now.plus(Duration::from_secs(60));
        large::keep_back(tx, &large::Wanted { destination: "email:folder", refused: &refused, large, until }, now)
    };
    world.store.write(keep).await.expect("kept back")
}

/// Looks through what is kept back, with these senders still refused.
async fn review(world: &World, refused: &[&str]) -> Vec<large::Mailing> {
    let (refused, now) = (refused.iter().map(|name| (*name).to_owned()).collect(), world.now().await);
    world.store.write(move |tx| large::review(tx, &refused, now)).await.expect("looked through")
}

async fn a_large_send_is_kept_back_and_goes_on(world: World) {
    for number in 0..12 {
        world.subscriber(&format!("r{number}"), &[("events", "immediate")]).await;
    }
    for number in 0..2 {
        world.subscriber(&format!("n{number}"), &[("notices", "immediate")]).await;
    }
    world.publish("a", &["events"]).await;
    world.tick().await;
    world.publish("b", &["notices"]).await;
    world.tick().await;
    // One of the large send has a row of its own and waits for its second attempt.
    let term = world.register().await;
    let first = world.claim(term, 1).await.remove(0);
    assert_eq!(world.record(&first, State::Due, Some(UnixMillis(0))).await, 1);
    // While more may be planned nobody knows how large it gets: it rests a second.
    let change = |sql: &'static str| world.store.write(move |tx| tx.execute(sql, &[]));
    change("UPDATE occurrences SET planned_at = NULL WHERE planned = 12").await.expect("still planned");
    assert!(keep_back(&world, 12).await.is_empty());
    change("UPDATE occurrences SET planned_at = fired_at WHERE planned = 12").await.expect("planned");
    let rested =
        change("UPDATE batches SET due_at = planned_at WHERE due_at > planned_at").await.expect("a second later");
    assert!(rested > 0, "it rested");
    assert!(keep_back(&world, 12).await.is_empty(), "twelve aren't more than twelve");
    let kept = keep_back(&world, 11).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    let holds = world.store.read(destinations::holds).await.expect("read");
    let (scope, reason) = (&holds[0].0, &holds[0].1);
    assert_eq!(large::Mailing::from_scope(scope), kept.first().cloned());
    assert_eq!(reason, "12 mails by `news` wait: a test");
    assert!(keep_back(&world, 11).await.is_empty(), "all of it rests already");
    assert_eq!(world.claim(term, 100).await.len(), 2, "the small one goes");
    assert!(review(&world, &["news"]).await.is_empty());
    assert!(world.claim(term, 100).await.is_empty());
    assert_eq!(review(&world, &["other"]).await, kept.into_iter().collect::<Vec<_>>());
    assert!(world.store.read(destinations::holds).await.expect("read").is_empty());
    // The one with a row of its own rests to its end.
    assert_eq!(world.claim(term, 100).await.len(), 11);
}

async fn a_send_that_was_let_go_or_is_over_is_not_kept_back(world: World) {
    for number in 0..3 {
        world.subscriber(&format!("r{number}"), &[("events", "often")]).await;
    }
    let term = world.register().await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    assert_eq!(fire(&world).await.planned, 3);
    let first = keep_back(&world, 2).await.pop_first().expect("a send");
    // The next issue takes in what waits, and the hold of the one before has nothing to hold any more.
    world.publish("b", &["events"]).await;
    assert_eq!(fire(&world).await.planned, 3);
    let second = keep_back(&world, 2).await.pop_first().expect("a send");
    assert_ne!(first, second);
    review(&world, &["news"]).await;
    let kept = world.store.read(large::kept_back).await.expect("read");
    assert_eq!(kept, std::slice::from_ref(&second));
    let (now, let_go) = (world.now().await, second.clone());
    assert!(world.store.write(move |tx| large::let_go(tx, &let_go, now)).await.expect("let go"));
    assert!(keep_back(&world, 2).await.is_empty(), "an operator has spoken");
    assert!(review(&world, &["news"]).await.is_empty());
    assert_eq!(world.store.read(large::let_go_before).await.expect("read"), [second]);
    for claimed in world.claim(term, 100).await {
        assert!(world.begin(&claimed).await);
        world.record(&claimed, State::Sent, None).await;
    }
    review(&world, &["news"]).await;
    assert!(world.store.read(large::let_go_before).await.expect("read").is_empty(), "it is over");
}

async fn what_waits_for_a_lost_destination_moves_in_steps(world: World) {
    let mut readers = BTreeSet::new();
    for number in 0..8 {
        readers.insert(world.subscriber(&format!("r{number}"), &[("events", "immediate")]).await);
    }
    world.publish("a", &["events"]).await;
    assert_eq!(world.tick().await.planned, 8);
    // One has a row of its own, one is on its way, the others wait in their batches.
    let term = world.register().await;
    let claimed = world.claim(term, 2).await;
    assert_eq!(world.record(&claimed[0], State::Uncertain, Some(UnixMillis(0))).await, 1);
    assert_eq!(world.store.read(reroute::named).await.expect("read"), ["email:folder"]);
    world.put_hold("destination:email:folder").await;
    assert!(world.store.read(reroute::named).await.expect("read").is_empty(), "what is held stays");
    world.store.write(|tx| destinations::release_hold(tx, "destination:email:folder")).await.expect("released");
    let known = ["email:main".to_owned()];
    assert!(allim::send::reroute::run(&world.store, &known).await.expect("moved") > 1);
    assert_eq!(allim::send::reroute::run(&world.store, &known).await.expect("moved"), 0);
    let now = world.now().await;
    world.store.write(move |tx| deliveries::settle_uncertain(tx, now, true)).await.expect("settled");
    let there = world.store.write(move |tx| deliveries::claim(tx, term, "email:main", Lane::Normal, now, 100));
    let moved: BTreeSet<i64> = there.await.expect("claimed").iter().map(|claim| claim.key.recipient_id).collect();
    readers.remove(&claimed[1].key.recipient_id);
    assert_eq!(moved, readers, "all but the one on its way");
    assert!(world.begin(&claimed[1]).await, "which goes on undisturbed");
}

async fn sending_is_refused_after_withdrawal_unsubscription_and_lost_lease(world: World) {
    let (term, claimed) = one_claimed(&world).await;
    world.accept(&event("withdrawn", "w", &json!({ "id": "a" }))).await;
    assert!(!world.begin(&claimed).await);
    world.record(&claimed, State::Due, Some(UnixMillis(0))).await;
    world.tick().await;
    assert_eq!(world.state(&claimed.key).await, ("cancelled".to_owned(), Some("withdrawn".to_owned())));

    world.publish("b", &["events"]).await;
    world.tick().await;
    let second = world.claim(term, 1).await.remove(0);
    let (id, now) = (second.key.recipient_id, world.now().await);
    let leave = world.store.write(move |tx| {
        subscribers::lock(tx, id)?;
        subscribers::unsubscribe_schedule(tx, id, "immediate", now)
    });
    assert_eq!(leave.await.expect("left"), 1);
    assert!(!world.begin(&second).await);
    assert_eq!(world.state(&second.key).await, ("cancelled".to_owned(), Some("unsubscribed".to_owned())));

    world.subscriber("other", &[("events", "immediate")]).await;
    world.publish("c", &["events"]).await;
    world.tick().await;
    let third = world.claim(term, 1).await.remove(0);
    let now = world.now().await;
    world.store.write(move |tx| processes::end(tx, term, now, now)).await.expect("ended");
    assert!(!world.begin(&third).await);
    assert!(world.claim(term, 1).await.is_empty(), "a process without a lease claims nothing");
}

impl World {
    /// Lets some milliseconds go by: here by the clock that is moved, on PostgreSQL by the database's.
    async fn pass(&self, ms: i64) -> UnixMillis {
        let until = UnixMillis(self.now().await.0 + ms);
        self.clock.set(until);
        loop {
            let now = self.now().await;
            if now >= until {
                return now;
            }
        }
    }

    /// What somebody does on their page.
    async fn act<T: Send + 'static>(
        &self,
        id: i64,
        mut deed: impl FnMut(&mut Tx<'_>, &Subscriber, By<'_>, UnixMillis) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        // Two things that people do have two times.
        let now = self.pass(5).await;
        let acted = self.store.write(move |tx| {
            suppressions::ensure_key(tx, "00")?;
            let person = subscribers::lock(tx, id)?.expect("a subscriber");
            let by = By { language: &person.language.clone(), source: "page", actor: "subscriber" };
            deed(tx, &person, by, now)
        });
        acted.await.expect("done")
    }
}

fn withdraw(
    schedule: Option<&'static str>,
) -> impl FnMut(&mut Tx<'_>, &Subscriber, By<'_>, UnixMillis) -> Result<BTreeSet<String>, StoreError> + Send + 'static {
    move |tx, person, by, now| people::withdraw(tx, person, schedule, by, now)
}

async fn what_its_reader_left_or_moved_away_from_rests_until_its_answer(world: World) {
    let (term, claimed) = one_claimed(&world).await;
    let (key, id) = (claimed.key.clone(), claimed.key.recipient_id);
    assert!(world.begin(&claimed).await);
    world.act(id, withdraw(Some("immediate"))).await;
    assert_eq!(world.state(&key).await, ("uncertain".to_owned(), Some("unsubscribed".to_owned())));
    assert_eq!(world.record(&claimed, State::Uncertain, Some(UnixMillis(0))).await, 0);
    assert_eq!(world.record(&claimed, State::Due, Some(UnixMillis(0))).await, 1);
    assert_eq!(world.state(&key).await, ("cancelled".to_owned(), Some("unsubscribed".to_owned())));
    assert!(world.act(id, people::undo).await);
    assert_eq!(world.state(&key).await.0, "due");

    let second = world.claim(term, 1).await.remove(0);
    assert!(world.begin(&second).await);
    let to = Address::parse("elsewhere@example.net").expect("an address");
    world.act(id, move |tx, person, _, now| profile::set_address(tx, person.id, &to, now)).await;
    assert_eq!(world.state(&key).await, ("uncertain".to_owned(), Some("answer_lost".to_owned())));
    assert_eq!(world.record(&second, State::Due, Some(UnixMillis(0))).await, 1, "it hasn't arrived");

    let third = world.claim(term, 1).await.remove(0);
    assert!(third.uncertain_at.is_none());
    world.act(id, |tx, person, _, now| profile::set_text_only(tx, person.id, true, now)).await;
    assert!(!world.begin(&third).await, "it lies ready in the other form");
    let fourth = world.claim(term, 1).await.remove(0);
    assert!(world.begin(&fourth).await);
    world.act(id, |tx, person, _, now| profile::set_text_only(tx, person.id, false, now)).await;
    let now = world.now().await;
    world.store.write(move |tx| processes::end(tx, term, now, now)).await.expect("ended");
    assert_eq!(world.store.write(move |tx| deliveries::settle_uncertain(tx, now, true)).await.expect("settled"), 0);
    assert_eq!(world.state(&key).await.0, "uncertain");
    let attempts = world.store.read(move |tx| deliveries::attempts(tx, &key)).await.expect("attempts");
    assert!(attempts.iter().all(|attempt| attempt.ended_at.is_some()), "{attempts:?}");
}

async fn what_was_left_in_a_pause_or_claimed_when_its_reader_was_gone_comes_back_as_it_was(world: World) {
    let (_, claimed) = one_claimed(&world).await;
    let (key, id) = (claimed.key.clone(), claimed.key.recipient_id);
    let until = UnixMillis(world.now().await.0 + 10);
    world.act(id, move |tx, person, by, now| people::pause(tx, person, Some((until, Then::Skip)), by, now)).await;
    world.act(id, withdraw(None)).await;
    world.publish("in the pause", &["events"]).await;
    world.pass(50).await;
    world.tick().await;
    world.act(id, |tx, person, _, now| people::end_pause(tx, person.id, now)).await;
    assert!(world.act(id, people::undo).await);
    assert_eq!(world.state(&key).await.0, "due", "what was stopped goes out");
    let head = world.store.read(changes::head).await.expect("the head");
    let theirs = world.store.read(move |tx| subscribers::subscriptions(tx, id)).await.expect("subscriptions");
    assert_eq!(theirs.iter().map(|one| one.since).collect::<Vec<_>>(), [head], "what came in the pause is skipped");

    let term = world.register().await;
    let again = world.claim(term, 1).await;
    assert_eq!(again.iter().map(|claimed| claimed.key.clone()).collect::<Vec<_>>(), std::slice::from_ref(&key));
    // As if it had gone to the sender before they left, and come back since.
    world.act(id, |tx, person, _, now| profile::leave(tx, person.id, now)).await;
    const CLAIMED: &str = "UPDATE deliveries SET state = 'claimed', finished_at = NULL, reason = NULL";
    world.store.write(|tx| tx.execute(CLAIMED, &[])).await.expect("claimed");
    let later = UnixMillis(world.now().await.0 + MINUTE);
    world.store.write(move |tx| deliveries::cancel_departed(tx, &again, later)).await.expect("cancelled");
    let (listed, left) = (key.clone(), world.store.read(move |tx| subscribers::find(tx, id)).await.expect("found"));
    let ended = world.store.read(move |tx| deliveries::find(tx, &listed)).await.expect("read").expect("a delivery");
    assert_eq!(ended.finished_at, left.and_then(|person| person.unsubscribed_at), "as of when they left");
}

async fn a_definite_answer_settles_an_uncertain_delivery(world: World) {
    let (term, claimed) = one_claimed(&world).await;
    assert!(world.begin(&claimed).await);
    let now = world.now().await;
    assert_eq!(world.record(&claimed, State::Uncertain, Some(now)).await, 1);
    assert_eq!(world.store.write(move |tx| deliveries::settle_uncertain(tx, now, true)).await.expect("settled"), 1);
    // The answer to the first attempt comes after all, before another began.
    assert_eq!(world.record(&claimed, State::Sent, None).await, 1);
    assert_eq!(world.state(&claimed.key).await.0, "sent");

    world.publish("b", &["events"]).await;
    world.tick().await;
    let first = world.claim(term, 1).await.remove(0);
    assert!(world.begin(&first).await);
    world.record(&first, State::Uncertain, Some(now)).await;
    world.store.write(move |tx| deliveries::settle_uncertain(tx, now, true)).await.expect("settled");
    let second = world.claim(term, 1).await.remove(0);
    assert_eq!((second.key.clone(), second.attempt), (first.key.clone(), 2));
    assert!(second.uncertain_at.is_some());
    assert_eq!(world.record(&first, State::Sent, None).await, 0, "a newer attempt began");
    assert!(world.begin(&second).await);
    assert!(!world.begin(&second).await, "an attempt begins once");
    assert_eq!(world.record(&second, State::Sent, None).await, 1);
    let key = second.key.clone();
    let attempts = world.store.read(move |tx| deliveries::attempts(tx, &key)).await.expect("attempts");
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|attempt| attempt.sending_at.is_some()));
}

async fn a_dead_process_is_rescued(world: World) {
    world.subscriber("a", &[("events", "immediate")]).await;
    world.subscriber("b", &[("events", "immediate")]).await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    let (dead, alive) = (world.register().await, world.register().await);
    let claimed = world.claim(dead, 2).await;
    assert!(world.begin(&claimed[0]).await);
    let now = world.now().await;
    let later = now.plus(LEASE + LEASE);
    assert_eq!(world.store.write(move |tx| processes::dead(tx, now, None)).await.expect("asked"), Vec::<i64>::new());
    assert!(world.store.write(move |tx| processes::renew(tx, alive, later, LEASE)).await.expect("renewed"));
    let gone = world.store.write(move |tx| processes::dead(tx, later, None)).await.expect("asked");
    assert_eq!(gone, vec![dead]);
    assert_eq!(world.store.write(move |tx| processes::dead(tx, now, Some(alive))).await.expect("asked"), vec![dead]);
    let rescued = world.store.write(move |tx| processes::end(tx, dead, later, later)).await.expect("ended");
    assert_eq!(rescued, (1, 1));
    let states = BTreeMap::from([("due".to_owned(), 1), ("uncertain".to_owned(), 1)]);
    assert_eq!(world.states().await, states);
    assert!(!world.store.write(move |tx| processes::renew(tx, dead, later, LEASE)).await.expect("asked"));
    assert_eq!(world.record(&claimed[0], State::Sent, None).await, 1, "its answer still counts");
}

async fn an_unsent_issue_is_superseded(world: World) {
    let id = world.subscriber("r", &[("events", "often")]).await;
    world.publish("a", &["events"]).await;
    world.tick().await;
    assert_eq!(fire(&world).await.planned, 1);
    world.publish("b", &["events"]).await;
    assert_eq!(fire(&world).await.planned, 1);
    assert_eq!(world.states().await, BTreeMap::from([("cancelled".to_owned(), 1), ("due".to_owned(), 1)]));
    let term = world.register().await;
    let claimed = world.claim(term, 10).await;
    let edition = claimed[0].edition_id;
    let edition =
        world.store.read(move |tx| allim::store::editions::find(tx, edition)).await.expect("read").expect("one");
    assert_eq!(edition.content.items.len(), 2);
    assert!(world.begin(&claimed[0]).await);
    world.publish("c", &["events"]).await;
    assert_eq!(fire(&world).await.planned, 1, "what is on its way isn't superseded");
    let story = allim::domain::ids::post_id("cms", "a");
    let holding = world.store.read(move |tx| deliveries::holding(tx, &story, id)).await.expect("read");
    assert_eq!(holding.len(), 2);
}

/// Fires the digest at an operator's word and plans it: the database's clock can't be moved.
async fn fire(world: &World) -> Ticked {
    tokio::time::sleep(Duration::from_millis(2)).await;
    world.clock.set(world.clock.now().plus(Duration::from_millis(5)));
    world.planner.fire_now("often").await.expect("fired");
    world.tick().await
}

async fn a_revision_moves_what_waits_and_a_withdrawal_cancels_it(world: World) {
    for number in 0..5 {
        world.subscriber(&format!("r{number}"), &[("events", "immediate")]).await;
    }
    world.publish("a", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    let before = world.claim(term, 1).await.remove(0);
    let mut post = world.post("a", &["events"]).await;
    post["title"] = json!("고친 제목");
    assert_eq!(world.accept(&post).await, Verdict::Revised);
    assert_eq!(world.tick().await.moved, 4);
    assert!(!world.begin(&before).await, "the old content isn't sent any more");
    world.record(&before, State::Due, Some(UnixMillis(0))).await;
    assert_eq!(world.tick().await.moved, 1);
    let after = world.claim(term, 10).await;
    assert_eq!(after.len(), 5);
    assert!(after.iter().all(|claim| claim.edition_id != before.edition_id));
    let edition = after[0].edition_id;
    let edition =
        world.store.read(move |tx| allim::store::editions::find(tx, edition)).await.expect("read").expect("one");
    assert_eq!(edition.content.items[0].revision, 2);
    let now = world.now().await;
    world.store.write(move |tx| deliveries::hand_back_claims(tx, term, now)).await.expect("handed back");
    world.accept(&event("withdrawn", "w", &json!({ "id": "a" }))).await;
    world.tick().await;
    assert_eq!(world.states().await, BTreeMap::from([("cancelled".to_owned(), 5)]));
    assert_eq!(world.tick().await, Ticked::default(), "nothing is left to move");
}

/// Published a moment ago, for whoever compares it with an instant that lies further back.
async fn publish_fresh(world: &World, id: &str) {
    world.clock.set(world.clock.now().plus(Duration::from_millis(10)));
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut message = world.post(id, &["events"]).await;
    message["published_at"] = json!(world.now().await.to_string());
    assert_eq!(world.accept(&message).await, Verdict::Stored);
}

async fn held_as_backfill(world: &World, id: &str) -> bool {
    found(world, id).await.0.backfill_at.is_some()
}

async fn what_was_due_before_a_restore_counts_as_sent(world: World) {
    let immediate = world.subscriber("immediate", &[("events", "immediate")]).await;
    let daily = world.subscriber("daily", &[("events", "daily")]).await;
    world.publish("old", &["events"]).await;
    world.tick().await;
    // As if three days had passed, with two firings of the digest that this database knows nothing of.
    let long_ago = |tx: &mut allim::store::Tx<'_>| {
        tx.execute("UPDATE changes SET at = at - 259200000", &[])?;
        tx.execute("UPDATE slots SET considered_at = considered_at - 172800000 WHERE slot = 'daily'", &[])
    };
    world.store.write(long_ago).await.expect("moved back");
    world.publish("given", &["events"]).await;
    world.tick_immediate_only().await;
    world.publish("unreleased", &["events"]).await;
    let until = UnixMillis(world.now().await.0 + 1);
    let counted = world.planner.count_as_sent(until).await.expect("counted");
    assert_eq!((counted.deliveries, counted.occurrences, counted.posts), (2, 1, 1));
    assert_eq!(world.states().await, BTreeMap::from([("uncertain".to_owned(), 2)]));
    assert!(held_as_backfill(&world, "unreleased").await && !held_as_backfill(&world, "given").await);

    // It stays so: nothing is planned for what went out, and the answer of an operator is needed for the rest.
    let later = world.now().await.plus(Duration::from_secs(30 * 86_400));
    world.store.write(move |tx| deliveries::settle_uncertain(tx, later, true)).await.expect("settled");
    assert_eq!(world.tick().await.planned, 0);
    assert_eq!(world.states().await, BTreeMap::from([("uncertain".to_owned(), 2)]));

    // What was published before comes again and is shown only; what is new goes to everybody.
    world.publish("again", &["events"]).await;
    assert!(held_as_backfill(&world, "again").await);
    publish_fresh(&world, "new").await;
    world.tick().await;
    world.planner.fire_now("daily").await.expect("fired");
    world.tick().await;
    for (id, at_once, in_issue) in
        [("old", 1, 0), ("given", 1, 1), ("unreleased", 0, 0), ("again", 0, 0), ("new", 1, 1)]
    {
        let story = found(&world, id).await.0.story_id;
        for (reader, expected) in [(immediate, at_once), (daily, in_issue)] {
            let story = story.clone();
            let held = world.store.read(move |tx| deliveries::holding(tx, &story, reader)).await.expect("read");
            assert_eq!(held.len(), expected, "{id}, reader of {}", if reader == daily { "the issue" } else { "mail" });
        }
    }
}

async fn a_doubt_ends_by_a_decision_and_the_counter_begins_above_it(world: World) {
    let now = world.now().await;
    let doubt = move |tx: &mut allim::store::Tx<'_>| {
        identity::raise(tx)?;
        identity::doubt(tx, Cause::Behind, "first words", now)?;
        identity::doubt(tx, Cause::Behind, "it was restored", now)?;
        Ok((identity::doubts(tx)?, destinations::holds(tx)?))
    };
    let (doubts, holds) = world.store.write(doubt).await.expect("doubted");
    assert_eq!(doubts.len(), 1);
    assert_eq!((doubts[0].cause, doubts[0].reason.as_str()), (Cause::Behind, "it was restored"));
    assert_eq!((holds[0].0.as_str(), holds[0].1.as_str()), ("all", "it was restored"));
    let decide = |tx: &mut allim::store::Tx<'_>| {
        let counter = identity::dispel(tx, 1_000)?;
        Ok((counter, identity::raise(tx)?, identity::doubts(tx)?.len() + destinations::holds(tx)?.len()))
    };
    let (counter, raised, left) = world.store.write(decide).await.expect("decided");
    assert!(counter > 1_000 && raised == counter + 1 && left == 0);
    // Nothing to compare yet, then the same place for any name.
    let strayed = |tx: &mut allim::store::Tx<'_>| {
        identity::remember(tx, "one")?;
        identity::strayed(tx, "two")
    };
    assert_eq!(world.store.write(strayed).await.expect("compared"), None);
}

async fn the_small_nouns_keep_what_they_are_given(world: World) {
    let now = world.now().await;
    let standing = world.store.write(|tx| destinations::lock(tx, "email:main")).await.expect("made");
    let breaker = standing.breaker.failed(now, Some(now.plus(LEASE)), 0);
    let changed = destinations::Standing { breaker, allowance_at: now, day: 20_000, day_count: 7 };
    world.store.write(move |tx| destinations::save(tx, "email:main", &changed)).await.expect("saved");
    let read = world.store.write(|tx| destinations::lock(tx, "email:main")).await.expect("read");
    assert_eq!(read, changed);
    world.put_hold("all").await;
    assert_eq!(world.store.read(destinations::holds).await.expect("read").len(), 1);
    let id = world.subscriber("r", &[("events", "daily 07:30 Asia/Kathmandu")]).await;
    let language = Language::parse("en").expect("a tag");
    world.store.write(move |tx| subscribers::set_language(tx, id, &language)).await.expect("set");
    let reader = world.store.read(move |tx| subscribers::active(tx, &[id])).await.expect("read").remove(0);
    assert_eq!(reader.language.as_str(), "en");
    let subscriptions = world.store.read(move |tx| subscribers::subscriptions(tx, id)).await.expect("read");
    assert_eq!(subscriptions[0].slot.own_time(), Some((7, 30, "Asia/Kathmandu")));
    let slots = world.store.read(occurrences::slots).await.expect("read");
    assert_eq!(slots.len(), 1);
    assert!(world.store.write(move |tx| subscribers::unsubscribe_topic(tx, id, "events")).await.expect("ended"));
    assert_eq!(world.store.read(subscribers::count).await.expect("counted"), 1);
}

async fn lists_and_looks(world: World) {
    for number in 0..5usize {
        world.publish(&format!("p{number}"), if number.is_multiple_of(2) { &["events"] } else { &["notices"] }).await;
    }
    let mut later = world.post("later", &["events"]).await;
    later["embargo_until"] = json!(world.now().await.plus(Duration::from_secs(3_600)).to_string());
    assert_eq!(world.accept(&later).await, Verdict::Stored);
    world.tick().await;
    let filter = posts::Filter { topic: Some("events".to_owned()), public_only: true, ..posts::Filter::default() };
    let by_topic = filter.clone();
    let page = world.store.read(move |tx| posts::list(tx, &by_topic, 2)).await.expect("a list");
    assert_eq!(page.len(), 2);
    let last = page[1].1.published_at;
    let before = posts::Filter { before: Some((last, page[1].0.post_id.clone())), ..filter };
    assert_eq!(world.store.read(move |tx| posts::list(tx, &before, 10)).await.expect("a list").len(), 1);
    assert_eq!(world.store.read(posts::count).await.expect("counted"), (6, 5));
    let next = world.planner.next_due().await.expect("asked").expect("the embargo");
    assert!(next > world.now().await);
    let story = allim::domain::ids::post_id("cms", "p0");
    let release = world.store.read(move |tx| owed::release_of(tx, &story, "en")).await.expect("asked");
    assert!(release.is_some(), "a language nobody announced falls back at once");
    world.accept(&event("withdrawn", "w", &json!({ "id": "p0" }))).await;
    let gone = world
        .store
        .read(move |tx| posts::withdrawn_since(tx, &posts::Filter::default(), UnixMillis(START - MINUTE), 10))
        .await
        .expect("a list");
    assert_eq!(gone.len(), 1);
    what_feeds_ask_for(&world).await;
}

/// Of the posts under `events` one was withdrawn and keeps its place; of those under `notices` none has an event.
async fn what_feeds_ask_for(world: &World) {
    let mut fair = world.post("fair", &["events"]).await;
    fair["event"] = json!({ "starts_at": "2026-04-22" });
    assert_eq!(world.accept(&fair).await, Verdict::Stored);
    world.tick().await;
    for (topic, count, places, events) in [("events", 4, 2, 1), ("notices", 2, 1, 0)] {
        let filter = posts::Filter { topic: Some(topic.to_owned()), public_only: true, ..posts::Filter::default() };
        let read = move |tx: &mut allim::store::Tx<'_>| {
            let since = UnixMillis(0);
            let all = feeds::window(tx, &filter, 0, 10)?;
            assert!(all.is_sorted_by_key(|(standing, _)| (standing.public_at, standing.post_id.clone())));
            let window = feeds::window(tx, &filter, 1, 2)?;
            assert_eq!(window[0].0.post_id, all[1].0.post_id);
            let events = feeds::with_event(tx, &filter, since, since, 10)?;
            Ok((feeds::count_ever_public(tx, &filter)?, window.len(), events.len()))
        };
        assert_eq!(world.store.read(read).await.expect("found"), (count, places, events), "{topic}");
    }
}

/// A releasing transaction stays open while digests fire beside it: its numbers lie behind every bound that was frozen
/// before its commit, so nothing is lost. Eight releasers at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_releasing_transaction_held_open_across_a_firing_loses_nothing() {
    let Some(Location::Postgres { url, .. }) = postgres().await else { return };
    let world = Arc::new(World::new(Location::Postgres { url, connections: 16 }).await);
    for number in 0..10 {
        world.subscriber(&format!("r{number}"), &[("events", "often"), ("notices", "immediate")]).await;
    }
    let posts = 8 * 6;
    let mut releasing = tokio::task::JoinSet::new();
    for releaser in 0..8u64 {
        let world = world.clone();
        releasing.spawn(async move {
            for number in 0..6u64 {
                world.publish(&format!("p{releaser}-{number}"), &["events", "notices"]).await;
                let now = world.now().await;
                let rules = rules().release;
                let hold = Duration::from_millis((releaser * 7 + number * 13) % 40);
                let release = move |tx: &mut allim::store::Tx<'_>| {
                    let stories = allim::store::releases::lock_due(tx, now, 3)?;
                    let mut looked = allim::store::releases::Looked::default();
                    for story in &stories {
                        release::look(story, &rules, now, &mut looked);
                    }
                    allim::store::releases::apply(tx, &looked, now)?;
                    // The numbers are drawn and not committed: others fire and plan meanwhile.
                    std::thread::sleep(hold);
                    Ok(())
                };
                world.store.write(release).await.expect("released");
            }
        });
    }
    let firing = world.clone();
    let fired = tokio::spawn(async move {
        for _ in 0..60 {
            fire(&firing).await;
        }
    });
    while let Some(done) = releasing.join_next().await {
        done.expect("a releaser");
    }
    fired.await.expect("fired");
    fire(&world).await;
    let given = world.store.read(|tx| {
        let mut given: BTreeMap<(i64, String), usize> = BTreeMap::new();
        for listed in deliveries::list(tx, None, None, i64::MAX)? {
            let edition = allim::store::editions::find(tx, listed.edition_id)?.expect("an edition");
            let items = edition.content.items.into_iter().filter(|_| listed.state != "cancelled");
            items.for_each(|item| *given.entry((listed.recipient_id, item.story_id)).or_default() += 1);
        }
        Ok(given)
    });
    let given = given.await.expect("read");
    assert_eq!(given.len(), posts * 10, "every story reached everybody");
    assert!(given.values().all(|count| *count == 1), "and once");
}

#[tokio::test]
async fn a_newer_database_is_refused_and_the_log_is_synced() {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::Sqlite(folder.path().join("s.sqlite"));
    let world = World::new(location.clone()).await;
    let mode = world.store.read(|tx| tx.query("PRAGMA synchronous", &[])).await.expect("read");
    assert_eq!(mode[0].int(0).expect("a mode"), 2, "FULL");
    let version = world.store.read(|tx| tx.query("SELECT sqlite_version()", &[])).await.expect("read");
    let version = version[0].text(0).expect("a version");
    assert!(
        version.split('.').map(|n| n.parse::<u32>().expect("a number")).collect::<Vec<_>>() >= vec![3, 51, 3],
        "{version}"
    );
    let refused = async || {
        let (location, clock) = (location.clone(), Arc::new(ManualClock::default()));
        let opened = tokio::task::spawn_blocking(move || Store::open(&location, clock)).await.expect("a thread");
        opened.err().expect("refused").to_string()
    };
    // What only adds to the tables lets programs run that don't know it, and start again.
    let added = "INSERT INTO migrations (version, name) VALUES (998, 'more')";
    let told = "INSERT INTO expansions (version) VALUES (998)";
    world.store.write(move |tx| Ok((tx.execute(added, &[])?, tx.execute(told, &[])?))).await.expect("written");
    World::new(location.clone()).await.publish("a", &["events"]).await;
    let gone = "DELETE FROM migrations WHERE version = 998";
    world.store.write(move |tx| tx.execute(gone, &[])).await.expect("written");
    // A daemon that knows the tables as they were until now would do wrong by those that are to come.
    let older = "DELETE FROM migrations WHERE version >= 6";
    let lives = "INSERT INTO processes (term, name, started_at, renewed_at, lease_until_at)
        VALUES (900, 'sender', 0, 0, 9000000000000)";
    world.store.write(move |tx| Ok((tx.execute(older, &[])?, tx.execute(lives, &[])?))).await.expect("written");
    assert!(refused().await.contains("stop it first"));
    let ahead = "INSERT INTO migrations (version, name) VALUES (999, 'future')";
    world.store.write(move |tx| tx.execute(ahead, &[])).await.expect("written");
    drop(world);
    let error = refused().await;
    assert!(error.contains("999"), "{error}");
}

async fn views_add_up(world: World) {
    let counted = |pairs: &[(&str, i64)]| pairs.iter().map(|(id, count)| ((*id).to_owned(), *count)).collect();
    let rounds: [BTreeMap<String, i64>; 2] = [counted(&[("a", 2), ("b", 1)]), counted(&[("b", 5), ("c", 1)])];
    for round in rounds {
        world.store.write(move |tx| views::add(tx, &round)).await.expect("counted");
    }
    let of =
        |tx: &mut Tx<'_>| ["a", "b", "c", "d"].map(|id| views::of(tx, id)).into_iter().collect::<Result<Vec<_>, _>>();
    assert_eq!(world.store.read(of).await.expect("read"), [2, 6, 1, 0]);
}

//! Letters beside issues: what waits in its night or its grace, corrections, notes, and issues that say that there is nothing.

use crate::world::{World, on_both, rules};
use allim::domain::audience::{Address, Slot};
use allim::domain::clock::{Chance as _, UnixMillis};
use allim::domain::delivery::State;
use allim::domain::edition::{EditionKind, ItemForm};
use allim::intake::accept::{Revisions, Verdict};
use allim::plan::preview::{Preview, Reader};
use allim::plan::trial::{Colleague, Shown};
use allim::plan::{Planner, Rules};
use allim::store::notices::{self, Owed};
use allim::store::{Tx, deliveries, editions, profile, subscribers, suppressions};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

on_both!(
    immediate_mail_rests_for_its_grace_and_urgent_mail_does_not,
    a_night_holds_mail_back_until_it_is_over,
    what_waits_when_a_night_begins_waits_until_it_is_over,
    a_correction_goes_to_exactly_those_who_got_the_post_as_it_was,
    a_correction_waits_for_what_is_under_way,
    a_revision_is_a_line_in_the_next_issue_for_those_who_had_the_post,
    who_is_owed_nothing_is_told_so_where_the_digest_wants_it,
    a_test_goes_to_colleagues_and_counts_for_nobody,
    notices_about_consent_are_planned_once_and_for_commercial_digests_only,
);

/// The same world with other rules.
fn with(world: World, change: impl FnOnce(&mut Rules)) -> World {
    let mut rules = rules();
    change(&mut rules);
    World { planner: Planner::new(world.store.clone(), rules), ..world }
}

/// A letter: kind, state, when it is due, and its items' forms and revisions.
#[derive(Debug)]
struct Letter {
    kind: EditionKind,
    state: String,
    due_at: UnixMillis,
    items: Vec<(ItemForm, i64)>,
}

/// Everybody's letters, by recipient, the oldest first.
async fn letters(world: &World) -> BTreeMap<i64, Vec<Letter>> {
    let read = world.store.read(|tx| {
        let mut letters: BTreeMap<i64, Vec<Letter>> = BTreeMap::new();
        let mut listed = deliveries::list(tx, None, None, i64::MAX)?;
        listed.sort_by_key(|one| (one.planned_at, one.due_at));
        for listed in listed {
            let edition = editions::find(tx, listed.edition_id)?.expect("an edition");
            let items = edition.content.items.iter().map(|item| (item.form, item.revision)).collect();
            let (kind, state, due_at) = (edition.content.kind, listed.state, listed.due_at);
            letters.entry(listed.recipient_id).or_default().push(Letter { kind, state, due_at, items });
        }
        Ok(letters)
    });
    read.await.expect("read")
}

async fn only(world: &World, id: i64) -> Letter {
    let mut all = letters(world).await.remove(&id).expect("letters");
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

async fn revise(world: &World, id: &str, topics: &[&str], revisions: Revisions) {
    world.clock.set(world.now().await.plus(Duration::from_secs(1)));
    let mut message = world.post(id, topics).await;
    message["title"] = json!(format!("{id} 정정"));
    let accepted = world.with_revisions(revisions).accept(vec![world.incoming(&message)]).await.expect("accepted");
    assert_eq!(accepted[0].verdict, Verdict::Revised);
}

async fn immediate_mail_rests_for_its_grace_and_urgent_mail_does_not(world: World) {
    let world = with(world, |rules| rules.grace = Duration::from_secs(120));
    let reader = world.subscriber("reader", &[("events", "immediate")]).await;
    world.tick().await;
    world.publish("calm", &["events"]).await;
    world.tick().await;
    let calm = only(&world, reader).await;
    let rests = world.now().await.until(calm.due_at);
    assert!(rests > Duration::from_secs(100) && rests <= Duration::from_secs(120), "{rests:?}");
    assert_eq!(world.send_all().await, 0);
    // A revision within the grace is what goes out, by the same delivery and not before its time.
    revise(&world, "calm", &["events"], Revisions::Silent).await;
    world.tick().await;
    let revised = only(&world, reader).await;
    assert_eq!((revised.due_at, &revised.items[..]), (calm.due_at, &[(ItemForm::Post, 2)][..]));
    let mut urgent: Value = world.post("urgent", &["events"]).await;
    urgent["priority"] = json!("urgent");
    assert_eq!(world.accept(&urgent).await, Verdict::Stored);
    world.tick().await;
    assert_eq!(world.send_all().await, 1);
    // A withdrawal catches it.
    let withdrawal = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": "w",
        "data": { "id": "calm" } });
    assert_eq!(world.accept(&withdrawal).await, Verdict::Withdrawn);
    world.tick().await;
    let states: Vec<String> = letters(&world).await[&reader].iter().map(|letter| letter.state.clone()).collect();
    assert_eq!(states.iter().filter(|state| *state == "cancelled").count(), 1, "{states:?}");
}

/// Quiet hours by the clock of Seoul from so many hours after now until so many.
async fn quiet(world: World, from: i64, until: i64) -> World {
    let now = world.now().await;
    let zone = jiff::tz::TimeZone::get("Asia/Seoul").expect("a zone");
    let at = |hours: i64| {
        let at = UnixMillis(now.0 + hours * 3_600_000);
        zone.to_datetime(at.timestamp()).strftime("%H:%M").to_string()
    };
    let hours = format!("{}-{}", at(from), at(until));
    with(world, |rules| {
        for digest in rules.digests.values_mut() {
            digest.quiet_hours = Some(hours.parse().expect("quiet hours"));
        }
    })
}

async fn fire(world: &World) {
    // Where the clock is ours, it stands still; a slot fires once at an instant.
    world.clock.set(world.now().await.plus(Duration::from_secs(1)));
    world.planner.fire_now("often").await.expect("fired");
    world.planner.tick().await.expect("a tick");
}

async fn a_night_holds_mail_back_until_it_is_over(world: World) {
    let world = quiet(world, -2, 3).await;
    let sleeper = world.subscriber("sleeper", &[("events", "often")]).await;
    // Their own clock is seventeen hours behind, where it is no night.
    let waker = world.subscriber("waker", &[("events", "often 09:00 America/Los_Angeles")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    fire(&world).await;
    let (sleeps, wakes) = (only(&world, sleeper).await, only(&world, waker).await);
    let rests = world.now().await.until(sleeps.due_at);
    assert!(rests > Duration::from_secs(2 * 3_600) && rests <= Duration::from_secs(3 * 3_600), "{rests:?}");
    assert!(wakes.due_at <= world.now().await);
    assert_eq!(world.send_all().await, 1);
}

async fn what_waits_when_a_night_begins_waits_until_it_is_over(world: World) {
    let world = quiet(world, 2, 5).await;
    let reader = world.subscriber("reader", &[("events", "often")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    fire(&world).await;
    assert!(only(&world, reader).await.due_at <= world.now().await);
    let term = world.register().await;
    let claimed = world.claim(term, 10).await;
    // The night begins while it is claimed.
    let now = world.now().await;
    let begin = move |tx: &mut Tx<'_>| {
        tx.execute("UPDATE editions SET quiet_from_at = $1 WHERE quiet_from_at > $1", &[now.into()])
    };
    assert_eq!(world.store.write(begin).await.expect("begun"), 1);
    assert!(!world.begin(&claimed[0]).await, "it may not go out in the night");
    world.store.write(move |tx| deliveries::hand_back_claims(tx, term, now)).await.expect("handed back");
    world.tick().await;
    let rests = world.now().await.until(only(&world, reader).await.due_at);
    assert!(rests > Duration::from_secs(4 * 3_600), "{rests:?}");
    // The night is over: the next one is looked up, and until then it may go.
    let over = move |tx: &mut Tx<'_>| {
        tx.execute("UPDATE editions SET quiet_until_at = $1", &[now.into()])?;
        tx.execute("UPDATE batches SET due_at = $1", &[now.into()])
    };
    world.store.write(over).await.expect("over");
    world.tick().await;
    assert_eq!(world.send_all().await, 1);
}

async fn a_correction_goes_to_exactly_those_who_got_the_post_as_it_was(world: World) {
    let had = world.subscriber("had", &[("events", "often")]).await;
    let moved = world.subscriber("moved", &[("events", "often"), ("notices", "daily")]).await;
    let left = world.subscriber("left", &[("events", "often"), ("notices", "daily")]).await;
    let gone = world.subscriber("gone", &[("events", "often")]).await;
    let rests = world.subscriber("rests", &[("events", "often")]).await;
    let other = world.subscriber("other", &[("notices", "often")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    fire(&world).await;
    assert_eq!(world.send_all().await, 5);
    let now = world.now().await;
    let until = now.plus(Duration::from_secs(86_400));
    let change = move |tx: &mut Tx<'_>| {
        subscribers::subscribe(tx, moved, "events", &Slot::of("daily"), now)?;
        subscribers::unsubscribe_schedule(tx, left, "often", now)?;
        profile::leave(tx, gone, now)?;
        profile::pause(tx, rests, until, profile::Then::Skip, now)
    };
    world.store.write(change).await.expect("changed");
    let late = world.subscriber("late", &[("events", "often")]).await;

    revise(&world, "a", &["events"], Revisions::Correct).await;
    world.tick().await;
    let all = letters(&world).await;
    let corrections = |id: i64| {
        let of = all.get(&id).into_iter().flatten();
        of.filter(|letter| letter.kind == EditionKind::Correction)
            .map(|letter| letter.items.clone())
            .collect::<Vec<_>>()
    };
    let one = vec![vec![(ItemForm::Post, 2)]];
    for id in [had, moved, left, rests] {
        assert_eq!(corrections(id), one);
    }
    for id in [gone, other, late] {
        assert_eq!(corrections(id), Vec::<Vec<_>>::new());
    }
    assert_eq!(all[&rests].last().map(|letter| letter.due_at), Some(until), "after their pause");
    // Asked for again, nobody is left; revised again before it went out, it is the newest that goes out, once.
    let post_id = allim::domain::ids::post_id("cms", "a");
    assert_eq!(world.planner.outdated(&post_id).await.expect("counted"), 0);
    let mut again = world.post("a", &["events"]).await;
    again["title"] = json!("다시 정정");
    let accepted =
        world.with_revisions(Revisions::Correct).accept(vec![world.incoming(&again)]).await.expect("accepted");
    assert_eq!(accepted[0].verdict, Verdict::Revised);
    world.tick().await;
    let all = letters(&world).await;
    let of_had: Vec<_> = all[&had].iter().map(|letter| (letter.kind, letter.items.clone())).collect();
    let issue = (EditionKind::Issue, vec![(ItemForm::Post, 1)]);
    assert_eq!(of_had, [issue, (EditionKind::Correction, vec![(ItemForm::Post, 3)])]);
    assert_eq!(world.send_all().await, 3);
    // A pause that is prolonged or ends early takes it along.
    let (now, later) = (world.now().await, until.plus(Duration::from_secs(86_400)));
    let prolong = move |tx: &mut Tx<'_>| profile::pause(tx, rests, later, profile::Then::Skip, now);
    world.store.write(prolong).await.expect("prolonged");
    assert_eq!(letters(&world).await[&rests].last().map(|letter| letter.due_at), Some(later));
    world.store.write(move |tx| profile::resume(tx, rests, now).map(drop)).await.expect("back");
    assert_eq!(world.send_all().await, 1);
}

async fn a_correction_waits_for_what_is_under_way(world: World) {
    let reader = world.subscriber("reader", &[("events", "often")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    fire(&world).await;
    let term = world.register().await;
    let claimed = world.claim(term, 10).await;
    assert!(world.begin(&claimed[0]).await);
    revise(&world, "a", &["events"], Revisions::Correct).await;
    world.tick().await;
    assert_eq!(letters(&world).await[&reader].len(), 1, "it may still go out as it was, or not at all");
    world.record(&claimed[0], State::Sent, None).await;
    world.tick().await;
    let kinds: Vec<_> = letters(&world).await[&reader].iter().map(|letter| letter.kind).collect();
    assert_eq!(kinds, [EditionKind::Issue, EditionKind::Correction]);
}

async fn a_revision_is_a_line_in_the_next_issue_for_those_who_had_the_post(world: World) {
    let world = with(world, |rules| rules.noting = vec!["cms".to_owned()]);
    let had = world.subscriber("had", &[("events", "often"), ("notices", "often")]).await;
    let had_not = world.subscriber("new", &[("notices", "often")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    fire(&world).await;
    assert_eq!(world.send_all().await, 1);
    revise(&world, "a", &["events"], Revisions::Note).await;
    fire(&world).await;
    assert_eq!(letters(&world).await[&had].len(), 1, "a line alone is no reason to write");
    // It isn't lost: the next issue that there is a reason for has it.
    world.publish("b", &["notices"]).await;
    fire(&world).await;
    let all = letters(&world).await;
    let forms = |id: i64| all[&id].last().map(|letter| letter.items.iter().map(|item| item.0).collect::<Vec<_>>());
    assert_eq!(forms(had), Some(vec![ItemForm::Post, ItemForm::Revised]));
    assert_eq!(forms(had_not), Some(vec![ItemForm::Post]));
    // Said once.
    assert_eq!(world.send_all().await, 2);
    world.publish("c", &["notices"]).await;
    fire(&world).await;
    let all = letters(&world).await;
    let last = all[&had].last().expect("a letter");
    assert_eq!(last.items, [(ItemForm::Post, 1)]);
}

async fn who_is_owed_nothing_is_told_so_where_the_digest_wants_it(world: World) {
    let world = with(world, |rules| {
        if let Some(often) = rules.digests.get_mut("often") {
            often.heartbeat = true;
        }
    });
    let names = ["a", "b", "c", "d", "e", "f", "g"];
    let mut readers = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        let topic = if number % 2 == 0 { "events" } else { "notices" };
        readers.push((world.subscriber(name, &[(topic, "often")]).await, topic));
    }
    let elsewhere = world.subscriber("elsewhere", &[("events", "immediate")]).await;
    world.tick().await;
    // An operator who fires it out of turn looks for more to send: nothing is no news then.
    fire(&world).await;
    assert!(letters(&world).await.is_empty());
    world.publish("new", &["events"]).await;
    let back = world.now().await.minus(Duration::from_secs(90));
    let late = move |tx: &mut Tx<'_>| tx.execute("UPDATE slots SET considered_at = $1", &[back.into()]);
    world.store.write(late).await.expect("late");
    world.tick().await;
    let all = letters(&world).await;
    for (id, topic) in &readers {
        let kinds: Vec<_> = all[id].iter().map(|letter| letter.kind).collect();
        let expected = if *topic == "events" { EditionKind::Issue } else { EditionKind::Heartbeat };
        assert_eq!(kinds, [expected]);
    }
    assert_eq!(all[&elsewhere].len(), 1);
    // One that nobody has seen yet gives way to the next issue.
    world.publish("newer", &["notices"]).await;
    fire(&world).await;
    let all = letters(&world).await;
    let told: Vec<_> = all[&readers[1].0].iter().map(|letter| (letter.kind, letter.state.as_str())).collect();
    assert_eq!(told, [(EditionKind::Heartbeat, "cancelled"), (EditionKind::Issue, "due")]);
}

async fn notices_about_consent_are_planned_once_and_for_commercial_digests_only(world: World) {
    let world = with(world, |rules| {
        if let Some(often) = rules.digests.get_mut("often") {
            often.commercial = true;
        }
    });
    let mut old = Vec::new();
    for name in ["a", "b", "c"] {
        old.push(world.subscriber(name, &[("events", "often"), ("notices", "daily")]).await);
    }
    let long_ago = world.now().await.minus(Duration::from_secs(3 * 365 * 86_400));
    let age = move |tx: &mut Tx<'_>| {
        suppressions::ensure_key(tx, &"5".repeat(64))?;
        tx.execute("UPDATE subscriptions SET created_at = $1", &[long_ago.into()])
    };
    world.store.write(age).await.expect("aged");
    let new = world.subscriber("new", &[("events", "often")]).await;
    // A long list takes several rounds of the day's work.
    for _ in 0..3 {
        world.tick().await;
    }
    let all = letters(&world).await;
    for id in &old {
        assert_eq!(all[id].iter().map(|letter| letter.kind).collect::<Vec<_>>(), [EditionKind::Reminder], "once");
    }
    assert!(!all.contains_key(&new));

    let (leaver, now) = (old[0], world.now().await);
    let owe = move |tx: &mut Tx<'_>| {
        for schedule in ["often", "daily"] {
            let schedule = schedule.to_owned();
            notices::owe(tx, &Owed { subscriber_id: leaver, kind: EditionKind::Withdrawn, schedule, at: now })?;
        }
        Ok(())
    };
    world.store.write(owe).await.expect("owed");
    world.tick().await;
    world.tick().await;
    let kinds: Vec<_> = letters(&world).await[&leaver].iter().map(|letter| letter.kind).collect();
    assert_eq!(kinds.iter().filter(|kind| **kind == EditionKind::Withdrawn).count(), 1, "{kinds:?}");
}

async fn a_test_goes_to_colleagues_and_counts_for_nobody(world: World) {
    let reader = world.subscriber("reader", &[("events", "often")]).await;
    world.tick().await;
    world.publish("a", &["events"]).await;
    let address = |name: &str| Address::parse(&format!("{name}@example.net")).expect("an address");
    let issue = match world.planner.preview("often", Reader::Known(address("reader")), None).await.expect("previewed") {
        Preview::Issue(issue) => *issue,
        other => panic!("{other:?}"),
    };
    let colleague = |name: &str| Colleague { address: address(name), fresh_id: world.chance.draw_id() };
    let shown = world.planner.show(&issue, vec![colleague("colleague"), colleague("reader")]).await.expect("shown");
    assert!(shown.iter().all(|shown| matches!(shown, Shown::Planned(_))), "{shown:?}");
    assert_eq!(world.send_all().await, 2);
    fire(&world).await;
    let kinds: Vec<_> = letters(&world).await[&reader].iter().map(|letter| (letter.kind, letter.items.len())).collect();
    assert_eq!(kinds, [(EditionKind::Test, 1), (EditionKind::Issue, 1)], "the reader's own issue comes all the same");
    assert_eq!(world.states().await.get("cancelled"), None);
}

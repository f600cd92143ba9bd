//! Holds of digests and freezes: an issue that is leaving stops, is looked at, and goes on or is cancelled; days without issues.

use crate::world::{World, on_both};
use allim::domain::clock::UnixMillis;
use allim::domain::freeze::{Freeze, Way};
use allim::store::{Tx, destinations, freezes, held};
use std::time::Duration;

on_both!(
    a_held_digest_lets_nothing_out_and_goes_on_in_order,
    an_issue_is_cancelled_before_it_leaves,
    a_freeze_skips_an_issue_and_its_posts_come_with_the_next,
    an_issue_that_is_put_off_comes_after_the_freeze,
    freezes_are_kept_and_taken_away,
);

const DAY: Duration = Duration::from_secs(86_400);

async fn hold(world: &World) {
    let now = world.now().await;
    let put = move |tx: &mut Tx<'_>| destinations::hold(tx, &held::scope("daily"), "a wrong title", now);
    world.store.write(put).await.expect("held");
}

async fn let_go(world: &World) -> bool {
    let now = world.now().await;
    world.store.write(move |tx| held::let_go(tx, "daily", now)).await.expect("let go")
}

/// Some readers of the daily digest, of which the issue is planned.
async fn planned(world: &World) {
    for name in ["a", "b", "c"] {
        world.subscriber(name, &[("events", "daily")]).await;
    }
    world.tick().await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    world.planner.fire_now("daily").await.expect("fired");
    assert_eq!(world.tick().await.planned, 3);
}

async fn a_held_digest_lets_nothing_out_and_goes_on_in_order(world: World) {
    planned(&world).await;
    let term = world.register().await;
    // One is in hand already when the hold comes: it stops at the gate.
    let first = world.claim(term, 1).await.remove(0);
    hold(&world).await;
    assert!(!world.begin(&first).await);
    let now = world.now().await;
    assert_eq!(world.record(&first, allim::domain::delivery::State::Due, Some(now)).await, 1);
    assert!(world.claim(term, 10).await.is_empty(), "nothing of it is taken");
    // Mail of others goes on beside it.
    world.subscriber("d", &[("events", "immediate")]).await;
    world.publish("two", &["events"]).await;
    world.tick().await;
    assert_eq!(world.claim(term, 10).await.len(), 1);
    let waits = world.store.read(|tx| held::waiting(tx, "daily")).await.expect("read");
    assert_eq!(waits.iter().map(|edition| edition.waits).sum::<i64>(), 3);
    assert!(let_go(&world).await && !let_go(&world).await);
    let again = world.claim(term, 10).await;
    assert_eq!(again.len(), 3, "all of it goes, at once");
    for one in &again {
        assert!(world.begin(one).await);
    }
}

async fn an_issue_is_cancelled_before_it_leaves(world: World) {
    planned(&world).await;
    hold(&world).await;
    let waits = world.store.read(|tx| held::waiting(tx, "daily")).await.expect("read");
    let (edition, now) = (waits[0].edition_id, world.now().await);
    assert!(!waits[0].is_growing);
    let cancelled = world.store.write(move |tx| held::cancel(tx, edition, now)).await.expect("cancelled");
    assert_eq!(cancelled, 3);
    assert_eq!(world.store.write(move |tx| held::cancel(tx, edition, now)).await.expect("nothing left"), 0);
    let_go(&world).await;
    assert_eq!(world.states().await.get("cancelled"), Some(&3));
    assert_eq!(world.send_all().await, 0);
    world.clock.set(world.now().await.plus(Duration::from_secs(1)));
    world.planner.fire_now("daily").await.expect("fired");
    assert_eq!(world.tick().await.planned, 0, "its posts aren't owed any more");
}

async fn freeze(world: &World, digest: &str, way: Way, days: u32) {
    let (from, now) = (world.now().await, world.now().await);
    let day = |at: UnixMillis| at.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date();
    let freeze = Freeze {
        name: "Feast".to_owned(),
        first: day(from.minus(DAY)),
        last: day(from.plus(DAY * days)),
        zone: "UTC".to_owned(),
        digests: vec![digest.to_owned()],
        way,
        reason: "nobody is in".to_owned(),
    };
    world.store.write(move |tx| freezes::put(tx, &freeze, now)).await.expect("kept");
}

/// Makes the slot of a digest as old as this, as if nobody had looked since: what was due since is due now.
async fn considered_ago(world: &World, slot: &'static str, ago: Duration) {
    let at = world.now().await.minus(ago);
    let set = move |tx: &mut Tx<'_>| {
        tx.execute("UPDATE slots SET considered_at = $1 WHERE slot = $2", &[at.into(), slot.into()])
    };
    assert_eq!(world.store.write(set).await.expect("set"), 1);
}

async fn skips(world: &World) -> Vec<String> {
    let read = |tx: &mut Tx<'_>| {
        let rows = tx.query("SELECT skipped FROM occurrences WHERE slot = 'daily' AND skipped IS NOT NULL", &[])?;
        rows.iter().map(|row| row.text(0)).collect()
    };
    world.store.read(read).await.expect("read")
}

async fn a_freeze_skips_an_issue_and_its_posts_come_with_the_next(world: World) {
    let id = world.subscriber("a", &[("events", "daily")]).await;
    world.tick().await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    freeze(&world, "daily", Way::Skip, 0).await;
    let marks =
        |tx: &mut Tx<'_>| tx.query("SELECT mark FROM subscriptions", &[])?.iter().map(|row| row.int(0)).collect();
    let before: Vec<i64> = world.store.read(marks).await.expect("marks");
    considered_ago(&world, "daily", DAY).await;
    let ticked = world.tick().await;
    assert_eq!((ticked.fired, ticked.skipped, ticked.planned), (0, 1, 0));
    assert_eq!(skips(&world).await, ["frozen: Feast"]);
    assert_eq!(world.store.read(marks).await.expect("marks"), before, "a skipped issue moves no mark");
    assert!(world.store.write(|tx| freezes::remove(tx, "Feast")).await.expect("removed"));
    world.planner.fire_now("daily").await.expect("fired");
    assert_eq!(world.tick().await.planned, 1, "reader {id} has it with the next");
}

async fn an_issue_that_is_put_off_comes_after_the_freeze(world: World) {
    world.subscriber("a", &[("events", "often")]).await;
    world.tick().await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    freeze(&world, "often", Way::After, 1).await;
    considered_ago(&world, "often", Duration::from_secs(61)).await;
    let ticked = world.tick().await;
    assert_eq!((ticked.fired, ticked.skipped, ticked.planned), (0, 0, 0));
    let (next, now) = (world.planner.next_due().await.expect("read").expect("a firing"), world.now().await);
    assert!(next > now.plus(DAY), "it comes when the freeze is over, and until then nobody looks");
    assert!(world.store.write(|tx| freezes::remove(tx, "Feast")).await.expect("removed"));
    assert_eq!(world.tick().await.planned, 1, "without the freeze it goes at once");
}

async fn freezes_are_kept_and_taken_away(world: World) {
    freeze(&world, "daily", Way::Skip, 3).await;
    freeze(&world, "daily", Way::After, 3).await;
    let all = world.store.read(|tx| freezes::since(tx, "2000-01-01")).await.expect("read");
    assert_eq!((all.len(), all[0].way, all[0].digests[0].as_str()), (1, Way::After, "daily"), "a name is one freeze");
    assert_eq!(world.store.read(|tx| freezes::since(tx, "9000-01-01")).await.expect("read"), []);
    assert!(world.store.write(|tx| freezes::remove(tx, "Feast")).await.expect("removed"));
    assert!(!world.store.write(|tx| freezes::remove(tx, "Feast")).await.expect("asked"));
}

//! What the control room keeps: those who work there, the audit, tallies, and what the overview looks at.

use crate::world::{World, on_both};
use allim::domain::audit::{Actor, Subject};
use allim::domain::clock::UnixMillis;
use allim::domain::staff::{Role, secret_hash};
use allim::store::audit::{self, Asked, Entry};
use allim::store::staff::{self, Changed};
use allim::store::tallies::{self, HOUR_MS, Kind, MINUTE_MS};
use allim::store::{Tx, overview};
use std::time::Duration;

on_both!(
    a_link_opens_once_and_a_session_ends_with_its_owner,
    the_last_owner_stays,
    a_password_ends_other_sessions,
    the_audit_is_read_page_by_page,
    tallies_add_up_and_are_forgotten,
    what_waits_is_told_by_age_and_reason,
);

const DAY: Duration = Duration::from_secs(86_400);

async fn add(world: &World, id: i64, name: &'static str, role: Role) -> Option<i64> {
    let now = world.now().await;
    world.store.write(move |tx| staff::add(tx, id, name, role, now)).await.expect("written")
}

async fn a_link_opens_once_and_a_session_ends_with_its_owner(world: World) {
    let now = world.now().await;
    assert_eq!(add(&world, 1, "kim", Role::Owner).await, Some(1));
    assert_eq!(add(&world, 2, "lee", Role::Viewer).await, Some(2));
    assert_eq!(add(&world, 3, "lee", Role::Owner).await, None, "the name is taken");
    let (first, hash) = (secret_hash("first"), secret_hash("second"));
    let links = move |tx: &mut Tx<'_>| {
        staff::add_link(tx, &first, 2, now.plus(DAY))?;
        staff::add_link(tx, &hash, 2, now.plus(DAY))?;
        let replaced = staff::use_link(tx, &first, now)?;
        let late = staff::use_link(tx, &hash, now.plus(DAY))?;
        let used = staff::use_link(tx, &hash, now)?;
        Ok((replaced, late, used, staff::use_link(tx, &hash, now)?))
    };
    let (replaced, late, used, again) = world.store.write(links).await.expect("written");
    assert_eq!((replaced, late, again), (None, None, None));
    assert_eq!(used.expect("Lee").name, "lee");

    let session = move |tx: &mut Tx<'_>| {
        staff::begin_session(tx, "s", 2, now)?;
        staff::touch_session(tx, "s", now.plus(DAY))?;
        let open = staff::session(tx, "s")?.expect("a session");
        let ended = staff::end(tx, 2, now)?;
        Ok((open, ended, staff::session(tx, "s")?))
    };
    let (open, ended, after) = world.store.write(session).await.expect("written");
    assert_eq!((open.person.id, open.seen_at, ended, after), (2, now.plus(DAY), Changed::Done, None));
    assert_eq!(add(&world, 9, "lee", Role::Editor).await, Some(2), "who comes back keeps the number");
    let lee = world.store.read(|tx| staff::by_name(tx, "lee")).await.expect("read").expect("Lee");
    assert_eq!((lee.role, lee.ended_at, lee.password), (Role::Editor, None, None));
}

async fn the_last_owner_stays(world: World) {
    let now = world.now().await;
    add(&world, 1, "kim", Role::Owner).await;
    add(&world, 2, "lee", Role::Owner).await;
    let acts = move |tx: &mut Tx<'_>| {
        let lee = staff::set_role(tx, 2, Role::Viewer)?;
        let kim =
            (staff::set_role(tx, 1, Role::Viewer)?, staff::end(tx, 1, now)?, staff::set_role(tx, 1, Role::Owner)?);
        Ok((lee, kim, staff::end(tx, 7, now)?))
    };
    let found = world.store.write(acts).await.expect("written");
    let last = (Changed::LastOwner, Changed::LastOwner, Changed::Done);
    assert_eq!(found, (Changed::Done, last, Changed::Nobody));
}

async fn a_password_ends_other_sessions(world: World) {
    let now = world.now().await;
    add(&world, 1, "kim", Role::Owner).await;
    let acts = move |tx: &mut Tx<'_>| {
        staff::begin_session(tx, "here", 1, now)?;
        staff::begin_session(tx, "elsewhere", 1, now)?;
        staff::count_failure(tx, 1, None)?;
        staff::count_failure(tx, 1, Some(now.plus(DAY)))?;
        let locked = staff::by_id(tx, 1)?.expect("Kim");
        staff::set_password(tx, 1, Some("phc"), Some("here"))?;
        Ok((locked, staff::by_id(tx, 1)?.expect("Kim"), staff::session(tx, "here")?, staff::session(tx, "elsewhere")?))
    };
    let (locked, after, here, elsewhere) = world.store.write(acts).await.expect("written");
    assert_eq!((locked.failures, locked.locked_until), (2, Some(now.plus(DAY))));
    assert_eq!((after.failures, after.locked_until, after.password.as_deref()), (0, None, Some("phc")));
    assert!(here.is_some() && elsewhere.is_none());
    let forget = move |tx: &mut Tx<'_>| {
        staff::forget(tx, now, now.plus(DAY), now)?;
        staff::session(tx, "here")
    };
    assert_eq!(world.store.write(forget).await.expect("written"), None, "it wasn't used for long");
}

async fn the_audit_is_read_page_by_page(world: World) {
    let now = world.now().await;
    let entry = |id: i64, second: i64, actor: Actor, subject: Subject| Entry {
        id,
        at: UnixMillis(now.0 + second * 1_000),
        actor,
        act: "freeze".to_owned(),
        subject,
        detail: serde_json::json!({ "n": id }),
    };
    let entries = [
        entry(5, 0, Actor::Staff(1), Subject::hold("all")),
        entry(3, 0, Actor::Staff(2), Subject::post("p")),
        entry(9, 1, Actor::Machine, Subject::post("p")),
        entry(1, 2, Actor::Staff(1), Subject::none()),
    ];
    world.store.write(move |tx| entries.iter().try_for_each(|entry| audit::note(tx, entry))).await.expect("written");
    let ids = async |asked: Asked, count: i64| -> Vec<i64> {
        let read = world.store.read(move |tx| audit::list(tx, &asked, count)).await.expect("read");
        read.into_iter().map(|act| act.id).collect()
    };
    assert_eq!(ids(Asked::default(), 10).await, [1, 9, 5, 3], "the newest first");
    let before = |second: i64, id: i64| Some((UnixMillis(now.0 + second * 1_000), id));
    assert_eq!(ids(Asked { before: before(1, 9), ..Asked::default() }, 1).await, [5]);
    assert_eq!(ids(Asked { before: before(0, 5), ..Asked::default() }, 9).await, [3], "of one instant by number");
    assert_eq!(ids(Asked { actor: Some("staff:1".to_owned()), ..Asked::default() }, 9).await, [1, 5]);
    let subject = Some(("post".to_owned(), "p".to_owned()));
    assert_eq!(ids(Asked { subject, ..Asked::default() }, 9).await, [9, 3]);
}

async fn tallies_add_up_and_are_forgotten(world: World) {
    let at = UnixMillis(1_795_392_000_000 + 61_000);
    let counts = |count: i64| vec![(Kind::Out, "email/sent".to_owned(), count), (Kind::In, "stored".to_owned(), 1)];
    let (first, second) = (counts(2), counts(5));
    let acts = move |tx: &mut Tx<'_>| {
        tallies::write(tx, &first, at)?;
        tallies::write(tx, &second, at.plus(Duration::from_secs(60)))?;
        let minutes = tallies::since(tx, Kind::Out, MINUTE_MS, UnixMillis(0))?;
        let hours = tallies::since(tx, Kind::Out, HOUR_MS, UnixMillis(0))?;
        tallies::forget(tx, at.plus(DAY * 3))?;
        let left = tallies::since(tx, Kind::Out, MINUTE_MS, UnixMillis(0))?.len();
        Ok((minutes, hours, left, tallies::since(tx, Kind::In, HOUR_MS, UnixMillis(0))?))
    };
    let (minutes, hours, left, came_in) = world.store.write(acts).await.expect("written");
    assert_eq!(minutes.iter().map(|(.., count)| *count).collect::<Vec<_>>(), [2, 5]);
    assert_eq!(hours, [(UnixMillis(at.0 / HOUR_MS * HOUR_MS), "email/sent".to_owned(), 7)]);
    assert_eq!((left, came_in[0].2), (0, 2), "minutes are forgotten, hours are kept");
    world.store.tallies().count(Kind::Bounce, "example.org", 3);
    world.store.write_tallies().await.expect("written");
    let read = |tx: &mut Tx<'_>| tallies::since(tx, Kind::Bounce, HOUR_MS, UnixMillis(0));
    assert_eq!(world.store.read(read).await.expect("read")[0].2, 3);
}

async fn what_waits_is_told_by_age_and_reason(world: World) {
    let now = world.now().await;
    let none = world.store.read(move |tx| overview::waiting(tx, now)).await.expect("read");
    assert_eq!(none, (Vec::new(), false));
    world.subscriber("a", &[("events", "immediate")]).await;
    let message = world.post("p", &["events"]).await;
    world.accept(&message).await;
    world.tick().await;
    let later = world.now().await.plus(Duration::from_secs(30 * 60));
    let (waiting, is_more) = world.store.read(move |tx| overview::waiting(tx, later)).await.expect("read");
    assert!(!is_more && waiting.len() == 1, "{waiting:?}");
    assert_eq!((waiting[0].all(), waiting[0].ages[3]), (1, 1), "between 20 and 40 minutes: {waiting:?}");
    assert!(world.store.read(overview::for_a_person).await.expect("read").is_empty());
    let runs = world.store.read(overview::last_fired).await.expect("read");
    assert!(runs.iter().any(|run| run.slot == "immediate" && run.planned == 1), "{runs:?}");
}

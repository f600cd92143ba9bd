//! The journey of a post for those who look, and the drafts that posts begin as.

use crate::world::{World, on_both};
use allim::domain::delivery::State;
use allim::domain::draft::Draft;
use allim::store::journey::{self, Find, Found, Kind, Receipt};
use allim::store::{Tx, drafts, media};

on_both!(a_post_is_followed_to_each_reader, posts_are_found_by_where_they_stand, nobody_overwrites_a_colleague);

async fn receipts(world: &World, plan: i64, id: &str, state: Option<State>, limit: usize) -> Vec<Receipt> {
    let (mut all, mut after) = (Vec::new(), i64::MIN);
    loop {
        let id = id.to_owned();
        let read = move |tx: &mut Tx<'_>| journey::readers(tx, (&id, plan), state, after, limit);
        let (mut page, next) = world.store.read(read).await.expect("read");
        assert!(page.len() <= limit);
        all.append(&mut page);
        match next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

async fn a_post_is_followed_to_each_reader(world: World) {
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(world.subscriber(&format!("r{number}"), &[("events", "immediate")]).await);
    }
    ids.sort_unstable();
    world.publish("a", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    let claimed = world.claim(term, 3).await;
    for (one, state) in claimed.iter().zip([State::Sent, State::Refused, State::Sent]) {
        assert!(world.begin(one).await);
        world.record(one, state, None).await;
    }
    let post_id = allim::domain::ids::post_id("cms", "a");
    let id = post_id.clone();
    let (sends, is_more) = world.store.read(move |tx| journey::sends(tx, &id)).await.expect("read");
    let [send] = &sends[..] else { panic!("one send: {sends:?}") };
    assert!(!is_more && !send.is_waiting && !send.is_more);
    let mut states = send.states.clone();
    states.sort();
    assert_eq!(states, [("due".to_owned(), 4), ("refused".to_owned(), 1), ("sent".to_owned(), 2)]);
    for limit in [1, 2, 100] {
        let all = receipts(&world, send.plan_id, &post_id, None, limit).await;
        assert_eq!(all.iter().map(|one| one.recipient_id).collect::<Vec<_>>(), ids, "pages of {limit}");
        assert!(all.iter().all(|one| one.address.is_some()));
        assert_eq!(receipts(&world, send.plan_id, &post_id, Some(State::Due), limit).await.len(), 4);
        assert_eq!(receipts(&world, send.plan_id, &post_id, Some(State::Sent), limit).await.len(), 2);
    }
    let id = post_id.clone();
    let troubled = move |tx: &mut Tx<'_>| journey::troubled(tx, &id, true, (i64::MIN, i64::MIN), 10);
    let troubled = world.store.read(troubled).await.expect("read");
    assert_eq!(troubled, [(claimed[1].key.clone(), State::Refused)]);
    let id = post_id.clone();
    let read =
        move |tx: &mut Tx<'_>| Ok((journey::variants(tx, &id)?, journey::said(tx, &id)?, journey::told(tx, &id)?));
    let (variants, said, told) = world.store.read(read).await.expect("read");
    assert_eq!((variants.len(), said.len(), told.len()), (1, 0, 0));
    assert_eq!(variants[0].releases.first().map(|release| release.0.as_str()), Some("ko"));
}

async fn posts_are_found_by_where_they_stand(world: World) {
    for id in ["a", "b", "c"] {
        world.publish(id, &["events"]).await;
    }
    world.tick().await;
    world.publish("waiting", &["notices"]).await;
    world.intake.withdraw("cms", "b").await.expect("withdrawn");
    let find = |wanted: Find, limit: i64| {
        let store = world.store.clone();
        async move { store.read(move |tx| journey::find(tx, &wanted, limit)).await.expect("read") }
    };
    let of = |kind| Find { kind: Some(kind), ..Find::default() };
    let count = async |wanted| find(wanted, 10).await.lines.len();
    assert_eq!(count(Find::default()).await, 4);
    assert_eq!((count(of(Kind::Released)).await, count(of(Kind::Withdrawn)).await), (2, 1));
    assert_eq!((count(of(Kind::Waiting)).await, count(of(Kind::Public)).await), (1, 0));
    assert_eq!(count(Find { topic: Some("notices".to_owned()), ..Find::default() }).await, 1);
    assert_eq!(count(Find { language: Some("en".to_owned()), ..Find::default() }).await, 0);
    assert_eq!(count(Find { source: Some("cms".to_owned()), ..Find::default() }).await, 4);
    let first = find(Find::default(), 3).await;
    let rest = find(Find { before: first.rest.clone(), ..Find::default() }, 3).await;
    assert_eq!((first.lines.len(), rest.lines.len(), rest.rest), (3, 1, None));
    let by_words = |text: &'static str| {
        let store = world.store.clone();
        let read = move |tx: &mut Tx<'_>| Found::by_words(tx, text, &["cms".to_owned()], 10);
        async move { store.read(read).await.expect("read").lines }
    };
    assert_eq!(by_words("waiting").await[0].state, "waiting", "by the id of its source");
    assert_eq!(by_words("c의 제목").await[0].title, "c의 제목");
    assert!(by_words("nothing").await.is_empty());
}

async fn nobody_overwrites_a_colleague(world: World) {
    let now = world.now().await;
    let draft =
        Draft { title: "첫 글".to_owned(), story: "s".to_owned(), language: "ko".to_owned(), ..Draft::default() };
    let begun = draft.clone();
    world.store.write(move |tx| drafts::insert(tx, 7, &begun, None, 1, now)).await.expect("begun");
    let save = async |version: i64, title: &str, by: i64| {
        let draft = Draft { title: title.to_owned(), ..draft.clone() };
        world.store.write(move |tx| drafts::save(tx, 7, version, &draft, by, now)).await.expect("asked")
    };
    assert_eq!(save(1, "둘째", 1).await, Some(2));
    assert_eq!(save(1, "늦은 글", 2).await, None, "a colleague was quicker");
    assert!(world.store.write(move |tx| drafts::ask(tx, 7, 2, 1, now)).await.expect("asked"));
    let kept = world.store.read(|tx| drafts::find(tx, 7)).await.expect("read").expect("a draft");
    assert_eq!((kept.draft.title.as_str(), kept.version, kept.asked_by), ("둘째", 2, Some(1)));
    assert_eq!(save(2, "셋째", 2).await, Some(3));
    let kept = world.store.read(|tx| drafts::find(tx, 7)).await.expect("read").expect("a draft");
    assert_eq!(kept.asked_by, None, "what was asked for was another text");
    assert!(!world.store.write(move |tx| drafts::end(tx, 7, 2, None, now)).await.expect("asked"));
    assert!(world.store.write(move |tx| drafts::end(tx, 7, 3, Some("p"), now)).await.expect("asked"));
    assert_eq!(save(3, "넷째", 1).await, None, "it has ended");
    let read = |tx: &mut Tx<'_>| {
        Ok((drafts::open(tx, 10)?.len(), drafts::of_story(tx, "s")?.len(), drafts::of_post(tx, "p")?))
    };
    assert_eq!(world.store.read(read).await.expect("read"), (0, 1, None));
    // What somebody brought along is theirs until a post shows it.
    let copy =
        media::Copy { hash: "h".repeat(64), media_type: "image/png".to_owned(), bytes: 3, size: None, small: None };
    let bring = move |tx: &mut Tx<'_>| {
        media::bring(tx, ("https://a.example/m", media::MediaKind::Picture), "draft:7", &copy, now)?;
        let before = (media::held(tx, "draft:7", &"h".repeat(64))?, media::forget_unused(tx, 10)?.len());
        media::let_go(tx, "draft:7", &[])?;
        Ok((before, media::forget_unused(tx, 10)?.len()))
    };
    let brought = world.store.write(bring).await.expect("brought");
    assert_eq!(brought, ((Some("image/png".to_owned()), 0), 1));
}

//! Partner institutions: who they are, how they do, what they were told, and what they ask for.

use crate::world::{World, on_both};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{DeliveryKey, Lane, State};
use allim::domain::destination;
use allim::domain::edition::{Content, EditionKind, Item, ItemForm};
use allim::domain::language::Language;
use allim::domain::partner::{FAILING_MAX, Format, Happened, Order, Selection, WEBHOOK, Way};
use allim::intake::accept::Verdict;
use allim::store::deliveries::{self, Claimed};
use allim::store::partners::changed::{self, Part, State as Post};
use allim::store::partners::{self, Change, From, Heard, New, Partner};
use allim::store::{StoreError, Tx, destinations, editions, endpoints, identity, sealed, subscribers};
use serde_json::json;
use std::time::Duration;

on_both!(
    a_partner_is_added_set_and_ended,
    five_days_of_failures_only_pause_a_partner_and_its_contact_is_told_once,
    what_was_told_is_told_again_under_its_ids_and_in_its_order,
    changes_are_given_in_the_order_of_their_commits_and_without_a_gap,
    a_selection_holds_what_it_names_and_hides_what_was_withdrawn,
    what_leaves_a_selection_or_comes_into_it_is_told,
    a_decision_about_a_restored_database_begins_a_new_epoch,
    secrets_are_kept_under_one_seal,
);

fn new<'a>(name: &'a str, hash: &'a str, selection: &'a Selection) -> New<'a> {
    New {
        name,
        way: Way::Webhook,
        url: "https://partner.example.net/hook",
        secret: Some("sealed"),
        token_hash: hash,
        format: Format::CloudEvent,
        selection,
        ordering: Order::Pass,
        is_trusted: false,
        contact: Some(("duty@partner.example.net", "en")),
    }
}

async fn add(world: &World, name: &'static str) -> Partner {
    let now = world.now().await;
    let add = move |tx: &mut Tx<'_>| {
        assert!(partners::add(tx, &new(name, &format!("hash of {name}"), &Selection::default()), now)?);
        partners::find(tx, name)
    };
    world.store.write(add).await.expect("added").expect("there")
}

async fn find(world: &World, name: &'static str) -> Partner {
    world.store.read(move |tx| partners::find(tx, name)).await.expect("read").expect("there")
}

async fn a_partner_is_added_set_and_ended(world: World) {
    let partner = add(&world, "university").await;
    let id = partner.endpoint_id.expect("an endpoint");
    let (now, head) = (world.now().await, world.store.read(endpoints::lock_pushed).await.expect("read"));
    assert_eq!(head.0, head.1, "whoever comes is told of what comes");
    let again = move |tx: &mut Tx<'_>| partners::add(tx, &new("university", "x", &Selection::default()), now);
    assert!(!world.store.write(again).await.expect("asked"), "the name is taken");
    let found = world.store.read(|tx| partners::by_token(tx, "hash of university")).await.expect("read");
    assert_eq!(found.as_ref(), Some(&partner));

    let languages = vec![Language::parse("zh").expect("a tag")];
    let change = Change {
        url: Some("https://new.example.net/in".to_owned()),
        format: Some(Format::Atom),
        languages: Some(languages.clone()),
        ordering: Some(Order::Line),
        is_trusted: Some(true),
        contact: Some(None),
        ..Change::default()
    };
    assert!(world.store.write(move |tx| partners::set(tx, "university", &change, now)).await.expect("set"));
    let set = find(&world, "university").await;
    assert_eq!((set.format, set.ordering, set.contact.clone()), (Format::Atom, Order::Line, None));
    assert_eq!((set.selection.languages.clone(), set.selection.topics.len()), (languages, 0));
    assert!(set.embargoed_at.is_some());
    let endpoint = world.store.read(move |tx| endpoints::find(tx, id)).await.expect("read").expect("there");
    assert_eq!((endpoint.url.as_str(), endpoint.carrier.as_str()), ("https://new.example.net/in", WEBHOOK));
    assert_eq!((endpoint.subject.as_str(), endpoint.id), ("university", id), "the id outlives the address");
    assert_eq!(world.store.read(partners::live).await.expect("read"), std::slice::from_ref(&set));

    let nothing = Change::default();
    assert!(world.store.write(move |tx| partners::set(tx, "university", &nothing, now)).await.expect("set"));
    assert_eq!(find(&world, "university").await, set, "what isn't said stays");
    assert!(world.store.write(|tx| partners::set_token(tx, "university", "other")).await.expect("set"));
    assert!(world.store.read(|tx| partners::by_token(tx, "hash of university")).await.expect("read").is_none());

    assert!(world.store.write(move |tx| partners::end(tx, "university", "over", now)).await.expect("ended"));
    assert!(!world.store.write(move |tx| partners::end(tx, "university", "over", now)).await.expect("asked"));
    assert!(world.store.read(|tx| partners::by_token(tx, "other")).await.expect("read").is_none());
    let endpoint = world.store.read(move |tx| endpoints::find(tx, id)).await.expect("read").expect("there");
    assert!(endpoint.ended_at.is_some() && endpoint.secret.is_none());
    let back = add(&world, "university").await;
    assert_eq!((back.endpoint_id, back.embargoed_at, back.ended_at), (Some(id), None, None));
    let all = world.store.read(|tx| partners::list(tx, true)).await.expect("read");
    assert_eq!(all.len(), 1);
}

async fn hear(world: &World, id: i64, has_failed: bool, now: UnixMillis) -> Heard {
    world.store.write(move |tx| partners::heard(tx, id, has_failed, now)).await.expect("heard")
}

async fn claim(world: &World, term: i64, id: i64) -> Vec<Claimed> {
    let (now, name) = (world.now().await, destination::of_endpoint(WEBHOOK, id));
    world.store.write(move |tx| deliveries::claim(tx, term, &name, Lane::Normal, now, 10)).await.expect("claimed")
}

/// Plans a delivery of a post to a partner.
async fn tell(world: &World, plan_id: i64, id: i64, post_id: &'static str) -> DeliveryKey {
    let key = DeliveryKey { plan_id, recipient_id: id, carrier: WEBHOOK.to_owned() };
    let (now, planned) = (world.now().await, key.clone());
    let item = Item {
        story_id: post_id.to_owned(),
        post_id: post_id.to_owned(),
        revision: 1,
        topic: String::new(),
        also: Vec::new(),
        form: ItemForm::Post,
    };
    let content = Content {
        kind: EditionKind::Push,
        schedule: format!("{WEBHOOK}:cloudevent:published"),
        language: Language::parse("ko").expect("a tag"),
        sender: String::new(),
        template: "t1".to_owned(),
        items: vec![item],
    };
    let plan = move |tx: &mut Tx<'_>| {
        let edition = editions::ensure(tx, plan_id, &content, now)?;
        let name = destination::of_endpoint(WEBHOOK, id);
        deliveries::put(tx, &planned, edition, &name, Lane::Normal, now, now)
    };
    assert!(world.store.write(plan).await.expect("planned"));
    key
}

async fn five_days_of_failures_only_pause_a_partner_and_its_contact_is_told_once(world: World) {
    let partner = add(&world, "university").await;
    let id = partner.endpoint_id.expect("an endpoint");
    let began = world.now().await;
    let hour = Duration::from_secs(3_600);
    assert_eq!(hear(&world, id, true, began).await, Heard::Nothing);
    assert_eq!(hear(&world, id, true, began.plus(FAILING_MAX - hour)).await, Heard::Nothing);
    assert_eq!(find(&world, "university").await.failing_since_at, Some(began), "the first failure counts");
    // A success in between begins the count anew.
    assert_eq!(hear(&world, id, false, began.plus(FAILING_MAX - hour)).await, Heard::Nothing);
    assert_eq!(hear(&world, id, true, began.plus(FAILING_MAX)).await, Heard::Nothing);
    assert_eq!(hear(&world, id, true, began.plus(FAILING_MAX + hour)).await, Heard::Nothing);
    let over = began.plus(FAILING_MAX * 2);
    assert_eq!(hear(&world, id, true, over).await, Heard::Pause { name: "university".to_owned() });
    assert_eq!(hear(&world, id, true, over).await, Heard::Nothing, "once");
    let paused = find(&world, "university").await;
    assert_eq!(paused.paused_at, Some(over));
    let holds = world.store.read(destinations::holds).await.expect("read");
    assert_eq!(holds.len(), 1);
    assert_eq!(holds[0].0, format!("destination:{}", destination::of_endpoint(WEBHOOK, id)));
    assert_eq!(world.store.read(partners::live).await.expect("read").len(), 1, "what comes is planned, and waits");

    world.publish("one", &["events"]).await;
    world.tick().await;
    let term = world.register().await;
    assert_eq!(claim(&world, term, id).await, []);

    // The contact is a stranger to the roster, and gets one letter by the ledger.
    world.tick().await;
    world.tick().await;
    let address = allim::domain::audience::Address::parse("duty@partner.example.net").expect("an address");
    let contact = world.store.read(move |tx| subscribers::by_address(tx, &address)).await.expect("read");
    let contact = contact.expect("in the roster");
    assert_eq!(contact.language.as_str(), "en");
    let letters = world.store.read(move |tx| deliveries::list(tx, None, Some(contact.id), 9)).await.expect("listed");
    assert_eq!(letters.len(), 1);
    assert!(letters[0].schedule.starts_with("service:“university”@"), "{}", letters[0].schedule);
    let edition_id = letters[0].edition_id;
    let edition = world.store.read(move |tx| editions::find(tx, edition_id)).await.expect("read").expect("there");
    assert_eq!(edition.content.kind, EditionKind::PartnerPaused);
    assert!(find(&world, "university").await.told_at.is_some());

    let resume = move |tx: &mut Tx<'_>| partners::resume(tx, &paused);
    assert!(world.store.write(resume).await.expect("resumed"));
    let back = find(&world, "university").await;
    assert_eq!((back.paused_at, back.failing_since_at, back.told_at), (None, None, None));
    assert_eq!(claim(&world, term, id).await.len(), 1);

    // A pause by hand is nobody's news.
    let now = world.now().await;
    assert!(world.store.write(move |tx| partners::pause(tx, &back, "they move", now)).await.expect("paused"));
    world.tick().await;
    assert_eq!(find(&world, "university").await.told_at, None);
    let nobody = hear(&world, id + 1, true, over).await;
    assert_eq!(nobody, Heard::Nothing, "an endpoint of somebody else");
}

async fn what_was_told_is_told_again_under_its_ids_and_in_its_order(world: World) {
    let id = add(&world, "university").await.endpoint_id.expect("an endpoint");
    let other = add(&world, "museum").await.endpoint_id.expect("an endpoint");
    for post in ["one", "two", "three"] {
        world.publish(post, &["events"]).await;
    }
    let term = world.register().await;
    let mut keys = Vec::new();
    for (plan, post) in [(30, "one"), (20, "two"), (10, "three")] {
        keys.push(tell(&world, plan, id, post).await);
        let claimed = claim(&world, term, id).await.remove(0);
        assert!(world.begin(&claimed).await);
        let state = if post == "two" { State::Abandoned } else { State::Sent };
        assert_eq!(world.record(&claimed, state, None).await, 1);
        world.clock.set(world.now().await.plus(Duration::from_secs(60)));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tell(&world, 10, other, "three").await;
    let told = world.store.read(move |tx| partners::told(tx, id, None, 10)).await.expect("read");
    let ids: Vec<&str> = told.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(
        ids,
        keys.iter().rev().map(DeliveryKey::text_id).collect::<Vec<_>>(),
        "the newest first, and no other's"
    );
    assert_eq!((told[1].state.as_str(), told[0].event.as_str()), ("abandoned", "published"));
    let before = Some((told[0].planned_at, told[0].plan_id));
    let rest = world.store.read(move |tx| partners::told(tx, id, before, 10)).await.expect("read");
    assert_eq!(rest, told[1..]);

    let now = world.now().await;
    let dead = world.store.write(move |tx| partners::replay_dead(tx, id, From::begin(None), now, 100)).await;
    assert_eq!(dead.expect("asked").count, 1);
    assert_eq!(claim(&world, term, id).await.iter().map(|one| &one.key).collect::<Vec<_>>(), [&keys[1]]);
    let since = From::begin(Some(told[1].planned_at));
    // What is under way isn't touched.
    let some = world.store.write(move |tx| partners::replay(tx, id, since, now, 100)).await.expect("asked");
    assert_eq!((some.count, some.next), (1, None));
    // A part at a time it is the same: each is looked at once, and nothing is passed over.
    let (mut from, mut counts) = (From::begin(Some(UnixMillis(0))), Vec::new());
    loop {
        let some = world.store.write(move |tx| partners::replay(tx, id, from, now, 1)).await.expect("asked");
        counts.push(some.count);
        match some.next {
            Some(next) => from = next,
            None => break,
        }
    }
    assert_eq!(counts, [1, 0, 0, 0], "of three deliveries one was sent, one is under way, and one is due already");
    let mut order = Vec::new();
    for _ in 0..2 {
        let (now, name) = (world.now().await, destination::of_endpoint(WEBHOOK, id));
        let one = move |tx: &mut Tx<'_>| deliveries::claim(tx, term, &name, Lane::Normal, now, 1);
        order.extend(world.store.write(one).await.expect("claimed").into_iter().map(|one| one.key));
    }
    assert_eq!(order, [keys[0].clone(), keys[2].clone()], "the oldest first");
}

async fn part(world: &World, seq: i64, selection: &Selection, limit: usize) -> Part {
    let selection = selection.clone();
    world.store.read(move |tx| changed::after(tx, seq, &selection, limit)).await.expect("read")
}

async fn changes_are_given_in_the_order_of_their_commits_and_without_a_gap(world: World) {
    let (posts, writers) = (12, 4);
    let (reader, all) = (world.store.clone(), Selection::default());
    let reading = tokio::spawn(async move {
        let (mut seq, mut seen) = (0, Vec::new());
        while seen.len() < posts * writers {
            let selection = all.clone();
            let part = reader.read(move |tx| changed::after(tx, seq, &selection, 5)).await.expect("read");
            assert!(part.events.iter().all(|event| event.seq > seq) && part.looked_to >= seq);
            seq = part.looked_to;
            seen.extend(part.events.into_iter().map(|event| event.seq));
            tokio::task::yield_now().await;
        }
        seen
    });
    let world = std::sync::Arc::new(world);
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let world = world.clone();
        writing.spawn(async move {
            for number in 0..posts {
                world.publish(&format!("{writer}-{number}"), &["events"]).await;
                world.tick().await;
            }
        });
    }
    writing.join_all().await;
    world.tick().await;
    let seen = tokio::time::timeout(Duration::from_secs(60), reading).await.expect("in time").expect("read");
    let whole = part(&world, 0, &Selection::default(), 1_000).await;
    assert_eq!(seen, whole.events.iter().map(|event| event.seq).collect::<Vec<_>>());
    assert!(seen.is_sorted() && whole.events.iter().all(|event| event.happened == Happened::Published));
    assert_eq!(whole.looked_to, whole.head);
}

async fn a_selection_holds_what_it_names_and_hides_what_was_withdrawn(world: World) {
    for (post, topics) in [("one", ["events"]), ("two", ["notices"]), ("three", ["events"])] {
        world.publish(post, &topics).await;
        world.tick().await;
    }
    let mut early = world.post("early", &["events"]).await;
    early["embargo_until"] = json!(world.now().await.plus(Duration::from_secs(3_600)).to_string());
    assert_eq!(world.accept(&early).await, Verdict::Stored);
    world.tick().await;
    let mut again = world.post("one", &["events"]).await;
    again["title"] = json!("고친 제목");
    assert_eq!(world.accept(&again).await, Verdict::Revised);
    world.tick().await;
    let gone = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": "w", "data": { "id": "three" } });
    assert_eq!(world.accept(&gone).await, Verdict::Withdrawn);
    world.tick().await;

    let events = Selection { topics: vec!["events".to_owned()], languages: Vec::new() };
    let found = part(&world, 0, &events, 100).await;
    let told: Vec<(Happened, String)> = found
        .events
        .iter()
        .map(|event| match &event.post {
            Post::Public(showable) => (event.happened, showable.post().title.to_string()),
            Post::Gone { .. } => (event.happened, String::new()),
        })
        .collect();
    let title = "고친 제목".to_owned();
    let expected =
        [(Happened::Published, title.clone()), (Happened::Revised, title), (Happened::Withdrawn, String::new())];
    assert_eq!(told, expected, "as it is now, and of what was withdrawn that alone");
    // In pieces it is the same.
    let (mut seq, mut pieces) = (0, Vec::new());
    loop {
        let piece = part(&world, seq, &events, 1).await;
        seq = piece.looked_to;
        if piece.events.is_empty() {
            break;
        }
        pieces.extend(piece.events);
    }
    assert_eq!(pieces, found.events);
    let english = Selection { topics: Vec::new(), languages: vec![Language::parse("en").expect("a tag")] };
    let none = part(&world, 0, &english, 100).await;
    assert_eq!((none.events.len(), none.looked_to), (0, none.head), "what isn't its business is passed");

    let page = world.store.read(move |tx| changed::public(tx, &Selection::default(), UnixMillis(0), None)).await;
    let page = page.expect("read");
    assert_eq!((page.posts.len(), page.next), (2, None));
    let ids: Vec<String> = ["one", "three", "early"].map(|id| allim::domain::ids::post_id("cms", id)).to_vec();
    let asked = ids.clone();
    let gone = world.store.read(move |tx| changed::gone(tx, &asked, &events)).await.expect("read");
    assert_eq!(gone.iter().map(|(id, _)| id.clone()).collect::<Vec<_>>(), ids[1..]);
    assert!(gone[0].1.is_some() && gone[1].1.is_none());
}

async fn what_leaves_a_selection_or_comes_into_it_is_told(world: World) {
    let events = Selection { topics: vec!["events".to_owned()], languages: Vec::new() };
    let revise = async |post: &str, topic: &str, title: &str| {
        world.clock.set(world.now().await.plus(Duration::from_millis(5)));
        let mut again = world.post(post, &[topic]).await;
        again["title"] = json!(title);
        assert_eq!(world.accept(&again).await, Verdict::Revised);
        world.tick().await;
    };
    let withdraw = async |post: &str| {
        let gone = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": format!("w-{post}"), "data": { "id": post } });
        assert_eq!(world.accept(&gone).await, Verdict::Withdrawn);
        world.tick().await;
    };
    let id = |post: &str| allim::domain::ids::post_id("cms", post);
    let told = async |seq: i64| -> (Vec<(Happened, String, bool)>, i64) {
        let part = part(&world, seq, &events, 100).await;
        let of = |event: &changed::Event| match &event.post {
            Post::Public(showable) => (event.happened, showable.standing().post_id.clone(), false),
            Post::Gone { post_id, .. } => (event.happened, post_id.clone(), true),
        };
        (part.events.iter().map(of).collect(), part.looked_to)
    };
    world.publish("out", &["events"]).await;
    world.publish("in", &["notices"]).await;
    world.publish("never", &["notices"]).await;
    world.tick().await;
    let (first, seq) = told(0).await;
    assert_eq!(first, [(Happened::Published, id("out"), false)]);
    revise("out", "notices", "나간 소식").await;
    revise("in", "notices", "아직 아닌 소식").await;
    revise("in", "events", "들어온 소식").await;
    revise("in", "events", "고친 소식").await;
    revise("never", "notices", "남의 소식").await;
    let (second, seq) = told(seq).await;
    let out = (Happened::Revised, id("out"), false);
    let into = [(Happened::Published, id("in"), false), (Happened::Revised, id("in"), false)];
    assert_eq!(second, [std::slice::from_ref(&out), &into[..]].concat());
    assert_eq!(
        told(0).await.0,
        second,
        "who begins now hears nothing of what was in it once, but that it is gone elsewhere"
    );
    withdraw("out").await;
    withdraw("never").await;
    revise("in", "notices", "다시 나간 소식").await;
    let (third, seq) = told(seq).await;
    assert_eq!(third, [(Happened::Withdrawn, id("out"), true), (Happened::Revised, id("in"), false)]);
    withdraw("in").await;
    assert_eq!(told(seq).await.0, [(Happened::Withdrawn, id("in"), true)]);
    // What was in it under its embargo alone was never to be seen.
    let mut early = world.post("early", &["events"]).await;
    early["embargo_until"] = json!(world.now().await.plus(Duration::from_secs(3_600)).to_string());
    assert_eq!(world.accept(&early).await, Verdict::Stored);
    let (_, seq) = told(seq).await;
    revise("early", "notices", "일찍 옮긴 소식").await;
    withdraw("early").await;
    assert_eq!(told(seq).await.0, []);
    let (asked, selection) = (["in", "never", "nobody"].map(id).to_vec(), events.clone());
    let gone = world.store.read(move |tx| changed::gone(tx, &asked, &selection)).await.expect("read");
    assert_eq!(gone.iter().map(|(_, at)| at.is_some()).collect::<Vec<_>>(), [true, true, false]);
}

async fn a_decision_about_a_restored_database_begins_a_new_epoch(world: World) {
    assert_eq!(world.store.read(partners::epoch_known).await.expect("read").0, None);
    let epoch = world.store.write(|tx| partners::epoch(tx, 1)).await.expect("made");
    assert_eq!(world.store.write(|tx| partners::epoch(tx, 2)).await.expect("kept"), epoch);
    world.store.write(|tx| identity::dispel(tx, 0)).await.expect("decided");
    assert_ne!(world.store.write(|tx| partners::epoch(tx, 3)).await.expect("made"), epoch);
}

async fn secrets_are_kept_under_one_seal(world: World) {
    let keep = |name: &'static str| world.store.write(move |tx| sealed::keep(tx, name));
    keep("first").await.expect("kept");
    // As long as nothing is sealed, another may come.
    keep("second").await.expect("kept");
    add(&world, "university").await;
    let refused = keep("first").await;
    assert!(matches!(&refused, Err(StoreError::Refused(reason)) if reason.contains("second")), "{refused:?}");
    keep("second").await.expect("kept");
    let other = world.store.read(|tx| sealed::other(tx, "first")).await.expect("read");
    assert_eq!(other.as_deref(), Some("second"));
    assert_eq!(world.store.read(|tx| sealed::other(tx, "second")).await.expect("read"), None);
    let now = world.now().await;
    world.store.write(move |tx| partners::end(tx, "university", "over", now)).await.expect("ended");
    assert_eq!(world.store.read(|tx| sealed::other(tx, "first")).await.expect("read"), None);
}

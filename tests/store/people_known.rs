//! People: found by an index, told as a whole, taken in by lists, erased without a trace.

use super::world::{World, on_both, rules};
use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::clock::{Chance as _, SeededChance};
use allim::domain::inbound::{Mail, Via};
use allim::domain::language::Language;
use allim::domain::text::CleanText;
use allim::plan::roster::{self, Rolls, Taken};
use allim::store::deliveries::{self, Before};
use allim::store::finding::{self, After, FOUND_MAX, Page, Way};
use allim::store::people::By;
use allim::store::rosters::{self, Counts, Kept, New, Stage};
use allim::store::suppressions::{self, Cause};
use allim::store::value::Value;
use allim::store::{Dialect, Tx, consents, erasing, inbound, people, stories, subscribers};
use std::collections::BTreeSet;
use std::sync::Arc;

on_both!(
    people_are_found_by_what_is_known_of_them,
    a_search_goes_by_an_index_however_many_there_are,
    what_somebody_was_sent_comes_page_by_page,
    a_list_is_looked_through_part_by_part_and_taken_in_once,
    the_same_list_twice_changes_nothing,
    whoever_is_erased_is_in_no_mail_and_no_list,
);

fn language() -> Language {
    Language::parse("ko").expect("a tag")
}

async fn add(world: &World, address: &str, name: Option<&str>) -> i64 {
    let person = Subscriber {
        id: world.chance.draw_id(),
        address: Address::parse(address).expect("an address"),
        name: name.map(CleanText::new),
        language: language(),
        text_only: false,
        unsubscribed_at: None,
    };
    let (id, now) = (person.id, world.now().await);
    world.store.write(move |tx| subscribers::insert(tx, &person, now)).await.expect("added");
    id
}

async fn search(world: &World, typed: &str, after: Option<After>) -> Page {
    let typed = typed.to_owned();
    world.store.read(move |tx| finding::search(tx, &typed, after)).await.expect("searched")
}

async fn found(world: &World, typed: &str) -> Vec<String> {
    search(world, typed, None).await.people.into_iter().map(|found| found.address).collect()
}

async fn key(world: &World) {
    world.store.write(|tx| suppressions::ensure_key(tx, &"ab".repeat(32))).await.expect("a key");
}

async fn people_are_found_by_what_is_known_of_them(world: World) {
    key(&world).await;
    let hana = add(&world, "Hana.Kim@example.net", Some("김하나")).await;
    add(&world, "hanako@uni.example.org", Some("Hanako Mori")).await;
    add(&world, "zoe@example.org", Some("Zoë")).await;
    add(&world, "under_score@example.org", None).await;
    assert_eq!(found(&world, "hana").await, ["Hana.Kim@example.net", "hanako@uni.example.org"], "each once");
    assert_eq!(found(&world, "HANA.kim@EXAMPLE.net").await, ["Hana.Kim@example.net"], "a whole address");
    assert_eq!(found(&world, "김").await, ["Hana.Kim@example.net"]);
    assert_eq!(found(&world, "zOË").await.len(), usize::from(world.store.dialect() == Dialect::Postgres));
    assert_eq!(found(&world, "zo").await, ["zoe@example.org"]);
    assert_eq!(found(&world, "@uni.").await, ["hanako@uni.example.org"]);
    assert_eq!(found(&world, "@example.").await.len(), 3);
    assert_eq!(found(&world, "under_").await, ["under_score@example.org"]);
    assert_eq!(found(&world, "%").await, [""; 0], "nothing typed is a pattern");
    assert_eq!(found(&world, "unde%").await, [""; 0]);
    assert_eq!(found(&world, &format!("#{hana}")).await, ["Hana.Kim@example.net"]);
    assert_eq!(found(&world, "  ").await, [""; 0]);

    // Page by page, without anybody twice or never, and without an address in what names the next page.
    for number in 0..2 * FOUND_MAX + 7 {
        add(&world, &format!("many{number:03}@many.example"), Some(&format!("Many {}", number % 5))).await;
    }
    let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = search(&world, "many", after).await;
        assert!(page.people.len() <= FOUND_MAX);
        all.extend(page.people.into_iter().map(|found| found.address));
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
        assert!(pages < 20, "it comes to an end");
    }
    let each: BTreeSet<&String> = all.iter().collect();
    assert_eq!((all.len(), each.len()), (2 * FOUND_MAX + 7, 2 * FOUND_MAX + 7));
    let gone = After { way: Way::Name, id: 5 };
    assert!(search(&world, "many", Some(gone)).await.people.len() <= FOUND_MAX, "the last one was erased meanwhile");

    // Of somebody who was erased the keyed hash is left.
    let now = world.now().await;
    let erase = move |tx: &mut Tx<'_>| {
        let person = subscribers::lock(tx, hana)?.expect("there");
        people::erase(tx, &person, By { language: &language(), source: "page", actor: "operator" }, now)
    };
    world.store.write(erase).await.expect("erased");
    assert_eq!(found(&world, "hana.").await, [""; 0]);
    let left = search(&world, "hana.kim@example.net", None).await.gone.expect("something is left");
    assert_eq!((left.id, left.cause), (Some(hana), Some(Cause::Erased)));
    assert_eq!(search(&world, "nobody@example.net", None).await.gone, None);
    let story = world.store.read(move |tx| stories::of(tx, hana)).await.expect("read").expect("a story");
    assert!(story.known.is_none() && story.erased_at().is_some());
    assert!(world.store.read(|tx| stories::of(tx, 12)).await.expect("read").is_none());
}

/// Enough people that a database with statistics would scan where it may.
async fn many(world: &World, count: i64) {
    const SQL: &str =
        "INSERT INTO subscribers (id, address, address_key, domain, name, language, created_at, confirmed_at)
         {each $1: int, text, text, text, text, text, int, int}";
    for from in (0..count).step_by(1_000) {
        let row = |number: i64| -> Vec<Value> {
            let address = format!("reader{number}@d{}.example", number % 97);
            let (domain, name) = (format!("d{}.example", number % 97), format!("Reader {number}"));
            vec![
                number.into(),
                (&address).into(),
                (&address).into(),
                domain.into(),
                name.into(),
                "ko".into(),
                1.into(),
                1.into(),
            ]
        };
        let rows: Vec<Vec<Value>> = (from + 1..=from + 1_000).map(row).collect();
        world.store.write(move |tx| tx.change_each("adding people", SQL, &rows)).await.expect("added");
    }
    world.store.write(|tx| tx.execute("ANALYZE", &[])).await.expect("analysed");
}

async fn a_search_goes_by_an_index_however_many_there_are(world: World) {
    many(&world, 20_000).await;
    let indexes = match world.store.dialect() {
        Dialect::Sqlite => ["sqlite_autoindex_subscribers_2", "subscribers_name", "subscribers_domain"],
        Dialect::Postgres => ["subscribers_address", "subscribers_name", "subscribers_domain"],
    };
    for (way, index) in [Way::Address, Way::Name, Way::Domain].into_iter().zip(indexes) {
        let typed = if way == Way::Domain { "d4" } else { "reader 77" };
        let explained = world.store.read(move |tx| finding::explained(tx, way, typed)).await.expect("explained");
        let told = explained.join("\n");
        assert!(told.contains(index), "{way:?}: {told}");
        assert!(!told.contains("Seq Scan") && !told.contains("SCAN"), "{way:?}: {told}");
    }
    assert_eq!(found(&world, "reader 1999").await.len(), 11);
    assert_eq!(found(&world, "reader1999").await.len(), 11);
    assert_eq!(search(&world, "@d96", None).await.people.len(), FOUND_MAX);
}

async fn what_somebody_was_sent_comes_page_by_page(world: World) {
    let id = world.subscriber("reader", &[("events", "immediate")]).await;
    for other in 0..5 {
        world.subscriber(&format!("other{other}"), &[("events", "immediate")]).await;
    }
    for number in 0..5 {
        world.publish(&format!("post-{number}"), &["events"]).await;
        world.tick().await;
        let later = world.now().await.plus(std::time::Duration::from_secs(2));
        world.clock.set(later);
        if number == 2 {
            world.send_all().await;
        }
    }
    let page = |before: Option<Before>| world.store.read(move |tx| deliveries::of_recipient(tx, id, before, 2));
    let all = world.store.read(move |tx| deliveries::list(tx, None, Some(id), 100)).await.expect("read");
    let (mut told, mut before) = (Vec::new(), None);
    loop {
        let page = page(before).await.expect("read");
        let Some(last) = page.last() else { break };
        let plan = last.id.split('.').next().expect("a plan").parse().expect("a number");
        before = Some(Before { planned_at: last.planned_at, plan_id: plan });
        told.extend(page.into_iter().map(|one| one.id));
        assert!(told.len() < 20, "it comes to an end");
    }
    let ids: BTreeSet<String> = all.iter().map(|one| one.id.clone()).collect();
    assert_eq!((told.len(), told.into_iter().collect::<BTreeSet<_>>()), (ids.len(), ids));
    let sent = all.into_iter().find(|one| one.state == "sent").expect("some were sent");
    let told = world.store.read(move |tx| deliveries::told(tx, sent.clone())).await.expect("told");
    assert_eq!((told.kind.as_str(), told.destination.as_str()), ("issue", "email:folder"));
    assert!(told.posts >= 1 && told.titles[0].ends_with("의 제목"));
    assert_eq!(told.tries.last().and_then(|attempt| attempt.reply.as_deref()), Some("250 ok"));
    // What was released and isn't planned yet is owed.
    let waits = world.subscriber("waits", &[("events", "daily")]).await;
    world.publish("news", &["events"]).await;
    world.tick_immediate_only().await;
    let owed = world.store.read(move |tx| stories::owed(tx, waits)).await.expect("read");
    assert_eq!(owed.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(), ["news의 제목"]);
    let called = |given: &'static str| world.store.read(move |tx| stories::posts_called(tx, given));
    assert_eq!(called("post-1").await.expect("read").len(), 1, "by the id of its source");
    assert_eq!(called("post-").await.expect("read").len(), 5, "by the beginning of its title");
    assert_eq!(called("의 제목").await.expect("read").len(), 0);
}

fn new(parts: &[&str]) -> New {
    let parts = parts.iter().map(|part| (*part).to_owned()).collect();
    New { id: "list".to_owned(), staff_id: 7, basis: "at the desk".to_owned(), rows: 3, parts }
}

async fn a_list_is_looked_through_part_by_part_and_taken_in_once(world: World) {
    let now = world.now().await;
    let keep = |new: New| world.store.write(move |tx| rosters::keep(tx, &new, now));
    assert_eq!(keep(new(&["[1]", "[2]"])).await.expect("kept"), Kept::New);
    assert_eq!(keep(new(&["[1]", "[2]"])).await.expect("kept"), Kept::Known);
    let at = |stage: Stage, done: i64| {
        world.store.write(move |tx| {
            let Some(roster) = rosters::lock_at(tx, "list", stage, done)? else { return Ok(false) };
            rosters::note(tx, &roster, "[]", &Counts::from([("added".to_owned(), 2)]), now).map(|()| true)
        })
    };
    assert!(!at(Stage::Taking, 0).await.expect("asked"), "nobody said yes");
    assert!(!world.store.write(move |tx| rosters::begin_taking(tx, "list", now)).await.expect("asked"));
    assert!(at(Stage::Looking, 0).await.expect("noted"));
    assert!(!at(Stage::Looking, 0).await.expect("asked"), "another process was faster");
    assert!(at(Stage::Looking, 1).await.expect("noted"));
    let find = || world.store.read(|tx| rosters::find(tx, "list"));
    let looked = find().await.expect("read").expect("there");
    assert_eq!((looked.stage, looked.done, looked.counts["added"]), (Stage::Looked, 2, 4));
    assert!(world.store.write(move |tx| rosters::begin_taking(tx, "list", now)).await.expect("begun"));
    assert!(!world.store.write(move |tx| rosters::begin_taking(tx, "list", now)).await.expect("asked"), "once");
    for done in 0..2 {
        assert!(at(Stage::Taking, done).await.expect("noted"));
    }
    assert_eq!(find().await.expect("read").expect("there").stage, Stage::Taken);
    // It is forgotten after an hour, rows and all.
    let later = now.plus(rosters::KEPT);
    assert_eq!(world.store.write(move |tx| rosters::forget(tx, later)).await.expect("forgotten"), 1);
    assert_eq!(world.store.read(|tx| rosters::part(tx, "list", 0)).await.expect("read"), None);
    for number in 0..rosters::LISTS_MAX {
        let one = New { id: number.to_string(), ..new(&[]) };
        assert_eq!(keep(one).await.expect("kept"), Kept::New);
    }
    assert_eq!(keep(new(&[])).await.expect("asked"), Kept::Full);
}

fn rolls() -> Rolls {
    Rolls {
        languages: rules().release.languages,
        topics: ["events", "notices"].map(str::to_owned).into(),
        digests: rules().digests,
        chance: Arc::new(SeededChance::new(3)),
    }
}

const LIST: &str = "\u{feff}address,name,language,topics,schedule\none@example.net,Kim,ko,events,immediate\n\
    two@example.net,,en,events notices,daily 07:30 Asia/Seoul\nbroken,,ko,events,immediate\nthree@example.net,,ko,sports,immediate\n";

async fn the_same_list_twice_changes_nothing(world: World) {
    key(&world).await;
    let rolls = rolls();
    let rows = roster::rows(LIST.as_bytes()).expect("a list");
    let checked: Vec<_> =
        rows.iter().map(|(line, row)| (*line, row.clone().and_then(|row| rolls.check(&row)))).collect();
    let faults: Vec<_> = checked
        .iter()
        .filter_map(|(line, row)| row.as_ref().err().map(|fault| (*line, fault.field(), fault.word(), fault.value())))
        .collect();
    assert_eq!(
        faults,
        [(4, "address", "bad_address", String::new()), (5, "topics", "unknown_topic", "sports".to_owned())]
    );
    let wishes: Vec<_> = checked.into_iter().filter_map(|(_, row)| row.ok()).collect();
    let now = world.now().await;
    let take = || {
        let (rolls, wishes) = (rolls.clone(), wishes.clone());
        world.store.write(move |tx| rolls.take(tx, &wishes, Some("by the paper form of 2026"), now))
    };
    let rehearsed = rolls.write(&world.store, wishes.clone(), true).await.expect("rehearsed");
    assert_eq!(rehearsed, [Taken::Added, Taken::Added]);
    assert_eq!(found(&world, "one@").await, [""; 0], "a rehearsal changes nothing");
    assert_eq!(take().await.expect("taken"), [Taken::Added, Taken::Added]);
    let ledger = world.store.read(|tx| consents::page(tx, 0, 100)).await.expect("read");
    assert!(ledger.iter().all(|kept| kept.detail["basis"] == "by the paper form of 2026"));
    assert_eq!(take().await.expect("taken"), [Taken::Same, Taken::Same]);
    assert_eq!(world.store.read(|tx| consents::page(tx, 0, 100)).await.expect("read"), ledger, "nothing is written");
    // Who takes something else by now is changed.
    let id = search(&world, "one@", None).await.people[0].id;
    let daily = Slot::of("daily");
    world.store.write(move |tx| subscribers::subscribe(tx, id, "events", &daily, now)).await.expect("set");
    assert_eq!(take().await.expect("taken"), [Taken::Changed, Taken::Same]);
    assert!(roster::rows(b"mail,topics\n").is_err_and(|why| why.to_string().contains("the column `address`")));
}

async fn whoever_is_erased_is_in_no_mail_and_no_list(world: World) {
    let now = world.now().await;
    let mails: [(&str, &[u8]); 3] = [
        ("plain", b"Final-Recipient: rfc822; Hana@Example.net\r\n"),
        ("soft", b"<hana=40exam=\r\nple.net> is unknown"),
        ("other", b"To: hana@example.org\r\n"),
    ];
    for (id, bytes) in mails {
        let (id, bytes) = (id.to_owned(), bytes.to_vec());
        let mail = Mail { id, via: Via::ALL[0], envelope_to: "bounce@example.org".to_owned(), bytes };
        world.store.write(move |tx| inbound::keep(tx, &mail, now)).await.expect("kept");
    }
    let rows = r#"[{"line":2,"row":{"address":"HANA@example.net"}},{"line":3,"row":{"address":"kim@example.net"}}]"#;
    let list = new(&[rows]);
    world.store.write(move |tx| rosters::keep(tx, &list, now)).await.expect("kept");
    let address = Address::parse("hana@example.net").expect("an address");
    erasing::sweep(&world.store, &address).await.expect("swept");
    let left = world.store.read(|tx| inbound::open(tx, 10)).await.expect("read");
    assert_eq!(left, ["other"]);
    let (rows, _) = world.store.read(|tx| rosters::part(tx, "list", 0)).await.expect("read").expect("there");
    assert!(!rows.to_lowercase().contains("hana@") && rows.contains("kim@example.net"), "{rows}");
}

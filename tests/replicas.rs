//! Several daemons on one PostgreSQL: what must happen once happens once.
#![allow(missing_docs, reason = "a test")]

mod support;

use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::clock::{ManualClock, UnixMillis};
use allim::domain::language::Language;
use allim::domain::schedule::Schedule;
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Source};
use allim::intake::wire::{Incoming, SourcePolicy};
use allim::plan::digest::Digest;
use allim::plan::{Planner, Rules, release};
use allim::store::{Location, Store, Tx, deliveries, posts, subscribers};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// 2026-11-23T00:00:00Z.
const START: i64 = 1_795_392_000_000;
const OCCURRENCES: i64 = 1_000;
const READERS: i64 = 3;
const POST_EACH: i64 = 50;

/// A database whose clock is a row: `clock_timestamp()` of a schema that is looked into before the server's own.
async fn with_fake_clock(server: &str) -> String {
    let name = format!("replicas_{}", std::process::id());
    let url = support::create_database(server, &name).await;
    let statements = format!(
        "CREATE SCHEMA fake; CREATE TABLE fake.present (at TIMESTAMPTZ NOT NULL);
         INSERT INTO fake.present VALUES (to_timestamp({}));
         CREATE FUNCTION fake.clock_timestamp() RETURNS TIMESTAMPTZ LANGUAGE sql VOLATILE AS 'SELECT at FROM fake.present';
         ALTER DATABASE {name} SET search_path = fake, pg_catalog, public",
        START / 1_000
    );
    let own = url.clone();
    let make = move || {
        let mut client = postgres::Client::connect(&own, postgres::NoTls).expect("the server answers");
        client.batch_execute(&statements).expect("a clock");
    };
    tokio::task::spawn_blocking(make).await.expect("a thread");
    url
}

async fn open(url: &str) -> Store {
    let location = Location::Postgres { url: url.to_owned(), connections: 2 };
    let open = move || Store::open(&location, Arc::new(ManualClock::default()));
    tokio::task::spawn_blocking(open).await.expect("a thread").expect("a store")
}

fn planner(store: &Store) -> Planner {
    let often = Digest {
        name: "often".to_owned(),
        schedule: Schedule::parse("* * * * * *", "Asia/Seoul").expect("a schedule"),
        max_late: Duration::from_secs(3_600),
        own_hour: false,
    };
    let languages = vec![Language::parse("ko").expect("a tag")];
    let rules = Rules {
        release: release::Rules { languages, translation_wait: Duration::from_secs(1) },
        digests: BTreeMap::from([("often".to_owned(), often)]),
        template: "t1".to_owned(),
        chunk_recipients: 2,
        routes: BTreeMap::new(),
        route_default: ("news".to_owned(), "email:folder".to_owned()),
    };
    Planner::new(store.clone(), rules)
}

fn intake(store: &Store) -> Intake {
    let policy = SourcePolicy {
        name: "cms".to_owned(),
        topics_known: vec!["events".to_owned()],
        ..SourcePolicy::default()
    };
    let sources = BTreeMap::from([("cms".to_owned(), Source { policy, republish: Republish::Revise })]);
    Intake::new(store.clone(), sources, Backfill::OlderThan(Duration::from_secs(86_400)), Arc::new(Notify::new()))
}

async fn publish(intake: &Intake, number: i64, at: UnixMillis) {
    let post = serde_json::json!({ "id": format!("post-{number}"), "title": "소식", "language": "ko", "topics": ["events"],
        "published_at": at.to_string(), "body": { "format": "text", "content": "본문" } });
    let message = Incoming {
        source: "cms".to_owned(),
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        bytes: post.to_string().into_bytes(),
    };
    intake.accept(vec![message]).await.expect("accepted");
}

fn subscribe(tx: &mut Tx<'_>) -> Result<(), allim::store::StoreError> {
    for id in 1..=READERS {
        let subscriber = Subscriber {
            id,
            address: Address::parse(&format!("reader-{id}@example.net")).expect("an address"),
            name: None,
            language: Language::parse("ko").expect("a tag"),
            unsubscribed_at: None,
        };
        subscribers::insert(tx, &subscriber, UnixMillis(START))?;
        subscribers::subscribe(tx, id, "events", &Slot::of("often"), UnixMillis(START))?;
    }
    Ok(())
}

async fn number(store: &Store, sql: &'static str) -> i64 {
    store.read(move |tx| tx.query(sql, &[])?[0].int(0)).await.expect("a number")
}

/// Three planners, each as fast as it can, while the database's clock goes from one second to the next.
#[tokio::test(flavor = "multi_thread")]
async fn three_replicas_fire_each_of_a_thousand_occurrences_once() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = with_fake_clock(&server).await;
    let store = open(&url).await;
    store.write(subscribe).await.expect("subscribed");
    let intake = intake(&store);
    let stop = Arc::new(AtomicBool::new(false));
    let mut replicas = tokio::task::JoinSet::new();
    for _ in 0..3 {
        let (planner, stop) = (planner(&open(&url).await), stop.clone());
        replicas.spawn(async move {
            let mut fired = 0;
            while !stop.load(Ordering::SeqCst) {
                fired += planner.tick().await.expect("a tick").fired;
            }
            fired
        });
    }
    const AHEAD: &str = "UPDATE present SET at = at + CAST('1 second' AS INTERVAL)";
    const FIRED: &str = "SELECT COUNT(*) FROM occurrences";
    for step in 1..=OCCURRENCES {
        if step % POST_EACH == 0 {
            publish(&intake, step, UnixMillis(START + (step - 1) * 1_000)).await;
        }
        store.write(|tx| tx.execute(AHEAD, &[])).await.expect("ahead");
        let fired = async {
            while number(&store, FIRED).await < step {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), fired).await.expect("each second fires");
    }
    const OPEN: &str = "SELECT COUNT(*) FROM occurrences WHERE planned_at IS NULL";
    while number(&store, OPEN).await > 0 {
        tokio::task::yield_now().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut shares = Vec::new();
    while let Some(fired) = replicas.join_next().await {
        shares.push(fired.expect("no panic"));
    }
    println!("fired by each replica: {shares:?}");
    assert_eq!(shares.iter().sum::<usize>(), usize::try_from(OCCURRENCES).expect("fits"));
    assert!(shares.iter().all(|share| *share > 0), "one replica did nothing: {shares:?}");
    assert_eq!(number(&store, FIRED).await, OCCURRENCES);
    const SPAN: &str = "SELECT COUNT(DISTINCT due_at) FROM occurrences WHERE skipped IS NULL AND MOD(due_at, 1000) = 0";
    assert_eq!(number(&store, SPAN).await, OCCURRENCES);
    assert_eq!(number(&store, "SELECT MAX(due_at) FROM occurrences").await, START + OCCURRENCES * 1_000);
    each_story_is_in_one_issue_of_each_reader(&store).await;
}

async fn each_story_is_in_one_issue_of_each_reader(store: &Store) {
    for step in (POST_EACH..=OCCURRENCES).step_by(POST_EACH as usize) {
        let post_id = allim::domain::ids::post_id("cms", &format!("post-{step}"));
        let look = move |tx: &mut Tx<'_>| {
            let story = posts::find(tx, &post_id)?.expect("a post").0.story_id;
            let mut open = Vec::new();
            for reader in 1..=READERS {
                let holding = deliveries::holding(tx, &story, reader)?;
                open.push(holding.iter().filter(|delivery| delivery.state == "due").count());
            }
            Ok(open)
        };
        assert_eq!(store.read(look).await.expect("read"), [1, 1, 1], "post-{step}");
    }
}

//! A store with what is needed to bring posts in and plan them, and the macro that runs each test on both databases.

use crate::support;
use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::clock::{Chance as _, ManualClock, SeededChance, UnixMillis};
use allim::domain::delivery::{DeliveryKey, Lane, Reason, State};
use allim::domain::language::Language;
use allim::domain::schedule::Schedule;
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Revisions, Source, Verdict};
use allim::intake::wire::{Incoming, SourcePolicy};
use allim::plan::digest::Digest;
use allim::plan::{Planner, Rules, Ticked, release};
use allim::store::deliveries::{self, AttemptRef, Claimed, Ended};
use allim::store::{Location, Store, destinations, processes, subscribers};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

const LEASE: Duration = Duration::from_secs(20);
/// 2026-11-23T00:00:00Z, a full minute.
const START: i64 = 1_795_392_000_000;

/// A store with what is needed to bring posts in and plan them, on a clock that the test moves.
pub struct World {
    pub store: Store,
    pub clock: Arc<ManualClock>,
    pub intake: Intake,
    pub planner: Planner,
    pub chance: SeededChance,
}

impl World {
    pub async fn new(location: Location) -> Self {
        let clock = Arc::new(ManualClock::at(UnixMillis(START)));
        let opened = clock.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&location, opened)).await.expect("a thread");
        let store = store.expect("a store");
        // On PostgreSQL the database's clock rules: begin where it stands.
        clock.set(store.now().await.expect("a time"));
        let intake = intake(&store, Revisions::Silent);
        let planner = Planner::new(store.clone(), rules());
        Self { store, clock, intake, planner, chance: SeededChance::new(1) }
    }

    pub async fn now(&self) -> UnixMillis {
        self.store.now().await.expect("a time")
    }

    pub async fn accept(&self, message: &Value) -> Verdict {
        self.accept_all(std::slice::from_ref(message)).await.remove(0)
    }

    pub async fn accept_all(&self, messages: &[Value]) -> Vec<Verdict> {
        let receipts = self
            .intake
            .accept(messages.iter().map(|message| self.incoming(message)).collect())
            .await
            .expect("accepted");
        receipts.into_iter().map(|receipt| receipt.verdict).collect()
    }

    /// A message of the source.
    pub fn incoming(&self, message: &Value) -> Incoming {
        Incoming {
            source: "cms".to_owned(),
            content_type: Some("application/json".to_owned()),
            headers: Vec::new(),
            bytes: message.to_string().into_bytes(),
        }
    }

    /// The door as it is where revisions mean this.
    pub fn with_revisions(&self, revisions: Revisions) -> Intake {
        intake(&self.store, revisions)
    }

    pub async fn post(&self, id: &str, topics: &[&str]) -> Value {
        let now = self.now().await;
        json!({ "id": id, "title": format!("{id}의 제목"), "language": "ko", "topics": topics,
            "published_at": now.minus(Duration::from_secs(60)).to_string(), "body": { "format": "text", "content": "본문" } })
    }

    pub async fn publish(&self, id: &str, topics: &[&str]) {
        let message = self.post(id, topics).await;
        assert_eq!(self.accept(&message).await, Verdict::Stored);
    }

    pub async fn subscriber(&self, name: &str, subscriptions: &[(&str, &str)]) -> i64 {
        let subscriber = Subscriber {
            id: self.chance.draw_id(),
            address: Address::parse(&format!("{name}@example.net")).expect("an address"),
            name: None,
            language: Language::parse("ko").expect("a tag"),
            text_only: false,
            unsubscribed_at: None,
        };
        let (id, now) = (subscriber.id, self.now().await);
        let wanted: Vec<(String, Slot)> =
            subscriptions.iter().map(|(topic, slot)| ((*topic).to_owned(), Slot::from((*slot).to_owned()))).collect();
        let add = move |tx: &mut allim::store::Tx<'_>| {
            subscribers::insert(tx, &subscriber, now)?;
            for (topic, slot) in &wanted {
                subscribers::subscribe(tx, id, topic, slot, now)?;
            }
            Ok(())
        };
        self.store.write(add).await.expect("subscribed");
        id
    }

    pub async fn tick(&self) -> Ticked {
        self.planner.tick().await.expect("a tick")
    }

    /// Releases and plans immediate mail, as a daemon does that died before a digest was due.
    pub async fn tick_immediate_only(&self) {
        let (now, keep) =
            (self.now().await, "UPDATE slots SET considered_at = considered_at + $1 WHERE slot = 'daily'");
        let shift = |by: i64| move |tx: &mut allim::store::Tx<'_>| tx.execute(keep, &[by.into()]);
        let far = now.0;
        self.store.write(shift(far)).await.expect("set");
        self.tick().await;
        self.store.write(shift(-far)).await.expect("set back");
    }

    pub async fn register(&self) -> i64 {
        let now = self.now().await;
        self.store.write(move |tx| processes::register(tx, "test", now, LEASE)).await.expect("a term")
    }

    pub async fn claim(&self, term: i64, limit: i64) -> Vec<Claimed> {
        let now = self.now().await;
        let claim = move |tx: &mut allim::store::Tx<'_>| {
            let mut all = Vec::new();
            for lane in Lane::ALL {
                all.append(&mut deliveries::claim(tx, term, "email:folder", *lane, now, limit)?);
            }
            Ok(all)
        };
        self.store.write(claim).await.expect("claimed")
    }

    pub async fn begin(&self, claimed: &Claimed) -> bool {
        let (attempt, now) = (attempt(claimed), self.now().await);
        let begun = self.store.write(move |tx| deliveries::begin_sending(tx, std::slice::from_ref(&attempt), now));
        !begun.await.expect("asked").is_empty()
    }

    pub async fn record(&self, claimed: &Claimed, state: State, due: Option<UnixMillis>) -> u64 {
        let now = self.now().await;
        let ended = Ended {
            attempt: attempt(claimed),
            e: claimed.edition_id,
            state: state.word(),
            reason: Reason::Accepted,
            reply: "250 ok".to_owned(),
            due,
            failed: 0,
            fin: state.is_final().then_some(now),
            unc: (state == State::Uncertain).then_some(now),
        };
        self.store.write(move |tx| deliveries::record(tx, std::slice::from_ref(&ended), now)).await.expect("recorded")
    }

    /// Sends all mail that is due.
    pub async fn send_all(&self) -> usize {
        let term = self.register().await;
        let claimed = self.claim(term, 100).await;
        for one in &claimed {
            assert!(self.begin(one).await);
            self.record(one, State::Sent, None).await;
        }
        claimed.len()
    }

    pub async fn states(&self) -> BTreeMap<String, i64> {
        self.store.read(deliveries::count).await.expect("counted").into_iter().collect()
    }

    pub async fn state(&self, key: &DeliveryKey) -> (String, Option<String>) {
        let key = key.clone();
        let found = self.store.read(move |tx| deliveries::find(tx, &key)).await.expect("read").expect("a delivery");
        (found.state, found.reason)
    }

    pub async fn put_hold(&self, scope: &'static str) {
        let now = self.now().await;
        self.store.write(move |tx| destinations::hold(tx, scope, "a test", now)).await.expect("held");
    }
}

fn intake(store: &Store, revisions: Revisions) -> Intake {
    let policy = SourcePolicy {
        name: "cms".to_owned(),
        topics_known: vec!["events".to_owned(), "notices".to_owned()],
        urgent_allowed: true,
        ..SourcePolicy::default()
    };
    let sources = BTreeMap::from([("cms".to_owned(), Source { policy, republish: Republish::Revise, revisions })]);
    Intake::new(store.clone(), sources, Backfill::OlderThan(Duration::from_secs(7 * 86_400)), Arc::new(Notify::new()))
}

pub fn attempt(claimed: &Claimed) -> AttemptRef {
    AttemptRef::of(claimed)
}

pub fn rules() -> Rules {
    let schedule = Schedule::parse("* * * * *", "Asia/Seoul").expect("a schedule");
    let daily = Schedule::parse("0 9 * * *", "Asia/Seoul").expect("a schedule");
    let digest = |name: &str, schedule: Schedule| Digest {
        name: name.to_owned(),
        schedule,
        max_late: Duration::from_secs(3_600),
        own_hour: true,
        commercial: false,
        quiet_hours: None,
        heartbeat: false,
    };
    let digests = [digest("often", schedule), digest("daily", daily)];
    Rules {
        release: release::Rules {
            languages: ["ko", "en"].map(|tag| Language::parse(tag).expect("a tag")).to_vec(),
            translation_wait: Duration::from_secs(3_600),
        },
        digests: digests.into_iter().map(|digest| (digest.name.clone(), digest)).collect(),
        template: "t1".to_owned(),
        chunk_recipients: 3,
        routes: BTreeMap::new(),
        route_default: ("news".to_owned(), "email:folder".to_owned()),
        classes: Default::default(),
        grace: Duration::ZERO,
        noting: Vec::new(),
        consent_kept: Duration::from_secs(1_825 * 86_400),
        accounts: Vec::new(),
    }
}

/// A fresh PostgreSQL database.
pub async fn postgres() -> Option<Location> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let url = support::server("ALLIM_TEST_POSTGRES")?;
    let name = format!("suite_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let made = support::create_database(&url, &name).await;
    Some(Location::Postgres { url: made, connections: 4 })
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                let folder = tempfile::tempdir().expect("a folder");
                super::$name($crate::world::World::new(allim::store::Location::Sqlite(folder.path().join("s.sqlite"))).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                if let Some(location) = $crate::world::postgres().await {
                    super::$name($crate::world::World::new(location).await).await;
                }
            })+
        }
    };
}

pub(crate) use on_both;

//! What the store keeps of people who can't be reached, on both databases, at instants that the test names.

use crate::support;
use allim::domain::audience::{Address, Subscriber};
use allim::domain::clock::{Chance as _, ManualClock, SeededChance, UnixMillis};
use allim::domain::inbound::{Mail, Verdict, Via};
use allim::domain::language::Language;
use allim::domain::reply::{Kind, SOFT_LASTS};
use allim::domain::verp::{Named, Purpose};
use allim::settle::inbound::{Own, Settler};
use allim::store::bounces::{self, Bounce};
use allim::store::inbound::{self, Kept};
use allim::store::suppressions::{self, Cause, Suppression, Wanted};
use allim::store::token_keys::{self, TokenKey};
use allim::store::{Location, Store, StoreError, Tx, subscribers};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// 2026-11-23T00:00:00Z.
const START: UnixMillis = UnixMillis(1_795_392_000_000);
const DAY: Duration = Duration::from_secs(86_400);

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    chance: Arc<SeededChance>,
}

impl World {
    async fn new(location: Location) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let opened = clock.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&location, opened)).await.expect("a thread");
        let store = store.expect("a store");
        clock.set(store.now().await.expect("a time"));
        Self { store, clock, chance: Arc::new(SeededChance::new(7)) }
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> T {
        self.store.write(job).await.expect("written")
    }

    async fn subscriber(&self, name: &str) -> (i64, Address) {
        let address = Address::parse(&format!("{name}@example.net")).expect("an address");
        let language = Language::parse("ko").expect("a tag");
        let subscriber = Subscriber {
            id: self.chance.draw_id(),
            address: address.clone(),
            name: None,
            language,
            text_only: false,
            unsubscribed_at: None,
        };
        let id = subscriber.id;
        self.write(move |tx| subscribers::insert(tx, &subscriber, START)).await;
        (id, address)
    }

    async fn bounce(&self, id: i64, kind: Kind, delivery: &str, at: UnixMillis) -> bool {
        let (reply, delivery) = ("550 no".to_owned(), delivery.to_owned());
        let bounce = [Bounce { subscriber_id: id, at, kind, status: String::new(), reply, delivery }];
        let noted = self.write(move |tx| {
            let known = bounces::lock(tx, &bounce)?;
            suppressions::ensure_key(tx, "a key")?;
            bounces::note(tx, &known, &bounce, at)
        });
        !noted.await.is_empty()
    }

    async fn find(&self, address: &Address) -> Option<Suppression> {
        let address = address.clone();
        self.write(move |tx| suppressions::find(tx, &address)).await
    }

    async fn is_active(&self, id: i64) -> bool {
        self.write(move |tx| subscribers::active(tx, &[id])).await.len() == 1
    }

    async fn lift(&self, id: i64, address: &Address, at: UnixMillis) -> bool {
        let address = address.clone();
        self.write(move |tx| {
            subscribers::lock(tx, id)?;
            suppressions::lift(tx, Some(id), &address, "operator", at)
        })
        .await
    }
}

async fn postgres() -> Option<Location> {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let url = support::server("ALLIM_TEST_POSTGRES")?;
    let name = format!("people_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    Some(Location::Postgres { url: support::create_database(&url, &name).await, connections: 4 })
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[tokio::test] async fn $name() {
                super::$name(super::World::new(super::Location::Memory).await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test] async fn $name() {
                if let Some(location) = super::postgres().await {
                    super::$name(super::World::new(location).await).await;
                }
            })+
        }
    };
}

on_both!(
    each_kind_suppresses_at_its_threshold_and_no_other_does,
    what_lies_outside_the_window_or_was_told_before_doesnt_count,
    a_soft_suppression_ends_and_the_count_begins_anew,
    an_address_keeps_its_suppression_whoever_has_it,
    the_stronger_suppression_stays,
    a_mail_is_kept_once_settled_once_and_forgotten,
    a_return_address_is_enough_and_a_forged_one_isnt,
    the_id_of_a_letter_is_enough_and_a_forged_one_isnt,
);

async fn each_kind_suppresses_at_its_threshold_and_no_other_does(world: World) {
    let counts = [
        (Kind::NoSuchAddress, 1),
        (Kind::Disabled, 2),
        (Kind::Full, 5),
        (Kind::Unexplained, 3),
        (Kind::Policy, 0),
        (Kind::Content, 0),
        (Kind::Transient, 0),
        (Kind::Ours, 0),
    ];
    for (kind, needed) in counts {
        let (id, address) = world.subscriber(kind.word()).await;
        let is_soft = matches!(kind, Kind::Full | Kind::Unexplained);
        for number in 1..=6 {
            let at = START.plus(Duration::from_secs(number));
            let did = world.bounce(id, kind, &format!("{number}.{id}.email"), at).await;
            // One more of a soft kind makes the suppression last longer.
            assert_eq!(did, number == needed || (is_soft && number > needed), "{kind} {number}");
            let is_suppressed = needed > 0 && number >= needed;
            assert_eq!(world.is_active(id).await, !is_suppressed, "{kind} {number}");
        }
        let found = world.find(&address).await;
        assert_eq!(found.is_some(), needed > 0);
        assert_eq!(found.is_some_and(|found| found.until_at.is_some()), is_soft, "{kind}");
    }
    // Of somebody who is gone nothing is kept.
    assert!(!world.bounce(1, Kind::NoSuchAddress, "1.1.email", START).await);
}

async fn what_lies_outside_the_window_or_was_told_before_doesnt_count(world: World) {
    let (id, _) = world.subscriber("anna").await;
    assert!(!world.bounce(id, Kind::Disabled, "1", START).await);
    // Told again of the same delivery, and of another one after more than seven days.
    assert!(!world.bounce(id, Kind::Disabled, "1", START.plus(DAY)).await);
    assert!(!world.bounce(id, Kind::Disabled, "2", START.plus(DAY * 8)).await);
    assert!(world.bounce(id, Kind::Disabled, "3", START.plus(DAY * 9)).await);
    let shown = world.write(move |tx| bounces::of_subscriber(tx, id, 10)).await;
    assert_eq!(shown.iter().map(|one| one.delivery.as_str()).collect::<Vec<_>>(), ["3", "2", "1"]);
    assert_eq!(world.write(|tx| bounces::forget(tx, START.plus(DAY * 8))).await, 1);
}

async fn a_soft_suppression_ends_and_the_count_begins_anew(world: World) {
    let ((id, address), (hard, hard_address)) = (world.subscriber("anna").await, world.subscriber("bora").await);
    for number in 0..3 {
        world.bounce(id, Kind::Unexplained, &number.to_string(), START).await;
    }
    world.bounce(hard, Kind::NoSuchAddress, "9", START).await;
    let until = START.plus(SOFT_LASTS);
    assert_eq!(world.find(&address).await.and_then(|found| found.until_at), Some(until));
    assert_eq!(world.write(move |tx| suppressions::expire(tx, until.minus(DAY))).await, 0);
    assert!(!world.is_active(id).await);
    assert_eq!(world.write(move |tx| suppressions::expire(tx, until)).await, 1);
    assert_eq!(world.write(move |tx| suppressions::expire(tx, until)).await, 0);
    let found = world.find(&address).await.expect("it is remembered");
    assert_eq!((found.is_in_force(), found.lifted_by.as_deref()), (false, Some("expiry")));
    assert!(world.is_active(id).await && !world.is_active(hard).await);
    // What counted before doesn't count again.
    assert!(!world.bounce(id, Kind::Unexplained, "10", until).await);
    assert!(world.lift(hard, &hard_address, until).await && !world.lift(hard, &hard_address, until).await);
    assert!(world.is_active(hard).await);
    assert!(
        world.bounce(hard, Kind::NoSuchAddress, "9", until).await,
        "the same delivery counts again after an undoing"
    );
}

async fn an_address_keeps_its_suppression_whoever_has_it(world: World) {
    // Nobody has the address yet, as after an erasure.
    let address = Address::parse("ANNA@example.net").expect("an address");
    let wanted = address.clone();
    let set = world.write(move |tx| {
        suppressions::ensure_key(tx, "a key")?;
        suppressions::ensure_key(tx, "another key")?;
        let wanted = Wanted { address: &wanted, cause: Cause::Operator, evidence: &"x".repeat(500), until_at: None };
        suppressions::set(tx, None, &wanted, START)
    });
    assert!(set.await);
    let found = world.find(&address).await.expect("suppressed");
    assert_eq!((found.cause, found.evidence.len()), (Cause::Operator, suppressions::EVIDENCE_CHARS_MAX));
    let (anna, anna_address) = world.subscriber("anna").await;
    let (bora, _) = world.subscriber("bora").await;
    assert!(!world.is_active(anna).await && world.is_active(bora).await);
    assert!(world.lift(anna, &anna_address, START).await && world.is_active(anna).await);
}

async fn the_stronger_suppression_stays(world: World) {
    let (id, address) = world.subscriber("anna").await;
    let set = |cause: Cause, until_at: Option<UnixMillis>| {
        let address = address.clone();
        world.write(move |tx| {
            suppressions::ensure_key(tx, "a key")?;
            subscribers::lock(tx, id)?;
            suppressions::set(tx, Some(id), &Wanted { address: &address, cause, evidence: "", until_at }, START)
        })
    };
    assert!(set(Cause::Full, Some(START.plus(DAY))).await);
    assert!(!set(Cause::Unexplained, Some(START.plus(DAY))).await);
    assert!(set(Cause::Unexplained, Some(START.plus(DAY * 2))).await);
    assert!(set(Cause::Complaint, None).await);
    assert!(!set(Cause::Full, Some(START.plus(DAY * 90))).await);
    assert!(!set(Cause::NoSuchAddress, None).await);
    assert_eq!(world.find(&address).await.map(|found| found.cause), Some(Cause::Complaint));
}

async fn a_mail_is_kept_once_settled_once_and_forgotten(world: World) {
    let keep = |bytes: &'static [u8], at: UnixMillis| {
        let mail = Mail::new(Via::Command, Some("a@b.example"), bytes.to_vec()).expect("short enough");
        let id = mail.id.clone();
        let kept = world.write(move |tx| inbound::keep(tx, &mail, at));
        async move { (id, kept.await) }
    };
    let (first, kept) = keep(b"Subject: 1\r\n\r\n\xff\x00", START).await;
    assert_eq!(kept, Kept::New);
    assert_eq!(keep(b"Subject: 1\r\n\r\n\xff\x00", START).await, (first.clone(), Kept::Known));
    let (second, _) = keep(b"Subject: 2\r\n\r\n", START.plus(DAY)).await;
    assert_eq!(world.write(|tx| inbound::open(tx, 9)).await, [first.clone(), second.clone()]);
    let id = first.clone();
    let settle = move |tx: &mut Tx<'_>| {
        let was_open = inbound::lock_open(tx, &id)?;
        if was_open {
            inbound::settle(tx, &id, Verdict::Unknown, "nothing", START)?;
        }
        Ok((was_open, inbound::find(tx, &id)?))
    };
    let (was_open, found) = world.write(settle.clone()).await;
    let (row, bytes) = found.expect("a row");
    assert_eq!(
        (was_open, row.verdict, bytes.as_slice()),
        (true, Some(Verdict::Unknown), &b"Subject: 1\r\n\r\n\xff\x00"[..])
    );
    assert!(!world.write(settle).await.0);
    let id = first.clone();
    assert!(world.write(move |tx| inbound::reopen(tx, &id)).await);
    assert_eq!(world.write(|tx| inbound::open(tx, 9)).await.len(), 2);
    world.write(move |tx| inbound::settle(tx, &first, Verdict::Loop, "", START)).await;
    assert_eq!(world.write(|tx| inbound::list(tx, Some(Verdict::Loop), 9)).await.len(), 1);
    assert_eq!(world.write(|tx| inbound::forget(tx, START)).await, 0);
    // What waits isn't forgotten, however old it is.
    assert_eq!(world.write(|tx| inbound::forget(tx, START.plus(DAY * 90))).await, 1);
    assert_eq!(world.write(|tx| inbound::open(tx, 9)).await, [second]);
}

async fn a_return_address_is_enough_and_a_forged_one_isnt(world: World) {
    let (id, address) = world.subscriber("anna").await;
    let key = TokenKey { id: "k1".to_owned(), secret: "secret".to_owned(), created_at: START };
    world.write(move |tx| token_keys::insert(tx, &key)).await;
    let own = Own { list_ids: vec!["news.example.org".to_owned()] };
    let settler = Settler::new(world.store.clone(), own, world.chance.clone());
    let named = Named { plan_id: 5, recipient_id: id };
    let report = "From: MAILER-DAEMON@mx.example.net\r\nContent-Type: message/delivery-status\r\n\r\nFinal-Recipient: rfc822; anna@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n";
    let deliver = |secret: &str| {
        let local = named.local_part(Purpose::Bounce, "k1", secret).expect("short");
        let mail = Mail::new(Via::Lmtp, Some(&format!("{local}@b.example")), report.as_bytes().to_vec());
        let (mail, now) = (mail.expect("short enough"), world.store.now());
        let store = world.store.clone();
        async move {
            let now = now.await.expect("a time");
            store.write(move |tx| inbound::keep(tx, &mail, now)).await.expect("kept")
        }
    };
    deliver("guessed").await;
    let round = settler.round().await.expect("a round");
    assert_eq!((round.settled, world.find(&address).await), (1, None));
    deliver("secret").await;
    assert_eq!(settler.round().await.expect("a round").settled, 1);
    assert_eq!(world.find(&address).await.map(|found| found.cause), Some(Cause::NoSuchAddress));
    assert_eq!(settler.round().await.expect("a round").settled, 0);
    let rows = world.write(|tx| inbound::list(tx, None, 9)).await;
    assert!(rows.iter().all(|row| !row.detail.clone().unwrap_or_default().contains("anna")), "{rows:?}");
    if world.store.dialect() == allim::store::Dialect::Sqlite {
        world.clock.set(UnixMillis(world.clock_now().0).plus(DAY * 31));
        assert_eq!(settler.round().await.expect("a round").forgotten, 2);
    }
}

/// A report that came to another address and gives back nothing but the letter's id (RFC 3461 ENVID), as servers spell it.
async fn the_id_of_a_letter_is_enough_and_a_forged_one_isnt(world: World) {
    let (id, address) = world.subscriber("anna").await;
    let key = TokenKey { id: "k1".to_owned(), secret: "secret".to_owned(), created_at: START };
    world.write(move |tx| token_keys::insert(tx, &key)).await;
    let settler = Settler::new(world.store.clone(), Own::default(), world.chance.clone());
    let named = Named { plan_id: 5, recipient_id: id };
    for (secret, spelling, is_believed) in [("guessed", "+", false), ("secret", "+2B", true)] {
        let local = named.local_part(Purpose::Bounce, "k1", secret).expect("short").replace('+', spelling);
        let report = format!(
            "From: MAILER-DAEMON@mx.example.net\r\nContent-Type: message/delivery-status\r\n\r\nOriginal-Envelope-Id: {local}\r\n\r\n\
             Final-Recipient: rfc822; anna@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        );
        let mail = Mail::new(Via::Lmtp, Some("postmaster@b.example"), report.into_bytes()).expect("short enough");
        let now = world.store.now().await.expect("a time");
        world.store.write(move |tx| inbound::keep(tx, &mail, now)).await.expect("kept");
        assert_eq!(settler.round().await.expect("a round").settled, 1);
        assert_eq!(world.find(&address).await.is_some(), is_believed, "{secret}");
    }
}

impl World {
    fn clock_now(&self) -> UnixMillis {
        use allim::domain::clock::Clock as _;
        self.clock.now()
    }
}

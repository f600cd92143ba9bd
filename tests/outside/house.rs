//! A world with accounts in it, whose sender runs while the test moves the clock.

use crate::network::{Answer, Fake};
use crate::world::{World, rules};
use allim::domain::account::{Revised, Rule, Slots};
use allim::domain::clock::{Clock as _, SeededChance, UnixMillis};
use allim::domain::delivery::{DeliveryKey, State};
use allim::domain::language::Language;
use allim::domain::seal::Seal;
use allim::plan::{Planner, Rules};
use allim::render::blurb::Blurb;
use allim::render::templates::Templates;
use allim::send::lease::Lease;
use allim::send::push::courier::Courier;
use allim::send::push::{self, Office, Ways};
use allim::send::recorder::Recorder;
use allim::send::social::Account;
use allim::send::social::network::{Can, Credential};
use allim::settle::{self, Uncertain};
use allim::store::{Tx, accounts, deliveries, endpoints};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// An account, as a test wants it.
pub struct Setting {
    pub name: &'static str,
    pub language: &'static str,
    pub topics: &'static [&'static str],
    pub can: Can,
    pub finds: bool,
    pub renews: bool,
    pub revised: Revised,
    pub slots: &'static [&'static str],
    pub max_age: Option<Duration>,
    pub dice: Option<Box<dyn FnMut() -> Answer + Send>>,
}

impl Setting {
    /// One of this language, which is its name too: it can change and take away, and can't look anything up.
    pub fn new(language: &'static str) -> Self {
        Self {
            name: language,
            language,
            topics: &[],
            can: Can { edit: true, delete: true, reply: false, repeats_safely_for: None },
            finds: false,
            renews: false,
            revised: Revised::Edit,
            slots: &[],
            max_age: None,
            dice: None,
        }
    }
}

pub struct House {
    pub world: World,
    planner: Planner,
    fakes: Vec<(&'static str, Arc<Fake>)>,
    lease: Arc<Lease>,
    wake: Arc<Notify>,
    stop: watch::Sender<bool>,
    sending: JoinHandle<()>,
}

impl House {
    pub async fn open(world: World, settings: Vec<Setting>) -> Self {
        Self::with(world, settings, Vec::new()).await
    }

    pub async fn with(world: World, settings: Vec<Setting>, couriers: Vec<Arc<dyn Courier>>) -> Self {
        let mut fakes = Vec::new();
        let mut made = Vec::new();
        for setting in settings {
            let dice = setting.dice.map(std::sync::Mutex::new);
            let fake = Arc::new(Fake { can: setting.can, finds: setting.finds, posts: Default::default(), dice });
            fakes.push((setting.name, fake.clone()));
            let rule = Rule {
                name: setting.name.to_owned(),
                carrier: "fake".to_owned(),
                language: Language::parse(setting.language).expect("a tag"),
                topics: setting.topics.iter().map(|topic| (*topic).to_owned()).collect(),
                sources: Vec::new(),
                revised: setting.revised,
            };
            let refresh = setting.renews.then(|| "refresh".to_owned());
            let base = Credential { access: "first".to_owned(), refresh, ..Credential::default() };
            let times: Vec<String> = setting.slots.iter().map(|time| (*time).to_owned()).collect();
            made.push(Account {
                endpoint_id: rule.endpoint_id(),
                rule,
                network: fake,
                base,
                slots: Slots::parse(&times, "Asia/Seoul").expect("slots"),
                max_age: setting.max_age,
                write: Arc::new(|showable, _, _| {
                    let text = showable.post().title.as_str().to_owned();
                    Ok(Blurb {
                        title: text.clone(),
                        text,
                        spans: Vec::new(),
                        tags: Vec::new(),
                        summary: String::new(),
                        url: None,
                        language: showable.post().language.to_string(),
                        image: None,
                    })
                }),
                learn_at: AtomicI64::new(0),
                unkept: Default::default(),
            });
        }
        Self { fakes, ..Self::of(world, made, couriers).await }
    }

    /// A house whose accounts are at networks of the caller's.
    pub async fn of(world: World, made: Vec<Account>, couriers: Vec<Arc<dyn Courier>>) -> Self {
        let all: Vec<Rule> = made.iter().map(|account| account.rule.clone()).collect();
        let (told, now) = (all.clone(), world.now().await);
        world.store.write(move |tx| accounts::tidy(tx, &told, now)).await.expect("made");
        let planner = Planner::new(world.store.clone(), Rules { accounts: all, ..rules() });
        let wait = Duration::from_secs(60);
        let lease = Lease::take(world.store.clone(), world.clock.clone(), "test", wait).await.expect("a lease");
        let chance = Arc::new(SeededChance::new(7));
        let (recorder, _) = Recorder::start(world.store.clone(), chance.clone());
        let ways = Ways {
            couriers,
            accounts: made,
            seal: Arc::new(Seal::new("a test's").expect("a seal")),
            templates: Arc::new(Templates::load(None).expect("templates")),
        };
        let office = Arc::new(Office::new(world.store.clone(), lease.clone(), recorder, chance, ways));
        let (wake, (stop, stopped)) = (Arc::new(Notify::new()), watch::channel(false));
        let sending = tokio::spawn(push::run(office, wake.clone(), stopped));
        Self { world, planner, fakes: Vec::new(), lease, wake, stop, sending }
    }

    pub async fn close(self) {
        let _ = self.stop.send(true);
        self.sending.await.expect("the sender ends in order");
    }

    pub fn fake(&self, name: &str) -> &Fake {
        &self.fakes.iter().find(|(other, _)| *other == name).expect("an account").1
    }

    pub fn answer(&self, name: &str, answers: impl IntoIterator<Item = Answer>) {
        self.fake(name).answer(answers);
    }

    /// What an account tells now.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let posts = self.fake(name).posts.lock().expect("posts");
        posts.there.values().map(|(_, text)| text.clone()).collect()
    }

    /// Plans, settles and sends what is due, until nothing is.
    pub async fn rest(&self) {
        loop {
            self.lease.renew().await.expect("renewed");
            self.planner.tick().await.expect("a tick");
            settle::settle(&self.world.store, Uncertain::Resend).await.expect("settled");
            // On PostgreSQL the sender's idea of the time is as old as its last look at the database's clock.
            self.world.store.now().await.expect("a time");
            let before = self.attempts().await;
            self.wake.notify_one();
            self.quiet().await;
            if self.attempts().await == before && self.planner.tick().await.expect("a tick").planned == 0 {
                return;
            }
        }
    }

    /// Waits until nothing is on its way, and nothing was begun for a while.
    async fn quiet(&self) {
        let mut calm = 0;
        while calm < 3 {
            tokio::time::sleep(Duration::from_millis(8)).await;
            let count = self.number("SELECT COUNT(*) FROM deliveries WHERE state IN ('claimed', 'sending')").await;
            calm = if count == 0 { calm + 1 } else { 0 };
        }
    }

    async fn number(&self, sql: &'static str) -> i64 {
        let row = self.world.store.read(move |tx| tx.query_opt(sql, &[])).await.expect("read");
        row.expect("a row").int(0).expect("a number")
    }

    async fn attempts(&self) -> i64 {
        self.number("SELECT CAST(COALESCE(SUM(attempts), 0) AS BIGINT) FROM deliveries").await
    }

    /// Lets time pass, in steps that miss nothing that is due in between.
    pub async fn pass(&self, time: Duration) {
        let until = self.world.clock.now().plus(time);
        self.until(until).await;
    }

    pub async fn until(&self, until: UnixMillis) {
        loop {
            self.rest().await;
            let now = self.world.clock.now();
            if now >= until {
                return;
            }
            self.world.clock.set(self.next(now).await.min(until));
        }
    }

    /// When the next thing happens by itself, or may: slots are at full hours.
    async fn next(&self, now: UnixMillis) -> UnixMillis {
        const SQL: &str =
            "SELECT MIN(at) FROM (SELECT MIN(not_before_at) AS at FROM destinations WHERE not_before_at > $1
             UNION ALL SELECT MIN(due_at) FROM deliveries WHERE state IN ('due', 'uncertain') AND due_at > $1) x";
        let row = self.world.store.read(move |tx| tx.query_opt(SQL, &[now.0.into()])).await.expect("read");
        let next = row.and_then(|row| row.int_opt(0).expect("a time")).unwrap_or(i64::MAX);
        let hour = (now.0 / 3_600_000 + 1) * 3_600_000;
        // What comes nearly together is waited for together.
        UnixMillis(next.saturating_add(20_000).min(hour))
    }

    pub async fn uncertain(&self) -> Vec<DeliveryKey> {
        let list = |tx: &mut Tx<'_>| deliveries::list(tx, Some(State::Uncertain), None, 100);
        let mut all = self.world.store.read(list).await.expect("listed");
        all.sort_by_key(|one| one.planned_at);
        all.iter().map(|one| DeliveryKey::parse(&one.id).expect("a key")).collect()
    }

    pub async fn reasons(&self) -> Vec<String> {
        let list = self.world.store.read(|tx| deliveries::list(tx, None, None, 1_000)).await.expect("listed");
        list.into_iter().filter_map(|one| one.reason).collect()
    }

    pub async fn is_idle(&self) -> bool {
        let now = self.world.now().await;
        self.world.store.read(move |tx| endpoints::ready(tx, now, 1)).await.expect("read").is_empty()
    }
}

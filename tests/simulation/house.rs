//! The parts of the product that live here, as `app` puts them together.

use allim::domain::audience::{Address, IMMEDIATE, Slot, Subscriber};
use allim::domain::clock::UnixMillis;
use allim::domain::language::Language;
use allim::domain::schedule::Schedule;
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Revisions, Source};
use allim::intake::wire::SourcePolicy;
use allim::plan::digest::Digest;
use allim::plan::{Planner, Rules, release};
use allim::render::letter::Sender;
use allim::render::site::{LocalText, Site};
use allim::render::templates::Templates;
use allim::send::decide::Patience;
use allim::send::prepare::Stationery;
use allim::store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

pub(super) const SOURCE: &str = "site";
pub(super) const DESTINATION: &str = "email:main";
pub(super) const TOPICS: [&str; 3] = ["events", "news", "jobs"];
pub(super) const SCHEDULES: [&str; 2] = [IMMEDIATE, "seven"];
/// Saturday before Europe's clocks go forward.
pub(super) const START: UnixMillis = UnixMillis(1_774_656_000_000);
pub(super) const PATIENCE: Patience = Patience {
    give_up_after: Duration::from_secs(20 * 24 * 3_600),
    uncertain_wait: Duration::from_secs(15 * 60),
    waits: &allim::domain::backoff::RELAY,
};
/// Fewer than there may be people, so that some occurrences need several chunks.
const CHUNK_RECIPIENTS: i64 = 5;

pub(super) fn slot(schedule: usize) -> Slot {
    Slot::of(SCHEDULES[schedule % SCHEDULES.len()])
}

pub(super) fn planner(store: &Store) -> Planner {
    let schedule = Schedule::parse("*/7 * * * *", "Asia/Seoul").expect("a schedule");
    let name = SCHEDULES[1].to_owned();
    let digest = Digest {
        name: name.clone(),
        schedule,
        max_late: Duration::from_secs(300),
        own_hour: false,
        commercial: false,
        quiet_hours: None,
        heartbeat: false,
    };
    let rules = Rules {
        release: release::Rules { languages: vec![korean()], translation_wait: Duration::from_secs(3_600) },
        digests: BTreeMap::from([(name, digest)]),
        template: "template 1".to_owned(),
        chunk_recipients: CHUNK_RECIPIENTS,
        routes: BTreeMap::new(),
        route_default: ("office".to_owned(), DESTINATION.to_owned()),
        classes: Default::default(),
        grace: Duration::ZERO,
        noting: Vec::new(),
        consent_kept: Duration::from_secs(1_825 * 86_400),
        accounts: Vec::new(),
    };
    Planner::new(store.clone(), rules)
}

pub(super) fn intake(store: &Store, wake: Arc<Notify>) -> Intake {
    let policy = SourcePolicy {
        name: SOURCE.to_owned(),
        topics_known: TOPICS.map(str::to_owned).to_vec(),
        urgent_allowed: true,
        ..SourcePolicy::default()
    };
    let sources = BTreeMap::from([(
        SOURCE.to_owned(),
        Source { policy, republish: Republish::Revise, revisions: Revisions::Silent },
    )]);
    Intake::new(store.clone(), sources, Backfill::OlderThan(Duration::from_secs(7 * 24 * 3_600)), wake)
}

pub(super) fn stationery() -> Stationery {
    let sender = Sender {
        name: "office".to_owned(),
        from: LocalText::same("연구원 소식"),
        address: Address::parse("news@example.org").expect("an address"),
        reply_to: None,
        list_id: "news.example.org".to_owned(),
        message_id_domain: "example.org".to_owned(),
        bounce_domain: None,
        help_url: Some("https://allim.example.org/".to_owned()),
    };
    let site = Site {
        name: LocalText::same("연구원"),
        public_url: Some("https://allim.example.org".to_owned()),
        contact: None,
        postal_address: None,
    };
    Stationery {
        site,
        digest_titles: BTreeMap::new(),
        topic_titles: BTreeMap::new(),
        zones: BTreeMap::new(),
        senders: BTreeMap::from([("office".to_owned(), Arc::new(sender))]),
        templates: Arc::new(Templates::load(None).expect("the templates that are compiled in")),
        notes_revisions: true,
        commercial: Default::default(),
        calendar_authority: None,
    }
}

pub(super) fn person(id: i64) -> Subscriber {
    let address = Address::parse(&format!("reader{id}@example.net")).expect("an address");
    Subscriber { id, address, name: None, language: korean(), text_only: false, unsubscribed_at: None }
}

fn korean() -> Language {
    Language::parse("ko").expect("a language")
}

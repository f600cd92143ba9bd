use super::*;
use crate::domain::post::{Body, BodyFormat};
use crate::domain::schedule::Schedule;
use crate::domain::text::CleanText;
use crate::plan::digest::Digest;
use crate::store::releases::Variant;
use std::collections::BTreeMap;
use std::time::Duration;

const NOW: UnixMillis = UnixMillis(100_000);

fn language(tag: &str) -> Language {
    Language::parse(tag).expect("a tag")
}

fn rules() -> Rules {
    let digest = Digest {
        name: "weekly".to_owned(),
        schedule: Schedule::parse("* * * * *", "UTC").expect("a schedule"),
        max_late: Duration::from_secs(60),
        own_hour: false,
        commercial: false,
        quiet_hours: None,
        heartbeat: false,
    };
    Rules {
        release: release::Rules {
            languages: vec![language("ko"), language("en")],
            translation_wait: Duration::from_secs(50),
        },
        digests: BTreeMap::from([("weekly".to_owned(), digest)]),
        template: String::new(),
        chunk_recipients: 1,
        routes: BTreeMap::new(),
        route_default: Default::default(),
        classes: Default::default(),
        grace: Duration::ZERO,
        noting: Vec::new(),
        consent_kept: Duration::from_secs(1_825 * 86_400),
        accounts: Vec::new(),
    }
}

/// A Korean post, public and released as number 5, and a reader whose weekly subscription began at 3.
fn facts() -> Facts {
    let body = Body { format: BodyFormat::Text, content: CleanText::new("") };
    let post = Post {
        source_id: "1".to_owned(),
        story: None,
        language: language("ko"),
        languages_expected: Vec::new(),
        topics: vec!["events".to_owned()],
        tags: Vec::new(),
        breadcrumb: Vec::new(),
        title: CleanText::new("t"),
        summary: None,
        author: None,
        published_at: UnixMillis(90_000),
        updated_at: None,
        embargo_until: None,
        expires_at: None,
        url: None,
        body,
        images: Vec::new(),
        attachments: Vec::new(),
        contact: None,
        event: None,
        urgent: false,
        views: None,
        license: None,
        path: Vec::new(),
    };
    let variant = Variant {
        post_id: "p".to_owned(),
        language: language("ko"),
        languages_expected: Vec::new(),
        urgent: false,
        public_due_at: UnixMillis(90_000),
        expires_at: None,
        public_at: Some(UnixMillis(90_000)),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    let story = Story {
        id: "s".to_owned(),
        first_public_at: Some(UnixMillis(90_000)),
        variants: vec![variant],
        released: vec![language("ko")],
    };
    let standing = Standing {
        post_id: "p".to_owned(),
        story_id: "s".to_owned(),
        source: "cms".to_owned(),
        revision: 1,
        received_at: UnixMillis(90_000),
        revised_at: None,
        public_at: Some(UnixMillis(90_000)),
        expired_at: None,
        withdrawn_at: None,
        backfill_at: None,
    };
    let reader = Subscriber {
        id: 7,
        address: Address::parse("a@example.net").expect("an address"),
        name: None,
        language: language("ko"),
        text_only: false,
        unsubscribed_at: None,
    };
    let subscription = Subscription { topic: "events".to_owned(), slot: Slot::of("weekly"), since: 3, mark: 3 };
    Facts {
        reader,
        is_suppressed: false,
        pause: None,
        subscriptions: vec![subscription],
        standing,
        post,
        story,
        release: Some((5, "p".to_owned())),
        topics: vec!["events".to_owned()],
        deliveries: Vec::new(),
    }
}

fn delivery(state: &str, reason: Option<&str>) -> Listed {
    Listed {
        id: "1.7.email".to_owned(),
        state: state.to_owned(),
        reason: reason.map(str::to_owned),
        schedule: "weekly".to_owned(),
        recipient_id: 7,
        edition_id: 1,
        attempts: 1,
        due_at: NOW,
        planned_at: NOW,
        finished_at: Some(NOW),
        uncertain_at: None,
    }
}

fn told(change: impl FnOnce(&mut Facts)) -> Because {
    let mut facts = facts();
    change(&mut facts);
    because(&facts, &rules(), NOW)
}

#[test]
fn a_released_post_is_owed_with_the_next_issue() {
    let owed =
        Because::Owed { schedule: "weekly".to_owned(), topic: "events".to_owned(), next_at: Some(UnixMillis(120_000)) };
    assert_eq!(told(|_| {}), owed);
    // A delivery whose posts went into a newer issue doesn't count as given.
    assert_eq!(told(|facts| facts.deliveries.push(delivery("cancelled", Some("superseded")))), owed);
    assert!(matches!(told(|facts| facts.deliveries.push(delivery("sent", None))), Because::Given { .. }));
}

#[test]
fn each_reason_why_not_has_a_name() {
    let left = |facts: &mut Facts| facts.reader.unsubscribed_at = Some(NOW);
    assert_eq!(told(left), Because::Unsubscribed { at: NOW });
    assert_eq!(told(|facts| facts.is_suppressed = true), Because::Suppressed);
    let topics = vec!["events".to_owned()];
    assert_eq!(told(|facts| facts.subscriptions.clear()), Because::NotSubscribed { topics });
    let began_later = |facts: &mut Facts| (facts.subscriptions[0].since, facts.subscriptions[0].mark) = (5, 5);
    assert_eq!(told(began_later), Because::ReleasedBefore { release: 5, since: 5 });
    assert_eq!(told(|facts| facts.subscriptions[0].mark = 8), Because::PassedOver { release: 5, mark: 8 });
    let gone = |facts: &mut Facts| facts.subscriptions[0].slot = Slot::of("monthly");
    assert_eq!(told(gone), Because::DigestGone { schedule: "monthly".to_owned() });
    let withdrawn = |facts: &mut Facts| {
        facts.standing.withdrawn_at = Some(NOW);
        facts.story.variants[0].withdrawn_at = Some(NOW);
    };
    assert_eq!(told(withdrawn), Because::Withdrawn { at: NOW });
    let expired = |facts: &mut Facts| {
        facts.standing.expired_at = Some(NOW);
        facts.story.variants[0].expired_at = Some(NOW);
    };
    assert_eq!(told(expired), Because::Expired { at: NOW });
}

#[test]
fn what_is_not_released_says_what_it_waits_for() {
    let unreleased = |change: fn(&mut Facts)| {
        told(|facts| {
            facts.release = None;
            change(facts);
        })
    };
    assert_eq!(unreleased(|_| {}), Because::ReleasedNext);
    let embargo = unreleased(|facts| {
        facts.post.embargo_until = Some(UnixMillis(200_000));
        facts.standing.public_at = None;
        facts.story.variants[0].public_at = None;
    });
    assert_eq!(embargo, Because::Embargo { until: UnixMillis(200_000) });
    let held = unreleased(|facts| facts.story.variants[0].backfill_at = Some(NOW));
    assert_eq!(held, Because::HeldAsBackfill { since: NOW });
    let waits = unreleased(|facts| {
        facts.reader.language = language("en");
        facts.story.variants[0].languages_expected = vec![language("en")];
    });
    assert_eq!(waits, Because::WaitsForTranslation { language: language("en"), until: UnixMillis(140_000) });
    let foreign = unreleased(|facts| facts.reader.language = language("fr"));
    assert_eq!(foreign, Because::LanguageNotServed { language: language("fr") });
}

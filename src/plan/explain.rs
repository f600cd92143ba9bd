//! Who gets a post and why, or why not: the rules of planning, told for one reader and one post.

use super::{Planner, Rules, release};
use crate::domain::audience::{Address, IMMEDIATE, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::{Post, Standing};
use crate::store::deliveries::{self, Listed};
use crate::store::profile::{self, Then};
use crate::store::releases::{self, Story};
use crate::store::subscribers::{self, Subscription};
use crate::store::{StoreError, Tx, owed, posts};
use serde::Serialize;

/// Why a reader has a post, will have it, or won't.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Because {
    /// It is theirs by this delivery.
    Given {
        /// Which.
        delivery: String,
        /// Where it stands.
        state: String,
        /// `immediate` or the digest.
        schedule: String,
        /// When it came to its end, or when it is due.
        at: UnixMillis,
    },
    /// They left altogether.
    Unsubscribed {
        /// When.
        at: UnixMillis,
    },
    /// Their address takes no mail.
    Suppressed,
    /// Nothing is planned for them until then, as they asked.
    Paused {
        /// Until when.
        until: UnixMillis,
        /// Whether what comes meanwhile is skipped.
        is_skipped: bool,
    },
    /// The post was taken back.
    Withdrawn {
        /// When.
        at: UnixMillis,
    },
    /// Its time is over.
    Expired {
        /// Since when.
        at: UnixMillis,
    },
    /// It isn't to be shown yet.
    Embargo {
        /// Until when.
        until: UnixMillis,
    },
    /// The backfill guard holds it: public, but mailed to nobody until an operator releases it.
    HeldAsBackfill {
        /// Since when.
        since: UnixMillis,
    },
    /// Their language is none of `languages.readers`.
    LanguageNotServed {
        /// Theirs.
        language: Language,
    },
    /// The source announced a translation into their language.
    WaitsForTranslation {
        /// Their language.
        language: Language,
        /// Until when it is waited for.
        until: UnixMillis,
    },
    /// It may be released at any moment.
    ReleasedNext,
    /// They take none of its topics.
    NotSubscribed {
        /// Its topics.
        topics: Vec<String>,
    },
    /// It was released before they subscribed.
    ReleasedBefore {
        /// The number of the release.
        release: i64,
        /// The number at which their subscription began.
        since: i64,
    },
    /// It comes with the next issue.
    Owed {
        /// `immediate` or the digest.
        schedule: String,
        /// The topic that brings it.
        topic: String,
        /// When that fires.
        next_at: Option<UnixMillis>,
    },
    /// It is owed by a digest that the configuration has no more.
    DigestGone {
        /// Its name.
        schedule: String,
    },
    /// The search went past it when it could not be shown, or its delivery was cancelled.
    PassedOver {
        /// The number of the release.
        release: i64,
        /// Up to where the search went.
        mark: i64,
    },
}

/// The answer for one reader and one post.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The decisive reason.
    #[serde(flatten)]
    pub because: Because,
    /// The variant that readers of this language are given, once it was released: its number and post id.
    pub release: Option<(i64, String)>,
    /// Every delivery to this reader that holds the story, cancelled ones included.
    pub deliveries: Vec<Listed>,
}

/// What the decision is made from.
struct Facts {
    reader: Subscriber,
    is_suppressed: bool,
    pause: Option<(UnixMillis, Then)>,
    subscriptions: Vec<Subscription>,
    standing: Standing,
    post: Post,
    story: Story,
    release: Option<(i64, String)>,
    topics: Vec<String>,
    deliveries: Vec<Listed>,
}

impl Planner {
    /// Explains whether and how a reader gets a post. `None` when there is no such reader or no such post.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn explain(&self, address: &Address, post_id: &str) -> Result<Option<Explained>, StoreError> {
        let now = self.store.now().await?;
        let (address, post_id) = (address.clone(), post_id.to_owned());
        let facts = self.store.read(move |tx| facts(tx, &address, &post_id)).await?;
        Ok(facts.map(|facts| {
            let because = because(&facts, &self.rules, now);
            Explained { because, release: facts.release, deliveries: facts.deliveries }
        }))
    }
}

fn facts(tx: &mut Tx<'_>, address: &Address, post_id: &str) -> Result<Option<Facts>, StoreError> {
    let Some(reader) = subscribers::by_address(tx, address)? else { return Ok(None) };
    let Some((standing, post)) = posts::find(tx, post_id)? else { return Ok(None) };
    let Some(story) = releases::find(tx, &standing.story_id)? else { return Ok(None) };
    let release = owed::release_of(tx, &standing.story_id, reader.language.as_str())?;
    let topics = match &release {
        // The topics that it had when it was released count.
        Some((seq, _)) => owed::topics_of_release(tx, *seq)?,
        None => post.topics_all(),
    };
    Ok(Some(Facts {
        is_suppressed: reader.unsubscribed_at.is_none() && subscribers::active(tx, &[reader.id])?.is_empty(),
        pause: profile::of(tx, reader.id)?.and_then(|profile| profile.pause),
        subscriptions: subscribers::subscriptions(tx, reader.id)?,
        deliveries: deliveries::holding(tx, &standing.story_id, reader.id)?,
        reader,
        standing,
        post,
        story,
        release,
        topics,
    }))
}

/// In the order in which planning would come upon it.
fn because(facts: &Facts, rules: &Rules, now: UnixMillis) -> Because {
    if let Some(given) = facts.deliveries.iter().find(|delivery| counts_as_given(delivery)) {
        let (state, schedule) = (given.state.clone(), given.schedule.clone());
        let at = given.finished_at.unwrap_or(given.due_at);
        return Because::Given { delivery: given.id.clone(), state, schedule, at };
    }
    if let Some(at) = facts.reader.unsubscribed_at {
        return Because::Unsubscribed { at };
    }
    if facts.is_suppressed {
        return Because::Suppressed;
    }
    if let Some((until, then)) = facts.pause {
        return Because::Paused { until, is_skipped: then == Then::Skip };
    }
    match &facts.release {
        Some((seq, _)) => because_released(facts, rules, *seq, now),
        None => because_unreleased(facts, rules, now),
    }
}

/// As `owed::given` counts.
fn counts_as_given(delivery: &Listed) -> bool {
    let gone = matches!(delivery.reason.as_deref(), Some("withdrawn" | "superseded" | "expired"));
    !(delivery.state == "cancelled" && gone)
}

fn because_unreleased(facts: &Facts, rules: &Rules, now: UnixMillis) -> Because {
    let shown: Vec<_> = facts.story.variants.iter().filter(|variant| release::showable(variant)).collect();
    if shown.is_empty() {
        return because_hidden(facts, now).unwrap_or(Because::ReleasedNext);
    }
    if !rules.release.languages.contains(&facts.reader.language) {
        return Because::LanguageNotServed { language: facts.reader.language.clone() };
    }
    if let Some(since) = shown.iter().map(|variant| variant.backfill_at).min().flatten() {
        return Because::HeldAsBackfill { since };
    }
    match release::waits_until(&facts.story, &rules.release, &facts.reader.language, now) {
        Some(until) => Because::WaitsForTranslation { language: facts.reader.language.clone(), until },
        None => Because::ReleasedNext,
    }
}

/// Why the post may not be shown, if it may not.
fn because_hidden(facts: &Facts, now: UnixMillis) -> Option<Because> {
    let standing = &facts.standing;
    if let Some(at) = standing.withdrawn_at {
        return Some(Because::Withdrawn { at });
    }
    if let Some(at) = standing.expired_at {
        return Some(Because::Expired { at });
    }
    let until = facts.post.public_due_at();
    (standing.public_at.is_none() && until > now).then_some(Because::Embargo { until })
}

fn because_released(facts: &Facts, rules: &Rules, seq: i64, now: UnixMillis) -> Because {
    let shown = facts.story.variants.iter().any(release::showable);
    if let Some(hidden) = because_hidden(facts, now).filter(|_| !shown) {
        return hidden;
    }
    let matching = || facts.subscriptions.iter().filter(|one| facts.topics.contains(&one.topic));
    let Some(since) = matching().map(|one| one.since).min() else {
        return Because::NotSubscribed { topics: facts.topics.clone() };
    };
    if seq <= since {
        return Because::ReleasedBefore { release: seq, since };
    }
    let Some(owing) = matching().find(|one| seq > one.mark) else {
        let mark = matching().map(|one| one.mark).min().unwrap_or(since);
        return Because::PassedOver { release: seq, mark };
    };
    let schedule = owing.slot.schedule().to_owned();
    if schedule != IMMEDIATE && !rules.digests.contains_key(&schedule) {
        return Because::DigestGone { schedule };
    }
    Because::Owed { next_at: next_firing(rules, &owing.slot, now), schedule, topic: owing.topic.clone() }
}

fn next_firing(rules: &Rules, slot: &Slot, now: UnixMillis) -> Option<UnixMillis> {
    if slot.schedule() == IMMEDIATE {
        return Some(now);
    }
    let schedule = rules.digests.get(slot.schedule())?.schedule_of(slot).ok()?;
    schedule.next_after(now.0).map(UnixMillis)
}

#[cfg(test)]
mod tests;

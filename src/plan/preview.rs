//! What a digest would hold if it fired now: planned for real by the same code, and then taken back.

use super::{Planner, Rules, chunk, release_all};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::language::Language;
use crate::domain::post::{Post, Standing};
use crate::store::editions::{self, Edition};
use crate::store::occurrences::{self, Occurrence};
use crate::store::{StoreError, Tx, changes, owed, posts, subscribers};
use std::collections::BTreeSet;

/// For whom a digest is previewed.
#[derive(Clone, Debug)]
pub enum Reader {
    /// A subscriber.
    Known(Address),
    /// Somebody who reads this language, takes these topics and had every issue up to the last.
    Anybody(Language, Vec<String>),
}

/// What a preview came to.
#[derive(Clone, Debug)]
pub enum Preview {
    /// This would be planned.
    Issue(Box<Issue>),
    /// Nobody has this address.
    NobodyThere,
    /// They left.
    Left(UnixMillis),
    /// They take no topic with this digest.
    NotSubscribed,
    /// There is nothing that they don't have already.
    NothingOwed,
}

/// A planned issue.
#[derive(Clone, Debug)]
pub struct Issue {
    /// Who would get it.
    pub reader: Subscriber,
    /// What it would be.
    pub edition: Edition,
    /// Its posts, in its order.
    pub posts: Vec<(Standing, Post)>,
}

impl Planner {
    /// What the digest `name` would bring `reader` if it fired now, or at `at`: of what is known by now. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn preview(&self, name: &str, reader: Reader, at: Option<UnixMillis>) -> Result<Preview, StoreError> {
        let now = match at {
            Some(at) => at,
            None => self.store.now().await?,
        };
        let (rules, name) = (self.rules.clone(), name.to_owned());
        self.store.rehearse(move |tx| preview(tx, &rules, &name, &reader, now)).await
    }
}

fn preview(
    tx: &mut Tx<'_>,
    rules: &Rules,
    name: &str,
    reader: &Reader,
    now: UnixMillis,
) -> Result<Preview, StoreError> {
    release_all(tx, &rules.release, now)?;
    let reader = match reader {
        Reader::Known(address) => match subscribers::by_address(tx, address)? {
            Some(known) => known,
            None => return Ok(Preview::NobodyThere),
        },
        Reader::Anybody(language, topics) => anybody(tx, name, language, topics, now)?,
    };
    if let Some(at) = reader.unsubscribed_at {
        return Ok(Preview::Left(at));
    }
    let subscriptions = subscribers::subscriptions(tx, reader.id)?;
    let slots: BTreeSet<Slot> =
        subscriptions.into_iter().map(|one| one.slot).filter(|slot| slot.schedule() == name).collect();
    if slots.is_empty() {
        return Ok(Preview::NotSubscribed);
    }
    // Hours of their own for several topics make several issues; the first that holds something is shown.
    for slot in slots {
        let occurrence = occurrence(slot, reader.id, changes::head(tx)?, now);
        let Some(edition_id) = chunk::plan_one(tx, rules, &occurrence, reader.id, now)? else { continue };
        let missing = || StoreError::Shape("an edition is missing".to_owned());
        let edition = editions::find(tx, edition_id)?.ok_or_else(missing)?;
        let wanted: Vec<_> = edition.content.items.iter().map(|item| (item.post_id.clone(), item.revision)).collect();
        let posts = posts::at_revisions(tx, &wanted)?;
        return Ok(Preview::Issue(Box::new(Issue { reader, edition, posts })));
    }
    Ok(Preview::NothingOwed)
}

/// No domain of anybody ends so (RFC 2606).
const NOBODYS_ADDRESS: &str = "preview@allim.invalid";
/// No subscriber has a negative id.
const NOBODYS_ID: i64 = -1;

/// Somebody who is there for the time of the rehearsal.
fn anybody(
    tx: &mut Tx<'_>,
    name: &str,
    language: &Language,
    topics: &[String],
    now: UnixMillis,
) -> Result<Subscriber, StoreError> {
    let address = Address::parse(NOBODYS_ADDRESS).map_err(|e| StoreError::Shape(e.to_string()))?;
    let reader = Subscriber {
        id: NOBODYS_ID,
        address,
        name: None,
        language: language.clone(),
        text_only: false,
        unsubscribed_at: None,
    };
    subscribers::insert(tx, &reader, now)?;
    let slot = Slot::of(name);
    let last = occurrences::lock_slot(tx, &slot)?.map_or(0, |state| state.bound);
    for topic in topics {
        subscribers::subscribe(tx, reader.id, topic, &slot, now)?;
    }
    let all: Vec<(i64, &str)> = topics.iter().map(|topic| (reader.id, topic.as_str())).collect();
    owed::move_marks(tx, &all, last)?;
    Ok(reader)
}

fn occurrence(slot: Slot, recipient_id: i64, bound: i64, now: UnixMillis) -> Occurrence {
    Occurrence {
        id: ids::occurrence_id(slot.as_str(), now.0, &format!("preview for {recipient_id}")),
        slot,
        due_at: now,
        recipient_id: Some(recipient_id),
        floor: 0,
        bound,
        fired_at: now,
        done_to: 0,
        planned: 0,
    }
}

//! Lists of subscribers: checked against the configuration and written into the store, for the command line and the control room
//! alike. What somebody set themselves a list never changes, and it brings nobody back.

mod fault;
mod rows;

pub use fault::Fault;
pub use rows::{Line, Read, Unreadable, rows};

use super::digest::{self, Digest};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::language::Language;
use crate::domain::post::TAG_PREFIX;
use crate::domain::text::CleanText;
use crate::store::consents::{self, Act, Consent};
use crate::store::{Store, StoreError, Tx, occurrences, profile, subscribers, suppressions};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rows written in one transaction.
pub const BATCH: usize = 500;

/// What rows are checked against.
#[derive(Clone)]
pub struct Rolls {
    /// The languages that readers may read, as configured.
    pub languages: Vec<Language>,
    /// The topics that there are.
    pub topics: BTreeSet<String>,
    /// The digests by name.
    pub digests: BTreeMap<String, Digest>,
    /// Numbers for those who are new.
    pub chance: Arc<dyn Chance>,
}

/// A row that holds together.
#[derive(Debug, Clone)]
pub struct Wish {
    subscriber: Subscriber,
    topics: Vec<String>,
    slot: Slot,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Somebody new.
    Added,
    /// Somebody known; what they take was added to or changed.
    Changed,
    /// Somebody known who takes all this already: nothing is written.
    Same,
    /// They left or asked to be erased, or their address may not be written to: a list never brings anybody back.
    StaysAway,
    /// They confirmed, changed or ended something themselves: that stands, and the list changes nothing.
    OwnChoice,
}

impl Taken {
    /// Every one of them.
    pub const ALL: [Self; 5] = [Self::Added, Self::Changed, Self::Same, Self::StaysAway, Self::OwnChoice];

    /// As reports name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Same => "the same",
            Self::StaysAway => "stays away",
            Self::OwnChoice => "own choice stands",
        }
    }
}

impl Rolls {
    /// Checks a row.
    ///
    /// # Errors
    /// What is wrong with it: the field, and what would be right. Never repeats the address.
    pub fn check(&self, line: &Line) -> Result<Wish, Fault> {
        let address = Address::parse(&line.address).map_err(Fault::Address)?;
        let language = Language::parse(&line.language).map_err(|_| Fault::LanguageUnread(line.language.clone()))?;
        let language =
            language.best_of(&self.languages).ok_or_else(|| Fault::LanguageNotServed(language.to_string()))?;
        let topics: Vec<String> = line.topics.split_whitespace().map(str::to_owned).collect();
        if topics.is_empty() {
            return Err(Fault::NoTopic);
        }
        if let Some(unknown) =
            topics.iter().find(|topic| !self.topics.contains(*topic) && !topic.starts_with(TAG_PREFIX))
        {
            return Err(Fault::UnknownTopic(unknown.clone()));
        }
        let name = CleanText::new(&line.name).line();
        let subscriber = Subscriber {
            id: self.chance.draw_id(),
            address,
            name: (!name.is_empty()).then_some(name),
            language: language.clone(),
            text_only: false,
            unsubscribed_at: None,
        };
        Ok(Wish { subscriber, topics, slot: self.slot(&line.schedule)? })
    }

    fn slot(&self, text: &str) -> Result<Slot, Fault> {
        let wanted = Slot::from(text.trim().to_owned());
        let name = wanted.schedule();
        let own = match text.trim().strip_prefix(name).map(str::trim) {
            None | Some("") => None,
            Some(own) => Some(own.split_once(' ').ok_or(Fault::OwnHour)?),
        };
        digest::slot(&self.digests, name, own).map_err(|why| Fault::Schedule(name.to_owned(), why))
    }

    /// Writes rows in one transaction, or only finds out what that would come to; tells what became of each.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn write(&self, store: &Store, wishes: Vec<Wish>, is_rehearsal: bool) -> Result<Vec<Taken>, StoreError> {
        let (now, rolls) = (store.now().await?, self.clone());
        let job = move |tx: &mut Tx<'_>| rolls.take(tx, &wishes, None, now);
        if is_rehearsal { store.rehearse(job).await } else { store.write(job).await }
    }

    /// Writes rows in the caller's transaction and tells what became of each. `basis` is what the operator says of how these
    /// people agreed, for the ledger of consent.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn take(
        &self,
        tx: &mut Tx<'_>,
        wishes: &[Wish],
        basis: Option<&str>,
        now: UnixMillis,
    ) -> Result<Vec<Taken>, StoreError> {
        let Some(language) = self.languages.first() else { return Ok(Vec::new()) };
        wishes.iter().map(|wish| take(tx, wish, language, basis, now)).collect()
    }
}

fn take(
    tx: &mut Tx<'_>,
    wish: &Wish,
    language: &Language,
    basis: Option<&str>,
    now: UnixMillis,
) -> Result<Taken, StoreError> {
    let hash = suppressions::hash(tx, &wish.subscriber.address)?;
    if suppressions::is_suppressed(tx, &wish.subscriber.address)? {
        return Ok(Taken::StaysAway);
    }
    let known = subscribers::by_address(tx, &wish.subscriber.address)?;
    let (id, taken) = match known {
        Some(known) if known.unsubscribed_at.is_some() => return Ok(Taken::StaysAway),
        Some(known) if has_chosen(tx, known.id)? => return Ok(Taken::OwnChoice),
        Some(known) if has_all(tx, &known, wish)? => return Ok(Taken::Same),
        Some(known) => {
            subscribers::lock(tx, known.id)?;
            if known.language != wish.subscriber.language {
                subscribers::set_language(tx, known.id, &wish.subscriber.language)?;
            }
            profile::set_confirmed(tx, known.id, now)?;
            (known.id, Taken::Changed)
        }
        // Somebody was written to here, and has moved or was forgotten since.
        None if consents::knows_address(tx, &hash)? => return Ok(Taken::StaysAway),
        None => {
            subscribers::insert(tx, &wish.subscriber, now)?;
            (wish.subscriber.id, Taken::Added)
        }
    };
    for topic in &wish.topics {
        subscribers::subscribe(tx, id, topic, &wish.slot, now)?;
    }
    let mut detail = serde_json::json!({ "topics": wish.topics, "schedule": wish.slot.as_str() });
    if let Some(basis) = basis {
        detail["basis"] = basis.into();
    }
    let (act, source, actor) = (Act::Imported, "import", "operator");
    let imported = Consent { subscriber_id: id, address_hash: &hash, act, language, source, actor, detail: &detail };
    consents::record(tx, &imported, now)?;
    if taken == Taken::Changed {
        occurrences::fire_for(tx, id, now)?;
    }
    Ok(taken)
}

/// Whether somebody takes all that a row names already, in its language, and is vouched for: so that the same list twice changes
/// nothing.
fn has_all(tx: &mut Tx<'_>, known: &Subscriber, wish: &Wish) -> Result<bool, StoreError> {
    if known.language != wish.subscriber.language {
        return Ok(false);
    }
    if profile::of(tx, known.id)?.is_none_or(|profile| profile.confirmed_at.is_none()) {
        return Ok(false);
    }
    let theirs = subscribers::subscriptions(tx, known.id)?;
    let has = |topic: &String| theirs.iter().any(|one| one.topic == *topic && one.slot == wish.slot);
    Ok(wish.topics.iter().all(has))
}

/// Whether somebody confirmed, changed or ended something themselves.
fn has_chosen(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let is_own = |act: Act| !matches!(act, Act::Asked | Act::Imported | Act::Told);
    Ok(consents::of(tx, id)?.iter().any(|kept| is_own(kept.act)))
}

//! What is known of one person, all together: also of one who was erased, of whom the ledgers know the number.

use super::bounces::{self, Bounce};
use super::consents::{self, Kept};
use super::finding::{self, Found};
use super::profile::{self, Profile};
use super::subscribers::{self, Subscription};
use super::suppressions::{self, Suppression};
use super::wishes::{self, Wish};
use super::{StoreError, Tx};
use crate::domain::audience::Subscriber;
use crate::domain::clock::UnixMillis;

/// Refusals that are told.
const BOUNCES_TOLD: i64 = 50;

/// What is known of one person.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who they are, and how it stands.
    pub found: Found,
    /// The same for those who act.
    pub person: Subscriber,
    /// What they set themselves.
    pub profile: Profile,
    /// What they take.
    pub subscriptions: Vec<Subscription>,
    /// What they asked for and haven't confirmed.
    pub wishes: Vec<Wish>,
    /// Why they may not be written to, or might not once.
    pub suppression: Option<Suppression>,
    /// What came back, newest first.
    pub bounces: Vec<Bounce>,
}

/// A person's story.
#[derive(Clone, Debug)]
pub struct Story {
    /// Their number.
    pub id: i64,
    /// What is known of them; nothing more once they are erased.
    pub known: Option<Known>,
    /// What they agreed to and took back, newest first.
    pub consents: Vec<Kept>,
}

impl Story {
    /// When they were erased or left this number, if they did.
    #[must_use]
    pub fn erased_at(&self) -> Option<UnixMillis> {
        self.consents.iter().find(|kept| kept.act == consents::Act::Erased).map(|kept| kept.at)
    }
}

/// The story of a number. `None`: nobody ever had it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, id: i64) -> Result<Option<Story>, StoreError> {
    let mut consents = consents::of(tx, id)?;
    consents.reverse();
    let known = known(tx, id)?;
    Ok((known.is_some() || !consents.is_empty()).then_some(Story { id, known, consents }))
}

fn known(tx: &mut Tx<'_>, id: i64) -> Result<Option<Known>, StoreError> {
    let (Some(found), Some(person), Some(profile)) =
        (finding::by_number(tx, id)?, subscribers::find(tx, id)?, profile::of(tx, id)?)
    else {
        return Ok(None);
    };
    Ok(Some(Known {
        suppression: suppressions::find(tx, &person.address)?,
        subscriptions: subscribers::subscriptions(tx, id)?,
        wishes: wishes::of(tx, id)?,
        bounces: bounces::of_subscriber(tx, id, BOUNCES_TOLD)?,
        found,
        person,
        profile,
    }))
}

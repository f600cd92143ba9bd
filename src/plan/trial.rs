//! An issue as an operator shows it to colleagues: a real mail to each, marked as a test. It moves no mark and counts for nobody as
//! given.

use super::chunk::MAIL;
use super::preview::Issue;
use super::{Planner, Rules, digest};
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{DeliveryKey, Lane};
use crate::domain::edition::{Content, EditionKind};
use crate::domain::ids;
use crate::store::{StoreError, Tx, changes, deliveries, editions, occurrences, profile, subscribers, suppressions};

/// Somebody whom an issue is shown to.
#[derive(Clone, Debug)]
pub struct Colleague {
    /// Where.
    pub address: Address,
    /// The number they are known by if nobody has the address yet. Whoever never confirms it is forgotten again.
    pub fresh_id: i64,
}

/// What became of a trial for one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// It goes out by this delivery.
    Planned(DeliveryKey),
    /// Their address may not be written to.
    Suppressed,
}

impl Planner {
    /// Sends an issue to colleagues as a test. Returns what became of it, in their order.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub async fn show(&self, issue: &Issue, to: Vec<Colleague>) -> Result<Vec<Shown>, StoreError> {
        let (rules, content, now) = (self.rules.clone(), issue.edition.content.clone(), self.store.now().await?);
        let shown = self.store.write(move |tx| show(tx, &rules, &content, &to, now)).await?;
        self.tell();
        Ok(shown)
    }
}

fn show(
    tx: &mut Tx<'_>,
    rules: &Rules,
    content: &Content,
    to: &[Colleague],
    now: UnixMillis,
) -> Result<Vec<Shown>, StoreError> {
    let slot = Slot::of(EditionKind::Test.word());
    let plan_id = ids::occurrence_id(slot.as_str(), now.0, &content.key());
    let bound = changes::head(tx)?;
    occurrences::ensure_planned(tx, &digest::occurrence(plan_id, &slot, now, 0, bound, now), now)?;
    let content = Content { kind: EditionKind::Test, ..content.clone() };
    let edition_id = editions::ensure(tx, plan_id, &content, now)?;
    let mut shown = Vec::with_capacity(to.len());
    for colleague in to {
        if suppressions::is_suppressed(tx, &colleague.address)? {
            shown.push(Shown::Suppressed);
            continue;
        }
        let recipient_id = match subscribers::by_address(tx, &colleague.address)? {
            Some(known) => known.id,
            None => {
                let (id, address) = (colleague.fresh_id, colleague.address.clone());
                let language = content.language.clone();
                let stranger =
                    Subscriber { id, address, name: None, language, text_only: false, unsubscribed_at: None };
                profile::insert_stranger(tx, &stranger, now)?;
                id
            }
        };
        let (_, destination) = rules.route(&content.schedule, &content.language, colleague.address.domain());
        let key = DeliveryKey { plan_id, recipient_id, carrier: MAIL.to_owned() };
        deliveries::put(tx, &key, edition_id, destination, Lane::Transactional, now, now)?;
        shown.push(Shown::Planned(key));
    }
    Ok(shown)
}

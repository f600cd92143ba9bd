//! Stage 5: what comes back: answers that were lost, bounces, complaints, unsubscribe mails (docs/adr/0008).

pub mod inbound;
pub mod listener;

use crate::domain::clock::UnixMillis;
use crate::store::{Store, StoreError, Tx, deliveries};

/// What becomes of a mail whose answer was lost (docs/adr/0003-uncertain.md).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Uncertain {
    /// It is sent again after a wait, with the same bytes and Message-ID.
    #[default]
    Resend,
    /// It waits for an operator (`allim delivery retry`). What is pushed to programs doesn't: they know a repeat by its id.
    Hold,
}

/// Settles uncertain deliveries whose wait is over. Returns how many are due again, and when to look next.
///
/// # Errors
/// [`StoreError`] from the database.
pub async fn settle(store: &Store, policy: Uncertain) -> Result<(u64, Option<UnixMillis>), StoreError> {
    let now = store.now().await?;
    let with_mail = policy == Uncertain::Resend;
    let settle = move |tx: &mut Tx<'_>| {
        let settled = deliveries::settle_uncertain(tx, now, with_mail)?;
        Ok((settled, if with_mail { deliveries::next_uncertain(tx)? } else { None }))
    };
    store.write(settle).await
}

//! Addresses that may not be written to, by a keyed hash, so that the knowledge outlives the subscriber.

use super::value::params;
use super::{StoreError, Tx};
use crate::domain::audience::Address;

/// PLACEHOLDER.
///
/// # Errors
/// [`StoreError`].
pub fn hash(_tx: &mut Tx<'_>, address: &Address) -> Result<String, StoreError> {
    Ok(crate::domain::ids::content_hash(address.key().as_bytes()))
}

/// PLACEHOLDER.
///
/// # Errors
/// [`StoreError`].
pub fn is_suppressed(tx: &mut Tx<'_>, hash: &str) -> Result<bool, StoreError> {
    const SQL: &str = "SELECT 1 FROM suppressions WHERE address_hash = $1 AND lifted_at IS NULL";
    Ok(tx.query_opt(SQL, params![hash])?.is_some())
}

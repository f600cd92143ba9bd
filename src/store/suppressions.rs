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

/// PLACEHOLDER.
///
/// # Errors
/// [`StoreError`].
pub fn erased(tx: &mut Tx<'_>, address: &Address, now: crate::domain::clock::UnixMillis) -> Result<(), StoreError> {
    let hash = hash(tx, address)?;
    const SQL: &str =
        "INSERT INTO suppressions (address_hash, reason, evidence, since_at) VALUES ($1, 'erased', '', $2)
         ON CONFLICT (address_hash) DO UPDATE SET reason = 'erased', evidence = '', lifted_at = NULL, until_at = NULL";
    tx.execute(SQL, params![hash, now]).map(drop)
}

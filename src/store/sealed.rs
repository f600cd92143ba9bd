//! Under which seal secrets of others are kept. Another seal couldn't open them, so that whoever brings one hears of it at once.

use super::{StoreError, Tx, accounts, endpoints, identity, partners};

/// What is known of the seal.
fn kept(tx: &mut Tx<'_>) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT value FROM facts WHERE name = 'seal'";
    tx.query_opt(SQL, &[])?.map(|row| row.text(0)).transpose()
}

/// Whether anything sealed is kept.
fn any(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(partners::any_sealed(tx)? || accounts::any_sealed(tx)?)
}

/// The name of another seal, if something is kept under it.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn other(tx: &mut Tx<'_>, name: &str) -> Result<Option<String>, StoreError> {
    let other = kept(tx)?.filter(|kept| kept != name);
    if other.is_some() && any(tx)? { Ok(other) } else { Ok(None) }
}

/// Something is about to be kept under a seal: call it in the same transaction, before.
pub fn keep(tx: &mut Tx<'_>, name: &str) -> Result<(), StoreError> {
    // One at a time, so that of two replicas with different seals one hears of the other.
    endpoints::lock_pushed(tx)?;
    match other(tx, name)? {
        None => identity::set_fact(tx, "seal", name),
        Some(other) => Err(StoreError::Refused(format!(
            "secrets are kept under the seal {other}, and this process has {name}: give it the same key (instance.seal_key_file)"
        ))),
    }
}

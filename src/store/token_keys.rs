//! The keys of the tokens in mailed links. They live in the store, so that replicas share them and a restored backup
//! keeps old mails working. The newest that is older than a delivery signs it; every one verifies.

use super::value::params;
use super::{StoreError, Tx};
use crate::domain::clock::UnixMillis;

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKey {
    /// Its short name, which stands in the token.
    pub id: String,
    /// 32 random bytes in hexadecimal.
    pub secret: String,
    /// From when on it signs.
    pub created_at: UnixMillis,
}

/// All keys, oldest first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn all(tx: &mut Tx<'_>) -> Result<Vec<TokenKey>, StoreError> {
    let rows = tx.query("SELECT id, secret, created_at FROM token_keys ORDER BY created_at, id", &[])?;
    rows.iter().map(|row| Ok(TokenKey { id: row.text(0)?, secret: row.text(1)?, created_at: row.at(2)? })).collect()
}

/// Adds a key.
///
/// # Errors
/// [`StoreError`] from the database, also when the id is taken.
pub fn insert(tx: &mut Tx<'_>, key: &TokenKey) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO token_keys (id, secret, created_at) VALUES ($1, $2, $3)";
    tx.change("adding a token key", 1, SQL, params![&key.id, &key.secret, key.created_at])
}

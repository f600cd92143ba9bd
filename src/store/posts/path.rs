//! Which way a post came.

use super::find;
use crate::store::{StoreError, Tx};

/// The allims that a post came through, oldest first; empty for one that was published here first. It is told to none of them.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn path(tx: &mut Tx<'_>, post_id: &str) -> Result<Vec<String>, StoreError> {
    Ok(find(tx, post_id)?.map(|(_, post)| post.path).unwrap_or_default())
}

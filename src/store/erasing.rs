//! Erasing somebody beyond their own row: what holds their address only by the way, and what there is to tell beforehand.

use super::value::params;
use super::{Store, StoreError, Tx, consents, rosters};
use crate::domain::audience::Address;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

/// Mails that came in and are looked through in one transaction: others write in between.
const MAILS_MAX: i64 = 100;
/// Rows that are counted before it is said that there are more.
pub const COUNTED_MAX: i64 = 1_000;

/// What erasing somebody takes away, and what stays: in numbers, up to [`COUNTED_MAX`] each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// Subscriptions that go.
    pub subscriptions: i64,
    /// Refusals that go.
    pub bounces: i64,
    /// Rows in the ledger of consent that stay, with a number and a keyed hash.
    pub consents: i64,
}

/// What erasing somebody would come to.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn outlook(tx: &mut Tx<'_>, id: i64) -> Result<Outlook, StoreError> {
    const SUBSCRIPTIONS: &str = "SELECT COUNT(*) FROM subscriptions WHERE subscriber_id = $1";
    const BOUNCES: &str = "SELECT COUNT(*) FROM (SELECT 1 FROM bounces WHERE subscriber_id = $1 LIMIT $2) b";
    let mut count = |sql, params: &[_]| tx.query_opt(sql, params)?.map_or(Ok(0), |row| row.int(0));
    let subscriptions = count(SUBSCRIPTIONS, params![id])?;
    let bounces = count(BOUNCES, params![id, COUNTED_MAX])?;
    let consents = i64::try_from(consents::of(tx, id)?.len()).unwrap_or(i64::MAX);
    Ok(Outlook { subscriptions, bounces, consents })
}

/// Takes an address out of what holds it by the way: mails that came back, and lists that somebody handed in. Call it once the
/// person is erased; whatever a crash leaves is gone by itself within 30 days.
///
/// # Errors
/// [`StoreError`] from the database.
pub async fn sweep(store: &Store, address: &Address) -> Result<(), StoreError> {
    let key = address.key();
    let struck = key.clone();
    store.write(move |tx| rosters::strike_out(tx, &struck)).await?;
    let mut after = String::new();
    loop {
        let (from, key) = (after.clone(), key.clone());
        match store.write(move |tx| sweep_mails(tx, &from, &key)).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// Looks through the next mails after an id. Returns the last one, if there may be more.
fn sweep_mails(tx: &mut Tx<'_>, after: &str, key: &str) -> Result<Option<String>, StoreError> {
    const SQL: &str = "SELECT id, message, envelope_to FROM inbound WHERE id > $1 ORDER BY id LIMIT $2";
    let rows = tx.query(SQL, params![after, MAILS_MAX])?;
    for row in &rows {
        let bytes = STANDARD.decode(row.text(1)?).map_err(|e| StoreError::Shape(format!("a stored mail: {e}")))?;
        if names(&bytes, key) || row.text(2)?.to_lowercase().contains(key) {
            tx.change("erasing a mail", 1, "DELETE FROM inbound WHERE id = $1", params![row.text(0)?])?;
        }
    }
    if (rows.len() as i64) < MAILS_MAX {
        return Ok(None);
    }
    rows.last().map(|row| row.text(0)).transpose()
}

/// Whether a mail names an address, as plain text or in quoted-printable (RFC 2045 section 6.7).
fn names(bytes: &[u8], key: &str) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    text.contains(key) || text.replace("=\r\n", "").replace("=\n", "").replace("=40", "@").contains(key)
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn an_address_is_found_as_it_is_written_in_mails() {
        let key = "kim.hana@example.net";
        assert!(names(b"To: Kim.Hana@Example.NET\r\n", key));
        assert!(names(b"<p>kim.ha=\r\nna=40example.net</p>", key));
        assert!(!names(b"To: kim@example.net\r\n", key));
    }
}

//! Own accounts at social networks: their logins, their slots, and what they said.

use super::endpoints::{self, New};
use super::value::params;
use super::{Row, StoreError, Tx, sealed};
use crate::domain::account::Rule;
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::DeliveryKey;

/// What is stored of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Its login, sealed, if a newer one was got than is configured.
    pub login: Option<String>,
    /// Of which configured login that is.
    pub login_of: Option<String>,
    /// Since when a person must log in again, and why.
    pub login_failed: Option<(UnixMillis, String)>,
    /// Up to when its slots were used.
    pub slot_at: Option<UnixMillis>,
}

/// An account's row, or an empty one.
///
/// # Errors
/// [`StoreError`] from the database. So with all below.
pub fn find(tx: &mut Tx<'_>, endpoint_id: i64) -> Result<Account, StoreError> {
    const SQL: &str = "SELECT login, login_of, login_failed_at, login_failed_why, slot_at FROM accounts
         WHERE endpoint_id = $1";
    let Some(row) = tx.query_opt(SQL, params![endpoint_id])? else { return Ok(Account::default()) };
    Ok(Account {
        login: row.text_opt(0)?,
        login_of: row.text_opt(1)?,
        login_failed: row
            .at_opt(2)?
            .map(|at| Ok::<_, StoreError>((at, row.text_opt(3)?.unwrap_or_default())))
            .transpose()?,
        slot_at: row.at_opt(4)?,
    })
}

/// Makes what is configured, and ends what isn't any more, with what waits for it. A new account is told of what comes from now on.
pub fn tidy(tx: &mut Tx<'_>, rules: &[Rule], now: UnixMillis) -> Result<(), StoreError> {
    for rule in rules {
        let new = New { carrier: &rule.carrier, subject: &rule.name, url: "", secret: None, until_at: None };
        let id = endpoints::ensure(tx, &new, now)?;
        tx.execute("INSERT INTO accounts (endpoint_id) VALUES ($1) ON CONFLICT (endpoint_id) DO NOTHING", params![id])?;
    }
    const LIVE: &str =
        "SELECT a.endpoint_id FROM accounts a JOIN endpoints e ON e.id = a.endpoint_id WHERE e.ended_at IS NULL";
    for row in tx.query(LIVE, &[])? {
        let id = row.int(0)?;
        if !rules.iter().any(|rule| rule.endpoint_id() == id) {
            endpoints::end(tx, id, "the configuration doesn't name it any more", now)?;
        }
    }
    Ok(())
}

/// Keeps a login, sealed under the seal of this name; whether it works will be seen. `of` is the hash of the configured one.
pub fn keep_login(tx: &mut Tx<'_>, endpoint_id: i64, sealed: &str, seal: &str, of: &str) -> Result<(), StoreError> {
    sealed::keep(tx, seal)?;
    const SQL: &str = "INSERT INTO accounts (endpoint_id, login, login_of) VALUES ($1, $2, $3)
         ON CONFLICT (endpoint_id) DO UPDATE SET login = excluded.login, login_of = excluded.login_of";
    tx.change("keeping a login", 1, SQL, params![endpoint_id, sealed, of])
}

/// Whether any login is kept.
pub(super) fn any_sealed(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.query_opt("SELECT 1 FROM accounts WHERE login IS NOT NULL LIMIT 1", &[])?.is_some())
}

/// A person must log in again. Returns whether that is new.
pub fn login_failed(tx: &mut Tx<'_>, endpoint_id: i64, why: &str, now: UnixMillis) -> Result<bool, StoreError> {
    const SQL: &str = "INSERT INTO accounts (endpoint_id, login_failed_at, login_failed_why) VALUES ($1, $2, $3)
         ON CONFLICT (endpoint_id) DO UPDATE SET login_failed_at = excluded.login_failed_at,
             login_failed_why = excluded.login_failed_why WHERE accounts.login_failed_at IS NULL";
    Ok(tx.execute(SQL, params![endpoint_id, now, why])? == 1)
}

/// The login works. Returns whether it didn't before.
pub fn login_works(tx: &mut Tx<'_>, endpoint_id: i64) -> Result<bool, StoreError> {
    const SQL: &str = "UPDATE accounts SET login_failed_at = NULL, login_failed_why = NULL
         WHERE endpoint_id = $1 AND login_failed_at IS NOT NULL";
    Ok(tx.execute(SQL, params![endpoint_id])? == 1)
}

/// How many logins wait for a person.
pub fn logins_failed(tx: &mut Tx<'_>) -> Result<i64, StoreError> {
    const SQL: &str = "SELECT COUNT(*) FROM accounts a JOIN endpoints e ON e.id = a.endpoint_id
         WHERE a.login_failed_at IS NOT NULL AND e.ended_at IS NULL";
    tx.query_opt(SQL, &[])?.map_or(Ok(0), |row| row.int(0))
}

/// What an account said of a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The revision that it tells.
    pub revision: i64,
    /// The network's name of it, as JSON.
    pub remote: String,
    /// When it was said.
    pub said_at: UnixMillis,
    /// When it was taken away.
    pub gone_at: Option<UnixMillis>,
}

/// What an account said of a post, if anything.
pub fn said(tx: &mut Tx<'_>, endpoint_id: i64, post_id: &str) -> Result<Option<Said>, StoreError> {
    const SQL: &str = "SELECT revision, remote, said_at, gone_at FROM said WHERE endpoint_id = $1 AND post_id = $2";
    let read = |row: Row| {
        Ok(Said { revision: row.int(0)?, remote: row.text(1)?, said_at: row.at(2)?, gone_at: row.at_opt(3)? })
    };
    tx.query_opt(SQL, params![endpoint_id, post_id])?.map(read).transpose()
}

/// Keeps what an account said of a post at this revision. One that is known keeps the time at which it was first said.
pub fn keep_said(
    tx: &mut Tx<'_>,
    endpoint_id: i64,
    (post_id, revision): (&str, i64),
    remote: &str,
    now: UnixMillis,
) -> Result<(), StoreError> {
    const SQL: &str = "INSERT INTO said (endpoint_id, post_id, revision, remote, said_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (endpoint_id, post_id) DO UPDATE SET revision = excluded.revision, remote = excluded.remote";
    tx.change("keeping what was said", 1, SQL, params![endpoint_id, post_id, revision, remote, now])
}

/// What an account said of a post was taken away.
pub fn unsaid(tx: &mut Tx<'_>, endpoint_id: i64, post_id: &str, now: UnixMillis) -> Result<(), StoreError> {
    const SQL: &str = "UPDATE said SET gone_at = $3 WHERE endpoint_id = $1 AND post_id = $2 AND gone_at IS NULL";
    tx.execute(SQL, params![endpoint_id, post_id, now]).map(drop)
}

/// How an endpoint stands to a post; the later ones outweigh those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holding {
    /// It wasn't told of it, or nothing came of that.
    Nothing,
    /// It is to be told of it, and nothing was said yet.
    Waits,
    /// It may be told of it this moment.
    Taken,
    /// It may have been told of it.
    InDoubt,
    /// It was told of it.
    Has,
}

/// How an endpoint stands to a post, whatever was planned of it.
pub fn holding(tx: &mut Tx<'_>, endpoint_id: i64, carrier: &str, post_id: &str) -> Result<Holding, StoreError> {
    const SQL: &str = "SELECT d.state, d.reason, d.uncertain_at
         FROM edition_items i JOIN editions e ON e.id = i.edition_id
         JOIN deliveries d ON d.plan_id = e.plan_id AND d.recipient_id = $1 AND d.carrier = $2 AND d.edition_id = e.id
         WHERE i.post_id = $3 AND e.kind = 'push' ORDER BY d.planned_at DESC, i.revision DESC";
    let mut holding = Holding::Nothing;
    for (index, row) in tx.query(SQL, params![endpoint_id, carrier, post_id])?.iter().enumerate() {
        let (state, reason) = (row.text(0)?, row.text_opt(1)?.unwrap_or_default());
        let one = match (state.as_str(), reason.as_str(), row.at_opt(2)?) {
            ("sent", ..) => Holding::Has,
            ("sending" | "uncertain", ..) => Holding::InDoubt,
            // What was cancelled for a revision goes on as that.
            ("cancelled", "superseded", None) if index == 0 => Holding::Waits,
            ("cancelled", ..) => Holding::Nothing,
            // What was given up in doubt may be there all the same.
            (.., Some(_)) => Holding::InDoubt,
            ("claimed", ..) => Holding::Taken,
            ("due", ..) => Holding::Waits,
            // What couldn't be said as it was may be said as it is now.
            ("refused", "render_failed" | "content_refused", None) if index == 0 => Holding::Waits,
            _ => Holding::Nothing,
        };
        holding = holding.max(one);
    }
    Ok(holding)
}

/// Deliveries of a post to an account, but one of them: statements that differ in which share the rest.
macro_rules! told_sql {
    ($rest:literal) => {
        concat!(
            "SELECT d.plan_id, d.edition_id, i.revision, d.planned_at
             FROM edition_items i JOIN editions e ON e.id = i.edition_id
             JOIN deliveries d ON d.plan_id = e.plan_id AND d.recipient_id = $1 AND d.carrier = $2 AND d.edition_id = e.id
             WHERE i.post_id = $3 AND e.kind = 'push' AND d.plan_id <> $4 ",
            $rest
        )
    };
}

/// A delivery, other than `but`, by which an account told of a post for sure.
pub fn was_sent(tx: &mut Tx<'_>, but: &DeliveryKey, post_id: &str) -> Result<Option<Doubt>, StoreError> {
    const SQL: &str = told_sql!(
        "AND d.state = 'sent'
         ORDER BY d.planned_at LIMIT 1"
    );
    let values = params![but.recipient_id, &but.carrier, post_id, but.plan_id];
    tx.query_opt(SQL, values)?.map(|row| told(&row, but)).transpose()
}

fn told(row: &Row, like: &DeliveryKey) -> Result<Doubt, StoreError> {
    let key = DeliveryKey { plan_id: row.int(0)?, ..like.clone() };
    Ok(Doubt { key, edition_id: row.int(1)?, revision: row.int(2)?, planned_at: row.at(3)? })
}

/// A delivery whose answer was lost, and so whatever it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// Which.
    pub key: DeliveryKey,
    /// Its content.
    pub edition_id: i64,
    /// The revision that it told.
    pub revision: i64,
    /// When it was planned.
    pub planned_at: UnixMillis,
}

/// A delivery to an account, other than `but`, that may have told of a post without anybody knowing.
pub fn doubt(tx: &mut Tx<'_>, but: &DeliveryKey, post_id: &str) -> Result<Option<Doubt>, StoreError> {
    const SQL: &str = told_sql!("AND (d.state IN ('sending', 'uncertain')
                OR (d.uncertain_at IS NOT NULL AND d.state IN ('due', 'claimed', 'abandoned', 'refused'))) ORDER BY d.planned_at DESC LIMIT 1");
    let values = params![but.recipient_id, &but.carrier, post_id, but.plan_id];
    tx.query_opt(SQL, values)?.map(|row| told(&row, but)).transpose()
}

/// A delivery whose answer was lost is settled by what was found at the network, or by a person. Returns whether it was uncertain.
pub fn settle_doubt(tx: &mut Tx<'_>, key: &DeliveryKey, is_there: bool, now: UnixMillis) -> Result<bool, StoreError> {
    const SENT: &str = "UPDATE deliveries SET state = 'sent', reason = 'accepted', finished_at = $4
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3 AND state = 'uncertain'";
    const AGAIN: &str = "UPDATE deliveries SET state = 'due', due_at = $4, uncertain_at = NULL, finished_at = NULL
         WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3 AND state = 'uncertain'
           AND (carrier = 'email' OR EXISTS (SELECT 1 FROM endpoints x WHERE x.id = deliveries.recipient_id AND x.ended_at IS NULL))";
    let settled = tx
        .execute(if is_there { SENT } else { AGAIN }, params![key.plan_id, key.recipient_id, &key.carrier, now])?
        == 1;
    if settled && !is_there {
        // What replaced it meanwhile takes its place.
        const REOPEN: &str =
            "UPDATE editions SET closed_at = NULL, moved_at = NULL WHERE id = (SELECT edition_id FROM deliveries
             WHERE plan_id = $1 AND recipient_id = $2 AND carrier = $3)";
        tx.execute(REOPEN, params![key.plan_id, key.recipient_id, &key.carrier])?;
    }
    Ok(settled)
}

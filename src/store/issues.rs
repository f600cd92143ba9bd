//! Issues of digests that went out, as everybody may see them.
//!
//! What is listed follows from two things alone: when a digest fired at its own hour, and what was released until then. It is what the
//! issue held for a reader of every topic, and not one of the editions that were mailed: those differ by what their readers combine,
//! which is nobody else's business (`domain/web_copy.rs`), as is the hour that somebody chose for themselves. Of the ledger only one bit
//! is asked, whether anything of the issue was sent; what wasn't (held, superseded, or owed to nobody) stands in the next one that was.

use super::value::params;
use super::{Row, StoreError, Tx};
use crate::domain::audience::Slot;
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::store::posts;

/// One issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// The digest.
    pub digest: String,
    /// The instant it was due, by which it is known.
    pub due_at: UnixMillis,
    /// It holds what was released with numbers above this one…
    pub floor: i64,
    /// …and up to this.
    pub bound: i64,
}

/// A firing for everybody at the digest's own hour, of which something was sent. `o` is the firing. The first line is that of the index.
macro_rules! went_out {
    ($o:literal) => {
        concat!(
            "(",
            $o,
            ".planned > 0 AND ",
            $o,
            ".recipient_id IS NULL AND ",
            $o,
            ".schedule <> 'immediate'
              AND (EXISTS (SELECT 1 FROM batches b WHERE b.plan_id = ",
            $o,
            ".id AND b.state <> 'cancelled'
                       AND b.open < b.size - b.own_count)
                   OR EXISTS (SELECT 1 FROM deliveries d WHERE d.plan_id = ",
            $o,
            ".id AND d.state = 'sent')))"
        )
    };
}

/// Issues with where they begin: behind the one before that went out; the first one ever, with the oldest post that it brought anybody.
macro_rules! issue_sql {
    ($rest:literal) => {
        concat!(
            "SELECT o.slot, o.due_at, o.bound,
                 COALESCE((SELECT x.bound FROM occurrences x WHERE x.slot = o.slot AND x.due_at < o.due_at AND ",
            went_out!("x"),
            " ORDER BY x.due_at DESC LIMIT 1),
                     (SELECT MIN(r.seq) - 1 FROM editions e JOIN edition_items i ON i.edition_id = e.id
                          JOIN releases r ON r.story_id = i.story_id AND r.language = e.language
                      WHERE e.plan_id = o.id AND e.kind = 'issue' AND i.form = 'post'), o.bound)
             FROM occurrences o WHERE o.slot = $1 AND o.slot = o.schedule AND ",
            went_out!("o"),
            $rest
        )
    };
}

/// The newest issues of some digests, due before an instant; where two are due at the same one, in the order of the digests' names,
/// behind the digest that `before` names.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn list(
    tx: &mut Tx<'_>,
    digests: &[String],
    before: Option<&(UnixMillis, String)>,
    limit: usize,
) -> Result<Vec<Issue>, StoreError> {
    const SQL: &str = issue_sql!(" AND o.due_at < $2 ORDER BY o.due_at DESC LIMIT $3");
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut issues = Vec::new();
    for digest in digests {
        let until = match before {
            None => i64::MAX,
            Some((at, last)) if digest > last => at.0.saturating_add(1),
            Some((at, _)) => at.0,
        };
        let rows = tx.query(SQL, params![Slot::of(digest).as_str(), until, most])?;
        issues.extend(rows.iter().map(issue).collect::<Result<Vec<_>, _>>()?);
    }
    issues.sort_by(|one, other| (other.due_at, &one.digest).cmp(&(one.due_at, &other.digest)));
    issues.truncate(limit);
    Ok(issues)
}

/// The issue of a digest that was due at an instant.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, digest: &str, due_at: UnixMillis) -> Result<Option<Issue>, StoreError> {
    const SQL: &str = issue_sql!(" AND o.due_at = $2 LIMIT 1");
    tx.query_opt(SQL, params![Slot::of(digest).as_str(), due_at])?.as_ref().map(issue).transpose()
}

fn issue(row: &Row) -> Result<Issue, StoreError> {
    Ok(Issue { digest: row.text(0)?, due_at: row.at(1)?, bound: row.int(2)?, floor: row.int(3)? })
}

/// How many posts an issue holds for readers of a language, at most `limit` looked at.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn count(tx: &mut Tx<'_>, issue: &Issue, language: &str, limit: i64) -> Result<i64, StoreError> {
    const SQL: &str =
        "SELECT COUNT(*) FROM (SELECT DISTINCT rt.story_id FROM release_topics rt JOIN posts p ON p.id = rt.post_id
         WHERE rt.seq > $1 AND rt.seq <= $2 AND rt.language = $3
           AND p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL LIMIT $4) found";
    let row = tx.query_opt(SQL, params![issue.floor, issue.bound, language, limit])?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// What an issue holds for readers of a language, in the order in which it was released, at the newest revisions; what may not be shown
/// any more too, for whoever asks to leave it out.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn posts(tx: &mut Tx<'_>, issue: &Issue, language: &str, limit: i64) -> Result<Vec<(Standing, Post)>, StoreError> {
    const SQL: &str = "SELECT rt.post_id, p.revision FROM release_topics rt JOIN posts p ON p.id = rt.post_id
         WHERE rt.seq > $1 AND rt.seq <= $2 AND rt.language = $3
         GROUP BY rt.post_id, p.revision ORDER BY MIN(rt.seq) LIMIT $4";
    let rows = tx.query(SQL, params![issue.floor, issue.bound, language, limit])?;
    let wanted = rows.iter().map(|row| Ok((row.text(0)?, row.int(1)?))).collect::<Result<Vec<_>, StoreError>>()?;
    posts::at_revisions(tx, &wanted)
}

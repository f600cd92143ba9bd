//! Brings the tables up to date: one series for both databases. A published migration is never edited.

use super::value::params;
use super::{Dialect, Found, StoreError, Tx};

/// What a migration means to programs that don't know it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// They would do wrong by it, so none may be running.
    Breaks,
    /// It adds what they needn't know: a table, an index, a column with a default that is right for what they write. So
    /// versions can be changed one replica after the other; what is of no use any more is taken away by a later version.
    Expands,
}

/// Every migration, oldest first: number, name, kind, statements parted by `;`.
const SERIES: &[(i64, &str, Kind, &str)] = &[
    (1, "first", Kind::Breaks, include_str!("migrations/0001_first.sql")),
    (2, "batches", Kind::Breaks, include_str!("migrations/0002_batches.sql")),
    (3, "restore", Kind::Breaks, include_str!("migrations/0003_restore.sql")),
    (4, "relays", Kind::Breaks, include_str!("migrations/0004_relays.sql")),
    (5, "intake", Kind::Breaks, include_str!("migrations/0005_intake.sql")),
    (6, "expansions", Kind::Breaks, include_str!("migrations/0006_expansions.sql")),
    (7, "fewer_trees", Kind::Breaks, include_str!("migrations/0007_fewer_trees.sql")),
    (8, "people", Kind::Breaks, include_str!("migrations/0008_people.sql")),
    (9, "letters", Kind::Breaks, include_str!("migrations/0009_letters.sql")),
    (10, "views", Kind::Expands, include_str!("migrations/0010_views.sql")),
    (11, "endpoints", Kind::Breaks, include_str!("migrations/0011_endpoints.sql")),
    (12, "pages", Kind::Expands, include_str!("migrations/0012_pages.sql")),
    (13, "media", Kind::Expands, include_str!("migrations/0013_media.sql")),
    (14, "private_feeds", Kind::Expands, include_str!("migrations/0014_private_feeds.sql")),
    (15, "accounts", Kind::Breaks, include_str!("migrations/0015_accounts.sql")),
    (16, "partners", Kind::Breaks, include_str!("migrations/0016_partners.sql")),
    (17, "sources", Kind::Expands, include_str!("migrations/0017_sources.sql")),
    (18, "staff", Kind::Expands, include_str!("migrations/0018_staff.sql")),
    (19, "tallies", Kind::Expands, include_str!("migrations/0019_tallies.sql")),
    (20, "people_search", Kind::Expands, include_str!("migrations/0020_people_search.sql")),
    (21, "freezes", Kind::Expands, include_str!("migrations/0021_freezes.sql")),
    (22, "promises", Kind::Expands, include_str!("migrations/0022_promises.sql")),
    (23, "drafts", Kind::Expands, include_str!("migrations/0023_drafts.sql")),
];

/// Applies what is missing. Safe to run from several replicas at once.
pub(super) fn run(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute("CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)", &[])?;
    if tx.dialect() == Dialect::Postgres {
        tx.execute("LOCK TABLE migrations IN EXCLUSIVE MODE", &[])?;
    }
    let newest = tx.query_opt("SELECT COALESCE(MAX(version), 0) FROM migrations", &[])?;
    let applied = newest.map_or(Ok(0), |row| row.int(0))?;
    let known = known();
    if applied > known && !is_expanded_only(tx, known)? {
        return Err(StoreError::Refused(format!(
            "this database is at version {applied}, this program knows up to {known}: run the newer allim"
        )));
    }
    let missing = || SERIES.iter().filter(|(version, ..)| *version > applied);
    if applied > 0 && missing().any(|(.., kind, _)| *kind == Kind::Breaks) && is_in_use(tx)? {
        return Err(StoreError::Refused(format!(
            "a daemon of an older version is running on this database: stop it first; this program moves version {applied} to {known}"
        )));
    }
    for (version, name, kind, text) in missing() {
        for statement in statements(text) {
            if tx.dialect() == Dialect::Sqlite && statement.contains("{postgres only}") {
                continue;
            }
            tx.execute(statement, &[])?;
        }
        tx.execute("INSERT INTO migrations (version, name) VALUES ($1, $2)", params![*version, *name])?;
        if *kind == Kind::Expands {
            tx.execute("INSERT INTO expansions (version) VALUES ($1)", params![*version])?;
        }
    }
    Ok(())
}

/// Whether a program that knows the series up to `known` may run on what came after it.
fn is_expanded_only(tx: &mut Tx<'_>, known: i64) -> Result<bool, StoreError> {
    const BREAKING: &str =
        "SELECT 1 FROM migrations WHERE version > $1 AND version NOT IN (SELECT version FROM expansions) LIMIT 1";
    Ok(tx.query_opt(BREAKING, params![known])?.is_none())
}

/// Whether a process holds its lease. What an older one doesn't know of it would do wrong.
fn is_in_use(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let sql = match tx.dialect() {
        Dialect::Sqlite => {
            "SELECT 1 FROM processes WHERE ended_at IS NULL AND lease_until_at > CAST(strftime('%s', 'now') AS INTEGER) * 1000"
        }
        Dialect::Postgres => {
            "SELECT 1 FROM processes WHERE ended_at IS NULL
               AND lease_until_at > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"
        }
    };
    Ok(tx.query_opt(sql, &[])?.is_some())
}

/// The newest version of the series.
pub(super) fn known() -> i64 {
    SERIES.last().map_or(0, |(version, ..)| *version)
}

/// The version that a database is at; changes nothing.
pub(super) fn applied(tx: &mut Tx<'_>) -> Result<Found, StoreError> {
    let there = match tx.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'migrations'",
        Dialect::Postgres => {
            "SELECT CAST(tablename AS TEXT) FROM pg_tables
             WHERE tablename = 'migrations' AND schemaname = ANY(current_schemas(false))"
        }
    };
    if tx.query_opt(there, &[])?.is_none() {
        return Ok(Found::Empty);
    }
    let newest = tx.query_opt("SELECT COALESCE(MAX(version), 0) FROM migrations", &[])?;
    let version = newest.map_or(Ok(0), |row| row.int(0))?;
    // What only adds changes nothing for this program.
    let version = if version > known() && is_expanded_only(tx, known())? { known() } else { version };
    Ok(if version == 0 { Found::Empty } else { Found::Version(version) })
}

/// The statements of a migration. A `;` at the end of a line ends one; comments stand on lines of their own.
fn statements(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.split(
        ";
",
    )
    .map(str::trim)
    .filter(|statement| !is_blank(statement))
}

fn is_blank(statement: &str) -> bool {
    statement.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with("--"))
}

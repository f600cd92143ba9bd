//! Brings the tables up to date: one series for both databases. A published migration is never edited.

use super::value::params;
use super::{StoreError, Tx};

/// Every migration, oldest first: number, name, statements parted by `;`.
const SERIES: &[(i64, &str, &str)] = &[(1, "first", include_str!("migrations/0001_first.sql"))];

/// Applies what is missing. Safe to run from several replicas at once.
pub(super) fn run(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    tx.execute("CREATE TABLE IF NOT EXISTS migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL)", &[])?;
    if tx.dialect() == super::Dialect::Postgres {
        tx.execute("LOCK TABLE migrations IN EXCLUSIVE MODE", &[])?;
    }
    let newest = tx.query_opt("SELECT COALESCE(MAX(version), 0) FROM migrations", &[])?;
    let applied = newest.map_or(Ok(0), |row| row.int(0))?;
    let known = SERIES.last().map_or(0, |(version, ..)| *version);
    if applied > known {
        return Err(StoreError::Refused(format!(
            "this database is at version {applied}, this program knows up to {known}: run the newer allim"
        )));
    }
    for (version, name, text) in SERIES.iter().filter(|(version, ..)| *version > applied) {
        for statement in statements(text) {
            tx.execute(statement, &[])?;
        }
        tx.execute("INSERT INTO migrations (version, name) VALUES ($1, $2)", params![*version, *name])?;
    }
    Ok(())
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

//! Moves an embedded database to a server: every table and column that its schema names, so that a table which a later
//! migration adds is carried along without a word here.
//!
//! At any moment at most one of the two may send. The source is locked against every writer until it is marked as moved;
//! only then does the target lose its mark of being unfinished. What breaks off in between leaves a source that is as it was, or
//! marked, and a target that nobody can use; both can be moved again.

use super::identity::{self, Cause, Doubt};
use super::{Expanded, Inner, StoreError, Tx, destinations, migrate, postgres, sqlite};
use crate::domain::clock::UnixMillis;
use ::postgres::Client;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use sha2::{Digest as _, Sha256};
use std::io::{BufRead as _, Write as _};
use std::path::Path;

/// Tables that belong to a database and not to what it holds: its own version, and its own doubts.
pub const STAY: [&str; 3] = ["migrations", "expansions", "doubts"];
/// Rows given to the server in one transaction.
const CHUNK: u64 = 20_000;
/// What the target says as long as rows are missing.
const UNFINISHED: &str =
    "a move into this database didn't come to its end, and rows are missing: run `allim migrate --from … --to …` again";

/// What the reason in the source begins with.
const MOVED_TO: &str = "moved to ";

/// What is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Rows are written into the target.
    Copying,
    /// They are read again and compared.
    Comparing,
}

/// One table as it was moved.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Moved {
    /// Its name.
    pub table: String,
    /// Its rows.
    pub rows: u64,
}

/// Moves the database in the file `from` to the one at `to`. `told` names the target to whoever looks at the source later,
/// without its password. `progress` hears of rows done and rows in all. Blocks, and needs a thread of its own. The
/// caller keeps daemons away from the file.
///
/// # Errors
/// [`StoreError`] when the source is in doubt, the target isn't empty, or anything differs afterwards.
pub fn carry(
    from: &Path,
    to: &str,
    told: &str,
    now: UnixMillis,
    mut progress: impl FnMut(Stage, u64, u64),
) -> Result<Vec<Moved>, StoreError> {
    let mut source = sqlite::open_to_write(from)?;
    // Not even a command may write beside this: what it wrote would be lost.
    let source = source.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(sqlite::error)?;
    let known = on_source(&source, |tx| {
        migrate::run(tx)?;
        identity::doubts(tx)
    })?;
    let mut target = Target::open(to)?;
    target.prepare(&known, now)?;
    let tables = tables(&source)?;
    target.must_have(&tables)?;
    let all = tables.iter().map(|table| table.rows).sum();
    let mut done = 0;
    let mut sums = Vec::new();
    for table in &tables {
        sums.push(target.fill(&source, table, |rows| progress(Stage::Copying, done + rows, all))?);
        done += table.rows;
    }
    done = 0;
    for (table, sum) in tables.iter().zip(sums) {
        target.compare(table, sum)?;
        done += table.rows;
        progress(Stage::Comparing, done, all);
    }
    on_source(&source, |tx| mark_as_moved(tx, &format!("{MOVED_TO}{told}"), now))?;
    source.commit().map_err(sqlite::error)?;
    target.attempt(|tx| {
        // A source that was marked by a run that broke off held itself, not what it holds.
        let own =
            tx.query_opt("SELECT reason FROM holds WHERE scope = 'all'", &[])?.map(|row| row.text(0)).transpose()?;
        if own.is_some_and(|reason| reason.starts_with(MOVED_TO)) {
            destinations::release_hold(tx, identity::SCOPE)?;
        }
        tx.execute("DELETE FROM doubts", &[]).map(drop)
    })?;
    Ok(tables.into_iter().map(|table| Moved { table: table.name, rows: table.rows }).collect())
}

/// Keeps the source from ever sending by itself. An operator's hold keeps its reason: it goes along if the move is repeated.
fn mark_as_moved(tx: &mut Tx<'_>, reason: &str, now: UnixMillis) -> Result<(), StoreError> {
    let before = destinations::holds(tx)?.into_iter().find(|(scope, ..)| scope == identity::SCOPE);
    identity::doubt(tx, Cause::Moved, reason, now)?;
    before.map_or(Ok(()), |(scope, reason, since)| destinations::hold(tx, &scope, &reason, since))
}

fn on_source<T>(source: &Connection, work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
    work(&mut Tx { inner: Inner::Sqlite(source, &mut Expanded::new()) })
}

struct Table {
    name: String,
    columns: Vec<String>,
    rows: u64,
}

impl Table {
    /// The columns as a list in SQL. Names come from our own schema.
    fn list(&self) -> String {
        self.columns.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ")
    }
}

/// Every table with its columns.
fn tables(source: &Connection) -> Result<Vec<Table>, StoreError> {
    const TABLES: &str =
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name";
    const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";
    let names = column(source, TABLES, [])?;
    let of = |name: String| {
        let columns = column(source, COLUMNS, [&name])?;
        let count = format!("SELECT COUNT(*) FROM \"{name}\"");
        let rows: i64 = source.query_row(&count, [], |row| row.get(0)).map_err(sqlite::error)?;
        Ok(Table { name, columns, rows: u64::try_from(rows).unwrap_or(0) })
    };
    names.into_iter().filter(|name| !STAY.contains(&name.as_str())).map(of).collect()
}

fn column(source: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Vec<String>, StoreError> {
    let mut statement = source.prepare(sql).map_err(sqlite::error)?;
    let rows = statement.query_map(params, |row| row.get(0)).map_err(sqlite::error)?;
    rows.collect::<Result<_, _>>().map_err(sqlite::error)
}

/// What a table holds, whatever the order of its rows: how many, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    rows: u64,
    hash: u128,
}

impl Sum {
    /// Adds a row as `COPY` writes it, without the end of the line.
    fn add(&mut self, line: &[u8]) {
        let digest = Sha256::digest(line);
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        self.rows += 1;
        self.hash = self.hash.wrapping_add(u128::from_be_bytes(first));
    }
}

struct Target {
    client: Client,
}

impl Target {
    fn open(url: &str) -> Result<Self, StoreError> {
        let mut client = postgres::client(url)?;
        // Reading a large table once takes longer than any statement of the daemon may.
        client.batch_execute("SET statement_timeout = 0").map_err(postgres::error)?;
        Ok(Self { client })
    }

    fn attempt(&mut self, mut work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        postgres::in_transaction(&mut self.client, &mut Expanded::new(), &mut work)
    }

    /// Makes the tables, refuses a target or a source that isn't free, and marks the target as unfinished.
    fn prepare(&mut self, source: &[Doubt], now: UnixMillis) -> Result<(), StoreError> {
        self.attempt(migrate::run)?;
        let mut known = Vec::new();
        self.attempt(|tx| {
            known = identity::doubts(tx)?;
            Ok(())
        })?;
        let is_again = known.iter().any(|doubt| doubt.cause == Cause::Unfinished);
        if let Some(doubt) = source.iter().find(|doubt| doubt.cause != Cause::Moved || !is_again) {
            let fix = "say what it missed with `allim hold off` first";
            return Err(StoreError::Refused(format!("the source: {}; {fix}", doubt.reason)));
        }
        if !is_again {
            self.refuse_used()?;
        }
        self.attempt(|tx| identity::doubt(tx, Cause::Unfinished, UNFINISHED, now))
    }

    /// A target that `allim migrate` has made ready is as good as an empty one: its first key signed nothing yet.
    fn refuse_used(&mut self) -> Result<(), StoreError> {
        for table in self.tables()?.into_iter().filter(|name| !STAY.contains(&name.as_str()) && name != "token_keys") {
            let used = match table.as_str() {
                "counters" => " WHERE value <> 0",
                // The key of address hashes, which hashed nothing yet, and what entries are to be minted under.
                "facts" => " WHERE name NOT IN ('address_key', 'tag_authority')",
                _ => "",
            };
            let sql = format!("SELECT EXISTS (SELECT 1 FROM \"{table}\"{used})");
            if self.client.query_one(&sql, &[]).map_err(postgres::error)?.get(0) {
                let fix = "give an empty database; one that an allim worked on can't be moved into";
                return Err(StoreError::Refused(format!("the target isn't empty: `{table}` has rows; {fix}")));
            }
        }
        Ok(())
    }

    fn tables(&mut self) -> Result<Vec<String>, StoreError> {
        const SQL: &str = "SELECT CAST(tablename AS TEXT) FROM pg_tables WHERE schemaname = current_schema()";
        Ok(self.client.query(SQL, &[]).map_err(postgres::error)?.iter().map(|row| row.get(0)).collect())
    }

    fn must_have(&mut self, tables: &[Table]) -> Result<(), StoreError> {
        let there = self.tables()?;
        match tables.iter().find(|table| !there.contains(&table.name)) {
            Some(table) => Err(StoreError::Refused(format!("the target has no table `{}`", table.name))),
            None => Ok(()),
        }
    }

    /// Empties a table and fills it from the source. Returns what was written.
    fn fill(&mut self, source: &Connection, table: &Table, mut progress: impl FnMut(u64)) -> Result<Sum, StoreError> {
        self.client.batch_execute(&format!("DELETE FROM \"{}\"", table.name)).map_err(postgres::error)?;
        let read = format!("SELECT {} FROM \"{}\"", table.list(), table.name);
        let mut statement = source.prepare(&read).map_err(sqlite::error)?;
        let mut rows = statement.query([]).map_err(sqlite::error)?;
        let write = format!("COPY \"{}\" ({}) FROM STDIN", table.name, table.list());
        let (mut sum, mut line, mut is_more) = (Sum::default(), Vec::new(), true);
        while is_more {
            let mut chunk = self.client.copy_in(&write).map_err(postgres::error)?;
            let until = sum.rows + CHUNK;
            while is_more && sum.rows < until {
                let Some(row) = rows.next().map_err(sqlite::error)? else {
                    is_more = false;
                    break;
                };
                line.clear();
                for index in 0..table.columns.len() {
                    let value = row.get_ref(index).map_err(sqlite::error)?;
                    put(&mut line, index, value, table)?;
                }
                sum.add(&line);
                line.push(b'\n');
                chunk.write_all(&line).map_err(|error| StoreError::Unavailable(error.to_string()))?;
            }
            chunk.finish().map_err(postgres::error)?;
            progress(sum.rows);
        }
        Ok(sum)
    }

    /// Reads a table again as it is now.
    fn compare(&mut self, table: &Table, written: Sum) -> Result<(), StoreError> {
        let read = format!("COPY \"{}\" ({}) TO STDOUT", table.name, table.list());
        let mut lines = self.client.copy_out(&read).map_err(postgres::error)?;
        let (mut found, mut line) = (Sum::default(), Vec::new());
        while lines.read_until(b'\n', &mut line).map_err(|error| StoreError::Unavailable(error.to_string()))? > 0 {
            found.add(line.strip_suffix(b"\n").unwrap_or(&line));
            line.clear();
        }
        if found == written && found.rows == table.rows {
            return Ok(());
        }
        let counts = format!("{} rows there, {} here", found.rows, table.rows);
        Err(StoreError::Refused(format!("`{}` differs after it was copied ({counts}); move it again", table.name)))
    }
}

/// Adds one value to a line, exactly as PostgreSQL writes it in the text form of `COPY`.
fn put(line: &mut Vec<u8>, index: usize, value: ValueRef<'_>, table: &Table) -> Result<(), StoreError> {
    if index > 0 {
        line.push(b'\t');
    }
    match value {
        ValueRef::Null => line.extend_from_slice(b"\\N"),
        ValueRef::Integer(number) => line.extend_from_slice(number.to_string().as_bytes()),
        ValueRef::Text(text) => text.iter().for_each(|byte| escape(line, *byte)),
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            let place = format!("{}.{}", table.name, table.columns[index]);
            return Err(StoreError::Shape(format!("{place} is neither TEXT nor BIGINT")));
        }
    }
    Ok(())
}

fn escape(line: &mut Vec<u8>, byte: u8) {
    let named = match byte {
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x0b => b'v',
        b'\\' => b'\\',
        _ => return line.push(byte),
    };
    line.extend_from_slice(&[b'\\', named]);
}

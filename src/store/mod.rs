//! Side room: the only place that speaks SQL.
//!
//! A unit of work is a closure over a [`Tx`]. It runs on a database thread: SQLite has one writer thread, which puts
//! every job that waits into one transaction (group commit), PostgreSQL has a thread per connection. So no transaction
//! is ever cancelled half-way by a dropped future, and the SQL itself is plain straight code.
//! Why not sqlx: docs/adr/0001-store.md.

pub mod accounts;
pub mod audit;
mod backup;
pub mod batches;
pub mod bell;
pub mod bounces;
pub mod by_hand;
pub mod changes;
mod checkpoints;
pub mod consents;
pub mod corrections;
pub mod dead;
pub mod deliveries;
pub mod destinations;
mod dialect;
pub mod drafts;
pub mod editions;
pub mod endpoints;
pub mod erasing;
pub mod feeds;
pub mod finding;
pub mod freezes;
pub mod fresh;
pub mod held;
pub mod hub;
pub mod identity;
pub mod inbound;
pub mod issues;
mod jobs;
pub mod journey;
pub mod large;
pub mod media;
mod migrate;
pub mod moving;
pub mod notices;
pub mod occurrences;
pub mod overview;
pub mod owed;
pub mod partners;
pub mod people;
mod postgres;
pub mod posts;
pub mod private_feeds;
pub mod processes;
pub mod profile;
pub mod promises;
pub mod pulled;
pub mod quarantine;
pub mod quiet;
pub mod receipts;
pub mod rehearsals;
pub mod releases;
pub mod reroute;
pub mod restore;
pub mod rosters;
pub mod sealed;
pub mod second;
mod sqlite;
pub mod staff;
pub mod stories;
pub mod subscribers;
pub mod suppressions;
pub mod tallies;
pub mod token_keys;
pub mod turns;
pub mod value;
pub mod views;
pub mod window;
pub mod wishes;

pub use backup::backup;
pub use dialect::Dialect;
use jobs::{Call, Queue};
pub use value::{Cells, Row, Value};

use crate::domain::clock::{Clock, UnixMillis};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What can go wrong with the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The database can't be reached, or the connection broke; whether a commit under way took hold is unknown.
    /// Every job is written so that it can be run again.
    #[error("the database is out of reach: {0}")]
    Unavailable(String),
    /// Another transaction was in the way; running again may help.
    #[error("the database asked for another try: {0}")]
    Again(String),
    /// A row or a parameter isn't what the code expects: a mistake of ours.
    #[error("unexpected data in the store: {0}")]
    Shape(String),
    /// The database refused a statement.
    #[error("the database refused: {0}")]
    Refused(String),
    /// A statement changed another number of rows than it must.
    #[error("{what} changed {changed} rows instead of {expected}")]
    Affected {
        /// The statement, in words.
        what: &'static str,
        /// Rows it changed.
        changed: u64,
        /// Rows it had to change.
        expected: u64,
    },
}

/// Where the store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A file, made when it isn't there.
    Sqlite(PathBuf),
    /// A SQLite database in memory, for tests and simulations.
    Memory,
    /// A PostgreSQL URL with the number of connections.
    Postgres {
        /// `postgres://user@host:port/database?sslmode=…`
        url: String,
        /// How many connections, and so transactions at once.
        connections: usize,
    },
}

/// Which version of the tables a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// There is no database, or one without tables.
    Empty,
    /// Tables of this version.
    Version(i64),
}

/// The version of the tables that this program works with.
#[must_use]
pub fn version_known() -> i64 {
    migrate::known()
}

/// Looks at a location without changing anything there. Blocks.
///
/// # Errors
/// [`StoreError`] when the database can't be reached or read.
pub fn inspect(location: &Location) -> Result<Found, StoreError> {
    match location {
        Location::Sqlite(path) if !path.exists() => Ok(Found::Empty),
        Location::Sqlite(path) => sqlite::look(path, migrate::applied),
        Location::Memory => Ok(Found::Empty),
        Location::Postgres { url, .. } => postgres::look(url, migrate::applied),
    }
}

/// A handle to the store; clones share the threads behind it.
#[derive(Clone)]
pub struct Store {
    writes: Queue,
    reads: Queue,
    dialect: Dialect,
    clock: Arc<dyn Clock>,
    /// By how much the database's clock was ahead of ours when it was asked last.
    ahead_ms: Arc<AtomicI64>,
    bell: bell::Bell,
    tallies: tallies::Tallies,
}

impl Store {
    /// Opens the store and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError`] when the database can't be opened, is newer than this program, or refuses a migration.
    pub fn open(location: &Location, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let (writes, reads, dialect) = match location {
            Location::Sqlite(path) => sqlite::start(Some(path))?,
            Location::Memory => sqlite::start(None)?,
            Location::Postgres { url, connections } => postgres::start(url, *connections)?,
        };
        let bell = match location {
            Location::Postgres { url, .. } => bell::Bell::at(url),
            Location::Sqlite(_) | Location::Memory => bell::Bell::default(),
        };
        let (writes, reads) = (Queue::Threads(writes), Queue::Threads(reads));
        Ok(Self { writes, reads, dialect, clock, ahead_ms: Arc::default(), bell, tallies: tallies::Tallies::default() })
    }

    /// Which database this is.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Runs `job` in a transaction and answers once it is durable. The job may run more than once.
    ///
    /// # Errors
    /// What the job returned (nothing is kept then), or [`StoreError::Unavailable`].
    pub async fn write<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Self::submit(&self.writes, job).await
    }

    /// Runs `job` on a consistent view without changing anything.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn read<T, F>(&self, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        Self::submit(&self.reads, job).await
    }

    /// Runs `job` as [`Store::write`] would and takes everything back: what would happen, without its happening.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn rehearse<T, F>(&self, mut job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let seen = Arc::new(Mutex::new(None));
        let kept = seen.clone();
        // An error rolls back, whatever the database; so the result takes another way out.
        let rehearsed: Result<(), StoreError> = self
            .write(move |tx| {
                let result = job(tx)?;
                *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                Err(StoreError::Refused("this was a rehearsal".to_owned()))
            })
            .await;
        let result = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (result, rehearsed) {
            (Some(result), _) => Ok(result),
            (None, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::Shape("no result".to_owned())),
        }
    }

    async fn submit<T, F>(queue: &Queue, job: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the store was closed".to_owned());
        let (call, answer) = Call::new(job);
        queue.put(Box::new(call)).map_err(|()| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// The time by which releases, occurrences and leases go: the database's own on PostgreSQL, which all replicas
    /// share, and this process's on SQLite.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn now(&self) -> Result<UnixMillis, StoreError> {
        match self.dialect {
            Dialect::Sqlite => Ok(self.clock.now()),
            Dialect::Postgres => {
                let now = self.read(|tx| tx.database_clock()).await?;
                self.ahead_ms.store(now.0 - self.clock.now().0, Ordering::Relaxed);
                Ok(now)
            }
        }
    }

    /// The same time without asking the database, as far as our own clock has kept step since [`Store::now`]: for
    /// records of when something happened, not for what decides.
    #[must_use]
    pub fn about_now(&self) -> UnixMillis {
        UnixMillis(self.clock.now().0 + self.ahead_ms.load(Ordering::Relaxed))
    }
}

impl Store {
    /// How far this process's clock is ahead of the database's, in milliseconds; behind is negative. As long as the answer
    /// took, the database's may have been any instant in between: what is told is the least that it can be off.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn clock_offset_ms(&self) -> Result<i64, StoreError> {
        let before = self.clock.now();
        let there = self.now().await?;
        let after = self.clock.now();
        Ok((before.0 - there.0).max(0) + (after.0 - there.0).min(0))
    }
}

/// Statements already expanded for the dialect of one connection.
type Expanded<T> = HashMap<&'static str, T>;

/// A transaction under way.
pub struct Tx<'a> {
    inner: Inner<'a>,
}

enum Inner<'a> {
    Sqlite(&'a rusqlite::Connection, &'a mut Expanded<String>),
    Postgres(::postgres::Transaction<'a>, &'a mut Expanded<::postgres::Statement>),
}

impl Tx<'_> {
    /// Runs a statement that returns rows.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn query(&mut self, sql: &'static str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection, expanded) => sqlite::query(connection, expanded, sql, params),
            Inner::Postgres(transaction, prepared) => postgres::query(transaction, prepared, sql, params),
        }
    }

    /// Runs a statement that returns at most one row that matters: the first.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn query_opt(&mut self, sql: &'static str, params: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }

    /// Runs a statement and hands each row over without keeping it: for results of thousands of rows.
    ///
    /// # Errors
    /// [`StoreError`] from the database, or what `take` returned.
    pub fn each(
        &mut self,
        sql: &'static str,
        params: &[Value],
        take: &mut dyn FnMut(Cells<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection, expanded) => sqlite::each(connection, expanded, sql, params, take),
            Inner::Postgres(..) => self.query(sql, params)?.iter().try_for_each(|row| take(Cells::Kept(row))),
        }
    }

    /// Runs a statement and tells how many rows it changed.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn execute(&mut self, sql: &'static str, params: &[Value]) -> Result<u64, StoreError> {
        match &mut self.inner {
            Inner::Sqlite(connection, expanded) => sqlite::execute(connection, expanded, sql, params),
            Inner::Postgres(transaction, prepared) => postgres::execute(transaction, prepared, sql, params),
        }
    }

    /// Runs a statement that must change exactly `expected` rows.
    ///
    /// # Errors
    /// [`StoreError::Affected`] when it changed another number.
    pub fn change(
        &mut self,
        what: &'static str,
        expected: usize,
        sql: &'static str,
        params: &[Value],
    ) -> Result<(), StoreError> {
        let (changed, expected) = (self.execute(sql, params)?, expected as u64);
        if changed == expected { Ok(()) } else { Err(StoreError::Affected { what, changed, expected }) }
    }

    /// Runs a statement with the mark `{each …}` for every row of parameters; each must change exactly one row.
    ///
    /// # Errors
    /// [`StoreError::Affected`] when they changed another number together.
    pub fn change_each(
        &mut self,
        what: &'static str,
        sql: &'static str,
        rows: &[Vec<Value>],
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let changed = match &mut self.inner {
            // Prepared once, this costs less than a JSON array that SQLite takes apart again column by column.
            Inner::Sqlite(connection, expanded) => sqlite::execute_each(connection, expanded, sql, rows)?,
            // One round trip for all of them.
            Inner::Postgres(transaction, prepared) => {
                postgres::execute(transaction, prepared, sql, &[value::json(rows)?])?
            }
        };
        let expected = rows.len() as u64;
        if changed == expected { Ok(()) } else { Err(StoreError::Affected { what, changed, expected }) }
    }

    /// Which database this is, for the few statements that stand there twice.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.inner {
            Inner::Sqlite(..) => Dialect::Sqlite,
            Inner::Postgres(..) => Dialect::Postgres,
        }
    }

    fn database_clock(&mut self) -> Result<UnixMillis, StoreError> {
        const SQL: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        self.query_opt(SQL, &[])?.ok_or_else(|| StoreError::Shape("no clock".to_owned()))?.at(0)
    }
}

//! The embedded database: one writer thread that commits for all who wait, and a few readers.

use super::checkpoints::Checkpoints;
use super::jobs::Job;
use super::{Cells, Dialect, Expanded, Inner, Row, StoreError, Tx, Value, migrate};
use crossbeam_channel::{Receiver, Sender};
use rusqlite::{Connection, ErrorCode, config::DbConfig, types::ValueRef};
use std::path::Path;
use std::time::Duration;

/// Jobs in one transaction at most: enough to share one sync among all who wait, little enough to keep the log short.
const GROUP_MAX: usize = 256;
/// Reader threads.
const READERS: usize = 2;
/// How long another process (a command beside the daemon) may hold the file before a job fails.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Prepared statements kept per connection.
const STATEMENTS_KEPT: usize = 256;
/// Memory for pages of the writer. With the 2 MiB that SQLite takes by itself, the random keys of one batch of posts
/// made it write pages out in the middle of a transaction and read them back.
const WRITER_CACHE_KIB: i64 = 16 * 1024;
/// Pages (of 4 KiB) in the log before the writer itself copies what [`Checkpoints`] left, so that the log begins anew: while it
/// never rests the log grows to some 128 MiB.
const LOG_PAGES_MAX: i64 = 32_000;

type Queues = (Sender<Box<dyn Job>>, Sender<Box<dyn Job>>, Dialect);

/// Opens `path`, or a database in memory, migrates it and starts the threads.
pub(super) fn start(path: Option<&Path>) -> Result<Queues, StoreError> {
    let mut writer = connect(path)?;
    // Negative: in KiB, not in pages.
    writer.connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(error)?;
    writer.connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES_MAX).map_err(error)?;
    in_transaction(&mut writer, migrate::run)?;
    let (writes, write_queue) = crossbeam_channel::unbounded();
    let checkpoints = path.map(Checkpoints::start).transpose()?;
    spawn("store-writer", move || write_loop(&mut writer, &write_queue, checkpoints.as_ref()))?;
    let Some(path) = path else {
        // A database in memory belongs to its one connection.
        return Ok((writes.clone(), writes, Dialect::Sqlite));
    };
    let (reads, read_queue) = crossbeam_channel::unbounded();
    for _ in 0..READERS {
        let mut reader = connect(Some(path))?;
        reader.connection.pragma_update(None, "query_only", "ON").map_err(error)?;
        let queue = read_queue.clone();
        spawn("store-reader", move || read_loop(&mut reader, &queue))?;
    }
    Ok((writes, reads, Dialect::Sqlite))
}

/// Reads from a file that is there, without migrating or making anything.
pub(super) fn look<T>(
    path: &Path,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let connection = open_to_read(path)?;
    let mut expanded = Expanded::new();
    work(&mut Tx { inner: Inner::Sqlite(&connection, &mut expanded) })
}

/// A connection that changes nothing.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    Ok(connection)
}

/// A connection to a file that is there.
pub(super) fn open_to_write(path: &Path) -> Result<Connection, StoreError> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags)
        .map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.display())))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    Ok(connection)
}

/// One transaction on a file that nobody else uses and that is to stand by itself afterwards, without a log beside it.
pub(super) fn alone<T>(
    path: &Path,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let connection = Connection::open(path).map_err(error)?;
    connection.pragma_update(None, "journal_mode", "DELETE").map_err(error)?;
    connection.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    let mut result = None;
    let mut on = Connected { connection, expanded: Expanded::new() };
    in_transaction(&mut on, |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    result.ok_or_else(|| StoreError::Shape("no result".to_owned()))
}

pub(super) fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    let started = std::thread::Builder::new().name(name.to_owned()).spawn(work);
    started.map(drop).map_err(|e| StoreError::Unavailable(e.to_string()))
}

pub(super) struct Connected {
    pub(super) connection: Connection,
    expanded: Expanded<String>,
}

pub(super) fn connect(path: Option<&Path>) -> Result<Connected, StoreError> {
    let connection = match path {
        Some(path) => Connection::open(path),
        None => Connection::open_in_memory(),
    }
    .map_err(|e| StoreError::Unavailable(format!("{}: {e}", path.unwrap_or(Path::new(":memory:")).display())))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(error)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "journal_mode", "WAL").map_err(error)?;
    // FULL: an acknowledged commit survives a power cut. NORMAL lost every one of fifty.
    connection.pragma_update(None, "synchronous", "FULL").map_err(error)?;
    connection.pragma_update(None, "temp_store", "MEMORY").map_err(error)?;
    // Plans don't depend on what is bound. Without it SQLite prepares a statement anew for each new value, as soon as a
    // partial index stands beside it.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(error)?;
    Ok(Connected { connection, expanded: Expanded::new() })
}

fn write_loop(writer: &mut Connected, queue: &Receiver<Box<dyn Job>>, checkpoints: Option<&Checkpoints>) {
    while let Ok(mut first) = queue.recv() {
        match begin_with(writer, first.as_mut()) {
            Ok(()) => commit_group(writer, first, queue),
            Err(failure) => first.answer(Err(failure)),
        }
        if let Some(checkpoints) = checkpoints {
            checkpoints.tell();
        }
    }
}

/// Begins a transaction with `job`. As nothing came before it, its failure takes the whole transaction back; so it needs
/// no savepoint, under which SQLite would copy each page before its first change.
fn begin_with(writer: &mut Connected, job: &mut dyn Job) -> Result<(), StoreError> {
    control(&writer.connection, "BEGIN IMMEDIATE")?;
    let result = run(writer, job);
    // A full disk or an I/O error has ended the transaction already.
    if result.is_err() && !writer.connection.is_autocommit() {
        control(&writer.connection, "ROLLBACK")?;
    }
    result
}

/// Runs what else waits in the transaction that `first` began, each in a savepoint of its own, and answers after the
/// commit.
fn commit_group(writer: &mut Connected, first: Box<dyn Job>, queue: &Receiver<Box<dyn Job>>) {
    let mut done = vec![first];
    while done.len() < GROUP_MAX {
        let Ok(mut job) = queue.try_recv() else { break };
        match run_in_savepoint(writer, job.as_mut()) {
            Ok(()) => done.push(job),
            Err(failure) => job.answer(Err(failure)),
        }
        if writer.connection.is_autocommit() {
            // A full disk or an I/O error ends the whole transaction.
            let lost = StoreError::Unavailable("the transaction was rolled back by SQLite".to_owned());
            return done.into_iter().for_each(|job| job.answer(Err(lost.clone())));
        }
    }
    let committed = control(&writer.connection, "COMMIT");
    if committed.is_err() && !writer.connection.is_autocommit() {
        let _ = control(&writer.connection, "ROLLBACK");
    }
    done.into_iter().for_each(|job| job.answer(committed.clone()));
}

fn run_in_savepoint(writer: &mut Connected, job: &mut dyn Job) -> Result<(), StoreError> {
    control(&writer.connection, "SAVEPOINT job")?;
    let result = run(writer, job);
    if result.is_err() {
        let undone = control(&writer.connection, "ROLLBACK TO job");
        return result.and(undone).and(control(&writer.connection, "RELEASE job"));
    }
    control(&writer.connection, "RELEASE job")
}

fn run(writer: &mut Connected, job: &mut dyn Job) -> Result<(), StoreError> {
    let mut tx = Tx { inner: Inner::Sqlite(&writer.connection, &mut writer.expanded) };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job.run(&mut tx)))
        .unwrap_or_else(|_| Err(StoreError::Shape("a job panicked".to_owned())))
}

/// A statement that begins or ends something, prepared once.
fn control(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).map(drop).map_err(error)
}

fn read_loop(reader: &mut Connected, queue: &Receiver<Box<dyn Job>>) {
    while let Ok(mut job) = queue.recv() {
        let result = in_transaction(reader, |tx| job.run(tx));
        job.answer(result);
    }
}

pub(super) fn in_transaction(
    on: &mut Connected,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    on.connection.execute_batch("BEGIN").map_err(error)?;
    let mut tx = Tx { inner: Inner::Sqlite(&on.connection, &mut on.expanded) };
    let result = work(&mut tx);
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    result.and(on.connection.execute_batch(end).map_err(error))
}

impl rusqlite::ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Int(value) => rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Text(value) => rusqlite::types::ToSqlOutput::Borrowed(ValueRef::Text(value.as_bytes())),
        })
    }
}

fn text<'a>(expanded: &'a mut Expanded<String>, sql: &'static str) -> &'a str {
    expanded.entry(sql).or_insert_with(|| Dialect::Sqlite.expand(sql))
}

pub(super) fn query(
    connection: &Connection,
    expanded: &mut Expanded<String>,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let mut statement = connection.prepare_cached(text(expanded, sql)).map_err(error)?;
    let columns = statement.column_count();
    let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(error)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().map_err(error)? {
        let values = (0..columns).map(|column| value(row.get_ref(column).map_err(error)?));
        out.push(Row(values.collect::<Result<_, _>>()?));
    }
    Ok(out)
}

pub(super) fn each(
    connection: &Connection,
    expanded: &mut Expanded<String>,
    sql: &'static str,
    params: &[Value],
    take: &mut dyn FnMut(Cells<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = connection.prepare_cached(text(expanded, sql)).map_err(error)?;
    let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(error)?;
    while let Some(row) = rows.next().map_err(error)? {
        take(Cells::Sqlite(row))?;
    }
    Ok(())
}

pub(super) fn execute(
    connection: &Connection,
    expanded: &mut Expanded<String>,
    sql: &'static str,
    params: &[Value],
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(text(expanded, sql)).map_err(error)?;
    statement.execute(rusqlite::params_from_iter(params)).map(|changed| changed as u64).map_err(error)
}

pub(super) fn execute_each(
    connection: &Connection,
    expanded: &mut Expanded<String>,
    sql: &'static str,
    rows: &[Vec<Value>],
) -> Result<u64, StoreError> {
    let mut statement = connection.prepare_cached(text(expanded, sql)).map_err(error)?;
    let mut changed = 0;
    for row in rows {
        changed += statement.execute(rusqlite::params_from_iter(row)).map_err(error)? as u64;
    }
    Ok(changed)
}

fn value(raw: ValueRef<'_>) -> Result<Value, StoreError> {
    match raw {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(value) => Ok(Value::Int(value)),
        ValueRef::Text(bytes) => {
            String::from_utf8(bytes.to_vec()).map(Value::Text).map_err(|e| StoreError::Shape(e.to_string()))
        }
        ValueRef::Real(_) | ValueRef::Blob(_) => {
            Err(StoreError::Shape("a column is neither TEXT nor BIGINT".to_owned()))
        }
    }
}

pub(super) fn error(failure: rusqlite::Error) -> StoreError {
    let text = failure.to_string();
    match failure.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Again(text),
        Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
            StoreError::Unavailable(text)
        }
        _ => StoreError::Refused(text),
    }
}

//! The database server: a thread and a connection each, all taking from one queue.

use super::jobs::Job;
use super::{Dialect, Expanded, Inner, Row, StoreError, Tx, Value, migrate};
use crossbeam_channel::{Receiver, Sender};
use postgres::error::SqlState;
use postgres::types::{IsNull, Type, private::BytesMut, to_sql_checked};
use postgres::{Client, Config, Statement, Transaction};
use std::str::FromStr;
use std::time::Duration;

/// A deadlock or serialization failure is tried again this often before the caller hears of it.
const TRIES_MAX: u32 = 5;
/// Connecting takes no longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What was sent and isn't acknowledged for so long: the connection is dead. Without it the system's own limit of some fifteen
/// minutes would apply, and a thread waits for all of it when a cable is pulled.
const SILENCE_MAX: Duration = Duration::from_secs(15);

/// What every session is set to. `synchronous_commit = on`: an acknowledged commit survives a crash of the server.
/// Between two statements of a transaction we never wait for anything, so one that idles belongs to a process that was
/// stopped or cut off in its midst: the server ends it, with its locks, in half the time of a lease, or a single stopped
/// replica would keep all others from claiming and planning.
const SESSION: &str = "SET synchronous_commit = on; SET TIME ZONE 'UTC'; SET lock_timeout = '30s'; \
     SET statement_timeout = '120s'; SET idle_in_transaction_session_timeout = '10s'";

type Queues = (Sender<Box<dyn Job>>, Sender<Box<dyn Job>>, Dialect);

/// Connects, migrates and starts `connections` threads.
pub(super) fn start(url: &str, connections: usize) -> Result<Queues, StoreError> {
    let config = configured(url)?;
    let (jobs, queue) = crossbeam_channel::unbounded();
    let (ready, first_answer) = std::sync::mpsc::channel();
    for number in 0..connections.max(1) {
        let (config, queue, ready) = (config.clone(), queue.clone(), ready.clone());
        let work = move || {
            let mut session = Session { config, connected: None };
            if number == 0 {
                let _ = ready.send(session.attempt(&mut migrate::run));
            }
            drop(ready);
            session.serve(&queue);
        };
        let thread = std::thread::Builder::new().name("store-pg".to_owned());
        thread.spawn(work).map_err(|e| StoreError::Unavailable(e.to_string()))?;
    }
    drop(ready);
    first_answer.recv().map_err(|_| StoreError::Unavailable("the store thread ended".to_owned()))??;
    Ok((jobs.clone(), jobs, Dialect::Postgres))
}

fn configured(url: &str) -> Result<Config, StoreError> {
    let mut config = Config::from_str(url)
        .map_err(|e| StoreError::Unavailable(format!("store.url is not a PostgreSQL URL: {e}")))?;
    config.connect_timeout(CONNECT_TIMEOUT).application_name("allim").keepalives_idle(Duration::from_secs(30));
    config.tcp_user_timeout(SILENCE_MAX);
    Ok(config)
}

/// Reads once, without migrating anything, on a thread of its own: the client may not block one of tokio's.
pub(super) fn look<T: Send + 'static>(
    url: &str,
    mut work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let mut session = Session { config: configured(url)?, connected: None };
    let looking = std::thread::spawn(move || {
        let mut seen = None;
        session.attempt(&mut |tx| {
            seen = Some(work(tx)?);
            Ok(())
        })?;
        seen.ok_or_else(|| StoreError::Shape("no result".to_owned()))
    });
    looking.join().unwrap_or_else(|_| Err(StoreError::Unavailable("the store thread ended".to_owned())))
}

struct Session {
    config: Config,
    connected: Option<(Client, Expanded<Statement>)>,
}

impl Session {
    fn serve(&mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(mut job) = queue.recv() {
            let mut result = Err(StoreError::Again("not tried".to_owned()));
            for _ in 0..TRIES_MAX {
                result = self.attempt(&mut |tx| job.run(tx));
                if !matches!(result, Err(StoreError::Again(_))) {
                    break;
                }
            }
            job.answer(result);
        }
    }

    /// One transaction. A broken connection is dropped, so that the next attempt makes a new one.
    fn attempt(&mut self, work: &mut dyn FnMut(&mut Tx<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        if self.connected.as_ref().is_none_or(|(client, _)| client.is_closed()) {
            self.connected = Some((connect(&self.config)?, Expanded::new()));
        }
        let Some((client, prepared)) = self.connected.as_mut() else {
            return Err(StoreError::Unavailable("no connection".to_owned()));
        };
        let result = in_transaction(client, prepared, work);
        if matches!(result, Err(StoreError::Unavailable(_))) {
            self.connected = None;
        }
        result
    }
}

/// A connection for work that isn't a job, on a thread of the caller's that isn't one of tokio's.
pub(super) fn client(url: &str) -> Result<Client, StoreError> {
    connect(&configured(url)?)
}

pub(super) fn in_transaction(
    client: &mut Client,
    prepared: &mut Expanded<Statement>,
    work: &mut dyn FnMut(&mut Tx<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let transaction = client.transaction().map_err(error)?;
    let mut tx = Tx { inner: Inner::Postgres(transaction, prepared) };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&mut tx)))
        .unwrap_or_else(|_| Err(StoreError::Shape("a job panicked".to_owned())));
    match (result, tx.inner) {
        (Ok(()), Inner::Postgres(transaction, _)) => transaction.commit().map_err(error),
        // A transaction that is dropped is rolled back.
        (result, _) => result,
    }
}

fn connect(config: &Config) -> Result<Client, StoreError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let tls = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut client = config.connect(tokio_postgres_rustls::MakeRustlsConnect::new(tls)).map_err(error)?;
    client.batch_execute(SESSION).map_err(error)?;
    Ok(client)
}

impl postgres::types::ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(value) if *ty == Type::INT4 => i32::try_from(*value)?.to_sql(ty, out),
            Value::Int(value) => value.to_sql(ty, out),
            Value::Text(value) => value.as_str().to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT4 | Type::INT8 | Type::TEXT | Type::VARCHAR)
    }

    to_sql_checked!();
}

fn statement(
    transaction: &mut Transaction<'_>,
    prepared: &mut Expanded<Statement>,
    sql: &'static str,
) -> Result<Statement, StoreError> {
    if let Some(ready) = prepared.get(sql) {
        return Ok(ready.clone());
    }
    let text = Dialect::Postgres.expand(sql);
    let ready = transaction.prepare(&text).map_err(|e| in_words(&e, &text))?;
    prepared.insert(sql, ready.clone());
    Ok(ready)
}

fn in_words(failure: &postgres::Error, text: &str) -> StoreError {
    match failure.as_db_error() {
        Some(db) => StoreError::Refused(format!("{} in: {text}", db.message())),
        None => StoreError::Unavailable(failure.to_string()),
    }
}

fn parameters(params: &[Value]) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    params.iter().map(|value| value as &(dyn postgres::types::ToSql + Sync)).collect()
}

pub(super) fn query(
    transaction: &mut Transaction<'_>,
    prepared: &mut Expanded<Statement>,
    sql: &'static str,
    params: &[Value],
) -> Result<Vec<Row>, StoreError> {
    let ready = statement(transaction, prepared, sql)?;
    let rows = transaction.query(&ready, &parameters(params)).map_err(error)?;
    rows.iter().map(row).collect()
}

pub(super) fn execute(
    transaction: &mut Transaction<'_>,
    prepared: &mut Expanded<Statement>,
    sql: &'static str,
    params: &[Value],
) -> Result<u64, StoreError> {
    let ready = statement(transaction, prepared, sql)?;
    transaction.execute(&ready, &parameters(params)).map_err(error)
}

fn row(raw: &postgres::Row) -> Result<Row, StoreError> {
    let value = |column: usize| -> Result<Value, postgres::Error> {
        match *raw.columns()[column].type_() {
            Type::INT4 => raw.try_get::<_, Option<i32>>(column).map(|value| value.map(i64::from).into()),
            Type::INT8 => raw.try_get::<_, Option<i64>>(column).map(Into::into),
            _ => raw.try_get::<_, Option<String>>(column).map(Into::into),
        }
    };
    let values = (0..raw.len()).map(|column| value(column).map_err(|e| StoreError::Shape(e.to_string())));
    values.collect::<Result<_, _>>().map(Row)
}

pub(super) fn error(failure: postgres::Error) -> StoreError {
    let Some(db) = failure.as_db_error() else {
        return StoreError::Unavailable(with_cause(&failure));
    };
    // The detail of an error may repeat a row; the message alone doesn't.
    let text = format!("{} ({})", db.message(), db.code().code());
    match *db.code() {
        SqlState::T_R_DEADLOCK_DETECTED | SqlState::T_R_SERIALIZATION_FAILURE | SqlState::LOCK_NOT_AVAILABLE => {
            StoreError::Again(text)
        }
        SqlState::ADMIN_SHUTDOWN
        | SqlState::CRASH_SHUTDOWN
        | SqlState::CANNOT_CONNECT_NOW
        | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT
        | SqlState::TOO_MANY_CONNECTIONS => StoreError::Unavailable(text),
        _ => StoreError::Refused(text),
    }
}

fn with_cause(failure: &postgres::Error) -> String {
    use std::error::Error as _;
    failure.source().map_or_else(|| failure.to_string(), |cause| format!("{failure}: {cause}"))
}

//! Chaos with real daemons and real servers: three replicas on PostgreSQL and RabbitMQ, and one on SQLite, are killed,
//! stopped, cut off and starved while posts and mail pass through them. After each run one checker holds what came out
//! against the promise (`verdict.rs`). `ALLIM_SEED` repeats the draws of a run; `ALLIM_SOAK` makes the runs ten times as
//! many. What happens at every await point is simulated in `tests/journey/`.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "limits and recoveries are measured on the system's clock")]

mod broker;
mod clock;
mod disk;
mod folder;
mod house;
mod kills;
mod relays;
mod restarts;
mod speed;
mod stopped;
#[path = "../support/mod.rs"]
mod support;
mod verdict;
mod wires;

/// Those that restart servers, or measure how fast something is, have the machine for themselves.
static BESIDE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

fn seed() -> u64 {
    let given = std::env::var("ALLIM_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| u64::try_from(support::now_seconds()).expect("fits"))
}

/// How many times as many runs.
fn length() -> usize {
    if std::env::var_os("ALLIM_SOAK").is_some() { 10 } else { 1 }
}

//! Planning a digest of ten posts under twenty overlapping topics for a million readers, against a bare `INSERT … SELECT` of
//! as many rows into a table of one row a delivery, on the same database; and how soon the first mail is out.

use crate::sink::Sink;
use crate::{Round, median, row, setting};
use allim::app::{App, lifecycle};
use allim::store::Tx;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Readers of the digest; `ALLIM_BENCH_CROWD` makes a smaller trial.
pub fn crowd() -> usize {
    std::env::var("ALLIM_BENCH_CROWD").ok().and_then(|text| text.parse().ok()).unwrap_or(1_000_000)
}

pub async fn run(rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    on("SQLite", setting::app(folder.path(), &setting::topics()).await, rounds).await;
    match std::env::var("ALLIM_TEST_POSTGRES") {
        Ok(url) => {
            let folder = tempfile::tempdir().expect("a folder");
            let store = setting::postgres(&url).await;
            on("PostgreSQL", setting::app_on(folder.path(), &store, &setting::topics()).await, rounds).await;
        }
        Err(_) => println!(
            "| planning on PostgreSQL | not measured: ALLIM_TEST_POSTGRES names none; run `just bench` | | | |"
        ),
    }
    first_mail(rounds).await;
}

async fn on(database: &str, app: App, rounds: usize) {
    let count = crowd();
    setting::crowd(&app, count).await;
    prepare_bare(&app).await;
    let (mut product, mut baseline, mut made) = (Vec::new(), Vec::new(), 0);
    for round in 0..rounds {
        setting::publish_ten(&app, &format!("post-{round}")).await;
        app.planner.release(app.store.now().await.expect("a time")).await.expect("released");
        let started = Instant::now();
        app.planner.fire_now("weekly").await.expect("fired");
        let planned = app.planner.tick().await.expect("planned").planned;
        product.push(Round { count: planned, took: started.elapsed() }.rate());
        baseline.push(bare(&app, planned).await.rate());
        made = planned;
        finish(&app).await;
    }
    let what = format!("planning a digest of 10 posts for {made} of {count} readers, {database}");
    row(&what, "deliveries/s", product, baseline, "`INSERT … SELECT` of as many rows");
}

/// Ends what was planned, so that the next round supersedes nothing.
async fn finish(app: &App) {
    let end = |tx: &mut Tx<'_>| {
        tx.execute("UPDATE batches SET state = 'done', open = 0, finished_at = 1 WHERE state = 'due'", &[])
    };
    app.store.write(end).await.expect("finished");
    app.planner.tick().await.expect("a tick");
}

async fn prepare_bare(app: &App) {
    let make = |tx: &mut Tx<'_>| {
        tx.execute(
            "CREATE TABLE bare (plan_id BIGINT NOT NULL, recipient_id BIGINT NOT NULL, carrier TEXT NOT NULL,
                 edition_id BIGINT NOT NULL, destination TEXT NOT NULL, lane TEXT NOT NULL, state TEXT NOT NULL,
                 due_at BIGINT NOT NULL, planned_at BIGINT NOT NULL, PRIMARY KEY (plan_id, recipient_id, carrier)) {without rowid}",
            &[],
        )?;
        tx.execute("CREATE INDEX bare_due ON bare (destination, lane, due_at) WHERE state = 'due'", &[])
    };
    app.store.write(make).await.expect("a table");
}

async fn bare(app: &App, count: usize) -> Round {
    app.store.write(|tx: &mut Tx<'_>| tx.execute("DELETE FROM bare", &[])).await.expect("emptied");
    let started = Instant::now();
    let insert = move |tx: &mut Tx<'_>| {
        tx.execute(
            "INSERT INTO bare SELECT 1, id, 'email', 2, 'email:folder', 'bulk', 'due', 3, 3 FROM subscribers ORDER BY id LIMIT $1",
            &[(count as i64).into()],
        )
    };
    assert_eq!(app.store.write(insert).await.expect("inserted"), count as u64);
    Round { count, took: started.elapsed() }
}

/// From the start of the tick that fires the digest to the first mail taken.
async fn first_mail(rounds: usize) {
    let sink = Sink::answering_only(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    let extra = setting::topics() + &setting::relay(sink.port);
    let mut waits = Vec::new();
    for round in 0..rounds {
        let app = setting::app(folder.path(), &extra).await;
        if round == 0 {
            setting::crowd(&app, crowd()).await;
        }
        setting::publish_ten(&app, &format!("first-{round}")).await;
        app.planner.release(app.store.now().await.expect("a time")).await.expect("released");
        let (planner, store, plan_wake) = (app.planner.clone(), app.store.clone(), app.plan_wake.clone());
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
        tokio::time::sleep(Duration::from_millis(500)).await;
        let started = Instant::now();
        planner.fire_now("weekly").await.expect("fired");
        plan_wake.notify_one();
        let sent = "SELECT COUNT(*) FROM batch_log WHERE taken <> '{}' AND plan_id = (SELECT id FROM occurrences ORDER BY fired_at DESC LIMIT 1)";
        while store.read(move |tx| tx.query(sent, &[])).await.expect("read")[0].int(0).expect("a count") == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        waits.push(started.elapsed().as_secs_f64() * 1_000.0);
        stop.send_replace(true);
        running.await.expect("a task").expect("an orderly end");
        finish_all(&store).await;
    }
    println!(
        "| first mail of a digest to {} readers after the tick, SQLite | {:.0} ms | goal 100 ms | | |",
        crowd(),
        median(&mut waits)
    );
}

async fn finish_all(store: &allim::store::Store) {
    let end = |tx: &mut Tx<'_>| {
        tx.execute("UPDATE batches SET state = 'done', open = 0, finished_at = 1 WHERE state = 'due'", &[])?;
        tx.execute("UPDATE occurrences SET planned_at = 1 WHERE planned_at IS NULL", &[])
    };
    store.write(end).await.expect("finished");
}

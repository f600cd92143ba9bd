//! Planning a digest for 100,000 readers against a bare `INSERT … SELECT` of as many rows into a table of the same shape.

use crate::{Round, row, setting};
use std::time::Instant;

const READERS: usize = 100_000;

pub async fn run(rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let app = setting::app(folder.path(), "").await;
    setting::subscribe(&app, READERS, "weekly").await;
    let (mut product, mut baseline) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        setting::publish(&app, &format!("post-{round}"), 1_000).await;
        let started = Instant::now();
        app.planner.fire_now("weekly").await.expect("fired");
        let ticked = app.planner.tick().await.expect("planned");
        assert_eq!(ticked.planned, READERS);
        product.push(Round { count: READERS, took: started.elapsed() }.rate());
        baseline.push(insert_select(&folder.path().join(format!("bare-{round}.sqlite"))).rate());
        finish(&app).await;
    }
    row(
        "fan-out: a digest to 100,000 readers, SQLite",
        "deliveries/s",
        product,
        baseline,
        "`INSERT … SELECT` of as many rows",
    );
}

/// Ends what was planned, so that the next round supersedes nothing.
async fn finish(app: &allim::app::App) {
    let end = |tx: &mut allim::store::Tx<'_>| {
        tx.execute("UPDATE batches SET state = 'done', open = 0, finished_at = 1 WHERE state = 'due'", &[])
    };
    app.store.write(end).await.expect("finished");
    app.planner.tick().await.expect("a tick");
}

fn insert_select(path: &std::path::Path) -> Round {
    let connection = rusqlite::Connection::open(path).expect("a database");
    connection.pragma_update(None, "journal_mode", "WAL").expect("WAL");
    connection.pragma_update(None, "synchronous", "FULL").expect("FULL");
    connection
        .execute_batch(
            "CREATE TABLE readers (id BIGINT NOT NULL PRIMARY KEY);
             CREATE TABLE deliveries (plan_id BIGINT NOT NULL, recipient_id BIGINT NOT NULL, carrier TEXT NOT NULL,
                 edition_id BIGINT NOT NULL, destination TEXT NOT NULL, lane TEXT NOT NULL, state TEXT NOT NULL, reason TEXT,
                 due_at BIGINT NOT NULL, planned_at BIGINT NOT NULL, attempts BIGINT NOT NULL, failures BIGINT NOT NULL,
                 PRIMARY KEY (plan_id, recipient_id, carrier)) WITHOUT ROWID;
             CREATE INDEX d_due ON deliveries (destination, lane, due_at) WHERE state = 'due';
             CREATE INDEX d_open ON deliveries (edition_id) WHERE state IN ('due', 'claimed', 'sending');
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 100000) INSERT INTO readers SELECT i * 7919 FROM n;",
        )
        .expect("tables");
    let started = Instant::now();
    let sql =
        "INSERT INTO deliveries SELECT 1, id, 'email', 2, 'email:folder', 'bulk', 'due', NULL, 3, 3, 0, 0 FROM readers";
    let count = connection.execute(sql, []).expect("inserted");
    Round { count, took: started.elapsed() }
}

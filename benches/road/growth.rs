//! What must not grow: the product's memory and work for each message while it sends to a thousand, a hundred thousand and a
//! million; what a delivered message leaves in the database; and claims beside ten million finished deliveries.

use crate::sink::Sink;
use crate::{fan_out, median, setting};
use allim::app::{App, lifecycle};
use allim::store::{Tx, deliveries, processes};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// In the environment of the process that is to be the product: the folder, the sink's port, and how many posts it sends.
pub const PRODUCT: &str = "ALLIM_BENCH_PRODUCT";

pub async fn run() {
    memory().await;
    claims().await;
}

/// Each size in a process of its own, so that nothing but the product is measured.
async fn memory() {
    let sink = Sink::answering_only(Duration::ZERO);
    let mut first = None;
    for (count, goal) in [(1_000, 40), (100_000, 48), (fan_out::crowd(), 56)] {
        let folder = tempfile::tempdir().expect("a folder");
        let app = setting::app(folder.path(), &setting::topics()).await;
        setting::crowd(&app, count).await;
        drop(app);
        // A thousand messages are too few to be timed: they are sent over and over.
        let issues = (100_000 / count).clamp(1, 50);
        let what = format!("{} {} {issues}", folder.path().display(), sink.port);
        let program = std::env::current_exe().expect("this program");
        let output =
            Command::new(program).env(PRODUCT, what).stderr(Stdio::inherit()).output().expect("the product runs");
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [rss_mib, cpu_us, bytes, sent] = numbers[..] else { panic!("the product said: {text}") };
        let first_us = *first.get_or_insert(cpu_us);
        println!(
            "| memory while sending to {count} ({sent} messages) | {rss_mib:.0} MiB | goal {goal} MiB, floor 200 at a million | | |"
        );
        println!(
            "| CPU for each message at {count} | {cpu_us:.1} µs | {first_us:.1} µs at 1,000 | {:.2} | goal 1.1, floor 1.5 |",
            cpu_us / first_us
        );
        println!("| database for each delivered message at {count} | {bytes:.0} octets | goal 100, floor 400 | | |");
    }
}

/// Is the product that [`memory`] starts.
pub async fn be(what: &str) {
    let mut words = what.split(' ');
    let folder = Path::new(words.next().expect("a folder")).to_owned();
    let port = words.next().and_then(|port| port.parse().ok()).expect("a port");
    let issues: usize = words.next().and_then(|issues| issues.parse().ok()).expect("a number");
    let extra = setting::topics() + &setting::relay(port);
    let app = setting::app(&folder, &extra).await;
    let before = pages(&app).await;
    let (planner, store, plan_wake) = (app.planner.clone(), app.store.clone(), app.plan_wake.clone());
    let intake = app.intake.clone();
    let clock = app.world.clock.clone();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
    let used = crate::sending::processor_time();
    let (mut rss, mut sent) = (0, 0);
    for issue in 0..issues {
        intake.accept(setting::ten(&format!("growth-{issue}"), clock.now().timestamp())).await.expect("accepted");
        planner.release(store.now().await.expect("a time")).await.expect("released");
        planner.fire_now("weekly").await.expect("fired");
        plan_wake.notify_one();
        loop {
            tokio::time::sleep(Duration::from_millis(20)).await;
            rss = rss.max(resident_mib());
            let open = "SELECT (SELECT COUNT(*) FROM occurrences WHERE planned_at IS NULL),
                (SELECT COUNT(*) FROM batches WHERE state IN ('due', 'claimed')), (SELECT COALESCE(SUM(size), 0) FROM batches)";
            let row = store.read(move |tx| tx.query(open, &[])).await.expect("read").remove(0);
            if row.int(0).expect("a count") + row.int(1).expect("a count") == 0 && row.int(2).expect("a count") > sent {
                sent = row.int(2).expect("a count");
                break;
            }
        }
    }
    let used = crate::sending::processor_time() - used;
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
    let app = setting::app(&folder, &extra).await;
    let octets = (pages(&app).await - before) * 4_096;
    println!("{rss} {} {} {sent}", used.as_secs_f64() * 1e6 / sent as f64, octets as f64 / sent as f64);
}

/// Pages in use.
async fn pages(app: &App) -> i64 {
    let count = |tx: &mut Tx<'_>| {
        let all = tx.query("PRAGMA page_count", &[])?[0].int(0)?;
        Ok(all - tx.query("PRAGMA freelist_count", &[])?[0].int(0)?)
    };
    app.store.write(count).await.expect("counted")
}

/// Memory of this process.
pub fn resident_mib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<i64>().ok()).unwrap_or(0) / 1_024
}

/// Finished deliveries beside which claims are measured.
const FINISHED: usize = 10_000_000;
const CLAIMS: usize = 400;

async fn claims() {
    let folder = tempfile::tempdir().expect("a folder");
    let app = setting::app(folder.path(), "").await;
    queue(&app, 1_000, 1_000_000, "due").await;
    let empty = claim_times(&app, 1_000).await;
    queue(&app, 2_000, FINISHED, "done").await;
    queue(&app, 3_000, 1_000_000, "due").await;
    let full = claim_times(&app, 3_000).await;
    let at = |times: &[f64], share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "| a claim of 256 with 1 M queued and 10 M finished | p50 {:.2} ms, p99 {:.2} ms | p50 {:.2} ms, p99 {:.2} ms with nothing finished | {:.2} | goal 1.15; p99 below 10 ms |",
        at(&full, 0.5),
        at(&full, 0.99),
        at(&empty, 0.5),
        at(&empty, 0.99),
        at(&full, 0.5) / at(&empty, 0.5)
    );
    drop(app);
    let mut starts = Vec::new();
    for _ in 0..3 {
        let started = Instant::now();
        let app = setting::app(folder.path(), "").await;
        app.planner.tick().await.expect("a tick");
        starts.push(started.elapsed().as_secs_f64() * 1_000.0);
        let started = Instant::now();
        app.store.read(|tx| deliveries::list(tx, None, None, 50)).await.expect("a page");
        let page = started.elapsed().as_secs_f64() * 1_000.0;
        let started = Instant::now();
        app.store.read(deliveries::count).await.expect("counted");
        println!(
            "| beside 10 M finished: a page of 50 deliveries; all counted by state | {page:.1} ms; {:.1} ms | | | |",
            started.elapsed().as_secs_f64() * 1_000.0
        );
    }
    println!("| start beside 10 M finished deliveries | {:.0} ms | goal 2,000 ms | | |", median(&mut starts));
}

/// Batches of 256 in a state, as planning and sending would have left them.
async fn queue(app: &App, plan: i64, count: usize, state: &'static str) {
    let make = move |tx: &mut Tx<'_>| {
        const EDITION: &str =
            "INSERT INTO editions (id, plan_id, content_key, kind, schedule, language, sender, template, created_at)
             VALUES ($1, $1, 'k', 'issue', 'weekly', 'ko', 'news', 't', 1)";
        const HEADERS: &str = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $2)
             INSERT INTO batches (plan_id, number, carrier, edition_id, destination, lane, state, due_at, planned_at, first_id, last_id,
                 size, open, claims, entries, own, own_count)
             SELECT $1, i * 256, 'email', $1, 'email:main', 'bulk', $3, 1, 1, i * 256 + 1, i * 256 + 256, 256,
                 CASE WHEN $3 = 'due' THEN 256 ELSE 0 END, CASE WHEN $3 = 'due' THEN 0 ELSE 1 END, 25, '[]', 0 FROM n";
        const MEMBERS: &str = "INSERT INTO batch_recipients (plan_id, number, ids)
             SELECT plan_id, number, (WITH RECURSIVE m (j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM m WHERE j < 256)
                 SELECT json_group_array(batches.number + j) FROM m) FROM batches WHERE plan_id = $1";
        const LOG: &str = "WITH RECURSIVE e (k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM e WHERE k < 25)
             INSERT INTO batch_log (plan_id, number, entry, attempt, at, began, taken)
             SELECT b.plan_id, b.number, e.k, 1, 1, '[' || e.k || ',' || (e.k + 100) || ']', '{\"250 2.0.0 Ok\":[' || e.k || ',' || (e.k + 100) || ']}'
             FROM batches b CROSS JOIN e WHERE b.plan_id = $1";
        tx.execute(EDITION, &[plan.into()])?;
        tx.execute(HEADERS, &[plan.into(), ((count / 256) as i64).into(), state.into()])?;
        tx.execute(MEMBERS, &[plan.into()])?;
        if state == "done" {
            tx.execute(LOG, &[plan.into()])?;
        }
        Ok(())
    };
    app.store.write(make).await.expect("a queue");
}

/// How long each of some claims took, sorted, in milliseconds.
async fn claim_times(app: &App, plan: i64) -> Vec<f64> {
    let now = app.store.now().await.expect("a time");
    let term = app
        .store
        .write(move |tx| processes::register(tx, "bench", now, Duration::from_secs(60)))
        .await
        .expect("a term");
    let mut times = Vec::with_capacity(CLAIMS);
    for _ in 0..CLAIMS {
        let started = Instant::now();
        let lane = allim::domain::delivery::Lane::Bulk;
        let claimed = app
            .store
            .write(move |tx| deliveries::claim(tx, term, "email:main", lane, now, 256))
            .await
            .expect("claimed");
        times.push(started.elapsed().as_secs_f64() * 1_000.0);
        assert!(claimed.len() == 256 && claimed[0].key.plan_id == plan);
    }
    let end = move |tx: &mut Tx<'_>| {
        tx.execute("UPDATE batches SET state = 'done', open = 0 WHERE plan_id = $1", &[plan.into()])
    };
    app.store.write(end).await.expect("ended");
    times.sort_by(f64::total_cmp);
    times
}

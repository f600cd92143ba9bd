//! An urgent post to a thousand people while a digest to a million is being planned and sent.

use crate::sink::Sink;
use crate::{fan_out, setting};
use allim::app::lifecycle;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const PEOPLE: usize = 1_000;

pub async fn run() {
    let sink = Sink::answering_only(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    let extra = setting::topics() + &setting::relay(sink.port);
    let app = setting::app(folder.path(), &extra).await;
    setting::crowd(&app, fan_out::crowd()).await;
    setting::subscribe(&app, PEOPLE, "immediate").await;
    app.planner.tick().await.expect("a tick");
    setting::publish_ten(&app, "bulk").await;
    app.planner.release(app.store.now().await.expect("a time")).await.expect("released");
    let (planner, store, plan_wake) = (app.planner.clone(), app.store.clone(), app.plan_wake.clone());
    let (intake, clock) = (app.intake.clone(), app.world.clock.clone());
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
    planner.fire_now("weekly").await.expect("fired");
    plan_wake.notify_one();
    for (name, wait) in [("planned", Duration::from_millis(800)), ("sent", Duration::from_secs(8))] {
        tokio::time::sleep(wait).await;
        let at = clock.now().timestamp();
        intake.accept(vec![setting::urgent(&format!("urgent-{name}"), at)]).await.expect("accepted");
        let accepted = Instant::now();
        let asked = store.clone();
        let taken = move |wanted: i64| {
            let store = asked.clone();
            async move {
                loop {
                    let done = "SELECT COALESCE(SUM(b.size - b.open - b.own_count), 0) FROM batches b
                        WHERE b.lane = 'urgent' AND b.planned_at >= $1";
                    let since: allim::store::Value = at.as_millisecond().into();
                    let row = store
                        .read(move |tx| tx.query(done, std::slice::from_ref(&since)))
                        .await
                        .expect("read")
                        .remove(0);
                    if row.int(0).expect("a count") >= wanted {
                        return accepted.elapsed().as_secs_f64() * 1_000.0;
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        };
        let (first, last) = (taken.clone()(1).await, taken(PEOPLE as i64).await);
        println!(
            "| an urgent post to {PEOPLE} while a digest to {} is being {name} | first {first:.0} ms, last {last:.0} ms | goal 100 ms, 2,000 ms; floor 1 s, 5 s | | |",
            fan_out::crowd()
        );
    }
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

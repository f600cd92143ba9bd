//! The broker turns on us: it closes all connections, and somebody deletes the queue while posts stand in it.

use crate::house::{Plan, Way};
use crate::support;
use crate::{BESIDE, length, seed};
use allim::store::posts;
use std::process::Command;
use std::time::Instant;
use tokio::task::block_in_place;

const POSTS_EACH: usize = 30;
const ROUNDS: usize = 2;

fn ctl(arguments: &[&str]) {
    let program = support::server("ALLIM_TEST_AMQP_CTL").expect("rabbitmqctl");
    let output = block_in_place(|| Command::new(program).arg("-q").args(arguments).output()).expect("it runs");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// What the daemon took is kept. What still stood in the queue went with it; its publisher has to bring it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn all_connections_closed_and_the_queue_deleted_under_load() {
    let _beside = BESIDE.read().await;
    let Some(plan) = Plan::servers("a deleted queue", seed(), 2).await else { return };
    let queue = plan.settings[0].queue.clone();
    let http = plan.ways.iter().find(|way| matches!(way, Way::Http(_))).expect("a way").clone();
    let (mut house, _) = plan.build().await;
    for _ in 0..ROUNDS * length() {
        for arguments in [&["close_all_connections", "chaos"][..], &["delete_queue", &queue][..]] {
            house.deliver("a delivery before", POSTS_EACH).await;
            ctl(arguments);
            // Every other post comes by the queue, so this waits for a queue that is there again.
            house.publish(2);
            house.recover(Instant::now()).await;
            house.all_confirmed().await;
        }
    }
    let confirmed = house.confirmed.lock().expect("not poisoned").clone();
    let (client, mut lost) = (reqwest::Client::new(), 0);
    for (id, body) in &confirmed {
        let id = id.clone();
        if house.store.read(move |tx| posts::find(tx, &id)).await.expect("read").is_none() {
            http.publish(&client, body).await;
            lost += 1;
        }
    }
    println!("the queue deleted {} times: {lost} posts went with it; {}", ROUNDS * length(), house.close().await);
}

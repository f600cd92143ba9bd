//! Broker and database are restarted, and killed, while posts and mail pass through three replicas.

use crate::house::{CONNECTIONS, Plan};
use crate::{BESIDE, length, seed, support};
use allim::send::lease::{LEASE, RENEWAL};
use std::time::Instant;

const POSTS_EACH: usize = 8;
const STEPS: [(&str, &str); 4] = [
    ("ALLIM_TEST_POSTGRES_RESTART", ""),
    ("ALLIM_TEST_AMQP_RESTART", ""),
    ("ALLIM_TEST_POSTGRES_RESTART", "kill"),
    ("ALLIM_TEST_AMQP_RESTART", "kill"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 12)]
async fn broker_and_database_restarted_in_mid_run() {
    let _alone = BESIDE.write().await;
    let Some(plan) = Plan::servers("a restart of the servers", seed(), 3).await else { return };
    let (mut house, _) = plan.build().await;
    for (script, how) in std::iter::repeat_n(STEPS, length().min(3)).flatten() {
        house.deliver("a delivery before the restart", POSTS_EACH).await;
        let mut command = std::process::Command::new(support::server(script).expect(script));
        command.args(Some(how).filter(|how| !how.is_empty()));
        let began = Instant::now();
        let restarted = tokio::task::spawn_blocking(move || command.status()).await.expect("a thread");
        assert!(restarted.expect("it runs").success());
        // A database that is away for longer than a lease, as on a busy machine: whoever is back first finds the leases
        // of the others run out.
        if script.contains("POSTGRES") && began.elapsed() > LEASE - RENEWAL {
            house.connections_lost += house.replicas.len() * CONNECTIONS;
        }
        house.recover(Instant::now()).await;
    }
    println!("servers restarted: {}", house.close().await);
}

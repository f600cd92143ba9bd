//! Posts of about 1 kB over HTTP to a whole daemon, each durable before its 201: one client, one after the other, against
//! commits of one such row into SQLite with `synchronous=FULL`; and 64 clients, against the goal.

use crate::{Round, goal, row, setting};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const POSTS: usize = 1_000;
const CLIENTS: usize = 64;
const POSTS_OF_EACH: usize = 150;
const TOKEN: &str = "bench-token";
/// Posts a second.
const GOAL: f64 = 10_000.0;

pub async fn run(rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let app = setting::app(folder.path(), &configuration(listen)).await;
    let (store, clock) = (app.store.clone(), app.world.clock.clone());
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(allim::app::lifecycle::run(app, Arc::new(String::new), stopping));
    while TcpStream::connect(listen).await.is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let (mut one, mut commits, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let began = Instant::now();
        client(listen, format!("one-{round}"), POSTS, clock.now().timestamp()).await;
        one.push(Round { count: POSTS, took: began.elapsed() }.rate());
        commits.push(rows(folder.path(), POSTS).rate());
        let began = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            clients.spawn(client(listen, format!("{round}-{number}"), POSTS_OF_EACH, clock.now().timestamp()));
        }
        while let Some(done) = clients.join_next().await {
            done.expect("a client");
        }
        many.push(Round { count: CLIENTS * POSTS_OF_EACH, took: began.elapsed() }.rate());
    }
    let stored = store.read(allim::store::posts::count).await.expect("counted").0;
    assert_eq!(stored as usize, rounds * (POSTS + CLIENTS * POSTS_OF_EACH));
    row("posting: HTTP, 1 client, durable before the 201", "posts/s", one, commits, "one-row commits, FULL");
    goal("posting: HTTP, 64 clients, durable before the 201", "posts/s", many, GOAL);
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

/// Publishes `count` posts over one connection, each after the answer to the one before.
async fn client(address: SocketAddr, name: String, count: usize, at: jiff::Timestamp) {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.set_nodelay(true).expect("nodelay");
    for number in 0..count {
        publish(&mut stream, &format!("{name}-{number}"), at).await;
    }
}

/// Publishes one post and returns once it is durable.
pub async fn publish(stream: &mut TcpStream, id: &str, at: jiff::Timestamp) {
    let body = setting::message(id, 700, at).bytes;
    let mut request = format!(
        "POST /api/v1/posts HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {TOKEN}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    stream.write_all(&request).await.expect("written");
    // The answer is small and comes in one piece.
    let mut buffer = [0; 4_096];
    let read = stream.read(&mut buffer).await.expect("an answer");
    assert!(buffer[..read].starts_with(b"HTTP/1.1 201"), "{}", String::from_utf8_lossy(&buffer[..read]));
}

/// The configuration of a daemon that takes posts at `listen`.
pub fn configuration(listen: SocketAddr) -> String {
    let hash = allim::domain::ids::content_hash(TOKEN.as_bytes());
    format!(
        "[web]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n
[[intake.token]]\nname = \"bench\"\nsha256 = \"{hash}\"\nsource = \"cms\"\n"
    )
}

/// The same bytes as rows of one table, each in a transaction of its own.
fn rows(folder: &Path, count: usize) -> Round {
    let file = folder.join("rows.sqlite");
    let connection = rusqlite::Connection::open(&file).expect("a database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE IF NOT EXISTS rows (content TEXT)",
        )
        .expect("a table");
    let body = "연구원 소식입니다. ".repeat(27);
    let mut insert = connection.prepare("INSERT INTO rows (content) VALUES (?1)").expect("SQL");
    let began = Instant::now();
    for _ in 0..count {
        insert.execute([&body]).expect("a row");
    }
    Round { count, took: began.elapsed() }
}

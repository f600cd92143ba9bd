//! A digest to many readers, all of the product (store, claims, splicing, token, `sending`, outcomes), against a bare
//! pipelining client that writes prepared bytes over as many connections and records nothing, and against Postfix's
//! `smtp-source`, which sends one canned message. All three in turn, into the same sink.

use crate::setting::CONNECTIONS;
use crate::sink::Sink;
use crate::{Round, median, row, setting};
use allim::app::{App, lifecycle};
use allim::store::deliveries;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

/// Readers of the digest; `ALLIM_BENCH_READERS` makes a smaller trial.
fn readers() -> usize {
    std::env::var("ALLIM_BENCH_READERS").ok().and_then(|text| text.parse().ok()).unwrap_or(100_000)
}

pub async fn run(rounds: usize) {
    let Some(sink) = Sink::postfix() else {
        println!("| sending | not measured: smtp-sink (Postfix) isn't installed | | | |");
        return;
    };
    let count = readers();
    for (name, bytes) in [("small", SMALL), ("large", LARGE)] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut digest = Digest::new(folder.path(), "", sink.port, count).await;
        let (mut product, mut bare, mut canned, mut size) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for round in 0..rounds {
            let (done, letter, _) = digest.send(&format!("{name} {round}"), bytes).await;
            product.push(done.rate());
            size = letter.len();
            bare.push(bare_clients(sink.port, Arc::new(letter), count).await.rate());
            canned.extend(smtp_source(sink.port, size, count).map(|round| round.rate()));
        }
        let what =
            format!("sending: a digest to {count} readers, SQLite, {CONNECTIONS} connections, {name} ({size} octets)");
        row(
            &what,
            "messages/s",
            product.clone(),
            bare,
            "a bare pipelining client, the same bytes, connections and sink",
        );
        row(&what, "messages/s", product, canned, "Postfix's `smtp-source -d -s 10`, which records nothing");
    }
}

/// The first row on PostgreSQL, against the same on SQLite; and over a distance of 20 ms, against one message a round trip
/// and connection.
pub async fn elsewhere(rounds: usize) {
    let count = readers();
    let Some(sink) = Sink::postfix() else { return };
    if let Ok(url) = std::env::var("ALLIM_TEST_POSTGRES") {
        let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let mut sqlite = Digest::new(here.path(), "", sink.port, count).await;
        let mut postgres = Digest::new(there.path(), &setting::postgres(&url).await, sink.port, count).await;
        let (mut on_sqlite, mut on_postgres) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            on_sqlite.push(sqlite.send(&format!("here {round}"), SMALL).await.0.rate());
            on_postgres.push(postgres.send(&format!("there {round}"), SMALL).await.0.rate());
        }
        row("sending: the small digest on PostgreSQL", "messages/s", on_postgres, on_sqlite, "the same on SQLite");
    }
    let far = Sink::answering_only(Duration::from_millis(20));
    let folder = tempfile::tempdir().expect("a folder");
    let count = (count / 20).max(1_000);
    let mut digest = Digest::new(folder.path(), "", far.port, count).await;
    let mut rates = Vec::new();
    for round in 0..rounds {
        rates.push(digest.send(&format!("far {round}"), SMALL).await.0.rate());
    }
    let ideal = vec![CONNECTIONS as f64 * 50.0; rounds];
    row(
        "sending: answers after 20 ms, 10 connections",
        "messages/s",
        rates,
        ideal,
        "one message a round trip and connection",
    );
}

/// Octets of the bodies of the small and of the large digest: the second is made of several posts.
pub const SMALL: usize = 100;
pub const LARGE: usize = 1_400;

/// The product's own work for each message, against a sink that only answers.
pub async fn cpu(rounds: usize) {
    let count = readers();
    let sink = Sink::answering_only(Duration::ZERO);
    let folder = tempfile::tempdir().expect("a folder");
    let mut digest = Digest::new(folder.path(), "", sink.port, count).await;
    let (mut micros, mut rates, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let (done, letter, used) = digest.send(&format!("cpu {round}"), SMALL).await;
        rates.push(done.rate());
        micros.push(used.as_secs_f64() * 1e6 / count as f64);
        bare.push(bare_clients(sink.port, Arc::new(letter), count).await.rate());
    }
    println!(
        "| CPU of the product for each message, 5 kB, a sink that only answers | {:.1} µs | goal 20, floor 60 | | |",
        median(&mut micros)
    );
    row("sending into a sink that only answers, 5 kB", "messages/s", rates, bare, "a bare pipelining client");
}

/// An installation with a digest and its readers.
pub struct Digest<'a> {
    folder: &'a Path,
    store: String,
    extra: String,
    count: usize,
}

impl<'a> Digest<'a> {
    async fn new(folder: &'a Path, store: &str, port: u16, count: usize) -> Self {
        Self::with(folder, store, &setting::relay(port), count).await
    }

    /// With `extra` added to its configuration.
    pub async fn with(folder: &'a Path, store: &str, extra: &str, count: usize) -> Self {
        let app = setting::app_on(folder, store, extra).await;
        setting::crowd_of(&app, count, "events").await;
        Self { folder, store: store.to_owned(), extra: extra.to_owned(), count }
    }

    /// Plans an issue, then measures from the start of sending to the last recorded outcome. Also says what one reader
    /// got (without signatures), and the processor time of this process.
    pub async fn send(&mut self, id: &str, bytes: usize) -> (Round, Vec<u8>, Duration) {
        let app = setting::app_on(self.folder, &self.store, &self.extra).await;
        for number in 0..if bytes == LARGE { 8 } else { 1 } {
            setting::publish(&app, &format!("{id} {number}"), bytes).await;
        }
        app.planner.fire_now("weekly").await.expect("fired");
        assert_eq!(app.planner.tick().await.expect("planned").planned, self.count);
        let letter = one_letter(&app).await;
        let store = app.store.clone();
        let (stop, stopping) = watch::channel(false);
        let (started, used) = (Instant::now(), processor_time());
        let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
        let states = loop {
            let states = store.read(deliveries::count).await.expect("counted");
            if states.iter().all(|(state, _)| !matches!(state.as_str(), "due" | "claimed" | "sending")) {
                break states;
            }
            // Counting takes some of the time that is measured.
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let (took, used) = (started.elapsed(), processor_time() - used);
        assert!(states.len() == 1 && states[0].0 == "sent", "{states:?}");
        stop.send_replace(true);
        running.await.expect("a task").expect("an orderly end");
        (Round { count: self.count, took }, letter, used)
    }
}

/// What this process has used of the processors.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The bytes that one reader gets.
async fn one_letter(app: &App) -> Vec<u8> {
    let due = allim::domain::delivery::State::Due;
    let listed = app.store.read(move |tx| deliveries::list(tx, Some(due), None, 1)).await.expect("read").remove(0);
    let reader = listed.recipient_id;
    let to = app.store.read(move |tx| allim::store::subscribers::active(tx, &[reader])).await.expect("read").remove(0);
    let claimed = deliveries::Claimed {
        key: allim::domain::delivery::DeliveryKey::parse(&listed.id).expect("a key"),
        term: 0,
        edition_id: listed.edition_id,
        attempt: 1,
        failures: 0,
        planned_at: listed.planned_at,
        uncertain_at: None,
        seat: None,
    };
    let prepared = app.preparer.edition(listed.edition_id).await.expect("prepared");
    app.preparer.parcel(&claimed, prepared, to).letter().expect("a letter")
}

/// Postfix's own generator of load, with messages of `size` octets.
fn smtp_source(port: u16, size: usize, count: usize) -> Option<Round> {
    let started = Instant::now();
    let (size, count_text, sessions) = (size.to_string(), count.to_string(), CONNECTIONS.to_string());
    let arguments =
        ["-d", "-s", &sessions, "-l", &size, "-m", &count_text, "-f", "a@example.org", "-t", "b@example.net"];
    let address = format!("127.0.0.1:{port}");
    let program = "/usr/sbin/smtp-source";
    let status = Command::new(program).args(arguments).arg(address).stdout(Stdio::null()).status().ok()?;
    assert!(status.success(), "{program} failed");
    Some(Round { count, took: started.elapsed() })
}

async fn bare_clients(port: u16, letter: Arc<Vec<u8>>, count: usize) -> Round {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(bare_client(port, letter.clone(), count / CONNECTIONS));
    }
    while let Some(done) = clients.join_next().await {
        done.expect("a client").expect("a dialogue");
    }
    Round { count, took: started.elapsed() }
}

/// One write for each message: the letter, its dot, and MAIL, RCPT and DATA of the next (RFC 2920); the answers are counted.
async fn bare_client(port: u16, letter: Arc<Vec<u8>>, messages: usize) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    answers(&mut stream, &mut buffer, 1).await?;
    stream.write_all(b"EHLO bench\r\n").await?;
    answers(&mut stream, &mut buffer, 1).await?;
    let envelope = b"MAIL FROM:<news@example.org>\r\nRCPT TO:<reader@example.net>\r\nDATA\r\n";
    let mut message = letter.to_vec();
    message.extend_from_slice(b".\r\n");
    let last = message.clone();
    message.extend_from_slice(envelope);
    stream.write_all(envelope).await?;
    answers(&mut stream, &mut buffer, 3).await?;
    for _ in 1..messages {
        stream.write_all(&message).await?;
        answers(&mut stream, &mut buffer, 4).await?;
    }
    stream.write_all(&last).await?;
    answers(&mut stream, &mut buffer, 1).await?;
    stream.write_all(b"QUIT\r\n").await
}

/// Reads until as many whole answers have come.
pub async fn answers(
    stream: &mut tokio::net::TcpStream,
    buffer: &mut Vec<u8>,
    mut wanted: usize,
) -> std::io::Result<()> {
    loop {
        while let Some(end) = memchr::memchr(b'\n', buffer) {
            let line = &buffer[..end];
            assert!(line.starts_with(b"2") || line.starts_with(b"3"), "{}", String::from_utf8_lossy(line));
            wanted -= usize::from(line.get(3) != Some(&b'-'));
            buffer.drain(..=end);
        }
        if wanted == 0 {
            return Ok(());
        }
        stream.read_buf(buffer).await?;
    }
}

//! One post to 10,000 readers, all of the product (store, claims, letters, `sending`, outcomes), into Postfix's `smtp-sink`,
//! against a bare pipelining client that writes prepared bytes over as many connections and records nothing.

use crate::{Round, row, setting};
use allim::app::{self, lifecycle};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::watch;

const MESSAGES: usize = 10_000;
const CONNECTIONS: usize = 10;

struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    /// `None` when Postfix isn't installed.
    fn start() -> Option<Self> {
        let program = std::env::var("ALLIM_TEST_SMTP_SINK").unwrap_or_else(|_| "/usr/sbin/smtp-sink".to_owned());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let user = if Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n") {
            vec!["-u", "nobody"]
        } else {
            vec![]
        };
        let child = Command::new(program).args(user).args([&address, "1000"]).stdout(Stdio::null()).spawn().ok()?;
        let started = Instant::now();
        while TcpStream::connect(&address).is_err() {
            assert!(started.elapsed() < Duration::from_secs(5), "smtp-sink doesn't answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(Self { child, port })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub async fn run(rounds: usize) {
    let Some(sink) = Sink::start() else {
        println!("| sending | not measured: smtp-sink (Postfix) isn't installed | | | |");
        return;
    };
    for (name, bytes) in [("5 kB", 600), ("30 kB", 8_500)] {
        let (mut product, mut baseline, mut size) = (Vec::new(), Vec::new(), 0);
        for _ in 0..rounds {
            let (round, letter) = whole_product(sink.port, bytes).await;
            product.push(round.rate());
            size = letter.len();
            baseline.push(bare(sink.port, Arc::new(letter)).await.rate());
        }
        let what =
            format!("sending: one post to 10,000 readers, SQLite, {CONNECTIONS} connections, {name} ({size} octets)");
        row(&what, "messages/s", product, baseline, "a bare pipelining client, the same bytes, connections and sink");
    }
}

/// Plans first; measured is from the start of sending to the last recorded outcome.
async fn whole_product(port: u16, bytes: usize) -> (Round, Vec<u8>) {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let extra = format!(
        "[web]\nlisten = \"127.0.0.1:{listen}\"\npublic_url = \"http://127.0.0.1:{listen}\"\n\
         [[relay]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = {CONNECTIONS}\n"
    );
    let app = setting::app(folder.path(), &extra).await;
    setting::subscribe(&app, MESSAGES, "immediate").await;
    setting::publish(&app, "post", bytes).await;
    assert_eq!(app.planner.tick().await.expect("planned").planned, MESSAGES);
    let letter = one_letter(&app).await;
    let store = app.store.clone();
    let (stop, stopping) = watch::channel(false);
    let started = Instant::now();
    let running = tokio::spawn(lifecycle::run(app, Arc::new(String::new), stopping));
    loop {
        let open = "SELECT COUNT(*) FROM deliveries WHERE state IN ('due', 'claimed', 'sending')";
        let rows = store.read(move |tx| tx.query(open, &[])).await.expect("counted");
        if rows[0].int(0).expect("a count") == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let took = started.elapsed();
    let sent = store.read(allim::store::deliveries::count).await.expect("counted");
    assert_eq!(sent, vec![("sent".to_owned(), MESSAGES as i64)]);
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
    (Round { count: MESSAGES, took }, letter)
}

/// The bytes that one reader gets.
async fn one_letter(app: &app::App) -> Vec<u8> {
    use allim::render::letter::{Letter, letter};
    let sql = "SELECT edition_id, plan_id, recipient_id FROM deliveries LIMIT 1";
    let row = app.store.read(move |tx| tx.query(sql, &[])).await.expect("read").remove(0);
    let prepared = app.preparer.edition(row.int(0).expect("an edition")).await.expect("prepared");
    let reader = row.int(2).expect("a reader");
    let to = app.store.read(move |tx| allim::store::subscribers::active(tx, &[reader])).await.expect("read").remove(0);
    let delivery = allim::domain::delivery::DeliveryKey {
        plan_id: row.int(1).expect("a plan"),
        recipient_id: reader,
        carrier: "email".to_owned(),
    };
    let bytes = letter(&Letter {
        pieces: &prepared.pieces,
        sender: &prepared.sender,
        to: &to.address,
        to_name: None,
        language: &to.language,
        delivery: &delivery,
        planned_at: app.world.clock.now(),
        unsubscribe_url: Some(
            "http://127.0.0.1:8025/unsubscribe/k.AAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAA",
        ),
    });
    bytes.expect("a letter")
}

async fn bare(port: u16, letter: Arc<Vec<u8>>) -> Round {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(bare_client(port, letter.clone(), MESSAGES / CONNECTIONS));
    }
    while let Some(done) = clients.join_next().await {
        done.expect("a client").expect("a dialogue");
    }
    Round { count: MESSAGES, took: started.elapsed() }
}

/// MAIL, RCPT and DATA in one write (RFC 2920), body and dot in another; the answers are read and counted.
async fn bare_client(port: u16, letter: Arc<Vec<u8>>, messages: usize) -> std::io::Result<()> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    stream.write_all(b"EHLO bench\r\n").await?;
    answer(&mut stream).await?;
    let mut body = letter.to_vec();
    body.extend_from_slice(b".\r\n");
    for _ in 0..messages {
        stream.write_all(b"MAIL FROM:<news@example.org>\r\nRCPT TO:<reader@example.net>\r\nDATA\r\n").await?;
        for _ in 0..3 {
            answer(&mut stream).await?;
        }
        stream.write_all(&body).await?;
        answer(&mut stream).await?;
    }
    stream.write_all(b"QUIT\r\n").await
}

async fn answer(stream: &mut BufReader<tokio::net::TcpStream>) -> std::io::Result<()> {
    let mut line = String::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await?;
        assert!(line.starts_with(['2', '3']), "{line}");
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

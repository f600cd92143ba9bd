//! The SMTP carrier beside lettre's lower-level connection: figures of `docs/adr/0004-smtp-client.md`. Sends a bounded
//! number of letters to Postfix's `smtp-sink` on the loopback (`ALLIM_TEST_SMTP_SINK`, else `/usr/sbin/smtp-sink`), and
//! to a server of its own that answers each packet 20 ms late, as a distant relay would.
//!
//! `cargo bench --bench smtp`
#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![allow(clippy::unwrap_used, reason = "a measurement that can't go on should stop")]

use allim::app::clock::SystemClock;
use allim::domain::audience::{Address, Subscriber};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{DeliveryKey, Outcome};
use allim::domain::language::Language;
use allim::render::letter::{LetterForm, Sender};
use allim::render::pieces::Pieces;
use allim::render::site::LocalText;
use allim::send::carrier::{Carrier as _, Gate, Parcel, Prepared};
use allim::send::carriers::smtp::{Settings, Smtp, Tls};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[derive(Clone, Copy, PartialEq)]
enum Client {
    LettersOnly,
    Lettre,
    Own,
}

#[tokio::main]
async fn main() {
    println!("{:<52}{:>10}{:>10}{:>14}", "letter, connections, client", "letters/s", "ms each", "CPU ms/1,000");
    let clients = [
        ("only written, not sent", Client::LettersOnly, &[][..]),
        ("lettre AsyncSmtpConnection, nodelay", Client::Lettre, &[]),
        ("own, server without PIPELINING", Client::Own, &["-p"]),
        ("own, PIPELINING", Client::Own, &[]),
    ];
    for (kilobytes, connections) in [(5, 1), (5, 10), (30, 1), (30, 10)] {
        let mut best = [(0.0f64, f64::MAX); 4];
        // Turn about, and the best of each: the machine does other things meanwhile.
        for _ in 0..7 {
            for ((_, client, arguments), best) in clients.iter().zip(&mut best) {
                let sink = Sink::start(arguments);
                let (rate, cpu) = run(*client, sink.port, kilobytes, connections, 2_000).await;
                *best = (best.0.max(rate), best.1.min(cpu));
            }
        }
        for ((name, ..), best) in clients.iter().zip(best) {
            report(&format!("{kilobytes:>2} kB {connections:>2} {name}"), connections, best);
        }
    }
    for (name, client) in [("lettre AsyncSmtpConnection, nodelay", Client::Lettre), ("own, PIPELINING", Client::Own)] {
        let port = distant().await;
        let measured = run(client, port, 5, 1, 50).await;
        report(&format!(" 5 kB  1 20 ms: {name}"), 1, measured);
    }
}

fn report(label: &str, connections: usize, (rate, cpu): (f64, f64)) {
    println!("{label:<52}{rate:>10.0}{:>10.2}{cpu:>14.0}", 1_000.0 * connections as f64 / rate);
}

/// Letters a second, and milliseconds of CPU time for a thousand letters.
async fn run(client: Client, port: u16, kilobytes: usize, connections: usize, letters: usize) -> (f64, f64) {
    let prepared = prepared(kilobytes * 1_000);
    let next = Arc::new(AtomicUsize::new(0));
    let (started, cpu) = (Instant::now(), cpu_ms());
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (prepared, next) = (prepared.clone(), next.clone());
        workers.spawn(async move {
            match client {
                Client::LettersOnly => {
                    while let Some(parcel) = parcel(&prepared, &next, letters) {
                        std::hint::black_box(bytes(&parcel));
                    }
                }
                Client::Lettre => lettre(port, &prepared, &next, letters).await,
                Client::Own => own(port, &prepared, &next, letters).await,
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.unwrap();
    }
    let rate = letters as f64 / started.elapsed().as_secs_f64();
    (rate, (cpu_ms() - cpu) * 1_000.0 / letters as f64)
}

async fn own(port: u16, prepared: &Arc<Prepared>, next: &AtomicUsize, letters: usize) {
    let mut settings = Settings::new("127.0.0.1", port, Tls::None);
    // lettre keeps its connection for all letters, so this one does too.
    settings.letters_max = u32::MAX;
    let mut session = Smtp::new(settings, Arc::new(SystemClock)).unwrap().open();
    while let Some(parcel) = parcel(prepared, next, letters) {
        let (answer, asked) = tokio::sync::oneshot::channel();
        answer.send(true).unwrap();
        let outcome = session.carry(&parcel, &mut Gate::answered_by(asked), None).await;
        assert!(matches!(outcome, Outcome::Sent { .. }), "{outcome:?}");
    }
    session.close().await;
}

async fn lettre(port: u16, prepared: &Arc<Prepared>, next: &AtomicUsize, letters: usize) {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let hello = ClientId::default();
    let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await.unwrap();
    while let Some(parcel) = parcel(prepared, next, letters) {
        let (from, to) = (parcel.prepared.sender.address.as_str(), parcel.to.address.as_str());
        let envelope = lettre::address::Envelope::new(Some(from.parse().unwrap()), vec![to.parse().unwrap()]).unwrap();
        let reply = connection.send(&envelope, &bytes(&parcel)).await.unwrap();
        assert!(reply.is_positive());
    }
    connection.quit().await.unwrap();
}

fn bytes(parcel: &Parcel) -> Vec<u8> {
    parcel.letter().unwrap()
}

fn prepared(len: usize) -> Arc<Prepared> {
    let text: String = "알림 a line of a notice, with some words in it.\n".chars().cycle().take(len / 2).collect();
    let sender = Sender {
        name: "news".to_owned(),
        from: LocalText::same("Institute"),
        address: Address::parse("news@example.org").unwrap(),
        reply_to: None,
        list_id: "news.example.org".to_owned(),
        message_id_domain: "example.org".to_owned(),
        bounce_domain: None,
        help_url: None,
    };
    let pieces = Pieces { subject: "A notice".to_owned(), html: format!("<p>{text}</p>"), text, calendar: None };
    let form = LetterForm::new(&pieces, &sender, &Language::parse("ko").unwrap()).unwrap();
    Arc::new(Prepared {
        edition_id: 1,
        schedule: "immediate".to_owned(),
        kind: allim::domain::edition::EditionKind::Issue,
        form,
        sender: Arc::new(sender),
        accepted_at: None,
    })
}

fn parcel(prepared: &Arc<Prepared>, next: &AtomicUsize, letters: usize) -> Option<Parcel> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    let to = Subscriber {
        id: number as i64,
        address: Address::parse(&format!("reader{number}@example.net")).unwrap(),
        name: None,
        language: Language::parse("ko").unwrap(),
        text_only: false,
        unsubscribed_at: None,
    };
    let key = DeliveryKey { plan_id: 1, recipient_id: number as i64, carrier: "email".to_owned() };
    let parcel = Parcel {
        key,
        planned_at: UnixMillis(0),
        prepared: prepared.clone(),
        to,
        unsubscribe_url: None,
        manage_url: None,
        return_path: None,
        leave_address: None,
        pen: None,
    };
    (number < letters).then_some(parcel)
}

/// User and system time of this process.
fn cpu_ms() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    // Clock ticks, of which Linux has 100 a second.
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) * 10.0
}

struct Sink {
    child: Child,
    port: u16,
}

impl Sink {
    fn start(arguments: &[&str]) -> Self {
        let program = std::env::var("ALLIM_TEST_SMTP_SINK").unwrap_or_else(|_| "/usr/sbin/smtp-sink".to_owned());
        let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new(program);
        if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
            // As root it wants to become somebody else.
            command.args(["-u", "nobody"]);
        }
        let child = command.args(arguments).args([&address, "128"]).stderr(Stdio::null()).spawn().unwrap();
        let sink = Self { child, port };
        for _ in 0..2_000 {
            if std::net::TcpStream::connect(&address).is_ok() {
                return sink;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("smtp-sink doesn't listen");
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers all commands of a packet together, 20 ms after it came.
async fn distant() -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            stream.write_all(b"220 distant\r\n").await.unwrap();
            // Room for all that comes in one packet.
            let (mut heard, mut is_letter) = (Vec::with_capacity(1 << 16), false);
            while stream.read_buf(&mut heard).await.is_ok_and(|count| count > 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let mut answers = String::new();
                if is_letter && heard.ends_with(b"\r\n.\r\n") {
                    (is_letter, answers) = (false, "250 taken\r\n".to_owned());
                    heard.clear();
                } else if !is_letter {
                    for line in String::from_utf8_lossy(&heard).lines() {
                        is_letter = line == "DATA";
                        answers += match line {
                            "DATA" => "354 go\r\n",
                            _ if line.starts_with("EHLO") => "250-distant\r\n250 PIPELINING\r\n",
                            _ => "250 ok\r\n",
                        };
                    }
                    heard.clear();
                }
                if stream.write_all(answers.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    port
}

//! The same digest with DKIM signatures, against a bare pipelining client that signs: as many connections, one task each, the
//! same keys and the same primitive (AWS-LC), but nothing made canonical and nothing recorded.

use crate::sending::{Digest, LARGE, SMALL, answers};
use crate::setting::CONNECTIONS;
use crate::sink::Sink;
use crate::{Round, median, row, setting};
use allim::domain::clock::UnixMillis;
use allim::render::dkim::{self, Key, Signer};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt as _;

/// Readers of the digest: fewer than without signatures, for each costs twenty times as much.
fn readers() -> usize {
    std::env::var("ALLIM_BENCH_READERS").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000)
}

pub async fn run(rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(keys) = Keys::make(folder.path()) else {
        println!("| signing | not measured: openssl isn't installed | | | |");
        return;
    };
    let Some(sink) = Sink::postfix() else {
        println!("| signing | not measured: smtp-sink (Postfix) isn't installed | | | |");
        return;
    };
    let count = readers();
    for (name, bytes) in [("small", SMALL), ("large", LARGE)] {
        let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
        let mut digests = Vec::new();
        for (folder, signatures) in folders.iter().zip([1, 2]) {
            let extra = setting::relay(sink.port) + &keys.tables(signatures);
            digests.push(Digest::with(folder.path(), "", &extra, count).await);
        }
        let (mut product, mut bare, mut micros) = ([vec![], vec![]], [vec![], vec![]], [vec![], vec![]]);
        let mut sample = Vec::new();
        for round in 0..rounds {
            for (at, digest) in digests.iter_mut().enumerate() {
                let (done, letter, used) = digest.send(&format!("signed {name} {round}"), bytes).await;
                product[at].push(done.rate());
                micros[at].push(used.as_secs_f64() * 1e6 / count as f64);
                let bare_keys = keys.bare(at + 1);
                bare[at].push(bare_clients(sink.port, Arc::new(letter.clone()), bare_keys, count).await.rate());
                sample = letter;
            }
        }
        let against = "a bare pipelining client that signs, the same keys, bytes, connections and sink";
        for (with, (ours, theirs)) in ["RSA-2048", "RSA-2048 + Ed25519"].iter().zip(product.into_iter().zip(bare)) {
            let octets = sample.len();
            let what = format!(
                "sending with DKIM {with}: {count} readers, {CONNECTIONS} connections, {name} ({octets} octets)"
            );
            row(&what, "messages/s", ours, theirs, against);
        }
        let [rsa, both] = micros.map(|mut list| median(&mut list));
        println!(
            "| CPU of the product for each message with RSA-2048, {name} | {rsa:.0} µs | the second signature adds {:.1} µs | goal 20 | |",
            both - rsa
        );
        alone(&keys, name, &sample);
    }
}

/// One signature by itself, on one thread: all of ours against the primitive.
fn alone(keys: &Keys, name: &str, letter: &[u8]) {
    let time = |work: &dyn Fn()| {
        let mut list: Vec<f64> = (0..200)
            .map(|_| {
                let started = Instant::now();
                work();
                started.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        median(&mut list)
    };
    let one = [keys.signer(0)];
    let two = [keys.signer(0), keys.signer(1)];
    let bare = keys.bare(1);
    let sign =
        |signers: &[Signer]| drop(std::hint::black_box(dkim::signed(letter, signers, UnixMillis(0)).expect("signed")));
    println!(
        "| signing a letter, {name}, one thread: RSA-2048; both; nothing | {:.0} µs; {:.0} µs; {:.1} µs | {:.0} µs | | the primitive on header and body as they are |",
        time(&|| sign(&one)),
        time(&|| sign(&two)),
        time(&|| sign(&[])),
        time(&|| drop(std::hint::black_box(bare.header(letter)))),
    );
}

/// Key files in a folder.
struct Keys {
    files: [PathBuf; 2],
}

impl Keys {
    fn make(folder: &Path) -> Option<Self> {
        let files = [folder.join("rsa.pem"), folder.join("ed25519.pem")];
        for (file, kind) in files.iter().zip([["RSA", "-pkeyopt", "rsa_keygen_bits:2048"].as_slice(), &["ed25519"]]) {
            let mut command = Command::new("openssl");
            command.args(["genpkey", "-quiet", "-out"]).arg(file).arg("-algorithm").args(kind);
            let done = command.stderr(std::process::Stdio::null()).status().ok()?.success();
            assert!(done, "openssl failed");
        }
        Some(Self { files })
    }

    fn tables(&self, count: usize) -> String {
        let table = |(number, file): (usize, &PathBuf)| {
            format!("[[sender.dkim]]\nselector = \"s{number}\"\nkey_file = \"{}\"\n", file.display())
        };
        self.files.iter().enumerate().take(count).map(table).collect()
    }

    fn signer(&self, number: usize) -> Signer {
        let pem = std::fs::read(&self.files[number]).expect("a key");
        Signer::new("example.org".to_owned(), format!("s{number}"), Key::from_pem(&pem).expect("a key"))
    }

    /// The same keys without anything of ours.
    fn bare(&self, count: usize) -> Arc<Bare> {
        let der = |file: &PathBuf| match PrivateKeyDer::from_pem_file(file).expect("a key") {
            PrivateKeyDer::Pkcs8(der) => der.secret_pkcs8_der().to_vec(),
            _ => panic!("openssl writes PKCS#8"),
        };
        let rsa = RsaKeyPair::from_pkcs8(&der(&self.files[0])).expect("a key");
        let ed25519 = (count > 1).then(|| Ed25519KeyPair::from_pkcs8(&der(&self.files[1])).expect("a key"));
        Arc::new(Bare { rsa, ed25519 })
    }
}

/// What the bare client signs with.
struct Bare {
    rsa: RsaKeyPair,
    ed25519: Option<Ed25519KeyPair>,
}

impl Bare {
    /// A header of the length of a real one, from the hash of the body and signatures over the header.
    fn header(&self, letter: &[u8]) -> Vec<u8> {
        let end = memchr::memmem::find(letter, b"\r\n\r\n").expect("a header");
        let (head, body) = letter.split_at(end);
        let hash = STANDARD.encode(digest(&SHA256, body));
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), head, &mut signature).expect("signed");
        let mut out = field(&hash, &signature);
        if let Some(key) = &self.ed25519 {
            out.extend(field(&hash, key.sign(digest(&SHA256, head).as_ref()).as_ref()));
        }
        out
    }
}

fn field(hash: &str, signature: &[u8]) -> Vec<u8> {
    let names = "Content-Type:MIME-Version:Content-Language:Auto-Submitted:List-Unsubscribe-Post:\r\n \
        List-Unsubscribe:List-Id:Message-ID:Subject:To:From:Date:From";
    let encoded = STANDARD.encode(signature);
    let tags = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=example.org;\r\n s=s0; t=1776812400;\r\n";
    format!("{tags} h={names};\r\n bh={hash};\r\n b={encoded}\r\n").into_bytes()
}

async fn bare_clients(port: u16, letter: Arc<Vec<u8>>, keys: Arc<Bare>, count: usize) -> Round {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(bare_client(port, letter.clone(), keys.clone(), count / CONNECTIONS));
    }
    while let Some(done) = clients.join_next().await {
        done.expect("a client").expect("a dialogue");
    }
    Round { count, took: started.elapsed() }
}

/// As the bare client of `sending`, but each message is signed before it is written.
async fn bare_client(port: u16, letter: Arc<Vec<u8>>, keys: Arc<Bare>, messages: usize) -> std::io::Result<()> {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    answers(&mut stream, &mut buffer, 1).await?;
    stream.write_all(b"EHLO bench\r\n").await?;
    answers(&mut stream, &mut buffer, 1).await?;
    let envelope = b"MAIL FROM:<news@example.org>\r\nRCPT TO:<reader@example.net>\r\nDATA\r\n";
    stream.write_all(envelope).await?;
    answers(&mut stream, &mut buffer, 3).await?;
    for number in 1..=messages {
        let mut message = keys.header(&letter);
        message.extend_from_slice(&letter);
        message.extend_from_slice(b".\r\n");
        let is_last = number == messages;
        if !is_last {
            message.extend_from_slice(envelope);
        }
        stream.write_all(&message).await?;
        answers(&mut stream, &mut buffer, if is_last { 1 } else { 4 }).await?;
    }
    stream.write_all(b"QUIT\r\n").await
}

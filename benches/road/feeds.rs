//! A feed of about 60 kB to 64 connections that stay open, against a bare hyper handler with the same bytes. The same
//! client loads both.

use crate::{Round, row, setting};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const CONNECTIONS: usize = 64;
const REQUESTS_PER_CONNECTION: usize = 400;

pub async fn run(rounds: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let extra = format!("[web]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n");
    let app = setting::app(folder.path(), &extra).await;
    for number in 0..30 {
        setting::publish(&app, &format!("post-{number}"), 1_300).await;
    }
    app.planner.tick().await.expect("published");
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(allim::app::lifecycle::run(app, Arc::new(String::new), stopping));
    let path = "/feeds/all.rss";
    let bytes = loop {
        match once(listen, path, "").await {
            Ok(body) => break Bytes::from(body),
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    let bare = bare(bytes.clone()).await;
    let (mut product, mut baseline) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        product.push(load(listen, path).await.rate());
        baseline.push(load(bare, path).await.rate());
    }
    let what = format!("feeds: RSS of {} octets, {CONNECTIONS} connections", bytes.len());
    row(&what, "requests/s", product, baseline, "a bare hyper handler with the same bytes");
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

async fn bare(bytes: Bytes) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            let bytes = bytes.clone();
            let service = hyper::service::service_fn(move |_| {
                let body = Full::new(bytes.clone());
                async move { Ok::<_, std::convert::Infallible>(hyper::Response::new(body)) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { http.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    address
}

async fn load(address: std::net::SocketAddr, path: &'static str) -> Round {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            let request = format!("GET {path} HTTP/1.1\r\nhost: bench\r\n\r\n");
            let mut buffer = vec![0; 128 * 1024];
            for _ in 0..REQUESTS_PER_CONNECTION {
                stream.write_all(request.as_bytes()).await.expect("written");
                read_response(&mut stream, &mut buffer).await.expect("an answer");
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.expect("a client");
    }
    Round { count: CONNECTIONS * REQUESTS_PER_CONNECTION, took: started.elapsed() }
}

async fn once(address: std::net::SocketAddr, path: &str, headers: &str) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: bench\r\n{headers}\r\n").as_bytes()).await?;
    let mut buffer = vec![0; 256 * 1024];
    let (head, total) = read_response(&mut stream, &mut buffer).await?;
    Ok(buffer[head..total].to_vec())
}

/// Reads one answer with a `content-length`; returns where its body begins and ends.
async fn read_response(stream: &mut TcpStream, buffer: &mut [u8]) -> std::io::Result<(usize, usize)> {
    let (mut filled, mut wanted) = (0, None);
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        filled += read;
        if wanted.is_none()
            && let Some(end) = buffer[..filled].windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            assert!(head.starts_with("http/1.1 200"), "{head}");
            let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
            let length: usize = length.expect("a length");
            wanted = Some((end + 4, end + 4 + length));
        }
        if let Some((head, total)) = wanted
            && filled >= total
        {
            return Ok((head, total));
        }
    }
}

//! A feed of about 60 kB from memory to 64 connections that stay open: in full, compressed, and known to the client
//! already. Against nginx with the same bytes in files, at the better of `sendfile` on and off and of one and two workers,
//! and against a bare hyper handler. wrk loads all three.

use crate::{row, setting};
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const PATH: &str = "/feeds/all.rss";

pub async fn run(rounds: usize) {
    if [["wrk", "-v"], ["nginx", "-v"]].iter().any(|[name, flag]| Command::new(name).arg(flag).output().is_err()) {
        println!("| feeds | not measured: install wrk and nginx | | | |");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let listen = free();
    let extra = format!("[web]\nlisten = \"{listen}\"\npublic_url = \"http://{listen}\"\n");
    let app = setting::app(folder.path(), &extra).await;
    for number in 0..26 {
        setting::publish(&app, &format!("post-{number}"), 1_300).await;
    }
    app.planner.tick().await.expect("published");
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(allim::app::lifecycle::run(app, Arc::new(String::new), stopping));
    let plain = loop {
        match once(listen, "").await {
            Ok((_, body)) => break body,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
        }
    };
    let (_, gzip) = once(listen, "accept-encoding: gzip\r\n").await.expect("the feed, compressed");
    let octets = plain.len();
    let nginx = Nginx::start(folder.path(), &plain, &gzip);
    let bare = bare(plain.into(), gzip.into()).await;
    for what in ["200", "gzip", "304"] {
        let server = nginx.best(what).await;
        let (mut ours, mut theirs, mut bares) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            ours.push(load(listen, what).await);
            theirs.push(load(server, what).await);
            bares.push(load(bare, what).await);
        }
        let name = format!("feeds: RSS of {octets} octets, 64 connections, {what}");
        row(&name, "requests/s", ours.clone(), theirs, "nginx with the same bytes in a file");
        row(&name, "requests/s", ours, bares, "a bare hyper handler with the same bytes");
    }
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

fn free() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
}

/// The headers that ask a server for one of the three answers.
async fn asking(address: SocketAddr, what: &str) -> Vec<String> {
    match what {
        "200" => Vec::new(),
        "gzip" => vec!["accept-encoding: gzip".to_owned()],
        _ => {
            let (head, _) = once(address, "").await.expect("an answer");
            let line =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("etag: ").map(str::to_owned));
            vec![format!("if-none-match: {}", line.expect("an ETag"))]
        }
    }
}

/// Requests a second, as wrk counts them.
async fn load(address: SocketAddr, what: &str) -> f64 {
    let mut wrk = tokio::task::spawn_blocking({
        let (headers, what) = (asking(address, what).await, what.to_owned());
        move || {
            let mut wrk = Command::new("wrk");
            wrk.args(["-t1", "-c64", "-d1s"]).arg(format!("http://{address}{PATH}"));
            for header in &headers {
                wrk.args(["-H", header]);
            }
            let output = wrk.output().expect("wrk runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            // wrk counts whatever isn't 2xx or 3xx.
            assert!(!text.contains("Non-2xx") && !text.contains("Socket errors"), "{what}: {text}");
            text
        }
    });
    let text = (&mut wrk).await.expect("a thread");
    let rate = text.lines().find_map(|line| line.trim().strip_prefix("Requests/sec:")?.trim().parse().ok());
    rate.unwrap_or_else(|| panic!("no rate in: {text}"))
}

/// nginx with private configurations on ports of their own; stopped when dropped.
struct Nginx {
    servers: Vec<(SocketAddr, Child)>,
}

impl Nginx {
    fn start(folder: &Path, plain: &[u8], gzip: &[u8]) -> Self {
        let site = folder.join("site");
        std::fs::create_dir_all(site.join("feeds")).expect("a folder");
        std::fs::write(site.join("feeds/all.rss"), plain).expect("a file");
        std::fs::write(site.join("feeds/all.rss.gz"), gzip).expect("a file");
        let start = |(sendfile, workers): (&str, usize)| {
            let address = free();
            let own = folder.join(format!("nginx-{sendfile}-{workers}"));
            std::fs::create_dir_all(&own).expect("a folder");
            let (dir, site) = (own.display(), site.display());
            let user = if is_root() { "user root;" } else { "" };
            let text = format!(
                "daemon off; worker_processes {workers}; pid {dir}/pid; error_log {dir}/error.log; {user}
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile {sendfile}; tcp_nopush on; keepalive_requests 1000000000; gzip_static on;
  open_file_cache max=100; output_buffers 2 128k; types {{ application/rss+xml rss; }}
  client_body_temp_path {dir}; proxy_temp_path {dir}; fastcgi_temp_path {dir}; uwsgi_temp_path {dir}; scgi_temp_path {dir};
  server {{ listen {address}; root {site}; }} }}"
            );
            let file = own.join("nginx.conf");
            std::fs::write(&file, text).expect("a configuration");
            let mut command = Command::new("nginx");
            command.arg("-c").arg(&file).arg("-e").arg(own.join("error.log")).stderr(Stdio::null());
            (address, command.spawn().expect("nginx runs"))
        };
        let kinds = [("on", 1), ("off", 1), ("on", 2), ("off", 2)];
        Self { servers: kinds.into_iter().map(start).collect() }
    }

    /// The one of them that answers this fastest.
    async fn best(&self, what: &str) -> SocketAddr {
        let mut best = (0.0, self.servers[0].0);
        for (address, _) in &self.servers {
            while once(*address, "").await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let rate = load(*address, what).await;
            if rate > best.0 {
                best = (rate, *address);
            }
        }
        best.1
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        for (_, server) in &mut self.servers {
            // SIGTERM, so that the master takes its workers along.
            let _ = Command::new("kill").arg(server.id().to_string()).status();
            let _ = server.wait();
        }
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

async fn bare(plain: Bytes, gzip: Bytes) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("nodelay");
            let (plain, gzip) = (plain.clone(), gzip.clone());
            let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let mut response = hyper::Response::new(Full::new(plain.clone()));
                let headers = request.headers();
                if headers.contains_key("if-none-match") {
                    *response.body_mut() = Full::default();
                    *response.status_mut() = hyper::StatusCode::NOT_MODIFIED;
                } else if headers.contains_key("accept-encoding") {
                    *response.body_mut() = Full::new(gzip.clone());
                    response.headers_mut().insert("content-encoding", hyper::header::HeaderValue::from_static("gzip"));
                }
                response.headers_mut().insert("etag", hyper::header::HeaderValue::from_static("\"bench\""));
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(async move { http.serve_connection(TokioIo::new(stream), service).await });
        }
    });
    address
}

/// One request: the head of the answer and its body.
async fn once(address: SocketAddr, headers: &str) -> std::io::Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {PATH} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    Ok((String::from_utf8_lossy(&answer[..end]).into_owned(), answer[end + 4..].to_vec()))
}

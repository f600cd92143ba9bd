//! From the first byte of a post over HTTP to the sink's 250 after the dot of the one immediate mail that it makes, for a
//! daemon that has nothing else to do.

use crate::{posting, setting};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};

const POSTS: usize = 200;
/// Between two posts, so that what follows a mail is over before the next comes.
const REST: Duration = Duration::from_millis(30);

pub async fn run() {
    let (accepted, mut mails) = mpsc::unbounded_channel();
    let port = sink(accepted).await;
    let folder = tempfile::tempdir().expect("a folder");
    let listen = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port");
    let relay =
        format!("[[relay]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = 4\n");
    let app = setting::app(folder.path(), &format!("{}{relay}", posting::configuration(listen))).await;
    setting::subscribe(&app, 1, "immediate").await;
    let clock = app.world.clock.clone();
    let (stop, stopping) = watch::channel(false);
    let running = tokio::spawn(allim::app::lifecycle::run(app, Arc::new(String::new), stopping));
    let mut stream = loop {
        match TcpStream::connect(listen).await {
            Ok(stream) => break stream,
            Err(_) => tokio::time::sleep(REST).await,
        }
    };
    stream.set_nodelay(true).expect("nodelay");
    let mut posted = Vec::with_capacity(POSTS);
    let mut mailed = Vec::with_capacity(POSTS);
    for number in 0..POSTS {
        tokio::time::sleep(REST).await;
        let began = Instant::now();
        posting::publish(&mut stream, &format!("post-{number}"), clock.now().timestamp()).await;
        posted.push(began.elapsed());
        let mail: Instant = mails.recv().await.expect("a mail");
        mailed.push(mail.duration_since(began));
    }
    let [post, mail] = [posted, mailed].map(|mut times| {
        times.sort();
        [times[POSTS / 2], times[POSTS * 99 / 100]].map(|time| time.as_secs_f64() * 1_000.0)
    });
    println!(
        "| latency: post in to first mail accepted, idle daemon, SQLite | p50 {:.1} ms, p99 {:.1} ms | p50 3 ms, p99 15 ms | | the goal; the 201 came after {:.1} and {:.1} ms |",
        mail[0], mail[1], post[0], post[1]
    );
    stop.send_replace(true);
    running.await.expect("a task").expect("an orderly end");
}

/// A sink that answers, and tells when it took a mail.
async fn sink(accepted: mpsc::UnboundedSender<Instant>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            let accepted = accepted.clone();
            tokio::spawn(async move { dialogue(stream, accepted).await });
        }
    });
    port
}

async fn dialogue(stream: TcpStream, accepted: mpsc::UnboundedSender<Instant>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 bench\r\n").await?;
    let (mut line, mut is_data) = (Vec::new(), false);
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer: &[u8] = match (is_data, line.trim_ascii()) {
            (true, b".") => {
                is_data = false;
                // Before the write: whoever reads it can't be faster.
                let _ = accepted.send(Instant::now());
                b"250 taken\r\n"
            }
            (true, _) => continue,
            (false, b"DATA") => {
                is_data = true;
                b"354 go on\r\n"
            }
            (false, b"QUIT") => b"221 bye\r\n",
            (false, command) if command.starts_with(b"EHLO") => b"250-bench\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
            (false, _) => b"250 ok\r\n",
        };
        stream.write_all(answer).await?;
    }
}

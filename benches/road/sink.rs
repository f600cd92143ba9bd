//! The far sides of the sending rows: Postfix's `smtp-sink`, and one of our own that only answers. Each is a process of its
//! own, so that its work isn't counted as the product's.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Names the port in the environment of the process that is to be a sink.
pub const SINK_PORT: &str = "ALLIM_BENCH_SINK_PORT";
/// Names how long it waits before each answer, in milliseconds.
pub const SINK_DELAY_MS: &str = "ALLIM_BENCH_SINK_DELAY_MS";

/// A running sink.
pub struct Sink {
    child: Child,
    pub port: u16,
}

impl Sink {
    /// `None` when Postfix isn't installed.
    pub fn postfix() -> Option<Self> {
        let program = std::env::var("ALLIM_TEST_SMTP_SINK").unwrap_or_else(|_| "/usr/sbin/smtp-sink".to_owned());
        let port = free_port();
        let is_root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        let user = if is_root { vec!["-u", "nobody"] } else { vec![] };
        let address = format!("127.0.0.1:{port}");
        let child = Command::new(program).args(user).args([&address, "1000"]).stdout(Stdio::null()).spawn().ok()?;
        Some(Self { child, port }.answering())
    }

    /// One that only answers, each time after `delay`.
    pub fn answering_only(delay: Duration) -> Self {
        let port = free_port();
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.env(SINK_PORT, port.to_string()).env(SINK_DELAY_MS, delay.as_millis().to_string());
        Self { child: command.stdout(Stdio::null()).spawn().expect("a sink"), port }.answering()
    }

    fn answering(self) -> Self {
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(5), "the sink doesn't answer");
            std::thread::sleep(Duration::from_millis(10));
        }
        self
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// Is the sink that [`Sink::answering_only`] starts, until it is killed.
pub fn be(port: u16, delay: Duration) -> ! {
    let listener = TcpListener::bind(("127.0.0.1", port)).expect("a port");
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        std::thread::spawn(move || serve(stream, delay));
    }
    unreachable!("a listener has no end")
}

fn serve(mut stream: TcpStream, delay: Duration) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.write_all(b"220 sink ESMTP\r\n")?;
    let (mut heard, mut is_letter) = (Vec::with_capacity(128 * 1024), false);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        heard.extend_from_slice(&buffer[..count]);
        let (mut at, mut answers) = (0, Vec::new());
        loop {
            let end: &[u8] = if is_letter { b"\r\n.\r\n" } else { b"\r\n" };
            let Some(found) = memchr::memmem::find(&heard[at..], end) else { break };
            let line = &heard[at..at + found];
            at += found + end.len();
            let answer: &[u8] = match line.first() {
                _ if is_letter => b"250 2.0.0 Ok\r\n",
                Some(b'E') => b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
                Some(b'D') => b"354 go\r\n",
                Some(b'Q') => b"221 bye\r\n",
                _ => b"250 2.1.0 Ok\r\n",
            };
            is_letter = !is_letter && line.first() == Some(&b'D');
            answers.extend_from_slice(answer);
        }
        heard.drain(..at);
        if !answers.is_empty() {
            std::thread::sleep(delay);
            stream.write_all(&answers)?;
        }
    }
}

//! The RabbitMQ of `tests/services.sh`, seen from another client, and a wire to it that can go dead.

use super::server;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

/// Tests that restart the broker have it alone.
static ONE: RwLock<()> = RwLock::new(());

/// Keeps the broker as long as it is held.
pub enum Held {
    Shared(RwLockReadGuard<'static, ()>),
    Alone(RwLockWriteGuard<'static, ()>),
}

/// The broker and one queue of it.
pub struct Broker {
    pub url: String,
    pub queue: String,
    _held: Held,
}

/// A message to publish.
#[derive(Clone)]
pub struct Message {
    pub name: String,
    pub body: Vec<u8>,
    pub content_type: Option<&'static str>,
    pub headers: serde_json::Value,
}

impl Message {
    pub fn new(name: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = serde_json::json!({});
        Self { name: name.to_owned(), body: body.into(), content_type: Some("application/json"), headers }
    }
}

impl Broker {
    /// The broker, beside other tests, and a queue of this name that isn't there yet.
    pub fn shared(queue: &str) -> Option<Self> {
        let url = server("ALLIM_TEST_AMQP")?;
        Some(Self::new(url, queue, Held::Shared(ONE.read().unwrap_or_else(PoisonError::into_inner))))
    }

    /// The same without other tests beside.
    pub fn alone(queue: &str) -> Option<Self> {
        let url = server("ALLIM_TEST_AMQP")?;
        Some(Self::new(url, queue, Held::Alone(ONE.write().unwrap_or_else(PoisonError::into_inner))))
    }

    fn new(url: String, queue: &str, held: Held) -> Self {
        let broker = Self { url, queue: queue.to_owned(), _held: held };
        // An earlier run may have left them.
        for queue in [broker.queue.clone(), broker.dead()] {
            Self::output(broker.python("delete", &queue, &[]));
        }
        broker
    }

    pub fn dead(&self) -> String {
        format!("{}.dead", self.queue)
    }

    fn python(&self, mode: &str, queue: &str, more: &[&str]) -> Command {
        let mut command = Command::new(server("ALLIM_TEST_PYTHON").expect("a Python"));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/amqp.py");
        command.args([script, mode, &self.url, queue]).args(more);
        command
    }

    /// Publishes in the background; each name is handed to `confirmed` once the broker has it.
    pub fn publish(
        &self,
        messages: impl IntoIterator<Item = Message> + Send + 'static,
        confirmed: impl Fn(String) + Send + 'static,
    ) -> JoinHandle<()> {
        let mut command = self.python("publish", &self.queue, &[]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let (mut input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let writing = std::thread::spawn(move || {
            for message in messages {
                let line = serde_json::json!({
                    "name": message.name, "body": STANDARD.encode(&message.body),
                    "content_type": message.content_type, "headers": message.headers,
                });
                writeln!(input, "{line}").expect("it reads");
            }
        });
        std::thread::spawn(move || {
            BufReader::new(output).lines().for_each(|line| confirmed(line.expect("a name")));
            writing.join().expect("written");
            assert!(child.wait().expect("it ends").success(), "the publisher failed");
        })
    }

    pub fn publish_all(&self, messages: Vec<Message>) {
        self.publish(messages, |_| ()).join().expect("published");
    }

    fn output(mut command: Command) -> String {
        let output = command.stderr(Stdio::inherit()).output().expect("it runs");
        assert!(output.status.success(), "{command:?} failed");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Messages that are ready in a queue; those that a consumer holds don't count.
    pub fn ready(&self, queue: &str) -> usize {
        Self::output(self.python("count", queue, &[])).trim().parse().expect("a number")
    }

    /// Takes every message out of a queue: bodies and headers.
    pub fn drain(&self, queue: &str) -> Vec<(Vec<u8>, serde_json::Value)> {
        let lines = Self::output(self.python("drain", queue, &[]));
        let read = |line: &str| {
            let message: serde_json::Value = serde_json::from_str(line).expect("JSON");
            (STANDARD.decode(message["body"].as_str().expect("base64")).expect("base64"), message["headers"].clone())
        };
        lines.lines().map(read).collect()
    }

    pub fn declare(&self, queue: &str, arguments: &serde_json::Value) {
        Self::output(self.python("declare", queue, &[&arguments.to_string()]));
    }

    pub fn ctl(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(server("ALLIM_TEST_AMQP_CTL").expect("rabbitmqctl"));
        command.arg("-q").args(arguments);
        Self::output(command)
    }

    /// Restarts the broker: `""` orderly, `"kill"` without a word of warning.
    pub fn restart(&self, how: &str) {
        let mut command = Command::new(server("ALLIM_TEST_AMQP_RESTART").expect("a command"));
        Self::output({
            command.args(Some(how).filter(|how| !how.is_empty()));
            command
        });
    }
}

/// A wire between the daemon and the broker.
pub struct Wire {
    pub port: u16,
    cuts: Arc<Mutex<Vec<Arc<AtomicBool>>>>,
}

impl Wire {
    /// Carries what comes to its port on to `port`.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let own = listener.local_addr().expect("an address").port();
        let cuts: Arc<Mutex<Vec<Arc<AtomicBool>>>> = Arc::default();
        let kept = cuts.clone();
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let near = near.expect("a connection");
                let far = TcpStream::connect(("127.0.0.1", port)).expect("the broker");
                let dead = Arc::new(AtomicBool::new(false));
                kept.lock().expect("not poisoned").push(dead.clone());
                let ends = [(&near, &far), (&far, &near)].map(|(from, to)| (from.try_clone(), to.try_clone()));
                for (from, to) in ends {
                    let (from, to, dead) = (from.expect("a handle"), to.expect("a handle"), dead.clone());
                    std::thread::spawn(move || carry(from, to, &dead));
                }
            }
        });
        Self { port: own, cuts }
    }

    /// From now on the connections of this moment carry nothing, and neither end is told.
    pub fn fall_silent(&self) {
        self.cuts.lock().expect("not poisoned").iter().for_each(|cut| cut.store(true, Ordering::SeqCst));
    }

    pub fn connections(&self) -> usize {
        self.cuts.lock().expect("not poisoned").len()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, dead: &AtomicBool) {
    let mut buffer = [0; 64 * 1024];
    while let Ok(bytes) = from.read(&mut buffer) {
        // A dead wire swallows what it is given, so that the sender doesn't notice either.
        let silent = dead.load(Ordering::SeqCst);
        if bytes == 0 || (!silent && to.write_all(&buffer[..bytes]).is_err()) {
            break;
        }
    }
    if !dead.load(Ordering::SeqCst) {
        let _ = to.shutdown(std::net::Shutdown::Both);
    }
}

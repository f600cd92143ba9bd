//! Nothing is acknowledged before it is on the disk: strace watches a daemon, and between each request and its 2xx, and
//! between each delivery from the queue and its answer, the log of SQLite must have been written and synced.
//! Where nothing can be traced these tests fail and say so; they are never skipped.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{Daemon, Setting, post, wait_until};

/// A limit, not a wait: each call of the daemon stops twice for strace.
const LIMIT: Duration = Duration::from_secs(60);
const POSTS: usize = 20;

/// A daemon under strace, which writes down what it reads, writes and syncs.
fn start_traced(setting: &Setting) -> (Daemon, PathBuf) {
    let trace = setting.path().join("trace");
    let program = setting.command(&["run"]);
    let mut command = Command::new("strace");
    // `-D`: the daemon itself is our child, and strace beside it. `-xx`: every byte in hexadecimal.
    command.args(["-D", "-f", "-y", "-xx", "-s", "256", "-o"]).arg(&trace);
    command.args(["-e", "trace=read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fsync,fdatasync"]);
    command.arg(program.get_program()).args(program.get_args()).stdout(Stdio::null());
    let probe = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    let is_able = probe.as_ref().is_ok_and(|output| output.status.success());
    assert!(
        is_able,
        "strace can't watch a process here, so nothing can be said about durability: install strace \
         (tests/run.sh does) and allow ptrace (in a container: --cap-add SYS_PTRACE): {probe:?}"
    );
    let daemon = setting.start_by(command);
    wait_until("strace to write something down", LIMIT, || std::fs::metadata(&trace).is_ok_and(|file| file.len() > 0));
    (daemon, trace)
}

/// A post whose time is still to come: planning has nothing to write, so what is synced is its intake.
fn later(id: &str) -> serde_json::Value {
    let mut body = post(id, "나중에", "ko", &["events"]);
    body["published_at"] = serde_json::json!("2199-01-01T00:00:00Z");
    body
}

/// `text` as strace writes it with `-xx`.
fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
}

/// What happened, in order. A call stands where it began; the end of a sync stands for itself.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Asked,
    LogWritten,
    SyncBegan(u32),
    SyncEnded(u32),
    Answered,
}

fn read(trace: &str, asked: &[u8], answered: &[&[u8]]) -> Vec<Seen> {
    let (asked, answered) = (hexadecimal(asked), answered.iter().map(|bytes| hexadecimal(bytes)).collect::<Vec<_>>());
    // With `-xx` the names of files are hexadecimal too.
    let log = format!("{}>", hexadecimal(b"-wal"));
    let mut syncing: HashSet<u32> = HashSet::new();
    let mut seen = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.trim_start().split_once(' ') else { continue };
        let (thread, call) = (thread.parse::<u32>().unwrap_or(0), call.trim_start());
        let is_reading = call.contains("read") || call.contains("recv");
        let is_sync = call.starts_with("fsync(") || call.starts_with("fdatasync(");
        let is_end = call.starts_with("<... fsync resumed") || call.starts_with("<... fdatasync resumed");
        if is_reading && call.contains(&asked) {
            seen.push(Seen::Asked);
        } else if !is_reading && answered.iter().any(|answer| call.contains(answer)) {
            seen.push(Seen::Answered);
        } else if call.starts_with("pwrite64(") && call.contains(&log) {
            seen.push(Seen::LogWritten);
        } else if is_sync && call.contains(&log) {
            seen.push(Seen::SyncBegan(thread));
            if call.ends_with("= 0") {
                seen.push(Seen::SyncEnded(thread));
            } else {
                syncing.insert(thread);
            }
        } else if is_end && call.ends_with("= 0") && syncing.remove(&thread) {
            seen.push(Seen::SyncEnded(thread));
        }
    }
    seen
}

/// How many answers there were, each after the log had been written and synced since something was asked last; or what
/// came before the first that was too early.
fn count_durable(seen: &[Seen]) -> Result<usize, String> {
    let (mut durable, mut is_written, mut is_synced) = (0, false, false);
    let mut syncing: HashMap<u32, bool> = HashMap::new();
    for (index, event) in seen.iter().enumerate() {
        match event {
            Seen::Asked => (is_written, is_synced) = (false, false),
            Seen::LogWritten => is_written = true,
            Seen::SyncBegan(thread) => {
                syncing.insert(*thread, is_written);
            }
            // Only a sync that began when the log had been written counts.
            Seen::SyncEnded(thread) => is_synced |= syncing.remove(thread).unwrap_or(false),
            Seen::Answered if is_synced => durable += 1,
            Seen::Answered => return Err(format!("answered before the sync: {:?}", &seen[..=index])),
        }
    }
    Ok(durable)
}

fn durable_answers(trace: &Path, asked: &[u8], answered: &[&[u8]]) -> usize {
    let text = std::fs::read_to_string(trace).expect("a trace");
    count_durable(&read(&text, asked, answered)).expect("a sync before each answer")
}

#[test]
fn an_answer_before_the_sync_would_be_noticed() {
    let asked = format!("7 recvfrom(9<socket:[1]>, \"{}\", 8192, 0, NULL, NULL) = 8", hexadecimal(b"POST /x"));
    let answered = format!("7 sendto(9<socket:[1]>, \"{}\", 12, 0) = 12", hexadecimal(b"HTTP/1.1 201"));
    let file = |name: &str| format!("5<{}>", hexadecimal(name.as_bytes()));
    let (log, other) = (file("/d/a.sqlite-wal"), file("/d/a.sqlite"));
    let written = &format!("8 pwrite64({log}, \"\\x00\", 4096, 0) = 4096");
    let (begun, ended) = (&format!("8 fdatasync({log} <unfinished ...>"), "8 <... fdatasync resumed>) = 0");
    let (at_once, elsewhere) = (&format!("8 fsync({log}) = 0"), &format!("8 fsync({other}) = 0"));
    let failed = "8 <... fdatasync resumed>) = -1 EIO (Input/output error)";
    let judge = |lines: &[&str]| count_durable(&read(&lines.join("\n"), b"POST /x", &[b"HTTP/1.1 2"]));
    assert_eq!(judge(&[&asked, written, begun, ended, &answered]), Ok(1));
    assert_eq!(judge(&[&asked, written, at_once, &answered]), Ok(1));
    for early in [
        vec![asked.as_str(), written, begun, &answered, ended],
        vec![&asked, written, begun, failed, &answered],
        vec![written, begun, ended, &asked, &answered],
        vec![&asked, begun, written, ended, &answered],
        vec![&asked, written, elsewhere, &answered],
    ] {
        assert!(judge(&early).is_err(), "{early:?}");
    }
}

#[test]
fn each_2xx_comes_after_a_sync() {
    let setting = Setting::new();
    let (daemon, trace) = start_traced(&setting);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let client = reqwest::Client::new();
    for number in 0..POSTS {
        let body = later(&format!("post-{number}"));
        runtime.block_on(support::publish(&client, &setting.url("/api/v1/posts"), &body));
    }
    daemon.stop();
    let durable = durable_answers(&trace, b"POST /api/v1/posts", &[b"HTTP/1.1 2"]);
    assert_eq!(durable, POSTS);
}

#[cfg(feature = "amqp")]
#[test]
fn each_answer_to_the_queue_comes_after_a_sync() {
    use support::broker::{Broker, Message};
    // Class 60 of AMQP 0-9-1: `basic.deliver` comes, `basic.ack` and `basic.reject` (13 octets each) go.
    const DELIVER: &[u8] = &[0, 60, 0, 60];
    const ACK: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 80];
    const REJECT: &[u8] = &[0, 0, 0, 13, 0, 60, 0, 90];
    let Some(broker) = Broker::shared("test.durable") else { return };
    let setting = Setting { amqp: Some(broker.url.clone()), queue: broker.queue.clone(), ..Setting::new() };
    let (daemon, trace) = start_traced(&setting);
    wait_until("the daemon to consume", LIMIT, || daemon.log().contains("taking posts from RabbitMQ"));
    let answers = || {
        let text = std::fs::read_to_string(&trace).expect("a trace");
        let seen = read(&text, DELIVER, &[ACK, REJECT]);
        seen.iter().filter(|event| **event == Seen::Answered).count()
    };
    for number in 0..POSTS {
        let name = format!("post-{number}");
        // Every fifth is set aside, which must be durable before the broker is told to forget it.
        let body = if number % 5 == 4 { format!("not JSON {number}") } else { later(&name).to_string() };
        broker.publish_all(vec![Message::new(&name, body)]);
        wait_until("the answer to the broker", LIMIT, || answers() == number + 1);
    }
    daemon.stop();
    assert_eq!(durable_answers(&trace, DELIVER, &[ACK, REJECT]), POSTS);
}

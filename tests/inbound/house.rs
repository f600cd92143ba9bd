//! A daemon with a bounce domain, a relay that records, and mails that come back.

use crate::support::sink::{Sink, Trick};
use crate::support::{Daemon, Relay, Setting, free_port, post, publish, wait_until};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::Duration;

pub const LISTENER_DOMAIN: &str = "bounce.example.org";
/// A token that may hand over mail.
pub const INBOUND_TOKEN: &str = "inbound-token";
const LIMIT: Duration = Duration::from_secs(30);

pub struct House {
    pub setting: Setting,
    pub sink: Sink,
    pub client: reqwest::Client,
    port: u16,
    _daemon: Daemon,
}

/// A letter as the relay got it.
#[derive(Clone, Debug)]
pub struct Letter {
    pub to: String,
    /// The envelope sender.
    pub from: String,
    /// Its Message-ID without brackets.
    pub id: String,
    /// The whole of List-Unsubscribe.
    pub unsubscribe: String,
    /// The address to leave by.
    pub leave: String,
}

impl Letter {
    pub fn leave_address(&self) -> String {
        self.leave.clone()
    }
}

/// A mail of `mails/` about a letter.
pub fn filled(name: &str, letter: &Letter) -> Vec<u8> {
    let path = format!("{}/tests/inbound/mails/{name}.eml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("a mail");
    let text = text.replace("{to}", &letter.from).replace("{reader}", &letter.to);
    text.replace("{leave}", &letter.leave).replace("{id}", &letter.id).into_bytes()
}

impl House {
    pub async fn start(readers: &[&str], store_url: Option<String>) -> Self {
        let sink = Sink::start().await;
        let port = free_port();
        let mut setting = Setting::new();
        setting.relay = Some(Relay { port: sink.port, connections: 2 });
        setting.sender_extra = format!("bounce_domain = \"{LISTENER_DOMAIN}\"\n");
        let hash = allim::domain::ids::content_hash(INBOUND_TOKEN.as_bytes());
        setting.extra = format!(
            "[inbound]\nlisten = \"127.0.0.1:{port}\"\n[[intake.token]]\nname = \"returned\"\nsha256 = \"{hash}\"\nsource = \"cms\"\ninbound = true\n"
        );
        if let Some(url) = store_url {
            setting.store_url = url;
        }
        let lines: Vec<String> =
            readers.iter().map(|name| format!("{name}@example.net,,ko,events,immediate")).collect();
        setting.subscribe(&lines);
        let daemon = setting.start();
        wait_until("the listener", LIMIT, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { setting, sink, client: reqwest::Client::new(), port, _daemon: daemon }
    }

    pub async fn publish(&self, id: &str) {
        publish(&self.client, &self.setting.url("/api/v1/posts"), &post(id, &format!("{id} 소식"), "ko", &["events"]))
            .await;
    }

    pub fn wait_for_letters(&self, count: usize) {
        wait_until(&format!("{count} letters"), LIMIT, || self.sink.count() >= count);
        assert_eq!(self.sink.count(), count);
    }

    pub fn letters_to(&self, name: &str) -> usize {
        let address = format!("{name}@example.net");
        let received = self.sink.received.lock().expect("not poisoned");
        received.iter().filter(|letter| letter.recipient == address).count()
    }

    /// The first letter to a reader.
    pub fn letter_to(&self, name: &str) -> Letter {
        let to = format!("{name}@example.net");
        let received = self.sink.received.lock().expect("not poisoned").clone();
        let letter = received.iter().find(|letter| letter.recipient == to).expect("a letter");
        // On one connection the sender is the one that was named last before the recipient.
        let heard = self.sink.heard();
        let rcpt = heard.iter().position(|line| line.contains(&format!("RCPT TO:<{to}>"))).expect("heard");
        let connection = heard[rcpt].split(' ').next().expect("a number").to_owned();
        let of_it = |line: &&String| line.starts_with(&format!("{connection} MAIL FROM:<"));
        let mail = heard[..rcpt].iter().rev().find(of_it).expect("a sender");
        let text = String::from_utf8_lossy(&letter.bytes).replace("\r\n ", " ");
        let unsubscribe = text.lines().find_map(|line| line.strip_prefix("List-Unsubscribe: ")).expect("a field");
        let leave = unsubscribe.split("<mailto:").nth(1).and_then(|rest| rest.split('?').next()).expect("an address");
        Letter {
            from: mail.split(['<', '>']).nth(1).expect("an address").to_owned(),
            id: letter.message_id.trim_matches(['<', '>']).to_owned(),
            unsubscribe: unsubscribe.trim().to_owned(),
            leave: leave.to_owned(),
            to,
        }
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let all: Vec<&str> = ["--json"].iter().chain(arguments).copied().collect();
        serde_json::from_str(&self.setting.run(&all)).expect("JSON")
    }

    pub fn shown(&self, name: &str) -> Value {
        self.json(&["subscriber", "show", &format!("{name}@example.net")])
    }

    /// What a reader is subscribed to, as `topic slot`.
    pub fn slots(&self, name: &str) -> Vec<String> {
        let shown = self.shown(name);
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let all = shown["subscriptions"].as_array().expect("subscriptions");
        all.iter().map(|one| format!("{} {}", text(&one["topic"]), text(&one["schedule"]))).collect()
    }

    pub fn delivery_of(&self, name: &str) -> String {
        self.shown(name)["deliveries"][0]["id"].as_str().expect("a delivery").to_owned()
    }

    pub fn wait_for_cause(&self, name: &str, cause: &str) {
        let is_there = || {
            let suppression = self.shown(name)["suppression"].clone();
            suppression["cause"] == cause && suppression["lifted_at"].is_null()
        };
        wait_until(&format!("{name} to be suppressed: {cause}"), LIMIT, is_there);
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.setting.path().join("log")).expect("a log")
    }

    /// Hands a mail over by LMTP; the codes of the answers to RCPT, if it was refused, or to the letter.
    pub fn lmtp(&self, to: &str, mail: &[u8]) -> Vec<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the listener");
        stream.set_read_timeout(Some(LIMIT)).expect("a limit");
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let mut say = |text: &[u8]| {
            stream.write_all(text).expect("written");
        };
        let mut hear = || loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("an answer");
            if line.get(3..4) != Some("-") {
                return line[..3].to_owned();
            }
        };
        assert_eq!(hear(), "220");
        for (line, answer) in [("LHLO test\r\n", "250"), ("MAIL FROM:<>\r\n", "250")] {
            say(line.as_bytes());
            assert_eq!(hear(), answer);
        }
        say(format!("RCPT TO:<{to}>\r\n").as_bytes());
        let answer = hear();
        if answer != "250" {
            return vec![answer];
        }
        say(b"DATA\r\n");
        assert_eq!(hear(), "354");
        let mut wire = Vec::new();
        for line in mail.split_inclusive(|octet| *octet == b'\n') {
            if line.starts_with(b".") {
                wire.push(b'.');
            }
            wire.extend_from_slice(
                line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line)),
            );
            wire.extend_from_slice(b"\r\n");
        }
        wire.extend_from_slice(b".\r\n");
        say(&wire);
        vec![hear()]
    }

    /// Pipes a mail into `allim inbound`; its exit code.
    pub fn pipe(&self, to: Option<&str>, mail: &[u8]) -> i32 {
        let mut arguments = vec!["inbound"];
        arguments.extend(to.map(|to| ["--to", to]).into_iter().flatten());
        let mut command = self.setting.command(&arguments);
        let mut child = command.stdin(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        // It may have read enough before the end.
        let _ = child.stdin.take().expect("a pipe").write_all(mail);
        child.wait().expect("it ends").code().expect("a code")
    }

    /// Hands a mail over by HTTP; the status.
    pub async fn post(&self, to: &str, mail: &[u8]) -> u16 {
        let url = self.setting.url(&format!("/api/v1/inbound?to={}", to.replace('+', "%2B")));
        let request = self.client.post(url).bearer_auth(INBOUND_TOKEN);
        let answer = request.header("content-type", "message/rfc822").body(mail.to_vec()).send().await;
        answer.expect("an answer").status().as_u16()
    }

    pub async fn post_as(&self, token: &str, kind: &str, body: &[u8]) -> u16 {
        let request =
            self.client.post(self.setting.url("/api/v1/inbound")).bearer_auth(token).header("content-type", kind);
        request.body(body.to_vec()).send().await.expect("an answer").status().as_u16()
    }

    /// Hands a mail over by LMTP and waits until it is settled; its verdict.
    pub fn settled(&self, to: &str, mail: &[u8]) -> String {
        let ids = |rows: &Value| -> Vec<(String, Value)> {
            let row = |row: &Value| (row["id"].as_str().expect("an id").to_owned(), row["verdict"].clone());
            rows.as_array().expect("rows").iter().map(row).collect()
        };
        let before = ids(&self.json(&["inbound", "list", "--limit", "500"]));
        assert_eq!(self.lmtp(to, mail), ["250"]);
        let mut verdict = String::new();
        wait_until("the verdict", LIMIT, || {
            let new = ids(&self.json(&["inbound", "list", "--limit", "500"]));
            let new = new.into_iter().find(|(id, _)| before.iter().all(|(known, _)| known != id)).expect("a new mail");
            verdict = new.1.as_str().unwrap_or_default().to_owned();
            !verdict.is_empty()
        });
        verdict
    }

    /// Publishes a post whose letter is refused with this reply, and waits for the record.
    pub async fn refuse_next(&self, reply: &'static str, number: usize) {
        let refused = || self.json(&["delivery", "list", "--state", "refused"]).as_array().map_or(0, Vec::len);
        let before = refused();
        self.sink.play("RCPT", Trick::Say(reply));
        self.publish(&format!("refused-{number}")).await;
        wait_until("the refusal", LIMIT, || refused() == before + 1);
    }
}

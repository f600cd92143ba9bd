//! SMTP against Postfix's `smtp-sink`, which tells us nothing but what a real server would.

use crate::support::letters::{READER, carry, named, parcel, result};
use crate::support::{free_port, server, wait_until};
use allim::app::clock::SystemClock;
use allim::send::carrier::{Carrier as _, Session};
use allim::send::carriers::smtp::{Settings, Smtp, Tls};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

struct SmtpSink {
    child: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl SmtpSink {
    /// Starts one that writes what it gets into a file; `None` when there is none on this machine.
    fn start(arguments: &[&str]) -> Option<Self> {
        let program = server("ALLIM_TEST_SMTP_SINK")?;
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut command = Command::new(program);
        command.current_dir(folder.path()).args(["-D", "letters"]).args(arguments);
        // As root it wants to become somebody else, who must be able to write here.
        if std::fs::metadata(folder.path()).expect("a folder").uid() == 0 {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("opened to all");
            command.args(["-u", "nobody"]);
        }
        let address = format!("127.0.0.1:{port}");
        let child = command.args([&address, "128"]).stdout(Stdio::null()).spawn().expect("smtp-sink starts");
        let sink = Self { child, port, folder };
        wait_until("smtp-sink", Duration::from_secs(10), || std::net::TcpStream::connect(&address).is_ok());
        Some(sink)
    }

    fn letters(&self) -> String {
        std::fs::read(self.folder.path().join("letters")).map_or(String::new(), |b| String::from_utf8_lossy(&b).into())
    }

    fn carrier(&self, connections: usize) -> Smtp {
        let mut settings = Settings::new("127.0.0.1", self.port, Tls::None);
        settings.connections = connections;
        Smtp::new(settings, Arc::new(SystemClock)).expect("a relay")
    }

    fn session(&self) -> Box<dyn Session> {
        self.carrier(1).open()
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_letters_over_ten_connections_arrive_once_each() {
    for arguments in [&[][..], &["-p"]] {
        let Some(sink) = SmtpSink::start(arguments) else { return };
        let (carrier, next) = (sink.carrier(10), Arc::new(AtomicI64::new(0)));
        let mut working = tokio::task::JoinSet::new();
        for _ in 0..carrier.sessions() {
            let (mut session, next) = (carrier.open(), next.clone());
            working.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= 1_000 {
                        break session.close().await;
                    }
                    let parcel = parcel(number, &format!("reader{number}@example.net"), 5_000);
                    assert_eq!(named(&carry(&mut session, &parcel, true).await), "sent");
                }
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.expect("it works");
        }
        let letters = sink.letters();
        let mut readers: Vec<&str> = letters.lines().filter_map(|line| line.strip_prefix("X-Rcpt-Args: ")).collect();
        assert_eq!(readers.len(), 1_000);
        readers.sort_unstable();
        readers.dedup();
        assert_eq!(readers.len(), 1_000);
    }
}

#[tokio::test]
async fn postfix_may_leave_or_refuse_at_each_step() {
    let cases = [
        ("-q", "CONNECT", "later: unreachable"),
        ("-q", "EHLO", "later: unreachable"),
        ("-q", "MAIL", "later: unreachable"),
        ("-q", "RCPT", "later: unreachable"),
        ("-q", "DATA", "later: unreachable"),
        ("-q", ".", "uncertain: answer_lost"),
        ("-Q", "MAIL", "later: busy"),
        ("-Q", ".", "later: busy"),
        ("-r", "MAIL", "later: busy"),
        ("-r", "RCPT", "later: deferred"),
        ("-r", "DATA", "later: busy"),
        ("-r", ".", "later: deferred"),
        ("-f", "CONNECT", "later: our_error"),
        ("-f", "EHLO", "later: our_error"),
        ("-f", "MAIL", "later: our_error"),
        ("-f", "RCPT", "refused: recipient_refused"),
        ("-f", "DATA", "later: our_error"),
        ("-f", ".", "refused: content_refused"),
    ];
    for (option, step, wanted) in cases {
        let Some(sink) = SmtpSink::start(&[option, step]) else { return };
        let mut session = sink.session();
        assert_eq!(result(&mut session).await, wanted, "{option} {step}");
        session.close().await;
    }
}

#[tokio::test]
async fn a_closed_gate_leaves_nothing_at_postfix() {
    let Some(sink) = SmtpSink::start(&[]) else { return };
    let mut session = sink.session();
    assert_eq!(named(&carry(&mut session, &parcel(1, READER, 0), false).await), "not allowed");
    assert_eq!(result(&mut session).await, "sent");
    session.close().await;
    assert_eq!(sink.letters().matches("X-Rcpt-Args: ").count(), 1);
}

//! SMTP with TLS and AUTH; and a daemon that is configured for both.

use crate::support::letters::{PASSWORD, READER, USER, carry, gives_nothing_away, named, parcel, result, until};
use crate::support::sink::{Kind, Sink, Tls as SinkTls, Trick};
use crate::support::tls::Authority;
use crate::support::{Setting, post, publish};
use allim::app::clock::SystemClock;
use allim::send::carrier::{Carrier as _, Session};
use allim::send::carriers::smtp::{Credentials, Settings, Smtp, Tls};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub fn credentials() -> Credentials {
    Credentials { user: USER.to_owned(), password: PASSWORD.to_owned() }
}

const LOGIN: Option<(&str, &str)> = Some((USER, PASSWORD));

fn session(sink: &Sink, tls: Tls, ca_file: Option<&Path>, credentials: Option<Credentials>) -> Box<dyn Session> {
    let mut settings = Settings::new("localhost", sink.port, tls);
    settings.ca_file = ca_file.map(Path::to_owned);
    settings.credentials = credentials;
    Smtp::new(settings, Arc::new(SystemClock)).expect("a relay").open()
}

fn authority() -> (Authority, tempfile::TempDir) {
    (Authority::new(), tempfile::tempdir().expect("a folder"))
}

#[tokio::test]
async fn letters_travel_over_both_kinds_of_tls() {
    let (authority, folder) = authority();
    let file = authority.write(folder.path());
    let acceptor = authority.acceptor("localhost");
    for (tls, protection) in
        [(Tls::Starttls, SinkTls::Starttls(acceptor.clone())), (Tls::Implicit, SinkTls::Implicit(acceptor))]
    {
        let extensions = vec!["PIPELINING", "AUTH PLAIN LOGIN"];
        let sink = Sink::of(Kind { tls: protection, extensions, login: LOGIN, ..Kind::default() }).await;
        let mut session = session(&sink, tls, Some(&file), Some(credentials()));
        for _ in 0..2 {
            assert_eq!(result(&mut session).await, "sent");
        }
        assert_eq!(named(&carry(&mut session, &parcel(3, READER, 2_000_000), true).await), "sent");
        session.close().await;
        assert_eq!((sink.connections(), sink.count()), (1, 3));
        let heard = sink.heard();
        let at = |verb: &str| heard.iter().position(|line| line.contains(verb));
        assert_eq!(at("STARTTLS").is_some(), tls == Tls::Starttls);
        assert!(at("STARTTLS") < at("AUTH") && at("AUTH") < at("MAIL") && at("QUIT").is_some(), "{heard:?}");
    }
}

#[tokio::test]
async fn without_starttls_nothing_is_said_in_the_clear() {
    let (authority, folder) = authority();
    let file = authority.write(folder.path());
    let offers = vec!["PIPELINING", "AUTH PLAIN LOGIN"];
    // Not offered, or taken out on the way.
    let sink = Sink::of(Kind { extensions: offers.clone(), login: LOGIN, ..Kind::default() }).await;
    assert_eq!(result(&mut session(&sink, Tls::Starttls, Some(&file), Some(credentials()))).await, "later: our_error");
    assert!(!sink.has_heard("1 AUTH") && !sink.has_heard("1 MAIL"), "{:?}", sink.heard());

    let cases = [
        ("454 4.7.0 not now\r\n", "later: busy"),
        ("501 5.5.4 no\r\n", "later: our_error"),
        // Words in the clear that somebody puts before the handshake are not taken for the server's.
        ("220 go\r\n250 AUTH PLAIN\r\n", "later: unreachable"),
    ];
    for (said, wanted) in cases {
        let tls = SinkTls::Starttls(authority.acceptor("localhost"));
        let sink = Sink::of(Kind { tls, extensions: offers.clone(), login: LOGIN, ..Kind::default() }).await;
        sink.play("STARTTLS", Trick::Say(said));
        let mut session = session(&sink, Tls::Starttls, Some(&file), Some(credentials()));
        assert_eq!(result(&mut session).await, wanted, "{said}");
        assert!(!sink.has_heard("1 AUTH") && !sink.has_heard("1 MAIL"), "{:?}", sink.heard());
    }
}

#[tokio::test]
async fn a_certificate_that_doesnt_fit_ends_it() {
    let (ours, folder) = authority();
    let file = ours.write(folder.path());
    let (named_otherwise, strange) = (ours.acceptor("mail.example.com"), Authority::new().acceptor("localhost"));
    for acceptor in [named_otherwise, strange] {
        for (tls, kind) in
            [(Tls::Starttls, SinkTls::Starttls(acceptor.clone())), (Tls::Implicit, SinkTls::Implicit(acceptor))]
        {
            let sink = Sink::of(Kind { tls: kind, login: LOGIN, ..Kind::default() }).await;
            let mut session = session(&sink, tls, Some(&file), Some(credentials()));
            assert_eq!(result(&mut session).await, "later: unreachable");
            assert!(!sink.has_heard("1 AUTH") && !sink.has_heard("1 MAIL"));
        }
    }
    // A server that speaks no TLS at all.
    let sink = Sink::start().await;
    let mut settings = Settings::new("localhost", sink.port, Tls::Implicit);
    settings.ca_file = Some(file);
    settings.deadlines.connect = std::time::Duration::from_secs(5);
    let mut session = Smtp::new(settings, Arc::new(SystemClock)).expect("a relay").open();
    assert_eq!(result(&mut session).await, "later: unreachable");
}

#[tokio::test]
async fn a_tls_connection_lost_within_the_letter_or_after_it() {
    let (authority, folder) = authority();
    let file = authority.write(folder.path());
    for (step, padding, wanted) in [
        ("BODY", 6_000_000, "later: unreachable"),
        (".", 0, "uncertain: answer_lost"),
        ("DATA", 0, "later: unreachable"),
    ] {
        let tls = SinkTls::Implicit(authority.acceptor("localhost"));
        let sink = Sink::of(Kind { tls, ..Kind::default() }).await;
        sink.play(step, Trick::Drop);
        let mut session = session(&sink, Tls::Implicit, Some(&file), None);
        let outcome = carry(&mut session, &parcel(1, READER, padding), true).await;
        assert_eq!(named(&outcome), wanted, "{outcome:?}");
    }
}

#[tokio::test]
async fn the_password_is_given_by_plain_or_login_and_never_told() {
    let cases = [
        (vec!["AUTH PLAIN LOGIN"], LOGIN, "sent"),
        (vec!["AUTH LOGIN"], LOGIN, "sent"),
        (vec!["AUTH=LOGIN"], LOGIN, "sent"),
        (vec!["AUTH PLAIN"], Some((USER, "another")), "later: our_error"),
        (vec!["AUTH LOGIN"], Some((USER, "another")), "later: our_error"),
        (vec!["AUTH CRAM-MD5"], LOGIN, "later: our_error"),
        (vec![], LOGIN, "later: our_error"),
    ];
    for (extensions, login, wanted) in cases {
        let sink = Sink::of(Kind { extensions: extensions.clone(), login, ..Kind::default() }).await;
        let mut session = session(&sink, Tls::None, None, Some(credentials()));
        assert_eq!(result(&mut session).await, wanted, "{extensions:?}");
        assert_eq!(sink.has_heard("1 MAIL"), wanted == "sent");
    }
    // A user that nobody configured isn't made up.
    let sink = Sink::of(Kind { extensions: vec!["AUTH PLAIN"], ..Kind::default() }).await;
    assert_eq!(result(&mut session(&sink, Tls::None, None, None)).await, "sent");
    assert!(!sink.has_heard("1 AUTH"));
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("not poisoned").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// With every library's log at its most talkative.
#[tokio::test]
async fn no_log_holds_a_password_an_address_or_a_letter() {
    let (log, (authority, folder)) = (Log::default(), authority());
    let file = authority.write(folder.path());
    let writer = log.clone();
    let logging = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || writer.clone());
    logging.try_init().expect("the only log of these tests");
    tracing::info!("the log works");
    let extensions = vec!["PIPELINING", "AUTH PLAIN"];
    for (step, trick) in [
        ("QUIT", Trick::Say("221 bye\r\n")),
        ("RCPT", Trick::Say("550 5.1.1 canary-reader@example.net: no canary-reader\r\n")),
        ("AUTH", Trick::Say("535 5.7.8 canary-user isn't canary-password\r\n")),
        (".", Trick::Drop),
        ("DATA", Trick::Drop),
    ] {
        let tls = SinkTls::Starttls(authority.acceptor("localhost"));
        let sink = Sink::of(Kind { tls, extensions: extensions.clone(), login: LOGIN, ..Kind::default() }).await;
        sink.play(step, trick);
        let mut session = session(&sink, Tls::Starttls, Some(&file), Some(credentials()));
        result(&mut session).await;
        session.close().await;
    }
    let text = String::from_utf8_lossy(&log.0.lock().expect("not poisoned")).into_owned();
    assert!(text.contains("the log works"));
    gives_nothing_away(&text);
    gives_nothing_away(&format!("{:?}", credentials()));
}

/// The whole way: a post over HTTP, a reader, a relay with STARTTLS and AUTH.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_sends_through_the_relay_that_is_configured() {
    let mut setting = Setting::new();
    let authority = Authority::new();
    authority.write(setting.path());
    std::fs::write(setting.path().join("password"), format!("{PASSWORD}\n")).expect("it is written");
    let tls = SinkTls::Starttls(authority.acceptor("localhost"));
    let sink =
        Sink::of(Kind { tls, extensions: vec!["PIPELINING", "AUTH PLAIN"], login: LOGIN, ..Kind::default() }).await;
    setting.extra = format!(
        "[[relay]]\nname = \"main\"\nhost = \"localhost\"\nport = {}\ntls = \"starttls\"\nuser = \"{USER}\"\n\
         password_file = \"password\"\nca_file = \"authority.pem\"\nhello = \"allim.example.org\"\nconnections = 2\n",
        sink.port
    );
    setting.subscribe(&[format!("{READER},,ko,events,immediate"), "other@example.net,,en,events,immediate".to_owned()]);
    let daemon = setting.start();
    let client = reqwest::Client::new();
    publish(&client, &setting.url("/api/v1/posts"), &post("one", "첫 소식", "ko", &["events"])).await;
    until("a letter for the reader", || sink.count() >= 1).await;
    sink.play("RCPT", Trick::Say("451 4.7.1 canary-reader@example.net later\r\n"));
    publish(&client, &setting.url("/api/v1/posts"), &post("two", "둘째 소식", "ko", &["events"])).await;
    until("a refusal in the log", || daemon.log().contains("(address) later")).await;
    let log = daemon.log();
    daemon.stop();
    assert!(sink.has_heard("1 EHLO allim.example.org"));
    until("the parting", || sink.heard().iter().any(|line| line.ends_with(" QUIT"))).await;
    gives_nothing_away(&log);
}

//! SMTP without TLS, against a server that misbehaves at each step.

use crate::support::letters::{READER, carry, gate, gives_nothing_away, named, parcel, result, until};
use crate::support::sink::{Kind, Sink, Trick};
use allim::app::clock::SystemClock;
use allim::domain::audience::Address;
use allim::domain::clock::{Clock, ManualClock, UnixMillis};
use allim::domain::delivery::Outcome;
use allim::send::carrier::{Carrier as _, Session};
use allim::send::carriers::smtp::{Settings, Smtp, Tls};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(150);
/// A letter that no socket's buffer holds.
const HUGE: usize = 6_000_000;

fn session(sink: &Sink) -> Box<dyn Session> {
    session_with(sink, Arc::new(SystemClock), |_| ())
}

fn session_with(sink: &Sink, clock: Arc<dyn Clock>, change: impl FnOnce(&mut Settings)) -> Box<dyn Session> {
    let mut settings = Settings::new("127.0.0.1", sink.port, Tls::None);
    change(&mut settings);
    Smtp::new(settings, clock).expect("a relay").open()
}

async fn plain() -> Sink {
    Sink::of(Kind { extensions: vec!["8BITMIME"], ..Kind::default() }).await
}

/// Both with and without PIPELINING.
async fn both() -> [Sink; 2] {
    [Sink::start().await, plain().await]
}

#[tokio::test]
async fn a_connection_lost_before_the_dot_delivers_nothing() {
    for step in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"] {
        for sink in both().await {
            sink.play(step, Trick::Drop);
            let mut session = session(&sink);
            assert_eq!(result(&mut session).await, "later: unreachable", "{step}");
            assert_eq!((sink.count(), result(&mut session).await.as_str()), (0, "sent"), "{step}");
        }
    }
    let sink = Sink::start().await;
    sink.play("BODY", Trick::Drop);
    assert_eq!(named(&carry(&mut session(&sink), &parcel(1, READER, HUGE), true).await), "later: unreachable");
    assert_eq!(sink.count(), 0);
}

#[tokio::test]
async fn silence_before_the_dot_is_waited_out_and_delivers_nothing() {
    for step in ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "BODY"] {
        for sink in both().await {
            sink.play(step, Trick::Stall);
            let mut session = session_with(&sink, Arc::new(SystemClock), |settings| match step {
                "CONNECT" | "EHLO" => settings.deadlines.greeting = SHORT,
                "MAIL" | "RCPT" => settings.deadlines.command = SHORT,
                "DATA" => settings.deadlines.data = SHORT,
                _ => settings.deadlines.block = SHORT,
            });
            let outcome = carry(&mut session, &parcel(1, READER, if step == "BODY" { HUGE } else { 0 }), true).await;
            assert_eq!(named(&outcome), "later: timeout", "{step}");
            assert_eq!(sink.count(), 0);
        }
    }
}

#[tokio::test]
async fn an_answer_lost_after_the_dot_is_uncertain() {
    for trick in
        [Trick::Drop, Trick::Stall, Trick::Say("354 what?\r\n"), Trick::SayAndDrop("250"), Trick::Say("hello\r\n")]
    {
        for sink in both().await {
            sink.play(".", trick);
            let mut session = session_with(&sink, Arc::new(SystemClock), |settings| settings.deadlines.dot = SHORT);
            assert_eq!(result(&mut session).await, "uncertain: answer_lost", "{trick:?}");
            assert_eq!(sink.count(), 1);
            session.close().await;
        }
    }
}

#[tokio::test]
async fn each_refusal_means_what_it_means_where_it_is_said() {
    let cases = [
        ("CONNECT", "554 5.7.1 go away\r\n", "later: our_error"),
        ("CONNECT", "421 later\r\n", "later: busy"),
        ("CONNECT", "HTTP/1.1 400 Bad Request\r\n", "later: unreachable"),
        ("EHLO", "502 what?\r\n", "later: our_error"),
        ("EHLO", "451 later\r\n", "later: busy"),
        ("MAIL", "550 5.7.1 not you\r\n", "later: our_error"),
        ("MAIL", "452 4.3.1 full\r\n", "later: busy"),
        (
            "RCPT",
            "550-5.1.1 <canary-reader@example.net>:\r\n550 5.1.1 canary-reader is unknown\r\n",
            "refused: no_such_address",
        ),
        ("RCPT", "550 no\r\n", "refused: recipient_refused"),
        ("RCPT", "552 5.2.2 full\r\n", "later: mailbox_full"),
        ("RCPT", "554 5.7.1 relay access denied\r\n", "refused: policy"),
        ("RCPT", "450 4.2.0 greylisted\r\n", "later: deferred"),
        ("RCPT", "421 4.7.0 too many\r\n", "later: busy"),
        ("DATA", "554 5.5.1 no\r\n", "later: our_error"),
        ("DATA", "421 no\r\n", "later: busy"),
        ("DATA", "354 go\r\n421 4.4.2 too slow\r\n", "later: busy"),
        (".", "550 5.7.1 spam\r\n", "refused: policy"),
        (".", "552 5.3.4 too long\r\n", "refused: content_refused"),
        (".", "554 no\r\n", "refused: content_refused"),
        (".", "451 4.3.0 later\r\n", "later: deferred"),
        (".", "421 4.3.2 going down\r\n", "later: busy"),
    ];
    for (step, said, wanted) in cases {
        for sink in both().await {
            sink.play(step, Trick::Say(said));
            let mut session = session(&sink);
            assert_eq!(result(&mut session).await, wanted, "{step} {said}");
            let before = sink.count();
            assert_eq!(before, usize::from(step == "."), "{step} {said}");
            assert_eq!(result(&mut session).await, "sent", "after {step} {said}");
            assert_eq!(sink.count(), before + 1);
        }
    }
    // A server that has had enough of a letter says so and reads no further.
    let sink = Sink::start().await;
    sink.play("BODY", Trick::Say("552 5.3.4 too long\r\n"));
    let mut session = session_with(&sink, Arc::new(SystemClock), |settings| settings.deadlines.block = SHORT);
    assert_eq!(named(&carry(&mut session, &parcel(1, READER, HUGE), true).await), "refused: content_refused");
}

#[tokio::test]
async fn after_a_refused_recipient_the_connection_goes_on() {
    for sink in both().await {
        let mut session = session(&sink);
        for said in ["550 5.1.1 no\r\n", "451 4.7.1 later\r\n"] {
            sink.play("RCPT", Trick::Say(said));
            assert_ne!(result(&mut session).await, "sent");
        }
        assert_eq!(result(&mut session).await, "sent");
        assert_eq!((sink.connections(), sink.count()), (1, 1));
        assert_eq!(sink.heard().iter().filter(|line| *line == "1 RSET").count(), 2);
    }
    // A server that takes DATA for nobody gets no letter: nobody can know what it would do with it.
    let sink = Sink::start().await;
    sink.play("RCPT", Trick::Say("550 5.1.1 no\r\n"));
    sink.play("DATA", Trick::Say("354 go\r\n"));
    let mut session = session(&sink);
    assert_eq!(result(&mut session).await, "refused: no_such_address");
    assert_eq!(result(&mut session).await, "sent");
    assert_eq!((sink.connections(), sink.count()), (2, 1));
}

#[tokio::test]
async fn connections_are_kept_and_replaced_in_time() {
    let sink = Sink::start().await;
    let clock = Arc::new(ManualClock::at(UnixMillis(1_000_000)));
    let mut session = session_with(&sink, clock.clone(), |settings| settings.letters_max = 3);
    for _ in 0..7 {
        assert_eq!(result(&mut session).await, "sent");
    }
    assert_eq!(sink.connections(), 3);
    assert!(sink.has_heard("1 QUIT") && sink.has_heard("2 QUIT") && !sink.has_heard("3 QUIT"));
    clock.set(UnixMillis(1_024_000));
    assert_eq!(result(&mut session).await, "sent");
    assert_eq!(sink.connections(), 3);
    clock.set(UnixMillis(1_050_000));
    assert_eq!(result(&mut session).await, "sent");
    assert_eq!(sink.connections(), 4, "one that rested too long is not used again");
    session.close().await;
    assert!(sink.has_heard("4 QUIT"));
}

#[tokio::test]
async fn a_stale_connection_is_replaced_once() {
    for sink in both().await {
        for trick in [Trick::Drop, Trick::SayAndDrop("421 4.4.2 you slept\r\n")] {
            let mut session = session(&sink);
            assert_eq!(result(&mut session).await, "sent");
            let before = sink.connections();
            sink.play("MAIL", trick);
            assert_eq!(result(&mut session).await, "sent", "{trick:?}");
            assert_eq!(sink.connections(), before + 1);
            sink.play("MAIL", trick);
            sink.play("MAIL", trick);
            assert_ne!(result(&mut session).await, "sent", "once, not for ever");
            assert_eq!(sink.connections(), before + 2);
        }
        // Closed right after the letter before: seen before anything is said.
        let (mut session, before) = (session(&sink), sink.connections());
        sink.play(".", Trick::SayAndDrop("250 taken\r\n"));
        assert_eq!(result(&mut session).await, "sent");
        until("the end of the connection", || sink.has_heard(&format!("{} EOF", before + 1))).await;
        assert_eq!(result(&mut session).await, "sent");
    }
}

#[tokio::test]
async fn the_letter_waits_for_the_gate_and_a_closed_gate_ends_the_connection() {
    for sink in both().await {
        let mut session = session(&sink);
        let (answer, mut gate) = gate();
        let parcel = parcel(1, READER, 0);
        let carried = session.carry(&parcel, &mut gate, None);
        let answered = async {
            until("DATA", || sink.has_heard("1 DATA")).await;
            answer.send(false).expect("it waits");
        };
        let (outcome, ()) = tokio::join!(carried, answered);
        assert_eq!(outcome, Outcome::NotAllowed);
        until("the end", || sink.has_heard("1 EOF")).await;
        assert_eq!((sink.count(), sink.behaviour.letter_octets.load(Ordering::SeqCst)), (0, 0));
    }
}

#[tokio::test]
async fn commands_go_together_only_where_the_server_allows_it() {
    let [pipelining, plain] = both().await;
    for sink in [&pipelining, &plain] {
        assert_eq!(result(&mut session(sink)).await, "sent");
    }
    let wanted = format!("RCPT TO:<{READER}>\r\nDATA\r\n").len();
    assert_eq!(pipelining.behaviour.ahead.load(Ordering::SeqCst), wanted);
    assert_eq!(plain.behaviour.ahead.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_server_may_answer_one_octet_at_a_time() {
    let sink = Sink::of(Kind { trickles: true, ..Kind::default() }).await;
    assert_eq!(result(&mut session(&sink)).await, "sent");
}

#[tokio::test]
async fn an_address_outside_ascii_needs_smtputf8() {
    let sink = Sink::start().await;
    let far = parcel(1, "독자@example.net", 0);
    assert_eq!(named(&carry(&mut session(&sink), &far, true).await), "sent");
    assert!(sink.has_heard("1 MAIL FROM:<news@example.org> SMTPUTF8 BODY=8BITMIME"), "{:?}", sink.heard());
    for extensions in [vec!["PIPELINING", "8BITMIME"], vec![]] {
        let sink = Sink::of(Kind { extensions, ..Kind::default() }).await;
        let mut session = session(&sink);
        assert_eq!(named(&carry(&mut session, &far, true).await), "refused: needs_smtputf8");
        assert_eq!(result(&mut session).await, "sent");
        assert_eq!((sink.connections(), sink.count()), (1, 1));
    }
}

#[tokio::test]
async fn a_letter_that_is_too_long_isnt_offered() {
    let sink = Sink::of(Kind { extensions: vec!["SIZE 5000"], ..Kind::default() }).await;
    let mut session = session(&sink);
    assert_eq!(named(&carry(&mut session, &parcel(1, READER, 6_000), true).await), "refused: content_refused");
    assert!(!sink.has_heard("1 MAIL"));
    assert_eq!(result(&mut session).await, "sent");
    assert!(sink.has_heard("1 MAIL FROM:<news@example.org> SIZE="));
}

#[tokio::test]
async fn a_server_that_reports_is_told_what_to_report() {
    let sink = Sink::of(Kind { extensions: vec!["PIPELINING", "8BITMIME", "DSN"], ..Kind::default() }).await;
    let mut session = session(&sink);
    assert_eq!(result(&mut session).await, "sent");
    assert!(sink.has_heard("1 MAIL FROM:<news@example.org> RET=HDRS"), "{:?}", sink.heard());
    assert!(!sink.heard().iter().any(|line| line.contains("ENVID")), "no id without a return address of its own");
    assert!(
        sink.has_heard("1 RCPT TO:<canary-reader@example.net> NOTIFY=FAILURE ORCPT=rfc822;canary-reader@example.net")
    );
    let mut named_parcel = parcel(2, READER, 0);
    named_parcel.return_path = Some(Address::parse("bounce+k1-abc@bounce.example.org").expect("an address"));
    assert_eq!(named(&carry(&mut session, &named_parcel, true).await), "sent");
    let wanted = "1 MAIL FROM:<bounce+k1-abc@bounce.example.org> RET=HDRS ENVID=bounce+2Bk1-abc";
    assert!(sink.has_heard(wanted), "{:?}", sink.heard());
    let silent = Sink::start().await;
    assert_eq!(result(&mut self::session(&silent)).await, "sent");
    assert!(!silent.heard().iter().any(|line| line.contains("RET=") || line.contains("NOTIFY=")));
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let port = crate::support::free_port();
    let settings = Settings::new("127.0.0.1", port, Tls::None);
    let mut session = Smtp::new(settings, Arc::new(SystemClock)).expect("a relay").open();
    assert_eq!(result(&mut session).await, "later: unreachable");
}

#[test]
fn settings_that_cant_be_are_refused_at_the_start() {
    let refusal = |change: fn(&mut Settings)| {
        let mut settings = Settings::new("relay.example.org", 587, Tls::Starttls);
        change(&mut settings);
        let text = Smtp::new(settings, Arc::new(SystemClock)).err().expect("refused").to_string();
        gives_nothing_away(&text);
        text
    };
    assert!(refusal(|settings| settings.host = "not a host".to_owned()).starts_with("host:"));
    assert!(refusal(|settings| settings.hello = "a\r\nMAIL".to_owned()).starts_with("hello:"));
    assert!(refusal(|settings| settings.ca_file = Some("/nowhere".into())).starts_with("ca_file: /nowhere"));
    assert!(refusal(|settings| settings.ca_file = Some("/dev/null".into())).contains("no certificate"));
    let clear = refusal(|settings| {
        settings.tls = Tls::None;
        settings.credentials = Some(crate::smtp_tls::credentials());
    });
    assert!(clear.starts_with("user:"));
}

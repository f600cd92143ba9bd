//! Parcels for a carrier by itself, filled with words that must never turn up in a log or a record.

use allim::domain::audience::{Address, Subscriber};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{DeliveryKey, Outcome};
use allim::domain::language::Language;
use allim::render::letter::{LetterForm, Sender};
use allim::render::pieces::Pieces;
use allim::render::site::LocalText;
use allim::send::carrier::{Gate, Parcel, Prepared, Session};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The reader's address, a user and a password, and a word of every letter.
pub const READER: &str = "canary-reader@example.net";
pub const USER: &str = "canary-user";
pub const PASSWORD: &str = "canary-password";
pub const BODY: &str = "canary-body";

/// A letter of a little more than `padding` octets for a reader.
pub fn parcel(number: i64, address: &str, padding: usize) -> Parcel {
    let line = "알".repeat(24) + "\n";
    let text = format!("{BODY}\n.\n..\n알림\n{}", line.repeat(padding / line.len()));
    let pieces = Pieces { subject: BODY.to_owned(), html: format!("<p>{BODY}</p>"), text, calendar: None };
    let form = LetterForm::new(&pieces, &sender(), &Language::parse("ko").expect("a language")).expect("a form");
    let prepared = Prepared {
        edition_id: 1,
        schedule: "immediate".to_owned(),
        kind: allim::domain::edition::EditionKind::Issue,
        form,
        sender: Arc::new(sender()),
        accepted_at: None,
    };
    Parcel {
        key: DeliveryKey { plan_id: 1, recipient_id: number, carrier: "email".to_owned() },
        planned_at: UnixMillis(1_430_100_720_000),
        prepared: Arc::new(prepared),
        to: Subscriber {
            id: number,
            address: Address::parse(address).expect("an address"),
            name: None,
            language: Language::parse("ko").expect("a language"),
            text_only: false,
            unsubscribed_at: None,
        },
        unsubscribe_url: Some("https://allim.example.org/unsubscribe/token".to_owned()),
        manage_url: Some("https://allim.example.org/manage/token".to_owned()),
        return_path: None,
        leave_address: None,
        pen: None,
    }
}

fn sender() -> Sender {
    Sender {
        name: "news".to_owned(),
        from: LocalText::same("연구원 소식"),
        address: Address::parse("news@example.org").expect("an address"),
        reply_to: None,
        list_id: "news.example.org".to_owned(),
        message_id_domain: "example.org".to_owned(),
        bounce_domain: None,
        help_url: Some("https://allim.example.org/".to_owned()),
    }
}

/// The bytes that a parcel's reader should get.
pub fn bytes(parcel: &Parcel) -> Vec<u8> {
    parcel.letter().expect("a letter")
}

/// A gate and the hand that opens or closes it.
pub fn gate() -> (oneshot::Sender<bool>, Gate) {
    let (answer, asked) = oneshot::channel();
    (answer, Gate::answered_by(asked))
}

/// Carries a parcel through a gate that answers at once. Whatever comes of it, its words give nothing away.
pub async fn carry(session: &mut Box<dyn Session>, parcel: &Parcel, allowed: bool) -> Outcome {
    let (answer, mut gate) = gate();
    answer.send(allowed).expect("the gate is there");
    let outcome = session.carry(parcel, &mut gate, None).await;
    gives_nothing_away(&format!("{outcome:?}"));
    outcome
}

/// Carries the usual letter and says what came of it: the outcome's name and its reason.
pub async fn result(session: &mut Box<dyn Session>) -> String {
    named(&carry(session, &parcel(1, READER, 0), true).await)
}

/// An outcome's name and reason.
pub fn named(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Sent { .. } => "sent".to_owned(),
        Outcome::TryLater { reason, .. } => format!("later: {reason}"),
        Outcome::Refused { reason, .. } => format!("refused: {reason}"),
        Outcome::Uncertain { reason, .. } => format!("uncertain: {reason}"),
        Outcome::NotAllowed => "not allowed".to_owned(),
    }
}

/// Fails if a text holds any of the words above, also as AUTH encodes them.
pub fn gives_nothing_away(text: &str) {
    let encode = |text: &str| STANDARD.encode(text);
    let secrets = [encode(USER), encode(PASSWORD), encode(&format!("\0{USER}\0{PASSWORD}"))];
    let found = secrets.iter().any(|secret| text.contains(secret.as_str())) || text.to_lowercase().contains("canary");
    assert!(!found, "{text}");
}

/// Waits for something that another task does; the time is a limit, not a wait.
pub async fn until(what: &str, mut check: impl FnMut() -> bool) {
    let waiting = async {
        while !check() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.unwrap_or_else(|_| panic!("waited for: {what}"));
}

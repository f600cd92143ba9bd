//! What every carrier of mail must do; a new one is one more `Place`.

use crate::support::keys;
use crate::support::letters::{self, READER, carry, gate, named, parcel, until};
use crate::support::sink::Sink;
use allim::app::clock::SystemClock;
use allim::render::dkim::{Key, Signer};
use allim::send::carrier::Carrier;
use allim::send::carriers::maildir::Maildir;
use allim::send::carriers::smtp::{Settings, Smtp, Tls};
use allim::send::signing::Signing;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A far side: how it is reached and what it got.
struct Place {
    carrier: Box<dyn Carrier>,
    letters: Box<dyn Fn() -> Vec<Vec<u8>> + Send>,
    /// Whether a repeat stands beside the first instead of in its place.
    keeps_repeats: bool,
    _folder: Option<tempfile::TempDir>,
}

fn maildir() -> Place {
    let folder = tempfile::tempdir().expect("a folder");
    let new = folder.path().join("new");
    let letters = move || {
        let files = std::fs::read_dir(&new).expect("a Maildir");
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("a letter")).collect()
    };
    let carrier = Box::new(Maildir::create(folder.path()).expect("a Maildir"));
    Place { carrier, letters: Box::new(letters), keeps_repeats: false, _folder: Some(folder) }
}

async fn smtp() -> Place {
    let sink = Sink::start().await;
    let settings = Settings::new("127.0.0.1", sink.port, Tls::None);
    let carrier = Box::new(Smtp::new(settings, Arc::new(SystemClock)).expect("a relay"));
    let letters = move || sink.received.lock().expect("not poisoned").iter().map(|r| r.bytes.clone()).collect();
    Place { carrier, letters: Box::new(letters), keeps_repeats: true, _folder: None }
}

#[tokio::test]
async fn a_letter_arrives_as_it_was_written_and_a_repeat_is_equal() {
    for place in [maildir(), smtp().await] {
        let mut session = place.carrier.open();
        let parcel = parcel(1, READER, 3_000);
        for repeat in 1..=2 {
            assert_eq!(named(&carry(&mut session, &parcel, true).await), "sent");
            let got = (place.letters)();
            assert_eq!(got.len(), if place.keeps_repeats { repeat } else { 1 });
            assert!(got.iter().all(|letter| *letter == letters::bytes(&parcel)));
        }
        session.close().await;
    }
}

#[tokio::test]
async fn nothing_is_sent_before_or_without_the_ledgers_word() {
    for place in [maildir(), smtp().await] {
        let mut session = place.carrier.open();
        assert_eq!(named(&carry(&mut session, &parcel(1, READER, 0), false).await), "not allowed");
        // A ledger that is gone says no.
        let (answer, mut closed) = gate();
        drop(answer);
        assert_eq!(named(&session.carry(&parcel(2, READER, 0), &mut closed, None).await), "not allowed");
        assert_eq!((place.letters)(), Vec::<Vec<u8>>::new());

        // One that is slow is waited for.
        let (answer, mut slow) = gate();
        let late = parcel(3, READER, 0);
        let carried = session.carry(&late, &mut slow, None);
        let answered = async {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            assert_eq!((place.letters)(), Vec::<Vec<u8>>::new());
            answer.send(true).expect("it waits");
        };
        let (outcome, ()) = tokio::join!(carried, answered);
        assert_eq!(named(&outcome), "sent");
        assert_eq!((place.letters)(), [letters::bytes(&late)]);
        session.close().await;
    }
}

#[tokio::test]
async fn a_letter_that_cant_be_written_is_refused() {
    for place in [maildir(), smtp().await] {
        let mut session = place.carrier.open();
        let mut bad = parcel(1, READER, 0);
        bad.unsubscribe_url = Some("not a link".to_owned());
        assert_eq!(named(&carry(&mut session, &bad, true).await), "refused: render_failed");
        assert_eq!(named(&carry(&mut session, &parcel(2, READER, 0), true).await), "sent");
    }
}

/// Signed letters are the same by whichever carrier, and each time; `tests/signing.rs` verifies them.
#[tokio::test]
async fn a_letter_is_signed_by_whichever_carrier() {
    let signers = ["s1", "s2"].map(|selector| {
        Signer::new(
            "example.org".to_owned(),
            selector.to_owned(),
            Key::from_pem(keys::ed25519().as_bytes()).expect("a key"),
        )
    });
    let signing = Signing::start(BTreeMap::from([("news".to_owned(), signers.into())])).expect("threads");
    assert!(signing.pen("another").is_none());
    let mut signed = parcel(1, READER, 3_000);
    signed.pen = signing.pen("news");
    let wanted = signed.signed_letter().await.expect("a letter");
    let header = wanted.strip_suffix(letters::bytes(&signed).as_slice()).expect("the letter below its signatures");
    assert_eq!(memchr::memmem::find_iter(header, b"DKIM-Signature: ").count(), 2);
    for place in [maildir(), smtp().await] {
        let mut session = place.carrier.open();
        for _ in 1..=2 {
            assert_eq!(named(&carry(&mut session, &signed, true).await), "sent");
            assert!((place.letters)().iter().all(|letter| *letter == wanted));
        }
        let mut bad = parcel(2, READER, 0);
        (bad.pen, bad.unsubscribe_url) = (signing.pen("news"), Some("not a link".to_owned()));
        assert_eq!(named(&carry(&mut session, &bad, true).await), "refused: render_failed");
        session.close().await;
    }
    // A pen outlives the office: what is under way is signed to its end.
    signed.pen = signing.pen("news");
    drop(signing);
    assert_eq!(named(&carry(&mut maildir().carrier.open(), &signed, true).await), "sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_work_side_by_side() {
    for place in [maildir(), smtp().await] {
        assert!(place.carrier.sessions() > 1);
        let mut working = tokio::task::JoinSet::new();
        for number in 0..20 {
            let mut session = place.carrier.open();
            working.spawn(async move {
                assert_eq!(named(&carry(&mut session, &parcel(number, READER, 0), true).await), "sent");
                session.close().await;
            });
        }
        while let Some(ended) = working.join_next().await {
            ended.expect("it works");
        }
        until("twenty letters", || (place.letters)().len() == 20).await;
    }
}

//! What comes back: bounces, complaints and unsubscribe mails, by every way in, and the replies of a live dialogue.
#![allow(missing_docs, reason = "a test")]

mod house;
mod ledger;
#[path = "../support/mod.rs"]
mod support;

use house::{House, LISTENER_DOMAIN, filled};
use serde_json::json;
use std::time::Duration;
use support::{post, publish, wait_until};

const LIMIT: Duration = Duration::from_secs(30);

/// On both databases.
async fn houses(readers: &[&str]) -> Vec<House> {
    let mut houses = vec![House::start(readers, None).await];
    if let Some(server) = support::server("ALLIM_TEST_POSTGRES") {
        let name = format!("inbound_{}_{}", readers.len(), std::process::id());
        houses.push(House::start(readers, Some(support::create_database(&server, &name).await)).await);
    }
    houses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bounce_by_each_way_in_suppresses_its_reader_and_can_be_undone() {
    for house in houses(&["anna", "bora", "chul", "dana"]).await {
        house.publish("one").await;
        house.wait_for_letters(4);
        let letters = ["anna", "bora", "chul"].map(|name| house.letter_to(name));
        let [anna, bora, chul] = &letters;
        assert_ne!(anna.from, bora.from);
        for letter in &letters {
            assert!(letter.from.starts_with("bounce+") && letter.from.ends_with(LISTENER_DOMAIN), "{}", letter.from);
            assert!(
                letter.unsubscribe.starts_with("<http") && letter.leave.starts_with("leave+"),
                "{}",
                letter.unsubscribe
            );
        }
        assert_eq!(house.lmtp(&anna.from.to_uppercase(), &filled("postfix", anna)), ["250"]);
        assert_eq!(house.pipe(Some(&bora.from), &filled("exchange", bora)), 0);
        assert_eq!(house.post(&chul.from, &filled("naver", chul)).await, 202);
        for name in ["anna", "bora", "chul"] {
            house.wait_for_cause(name, "no_such_address");
        }
        // It is told with the delivery, in the far side's words and without the address.
        let shown = house.json(&["delivery", "show", &house.delivery_of("anna")]);
        assert_eq!((&shown["delivery"]["state"], &shown["bounces"][0]["status"]), (&json!("sent"), &json!("5.1.1")));
        let reply = shown["bounces"][0]["reply"].as_str().expect("words");
        assert!(reply.contains("User unknown") && !reply.contains("anna@"), "{reply}");

        house.publish("two").await;
        house.wait_for_letters(5);
        assert_eq!(house.letters_to("dana"), 2);
        house.setting.run(&["subscriber", "lift", "anna@example.net"]);
        assert_eq!(house.shown("anna")["suppression"]["lifted_by"], "operator");
        house.publish("three").await;
        wait_until("the letter after the undoing", LIMIT, || house.letters_to("anna") >= 2);
        assert_eq!((house.letters_to("bora"), house.letters_to("chul")), (1, 1));
        assert!(!house.log().contains("@example.net"), "an address stands in the log");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_bounce_or_proves_nothing_changes_nobody() {
    let house = House::start(&["anna", "bora"], None).await;
    house.publish("one").await;
    house.wait_for_letters(2);
    let (anna, bora) = (house.letter_to("anna"), house.letter_to("bora"));
    for (mail, verdict) in [
        ("vacation", "auto_reply"),
        ("vacation-ko", "auto_reply"),
        ("answer", "unknown"),
        ("policy", "bounce"),
        ("naver-blocked", "bounce"),
        ("daum-full", "bounce"),
        ("postfix-delay", "delay"),
        ("loop", "loop"),
    ] {
        assert_eq!(house.settled(&anna.from, &filled(mail, &anna)), verdict, "{mail}");
    }
    // Somebody else's addresses, a token with a changed character, and the Message-ID of another reader's letter.
    let strangers = format!("bounces@{LISTENER_DOMAIN}");
    let spoilt = format!("{}{}", if anna.from.contains("bounce+a") { "bounce+b" } else { "bounce+a" }, &anna.from[8..]);
    let mut forged = anna.clone();
    forged.id = bora.id.clone();
    forged.from = strangers.clone();
    for to in [&strangers, &spoilt] {
        assert_eq!(house.settled(to, &filled("exchange", &forged)), "unknown", "{to}");
        assert_eq!(house.settled(to, &filled("naver", &forged)), "unknown", "{to}");
        assert_eq!(house.settled(to, &filled("qmail", &forged)), "unknown", "{to}");
    }
    for name in ["anna", "bora"] {
        assert_eq!(house.shown(name)["suppression"], json!(null));
    }
    // With the Message-ID of a letter that this same reader was sent it counts.
    assert_eq!(house.settled(&strangers, &filled("exchange", &anna)), "bounce");
    house.wait_for_cause("anna", "no_such_address");
    assert_eq!(house.shown("bora")["suppression"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complaint_ends_the_schedule_and_suppresses_and_no_list_brings_anybody_back() {
    for house in houses(&["anna", "bora", "chul"]).await {
        house.setting.subscribe(&["anna@example.net,,ko,notices,often".to_owned()]);
        house.publish("one").await;
        house.wait_for_letters(3);
        let (anna, bora, chul) = (house.letter_to("anna"), house.letter_to("bora"), house.letter_to("chul"));
        let feedback = format!("feedback@{LISTENER_DOMAIN}");
        assert_eq!(house.settled(&feedback, &filled("arf", &anna)), "complaint");
        house.wait_for_cause("anna", "complaint");
        assert_eq!(house.slots("anna"), ["notices often"]);
        // By mail one leaves the schedule of the letter; that a machine sent it for its reader is no matter.
        let leave = String::from_utf8(filled("leave", &bora))
            .expect("ASCII")
            .replace("From:", "Auto-Submitted: auto-generated\nFrom:");
        assert_eq!(house.settled(&bora.leave_address(), leave.as_bytes()), "unsubscribe");
        assert_eq!(house.settled(&chul.from, &filled("gmail", &chul)), "bounce");
        let before = ["anna", "bora", "chul"].map(|name| house.shown(name));
        assert_eq!((&before[1]["suppression"], house.slots("bora").len()), (&json!(null), 0));

        let (anna, chul) = ("anna@example.net,,ko,notices,often", "CHUL@example.net,,ko,events,immediate");
        house.setting.subscribe(&[
            anna.to_owned(),
            chul.to_owned(),
            "dana@example.net,,ko,events,immediate".to_owned(),
        ]);
        for (name, before) in ["anna", "bora", "chul"].iter().zip(&before) {
            let now = house.shown(name);
            assert_eq!((&now["suppression"], &now["bounces"]), (&before["suppression"], &before["bounces"]), "{name}");
        }
        assert_eq!((house.slots("anna"), house.slots("bora").len()), (vec!["notices often".to_owned()], 0));
        house.publish("two").await;
        house.wait_for_letters(4);
        assert_eq!(house.letters_to("dana"), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cant_be_read_is_kept_and_the_daemon_goes_on() {
    let house = House::start(&["anna"], None).await;
    house.publish("one").await;
    house.wait_for_letters(1);
    let anna = house.letter_to("anna");
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(20_000);
    assert_eq!(house.settled(&anna.from, nested.as_bytes()), "malformed");
    let garbage: Vec<u8> = (0..1_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    assert!(["malformed", "unknown"].contains(&house.settled(&anna.from, &garbage).as_str()));
    let id = house.json(&["inbound", "list", "--verdict", "malformed"])[0]["id"].as_str().expect("an id").to_owned();
    house.setting.run(&["inbound", "again", &id]);
    wait_until("the second reading", LIMIT, || house.json(&["inbound", "show", &id])["mail"]["verdict"] == "malformed");
    assert!(house.json(&["inbound", "list", "--verdict", "bounce"]).as_array().is_some_and(Vec::is_empty));

    // More than is taken is refused by each way in, and for good.
    let long = vec![b'x'; 1_048_577];
    assert_eq!(house.lmtp(&anna.from, &long), ["552"]);
    assert_eq!(house.pipe(Some(&anna.from), &long), 1);
    assert_eq!(house.post(&anna.from, &long).await, 413);
    assert_eq!(house.lmtp("someone@elsewhere.example", b"Subject: x\r\n\r\n"), ["550"]);
    assert_eq!(house.post_as(support::TOKEN, "message/rfc822", b"x").await, 403);
    assert_eq!(house.post_as("nobody", "message/rfc822", b"x").await, 401);
    assert_eq!(house.post_as(house::INBOUND_TOKEN, "text/plain", b"x").await, 415);
    // A report cut at any place, and the same mail twice, is nothing to stumble over.
    let whole = filled("postfix", &anna);
    for cut in [10, 300, whole.len() / 2] {
        house.settled(&anna.from, &whole[..cut]);
    }
    assert_eq!(house.pipe(Some(&anna.from), &whole), 0);
    assert_eq!(house.pipe(None, &whole), 0);
    house.wait_for_cause("anna", "no_such_address");
    assert_eq!(house.shown("anna")["bounces"].as_array().map(Vec::len), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn live_refusals_count_by_the_same_table() {
    let house = House::start(&["anna"], None).await;
    for (number, reply) in
        ["550 5.7.1 not wanted\r\n", "554 5.7.26 unauthenticated\r\n", "550 no\r\n", "550 no\r\n"].iter().enumerate()
    {
        house.refuse_next(reply, number).await;
        assert_eq!(house.shown("anna")["suppression"], json!(null), "{reply}");
    }
    house.refuse_next("550 no\r\n", 4).await;
    house.wait_for_cause("anna", "unexplained");
    assert!(house.shown("anna")["suppression"]["until_at"].is_i64());

    house.setting.run(&["subscriber", "lift", "anna@example.net"]);
    house.refuse_next("550 5.1.1 no such user\r\n", 5).await;
    house.wait_for_cause("anna", "no_such_address");
    let shown = house.shown("anna");
    assert_eq!(shown["suppression"]["until_at"], json!(null));
    assert!(shown["suppression"]["evidence"].as_str().is_some_and(|text| text.contains("no such user")));
    house.setting.subscribe(&["dana@example.net,,ko,events,immediate".to_owned()]);
    house.publish("last").await;
    house.wait_for_letters(1);
    assert_eq!(house.letters_to("dana"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_has_the_same_bytes_and_the_same_return_address() {
    let house = House::start(&["anna"], None).await;
    house.sink.behaviour.silent_dots.store(1, std::sync::atomic::Ordering::SeqCst);
    house.publish("one").await;
    house.wait_for_letters(2);
    let received = house.sink.received.lock().expect("not poisoned").clone();
    assert_eq!(received[0].bytes, received[1].bytes);
    let from: Vec<String> = house
        .sink
        .heard()
        .iter()
        .filter(|line| line.contains(" MAIL FROM:<bounce+"))
        .map(|line| line[2..].to_owned())
        .collect();
    assert!(from.len() >= 2 && from.iter().all(|line| *line == from[0]), "{from:?}");
    assert!(
        publish(&house.client, &house.setting.url("/api/v1/posts"), &post("x", "끝", "ko", &["notices"])).await.len()
            > 5
    );
}

//! What the DNS says of a sender, with a name server of the tests' own: what `allim check` tells, which sends wait, and what lets
//! them go. And what waits because the receivers themselves object.
#![allow(missing_docs, reason = "a test")]

mod support;

use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use support::dns::Dns;
use support::sink::Sink;
use support::{Daemon, Relay, Setting, keys, post, publish, wait_until};

/// A limit, not a wait.
const LIMIT: Duration = Duration::from_secs(120);
/// A top-level name that is nobody's (ISO 3166 keeps it for its users), so that nothing here can leave the machine.
const GOOD: &[(&str, &str, &str)] = &[
    ("gaon.zz", "TXT", "v=spf1 ip4:192.0.2.25 -all"),
    ("gaon.zz", "MX", "mx.gaon.zz"),
    ("mx.gaon.zz", "A", "192.0.2.26"),
    ("_dmarc.gaon.zz", "TXT", "v=DMARC1; p=none"),
];

fn dns() -> Dns {
    let dns = Dns::start(&[]);
    for (name, kind, value) in GOOD {
        dns.add(name, kind, value);
    }
    dns
}

fn setting(dns: &Dns, port: u16, more: &str) -> Setting {
    let mut setting = Setting::new();
    setting.sender_address = "news@gaon.zz".to_owned();
    setting.relay = Some(Relay { port, connections: 4 });
    setting.send_extra = format!("resolver = \"{}\"\nlarge = 20\nposture_every = \"1s\"\n{more}", dns.address);
    setting
}

fn readers(setting: &Setting, count: usize, topic: &str) {
    let line = |number: usize| format!("{topic}{number}@d{}.example,,en,{topic},immediate", number % 20);
    setting.subscribe(&(0..count).map(line).collect::<Vec<_>>());
}

async fn publish_one(setting: &Setting, id: &str, topic: &str) {
    let body = post(id, &format!("Post {id}"), "en", &[topic]);
    publish(&reqwest::Client::new(), &setting.url("/api/v1/posts"), &body).await;
}

fn holds(setting: &Setting) -> Vec<Value> {
    serde_json::from_str(&setting.run(&["--json", "hold"])).expect("a list")
}

/// Waits for something on a thread that may wait.
async fn until(what: &str, check: impl FnMut() -> bool + std::marker::Send + 'static) {
    let what = what.to_owned();
    tokio::task::spawn_blocking(move || wait_until(&what, LIMIT, check)).await.expect("it comes");
}

async fn until_count(sink: &Sink, count: usize) {
    let sink = sink.clone();
    until(&format!("{count} letters"), move || sink.count() >= count).await;
}

/// Waits for a hold and returns its scope and reason.
async fn until_held(setting: &Setting) -> (String, String) {
    let started = support::now_seconds();
    loop {
        if let [hold] = &holds(setting)[..] {
            let text = |key: &str| hold[key].as_str().expect("a text").to_owned();
            return (text("scope"), text("reason"));
        }
        assert!(support::now_seconds() - started < LIMIT.as_secs() as i64, "nothing is held");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Each reader got one letter.
fn once_each(sink: &Sink, count: usize) {
    let letters = sink.received.lock().expect("not poisoned");
    let readers: std::collections::BTreeSet<&str> = letters.iter().map(|letter| letter.recipient.as_str()).collect();
    assert_eq!((letters.len(), readers.len()), (count, count), "each once");
}

/// A daemon whose large send is kept back for want of DMARC, and what small sends did meanwhile.
async fn kept_back(dns: &Dns, sink: &Sink) -> (Setting, Daemon, String) {
    dns.remove("_dmarc.gaon.zz", "TXT");
    let setting = setting(dns, sink.port, "");
    readers(&setting, 50, "events");
    readers(&setting, 5, "notices");
    let daemon = setting.start();
    publish_one(&setting, "large", "events").await;
    let (scope, reason) = until_held(&setting).await;
    assert!(scope.starts_with("plan:") && scope.ends_with("/news"), "{scope}");
    assert!(reason.starts_with("50 mails by `news` wait: gaon.zz has no DMARC record"), "{reason}");
    // What goes to few isn't large.
    publish_one(&setting, "small", "notices").await;
    until_count(sink, 5).await;
    let letters = sink.received.lock().expect("not poisoned").clone();
    assert!(letters.iter().all(|letter| letter.recipient.starts_with("notices")), "none of the large send");
    (setting, daemon, scope)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_send_waits_and_goes_by_itself_once_the_dns_is_mended() {
    let (dns, sink) = (dns(), Sink::start().await);
    let (setting, daemon, _) = kept_back(&dns, &sink).await;
    // It waits through a restart, and its readers can still be told what is with them.
    daemon.stop();
    let daemon = setting.start();
    assert_eq!(setting.run(&["delivery", "list", "--state", "due", "--limit", "100"]).matches("due").count() - 1, 50);
    let metrics = reqwest::get(setting.url("/metrics")).await.expect("an answer").text().await.expect("text");
    assert!(metrics.contains("allim_sender_refused{sender=\"news\"} 1"), "{metrics}");
    assert_eq!(sink.count(), 5);
    dns.add("_dmarc.gaon.zz", "TXT", "v=DMARC1; p=quarantine");
    until_count(&sink, 55).await;
    until("the hold to end", {
        let log = setting.path().join("log");
        move || std::fs::read_to_string(&log).unwrap_or_default().contains("a large send goes on")
    })
    .await;
    assert_eq!(holds(&setting).len(), 0);
    once_each(&sink, 55);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_lets_a_large_send_go_as_it_is_and_it_isnt_kept_back_again() {
    let (dns, sink) = (dns(), Sink::start().await);
    let (setting, daemon, scope) = kept_back(&dns, &sink).await;
    let plan = scope.trim_start_matches("plan:").trim_end_matches("/news").to_owned();
    let told = setting.command(&["hold", "off", "--plan", "77"]).output().expect("it runs");
    assert!(!told.status.success() && String::from_utf8_lossy(&told.stderr).contains(&plan), "{told:?}");
    assert_eq!(setting.run(&["hold", "off", "--plan", &plan]).trim(), "no hold is on: mail is sent");
    until_count(&sink, 55).await;
    once_each(&sink, 55);
    // The next one waits again.
    publish_one(&setting, "next", "events").await;
    let (next, _) = until_held(&setting).await;
    assert_ne!(next, scope);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dns_that_says_nothing_holds_nothing_back() {
    let (dns, sink) = (dns(), Sink::start().await);
    dns.fall_silent(true);
    let setting = setting(&dns, sink.port, "");
    readers(&setting, 50, "events");
    let daemon = setting.start();
    publish_one(&setting, "large", "events").await;
    until_count(&sink, 50).await;
    assert_eq!(holds(&setting).len(), 0);
    assert!(dns.asked() > 0);
    let log = setting.path().join("log");
    let told = move || {
        std::fs::read_to_string(&log).unwrap_or_default().contains("whether receivers take mail to many isn't known")
    };
    until("a warning", told).await;
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_warn_it_warns() {
    let (dns, sink) = (dns(), Sink::start().await);
    dns.remove("gaon.zz", "TXT");
    let setting = setting(&dns, sink.port, "posture = \"warn\"");
    readers(&setting, 50, "events");
    let daemon = setting.start();
    publish_one(&setting, "large", "events").await;
    until_count(&sink, 50).await;
    assert!(daemon.log().contains("receivers refuse large sends") && daemon.log().contains("no SPF record"));
    assert_eq!(holds(&setting).len(), 0);
    daemon.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_asked_about_names_for_examples() {
    let (dns, sink) = (dns(), Sink::start().await);
    let mut setting = setting(&dns, sink.port, "");
    setting.sender_address = "news@example.org".to_owned();
    readers(&setting, 50, "events");
    let daemon = setting.start();
    publish_one(&setting, "large", "events").await;
    until_count(&sink, 50).await;
    assert_eq!(dns.asked(), 0);
    daemon.stop();
}

/// The points of `allim check`, as `point verdict`, and all that they say.
fn checked(setting: &Setting) -> (Vec<String>, String) {
    let output = setting.command(&["--json", "check"]).output().expect("it runs");
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let verdicts = findings.iter().map(|one| format!("{} {}", text(one, "point"), text(one, "verdict")));
    let keys = ["found", "fix", "dns"];
    let words = findings.iter().map(|one| keys.map(|key| text(one, key)).join(" | ") + "\n");
    (verdicts.collect(), words.collect())
}

fn assert_checked(setting: &Setting, verdicts: &[&str], says: &[&str]) {
    let (found, words) = checked(setting);
    for verdict in verdicts {
        assert!(found.iter().any(|one| one == verdict), "`{verdict}` isn't in {found:?}\n{words}");
    }
    for part in says {
        assert!(words.contains(part), "`{part}` isn't in:\n{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_what_receivers_object_to() {
    let (dns, sink) = (dns(), Sink::start().await);
    let mut setting = setting(&dns, sink.port, "");
    let key = setting.path().join("a.pem");
    std::fs::write(&key, keys::ed25519()).expect("written");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("ours");
    setting.sender_extra = "bounce_domain = \"bounce.gaon.zz\"".to_owned();
    // The table of the sender goes on after its keys.
    setting.sender_extra.push_str("\n[[sender.dkim]]\nselector = \"2026a\"\nkey_file = \"a.pem\"");
    let check = setting;
    let run = |verdicts: &[&str], says: &[&str]| tokio::task::block_in_place(|| assert_checked(&check, verdicts, says));
    // Nothing is there for the bounce domain, and no key.
    run(
        &["spf news fail", "dkim news fail", "mx news fail", "dmarc news ok", "send news warn"],
        &[
            "bounce.gaon.zz has no SPF record",
            "bounce.gaon.zz. IN TXT \"v=spf1",
            "2026a._domainkey.gaon.zz: no key",
            "what comes back never reaches allim",
            "more than 20 recipients waits",
        ],
    );
    dns.add("bounce.gaon.zz", "TXT", "v=spf1 ip4:192.0.2.25 -all");
    dns.add("bounce.gaon.zz", "MX", "mx.gaon.zz");
    dns.add("2026a._domainkey.gaon.zz", "TXT", "v=DKIM1; k=ed25519; p=AAAA");
    run(&["spf news ok", "mx news ok", "dkim news fail"], &["another key stands there"]);
    dns.remove("2026a._domainkey.gaon.zz", "TXT");
    let (_, words) = tokio::task::block_in_place(|| checked(&check));
    let line = words.lines().find_map(|line| line.split_once("2026a._domainkey.gaon.zz. IN TXT \"")).expect("a record");
    dns.add("2026a._domainkey.gaon.zz", "TXT", line.1.trim_end_matches('"'));
    run(
        &["dkim news ok", "dkim news warn"],
        &["2026a._domainkey.gaon.zz shows our key", "add a [[sender.dkim]] with an RSA"],
    );
    dns.remove("_dmarc.gaon.zz", "TXT");
    dns.add("bounce.gaon.zz", "TXT", "v=spf1 +all");
    run(&["dmarc news fail", "spf news fail"], &["_dmarc.gaon.zz. IN TXT \"v=DMARC1; p=none", "has 2 SPF records"]);
    dns.remove("bounce.gaon.zz", "TXT");
    dns.add("bounce.gaon.zz", "TXT", "v=spf1 +all");
    run(&["spf news fail"], &["lets everybody send"]);
    dns.fall_silent(true);
    run(&["spf news warn", "dkim news warn", "dmarc news warn"], &["the DNS didn't say"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_object_stop_the_stream_and_cost_nobody_their_address() {
    let (sink, mut setting) = (Sink::start().await, Setting::new());
    setting.relay = Some(Relay { port: sink.port, connections: 4 });
    sink.behaviour.dot_delay_ms.store(2, std::sync::atomic::Ordering::SeqCst);
    *sink.behaviour.object_at.lock().expect("not poisoned") = ["d3.example", "d4.example"].map(str::to_owned).to_vec();
    readers(&setting, 2_000, "events");
    let daemon = setting.start();
    publish_one(&setting, "a", "events").await;
    let (scope, reason) = until_held(&setting).await;
    assert_eq!(scope, "destination:email:main");
    assert!(reason.contains("of the last 200 answers refused the mail by policy"), "{reason}");
    assert!(reason.contains("550 5.7.26 this mail is unauthenticated") && !reason.contains('@'), "{reason}");
    let listed = |state: &str| {
        let listed = setting.run(&["--json", "delivery", "list", "--state", state, "--limit", "5000"]);
        serde_json::from_str::<Vec<Value>>(&listed).expect("a list")
    };
    // What was in hand when it was stopped comes to its end.
    tokio::task::block_in_place(|| {
        wait_until("what is in hand", LIMIT, || listed("claimed").is_empty() && listed("sending").is_empty());
    });
    let refused = listed("refused");
    assert!(refused.iter().all(|one| one["reason"] == "policy") && refused.len() > 10, "{}", refused.len());
    assert!(refused.len() < 120, "most of the 200 that would be refused wait: {} were", refused.len());
    let shown = setting.run(&["subscriber", "show", "events3@d3.example"]);
    assert!(!shown.contains("suppressed"), "{shown}");
    // Once it is mended and let go, the rest goes.
    sink.behaviour.object_at.lock().expect("not poisoned").clear();
    setting.run(&["hold", "off", "--destination", "main"]);
    let started = support::now_seconds();
    while sink.count() < 2_000 - refused.len() {
        let states =
            || ["due", "claimed", "sending", "sent", "refused", "uncertain"].map(|state| (state, listed(state).len()));
        assert!(
            support::now_seconds() - started < LIMIT.as_secs() as i64,
            "{} {:?} {:?}",
            sink.count(),
            states(),
            holds(&setting)
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(holds(&setting).len(), 0, "it isn't stopped again for what was before");
    assert_eq!(listed("refused").len(), refused.len());
    once_each(&sink, 2_000 - refused.len());
    daemon.stop();
}

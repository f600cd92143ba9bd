//! Relays and destinations, with a real daemon and real sinks: weights, failover, limits, and that what stalls delays nobody
//! else.
#![allow(missing_docs, reason = "a test")]
#![allow(clippy::disallowed_methods, reason = "delays are measured, and a limit on waiting reads the clock")]

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use support::sink::{Received, Sink};
use support::{Setting, post, publish, server, wait_until};

const LIMIT: Duration = Duration::from_secs(20);

/// A `[[relay]]` table.
fn relay(name: &str, port: u16, more: &str) -> String {
    format!("[[relay]]\nname = \"{name}\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\n{more}\n")
}

/// Subscribes readers of immediate mail, at domains in turn.
fn readers(setting: &Setting, count: usize, domains: &[String]) {
    let line = |number: usize| format!("r{number}@{},,en,events,immediate", domains[number % domains.len()]);
    setting.subscribe(&(0..count).map(line).collect::<Vec<_>>());
}

fn domains(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("d{number}.example")).collect()
}

async fn publish_one(setting: &Setting, id: &str) {
    let body = post(id, &format!("Post {id}"), "en", &["events"]);
    publish(&reqwest::Client::new(), &setting.url("/api/v1/posts"), &body).await;
}

fn all(sinks: &[&Sink]) -> Vec<Received> {
    sinks.iter().flat_map(|sink| sink.received.lock().expect("not poisoned").clone()).collect()
}

async fn until_count(what: &str, sinks: &[Sink], count: usize) {
    let (sinks, what) = (sinks.to_vec(), what.to_owned());
    let wait = move || wait_until(&what, LIMIT, || sinks.iter().map(Sink::count).sum::<usize>() >= count);
    tokio::task::spawn_blocking(wait).await.expect("it comes");
}

/// The deliveries in a state.
fn listed(setting: &Setting, state: &str) -> Vec<serde_json::Value> {
    let listed = setting.run(&["--json", "delivery", "list", "--state", state, "--limit", "1000"]);
    serde_json::from_str(&listed).expect("a list")
}

/// Each of `count` readers got one letter of one post.
fn once_each(letters: &[Received], count: usize) {
    let mut by_reader: BTreeMap<&str, usize> = BTreeMap::new();
    for letter in letters {
        *by_reader.entry(&letter.recipient).or_default() += 1;
    }
    assert_eq!(by_reader.len(), count, "nobody is left out");
    assert!(by_reader.values().all(|letters| *letters == 1), "nobody gets it twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_relay_loses_and_doubles_nothing() {
    let (live, mut setting) = (Sink::start().await, Setting::new());
    setting.sender_extra = "relays = { dead = 3, live = 1 }".to_owned();
    setting.extra = relay("dead", support::free_port(), "") + &relay("live", live.port, "");
    readers(&setting, 400, &domains(20));
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    until_count("all letters", std::slice::from_ref(&live), 400).await;
    daemon.stop();
    once_each(&all(&[&live]), 400);
    assert_eq!(listed(&setting, "due").len(), 0, "nothing waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_dies_in_between_hands_over_to_the_other() {
    let (one, two, mut setting) = (Sink::start().await, Sink::start().await, Setting::new());
    setting.sender_extra = "relays = { one = 1, two = 1 }".to_owned();
    setting.extra = relay("one", one.port, "connections = 4") + &relay("two", two.port, "connections = 4");
    for sink in [&one, &two] {
        sink.behaviour.dot_delay_ms.store(2, Ordering::SeqCst);
    }
    readers(&setting, 2_000, &domains(20));
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    until_count("some letters", std::slice::from_ref(&one), 200).await;
    // It says that it goes, on every connection at its next command.
    for _ in 0..2_000 {
        one.play("MAIL", support::sink::Trick::SayAndDrop("421 4.3.2 going down\r\n"));
    }
    until_count("all letters", &[one.clone(), two.clone()], 2_000).await;
    daemon.stop();
    once_each(&all(&[&one, &two]), 2_000);
    assert!(two.count() > 1_000, "{} by the one that lives", two.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_share_the_mail() {
    let (three, one, spare, mut setting) =
        (Sink::start().await, Sink::start().await, Sink::start().await, Setting::new());
    setting.sender_extra = "relays = { three = 3, one = 1, spare = 0 }".to_owned();
    setting.extra = [("three", &three), ("one", &one), ("spare", &spare)]
        .map(|(name, sink)| relay(name, sink.port, "connections = 4"))
        .concat();
    for sink in [&three, &one] {
        sink.behaviour.dot_delay_ms.store(2, Ordering::SeqCst);
    }
    readers(&setting, 2_000, &domains(40));
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    until_count("all letters", &[three.clone(), one.clone(), spare.clone()], 2_000).await;
    daemon.stop();
    once_each(&all(&[&three, &one, &spare]), 2_000);
    let share = three.count() * 100 / 2_000;
    assert!((65..=85).contains(&share), "{share} of 100 by the one that weighs three of four");
    assert_eq!(spare.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_over_two_replicas() {
    let Some(postgres) = server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&postgres, &format!("pace_{}", std::process::id())).await;
    let sink = Sink::start().await;
    let replica = |name: &str| {
        let mut setting = Setting::new();
        setting.store_url.clone_from(&url);
        let hello = format!("hello = \"{name}.example\"\nper_second = 40");
        setting.extra = relay("main", sink.port, &hello)
            + "[[pace]]\nname = \"slow\"\ndomains = [\"slow.example\"]\nper_second = 10\n";
        setting
    };
    let (one, two) = (replica("one"), replica("two"));
    let domains = ["slow.example", "a.example", "b.example", "c.example", "d.example"].map(str::to_owned);
    readers(&one, 250, &domains);
    let (first, second) = (one.start(), two.start());
    publish_one(&one, "a").await;
    until_count("all letters", std::slice::from_ref(&sink), 250).await;
    first.stop();
    second.stop();
    let letters = all(&[&sink]);
    once_each(&letters, 250);
    // A second's worth may go at once after a quiet time; what is granted ahead to each replica comes on top.
    let most = |letters: &[&Received], rate: f64| {
        let first = letters.iter().map(|letter| letter.at).min().expect("some");
        let last = letters.iter().map(|letter| letter.at).max().expect("some");
        let most = rate * (last - first).as_secs_f64() + rate + rate / 2.0;
        assert!(letters.len() as f64 <= most, "{} letters in {:?} at {rate} a second", letters.len(), last - first);
    };
    most(&letters.iter().collect::<Vec<_>>(), 40.0);
    most(&letters.iter().filter(|letter| letter.recipient.ends_with("@slow.example")).collect::<Vec<_>>(), 10.0);
    assert!(sink.has_heard("1 EHLO"));
    let spoke = |name: &str| sink.heard().iter().any(|line| line.ends_with(&format!("EHLO {name}.example")));
    assert!(spoke("one") && spoke("two"), "both send");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_up_keeps_to_its_day_and_the_rest_goes_by_the_others() {
    let (new, old, mut setting) = (Sink::start().await, Sink::start().await, Setting::new());
    setting.sender_extra = "relays = { new = 1, old = 0 }".to_owned();
    let zone = jiff::tz::TimeZone::get("Asia/Seoul").expect("a zone");
    let today = jiff::Timestamp::now().to_zoned(zone).date();
    let warm_up = format!("[relay.warm_up]\nsince = \"{today}\"\nfrom_per_day = 70\nfactor = 1.0001");
    setting.extra = relay("new", new.port, &warm_up) + &relay("old", old.port, "");
    readers(&setting, 200, &domains(20));
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    until_count("all letters", &[new.clone(), old.clone()], 200).await;
    daemon.stop();
    once_each(&all(&[&new, &old]), 200);
    assert!((35..=70).contains(&new.count()), "{} by the new one", new.count());
    // The day goes on after a restart.
    let daemon = setting.start();
    publish_one(&setting, "b").await;
    until_count("all letters", &[new.clone(), old.clone()], 400).await;
    daemon.stop();
    assert!(new.count() <= 70, "{} by the new one", new.count());
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_of_a_way_out_that_is_gone_goes_by_another() {
    let (sink, mut setting) = (Sink::start().await, Setting::new());
    let pace = "[[pace]]\nname = \"slow\"\ndomains = [\"slow.example\"]\n";
    setting.extra = relay("before", support::free_port(), "") + pace;
    readers(&setting, 60, &["slow.example".to_owned(), "a.example".to_owned()]);
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    let planned = || listed(&setting, "due").len() + listed(&setting, "claimed").len() == 60;
    tokio::task::block_in_place(|| wait_until("the plan", LIMIT, planned));
    daemon.stop();
    setting.extra = relay("after", sink.port, "");
    let daemon = setting.start();
    until_count("all letters", std::slice::from_ref(&sink), 60).await;
    assert!(daemon.log().contains("goes by another"));
    daemon.stop();
    once_each(&all(&[&sink]), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_that_defers_everybody_costs_no_connections() {
    let (sink, mut setting) = (Sink::start().await, Setting::new());
    *sink.behaviour.defer_domain.lock().expect("not poisoned") = Some("d0.example".to_owned());
    setting.extra = relay("main", sink.port, "connections = 8");
    readers(&setting, 1_000, &domains(5));
    let daemon = setting.start();
    publish_one(&setting, "a").await;
    until_count("the others' letters", std::slice::from_ref(&sink), 800).await;
    let is_resting = |row: &serde_json::Value| row["reason"] == "domain_resting";
    let resting = || listed(&setting, "due").iter().filter(|row| is_resting(row)).count() > 150;
    tokio::task::block_in_place(|| wait_until("the domain to rest", LIMIT, resting));
    let tried = sink.heard().iter().filter(|line| line.ends_with("@d0.example>")).count();
    daemon.stop();
    assert!(tried < 30, "{tried} of 200 were tried at a domain that puts everybody off");
    once_each(&all(&[&sink]), 800);
}

/// The delays of one post's letters, ascending.
async fn delays(setting: &Setting, sinks: &[Sink], id: &str, count: usize) -> Vec<Duration> {
    let before: usize = sinks.iter().map(Sink::count).sum();
    let started = Instant::now();
    publish_one(setting, id).await;
    until_count("the others' letters", sinks, before + count).await;
    let mut delays: Vec<Duration> = all(&sinks.iter().collect::<Vec<_>>())
        .iter()
        .filter_map(|letter| letter.at.checked_duration_since(started))
        .collect();
    delays.sort_unstable();
    delays
}

/// The delay within which 99 of 100 of `count` letters came.
fn p99(delays: &[Duration], count: usize) -> Duration {
    *delays.get(count * 99 / 100).expect("they came")
}

/// What the others may wait when one of fifty stalls: twice what they wait otherwise. Machines that are busy with other
/// things are given a quarter of a second in any case.
fn is_isolated(what: &str, usual: Duration, stalled: Duration) {
    let limit = (usual * 2).max(Duration::from_millis(250));
    eprintln!("{what}: p99 {usual:?} usually, {stalled:?} with one of fifty stalled");
    assert!(stalled <= limit, "{what}: p99 {usual:?} usually, {stalled:?} with one of fifty stalled");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_domain_of_fifty_that_stalls_delays_no_other() {
    let (sink, mut setting) = (Sink::start().await, Setting::new());
    sink.behaviour.dot_delay_ms.store(2, Ordering::SeqCst);
    setting.extra = relay("main", sink.port, "connections = 12");
    readers(&setting, 3_000, &domains(50));
    let daemon = setting.start();
    let sinks = [sink.clone()];
    delays(&setting, &sinks, "warm", 3_000).await;
    let usual = p99(&delays(&setting, &sinks, "a", 3_000).await, 3_000);
    *sink.behaviour.stall_domain.lock().expect("not poisoned") = Some("d7.example".to_owned());
    // A letter of another domain may be in hand behind each of the three that stall.
    let stalled = p99(&delays(&setting, &sinks, "b", 2_940 - 3).await, 2_940);
    is_isolated("domains", usual, stalled);
    // Nor does what comes next wait, though the domain is still silent.
    let stalled = p99(&delays(&setting, &sinks, "c", 2_940 - 3).await, 2_940);
    is_isolated("domains, the next post", usual, stalled);
    drop(daemon);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_relay_of_fifty_that_stalls_delays_no_other() {
    let mut sinks = Vec::new();
    for _ in 0..50 {
        sinks.push(Sink::start().await);
    }
    let mut setting = Setting::new();
    let weights: Vec<String> = (0..50).map(|number| format!("r{number} = 1")).collect();
    setting.sender_extra = format!("relays = {{ {} }}\n", weights.join(", "));
    for (number, sink) in sinks.iter().enumerate() {
        sink.behaviour.dot_delay_ms.store(10, Ordering::SeqCst);
        setting.extra += &relay(&format!("r{number}"), sink.port, "connections = 1");
    }
    readers(&setting, 3_000, &domains(50));
    let daemon = setting.start();
    delays(&setting, &sinks, "warm", 3_000).await;
    let usual = p99(&delays(&setting, &sinks, "a", 3_000).await, 3_000);
    sinks[7].behaviour.stall.store(true, Ordering::SeqCst);
    // The letter that stalls, and the one in hand behind it.
    let stalled = p99(&delays(&setting, &sinks, "b", 3_000 - 2).await, 3_000);
    is_isolated("relays", usual, stalled);
    drop(daemon);
}

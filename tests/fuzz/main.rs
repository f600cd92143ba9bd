//! Posts that hold whatever breaks readers, from the bytes of a message through every renderer, before parsers that aren't ours.
//! Takes seconds; `just fuzz` goes on for ten minutes (`ALLIM_FUZZ_SECONDS`).
#![allow(missing_docs, reason = "a test")]

mod daemon;
mod house;
mod outputs;
mod pages;
#[path = "../support/mod.rs"]
mod support;
mod wire;
mod words;

use allim::intake::decode::decode;
use allim::intake::wire::{Incoming, MESSAGE_BYTES_MAX, RejectReason, SourcePolicy};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Posts in the run that is part of every test run.
const CASES: u32 = 300;
/// Posts between two looks at the clock, in a long run.
const CASES_AT_ONCE: u32 = 20;

/// What became of the posts.
#[derive(Debug, Default)]
struct Tally {
    made: Cell<u64>,
    taken: Cell<u64>,
    with_surrogates: Cell<u64>,
    longest: Cell<usize>,
}

impl Tally {
    fn add(counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }
}

fn policy() -> SourcePolicy {
    SourcePolicy {
        name: "cms".to_owned(),
        topics_known: vec!["events".to_owned(), "notices".to_owned()],
        ..SourcePolicy::default()
    }
}

fn incoming(bytes: Vec<u8>) -> Incoming {
    Incoming { source: "cms".to_owned(), content_type: Some("application/json".to_owned()), headers: Vec::new(), bytes }
}

/// How long to go on; `None`: a fixed number of posts.
#[allow(clippy::disallowed_methods, reason = "a long run ends by the clock")]
fn until() -> Option<Instant> {
    let seconds = std::env::var("ALLIM_FUZZ_SECONDS").ok()?.parse().expect("a number of seconds");
    Some(Instant::now() + Duration::from_secs(seconds))
}

/// Runs a property for its number of cases, or again and again until the time is over.
#[allow(clippy::disallowed_methods, reason = "a long run ends by the clock")]
fn run<S: Strategy>(strategy: &S, cases: u32, property: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: std::fmt::Debug,
{
    let until = until();
    let cases = if until.is_some() { CASES_AT_ONCE } else { cases };
    loop {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 2_000, ..Config::default() };
        match TestRunner::new(config).run(strategy, &property) {
            Ok(()) => {}
            Err(TestError::Fail(why, post)) => panic!("{why}\nof the post: {post:?}"),
            Err(abort) => panic!("{abort}"),
        }
        if until.is_none_or(|until| Instant::now() > until) {
            return;
        }
    }
}

#[test]
fn whatever_comes_in_goes_out_well_formed() {
    let (house, tally) = (house::House::new(), Tally::default());
    let property = |written| taken_in_and_shown(&house, &tally, &written);
    let longest = wire::longest();
    assert!(longest.bytes.len() > MESSAGE_BYTES_MAX * 9 / 10, "{} octets", longest.bytes.len());
    property(longest).unwrap_or_else(|error| panic!("the longest: {error}"));
    assert_eq!(tally.taken.get(), 1);
    run(&wire::post(), CASES, property);
    println!("{tally:?}");
    let (made, taken) = (tally.made.get(), tally.taken.get());
    assert!(taken * 2 > made, "most posts are taken in, or this shows nothing: {tally:?}");
    assert!(tally.with_surrogates.get() > 0, "none held half a character: {tally:?}");
}

/// From the bytes to everything that is made of them.
fn taken_in_and_shown(house: &house::House, tally: &Tally, written: &wire::Written) -> Result<(), TestCaseError> {
    Tally::add(&tally.made);
    let event = match decode(&incoming(written.bytes.clone()), &policy()) {
        Err(rejection) => {
            // Whoever is refused is told where and why; what can't be text in any encoding isn't JSON.
            prop_assert!(!rejection.detail.is_empty(), "refused without a reason");
            if written.has_surrogate {
                Tally::add(&tally.with_surrogates);
                prop_assert_eq!(rejection.reason, RejectReason::NotJson);
            }
            return Ok(());
        }
        Ok(event) => event,
    };
    prop_assert!(!written.has_surrogate, "half a character was taken in");
    Tally::add(&tally.taken);
    tally.longest.set(tally.longest.get().max(written.bytes.len()));
    let post = event.post().cloned().expect("a post");
    prop_assert!(post.title.as_str().contains(&written.mark), "the title lost its beginning: {}", post.title);
    house.check(post, &written.mark)
}

/// The door itself: bytes that are no post, and posts of which an octet is another.
#[test]
fn no_bytes_bring_the_door_down() {
    let spoilt = (wire::post(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>());
    let spoilt = spoilt.prop_map(|(mut written, index, byte, cut)| {
        let at = index.index(written.bytes.len());
        if cut {
            written.bytes.truncate(at);
        } else {
            written.bytes[at] = byte;
        }
        written.bytes
    });
    let bytes = prop_oneof![3 => spoilt, 1 => prop::collection::vec(any::<u8>(), 0..400)];
    let kinds = [None, Some("application/json"), Some("application/cloudevents+json"), Some("text/markdown")];
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let told = TestRunner::new(config).run(&(bytes, prop::sample::select(kinds.to_vec())), |(bytes, kind)| {
        let incoming = Incoming { content_type: kind.map(str::to_owned), ..incoming(bytes) };
        if let Err(rejection) = decode(&incoming, &policy()) {
            prop_assert!(!rejection.detail.is_empty(), "refused without a reason");
        }
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
}

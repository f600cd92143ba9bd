//! Single days that have names.

use super::draft::{Draft, withdrawal};
use super::house::{DAILY, EVERY_FIVE_MINUTES, House, Letter, SEVEN, immediate};
use super::walk::START;
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Outcome, Reason, State};
use allim::intake::accept::Verdict;
use allim::intake::wire::EventKind;
use allim::store::StoreError;
use std::collections::BTreeSet;
use std::time::Duration;

pub(super) type Day = Result<(), StoreError>;

/// The one reader of most days.
pub(super) const READER: i64 = 7;
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// A house with a reader of Korean. It is nine o'clock in Seoul, and the daily digest has just gone.
pub(super) async fn a_reader(topic: &'static str, slot: &Slot) -> Result<House, StoreError> {
    let house = House::open(START).await?;
    house.person(READER, "ko").await?;
    house.subscribe(READER, topic, slot).await?;
    house.tick().await?;
    Ok(house)
}

pub(super) async fn publish(house: &House, draft: &Draft) -> Day {
    assert_eq!(house.accept(draft.bare()).await?, Verdict::Stored);
    Ok(())
}

/// A Korean post under `events`, taken in now.
pub(super) async fn an_event(house: &House, source_id: &str) -> Result<Draft, StoreError> {
    let draft = Draft::new(source_id, "ko", &["events"], house.now());
    publish(house, &draft).await?;
    Ok(draft)
}

async fn revise(house: &House, draft: &Draft) -> Day {
    let revised = Draft { title: "Revised".to_owned(), ..draft.clone() };
    let verdict = house.accept(revised.event(EventKind::Revised, &format!("{} revised", draft.source_id))).await?;
    assert_eq!(verdict, Verdict::Revised);
    Ok(())
}

pub(super) async fn withdraw(house: &House, draft: &Draft) -> Day {
    let message = withdrawal(&draft.source_id, &format!("{} withdrawn", draft.source_id));
    assert_eq!(house.accept(message).await?, Verdict::Withdrawn);
    Ok(())
}

pub(super) fn yes() -> Outcome {
    Outcome::Sent { reply: String::new() }
}

pub(super) fn lost() -> Outcome {
    Outcome::Uncertain { reason: Reason::AnswerLost, reply: String::new() }
}

/// State and reason of a letter, and the posts in it.
pub(super) fn told(letter: &Letter) -> (State, Option<Reason>, BTreeSet<String>) {
    (letter.state, letter.reason, letter.items.iter().map(|item| item.post_id.clone()).collect())
}

pub(super) fn posts(drafts: &[&Draft]) -> BTreeSet<String> {
    drafts.iter().map(|draft| draft.post_id()).collect()
}

#[tokio::test]
async fn after_downtime_all_missed_firings_make_one_issue() -> Day {
    let house = a_reader("events", &Slot::of(DAILY)).await?;
    let first = an_event(&house, "first").await?;
    house.pass(2 * DAY);
    let second = an_event(&house, "second").await?;
    house.pass(DAY + HOUR);
    let ticked = house.tick().await?;
    assert_eq!((ticked.fired, ticked.skipped), (1, 0));
    let letters = house.letters().await?;
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), [(State::Due, None, posts(&[&first, &second]))]);
    Ok(())
}

#[tokio::test]
async fn a_firing_later_than_max_late_is_skipped_and_its_posts_come_with_the_next() -> Day {
    let house = a_reader("events", &Slot::of(DAILY)).await?;
    let event = an_event(&house, "event").await?;
    house.set(UnixMillis(START.plus(DAY + 6 * HOUR).0 + 1));
    let ticked = house.tick().await?;
    assert_eq!((ticked.fired, ticked.skipped), (0, 1));
    assert!(house.letters().await?.is_empty());
    house.set(START.plus(2 * DAY + 6 * HOUR));
    assert_eq!(house.tick().await?.fired, 1, "as late as may be");
    assert_eq!(told(&house.letters().await?[0]), (State::Due, None, posts(&[&event])));
    Ok(())
}

#[tokio::test]
async fn an_issue_that_nobody_can_have_seen_goes_into_the_next() -> Day {
    let house = a_reader("events", &Slot::of(SEVEN)).await?;
    let first = an_event(&house, "first").await?;
    house.pass(7 * MINUTE);
    house.tick().await?;
    let second = an_event(&house, "second").await?;
    house.pass(7 * MINUTE);
    house.tick().await?;
    let letters = house.letters().await?;
    assert_eq!(told(&letters[0]), (State::Cancelled, Some(Reason::Superseded), posts(&[&first])));
    assert_eq!(told(&letters[1]), (State::Due, None, posts(&[&first, &second])));
    Ok(())
}

#[tokio::test]
async fn an_issue_whose_answer_was_lost_goes_into_no_other() -> Day {
    let house = a_reader("events", &Slot::of(SEVEN)).await?;
    let first = an_event(&house, "first").await?;
    house.pass(7 * MINUTE);
    house.tick().await?;
    house.send_all(&lost()).await?;
    let second = an_event(&house, "second").await?;
    house.pass(21 * MINUTE);
    house.settle().await?;
    house.tick().await?;
    let letters = house.letters().await?;
    assert_eq!(told(&letters[0]), (State::Due, Some(Reason::AnswerLost), posts(&[&first])));
    assert_eq!(told(&letters[1]), (State::Due, None, posts(&[&second])));
    Ok(())
}

#[tokio::test]
async fn a_story_of_an_immediate_and_a_digest_subscription_comes_once() -> Day {
    let house = a_reader("events", &immediate()).await?;
    house.subscribe(READER, "news", &Slot::of(SEVEN)).await?;
    let both = Draft::new("both", "ko", &["events", "news"], house.now());
    publish(&house, &both).await?;
    house.tick().await?;
    house.pass(7 * MINUTE);
    assert_eq!(house.tick().await?.fired, 1);
    let letters = house.letters().await?;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].schedule.as_str(), told(&letters[0]).2), (IMMEDIATE, posts(&[&both])));
    Ok(())
}

#[tokio::test]
async fn a_late_variant_is_owed_to_nobody_who_has_the_story() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let english = READER + 1;
    house.person(english, "en").await?;
    house.subscribe(english, "events", &immediate()).await?;
    let korean = Draft { story: Some("forum".to_owned()), ..Draft::new("ko", "ko", &["events"], house.now()) };
    publish(&house, &korean).await?;
    house.tick().await?;
    house.pass(HOUR);
    let late = Draft { story: Some("forum".to_owned()), ..Draft::new("en", "en", &["events"], house.now()) };
    publish(&house, &late).await?;
    house.tick().await?;
    let letters = house.letters().await?;
    let got: Vec<_> = letters.iter().map(|letter| (letter.key.recipient_id, told(letter).2)).collect();
    assert_eq!(got, [(READER, posts(&[&korean])), (english, posts(&[&korean]))]);
    Ok(())
}

#[tokio::test]
async fn an_announced_translation_is_waited_for() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let english = READER + 1;
    house.person(english, "en").await?;
    house.subscribe(english, "events", &immediate()).await?;
    let story = Some("forum".to_owned());
    let korean =
        Draft { story: story.clone(), languages_expected: vec!["en"], ..Draft::new("ko", "ko", &["events"], START) };
    publish(&house, &korean).await?;
    house.tick().await?;
    house.pass(HOUR);
    let translated = Draft { story, ..Draft::new("en", "en", &["events"], house.now()) };
    publish(&house, &translated).await?;
    house.tick().await?;
    let letters = house.letters().await?;
    let got: Vec<_> = letters.iter().map(|letter| (letter.key.recipient_id, told(letter).2)).collect();
    assert_eq!(got, [(READER, posts(&[&korean])), (english, posts(&[&translated]))]);
    Ok(())
}

#[tokio::test]
async fn an_embargo_that_ends_when_a_digest_fires_is_in_that_digest() -> Day {
    let house = a_reader("events", &Slot::of(DAILY)).await?;
    let nine = START.plus(DAY);
    let embargoed = Draft { embargo_until: Some(nine), ..Draft::new("embargoed", "ko", &["events"], START) };
    let just_after =
        Draft { embargo_until: Some(UnixMillis(nine.0 + 1)), ..Draft::new("after", "ko", &["events"], START) };
    publish(&house, &embargoed).await?;
    publish(&house, &just_after).await?;
    house.tick().await?;
    assert_eq!(house.next_due().await?, Some(nine));
    house.set(nine);
    house.tick().await?;
    let letters = house.letters().await?;
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), [(State::Due, None, posts(&[&embargoed]))]);
    Ok(())
}

#[tokio::test]
async fn a_line_changed_while_down_does_not_fire_for_what_it_would_have_missed() -> Day {
    let mut house = a_reader("events", &Slot::of(SEVEN)).await?;
    let event = an_event(&house, "event").await?;
    house.configure(EVERY_FIVE_MINUTES);
    house.pass(22 * MINUTE);
    assert_eq!(house.tick().await?.fired, 0);
    house.set(START.plus(25 * MINUTE));
    assert_eq!(house.tick().await?.fired, 1);
    assert_eq!(told(&house.letters().await?[0]).2, posts(&[&event]));
    Ok(())
}

#[tokio::test]
async fn a_change_of_schedule_keeps_what_is_owed() -> Day {
    let house = a_reader("events", &Slot::of(DAILY)).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    house.pass(MINUTE);
    house.subscribe(READER, "events", &immediate()).await?;
    house.tick().await?;
    assert_eq!(told(&house.letters().await?[0]), (State::Due, None, posts(&[&event])));
    Ok(())
}

#[tokio::test]
async fn a_revision_before_sending_is_what_is_sent_by_the_same_delivery() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    let before = house.letters().await?.remove(0);
    house.pass(MINUTE);
    revise(&house, &event).await?;
    assert!(house.send_all(&yes()).await?.is_empty(), "what was replaced isn't sent");
    house.tick().await?;
    house.pass(MINUTE);
    assert_eq!(house.send_all(&yes()).await?.len(), 1);
    let after = house.letters().await?;
    assert_eq!((after.len(), after[0].state), (1, State::Sent));
    assert_eq!((before.items[0].revision, after[0].items[0].revision), (1, 2));
    assert_eq!(before.key.text_id(), after[0].key.text_id());
    assert_ne!(before.edition_id, after[0].edition_id);
    Ok(())
}

#[tokio::test]
async fn a_withdrawal_before_sending_cancels() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    withdraw(&house, &event).await?;
    assert!(house.send_all(&yes()).await?.is_empty(), "what was withdrawn isn't sent");
    house.tick().await?;
    assert_eq!(told(&house.letters().await?[0]), (State::Cancelled, Some(Reason::Withdrawn), posts(&[&event])));
    Ok(())
}

#[tokio::test]
async fn a_withdrawal_of_one_of_two_posts_leaves_the_other() -> Day {
    let house = a_reader("events", &Slot::of(SEVEN)).await?;
    let (one, other) = (an_event(&house, "one").await?, an_event(&house, "other").await?);
    house.pass(7 * MINUTE);
    house.tick().await?;
    withdraw(&house, &one).await?;
    house.tick().await?;
    assert_eq!(house.send_all(&yes()).await?.len(), 1);
    assert_eq!(told(&house.letters().await?[0]), (State::Sent, Some(Reason::Accepted), posts(&[&other])));
    Ok(())
}

#[tokio::test]
async fn what_may_have_arrived_and_was_withdrawn_is_not_sent_again() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    assert_eq!(house.send_all(&lost()).await?.len(), 1);
    withdraw(&house, &event).await?;
    house.tick().await?;
    house.pass(HOUR);
    house.settle().await?;
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(told(&house.letters().await?[0]), (State::Uncertain, Some(Reason::AnswerLost), posts(&[&event])));
    assert_eq!(house.next_delivery().await?, None, "it waits for nothing");
    Ok(())
}

/// The withdrawal comes when the repeat is due already: it must not be claimed and refused for ever.
#[tokio::test]
async fn what_was_withdrawn_when_its_repeat_was_due_comes_to_rest() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    house.send_all(&lost()).await?;
    house.pass(HOUR);
    assert_eq!(house.settle().await?, 1);
    withdraw(&house, &event).await?;
    house.tick().await?;
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(house.letters().await?[0].state, State::Uncertain);
    assert_eq!(house.next_delivery().await?, None, "it waits for nothing");
    Ok(())
}

#[tokio::test]
async fn an_uncertain_attempt_is_repeated_with_its_content_though_it_was_revised() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    let before = house.send_all(&lost()).await?;
    revise(&house, &event).await?;
    house.tick().await?;
    house.pass(HOUR);
    house.settle().await?;
    let repeat = house.send_all(&yes()).await?;
    assert_eq!(repeat.len(), 1);
    assert_eq!((&repeat[0].key, repeat[0].edition_id), (&before[0].key, before[0].edition_id));
    Ok(())
}

/// A mail that was in hand when its post was revised moves late, to an edition that looked finished by then.
#[tokio::test]
async fn who_ends_a_schedule_gets_nothing_of_it_that_moved_late() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    let claimed = house.claim(1).await?.remove(0);
    revise(&house, &event).await?;
    house.tick().await?;
    assert!(!house.begin(&claimed).await?);
    house.record(&claimed, &Outcome::NotAllowed).await?;
    house.tick().await?;
    house.unsubscribe_schedule(READER, IMMEDIATE).await?;
    house.pass(MINUTE);
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(told(&house.letters().await?[0]), (State::Cancelled, Some(Reason::Unsubscribed), posts(&[&event])));
    Ok(())
}

/// The Korean variant counts as given while its mail waits, so the search passes the English one; then it is withdrawn.
#[tokio::test]
async fn who_changed_language_gets_the_variant_of_what_was_withdrawn_in_the_old_one() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let story = Some("forum".to_owned());
    let variant = |language| Draft { story: story.clone(), ..Draft::new(language, language, &["events"], START) };
    let (korean, english) = (variant("ko"), variant("en"));
    publish(&house, &english).await?;
    publish(&house, &korean).await?;
    house.tick().await?;
    house.read_in(READER, "en").await?;
    house.pass(MINUTE);
    house.tick().await?;
    assert_eq!(house.letters().await?.len(), 1, "the story counts as given");
    withdraw(&house, &korean).await?;
    house.tick().await?;
    house.pass(MINUTE);
    let other = Draft::new("other", "en", &["events"], house.now());
    publish(&house, &other).await?;
    house.tick().await?;
    let letters = house.letters().await?;
    assert_eq!(told(&letters[0]), (State::Cancelled, Some(Reason::Withdrawn), posts(&[&korean])));
    let planned: BTreeSet<_> = letters[1..].iter().map(told).map(|(state, _, posts)| (state.word(), posts)).collect();
    assert_eq!(planned, BTreeSet::from([("due", posts(&[&english])), ("due", posts(&[&other]))]));
    Ok(())
}

#[tokio::test]
async fn who_ends_a_schedule_gets_no_repeat_of_what_may_have_arrived() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    house.send_all(&lost()).await?;
    house.unsubscribe_schedule(READER, IMMEDIATE).await?;
    house.pass(HOUR);
    house.settle().await?;
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(told(&house.letters().await?[0]), (State::Uncertain, Some(Reason::AnswerLost), posts(&[&event])));
    assert_eq!(house.next_delivery().await?, None, "it waits for nothing");
    Ok(())
}

#[tokio::test]
async fn what_expired_unseen_does_not_become_public_by_a_revision() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let expired = Draft { expires_at: Some(START), ..Draft::new("expired", "ko", &["events"], START) };
    publish(&house, &expired).await?;
    assert_eq!(house.tick().await?.noticed, 0);
    revise(&house, &Draft { expires_at: None, ..expired }).await?;
    house.pass(MINUTE);
    assert_eq!(house.tick().await?.noticed, 0);
    assert!(house.letters().await?.is_empty());
    Ok(())
}

/// What was claimed and handed back may still lie on a desk: parted from its batch and claimed anew it is another attempt, so
/// that the one on the desk can't be taken for it.
#[tokio::test]
async fn a_claim_made_anew_in_parts_is_another_attempt() -> Day {
    let house = a_reader("events", &Slot::of(SEVEN)).await?;
    let other = READER + 1;
    house.person(other, "ko").await?;
    house.subscribe(other, "events", &Slot::of(SEVEN)).await?;
    an_event(&house, "event").await?;
    house.pass(7 * MINUTE);
    house.tick().await?;
    let before = house.claim(2).await?;
    assert_eq!(before.len(), 2);
    house.hand_back().await?;
    let again = [house.claim(1).await?, house.claim(1).await?].concat();
    for stale in &before {
        let anew = again.iter().find(|claimed| claimed.key == stale.key).expect("it is claimed again");
        assert!(anew.attempt > stale.attempt, "{}: {} and {}", stale.key, stale.attempt, anew.attempt);
        assert!(!house.begin(stale).await? && house.begin(anew).await?);
    }
    Ok(())
}

#[tokio::test]
async fn a_dead_process_may_not_begin_and_what_it_began_is_uncertain() -> Day {
    let mut house = a_reader("events", &Slot::of(SEVEN)).await?;
    let other = READER + 1;
    house.person(other, "ko").await?;
    house.subscribe(other, "events", &Slot::of(SEVEN)).await?;
    an_event(&house, "event").await?;
    house.pass(7 * MINUTE);
    house.tick().await?;
    let claimed = house.claim(2).await?;
    assert!(house.begin(&claimed[0]).await?);
    house.die().await?;
    assert!(!house.begin(&claimed[1]).await?);
    let state = |letters: &[Letter], at: usize| letters.iter().find(|l| l.key == claimed[at].key).map(|l| l.state);
    let letters = house.letters().await?;
    assert_eq!((state(&letters, 0), state(&letters, 1)), (Some(State::Uncertain), Some(State::Due)));
    house.record(&claimed[0], &yes()).await?;
    assert_eq!(state(&house.letters().await?, 0), Some(State::Sent), "a late answer settles what was uncertain");
    Ok(())
}

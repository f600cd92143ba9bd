//! Single days on which readers pause, move, leave and come back.

use super::days::{Day, HOUR, MINUTE, READER, a_reader, an_event, lost, posts, publish, told, withdraw, yes};
use super::draft::Draft;
use super::front::address;
use super::house::{House, SEVEN, immediate};
use super::people::Chosen;
use super::walk::START;
use allim::domain::audience::{IMMEDIATE, Slot};
use allim::domain::delivery::{Outcome, Reason, State};
use allim::store::StoreError;
use allim::store::people::Confirmed;
use allim::store::profile::Then;

/// Whom the confirmation of a move is asked of.
const PROVISIONAL: i64 = READER + 50;

fn later() -> Outcome {
    Outcome::TryLater { reason: Reason::Deferred, reply: String::new(), not_before: None }
}

fn events_by(slot: Slot) -> Chosen {
    Chosen::from([("events", slot)])
}

async fn move_to(house: &House, number: usize) -> Day {
    assert_eq!(house.ask_to_move(READER, address(number), PROVISIONAL).await?, Some(PROVISIONAL));
    assert_eq!(house.confirm(PROVISIONAL, |_| true).await?, Confirmed::Moved(READER));
    Ok(())
}

/// What somebody may do that makes a repeat another mail than the first.
async fn move_or_change_form(house: &House, moves: bool) -> Day {
    if moves { move_to(house, 1).await } else { house.change(READER, &events_by(immediate()), "ko", true).await }
}

#[tokio::test]
async fn whoever_left_and_chooses_topics_again_gets_mail() -> Day {
    let house = a_reader("events", &immediate()).await?;
    house.leave(READER, None).await?;
    house.pass(MINUTE);
    house.change(READER, &events_by(immediate()), "ko", false).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    assert_eq!(house.send_all(&yes()).await?.len(), 1);
    assert_eq!(told(&house.letters().await?[0]), (State::Sent, Some(Reason::Accepted), posts(&[&event])));
    Ok(())
}

#[tokio::test]
async fn what_was_stopped_while_its_reader_was_gone_goes_out_when_that_is_undone() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let event = an_event(&house, "event").await?;
    house.tick().await?;
    let claimed = house.claim(1).await?.remove(0);
    assert!(house.begin(&claimed).await?);
    house.leave(READER, None).await?;
    house.record(&claimed, &later()).await?;
    house.pass(HOUR);
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(told(&house.letters().await?[0]), (State::Cancelled, Some(Reason::Unsubscribed), posts(&[&event])));
    assert!(house.undo(READER).await?);
    assert_eq!(house.send_all(&yes()).await?.len(), 1);
    assert_eq!(house.letters().await?[0].state, State::Sent);
    Ok(())
}

#[tokio::test]
async fn what_a_pause_skipped_while_its_reader_was_gone_stays_skipped() -> Day {
    let house = a_reader("events", &Slot::of(SEVEN)).await?;
    house.pause(READER, Some((START.plus(2 * HOUR), Then::Skip))).await?;
    house.leave(READER, Some(SEVEN)).await?;
    an_event(&house, "in the pause").await?;
    house.pass(2 * HOUR);
    house.tick().await?;
    house.pass(MINUTE);
    let after = an_event(&house, "after the pause").await?;
    house.pass(HOUR);
    house.tick().await?;
    assert!(house.undo(READER).await?);
    house.pass(7 * MINUTE);
    house.tick().await?;
    let letters = house.letters().await?;
    assert_eq!(letters.iter().map(told).collect::<Vec<_>>(), [(State::Due, None, posts(&[&after]))]);
    Ok(())
}

#[tokio::test]
async fn a_pause_is_followed_by_one_issue_or_by_nothing() -> Day {
    for (then, caught_up) in [(Then::CatchUp, true), (Then::Skip, false)] {
        let house = a_reader("events", &immediate()).await?;
        house.pause(READER, Some((START.plus(HOUR), then))).await?;
        let (one, other) = (an_event(&house, "one").await?, an_event(&house, "other").await?);
        house.tick().await?;
        assert!(house.letters().await?.is_empty());
        house.set(START.plus(HOUR));
        house.tick().await?;
        house.pass(MINUTE);
        let after = an_event(&house, "after").await?;
        house.tick().await?;
        let got: Vec<_> = house.letters().await?.iter().map(|letter| told(letter).2).collect();
        let owed = [posts(&[&one, &other]), posts(&[&after])];
        assert_eq!(got, if caught_up { &owed[..] } else { &owed[1..] }, "{then}");
    }
    Ok(())
}

/// It waits to be looked at, is due again, is claimed again, or is on its way for the first time.
#[tokio::test]
async fn what_may_have_arrived_is_not_repeated_elsewhere_or_in_another_form() -> Day {
    for (moves, stage) in [(true, 0), (true, 1), (true, 2), (true, 3), (false, 0), (false, 1), (false, 2), (false, 3)] {
        let house = a_reader("events", &immediate()).await?;
        let event = an_event(&house, "event").await?;
        house.tick().await?;
        let first = house.claim(1).await?.remove(0);
        assert!(house.begin(&first).await?);
        if stage < 3 {
            house.record(&first, &lost()).await?;
        }
        if (1..3).contains(&stage) {
            house.pass(HOUR);
            house.settle().await?;
        }
        let again = if stage == 2 { house.claim(1).await? } else { Vec::new() };
        move_or_change_form(&house, moves).await?;
        for claimed in &again {
            assert!(!house.begin(claimed).await?);
            house.record(claimed, &Outcome::NotAllowed).await?;
        }
        if stage == 3 {
            house.record(&first, &lost()).await?;
        }
        house.pass(HOUR);
        house.settle().await?;
        let begun = house.send_all(&yes()).await?;
        assert!(begun.iter().all(|claimed| claimed.key != first.key), "moves: {moves}, stage {stage}");
        let expected = (State::Uncertain, Some(Reason::AnswerLost), posts(&[&event]));
        assert_eq!(told(&house.letters().await?[0]), expected, "moves: {moves}, stage {stage}");
        assert_eq!(house.next_delivery().await?, None, "it waits for nothing");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_on_its_way_when_its_reader_moves_is_settled_by_its_answer() -> Day {
    for (answer, state) in [(yes(), State::Sent), (later(), State::Due)] {
        let house = a_reader("events", &immediate()).await?;
        an_event(&house, "event").await?;
        house.tick().await?;
        let claimed = house.claim(1).await?.remove(0);
        assert!(house.begin(&claimed).await?);
        move_to(&house, 1).await?;
        house.record(&claimed, &answer).await?;
        assert_eq!(house.letters().await?[0].state, state);
    }
    Ok(())
}

#[tokio::test]
async fn what_lies_ready_for_an_old_address_is_made_ready_for_the_new_one() -> Day {
    let house = a_reader("events", &immediate()).await?;
    an_event(&house, "event").await?;
    house.tick().await?;
    let stale = house.claim(1).await?.remove(0);
    move_to(&house, 1).await?;
    assert!(!house.begin(&stale).await?);
    house.record(&stale, &Outcome::NotAllowed).await?;
    house.pass(MINUTE);
    let claimed = house.claim_with_recipients(i64::MAX).await?;
    let theirs: Vec<_> = claimed.iter().filter(|(claimed, _)| claimed.key == stale.key).collect();
    assert_eq!(theirs.iter().map(|(_, to)| to.address.clone()).collect::<Vec<_>>(), [address(1)]);
    Ok(())
}

/// Whoever left while an answer was awaited gets nothing more, whatever a process says late that was thought dead.
#[tokio::test]
async fn a_late_no_for_now_does_not_wake_what_rests() -> Day {
    let mut house = a_reader("events", &immediate()).await?;
    an_event(&house, "event").await?;
    house.tick().await?;
    let claimed = house.claim(1).await?.remove(0);
    assert!(house.begin(&claimed).await?);
    house.die().await?;
    house.pass(MINUTE);
    house.unsubscribe_schedule(READER, IMMEDIATE).await?;
    house.record(&claimed, &later()).await?;
    house.pass(HOUR);
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(house.letters().await?[0].state, State::Uncertain);
    Ok(())
}

/// The waiting mail counts as given until its post is taken back: what is owed then comes at once, and not with the next post.
#[tokio::test]
async fn who_changed_language_gets_at_once_what_is_owed_instead_of_the_withdrawn() -> Day {
    let house = a_reader("events", &immediate()).await?;
    let variant =
        |language| Draft { story: Some("forum".to_owned()), ..Draft::new(language, language, &["events"], START) };
    let (korean, english) = (variant("ko"), variant("en"));
    publish(&house, &english).await?;
    publish(&house, &korean).await?;
    house.tick().await?;
    house.read_in(READER, "en").await?;
    withdraw(&house, &korean).await?;
    for _ in 0..2 {
        house.pass(MINUTE);
        house.tick().await?;
    }
    let letters = house.letters().await?;
    assert_eq!(told(&letters[0]), (State::Cancelled, Some(Reason::Withdrawn), posts(&[&korean])));
    assert_eq!(told(&letters[1]), (State::Due, None, posts(&[&english])));
    Ok(())
}

/// An address that somebody had is anybody's who confirms it; what was given at it stays with who moved away.
#[tokio::test]
async fn who_signs_up_at_an_address_that_another_had_is_another_reader() -> Result<(), StoreError> {
    let house = a_reader("events", &immediate()).await?;
    let before = an_event(&house, "before").await?;
    house.tick().await?;
    move_to(&house, 1).await?;
    move_to(&house, 2).await?;
    let stranger = READER + 60;
    assert_eq!(house.sign_up(address(1), stranger, "ko", &events_by(immediate())).await?, Some(stranger));
    assert!(matches!(house.confirm(stranger, |_| true).await?, Confirmed::Granted(_)));
    house.pass(MINUTE);
    let after = an_event(&house, "after").await?;
    house.tick().await?;
    let got: Vec<_> = house.letters().await?.iter().map(|letter| (letter.key.recipient_id, told(letter).2)).collect();
    assert_eq!(got, [(READER, posts(&[&before])), (READER, posts(&[&after])), (stranger, posts(&[&after]))]);
    Ok(())
}

#[tokio::test]
async fn what_was_on_its_way_when_its_reader_left_the_schedule_is_not_tried_again() -> Day {
    for (answer, state, undone) in [
        (yes(), State::Sent, State::Sent),
        (later(), State::Cancelled, State::Due),
        (lost(), State::Uncertain, State::Uncertain),
    ] {
        let house = a_reader("events", &immediate()).await?;
        house.subscribe(READER, "news", &Slot::of(SEVEN)).await?;
        an_event(&house, "event").await?;
        house.tick().await?;
        let claimed = house.claim(1).await?.remove(0);
        assert!(house.begin(&claimed).await?);
        house.leave(READER, Some(IMMEDIATE)).await?;
        house.pass(MINUTE);
        house.record(&claimed, &answer).await?;
        house.pass(HOUR);
        house.settle().await?;
        assert!(house.send_all(&yes()).await?.is_empty());
        assert_eq!(house.letters().await?[0].state, state);
        assert!(house.undo(READER).await?);
        assert_eq!(house.letters().await?[0].state, undone);
    }
    Ok(())
}

/// While its answer was awaited its edition was closed, as one of which nothing is open.
#[tokio::test]
async fn who_leaves_before_a_repeat_gets_none() -> Day {
    let house = a_reader("events", &immediate()).await?;
    an_event(&house, "event").await?;
    house.tick().await?;
    house.send_all(&lost()).await?;
    house.tick().await?;
    house.pass(HOUR);
    assert_eq!(house.settle().await?, 1);
    house.subscribe(READER, "news", &Slot::of(SEVEN)).await?;
    house.leave(READER, Some(IMMEDIATE)).await?;
    assert!(house.send_all(&yes()).await?.is_empty());
    assert_eq!(house.letters().await?[0].state, State::Cancelled);
    Ok(())
}

/// What was planned for a topic goes out when that alone ends, but not to whoever is gone.
#[tokio::test]
async fn who_leaves_without_a_subscription_gets_nothing_that_is_in_hand() -> Day {
    for schedule in [None, Some(SEVEN)] {
        let house = a_reader("events", &immediate()).await?;
        an_event(&house, "event").await?;
        house.tick().await?;
        let claimed = house.claim(1).await?.remove(0);
        assert!(house.unsubscribe(READER, "events").await?);
        house.leave(READER, schedule).await?;
        assert!(!house.begin(&claimed).await?);
    }
    Ok(())
}

//! Posts, two thousand at five networks together, while these misbehave at random: timeouts after accepting, refusals, ended logins; and while
//! posts are revised and taken back. Nothing is said twice, and what
//! isn't there has a reason.

use crate::house::{House, Setting};
use crate::network::Answer;
use crate::world::World;
use allim::domain::account::Revised;
use allim::domain::clock::{Chance as _, SeededChance};
use allim::send::social::network::Can;
use allim::store::Location;
use allim::store::deliveries;
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;

const POSTS: usize = 400;

fn dice(seed: u64) -> Option<Box<dyn FnMut() -> Answer + Send>> {
    let chance = SeededChance::new(seed);
    Some(Box::new(move || match chance.draw() % 100 {
        0..8 => Answer::Lost { was_taken: true },
        8..14 => Answer::Lost { was_taken: false },
        14..24 => Answer::Busy,
        24..26 => Answer::LoggedOut,
        26..30 => Answer::Refused,
        _ => Answer::Good,
    }))
}

#[tokio::test]
async fn nothing_is_said_twice_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(Location::Sqlite(folder.path().join("s.sqlite"))).await;
    let safe = Can { edit: true, delete: true, reply: false, repeats_safely_for: Some(Duration::MAX) };
    let answers = Can { edit: false, delete: true, reply: true, repeats_safely_for: None };
    let settings = vec![
        Setting { finds: true, dice: dice(1), renews: true, ..Setting::new("ko") },
        Setting { name: "repeats", can: safe, dice: dice(2), renews: true, ..Setting::new("ko") },
        Setting { name: "blind", dice: dice(3), renews: true, ..Setting::new("ko") },
        Setting {
            name: "answers",
            can: answers,
            finds: true,
            dice: dice(4),
            revised: Revised::Reply,
            ..Setting::new("ko")
        },
        Setting { name: "leaves", finds: true, dice: dice(5), revised: Revised::Leave, ..Setting::new("ko") },
    ];
    let house = House::open(world, settings).await;
    for from in (0..POSTS).step_by(100) {
        let mut messages = Vec::new();
        for number in from..from + 100 {
            messages.push(house.world.post(&format!("p{number}"), &["events"]).await);
        }
        house.world.accept_all(&messages).await;
        house.rest().await;
        // Some of what came so far is revised, and some of it taken back.
        let mut events = Vec::new();
        for number in (0..from + 100).filter(|number| number % 7 == (from / 100) % 7) {
            let mut message = house.world.post(&format!("p{number}"), &["events"]).await;
            message["title"] = json!(format!("p{number}의 제목, {}번째", from / 100));
            events.push(message);
        }
        for number in (from..from + 100).filter(|number| number % 13 == 5) {
            let data = json!({ "id": format!("p{number}") });
            events.push(json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms",
                "id": format!("w{number}"), "data": data }));
        }
        house.world.accept_all(&events).await;
    }
    house.pass(Duration::from_secs(3 * 86_400)).await;
    house.pass(Duration::from_secs(86_400)).await;
    assert!(house.is_idle().await, "nothing is stuck");
    let all = house.world.store.read(|tx| deliveries::list(tx, None, None, 10_000)).await.expect("listed");
    for one in &all {
        let is_over = matches!(one.state.as_str(), "sent" | "refused" | "uncertain" | "abandoned" | "cancelled");
        // What follows something in doubt waits with it for a person, where the network can't be asked.
        let waits = one.state == "due" && one.reason.as_deref() == Some("answer_lost");
        assert!(one.reason.is_some() && (is_over || waits), "{one:?}");
    }
    for name in ["ko", "repeats", "blind", "answers", "leaves"] {
        let posts = house.fake(name).posts.lock().expect("posts");
        assert!(posts.made.values().all(|times| *times == 1), "{name}: a delivery said something twice");
        assert!(posts.said_of.values().all(|times| *times == 1), "{name}: something was said twice of a post");
        let there: BTreeSet<usize> = posts.there.values().filter_map(|(_, text)| number_of(text)).collect();
        let withdrawn = |number: &usize| number % 13 == 5;
        let left: Vec<usize> = there.iter().copied().filter(withdrawn).collect();
        // Whoever can't be asked leaves some to a person, and each of these is held; the others tell of nothing that was taken back.
        let is_blind = matches!(name, "blind" | "repeats");
        assert!(left.is_empty() || is_blind, "{name}: {left:?}");
        let missing = (0..POSTS).filter(|number| !withdrawn(number) && !there.contains(number)).count();
        assert!(missing <= POSTS / 10, "{name}: {missing} of {POSTS} are missing");
    }
    assert!(all.iter().any(|one| one.state == "uncertain"));
    house.close().await;
}

/// The number of the post that a text tells of.
fn number_of(text: &str) -> Option<usize> {
    text.trim_start_matches("답: ").strip_prefix('p')?.split('의').next()?.parse().ok()
}

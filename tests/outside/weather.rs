//! A thousand posts while networks misbehave at random: timeouts after accepting, refusals, ended logins. Nothing is said twice, and what
//! isn't there has a reason.

use crate::house::{House, Setting};
use crate::network::Answer;
use crate::world::World;
use allim::domain::clock::{Chance as _, SeededChance};
use allim::send::social::network::Can;
use allim::store::Location;
use allim::store::deliveries;
use std::collections::BTreeMap;
use std::time::Duration;

const POSTS: usize = 1_000;

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
    let settings = vec![
        Setting { finds: true, dice: dice(1), renews: true, ..Setting::new("ko") },
        Setting { name: "repeats", can: safe, dice: dice(2), renews: true, ..Setting::new("ko") },
        Setting { name: "blind", dice: dice(3), renews: true, ..Setting::new("ko") },
    ];
    let house = House::open(world, settings).await;
    for from in (0..POSTS).step_by(100) {
        let mut messages = Vec::new();
        for number in from..from + 100 {
            messages.push(house.world.post(&format!("p{number}"), &["events"]).await);
        }
        house.world.accept_all(&messages).await;
        house.rest().await;
    }
    house.pass(Duration::from_secs(3 * 86_400)).await;
    house.pass(Duration::from_secs(86_400)).await;
    assert!(house.is_idle().await, "nothing is stuck");
    let all = house.world.store.read(|tx| deliveries::list(tx, None, None, 10_000)).await.expect("listed");
    assert_eq!(all.len(), 3 * POSTS);
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for one in &all {
        *states.entry(format!("{} {}", one.state, one.reason.as_deref().unwrap_or("without a reason"))).or_default() +=
            1;
        assert!(one.reason.is_some(), "{one:?}");
        assert!(matches!(one.state.as_str(), "sent" | "refused" | "uncertain" | "abandoned"), "{one:?}");
    }
    for name in ["ko", "repeats", "blind"] {
        let posts = house.fake(name).posts.lock().expect("posts");
        assert!(posts.made.values().all(|times| *times == 1), "{name} said something twice");
    }
    for name in ["ko", "repeats"] {
        let refused = all.iter().filter(|one| one.state == "refused").count();
        let there = house.texts(name).len();
        assert!(there > POSTS * 9 / 10 && there + refused >= POSTS, "{name}: {there} of {POSTS}, {states:?}");
    }
    // Whoever can't be asked leaves some to a person, and each of these is held.
    assert!(states.keys().any(|state| state.starts_with("uncertain")), "{states:?}");
    house.close().await;
}

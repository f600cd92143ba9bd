//! How promises stand.

use crate::world::{World, on_both};
use allim::domain::promise::Look;
use allim::store::{Tx, promises};
use std::time::Duration;

on_both!(what_is_owed_held_and_heard_is_found,);

async fn look(world: &World, later: Duration) -> Look {
    let now = world.now().await.plus(later);
    let read = move |tx: &mut Tx<'_>| promises::look(tx, &["cms".to_owned(), "other".to_owned()], now);
    world.store.read(read).await.expect("looked")
}

async fn what_is_owed_held_and_heard_is_found(world: World) {
    const MINUTE: Duration = Duration::from_secs(60);
    assert_eq!(look(&world, MINUTE).await, Look::default(), "an empty house owes nothing");
    world.subscriber("kim", &[("events", "immediate")]).await;
    world.publish("one", &["events"]).await;
    world.tick().await;
    let found = look(&world, MINUTE).await;
    assert_eq!(found.owed.len(), 1, "{found:?}");
    assert_eq!((found.owed[0].carrier.as_str(), found.owed[0].lane.as_str()), ("email", "normal"));
    assert_eq!(found.heard.len(), 1, "the other source never posted");
    world.put_hold("all").await;
    let held = look(&world, MINUTE).await;
    assert!(held.owed.is_empty(), "what is held isn't late: {held:?}");
    assert_eq!(held.holds.len(), 1);
    let change = |tx: &mut Tx<'_>| tx.execute("DELETE FROM holds", &[]);
    world.store.write(change).await.expect("let go");
    assert_eq!(world.send_all().await, 1);
    assert!(look(&world, MINUTE).await.owed.is_empty(), "what was sent is owed no more");
}

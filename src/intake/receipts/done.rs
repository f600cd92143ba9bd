//! When all is done: looks at the posts whose sources wait for it, a few at a time, each less often the longer it takes.
//!
//! A revision is done when its post is public (or was withdrawn, or expired), everything that follows at once was planned, and no
//! delivery of it that was planned up to then is open. Digests that come later aren't waited for.

use super::note::written;
use crate::domain::clock::UnixMillis;
use crate::store::receipts::{self, Awaited};
use crate::store::{Store, StoreError, Tx, posts};
use serde_json::json;
use std::time::Duration;

/// Posts looked at in one transaction.
const LOOKED_AT_MAX: i64 = 50;
/// Planning what follows at once takes less.
const PLANNED_AFTER: Duration = Duration::from_secs(10);
/// The shortest and longest wait until the next look.
const LOOK_MIN: Duration = Duration::from_secs(5);
const LOOK_MAX: Duration = Duration::from_secs(15 * 60);
/// A look is put off by this part of the time that has gone by.
const LOOK_PART: u32 = 4;

/// Looks at the posts that are due for it. Returns how many there were.
pub(super) async fn look(store: &Store, authority: &str, grace: Duration) -> Result<usize, StoreError> {
    let now = store.now().await?;
    if store.read(receipts::next_look).await?.is_none_or(|at| at > now) {
        return Ok(0);
    }
    let authority = authority.to_owned();
    store
        .write(move |tx| {
            let waiting = receipts::awaited(tx, now, LOOKED_AT_MAX)?;
            waiting.iter().try_for_each(|awaited| look_at(tx, awaited, &authority, grace, now))?;
            Ok(waiting.len())
        })
        .await
}

fn look_at(
    tx: &mut Tx<'_>,
    awaited: &Awaited,
    authority: &str,
    grace: Duration,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let id = &awaited.post_id;
    let Some((standing, post)) = posts::find(tx, id)? else { return receipts::set_done(tx, id) };
    let Some(at) = standing.withdrawn_at.or(standing.expired_at).or(standing.public_at) else {
        return receipts::look_again(tx, id, post.public_due_at().plus(LOOK_MIN).max(now.plus(LOOK_MIN)));
    };
    let planned_at = at.max(awaited.since_at).plus(grace).plus(PLANNED_AFTER);
    if now < planned_at {
        return receipts::look_again(tx, id, planned_at);
    }
    if !receipts::is_all_planned(tx)? || receipts::is_open(tx, id)? {
        let rest = (awaited.since_at.until(now) / LOOK_PART).clamp(LOOK_MIN, LOOK_MAX);
        return receipts::look_again(tx, id, now.plus(rest));
    }
    let data = json!({
        "post_id": id, "source_id": post.source_id, "revision": awaited.revision, "state": standing.state(),
        "carriers": receipts::counts(tx, id)?,
    });
    let about = format!("{id} {} {}", awaited.revision, standing.withdrawn_at.is_some());
    receipts::put(tx, &written("done", (&awaited.source, Some(authority)), &about, data, now))?;
    receipts::set_done(tx, id)
}

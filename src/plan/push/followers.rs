//! Programs that follow a feed, and other hubs.

use super::{News, Told};
use crate::domain::clock::UnixMillis;
use crate::domain::feed::{self, ENDINGS, HUB_PING, WEBSUB};
use crate::store::changes::ChangeKind;
use crate::store::{StoreError, Tx, endpoints};
use std::time::Duration;

/// Other hubs fetch what changed: by then each replica, and whatever stands before it, shows it.
const PING_AFTER: Duration = Duration::from_secs(2);
/// A withdrawal can be told in Atom alone (RFC 6721).
const ENDING_OF_TOMBSTONES: &str = "atom";

/// Those whose feed shows what happened.
pub(super) fn told(tx: &mut Tx<'_>, news: &News, now: UnixMillis) -> Result<Vec<Told>, StoreError> {
    if news.kind == ChangeKind::Released && news.is_planned {
        return Ok(Vec::new());
    }
    let endings: &[&str] = if news.is_withdrawal() { &[ENDING_OF_TOMBSTONES] } else { &ENDINGS };
    let followers = endpoints::told_of(tx, WEBSUB, &feed::paths(&news.post, endings), news.seq, now)?;
    let other_hubs = endpoints::told_of(tx, HUB_PING, &[String::new()], news.seq, now)?;
    let told = |carrier: &'static str, due_at: UnixMillis| {
        let lane = news.post.lane();
        move |(endpoint_id, subject)| Told { endpoint_id, carrier: carrier.to_owned(), subject, lane, due_at }
    };
    let followers = followers.into_iter().map(told(WEBSUB, now));
    Ok(followers.chain(other_hubs.into_iter().map(told(HUB_PING, now.plus(PING_AFTER)))).collect())
}

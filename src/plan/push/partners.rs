//! Partner institutions. Each is told what it selected; what follows reaches those who got the original, whatever they select.

use super::{News, Told};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::partner::{self, Happened, Order};
use crate::store::accounts::{self, Holding};
use crate::store::changes::ChangeKind;
use crate::store::partners::{self, Partner};
use crate::store::{StoreError, Tx, endpoints};

/// Partners that are told of it.
pub(super) fn told(tx: &mut Tx<'_>, news: &News, now: UnixMillis) -> Result<Vec<Told>, StoreError> {
    if news.kind == ChangeKind::Released && news.is_planned {
        return Ok(Vec::new());
    }
    let mut told = Vec::new();
    for one in partners::live(tx)? {
        let Some(endpoint_id) = one.endpoint_id else { continue };
        if !endpoints::hears(tx, endpoint_id, news.seq)? {
            continue;
        }
        if let Some(happened) = happened(tx, &one, endpoint_id, news)? {
            let lane = if one.ordering == Order::Line { Lane::Normal } else { news.post.lane() };
            let (carrier, subject) = (one.way.word().to_owned(), partner::subject(one.format, happened));
            told.push(Told { endpoint_id, carrier, subject, lane, due_at: now });
        }
    }
    Ok(told)
}

/// What a partner is told to have happened, if anything.
fn happened(tx: &mut Tx<'_>, one: &Partner, endpoint_id: i64, news: &News) -> Result<Option<Happened>, StoreError> {
    let holding = |tx: &mut Tx<'_>| accounts::holding(tx, endpoint_id, one.way.word(), &news.standing.post_id);
    let wants = one.selection.holds(&news.post);
    Ok(match news.kind {
        ChangeKind::Withdrawn => may_have(holding(tx)?).then_some(Happened::Withdrawn),
        ChangeKind::Revised if holding(tx)? >= Holding::InDoubt => Some(Happened::Revised),
        _ => wants.then_some(Happened::Published),
    })
}

/// Whether somebody has a post, or may get it this moment.
pub(super) fn may_have(holding: Holding) -> bool {
    holding >= Holding::Taken
}

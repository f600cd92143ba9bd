//! What happened to posts since a number: what partners ask for.

use crate::domain::clock::UnixMillis;
use crate::domain::partner::{Happened, Selection};
use crate::domain::post::Showable;
use crate::store::changes::{self, ChangeKind};
use crate::store::posts::{self, Filter};
use crate::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// Changes looked through in one query.
const LOOKED_AT: i64 = 500;
/// Queries in one transaction.
const LOOKS_MAX: usize = 8;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub seq: i64,
    /// What.
    pub happened: Happened,
    /// To which post.
    pub post: State,
}

/// A post as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be shown.
    Public(Box<Showable>),
    /// It was withdrawn.
    Gone {
        /// Its id.
        post_id: String,
        /// When.
        at: UnixMillis,
    },
}

/// A part of what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// In the order of the commits.
    pub events: Vec<Event>,
    /// Everything up to this number was looked through.
    pub looked_to: i64,
    /// Up to here there is something.
    pub head: i64,
}

/// What happened after a number that a selection holds, up to `limit` events. A post is given as it is now: whoever comes late needs no
/// outdated text, and what was withdrawn since is given as withdrawn alone.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn after(tx: &mut Tx<'_>, seq: i64, selection: &Selection, limit: usize) -> Result<Part, StoreError> {
    let mut part = Part { events: Vec::new(), looked_to: seq, head: changes::head(tx)? };
    let mut states: BTreeMap<String, Option<State>> = BTreeMap::new();
    for _ in 0..LOOKS_MAX {
        let found = changes::after(tx, part.looked_to, LOOKED_AT)?;
        let is_last = (found.len() as i64) < LOOKED_AT;
        for (seq, change) in found {
            let happened = match change.kind {
                ChangeKind::Public => Some(Happened::Published),
                ChangeKind::Revised => Some(Happened::Revised),
                ChangeKind::Withdrawn => Some(Happened::Withdrawn),
                ChangeKind::Released | ChangeKind::Expired => None,
            };
            if let Some(happened) = happened {
                if !states.contains_key(&change.post_id) {
                    let state = state(tx, &change.post_id, selection)?;
                    states.insert(change.post_id.clone(), state);
                }
                let post = states.get(&change.post_id).cloned().flatten();
                let fits = |post: &State| matches!(post, State::Gone { .. }) == (happened == Happened::Withdrawn);
                if let Some(post) = post.filter(fits) {
                    part.events.push(Event { seq, happened, post });
                }
            }
            part.looked_to = seq;
            if part.events.len() >= limit {
                return Ok(part);
            }
        }
        if is_last {
            // Numbers beyond the last row of ours are nobody's yet.
            return Ok(part);
        }
    }
    Ok(part)
}

/// A post, if it was ever public and the selection holds it.
fn state(tx: &mut Tx<'_>, post_id: &str, selection: &Selection) -> Result<Option<State>, StoreError> {
    let Some((standing, post)) = posts::find(tx, post_id)? else { return Ok(None) };
    if standing.public_at.is_none() || !selection.holds(&post) {
        return Ok(None);
    }
    if let Some(at) = standing.withdrawn_at {
        return Ok(Some(State::Gone { post_id: standing.post_id, at }));
    }
    Ok(Showable::public(standing, post).ok().map(|showable| State::Public(Box::new(showable))))
}

/// A page of public posts that a selection holds, the newest publication first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The posts.
    pub posts: Vec<Showable>,
    /// Where the next page begins, if there may be one.
    pub next: Option<(UnixMillis, String)>,
}

/// Public posts that a selection holds, published since an instant, from before a place in their order. Looks through a bounded number.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn public(
    tx: &mut Tx<'_>,
    selection: &Selection,
    since: UnixMillis,
    before: Option<(UnixMillis, String)>,
) -> Result<Page, StoreError> {
    let filter = Filter { source: None, topic: None, language: None, public_only: true, before };
    let found = posts::list(tx, &filter, LOOKED_AT)?;
    let is_full = found.len() as i64 == LOOKED_AT;
    let last = found.last().map(|(standing, post)| (post.published_at, standing.post_id.clone()));
    let next = last.filter(|(at, _)| is_full && *at >= since);
    let is_wanted = |post: &crate::domain::post::Post| post.published_at >= since && selection.holds(post);
    let wanted = found.into_iter().filter(|(_, post)| is_wanted(post));
    Ok(Page { posts: wanted.filter_map(|(standing, post)| Showable::public(standing, post).ok()).collect(), next })
}

/// Those of these ids that aren't public posts of a selection any more, with when each was withdrawn if it was.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn gone(
    tx: &mut Tx<'_>,
    ids: &[String],
    selection: &Selection,
) -> Result<Vec<(String, Option<UnixMillis>)>, StoreError> {
    let mut gone = Vec::new();
    for id in ids {
        match state(tx, id, selection)? {
            Some(State::Public(_)) => {}
            Some(State::Gone { at, .. }) => gone.push((id.clone(), Some(at))),
            None => gone.push((id.clone(), None)),
        }
    }
    Ok(gone)
}

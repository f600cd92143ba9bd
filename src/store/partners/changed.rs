//! What happened to posts since a number: what partners ask for.

use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::partner::{Happened, Selection};
use crate::domain::post::{Post, Showable, Standing};
use crate::store::changes::{self, ChangeKind};
use crate::store::posts::{self, Filter};
use crate::store::value::{from_json, json, params};
use crate::store::{StoreError, Tx};
use std::collections::{BTreeMap, BTreeSet};

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
/// outdated text, and what was withdrawn since is given as withdrawn alone. A post that was revised into the selection is published to
/// who asks; one that was revised out of it is told once more as it is, and when it is withdrawn: they may have it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn after(tx: &mut Tx<'_>, seq: i64, selection: &Selection, limit: usize) -> Result<Part, StoreError> {
    let mut part = Part { events: Vec::new(), looked_to: seq, head: changes::head(tx)? };
    let mut seen: BTreeMap<String, Option<Seen>> = BTreeMap::new();
    for _ in 0..LOOKS_MAX {
        let found = changes::after(tx, part.looked_to, LOOKED_AT)?;
        let is_last = (found.len() as i64) < LOOKED_AT;
        for (seq, change) in found {
            if !matches!(change.kind, ChangeKind::Released | ChangeKind::Expired) {
                if !seen.contains_key(&change.post_id) {
                    seen.insert(change.post_id.clone(), look(tx, &change.post_id, selection)?);
                }
                let post = seen.get(&change.post_id).and_then(Option::as_ref);
                let told = post.and_then(|post| Some((post.happened(seq, change.kind)?, post.state.clone())));
                part.events.extend(told.map(|(happened, post)| Event { seq, happened, post }));
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

/// A post that a selection holds, or held while it was public.
struct Seen {
    state: State,
    /// Whether the selection holds it now.
    is_held: bool,
    /// The change by which it came into the selection; none: it was in it when it became public.
    entered: Option<i64>,
}

impl Seen {
    /// What a change of it is to those who ask.
    fn happened(&self, seq: i64, kind: ChangeKind) -> Option<Happened> {
        let (is_gone, is_held) = (matches!(self.state, State::Gone { .. }), self.is_held);
        match (kind, self.entered) {
            (ChangeKind::Withdrawn, _) => is_gone.then_some(Happened::Withdrawn),
            _ if is_gone => None,
            // Who hears of its beginning now hasn't had it: it needn't hear of what left it since.
            (ChangeKind::Public, None) => is_held.then_some(Happened::Published),
            (ChangeKind::Revised, Some(entered)) if seq == entered => is_held.then_some(Happened::Published),
            (ChangeKind::Revised, entered) => entered.is_none_or(|entered| seq > entered).then_some(Happened::Revised),
            _ => None,
        }
    }
}

/// A post as a selection sees it, if it was ever public and in it.
fn look(tx: &mut Tx<'_>, post_id: &str, selection: &Selection) -> Result<Option<Seen>, StoreError> {
    let Some((standing, post)) = posts::find(tx, post_id)? else { return Ok(None) };
    let Some(public_at) = standing.public_at else { return Ok(None) };
    let is_held = selection.holds(&post);
    let entered = if selection.is_all() || standing.revision == 1 {
        is_held.then_some(None)
    } else {
        entered(tx, &standing, public_at, selection)?
    };
    let Some(entered) = entered else { return Ok(None) };
    let state = match standing.withdrawn_at {
        Some(at) => Some(State::Gone { post_id: standing.post_id, at }),
        None => Showable::public(standing, post).ok().map(|showable| State::Public(Box::new(showable))),
    };
    Ok(state.map(|state| Seen { state, is_held, entered }))
}

/// By which change a post of several revisions came into a selection; `Some(None)` when it was in it from the beginning. None: the
/// selection holds no revision of it that was ever public.
fn entered(
    tx: &mut Tx<'_>,
    standing: &Standing,
    public_at: UnixMillis,
    selection: &Selection,
) -> Result<Option<Option<i64>>, StoreError> {
    const SQL: &str = "SELECT revision, received_at, content FROM revisions WHERE post_id = $1 AND revision <= $2
         ORDER BY received_at, revision";
    let mut heads: Vec<(i64, UnixMillis, bool)> = Vec::new();
    for row in tx.query(SQL, params![&standing.post_id, standing.revision])? {
        let (number, at) = (row.int(0)?, row.at(1)?);
        // What came after a newer one was never shown, nor what a newer one followed before its time.
        if heads.last().is_some_and(|(newest, _, _)| *newest > number) {
            continue;
        }
        if at <= public_at {
            heads.clear();
        }
        let post: Post = from_json(&row.text(2)?, "a revision of a post")?;
        heads.push((number, at, selection.holds(&post)));
    }
    let Some(first) = heads.iter().position(|(_, _, is_held)| *is_held) else { return Ok(None) };
    if first == 0 {
        return Ok(Some(None));
    }
    const ENTERED: &str = "SELECT MIN(seq) FROM changes WHERE post_id = $1 AND kind = 'revised' AND at >= $2";
    let row = tx.query_opt(ENTERED, params![&standing.post_id, heads[first].1])?;
    // Without such a change it became public as that.
    row.map_or(Ok(Some(None)), |row| row.int_opt(0).map(Some))
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
    let is_wanted = |post: &Post| post.published_at >= since && selection.holds(post);
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
    // In one query, and without the texts: a partner may ask of ten thousand.
    const SQL: &str =
        "SELECT id, topics, language, public_at, withdrawn_at, expired_at FROM posts WHERE id IN {list $1: text}";
    let mut there: BTreeMap<String, Option<UnixMillis>> = BTreeMap::new();
    let mut public: BTreeSet<String> = BTreeSet::new();
    for row in tx.query(SQL, &[json(ids)?])? {
        let (id, topics): (String, Vec<String>) = (row.text(0)?, from_json(&row.text(1)?, "the topics of a post")?);
        let language = row.parse(2, |text| Language::parse(text).ok())?;
        let (public_at, withdrawn_at) = (row.at_opt(3)?, row.at_opt(4)?);
        let is_public = public_at.is_some() && withdrawn_at.is_none() && row.at_opt(5)?.is_none();
        if is_public && selection.has(&topics, &language) {
            public.insert(id);
        } else {
            there.insert(id, withdrawn_at.filter(|_| public_at.is_some()));
        }
    }
    let gone = ids.iter().filter(|id| !public.contains(*id));
    Ok(gone.map(|id| (id.clone(), there.get(id).copied().flatten())).collect())
}

//! Posts under an embargo, for partners who are trusted with them by name: told when they come in, marked as what they are, and told
//! again like everybody when their time has come.

use super::{News, Told, plan_id, write};
use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::partner::{self, Happened};
use crate::domain::{audience::Slot, edition::PUSH};
use crate::plan::{Rules, digest};
use crate::store::accounts::{self, Holding};
use crate::store::changes::{self, ChangeKind};
use crate::store::partners::{self, Partner};
use crate::store::{StoreError, Tx, occurrences, posts};

/// Posts looked at in one transaction at most: those whose time comes first.
const HIDDEN_MAX: i64 = 500;

/// Plans what trusted partners are to be told of. Returns how many deliveries that made.
///
/// # Errors
/// [`StoreError`] from the database.
pub(in crate::plan) fn step(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<usize, StoreError> {
    let trusted: Vec<Partner> =
        partners::live(tx)?.into_iter().filter(|one| one.embargoed_at.is_some() && one.endpoint_id.is_some()).collect();
    if trusted.is_empty() {
        return Ok(0);
    }
    let (mut planned, seq) = (0, changes::head(tx)?);
    for post_id in posts::hidden(tx, now, HIDDEN_MAX)? {
        let Some((standing, post)) = posts::find(tx, &post_id)? else { continue };
        let is_withdrawn = standing.withdrawn_at.is_some();
        let plan_id = match is_withdrawn {
            true => plan_id(&standing),
            false => ids::occurrence_id(PUSH, standing.revision, &format!("embargoed {post_id}")),
        };
        if occurrences::is_there(tx, plan_id)? {
            continue;
        }
        let kind = if is_withdrawn { ChangeKind::Withdrawn } else { ChangeKind::Public };
        let language = post.language.to_string();
        let news = News { kind, seq, language, plan_id, is_planned: false, standing, post };
        let told = told(tx, &trusted, &news, now)?;
        // Whoever is trusted from now on isn't told of what came before.
        occurrences::ensure_planned(tx, &digest::occurrence(plan_id, &Slot::of(PUSH), now, 0, seq, now), now)?;
        planned += write(tx, rules, &news, told, now)?;
    }
    Ok(planned)
}

fn told(tx: &mut Tx<'_>, trusted: &[Partner], news: &News, now: UnixMillis) -> Result<Vec<Told>, StoreError> {
    let came_at = news.standing.revised_at.unwrap_or(news.standing.received_at);
    let mut told = Vec::new();
    for one in trusted {
        let Some(endpoint_id) = one.endpoint_id else { continue };
        let carrier = one.way.word();
        let happened = match news.is_withdrawal() {
            true => {
                let holding = accounts::holding(tx, endpoint_id, carrier, &news.standing.post_id)?;
                (holding == Holding::Has).then_some(Happened::Withdrawn)
            }
            false => {
                let is_news = one.embargoed_at.is_some_and(|since| since <= came_at);
                (is_news && one.selection.holds(&news.post)).then_some(Happened::Embargoed)
            }
        };
        if let Some(happened) = happened {
            let subject = partner::subject(one.format, happened);
            let (carrier, lane) = (carrier.to_owned(), crate::domain::delivery::Lane::Normal);
            told.push(Told { endpoint_id, carrier, subject, lane, due_at: now });
        }
    }
    Ok(told)
}

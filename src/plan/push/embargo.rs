//! Posts under an embargo, for partners who are trusted with them by name: told when they come in, marked as what they are, and told
//! again like everybody when their time has come.

use super::partners::may_have;
use super::{News, Told, plan_id, write};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::edition::PUSH;
use crate::domain::ids;
use crate::domain::partner::{self, Happened};
use crate::plan::Rules;
use crate::store::accounts;
use crate::store::changes::{self, ChangeKind};
use crate::store::partners::{self, Partner};
use crate::store::{StoreError, Tx, occurrences, posts};

/// Posts looked at in one transaction at most: those that came or were changed last; the others were planned before.
const HIDDEN_MAX: i64 = 500;

/// Plans what trusted partners are to be told of. Returns how many deliveries that made.
///
/// # Errors
/// [`StoreError`] from the database.
pub(in crate::plan) fn step(tx: &mut Tx<'_>, rules: &Rules, now: UnixMillis) -> Result<usize, StoreError> {
    let partners: Vec<Partner> = partners::live(tx)?.into_iter().filter(|one| one.endpoint_id.is_some()).collect();
    let (mut planned, seq) = (0, changes::head(tx)?);
    for post_id in posts::hidden(tx, now, HIDDEN_MAX)? {
        // Locked against revision, so that the edition can't pin what was just replaced.
        posts::share(tx, &post_id)?;
        let Some((standing, post)) = posts::find(tx, &post_id)? else { continue };
        let is_withdrawn = standing.withdrawn_at.is_some();
        let plan_id = match is_withdrawn {
            true => plan_id(&standing),
            false => ids::occurrence_id(PUSH, standing.revision, &format!("embargoed {post_id}")),
        };
        if standing.public_at.is_some() || occurrences::is_there(tx, plan_id)? {
            continue;
        }
        let kind = if is_withdrawn { ChangeKind::Withdrawn } else { ChangeKind::Public };
        let language = post.language.to_string();
        let news = News { kind, seq, language, plan_id, is_planned: false, standing, post };
        let told = told(tx, &partners, &news, now)?;
        // Whoever is trusted from now on isn't told of what came before.
        planned += write(tx, rules, &news, told, now)?;
    }
    Ok(planned)
}

fn told(tx: &mut Tx<'_>, partners: &[Partner], news: &News, now: UnixMillis) -> Result<Vec<Told>, StoreError> {
    let came_at = news.standing.revised_at.unwrap_or(news.standing.received_at);
    let mut told = Vec::new();
    for one in partners {
        let Some(endpoint_id) = one.endpoint_id else { continue };
        let carrier = one.way.word();
        let happened = match news.is_withdrawal() {
            // Whoever has it hears of that, trusted still or not.
            true => {
                let holding = accounts::holding(tx, endpoint_id, carrier, &news.standing.post_id)?;
                may_have(holding).then_some(Happened::Withdrawn)
            }
            false => {
                let is_news = one.embargoed_at.is_some_and(|since| since <= came_at);
                (is_news && one.selection.holds(&news.post)).then_some(Happened::Embargoed)
            }
        };
        if let Some(happened) = happened {
            let subject = partner::subject(one.format, happened);
            told.push(Told { endpoint_id, carrier: carrier.to_owned(), subject, lane: Lane::Normal, due_at: now });
        }
    }
    Ok(told)
}

//! Own accounts at social networks. A story is said once by each, in the variant that its language is released with; what was said
//! follows revisions, by the account's policy, and is taken away with the post.

use super::{News, Told};
use crate::domain::account::{Revised, Rule};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::plan::Rules;
use crate::store::accounts::{self, Holding};
use crate::store::changes::ChangeKind;
use crate::store::{StoreError, Tx, endpoints};

/// What an account is to do.
#[derive(Clone, Copy)]
enum Task {
    /// Say it.
    Say,
    /// See to what it said of an earlier revision.
    Follow,
    /// Take it away.
    Unsay,
}

/// Accounts that have something to do.
pub(super) fn told(tx: &mut Tx<'_>, rules: &Rules, news: &News, now: UnixMillis) -> Result<Vec<Told>, StoreError> {
    let mut told = Vec::new();
    for rule in &rules.accounts {
        let Some(task) = task(tx, rule, news)? else { continue };
        let endpoint_id = rule.endpoint_id();
        if !endpoints::hears(tx, endpoint_id, news.seq)? {
            continue;
        }
        let (word, lane) = match task {
            Task::Say => ("say", news.post.lane()),
            // These wait for no slot.
            Task::Follow => ("follow", Lane::Transactional),
            Task::Unsay => ("unsay", Lane::Transactional),
        };
        let subject = format!("{}:{word}", rule.name);
        told.push(Told { endpoint_id, carrier: rule.carrier.clone(), subject, lane, due_at: now });
    }
    Ok(told)
}

fn task(tx: &mut Tx<'_>, rule: &Rule, news: &News) -> Result<Option<Task>, StoreError> {
    let holding = |tx: &mut Tx<'_>| accounts::holding(tx, rule.endpoint_id(), &rule.carrier, &news.standing.post_id);
    let wants = rule.wants(&news.standing.source, &news.post);
    Ok(match news.kind {
        ChangeKind::Released if news.language == rule.language.as_str() && wants => Some(Task::Say),
        ChangeKind::Revised => match holding(tx)? {
            Holding::Nothing => None,
            Holding::Waits | Holding::Taken => wants.then_some(Task::Say),
            // Whether it was said is found out, whatever the policy.
            Holding::InDoubt => Some(Task::Follow),
            Holding::Has => (rule.revised != Revised::Leave).then_some(Task::Follow),
        },
        // It asks for a state: where nothing was said, nothing is done.
        ChangeKind::Withdrawn => (holding(tx)? != Holding::Nothing).then_some(Task::Unsay),
        _ => None,
    })
}

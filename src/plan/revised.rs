//! Lines of an issue about posts that its readers had before and that were revised since, where their source asks for it. A line
//! alone is no reason to write to anybody.

use super::Rules;
use super::chunk::Owing;
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::domain::edition::ItemForm;
use crate::store::occurrences::Occurrence;
use crate::store::owed::Match;
use crate::store::{StoreError, Tx, corrections};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::time::Duration;

type List = Vec<Match>;

/// A revision is told of in issues of so long after it: whoever got no issue meanwhile hears of it late, nobody of what is old.
const TOLD_WITHIN: Duration = Duration::from_secs(31 * 86_400);

/// Adds lines about what was revised lately, once to each reader.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) fn add(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    owing: &mut Owing,
    now: UnixMillis,
) -> Result<(), StoreError> {
    if occurrence.slot.schedule() == IMMEDIATE || owing.is_empty() {
        return Ok(());
    }
    if rules.noting.is_empty() && !corrections::any_noted(tx)? {
        return Ok(());
    }
    let ids: Vec<i64> = owing.iter().filter(|(_, owed)| !owed.is_empty()).map(|(id, _)| *id).collect();
    let mut lines: BTreeMap<i64, Vec<Match>> = BTreeMap::new();
    for post in corrections::revised(tx, &rules.noting, now.minus(TOLD_WITHIN))? {
        for (id, held) in corrections::outdated(tx, &post.post_id, post.revision, &ids, true)? {
            let line =
                Match { recipient_id: 0, topic: held.topic, also: Vec::new(), form: ItemForm::Revised, ..post.clone() };
            lines.entry(id).or_default().push(line);
        }
    }
    // Readers of one list who get the same lines go on sharing one.
    let mut shared: HashMap<(*const List, List), Rc<List>> = HashMap::new();
    for (id, lines) in lines {
        let Some(owed) = owing.get_mut(&id) else { continue };
        let with_lines = shared.entry((Rc::as_ptr(owed), lines)).or_insert_with_key(|(_, lines)| {
            let is_new = |line: &&Match| !owed.iter().any(|other| other.story_id == line.story_id);
            Rc::new(owed.iter().chain(lines.iter().filter(is_new)).cloned().collect())
        });
        *owed = with_lines.clone();
    }
    Ok(())
}

//! What recipients who are alike are owed: worked out once for each combination of language and topics.

use crate::domain::audience::IMMEDIATE;
use crate::domain::delivery::Lane;
use crate::domain::edition::Item;
use crate::store::owed::{Match, Recipient};
use crate::store::window::Release;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// The window of an occurrence, by topic.
pub(super) struct Groups<'a> {
    releases: &'a [Release],
    topics: Vec<&'a str>,
    /// What is owed to readers of these topics, by language.
    owed: HashMap<Vec<u16>, HashMap<String, Rc<Vec<Match>>>>,
}

impl<'a> Groups<'a> {
    /// What was released, in the order of its numbers.
    pub(super) fn of(releases: &'a [Release]) -> Self {
        let topics: BTreeSet<&str> = releases.iter().map(|release| release.item.topic.as_str()).collect();
        Self { releases, topics: topics.into_iter().collect(), owed: HashMap::new() }
    }

    /// The topics of the window; others call one by its index.
    pub(super) fn topics(&self) -> &[&'a str] {
        &self.topics
    }

    /// The stories of the window that may be shown.
    pub(super) fn stories(&self) -> Vec<&'a str> {
        let showable = self.releases.iter().filter(|release| release.item.showable);
        let stories: BTreeSet<&str> = showable.map(|release| release.item.story_id.as_str()).collect();
        stories.into_iter().collect()
    }

    /// What each recipient is owed. `interested` says who subscribes to which topic, in the order of ids; those who are
    /// `special` are left out.
    pub(super) fn assign(
        &mut self,
        recipients: &[Recipient],
        interested: &[(i64, u16)],
        special: &HashSet<i64>,
    ) -> BTreeMap<i64, Rc<Vec<Match>>> {
        let mut owing = BTreeMap::new();
        let mut recipients = recipients.iter().peekable();
        let mut topics = Vec::new();
        for theirs in interested.chunk_by(|one, other| one.0 == other.0) {
            let Some((id, _)) = theirs.first() else { continue };
            while recipients.next_if(|recipient| recipient.id < *id).is_some() {}
            let Some(recipient) = recipients.next_if(|recipient| recipient.id == *id) else { continue };
            if special.contains(id) {
                continue;
            }
            topics.clear();
            topics.extend(theirs.iter().map(|(_, topic)| *topic));
            let owed = self.owed_to(&recipient.language, &topics);
            if !owed.is_empty() {
                owing.insert(*id, owed);
            }
        }
        owing
    }

    fn owed_to(&mut self, language: &str, topics: &[u16]) -> Rc<Vec<Match>> {
        if let Some(owed) = self.owed.get(topics).and_then(|by_language| by_language.get(language)) {
            return owed.clone();
        }
        let names: HashSet<&str> =
            topics.iter().filter_map(|topic| self.topics.get(usize::from(*topic)).copied()).collect();
        let mut owed: Vec<Match> = Vec::new();
        for Release { language: of, item } in self.releases {
            let is_theirs = item.showable && of == language && names.contains(item.topic.as_str());
            if !is_theirs {
                continue;
            }
            match owed.iter_mut().find(|other| other.story_id == item.story_id) {
                Some(known) => known.add_topic(&item.topic),
                None => owed.push(item.clone()),
            }
        }
        let owed = Rc::new(owed);
        self.owed.entry(topics.to_vec()).or_default().insert(language.to_owned(), owed.clone());
        owed
    }
}

/// Newest first, as on a board, and lines after all posts; equal instants by id, so that equal contents are equal.
pub(super) fn items(matches: &[Match]) -> Vec<Item> {
    let mut sorted: Vec<&Match> = matches.iter().collect();
    let order = |m: &&Match| (m.form, std::cmp::Reverse(m.published_at));
    sorted.sort_by(|a, b| order(a).cmp(&order(b)).then_with(|| a.post_id.cmp(&b.post_id)));
    let item = |m: &&Match| Item {
        story_id: m.story_id.clone(),
        post_id: m.post_id.clone(),
        revision: m.revision,
        topic: m.topic.clone(),
        also: m.also.clone(),
        form: m.form,
    };
    sorted.iter().map(item).collect()
}

/// Digests are bulk whatever is in them: urgency chooses a lane, never a schedule.
pub(super) fn lane(schedule: &str, matches: &[Match]) -> Lane {
    if schedule != IMMEDIATE {
        Lane::Bulk
    } else if matches.iter().any(|m| m.lane == Lane::Urgent.word()) {
        Lane::Urgent
    } else {
        Lane::Normal
    }
}

//! Who is owed what, in sets. What a person does just when a post comes out may count or not; whoever wanted it from before
//! it was handed in until the end is owed it, whoever never wanted it while it was there must not get it, and about the
//! others nothing is said here (`tests/journey/model.rs` says it).

use super::draft::Draft;
use std::collections::{BTreeMap, BTreeSet};

pub(super) struct Post {
    pub(super) draft: Draft,
    pub(super) revision: i64,
    pub(super) is_withdrawn: bool,
    /// Who wanted it before it was handed in and left nothing since.
    pub(super) owed_to: BTreeSet<i64>,
    /// Who hasn't wanted anything that it is under since before it was handed in.
    pub(super) not_for: BTreeSet<i64>,
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) people: Vec<i64>,
    pub(super) posts: Vec<Post>,
    /// The schedule of each person and topic.
    pub(super) wants: BTreeMap<(i64, &'static str), usize>,
}

impl Model {
    pub(super) fn who(&self, number: usize) -> i64 {
        self.people[number % self.people.len()]
    }

    /// The post with this number, if there is any and it wasn't withdrawn.
    pub(super) fn standing(&self, number: usize) -> Option<usize> {
        let at = number.checked_rem(self.posts.len())?;
        (!self.posts[at].is_withdrawn).then_some(at)
    }

    /// It is about to be handed in.
    pub(super) fn hand_in(&mut self, draft: Draft) {
        let wants = |id: &i64| draft.topics.iter().any(|topic| self.wants.contains_key(&(*id, *topic)));
        let (owed_to, not_for) = self.people.iter().copied().partition(wants);
        self.posts.push(Post { draft, revision: 1, is_withdrawn: false, owed_to, not_for });
    }

    /// Somebody is about to want a topic, or by another schedule.
    pub(super) fn join(&mut self, id: i64, topic: &'static str, schedule: usize) {
        self.wants.insert((id, topic), schedule);
        for post in self.posts.iter_mut().filter(|post| post.draft.topics.contains(topic)) {
            post.not_for.remove(&id);
        }
    }

    /// Somebody is about to leave a schedule. What else they are owed may have been planned with it.
    pub(super) fn leave(&mut self, id: i64, schedule: usize) {
        self.wants.retain(|(person, _), by| *person != id || *by != schedule);
        for post in &mut self.posts {
            post.owed_to.remove(&id);
        }
    }
}

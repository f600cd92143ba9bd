//! Puts down what a chunk came to: editions, and deliveries in batches of those who share one by one way out.

use super::Rules;
use super::chunk::{MAIL, Owing};
use super::groups::{items, lane};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::edition::{Content, EditionKind};
use crate::domain::language::Language;
use crate::store::batches::{self, Planned};
use crate::store::occurrences::Occurrence;
use crate::store::owed::{Match, Recipient};
use crate::store::{StoreError, Tx, editions, quiet};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::rc::Rc;

/// What is planned together: recipients of one content by one way out.
struct Together {
    content: usize,
    destination: String,
    lane: Lane,
    due_at: UnixMillis,
    recipients: Vec<i64>,
}

/// What is to be put down.
#[derive(Default)]
pub(super) struct Drafts {
    contents: Vec<Content>,
    content_of: HashMap<Content, usize>,
    together: Vec<Together>,
}

impl Drafts {
    /// The index of a content.
    fn content(&mut self, content: Content) -> usize {
        *self.content_of.entry(content).or_insert_with_key(|content| {
            self.contents.push(content.clone());
            self.contents.len() - 1
        })
    }

    /// The index of the recipients of a content by a way out, who may be none yet.
    pub(super) fn group(&mut self, content: Content, destination: &str, lane: Lane, due_at: UnixMillis) -> usize {
        let content = self.content(content);
        let is_same = |one: &Together| {
            one.content == content && one.destination == destination && one.lane == lane && one.due_at == due_at
        };
        self.together.iter().position(is_same).unwrap_or_else(|| {
            let destination = destination.to_owned();
            self.together.push(Together { content, destination, lane, due_at, recipients: Vec::new() });
            self.together.len() - 1
        })
    }

    /// One more recipient, in the order of ids.
    pub(super) fn add(&mut self, group: usize, recipient_id: i64) {
        self.together[group].recipients.push(recipient_id);
    }

    /// Writes all of it. Returns how many deliveries that made.
    pub(super) fn put(
        self,
        tx: &mut Tx<'_>,
        rules: &Rules,
        occurrence: &Occurrence,
        now: UnixMillis,
    ) -> Result<usize, StoreError> {
        let ids = editions::ensure_all(tx, occurrence.id, &self.contents, now)?;
        for (id, content) in ids.iter().zip(&self.contents) {
            if let Some(night) = rules.night(&content.schedule, &occurrence.slot, now) {
                quiet::set(tx, *id, Some(night))?;
            }
        }
        let planned = |one: Together| {
            let night = rules.night(&self.contents[one.content].schedule, &occurrence.slot, one.due_at);
            let due_at = night.filter(|night| night.holds(one.due_at)).map_or(one.due_at, |night| night.until_at);
            let (edition_id, Together { destination, lane, recipients, .. }) = (ids[one.content], one);
            Planned { edition_id, destination, lane, due_at, recipients }
        };
        let planned: Vec<Planned> = self.together.into_iter().map(planned).collect();
        batches::insert(tx, occurrence.id, occurrence.planned, MAIL, &planned, now)?;
        Ok(planned.iter().map(|planned| planned.recipients.len()).sum())
    }
}

/// Plans what recipients are owed. Where a digest says that there was nothing, those who are owed nothing are told so.
pub(super) fn write(
    tx: &mut Tx<'_>,
    rules: &Rules,
    occurrence: &Occurrence,
    recipients: &[Recipient],
    owing: &Owing,
    now: UnixMillis,
) -> Result<usize, StoreError> {
    let schedule = occurrence.slot.schedule();
    let mut drafts = Drafts::default();
    // Whoever shares a list, a language and a way out is planned together; so for most nothing is built. Equal texts of
    // the recipients are one text in memory.
    let mut routes: HashMap<(*const u8, *const u8), (Language, &str, &str)> = HashMap::new();
    let mut known: HashMap<(*const Vec<Match>, *const u8, *const u8), usize> = HashMap::new();
    for recipient in recipients {
        let Some(matches) = owing.get(&recipient.id) else { continue };
        let kind = if matches.is_empty() { EditionKind::Heartbeat } else { EditionKind::Issue };
        if kind == EditionKind::Heartbeat && !rules.has_heartbeat(schedule) {
            continue;
        }
        let reader = (recipient.language.as_ptr(), recipient.domain.as_ptr());
        let (language, sender, destination) = match routes.entry(reader) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let language = Language::parse(&recipient.language).map_err(|e| StoreError::Shape(e.to_string()))?;
                let (sender, destination) = rules.route(schedule, &language, &recipient.domain);
                new.insert((language, sender, destination))
            }
        };
        let alike = (Rc::as_ptr(matches), recipient.language.as_ptr(), destination.as_ptr());
        let group = *known.entry(alike).or_insert_with(|| {
            let content = Content {
                kind,
                schedule: schedule.to_owned(),
                language: language.clone(),
                sender: (*sender).to_owned(),
                template: rules.template.clone(),
                items: items(matches),
            };
            let lane = lane(schedule, matches);
            drafts.group(content, destination, lane, rules.due_at(schedule, lane, now))
        });
        drafts.add(group, recipient.id);
    }
    drafts.put(tx, rules, occurrence, now)
}

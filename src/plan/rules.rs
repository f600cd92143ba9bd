//! What planning goes by.

use super::digest::Digest;
use super::release;
use super::route::Classes;
use crate::domain::account::Rule;
use crate::domain::audience::{IMMEDIATE, Slot};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::Lane;
use crate::domain::language::Language;
use crate::domain::quiet::Night;
use std::collections::BTreeMap;
use std::time::Duration;

/// What planning goes by; from the configuration.
#[derive(Clone)]
pub struct Rules {
    /// Languages and waits.
    pub release: release::Rules,
    /// The digests by name.
    pub digests: BTreeMap<String, Digest>,
    /// The template version that new editions are pinned to.
    pub template: String,
    /// Recipients planned in one transaction.
    pub chunk_recipients: i64,
    /// Sender and destination by schedule and language; the fallback has no language.
    pub routes: BTreeMap<(String, Option<Language>), (String, String)>,
    /// Sender and destination where nothing else is said.
    pub route_default: (String, String),
    /// Recipient domains with a pace of their own.
    pub classes: Classes,
    /// How long immediate mail that isn't urgent waits, so that a revision or withdrawal still catches it.
    pub grace: Duration,
    /// Sources whose revisions are noted in the next issue.
    pub noting: Vec<String>,
    /// Own accounts at social networks.
    pub accounts: Vec<Rule>,
    /// How long consents of people who aren't written to any more are kept.
    pub consent_kept: Duration,
}

impl Rules {
    /// When mail that is planned now is due.
    #[must_use]
    pub(super) fn due_at(&self, schedule: &str, lane: Lane, now: UnixMillis) -> UnixMillis {
        if schedule == IMMEDIATE && lane != Lane::Urgent { now.plus(self.grace) } else { now }
    }

    /// The night of a schedule's mail at or after `at`, by the reader's own zone if the slot has one.
    pub(super) fn night(&self, schedule: &str, slot: &Slot, at: UnixMillis) -> Option<Night> {
        let digest = self.digests.get(schedule)?;
        let zone = match slot.own_time().filter(|_| slot.schedule() == schedule) {
            Some((_, _, zone)) => jiff::tz::TimeZone::get(zone),
            None => jiff::tz::TimeZone::get(digest.schedule.zone()),
        };
        digest.quiet_hours?.night(&zone.ok()?, at)
    }

    pub(super) fn has_heartbeat(&self, schedule: &str) -> bool {
        self.digests.get(schedule).is_some_and(|digest| digest.heartbeat)
    }

    /// The sender and the destination of a schedule's mail to readers of a language at a domain.
    #[must_use]
    pub fn route(&self, schedule: &str, language: &Language, domain: &str) -> (&str, &str) {
        let exact = self.routes.get(&(schedule.to_owned(), Some(language.clone())));
        let any = || self.routes.get(&(schedule.to_owned(), None));
        let (sender, destination) = exact.or_else(any).unwrap_or(&self.route_default);
        (sender, self.classes.destination(destination, domain))
    }
}

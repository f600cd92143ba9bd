//! A message that is only looked at, and a door at which revisions mean something else: for those who write posts here.

use super::Intake;
use super::accept::{Revisions, Source};
use super::decode::decode;
use super::gather::Gathering;
use super::wire::{Event, Incoming, RejectReason, Rejection};
use std::sync::Arc;

impl Intake {
    /// What a message would be, or why it wouldn't be taken. Keeps nothing.
    ///
    /// # Errors
    /// [`Rejection`] with the path of the field.
    pub fn look(&self, incoming: &Incoming) -> Result<Event, Box<Rejection>> {
        match self.sources.get(&incoming.source) {
            Some(source) => decode(incoming, &source.policy),
            None => Err(Box::new(Rejection {
                reason: RejectReason::NotAllowed,
                path: "source".to_owned(),
                detail: "no source of this name is configured".to_owned(),
                event_id: None,
                source_id: None,
                kind: None,
            })),
        }
    }

    /// What is known of a source.
    #[must_use]
    pub fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }

    /// The names of the sources.
    pub fn source_names(&self) -> impl Iterator<Item = &String> {
        self.sources.keys()
    }

    /// The same door, at which revisions by this source mean `how`: a person has chosen it for what they revise.
    #[must_use]
    pub fn with_revisions(&self, source: &str, how: Revisions) -> Self {
        let mut sources = (*self.sources).clone();
        if let Some(source) = sources.get_mut(source) {
            source.revisions = how;
        }
        // Its messages are taken in on other terms, so they are gathered apart.
        Self { sources: Arc::new(sources), gathering: Gathering::default(), ..self.clone() }
    }
}

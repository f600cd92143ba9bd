//! Makes an edition ready for endpoints: writes it once, and keeps it.

use super::courier::News;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::post::Showable;
use crate::render::RenderError;
use crate::render::feed::Tombstone;
use crate::render::templates::Templates;
use crate::store::editions::{self, Edition};
use crate::store::{Store, StoreError, Tx, posts};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Octets of editions kept in memory: those of a busy hour.
const KEPT_LEN_MAX: usize = 16 * 1_024 * 1_024;

/// What the subject of an edition ends with that is for trusted partners alone (`domain::partner::subject`).
const EMBARGOED: &str = ":embargoed";

/// Why an edition can't be made ready.
#[derive(Debug, thiserror::Error)]
pub(in crate::send) enum PrepareError {
    /// The store can't say.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be written; a repeat would end the same.
    #[error(transparent)]
    Render(#[from] RenderError),
}

impl PrepareError {
    /// What becomes of a delivery of that edition.
    pub(in crate::send) fn outcome(self, edition: i64) -> Outcome {
        match self {
            Self::Store(error) => {
                tracing::warn!(%error, "an edition could not be loaded");
                Outcome::NotAllowed
            }
            Self::Render(error) => {
                tracing::error!(edition, %error, "an edition can't be written");
                Outcome::Refused { reason: Reason::RenderFailed, reply: error.to_string() }
            }
        }
    }
}

pub(in crate::send) struct Prepare {
    store: Store,
    templates: Arc<Templates>,
    kept: Mutex<HashMap<i64, Arc<str>>>,
    /// Held by the one who makes one.
    making: tokio::sync::Mutex<()>,
}

impl Prepare {
    pub(super) fn new(store: Store, templates: Arc<Templates>) -> Self {
        Self { store, templates, kept: Mutex::default(), making: tokio::sync::Mutex::default() }
    }

    /// What an edition's endpoints get; `write` writes it from what it tells of, by its subject.
    pub(in crate::send) async fn edition<F>(&self, id: i64, write: F) -> Result<Arc<str>, PrepareError>
    where
        F: FnOnce(&str, &News, &Templates) -> Result<String, RenderError> + Send + 'static,
    {
        if let Some(ready) = self.kept(id) {
            return Ok(ready);
        }
        // Its endpoints come together, and one of them makes it.
        let _making = self.making.lock().await;
        if let Some(ready) = self.kept(id) {
            return Ok(ready);
        }
        let ready: Arc<str> = self.make(id, write).await?.into();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.values().map(|text| text.len()).sum::<usize>() + ready.len() > KEPT_LEN_MAX {
            kept.clear();
        }
        kept.insert(id, ready.clone());
        Ok(ready)
    }

    fn kept(&self, id: i64) -> Option<Arc<str>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    async fn make<F>(&self, id: i64, write: F) -> Result<String, PrepareError>
    where
        F: FnOnce(&str, &News, &Templates) -> Result<String, RenderError> + Send + 'static,
    {
        let load = move |tx: &mut Tx<'_>| {
            let edition =
                editions::find(tx, id)?.ok_or_else(|| StoreError::Shape("an edition is missing".to_owned()))?;
            let news = if edition.pieces.is_none() { Some(news(tx, &edition)?) } else { None };
            Ok((edition, news))
        };
        let (edition, news) = self.store.read(load).await?;
        let Some(news) = news else { return Ok(edition.pieces.unwrap_or_default()) };
        let (templates, schedule) = (self.templates.clone(), edition.content.schedule);
        // A long post takes a while to be sanitised; the threads that serve others go on.
        let write = move || {
            let subject = schedule.split_once(':').map_or("", |(_, subject)| subject);
            write(subject, &news, &templates)
        };
        let written = tokio::task::spawn_blocking(write).await;
        let written = written.map_err(|_| RenderError::Field { field: "post", reason: "it makes us stumble" })??;
        Ok(self.store.write(move |tx| editions::keep_pieces(tx, id, &written)).await?)
    }
}

/// What an edition tells of its post.
fn news(tx: &mut Tx<'_>, edition: &Edition) -> Result<News, StoreError> {
    let missing = || StoreError::Shape("a pushed edition holds no post".to_owned());
    let item = edition.content.items.first().ok_or_else(missing)?;
    let found = posts::at_revisions(tx, &[(item.post_id.clone(), item.revision)])?.pop();
    let (standing, post) = found.ok_or_else(missing)?;
    Ok(match standing.withdrawn_at {
        None if edition.content.schedule.ends_with(EMBARGOED) => {
            News::Post(Box::new(Showable::for_trusted_partner(standing, post)))
        }
        None => News::Post(Box::new(Showable::pinned_by_edition(standing, post))),
        Some(withdrawn_at) => News::Gone {
            tombstone: Tombstone { post_id: standing.post_id, withdrawn_at },
            feeds: crate::domain::feed::paths(&post, &crate::domain::feed::ENDINGS),
            path: post.path,
        },
    })
}

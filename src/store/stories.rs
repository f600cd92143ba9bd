//! What is known of one person, all together: also of one who was erased, of whom the ledgers know the number.

use super::bounces::{self, Bounce};
use super::consents::{self, Kept};
use super::finding::{self, Found};
use super::profile::{self, Profile};
use super::subscribers::{self, Subscription};
use super::suppressions::{self, Suppression};
use super::value::params;
use super::wishes::{self, Wish};
use super::{StoreError, Tx, owed, posts};
use crate::domain::audience::Subscriber;
use crate::domain::clock::UnixMillis;
use serde::Serialize;

/// Posts owed that are told.
const OWED_TOLD: i64 = 20;
/// The newest posts among which one is looked for by its title.
const TITLES_LOOKED_AT: i64 = 500;
/// Posts told where several are called so.
const CALLED_MAX: usize = 10;
/// Refusals that are told.
const BOUNCES_TOLD: i64 = 50;

/// What is known of one person.
#[derive(Clone, Debug)]
pub struct Known {
    /// Who they are, and how it stands.
    pub found: Found,
    /// The same for those who act.
    pub person: Subscriber,
    /// What they set themselves.
    pub profile: Profile,
    /// What they take.
    pub subscriptions: Vec<Subscription>,
    /// What they asked for and haven't confirmed.
    pub wishes: Vec<Wish>,
    /// Why they may not be written to, or might not once.
    pub suppression: Option<Suppression>,
    /// What came back, newest first.
    pub bounces: Vec<Bounce>,
}

/// A person's story.
#[derive(Clone, Debug)]
pub struct Story {
    /// Their number.
    pub id: i64,
    /// What is known of them; nothing more once they are erased.
    pub known: Option<Known>,
    /// What they agreed to and took back, newest first.
    pub consents: Vec<Kept>,
}

impl Story {
    /// When they were erased or left this number, if they did.
    #[must_use]
    pub fn erased_at(&self) -> Option<UnixMillis> {
        self.consents.iter().find(|kept| kept.act == consents::Act::Erased).map(|kept| kept.at)
    }
}

/// The story of a number. `None`: nobody ever had it.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn of(tx: &mut Tx<'_>, id: i64) -> Result<Option<Story>, StoreError> {
    let mut consents = consents::of(tx, id)?;
    consents.reverse();
    let known = known(tx, id)?;
    Ok((known.is_some() || !consents.is_empty()).then_some(Story { id, known, consents }))
}

fn known(tx: &mut Tx<'_>, id: i64) -> Result<Option<Known>, StoreError> {
    let (Some(found), Some(person), Some(profile)) =
        (finding::by_number(tx, id)?, subscribers::find(tx, id)?, profile::of(tx, id)?)
    else {
        return Ok(None);
    };
    Ok(Some(Known {
        suppression: suppressions::find(tx, &person.address)?,
        subscriptions: subscribers::subscriptions(tx, id)?,
        wishes: wishes::of(tx, id)?,
        bounces: bounces::of_subscriber(tx, id, BOUNCES_TOLD)?,
        found,
        person,
        profile,
    }))
}

/// A post that somebody will get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Owed {
    /// By which topic.
    pub topic: String,
    /// `immediate` or the digest.
    pub schedule: String,
    /// The variant for their language.
    pub post_id: String,
    /// Its title.
    pub title: String,
}

/// What was released for somebody's subscriptions beyond where they were searched, and isn't planned for them yet.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn owed(tx: &mut Tx<'_>, id: i64) -> Result<Vec<Owed>, StoreError> {
    const SQL: &str = concat!(
        "SELECT s.topic, s.schedule, rt.post_id, rt.story_id
         FROM subscribers u CROSS JOIN subscriptions s CROSS JOIN slots o CROSS JOIN release_topics rt
         WHERE u.id = $1 AND s.subscriber_id = u.id AND o.slot = s.slot AND rt.topic = s.topic
           AND rt.language = u.language AND rt.seq > ",
        subscribers::mark_sql!(),
        " ORDER BY rt.seq, s.topic LIMIT $2"
    );
    let mut owed = Vec::new();
    for row in tx.query(SQL, params![id, OWED_TOLD])? {
        let story = row.text(3)?;
        if !owed::given(tx, 0, &[id], &[&story])?.is_empty() {
            continue;
        }
        let Some((_, post)) = posts::find(tx, &row.text(2)?)? else { continue };
        let title = post.title.as_str().to_owned();
        owed.push(Owed { topic: row.text(0)?, schedule: row.text(1)?, post_id: row.text(2)?, title });
    }
    Ok(owed)
}

/// A post as one may name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Called {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// When it was published.
    pub published_at: UnixMillis,
}

/// The posts that somebody may mean: by our id, by the id of any source, or by the beginning of the title of one of the newest.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn posts_called(tx: &mut Tx<'_>, given: &str) -> Result<Vec<Called>, StoreError> {
    const SOURCE: &str = "SELECT source FROM posts WHERE source > $1 ORDER BY source LIMIT 1";
    const OF_SOURCE: &str = "SELECT id FROM posts WHERE source = $1 AND source_id = $2";
    let mut ids = vec![given.to_owned()];
    let mut source = String::new();
    // From one source to the next by the index, however many posts each has.
    while let Some(row) = tx.query_opt(SOURCE, params![&source])? {
        source = row.text(0)?;
        ids.extend(tx.query_opt(OF_SOURCE, params![&source, given])?.map(|row| row.text(0)).transpose()?);
    }
    let mut found = Vec::new();
    for id in ids {
        found.extend(posts::find(tx, &id)?);
    }
    if found.is_empty() {
        let wanted = given.to_lowercase();
        found = posts::list(tx, &posts::Filter::default(), TITLES_LOOKED_AT)?;
        found.retain(|(_, post)| post.title.as_str().to_lowercase().starts_with(&wanted));
        found.truncate(CALLED_MAX);
    }
    let called = found.into_iter().map(|(standing, post)| Called {
        id: standing.post_id,
        title: post.title.as_str().to_owned(),
        published_at: post.published_at,
    });
    Ok(called.collect())
}

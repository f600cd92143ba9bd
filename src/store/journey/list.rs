//! Posts in a list, by where they stand. A look is bounded: it says where it ended.

use crate::domain::clock::UnixMillis;
use crate::domain::ids;
use crate::domain::post::Post;
use crate::store::posts;
use crate::store::value::{json, params};
use crate::store::{Row, StoreError, Tx};
use serde::Serialize;

/// Posts that are looked at for one page: more than a page of any state of a usual month.
const SCANNED_MAX: i64 = 2_000;

/// Where posts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Not public yet.
    Waiting,
    /// Public, and owed to nobody yet.
    Public,
    /// Released to readers.
    Released,
    /// Taken back.
    Withdrawn,
}

impl Kind {
    /// Reads a word of a query.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "waiting" => Some(Self::Waiting),
            "public" => Some(Self::Public),
            "released" => Some(Self::Released),
            "withdrawn" => Some(Self::Withdrawn),
            _ => None,
        }
    }
}

/// Which posts are looked for.
#[derive(Clone, Debug, Default)]
pub struct Find {
    /// Only of this source.
    pub source: Option<String>,
    /// Only under this topic.
    pub topic: Option<String>,
    /// Only in this language.
    pub language: Option<String>,
    /// Only those that stand so.
    pub kind: Option<Kind>,
    /// Only older ones than this: publication and id.
    pub before: Option<(UnixMillis, String)>,
}

/// A post in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its id.
    pub post_id: String,
    /// Where it came from.
    pub source: String,
    /// Its title.
    pub title: String,
    /// Its language.
    pub language: String,
    /// Where it stands: waiting, public, released, withdrawn, expired, backfill.
    pub state: String,
    /// Its newest revision.
    pub revision: i64,
    /// When it was published.
    pub published_at: UnixMillis,
    /// From when it may be shown.
    pub public_due_at: UnixMillis,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// The posts, newest publication first.
    pub lines: Vec<Line>,
    /// Where to go on, if there may be more: publication and id.
    pub rest: Option<(UnixMillis, String)>,
}

/// Statements that return lines share their select list.
macro_rules! line_sql {
    ($rest:expr) => {
        concat!(
            "SELECT p.id, p.source, p.language, p.revision, p.published_at, p.public_due_at,
             CASE WHEN p.withdrawn_at IS NOT NULL THEN 'withdrawn' WHEN p.expired_at IS NOT NULL THEN 'expired'
                  WHEN p.public_at IS NULL THEN 'waiting'
                  WHEN EXISTS (SELECT 1 FROM releases x WHERE x.story_id = p.story_id AND x.post_id = p.id) THEN 'released'
                  WHEN p.backfill_at IS NOT NULL THEN 'backfill' ELSE 'public' END AS state",
            $rest
        )
    };
}

/// Posts, newest publication first. At most [`SCANNED_MAX`] are looked at; where these didn't fill the page, it goes on from there.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn find(tx: &mut Tx<'_>, wanted: &Find, limit: i64) -> Result<Found, StoreError> {
    const SQL: &str = concat!(
        "SELECT * FROM (",
        line_sql!(
            " FROM (SELECT * FROM posts q WHERE q.published_at < $1 OR (q.published_at = $1 AND q.id < $2)
                 ORDER BY q.published_at DESC, q.id DESC LIMIT $3) p
             WHERE (CAST($4 AS TEXT) IS NULL OR p.source = $4)
               AND (CAST($5 AS TEXT) IS NULL OR $5 IN {list p.topics: text})
               AND (CAST($6 AS TEXT) IS NULL OR p.language = $6 OR p.language LIKE $6 || '-%')"
        ),
        ") l WHERE (CAST($7 AS TEXT) IS NULL OR l.state = $7 OR ($7 = 'public' AND l.state = 'backfill')
                 OR ($7 = 'withdrawn' AND l.state = 'expired'))
         ORDER BY l.published_at DESC, l.id DESC LIMIT $8"
    );
    const LAST: &str = "SELECT q.published_at, q.id FROM posts q
         WHERE q.published_at < $1 OR (q.published_at = $1 AND q.id < $2)
         ORDER BY q.published_at DESC, q.id DESC LIMIT 1 OFFSET $3";
    let (at, id) = wanted.before.as_ref().map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
    let kind = wanted.kind.map(|kind| match kind {
        Kind::Waiting => "waiting",
        Kind::Public => "public",
        Kind::Released => "released",
        Kind::Withdrawn => "withdrawn",
    });
    let (source, topic, language) = (wanted.source.as_deref(), wanted.topic.as_deref(), wanted.language.as_deref());
    let values = params![at, id, SCANNED_MAX, source, topic, language, kind, limit + 1];
    let mut lines = tx.query(SQL, values)?.iter().map(line).collect::<Result<Vec<_>, StoreError>>()?;
    let rest = if lines.len() as i64 > limit {
        lines.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        lines.last().map(|line| (line.published_at, line.post_id.clone()))
    } else {
        let last = tx.query_opt(LAST, params![at, id, SCANNED_MAX - 1])?;
        last.map(|row| Ok::<_, StoreError>((row.at(0)?, row.text(1)?))).transpose()?
    };
    Ok(Found { lines: titled(tx, lines)?, rest })
}

impl Found {
    /// What somebody means who writes an id, ours or that of a source, or words of a title: of public posts the newest that hold them.
    ///
    /// # Errors
    /// [`StoreError`] from the database.
    pub fn by_words(tx: &mut Tx<'_>, text: &str, sources: &[String], limit: usize) -> Result<Self, StoreError> {
        let derived = sources.iter().map(|source| ids::post_id(source, text));
        let exact: Vec<String> = std::iter::once(text.to_owned()).chain(derived).collect();
        let lines = by_ids(tx, &exact)?;
        if !lines.is_empty() {
            return Ok(Self { lines, rest: None });
        }
        let words: Vec<String> =
            text.split_whitespace().take(posts::search::WORDS_MAX).map(str::to_lowercase).collect();
        let is_meant = |post: &Post| {
            let title = post.title.as_str().to_lowercase();
            words.iter().all(|word| title.contains(word.as_str()))
        };
        let found = posts::search::candidates(tx, &words, None)?.posts;
        let ids = found.into_iter().filter(|(_, post)| is_meant(post)).map(|(standing, _)| standing.post_id);
        Ok(Self { lines: by_ids(tx, &ids.take(limit).collect::<Vec<_>>())?, rest: None })
    }
}

fn by_ids(tx: &mut Tx<'_>, ids: &[String]) -> Result<Vec<Line>, StoreError> {
    const SQL: &str = line_sql!(" FROM posts p WHERE p.id IN {list $1: text} ORDER BY p.published_at DESC, p.id DESC");
    let lines = tx.query(SQL, &[json(ids)?])?.iter().map(line).collect::<Result<Vec<_>, StoreError>>()?;
    titled(tx, lines)
}

fn line(row: &Row) -> Result<Line, StoreError> {
    Ok(Line {
        post_id: row.text(0)?,
        source: row.text(1)?,
        language: row.text(2)?,
        revision: row.int(3)?,
        published_at: row.at(4)?,
        public_due_at: row.at(5)?,
        state: row.text(6)?,
        title: String::new(),
    })
}

/// Adds the titles, for which the contents are read.
fn titled(tx: &mut Tx<'_>, mut lines: Vec<Line>) -> Result<Vec<Line>, StoreError> {
    let wanted: Vec<(String, i64)> = lines.iter().map(|line| (line.post_id.clone(), line.revision)).collect();
    for (line, (_, post)) in lines.iter_mut().zip(posts::at_revisions(tx, &wanted)?) {
        line.title = post.title.to_string();
    }
    Ok(lines)
}

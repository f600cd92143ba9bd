//! Posts by their words and by the days of their events, and all of them for search engines. Each look is bounded, and says where it ended.

use super::super::value::params;
use super::super::{StoreError, Tx};
use super::with_content;
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};

/// Posts whose words are looked at in one go, newest first: some 15 MB of text. Whoever wants older ones goes on from there.
pub const SCANNED_MAX: i64 = 5_000;
/// Posts that hold the words somewhere, handed over in one go; whoever asks looks whether readers see them.
pub const CANDIDATES_MAX: i64 = 200;
/// Words that are looked for; further ones are left to whoever asks.
pub const WORDS_MAX: usize = 4;
/// Posts with events of a month, at most.
pub const EVENTS_MAX: i64 = 1_000;

/// Public posts that may hold some words.
pub struct Candidates {
    /// The posts, newest publication first.
    pub posts: Vec<(Standing, Post)>,
    /// Where to go on, if older posts weren't looked at: publication and id.
    pub rest: Option<(UnixMillis, String)>,
}

/// Public posts, older than `before`, whose stored content holds each of `words` (in lower case) as a part. It is JSON, with
/// markup: some of what is found shows none of them, and a word that markup parts isn't found. SQLite folds the case of ASCII
/// letters only.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn candidates(
    tx: &mut Tx<'_>,
    words: &[String],
    before: Option<&(UnixMillis, String)>,
) -> Result<Candidates, StoreError> {
    const SQL: &str = standing_sql!(
        ", r.content FROM (SELECT * FROM posts q
             WHERE q.public_at IS NOT NULL AND q.withdrawn_at IS NULL AND q.expired_at IS NULL
               AND (q.published_at < $1 OR (q.published_at = $1 AND q.id < $2))
             ORDER BY q.published_at DESC, q.id DESC LIMIT $3) p
         JOIN revisions r ON r.post_id = p.id AND r.revision = p.revision
         WHERE LOWER(r.content) LIKE $4 ESCAPE '!' AND LOWER(r.content) LIKE $5 ESCAPE '!'
           AND LOWER(r.content) LIKE $6 ESCAPE '!' AND LOWER(r.content) LIKE $7 ESCAPE '!'
         ORDER BY p.published_at DESC, p.id DESC LIMIT $8"
    );
    const LAST: &str = "SELECT q.published_at, q.id FROM posts q
         WHERE q.public_at IS NOT NULL AND q.withdrawn_at IS NULL AND q.expired_at IS NULL
           AND (q.published_at < $1 OR (q.published_at = $1 AND q.id < $2))
         ORDER BY q.published_at DESC, q.id DESC LIMIT 1 OFFSET $3";
    let (at, id) = before.map_or((i64::MAX, ""), |(at, id)| (at.0, id.as_str()));
    let [a, b, c, d]: [String; WORDS_MAX] = std::array::from_fn(|index| pattern(words.get(index).map_or("", |w| w)));
    let rows = tx.query(SQL, params![at, id, SCANNED_MAX, &a, &b, &c, &d, CANDIDATES_MAX])?;
    let posts: Vec<(Standing, Post)> = rows.iter().map(with_content).collect::<Result<_, _>>()?;
    let rest = if posts.len() as i64 == CANDIDATES_MAX {
        posts.last().map(|(standing, post)| (post.published_at, standing.post_id.clone()))
    } else {
        let last = tx.query_opt(LAST, params![at, id, SCANNED_MAX - 1])?;
        last.map(|row| Ok::<_, StoreError>((row.at(0)?, row.text(1)?))).transpose()?
    };
    Ok(Candidates { posts, rest })
}

/// What `LIKE` finds a word by, as it stands in JSON.
fn pattern(word: &str) -> String {
    let json = serde_json::to_string(word).unwrap_or_default();
    let mut out = String::from("%");
    for c in json.get(1..json.len().saturating_sub(1)).unwrap_or_default().chars() {
        if matches!(c, '%' | '_' | '!') {
            out.push('!');
        }
        out.push(c);
    }
    out.push('%');
    out
}

/// Public posts with an event that were published between two instants, newest publication first.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn with_events(tx: &mut Tx<'_>, since: UnixMillis, until: UnixMillis) -> Result<Vec<(Standing, Post)>, StoreError> {
    const SQL: &str = concat!(
        standing_sql!(", r.content FROM revisions r CROSS JOIN posts p WHERE "),
        has_event_sql!(),
        " AND p.id = r.post_id AND p.revision = r.revision
           AND p.public_at IS NOT NULL AND p.withdrawn_at IS NULL AND p.expired_at IS NULL
           AND p.published_at >= $1 AND p.published_at < $2
         ORDER BY p.published_at DESC, p.id DESC LIMIT $3"
    );
    let rows = tx.query(SQL, params![since, until, EVENTS_MAX])?;
    let mut posts: Vec<(Standing, Post)> = rows.iter().map(with_content).collect::<Result<_, _>>()?;
    posts.retain(|(_, post)| post.event.is_some());
    Ok(posts)
}

/// Public posts by id, oldest publication first, with when they changed last.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn ids(tx: &mut Tx<'_>, offset: i64, limit: i64) -> Result<Vec<(String, UnixMillis)>, StoreError> {
    const SQL: &str = "SELECT id, COALESCE(revised_at, public_at) FROM posts
         WHERE public_at IS NOT NULL AND withdrawn_at IS NULL AND expired_at IS NULL
         ORDER BY published_at, id LIMIT $2 OFFSET $1";
    tx.query(SQL, params![offset, limit])?.iter().map(|row| Ok((row.text(0)?, row.at(1)?))).collect()
}

//! Copies of what posts show: fetched by the guard when a post becomes public, kept in a folder by the hash of what they are, so that
//! pages go on when the links in old posts die. Nothing waits for it.

mod picture;
pub mod upload;

use crate::domain::backoff;
use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::ids;
use crate::guard::{Call, Failure, Guard};
use crate::store::changes::ChangeKind;
use crate::store::media::{self, Copy, MediaKind, Small, Wanted};
use crate::store::{Store, StoreError, Tx, posts};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// It is looked for new posts this often.
const POLL: Duration = Duration::from_secs(2);
/// Changes looked through in one transaction at most.
const CHANGES_MAX: i64 = 100;
/// Fetched at once: each may be as large as is allowed.
const AT_ONCE_MAX: usize = 4;
/// What was taken is taken again after this, if nobody says what came of it.
const TAKEN_FOR: Duration = Duration::from_secs(300);
/// How often something that can't be had is tried: over some two hours.
const TRIES_MAX: i64 = 5;
/// Redirections that are followed, each of them judged as the first address.
const REDIRECTIONS_MAX: usize = 3;
/// Copies forgotten in one transaction at most.
const FORGOTTEN_MAX: i64 = 1_000;
/// A type of the far side's is believed up to so many octets.
const TYPE_LEN_MAX: usize = 100;

/// What copies are made by.
pub struct Mirror {
    /// The store.
    pub store: Store,
    /// The way out.
    pub guard: Guard,
    /// For jitter.
    pub chance: Arc<dyn Chance>,
    /// Where they are kept.
    pub folder: PathBuf,
    /// Octets of one at most.
    pub bytes_max: u64,
    /// Octets of all together at most.
    pub total_max: u64,
    /// Held by the one who unpacks a picture.
    pub unpacking: tokio::sync::Mutex<()>,
}

/// Tells the files apart that this process writes.
static PARTS: AtomicU64 = AtomicU64::new(0);

/// Where a copy lies.
#[must_use]
pub fn path(folder: &Path, hash: &str) -> PathBuf {
    folder.join(&hash[..2]).join(hash)
}

/// Whether a text can be the hash of a copy.
#[must_use]
pub fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Makes copies until `stop` turns true.
pub async fn run(mirror: Arc<Mirror>, mut stop: watch::Receiver<bool>) {
    let mut fetching = JoinSet::new();
    while !*stop.borrow() {
        let rest = match round(&mirror, &mut fetching).await {
            Ok(()) => POLL,
            Err(error) => {
                tracing::warn!(%error, "pictures and files could not be looked through");
                backoff::SERVICE.wait(1, mirror.chance.draw_32())
            }
        };
        tokio::select! {
            Some(_) = fetching.join_next() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    fetching.shutdown().await;
}

async fn round(mirror: &Arc<Mirror>, fetching: &mut JoinSet<()>) -> Result<(), StoreError> {
    let now = mirror.store.now().await?;
    while mirror.store.read(|tx| Ok(!media::unseen(tx, 1)?.is_empty())).await? {
        let needless = mirror.store.write(move |tx| look_through(tx, now)).await?;
        let folder = mirror.folder.clone();
        // One that stays is found by nobody; the ledger has forgotten it.
        let remove = move || needless.iter().for_each(|hash| _ = std::fs::remove_file(path(&folder, hash)));
        let _ = tokio::task::spawn_blocking(remove).await;
    }
    while fetching.len() < AT_ONCE_MAX && mirror.store.read(media::next_due).await?.is_some_and(|due| due <= now) {
        let Some(wanted) = mirror.store.write(move |tx| media::take(tx, now, now.plus(TAKEN_FOR))).await? else {
            break;
        };
        let mirror = mirror.clone();
        fetching.spawn(async move {
            if let Err(error) = fetch(&mirror, wanted).await {
                tracing::warn!(%error, "what came of a picture or file could not be recorded; it is fetched again");
            }
        });
    }
    Ok(())
}

/// Returns the hashes of copies that nobody needs any more.
fn look_through(tx: &mut Tx<'_>, now: UnixMillis) -> Result<Vec<String>, StoreError> {
    let changes = media::unseen(tx, CHANGES_MAX)?;
    for (_, change) in &changes {
        // What was taken back is kept by nobody.
        if change.kind == ChangeKind::Withdrawn {
            media::want(tx, &change.post_id, &BTreeMap::new(), now)?;
        }
        if matches!(change.kind, ChangeKind::Public | ChangeKind::Revised)
            && let Some((standing, post)) =
                posts::find(tx, &change.post_id)?.filter(|(standing, _)| standing.is_public())
        {
            media::want(tx, &standing.post_id, &media::shown_by(&post), now)?;
        }
    }
    changes.last().map_or(Ok(()), |(seq, _)| media::set_seen(tx, *seq))?;
    media::forget_unused(tx, FORGOTTEN_MAX)
}

/// Why there is no copy, and whether it is worth another try.
struct Missing {
    why: String,
    is_for_good: bool,
}

async fn fetch(mirror: &Arc<Mirror>, wanted: Wanted) -> Result<(), StoreError> {
    let is_full = u64::try_from(mirror.store.read(media::total).await?).unwrap_or(0) >= mirror.total_max;
    let outcome = match wanted.failures {
        // Taken, and never heard of again: whoever fetches it ends by it.
        TRIES_MAX.. => Err(Missing { why: "it was tried often and nothing came of it".to_owned(), is_for_good: true }),
        _ if is_full => Err(Missing { why: "the copies take as much room as they may".to_owned(), is_for_good: true }),
        _ => get(mirror, &wanted).await,
    };
    let (now, url) = (mirror.store.now().await?, wanted.url);
    match outcome {
        Ok(copy) => mirror.store.write(move |tx| media::keep(tx, &url, &copy, now)).await,
        Err(Missing { why, is_for_good }) => {
            let failures = u32::try_from(wanted.failures + 1).unwrap_or(u32::MAX);
            let again = !is_for_good && i64::from(failures) < TRIES_MAX;
            let due_at = again.then(|| now.plus(backoff::RELAY.wait(failures, mirror.chance.draw_32())));
            tracing::info!(
                why,
                again,
                "a picture or file of a post could not be copied; the page links to where it is"
            );
            mirror.store.write(move |tx| media::fail(tx, &url, &why, due_at)).await
        }
    }
}

async fn get(mirror: &Arc<Mirror>, wanted: &Wanted) -> Result<Copy, Missing> {
    let for_good = |why: &str| Missing { why: why.to_owned(), is_for_good: true };
    let answer_max = usize::try_from(mirror.bytes_max).unwrap_or(usize::MAX);
    let mut url = wanted.url.clone();
    let mut left = REDIRECTIONS_MAX;
    let answer = loop {
        let (headers, body) = (Vec::new(), Vec::new());
        let call = Call { method: reqwest::Method::GET, url: &url, headers, body, answer_max };
        let answer = mirror.guard.call(call).await.map_err(|failure| Missing {
            is_for_good: matches!(failure, Failure::Refused(_)),
            why: failure.to_string(),
        })?;
        let next = answer.header(&LOCATION).filter(|_| matches!(answer.status, 301 | 302 | 303 | 307 | 308));
        match next.and_then(|next| url::Url::parse(&url).ok()?.join(next).ok()) {
            Some(_) if left == 0 => return Err(for_good("it leads elsewhere again and again")),
            Some(next) => {
                left -= 1;
                url = next.into();
            }
            None => break answer,
        }
    };
    match answer.status {
        200 if answer.is_cut => return Err(for_good("it is larger than media.file_mib_max")),
        200 if answer.is_broken => return Err(Missing { why: "it broke off".to_owned(), is_for_good: false }),
        200 if answer.body.is_empty() => return Err(for_good("it is empty")),
        200 => {}
        // A file that isn't there may come: announcements are quicker than uploads.
        status => return Err(Missing { why: format!("it was answered {status}"), is_for_good: false }),
    }
    let (kind, told, folder) = (wanted.kind, answer.header(&CONTENT_TYPE).map(str::to_owned), mirror.folder.clone());
    // A picture that makes the decoder stumble costs this task alone; unpacked, one takes a great deal of room.
    let _unpacking = mirror.unpacking.lock().await;
    let work = tokio::task::spawn_blocking(move || keep(&folder, kind, &answer.body, told.as_deref()));
    work.await.map_err(|_| for_good("it can't be read as a picture"))?
}

/// Writes the copy, and a smaller one of a large picture.
fn keep(folder: &Path, kind: MediaKind, bytes: &[u8], told: Option<&str>) -> Result<Copy, Missing> {
    let failed = |error: std::io::Error| Missing { why: error.to_string(), is_for_good: false };
    let hash = ids::content_hash(bytes);
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let copy = match kind {
        MediaKind::File => {
            let told = told.filter(|told| told.len() <= TYPE_LEN_MAX && told.is_ascii());
            let media_type = told.map_or("", |told| told.split(';').next().unwrap_or_default()).trim().to_lowercase();
            let media_type = if media_type.is_empty() { "application/octet-stream".to_owned() } else { media_type };
            Copy { hash, media_type, bytes: length, size: None, small: None }
        }
        MediaKind::Picture => {
            let read = picture::read(bytes).map_err(|why| Missing { why, is_for_good: true })?;
            let small = read.small.map(|small| {
                let hash = ids::content_hash(&small.bytes);
                let size = (i64::from(small.width), i64::from(small.height));
                let (media_type, bytes) = (small.media_type.to_owned(), small.bytes.len() as i64);
                write(folder, &hash, &small.bytes).map(|()| Small { hash, media_type, bytes, size })
            });
            let size = Some((i64::from(read.width), i64::from(read.height)));
            let media_type = read.media_type.to_owned();
            Copy { hash, media_type, bytes: length, size, small: small.transpose().map_err(failed)? }
        }
    };
    write(folder, &copy.hash, bytes).map_err(failed)?;
    Ok(copy)
}

/// Writes a file under its hash: whole or not at all, and on the disk before the ledger speaks of it.
fn write(folder: &Path, hash: &str, bytes: &[u8]) -> std::io::Result<()> {
    let file = path(folder, hash);
    if file.exists() {
        return Ok(());
    }
    let parent = file.parent().unwrap_or(folder);
    std::fs::create_dir_all(parent)?;
    // Another process may be writing the same.
    let part = parent.join(format!("{hash}.{}-{}", std::process::id(), PARTS.fetch_add(1, Ordering::Relaxed)));
    let mut new = std::fs::File::create_new(&part)?;
    let written = new.write_all(bytes).and_then(|()| new.sync_all()).and_then(|()| std::fs::rename(&part, &file));
    if let Err(error) = written {
        let _ = std::fs::remove_file(&part);
        return Err(error);
    }
    std::fs::File::open(parent)?.sync_all()
}

//! Makes a feed from what was found.

use super::find::{Found, Pages, find};
use super::made::Made;
use crate::domain::clock::UnixMillis;
use crate::intake::unshowable::Unshowable;
use crate::render::calendar::feed::{self as calendar, About};
use crate::render::feed::{Format, History, House, Kind, Which};
use crate::web::{Front, unshown};
use std::sync::Arc;

/// `None` when there is no such feed.
pub(super) async fn make(front: Arc<Front>, which: Which) -> anyhow::Result<Option<Made>> {
    let Some(found) = find(&front, &which).await? else { return Ok(None) };
    let (head, changed_at, kind) = (found.head, found.changed_at, which.kind);
    // Sanitising fifty posts and compressing them takes a while; the threads that answer others go on.
    let writer = front.clone();
    let work = move || {
        let written = write(&writer, &which, &found)?;
        let left_out = written.left_out.clone();
        Ok::<_, anyhow::Error>((Made::new(kind, written, head, changed_at), left_out))
    };
    let (made, left_out) = tokio::task::spawn_blocking(work).await??;
    unshown::set_aside(&front, left_out).await;
    Ok(Some(made))
}

/// A document.
pub(super) struct Written {
    pub bytes: Vec<u8>,
    /// The posts in it, each with the date of its last revision.
    pub entries: Vec<(String, UnixMillis)>,
    /// The posts that would have spoilt it.
    pub left_out: Vec<Unshowable>,
    /// The header field that leads to the hubs, where there is one.
    pub link: Option<String>,
}

/// Writes the document.
pub(super) fn write(front: &Front, which: &Which, found: &Found) -> anyhow::Result<Written> {
    let house = &front.house;
    let self_url = which.url(house, which.page);
    let (bytes, entries, left_out, link) = match which.kind {
        Kind::Calendar => {
            let about = About {
                title: &house.title(which),
                self_url: &self_url,
                page_url: &house.page_url(which),
                authority: front.tag_authority.split(',').next().unwrap_or_default(),
                zone: &front.zone,
            };
            let page_of = |post_id: &str| Some(format!("{}/posts/{post_id}", house.origin));
            let made = calendar::feed(&about, &found.posts, &found.cancelled, page_of)?;
            (made.text.into_bytes(), Vec::new(), made.left_out, None)
        }
        Kind::Entries(format) => {
            let history = history(house, which, format, found.pages);
            let made = house.write(which, format, &found.posts, &found.gone, &history, &front.templates)?;
            let link = (!house.hubs_of(which).is_empty()).then(|| house.link_header(&self_url));
            (made.bytes, made.entries, made.left_out, link)
        }
    };
    let place = format!("feeds/{}.{}", which.public_name(house), which.kind.ending());
    let unshowable = |(post_id, why): (String, String)| {
        let showable = found.posts.iter().find(|post| post.standing().post_id == post_id)?.clone();
        Some(Unshowable { showable, place: place.clone(), why })
    };
    Ok(Written { bytes, entries, left_out: left_out.into_iter().filter_map(unshowable).collect(), link })
}

/// Where the other documents are. Pages lead from the newest to the first; archives are those that are full. JSON Feed knows
/// pages alone.
fn history(house: &House, which: &Which, format: Format, pages: Pages) -> History {
    let at = |page: Option<u32>| page.filter(|page| *page > 0).map(|page| which.url(house, Some(page)));
    let Some(page) = which.page else {
        return History { next: at(Some(pages.all)), prev_archive: at(Some(pages.full)), ..History::default() };
    };
    let is_archive = page <= pages.full;
    let before = at(Some(page - 1));
    History {
        is_archive: is_archive && format != Format::Json,
        current: Some(which.url(house, None)),
        next: before.clone(),
        previous: at(Some(page + 1).filter(|page| *page <= pages.all)),
        prev_archive: before,
        next_archive: at(Some(page + 1).filter(|page| *page <= pages.full)),
    }
}

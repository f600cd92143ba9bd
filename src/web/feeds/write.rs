//! Makes a feed from what was found.

use super::find::{Found, Pages, find};
use super::made::Made;
use super::which::{Subject, Which};
use crate::domain::clock::UnixMillis;
use crate::intake::unshowable::Unshowable;
use crate::render::calendar::feed::{self as calendar, About};
use crate::render::feed::{Format, History, Kind, Meta, feed};
use crate::web::Front;
use std::sync::Arc;

/// `None` when there is no such feed.
pub(super) async fn make(front: Arc<Front>, which: Which) -> anyhow::Result<Option<Made>> {
    let Some(found) = find(&front, &which).await? else { return Ok(None) };
    let (head, changed_at, kind) = (found.head, found.changed_at, which.kind);
    // Sanitising fifty posts and compressing them takes a while; the threads that answer others go on.
    let writer = front.clone();
    let work = move || {
        let written = write(&writer, &which, &found)?;
        Ok::<_, anyhow::Error>((Made::new(kind, written.bytes, head, changed_at, written.entries), written.left_out))
    };
    let (made, left_out) = tokio::task::spawn_blocking(work).await??;
    front.unshown.set_aside(&front, left_out).await;
    Ok(Some(made))
}

/// Posts with the dates of their last revisions.
pub(super) type Entries = Vec<(String, UnixMillis)>;

/// A document, the posts in it, and those that would have spoilt it.
pub(super) struct Written {
    pub bytes: Vec<u8>,
    pub entries: Entries,
    pub left_out: Vec<Unshowable>,
}

pub(super) fn write(front: &Front, which: &Which, found: &Found) -> anyhow::Result<Written> {
    let language = which.language(front);
    let title_language = language.or(front.languages.first()).unwrap_or(&front.language_default);
    let site_name = front.site.name.get(title_language);
    let titled = |topic: String| format!("{} · {site_name}", front.topic_title(&topic, title_language));
    let title = which.topic(front).map_or_else(|| site_name.to_owned(), titled);
    let name = which.name(front);
    let page = match &which.subject {
        Subject::Topic(_) => format!("/topics/{name}"),
        Subject::All | Subject::Tag(_) => "/".to_owned(),
    };
    let page_url = format!("{}{page}{}", front.origin, which.query(front));
    let self_url = which.url(front, which.page);
    let (bytes, entries, left_out) = match which.kind {
        Kind::Calendar => {
            let about = About {
                title: &title,
                self_url: &self_url,
                page_url: &page_url,
                authority: front.tag_authority.split(',').next().unwrap_or_default(),
                zone: &front.zone,
            };
            let page_of = |post_id: &str| Some(format!("{}/posts/{post_id}", front.origin));
            let made = calendar::feed(&about, &found.posts, &found.cancelled, page_of)?;
            (made.text.into_bytes(), Vec::new(), made.left_out)
        }
        Kind::Entries(format) => {
            let meta = Meta {
                title: &title,
                name: &language.map_or_else(|| name.clone(), |language| format!("{name}/{language}")),
                language: title_language,
                self_url: &self_url,
                page_url: &page_url,
                site: &front.site,
                zone: &front.zone,
                tag_authority: &front.tag_authority,
                history: &history(front, which, format, found.pages),
                topic_title: &|topic, language| front.topic_title(topic, language),
            };
            let made = feed(format, &meta, &found.posts, &found.gone, &front.templates)?;
            (made.bytes, made.entries, made.left_out)
        }
    };
    let place = format!("feeds/{name}.{}", which.kind.ending());
    let unshowable = |(post_id, why): (String, String)| {
        let showable = found.posts.iter().find(|post| post.standing().post_id == post_id)?.clone();
        Some(Unshowable { showable, place: place.clone(), why })
    };
    Ok(Written { bytes, entries, left_out: left_out.into_iter().filter_map(unshowable).collect() })
}

/// Where the other documents are. Pages lead from the newest to the first; archives are those that are full. JSON Feed knows
/// pages alone.
fn history(front: &Front, which: &Which, format: Format, pages: Pages) -> History {
    let at = |page: Option<u32>| page.filter(|page| *page > 0).map(|page| which.url(front, Some(page)));
    let Some(page) = which.page else {
        return History { next: at(Some(pages.all)), prev_archive: at(Some(pages.full)), ..History::default() };
    };
    let is_archive = page <= pages.full;
    let before = at(Some(page - 1));
    History {
        is_archive: is_archive && format != Format::Json,
        current: Some(which.url(front, None)),
        next: before.clone(),
        previous: at(Some(page + 1).filter(|page| *page <= pages.all)),
        prev_archive: before,
        next_archive: at(Some(page + 1).filter(|page| *page <= pages.full)),
    }
}

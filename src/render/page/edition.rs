//! The web copy of an edition.

use super::{Look, RenderError};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::ItemForm;
use crate::domain::post::Showable;
use crate::render::entry::{EntryView, Length, Reader};
use crate::render::templates::Templates;
use crate::render::words::mail::{MailWords, mail_words};
use crate::render::words::words;
use serde::Serialize;

/// An edition as it is copied.
pub struct Issue {
    /// The digest's title.
    pub title: String,
    /// When it was planned.
    pub planned_at: UnixMillis,
    /// Its posts, in its order.
    pub posts: Vec<Copied>,
}

/// One post of an edition.
pub struct Copied {
    /// The heading it stands under.
    pub topic_title: String,
    /// What of it is shown.
    pub form: ItemForm,
    /// The post, or what is left of it.
    pub place: Place,
}

/// What stands in the place of a post.
pub enum Place {
    /// The post, at the revision that the edition pinned.
    Shown {
        /// The revision.
        showable: Box<Showable>,
        /// Whether there is a newer one, to which the title leads.
        is_revised: bool,
    },
    /// It was taken back.
    Withdrawn,
    /// Its time is over.
    Expired,
}

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    date: String,
    count: String,
    groups: Vec<Group<'a>>,
    mail: &'static MailWords,
}

#[derive(Serialize)]
struct Group<'a> {
    topic: &'a str,
    places: Vec<PlaceView>,
}

#[derive(Serialize)]
struct PlaceView {
    entry: Option<EntryView>,
    /// The page of the post shows a newer revision.
    is_revised: bool,
    /// Why there is no entry.
    gone: Option<&'static str>,
}

/// The page of an edition; a post that may not be shown any more is a sentence in its place.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there.
pub fn edition(look: &Look<'_>, templates: &Templates, issue: &Issue) -> Result<String, RenderError> {
    let (words, mail) = (words(look.language), mail_words(look.language));
    let reader = |is_revised: bool, form: ItemForm| Reader {
        language: look.language,
        words,
        zone: look.zone,
        site: look.site,
        length: if form == ItemForm::Post { Length::Whole } else { Length::Line },
        // The instant would be that of the newer revision.
        notes_revisions: !is_revised,
    };
    let mut groups: Vec<Group<'_>> = Vec::new();
    for copied in &issue.posts {
        let view = match &copied.place {
            Place::Shown { showable, is_revised } => {
                let entry = EntryView::for_page(showable, reader(*is_revised, copied.form));
                PlaceView { entry: Some(entry), is_revised: *is_revised, gone: None }
            }
            Place::Withdrawn => PlaceView { entry: None, is_revised: false, gone: Some(&mail.withdrawn) },
            Place::Expired => PlaceView { entry: None, is_revised: false, gone: Some(&mail.expired) },
        };
        match groups.iter_mut().find(|group| group.topic == copied.topic_title) {
            Some(group) => group.places.push(view),
            None => groups.push(Group { topic: &copied.topic_title, places: vec![view] }),
        }
    }
    let date = words.date(look.zone.to_datetime(issue.planned_at.timestamp()).date());
    let page = Page {
        title: &issue.title,
        date,
        count: words.count(issue.posts.iter().filter(|copied| copied.form == ItemForm::Post).count()),
        groups,
        mail,
    };
    look.page("page_edition.html", templates, &[], page)
}

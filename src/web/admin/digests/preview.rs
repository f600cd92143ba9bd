//! The next issue of a digest, as somebody would get it.

use super::{Answer, Desk, Lost, languages};
use crate::domain::audience::Address;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::plan::preview::{Issue, Preview, Reader};
use crate::render::pieces::{Personal, Pieces};
use crate::render::words::words;
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use serde::Serialize;

/// An issue is shown in a frame without scripts and forms; its style is in its lines, as mail has it.
const POLICY: &str =
    "default-src 'none'; img-src 'self' data: http: https:; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'";

#[derive(Serialize)]
struct Shown {
    name: String,
    title: String,
    languages: Vec<String>,
    language: String,
    address: String,
    subject: String,
    text: String,
    /// Posts in it: id, title.
    posts: Vec<(String, String)>,
    /// The path of its HTML part; empty when there is none.
    frame: String,
}

/// What was asked for: an issue that was rendered, or the word that says why there is none.
type Made = Result<(Box<Issue>, Pieces), &'static str>;

async fn made(desk: &Desk, name: &str) -> Result<Made, Lost> {
    let front = &desk.room.front;
    if !front.digests.contains_key(name) {
        return Err(Lost::NotFound);
    }
    let reader = match desk.query.some("address") {
        Some(address) => match Address::parse(address) {
            Ok(address) => Reader::Known(address),
            Err(_) => return Ok(Err("error_address")),
        },
        None => {
            let wanted = Language::parse(desk.query.get("language")).ok();
            let served = wanted.and_then(|wanted| wanted.best_of(&front.languages).cloned());
            let language = served.unwrap_or_else(|| front.languages[0].clone());
            Reader::Anybody(language, front.topics.iter().map(|(name, _)| name.clone()).collect())
        }
    };
    let issue = match front.planner.preview(name, reader, None).await? {
        Preview::Issue(issue) => issue,
        Preview::NobodyThere => return Ok(Err("error_nobody")),
        Preview::Left(_) => return Ok(Err("error_left")),
        Preview::NotSubscribed => return Ok(Err("error_not_subscribed")),
        Preview::NothingOwed => return Ok(Err("error_nothing")),
    };
    let posts = issue.posts.iter().cloned();
    let showables = posts.map(|(standing, post)| Showable::pinned_by_edition(standing, post)).collect();
    let pieces = (desk.room.letters)(&issue.edition, showables)?;
    Ok(Ok((issue, pieces)))
}

fn personal(greeting: Option<&str>) -> Personal<'_> {
    Personal { greeting, unsubscribe_url: None, manage_url: None }
}

pub(super) async fn show(desk: Desk, Path(name): Path<String>) -> Answer {
    let made = made(&desk, &name).await?;
    let title = desk.room.front.digests.get(&name).map(|(title, _)| title.get(&desk.language).to_owned());
    let (language, address) = (desk.query.get("language").to_owned(), desk.query.get("address").to_owned());
    let languages = languages(&desk.room);
    let title = title.unwrap_or_default();
    let mut shown = Shown {
        name,
        title,
        languages,
        language,
        address,
        subject: String::new(),
        text: String::new(),
        posts: Vec::new(),
        frame: String::new(),
    };
    let (issue, pieces) = match made {
        Ok(made) => made,
        Err("error_nothing") => return Ok(desk.page("digest_preview.html", shown)),
        Err(why) => return Ok(desk.faulty("digest_preview.html", shown, why)),
    };
    let greeting = issue.reader.name.as_ref().map(|name| words(&issue.reader.language).greeting(name.as_str()));
    shown.text = pieces.text_for(personal(greeting.as_deref()));
    shown.subject = pieces.subject;
    shown.posts =
        issue.posts.iter().map(|(standing, post)| (standing.post_id.clone(), post.title.to_string())).collect();
    let mut asked = url::form_urlencoded::Serializer::new(String::new());
    asked.append_pair("language", &shown.language).append_pair("address", &shown.address);
    shown.frame = format!("/admin/digests/{}/preview/html?{}", shown.name, asked.finish());
    Ok(desk.page("digest_preview.html", shown))
}

/// The HTML part alone, for the frame.
pub(super) async fn html(desk: Desk, Path(name): Path<String>) -> Answer {
    let Ok((issue, pieces)) = made(&desk, &name).await? else { return Err(Lost::NotFound) };
    let greeting = issue.reader.name.as_ref().map(|name| words(&issue.reader.language).greeting(name.as_str()));
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    Ok((headers, pieces.html_for(personal(greeting.as_deref()))).into_response())
}

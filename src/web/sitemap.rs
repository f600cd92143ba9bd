//! What search engines are told: which pages there are, and which they needn't look at.

use super::Front;
use super::ui::Asked;
use super::validators::fixed;
use crate::domain::language::Language;
use crate::render::page::Notice;
use crate::store::posts::{self, search};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::fmt::Write as _;
use std::sync::Arc;

/// Posts of one file; sitemaps.org allows 50,000, and fewer are made faster.
const FILE_POSTS_MAX: i64 = 10_000;
/// Files of the index (sitemaps.org).
const FILES_MAX: i64 = 50_000;
const NAMESPACE: &str = "http://www.sitemaps.org/schemas/sitemap/0.9";
/// Of links to a page in other languages.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// What holds tokens is nobody's to read, and what is made anew for each question has nothing that isn't elsewhere.
pub(super) async fn robots(State(front): State<Arc<Front>>) -> Response {
    let mut text = String::from("User-agent: *\n");
    for path in ["unsubscribe/", "manage/", "confirm/", "mails/", "api/", "share/", "search"] {
        // Writing into a string can't fail.
        let _ = writeln!(text, "Disallow: {}/{path}", front.base);
    }
    let _ = writeln!(text, "\nSitemap: {}/sitemap.xml", front.origin);
    let headers =
        fixed([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "max-age=86400")]);
    (headers, text).into_response()
}

/// The files that there are. The first one has the pages that aren't posts too.
pub(super) async fn index(State(front): State<Arc<Front>>, request: Request) -> Response {
    let public = match front.store.read(posts::count).await {
        Ok((_, public)) => public,
        Err(error) => return super::pages::unavailable(&front, &Asked::new(&front, &request), &error),
    };
    let mut xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<sitemapindex xmlns=\"{NAMESPACE}\">\n");
    for number in 1..=((public + FILE_POSTS_MAX - 1) / FILE_POSTS_MAX).clamp(1, FILES_MAX) {
        let _ = writeln!(xml, "<sitemap><loc>{}/sitemaps/{number}.xml</loc></sitemap>", front.origin);
    }
    xml.push_str("</sitemapindex>\n");
    answer(xml)
}

/// One file: posts by the order of their publication, so that a full file changes only when one of its posts does.
pub(super) async fn part(State(front): State<Arc<Front>>, Path(file): Path<String>, request: Request) -> Response {
    let number = file.strip_suffix(".xml").and_then(|number| number.parse::<i64>().ok());
    let Some(number) = number.filter(|number| (1..=FILES_MAX).contains(number)) else {
        return super::ui::not_found(&front, &request);
    };
    let read = move |tx: &mut crate::store::Tx<'_>| search::ids(tx, (number - 1) * FILE_POSTS_MAX, FILE_POSTS_MAX);
    let asked = Asked::new(&front, &request);
    let posts = match front.store.read(read).await {
        Ok(posts) if posts.is_empty() && number > 1 => {
            return asked.notice(&front, StatusCode::NOT_FOUND, Notice::NotFound);
        }
        Ok(posts) => posts,
        Err(error) => return super::pages::unavailable(&front, &asked, &error),
    };
    let mut xml =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"{NAMESPACE}\" xmlns:xhtml=\"{XHTML}\">\n");
    if number == 1 {
        add_pages(&front, &mut xml);
    }
    for (id, changed_at) in posts {
        let day = changed_at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
        let _ = writeln!(xml, "<url><loc>{}/posts/{id}</loc><lastmod>{day}</lastmod></url>", front.origin);
    }
    xml.push_str("</urlset>\n");
    answer(xml)
}

/// The pages that aren't posts, in each language and in whichever is asked for: by the addresses that they are known by, each with all
/// of them, as the pages say it too (`render/page/look.rs`). Posts name their variants on their own pages.
fn add_pages(front: &Front, xml: &mut String) {
    let topics = front.topics.iter().map(|(name, _)| format!("topics/{name}"));
    let issues = front.has_issues().then(|| "editions".to_owned());
    let others = ["", "events", "feeds", "subscribe"].map(str::to_owned);
    for path in others.into_iter().chain(issues).chain(topics) {
        let of = |language: &Language| (language.to_string(), format!("{}/{path}?lang={language}", front.origin));
        let any = ("x-default".to_owned(), format!("{}/{path}", front.origin));
        let all: Vec<(String, String)> = front.page_languages.iter().map(of).chain([any]).collect();
        for (_, location) in &all {
            let _ = write!(xml, "<url><loc>{location}</loc>");
            for (tag, href) in &all {
                let _ = write!(xml, "<xhtml:link rel=\"alternate\" hreflang=\"{tag}\" href=\"{href}\"/>");
            }
            xml.push_str("</url>\n");
        }
    }
}

fn answer(xml: String) -> Response {
    let headers = fixed([
        (header::CONTENT_TYPE, "application/xml; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    (headers, xml).into_response()
}

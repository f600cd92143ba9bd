//! `GET /feeds.opml`: the feeds of all topics for programs that take many at once (OPML 2.0, <http://opml.org/spec2.opml>).
//! One format of each, in all languages or with `?lang=` in one: whoever takes the whole list gets no post twice for it.

use super::validators::{etag, fixed, is_known, value};
use super::{Front, ui};
use crate::domain::feed::ALL;
use crate::domain::language::Language;
use crate::domain::text::CleanText;
use crate::render::feed::Format;
use crate::render::templates::escape;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use std::fmt::Write as _;
use std::sync::Arc;

pub(super) async fn serve(State(front): State<Arc<Front>>, request: Request) -> Response {
    let chosen = match ui::parameter(request.uri().query(), "lang") {
        None => None,
        Some(tag) => match front.languages.iter().find(|known| Language::parse(&tag).is_ok_and(|tag| tag == **known)) {
            Some(language) => Some(language),
            None => return super::pages::no_feed(&front, &request),
        },
    };
    let text = write(&front, chosen);
    let etag = etag(text.as_bytes(), "");
    let mut headers = fixed([
        (header::CONTENT_TYPE, "text/x-opml; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    headers.insert(header::ETAG, value(&etag));
    if is_known(request.headers(), &etag, None) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, text).into_response()
}

fn write(front: &Front, chosen: Option<&Language>) -> String {
    let language = chosen.or(front.languages.first()).unwrap_or(&front.language_default);
    let query = chosen.map_or_else(String::new, |language| format!("?lang={language}"));
    // What an operator wrote may hold what XML can't.
    let text = |text: &str| escape(CleanText::new(text).line().as_str());
    let name = text(front.site.name.get(language));
    let mut opml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<opml version=\"2.0\">\n<head><title>{name}</title></head>\n<body>\n\
         <outline text=\"{name}\">\n"
    );
    let all = std::iter::once((ALL, name.clone(), "/".to_owned()));
    let topics = front
        .topics
        .iter()
        .map(|(topic, title)| (topic.as_str(), text(title.get(language)), format!("/topics/{topic}")));
    for (topic, title, page) in all.chain(topics) {
        let feed = text(&format!("{}/feeds/{topic}.{}{query}", front.origin, Format::Atom.ending()));
        let page = text(&format!("{}{page}{query}", front.origin));
        let _ = writeln!(
            opml,
            "<outline type=\"rss\" version=\"ATOM1\" text=\"{title}\" title=\"{title}\" xmlUrl=\"{feed}\" htmlUrl=\"{page}\" language=\"{language}\"/>"
        );
    }
    opml.push_str("</outline>\n</body>\n</opml>\n");
    opml
}

//! The page of a post: what a board shows of it, and what is told of it where a link to it is shown.

use super::linked::{self, instant};
use super::{FeedLink, Look};
use crate::domain::language::Language;
use crate::domain::post::{Post, Showable};
use crate::render::RenderError;
use crate::render::body;
pub use crate::render::entry::Copied;
use crate::render::entry::{EntryView, Length, Reader, cut, web_url};
use crate::render::share::{ShareLink, Shared};
use crate::render::templates::Templates;
use crate::render::words::page::own_name;
use crate::render::words::{grouped, words};
use serde::Serialize;
use std::collections::BTreeMap;

/// A post and what stands around it.
pub struct PostPage<'a> {
    /// The post.
    pub showable: &'a Showable,
    /// The languages of its story with the paths of their pages, itself included, those first that the site prefers.
    pub variants: &'a [(Language, String)],
    /// Title and name of the topic that it is shown under, if it has one.
    pub topic: Option<&'a (String, String)>,
    /// Copies of its pictures and files, by where these are.
    pub copies: &'a BTreeMap<String, Copied>,
    /// How often it was looked at, where that is counted.
    pub views: Option<i64>,
    /// The links by which it is passed on.
    pub shares: &'a [ShareLink],
    /// Feeds of its topics.
    pub discover: &'a [FeedLink],
}

#[derive(Serialize)]
struct Page<'a> {
    entry: EntryView,
    updated: Option<String>,
    views: Option<String>,
    variants: Vec<Variant>,
    /// The page for those who read none of these languages.
    elsewhere: Option<String>,
    /// The headings above it on the source's site.
    steps: Vec<String>,
    topic: Option<Topic<'a>>,
    /// The address that it is known by, whatever language the page is in.
    canonical: &'a str,
    card: Card<'a>,
    shares: Vec<Share>,
    /// JSON-LD, escaped for a `<script>`.
    linked: String,
}

/// A link by which the post is passed on, or the address itself.
#[derive(Serialize)]
struct Share {
    title: String,
    icon: String,
    /// Where it leads; none where the address is to be copied.
    href: Option<String>,
}

#[derive(Serialize)]
struct Variant {
    tag: String,
    name: String,
    path: String,
    /// For machines: with its host.
    url: String,
    is_current: bool,
}

#[derive(Serialize)]
struct Topic<'a> {
    title: &'a str,
    href: String,
}

/// What networks show where a link to the page is posted (Open Graph, X cards).
#[derive(Serialize)]
struct Card<'a> {
    site: &'a str,
    description: Option<&'a str>,
    locale: Option<&'static str>,
    locales: Vec<&'static str>,
    image: Option<String>,
    image_alt: Option<String>,
    /// The picture is the post's own, and worth its room.
    is_large: bool,
    published: String,
    modified: Option<String>,
}

/// One post.
///
/// # Errors
/// [`RenderError`] when an operator's template asks for something that isn't there.
pub fn post(look: &Look<'_>, templates: &Templates, shown: &PostPage<'_>) -> Result<String, RenderError> {
    let (post, standing, words) = (shown.showable.post(), shown.showable.standing(), words(look.language));
    let reader = Reader {
        language: look.language,
        words,
        zone: look.zone,
        site: look.site,
        length: Length::Whole,
        notes_revisions: false,
    };
    let variant = |(language, path): &(Language, String)| Variant {
        tag: language.to_string(),
        name: own_name(language).to_owned(),
        path: path.clone(),
        url: format!("{}{path}", look.origin),
        is_current: *language == post.language,
    };
    let url = format!("{}/posts/{}", look.origin, standing.post_id);
    let description = description(post);
    let changed_at = post.updated_at.or(standing.revised_at).filter(|at| *at > post.published_at);
    let step = |step: &crate::domain::text::CleanText| String::from(step.line());
    let topic = |(title, name): &'_ (String, String)| (title.clone(), look.link(&format!("/topics/{name}")));
    let topic = shown.topic.map(topic);
    let title: String = post.title.line().into();
    let shared = Shared { url: &url, title: &title, text: description.as_deref().unwrap_or_default() };
    let share = |link: &ShareLink| Share {
        title: link.title(look.language).to_owned(),
        icon: link.icon().to_owned(),
        href: match link {
            link if link.is_field() => None,
            link if link.asks_server() => Some(look.link(&format!("/share/{}/{}", link.name, standing.post_id))),
            link => Some(link.href(shared, "")),
        },
    };
    let pictures = post.images.iter().filter_map(|image| picture_url(look, shown, &image.url));
    let pictures: Vec<String> = pictures.collect();
    let page = Page {
        entry: EntryView::for_page(shown.showable, reader).with_copies(shown.copies),
        updated: changed_at.map(|at| look.instant(at)),
        views: shown.views.map(grouped),
        variants: shown.variants.iter().map(variant).collect(),
        elsewhere: shown.variants.first().map(|first| variant(first).url),
        steps: post.breadcrumb.iter().map(step).filter(|step| !step.is_empty()).collect(),
        topic: topic.as_ref().map(|(title, href)| Topic { title, href: href.clone() }),
        canonical: &url,
        shares: shown.shares.iter().map(share).collect(),
        card: card(look, shown, description.as_deref()),
        linked: linked::linked(look, shown.showable, &url, description.as_deref(), &pictures),
    };
    look.page("page_post.html", templates, shown.discover, page)
}

/// The page that asks for the reader's server, of which there are many, and then has the link there. A link and no redirection: nobody
/// can make our address lead elsewhere unseen.
///
/// # Errors
/// As [`post`].
pub fn share(
    look: &Look<'_>,
    templates: &Templates,
    showable: &Showable,
    link: &ShareLink,
    asked: Option<&str>,
) -> Result<String, RenderError> {
    #[derive(Serialize)]
    struct Page<'a> {
        title: String,
        post_language: &'a str,
        post_href: String,
        service: &'a str,
        action: String,
        /// What was filled in.
        asked: &'a str,
        is_fault: bool,
        /// The server and where it leads.
        go: Option<(String, String)>,
    }
    let (post, id) = (showable.post(), &showable.standing().post_id);
    let (title, description) = (String::from(post.title.line()), description(post));
    let url = format!("{}/posts/{id}", look.origin);
    let shared = Shared { url: &url, title: &title, text: description.as_deref().unwrap_or_default() };
    let server = asked.and_then(crate::render::share::server);
    let page = Page {
        post_language: post.language.as_str(),
        post_href: look.link(&format!("/posts/{id}")),
        service: link.title(look.language),
        action: format!("{}{}", look.base, look.path),
        asked: asked.unwrap_or_default(),
        is_fault: asked.is_some() && server.is_none(),
        go: server.map(|server| (server.clone(), link.href(shared, &server))),
        title,
    };
    look.page("page_share.html", templates, &[], page)
}

/// The summary, or how the text begins: search engines and networks show it below the title.
fn description(post: &Post) -> Option<String> {
    let summary = post.summary.as_ref().map(|text| String::from(text.line())).filter(|text| !text.is_empty());
    let text = summary.unwrap_or_else(|| body::text(post).split_whitespace().collect::<Vec<_>>().join(" "));
    (!text.is_empty()).then(|| cut(&text))
}

/// Where programs find a picture: our copy of it, if there is one.
fn picture_url(look: &Look<'_>, shown: &PostPage<'_>, url: &str) -> Option<String> {
    match shown.copies.get(url) {
        Some(copy) => Some(format!("{}{}", look.origin, copy.href.strip_prefix(look.base).unwrap_or(&copy.href))),
        None => web_url(url),
    }
}

fn card<'a>(look: &'a Look<'_>, shown: &PostPage<'_>, description: Option<&'a str>) -> Card<'a> {
    let post = shown.showable.post();
    let locale = locale(&post.language);
    let others = shown.variants.iter().filter_map(|(language, _)| self::locale(language));
    let picture = post.images.iter().find_map(|image| Some((image, picture_url(look, shown, &image.url)?)));
    let alt = picture.as_ref().and_then(|(image, _)| image.alt.as_ref().or(image.caption.as_ref()));
    let changed_at = post.updated_at.max(shown.showable.standing().revised_at).filter(|at| *at > post.published_at);
    Card {
        site: look.site.name.get(&post.language),
        description,
        locale,
        locales: others.filter(|other| Some(*other) != locale).collect(),
        image_alt: alt.map(|alt| String::from(alt.line())).filter(|alt| !alt.is_empty()),
        is_large: picture.is_some(),
        image: picture.map(|(_, url)| url).or_else(|| look.picture()),
        published: instant(post.published_at),
        modified: changed_at.map(instant),
    }
}

/// A language as Open Graph spells it: with a country, which most posts don't name.
fn locale(language: &Language) -> Option<&'static str> {
    match (language.base(), language.as_str()) {
        ("ko", _) => Some("ko_KR"),
        ("en", "en-GB") => Some("en_GB"),
        ("en", _) => Some("en_US"),
        ("zh", "zh-Hant" | "zh-TW" | "zh-HK" | "zh-Hant-TW" | "zh-Hant-HK") => Some("zh_TW"),
        ("zh", _) => Some("zh_CN"),
        ("ja", _) => Some("ja_JP"),
        _ => None,
    }
}

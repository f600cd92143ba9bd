//! What templates see of one post: everything spelled for the reader, nothing left to decide.

use super::body;
use super::site::Site;
use super::words::{self, Words};
use crate::domain::language::Language;
use crate::domain::post::{Contact, Event, Post, Showable};
use crate::domain::text::CleanText;
use serde::Serialize;

/// Bodies up to this many characters stand in a digest as a whole; longer ones give way to summary or excerpt.
pub(super) const WHOLE_BODY_LEN_MAX: usize = 1_500;

/// Length of an excerpt in characters: about four lines of Korean.
const EXCERPT_LEN: usize = 240;

/// Whose eyes an entry is made for.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub language: &'a Language,
    pub words: &'static Words,
    pub zone: &'a jiff::tz::TimeZone,
    pub site: &'a Site,
    /// Show bodies whole, however long.
    pub whole: bool,
}

#[derive(Serialize)]
pub(super) struct EntryView {
    language: String,
    /// The language's name, where the reader reads another.
    other_language: Option<String>,
    title: String,
    url: Option<String>,
    /// The page on the source's site, where `url` is another.
    original_url: Option<String>,
    date: String,
    author: Option<String>,
    breadcrumb: Option<String>,
    license: Option<String>,
    body_html: Option<String>,
    body_text: Option<String>,
    /// Instead of the body: summary or excerpt; `url` leads to the rest.
    excerpt: Option<String>,
    event: Option<EventView>,
    images: Vec<ImageView>,
    attachments: Vec<AttachmentView>,
    contact: Option<ContactView>,
}

#[derive(Serialize)]
struct EventView {
    when: String,
    time_zone: Option<String>,
    location: Option<String>,
    url: Option<String>,
}

#[derive(Serialize)]
struct ImageView {
    url: String,
    alt: String,
    caption: Option<String>,
}

#[derive(Serialize)]
struct AttachmentView {
    url: Option<String>,
    name: String,
    size: Option<String>,
}

#[derive(Serialize)]
struct ContactView {
    /// Office, person and phone number in one line.
    line: String,
    email: Option<String>,
}

impl EntryView {
    /// For a mail: the body has its layout with it.
    pub(super) fn new(showable: &Showable, reader: Reader<'_>) -> Self {
        Self::with_body(showable, reader, body::html_for_mail)
    }

    /// For pages and feeds, which bring or want no styles of ours.
    pub(super) fn for_page(showable: &Showable, reader: Reader<'_>) -> Self {
        Self::with_body(showable, reader, body::html)
    }

    fn with_body(showable: &Showable, reader: Reader<'_>, html: fn(&Post) -> String) -> Self {
        let post = showable.post();
        let original = post.url.as_deref().and_then(web_url);
        let url = reader.site.post_url(&showable.standing().post_id).or_else(|| original.clone());
        let excerpt = excerpt(post, reader.whole, url.is_some());
        let body_html = excerpt.is_none().then(|| html(post));
        let is_other = post.language.base() != reader.language.base();
        Self {
            language: post.language.to_string(),
            other_language: is_other.then(|| reader.words.language_name(&post.language).to_owned()),
            title: post.title.line().into(),
            original_url: original.filter(|original| Some(original) != url.as_ref()),
            url,
            date: reader.words.instant(post.published_at, reader.zone),
            author: line(post.author.as_ref()),
            breadcrumb: breadcrumb(&post.breadcrumb),
            license: line(post.license.as_ref()),
            body_text: excerpt.is_none().then(|| body::text(post)),
            excerpt,
            event: post.event.as_ref().map(|event| event_view(event, reader.words)),
            images: images(post, body_html.as_deref()),
            body_html,
            attachments: attachments(post),
            contact: post.contact.as_ref().and_then(contact),
        }
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    pub(super) fn original_url(&self) -> Option<&str> {
        self.original_url.as_deref()
    }
}

/// Only where a link leads to the rest may a body be cut.
fn excerpt(post: &Post, whole: bool, has_link: bool) -> Option<String> {
    if whole || !has_link {
        return None;
    }
    let words = body::words_in_line(post);
    if words.chars().count() <= WHOLE_BODY_LEN_MAX {
        return None;
    }
    Some(line(post.summary.as_ref()).unwrap_or_else(|| cut(&words)))
}

/// The first [`EXCERPT_LEN`] characters, back to the last space if one is near.
pub(super) fn cut(words: &str) -> String {
    if words.chars().nth(EXCERPT_LEN).is_none() {
        return words.to_owned();
    }
    let head: String = words.chars().take(EXCERPT_LEN).collect();
    let end = head.rfind(' ').filter(|end| *end * 4 >= head.len() * 3).unwrap_or(head.len());
    format!("{}…", &head[..end])
}

fn breadcrumb(path: &[CleanText]) -> Option<String> {
    let steps: Vec<String> = path.iter().filter_map(|step| line(Some(step))).collect();
    (!steps.is_empty()).then(|| steps.join(" › "))
}

fn event_view(event: &Event, words: &Words) -> EventView {
    EventView {
        when: words.event_when(event),
        time_zone: event.time_zone.clone(),
        location: line(event.location.as_ref()),
        url: event.url.as_deref().and_then(web_url),
    }
}

/// Pictures that the body shows already aren't shown again.
fn images(post: &Post, body_html: Option<&str>) -> Vec<ImageView> {
    let is_in_body =
        |url: &str| body_html.is_some_and(|html| html.contains(&format!("src=\"{}\"", url.replace('&', "&amp;"))));
    let shown = post.images.iter().filter(|image| !is_in_body(&image.url));
    shown
        .filter_map(|image| {
            let caption = line(image.caption.as_ref());
            let alt = line(image.alt.as_ref()).unwrap_or_default();
            Some(ImageView { url: web_url(&image.url)?, alt, caption })
        })
        .collect()
}

fn attachments(post: &Post) -> Vec<AttachmentView> {
    let view = |file: &crate::domain::post::Attachment| AttachmentView {
        url: web_url(&file.url),
        name: file.name.line().into(),
        size: file.bytes.and_then(words::bytes),
    };
    post.attachments.iter().map(view).collect()
}

fn contact(contact: &Contact) -> Option<ContactView> {
    let parts = [&contact.department, &contact.name, &contact.phone];
    let parts: Vec<String> = parts.into_iter().filter_map(|part| line(part.as_ref())).collect();
    let email = line(contact.email.as_ref());
    (!parts.is_empty() || email.is_some()).then(|| ContactView { line: parts.join(" · "), email })
}

fn line(text: Option<&CleanText>) -> Option<String> {
    text.map(|text| String::from(text.line())).filter(|line| !line.is_empty())
}

/// Intake lets only `http` and `https` in; a link is the wrong place to rely on that alone.
fn web_url(url: &str) -> Option<String> {
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    matches!(scheme.as_deref(), Some("http" | "https")).then(|| url.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::clock::UnixMillis;
    use crate::domain::post::{Attachment, Body, BodyFormat, EventTime, Image, Standing};

    pub(crate) fn post(id: &str, title: &str, html: &str) -> Post {
        Post {
            source_id: id.to_owned(),
            story: None,
            language: Language::parse("ko").unwrap(),
            languages_expected: vec![],
            topics: vec!["events".to_owned()],
            tags: vec![],
            breadcrumb: ["알림마당", "행사"].map(CleanText::new).to_vec(),
            title: CleanText::new(title),
            summary: None,
            author: Some(CleanText::new("기획홍보팀")),
            published_at: UnixMillis(1_776_750_000_000),
            updated_at: None,
            embargo_until: None,
            expires_at: None,
            url: Some(format!("https://board.example.org/view?id={id}&p=1")),
            body: Body { format: BodyFormat::Html, content: CleanText::new(html) },
            images: vec![Image {
                url: "https://board.example.org/hall.jpg".to_owned(),
                alt: Some(CleanText::new("불 켜진 \"강당\"")),
                caption: Some(CleanText::new("강당 전경 <사진 1>")),
                media_type: Some("image/jpeg".to_owned()),
                bytes: Some(120_000),
            }],
            attachments: vec![Attachment {
                url: "https://board.example.org/down.do?f=1&n=2".to_owned(),
                name: CleanText::new("모집 요강.pdf"),
                media_type: Some("application/pdf".to_owned()),
                bytes: Some(1_234_567),
            }],
            contact: Some(Contact {
                department: Some(CleanText::new("국제협력실")),
                name: Some(CleanText::new("이하늘")),
                phone: Some(CleanText::new("044-000-0000")),
                email: Some(CleanText::new("ask@board.example.org")),
            }),
            event: Some(Event {
                starts_at: EventTime::Time(jiff::civil::datetime(2026, 4, 22, 14, 0, 0, 0)),
                ends_at: None,
                time_zone: Some("Asia/Shanghai".to_owned()),
                location: Some(CleanText::new("상하이 국제회의장")),
                url: Some("https://event.example.org/".to_owned()),
            }),
            urgent: false,
            views: Some(12),
            license: None,
        }
    }

    pub(crate) fn showable(post: Post) -> Showable {
        let standing = Standing {
            post_id: format!("id{}", post.source_id),
            story_id: "story".to_owned(),
            source: "board".to_owned(),
            revision: 1,
            received_at: post.published_at,
            revised_at: None,
            public_at: Some(post.published_at),
            expired_at: None,
            withdrawn_at: None,
            backfill_at: None,
        };
        Showable::public(standing, post).unwrap()
    }

    #[test]
    fn a_body_is_cut_only_where_a_link_leads_to_the_rest() {
        let mut long = post("1", "긴 글", &format!("<p>{}</p>", "가나다라마바 ".repeat(300)));
        assert!(
            excerpt(&long, false, true)
                .is_some_and(|text| text.ends_with("바…") && text.chars().count() <= EXCERPT_LEN + 1)
        );
        assert_eq!((excerpt(&long, true, true), excerpt(&long, false, false)), (None, None));
        long.summary = Some(CleanText::new("짧게 말하면\n이렇습니다."));
        assert_eq!(excerpt(&long, false, true).as_deref(), Some("짧게 말하면 이렇습니다."));
        assert_eq!(excerpt(&post("2", "짧은 글", "<p>끝</p>"), false, true), None);
    }

    #[test]
    fn a_picture_of_the_body_is_not_shown_twice() {
        let mut post = post("1", "제목", "");
        let shown = r#"<p><img src="https://board.example.org/hall.jpg"></p>"#;
        assert_eq!(images(&post, Some(shown)).len(), 0);
        assert_eq!(images(&post, None).len(), 1);
        post.images[0].url = "javascript:alert(1)//".to_owned();
        assert_eq!(images(&post, None).len(), 0);
    }
}

//! From the fields of `data` to a [`Post`]. Topics stay as the source wrote them; `decode` puts in the default ones.

use super::when;
use crate::domain::language::Language;
use crate::domain::post::{Attachment, Body, BodyFormat, Contact, Event, Image, Post};
use crate::domain::text::CleanText;
use crate::intake::fields::{Fault, Field, Fields};
use crate::intake::wire::{
    ATTACHMENTS_MAX, BREADCRUMB_MAX, CAPTION_CHARS_MAX, EMAIL_CHARS_MAX, ID_CHARS_MAX, IMAGES_MAX, LANGUAGES_MAX,
    MESSAGE_BYTES_MAX, NAME_CHARS_MAX, RejectReason, SUMMARY_CHARS_MAX, SourcePolicy, TAG_CHARS_MAX, TAGS_MAX,
    TITLE_CHARS_MAX, TOPIC_CHARS_MAX, TOPICS_MAX,
};

/// Reads a post whose id is known.
///
/// # Errors
/// The first fault, in the order of the fields below.
pub fn read(fields: &Fields, source_id: String, policy: &SourcePolicy) -> Result<Post, Fault> {
    let post = Post {
        source_id,
        story: fields.optional("story", |field| field.key(ID_CHARS_MAX))?,
        language: language(&fields.required("language", "write a tag of BCP 47, such as `ko` or `en`")?)?,
        languages_expected: languages_expected(fields)?,
        topics: topics(fields, policy)?,
        tags: tags(fields)?,
        breadcrumb: fields.lines("breadcrumb", BREADCRUMB_MAX, NAME_CHARS_MAX)?,
        title: title(fields)?,
        summary: fields.optional("summary", |field| field.text(SUMMARY_CHARS_MAX))?.filter(|text| !text.is_empty()),
        author: author(fields)?,
        published_at: when::instant(&fields.required("published_at", "write it as 2026-04-22T09:30:00+09:00")?)?,
        updated_at: fields.optional("updated_at", when::instant)?,
        embargo_until: fields.optional("embargo_until", when::instant)?,
        expires_at: fields.optional("expires_at", when::instant)?,
        url: fields.optional("url", Field::url)?,
        body: body(fields)?,
        images: fields.list("images", IMAGES_MAX)?.iter().map(image).collect::<Result<_, _>>()?,
        attachments: fields.list("attachments", ATTACHMENTS_MAX)?.iter().map(attachment).collect::<Result<_, _>>()?,
        contact: fields.optional("contact", contact)?.filter(|contact| *contact != Contact::default()),
        event: fields.optional("event", event)?,
        urgent: urgent(fields, policy)?,
        views: fields.optional("views", |field| field.integer(0..=i64::MAX))?,
        license: fields.optional_line("license", NAME_CHARS_MAX)?,
        // Of the envelope, not of the post.
        path: Vec::new(),
    };
    match (post.expires_at, fields.get("expires_at")) {
        (Some(expires_at), Some(field)) if expires_at <= post.public_due_at() => {
            Err(field.bad("isn't after `published_at` and `embargo_until`: it would never be shown"))
        }
        _ => Ok(post),
    }
}

fn language(field: &Field) -> Result<Language, Fault> {
    Language::parse(field.string()?).map_err(|error| field.bad(&error.to_string()))
}

fn languages_expected(fields: &Fields) -> Result<Vec<Language>, Fault> {
    let mut languages = Vec::new();
    for item in fields.list("languages_expected", LANGUAGES_MAX)? {
        push_new(&mut languages, language(&item)?);
    }
    Ok(languages)
}

fn title(fields: &Fields) -> Result<CleanText, Fault> {
    let fix = "write one line of text";
    let title = fields.required("title", fix)?.line(TITLE_CHARS_MAX)?;
    if title.is_empty() { Err(fields.missing("title", fix)) } else { Ok(title) }
}

fn author(fields: &Fields) -> Result<Option<CleanText>, Fault> {
    match fields.get("author") {
        Some(field) if field.value().is_object() => field.object()?.optional_line("name", NAME_CHARS_MAX),
        Some(field) if !field.value().is_string() => Err(field.wrong_kind("a string or an object with `name`")),
        _ => fields.optional_line("author", NAME_CHARS_MAX),
    }
}

fn topics(fields: &Fields, policy: &SourcePolicy) -> Result<Vec<String>, Fault> {
    let mut topics = Vec::new();
    for item in fields.list("topics", TOPICS_MAX)? {
        let topic = item.string()?;
        if !is_topic_name(topic) {
            let rule = "must be a topic's name: a-z, 0-9, `-` and `_`, beginning with a letter or digit";
            return Err(item.bad(&format!("{rule}, {TOPIC_CHARS_MAX} characters at most")));
        }
        let allowed = |name: &String| policy.topics_allowed.as_ref().is_none_or(|allowed| allowed.contains(name));
        let offered =
            || policy.topics_known.iter().filter(|name| allowed(name)).cloned().collect::<Vec<_>>().join(", ");
        if !policy.topics_known.iter().any(|known| known == topic) {
            let detail = format!("`{topic}` is no topic here; configure it, or write one of: {}", offered());
            return Err(item.fault(RejectReason::UnknownTopic, &detail));
        }
        if !allowed(&topic.to_owned()) {
            let detail = format!("this source may not publish under `{topic}`; write one of: {}", offered());
            return Err(item.fault(RejectReason::NotAllowed, &detail));
        }
        push_new(&mut topics, topic.to_owned());
    }
    Ok(topics)
}

/// `[a-z0-9][a-z0-9_-]{0,63}`: it stands in URLs, file names and mail addresses.
fn is_topic_name(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= TOPIC_CHARS_MAX
        && name.bytes().next().is_some_and(letter)
        && name.bytes().all(|byte| letter(byte) || byte == b'_' || byte == b'-')
}

fn tags(fields: &Fields) -> Result<Vec<String>, Fault> {
    let mut tags = Vec::new();
    for tag in fields.lines("tags", TAGS_MAX, TAG_CHARS_MAX)? {
        push_new(&mut tags, String::from(tag));
    }
    Ok(tags)
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}

fn body(fields: &Fields) -> Result<Body, Fault> {
    let body = fields.required("body", "write {\"format\": \"html\", \"content\": \"…\"}")?.object()?;
    let field = body.required("format", "write `html`, `markdown` or `text`")?;
    let format = match field.string()? {
        "html" => BodyFormat::Html,
        "markdown" => BodyFormat::Markdown,
        "text" => BodyFormat::Text,
        _ => return Err(field.bad("must be `html`, `markdown` or `text`")),
    };
    // An empty content is taken: a notice may be a title and an attachment.
    let content = body.present("content").ok_or_else(|| body.missing("content", "write \"\" if there is no text"))?;
    Ok(Body { format, content: content.text(MESSAGE_BYTES_MAX)? })
}

fn image(field: &Field) -> Result<Image, Fault> {
    let fields = field.object()?;
    Ok(Image {
        url: fields.required("url", "write where the picture is")?.url()?,
        alt: fields.optional_line("alt", CAPTION_CHARS_MAX)?,
        caption: fields.optional_line("caption", CAPTION_CHARS_MAX)?,
        media_type: fields.optional("media_type", media_type)?,
        bytes: fields.optional("bytes", |field| field.integer(0..=i64::MAX))?,
    })
}

fn attachment(field: &Field) -> Result<Attachment, Fault> {
    let fields = field.object()?;
    let url = fields.required("url", "write where the file is")?.url()?;
    let name = fields.optional_line("name", NAME_CHARS_MAX)?.unwrap_or_else(|| name_in(&url));
    Ok(Attachment {
        name,
        media_type: fields.optional("media_type", media_type)?,
        bytes: fields.optional("bytes", |field| field.integer(0..=i64::MAX))?,
        url,
    })
}

/// What a browser would name the file: the last step of the URL's path, or the whole URL if it has none.
fn name_in(url: &str) -> CleanText {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let last = path.splitn(4, '/').nth(3).and_then(|path| path.rsplit('/').find(|step| !step.is_empty()));
    CleanText::new(&super::envelope::percent_decoded(last.unwrap_or(url))).line()
}

/// `type/subtype` in lower case; parameters are left out.
fn media_type(field: &Field) -> Result<String, Fault> {
    let raw = field.string()?;
    let essence = raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    // The characters and lengths of RFC 6838 section 4.2.
    let is_name = |name: &str| {
        (1..=127).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    match essence.split_once('/') {
        Some((left, right)) if is_name(left) && is_name(right) => Ok(essence),
        _ => Err(field.bad("must be a media type, such as image/jpeg or application/pdf")),
    }
}

fn contact(field: &Field) -> Result<Contact, Fault> {
    let fields = field.object()?;
    Ok(Contact {
        department: fields.optional_line("department", NAME_CHARS_MAX)?,
        name: fields.optional_line("name", NAME_CHARS_MAX)?,
        phone: fields.optional_line("phone", NAME_CHARS_MAX)?,
        email: fields.optional("email", email)?.filter(|email| !email.is_empty()),
    })
}

/// Checked loosely: it is shown to readers, nothing is sent to it.
fn email(field: &Field) -> Result<CleanText, Fault> {
    let raw = field.string()?.trim();
    let parts = raw.split_once('@').filter(|(user, host)| !user.is_empty() && !host.is_empty());
    if !raw.is_empty() && (parts.is_none() || raw.contains(|c: char| c.is_whitespace() || c.is_control())) {
        return Err(field.bad("must be one mail address, such as office@example.org"));
    }
    field.line(EMAIL_CHARS_MAX)
}

fn event(field: &Field) -> Result<Event, Fault> {
    let fields = field.object()?;
    let zone = fields.optional("time_zone", when::zone)?;
    let civil = |field: &Field| when::civil(field, zone.as_ref().map(|(zone, _)| zone));
    let starts_at = civil(&fields.required("starts_at", "write 2026-04-22, or leave out the event")?)?;
    let ends_at = fields.optional("ends_at", civil)?;
    if let (Some(ends_at), Some(field)) = (ends_at, fields.get("ends_at"))
        && when::ends_early(starts_at, ends_at)
    {
        return Err(field.bad("lies before `starts_at`; exchange them or correct one"));
    }
    Ok(Event {
        starts_at,
        ends_at,
        time_zone: zone.map(|(_, name)| name),
        location: fields.optional_line("location", NAME_CHARS_MAX)?,
        url: fields.optional("url", Field::url)?,
    })
}

fn urgent(fields: &Fields, policy: &SourcePolicy) -> Result<bool, Fault> {
    let Some(field) = fields.get("priority") else { return Ok(false) };
    match field.string()? {
        "normal" => Ok(false),
        "urgent" if policy.urgent_allowed => Ok(true),
        "urgent" => Err(field.fault(
            RejectReason::NotAllowed,
            "this source may not publish urgent posts; write `normal`, or let the configuration allow it",
        )),
        _ => Err(field.bad("must be `normal` or `urgent`")),
    }
}

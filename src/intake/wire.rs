//! The words of the wire format (`docs/wire-format.md`): what arrives, what it may be, and what comes of it.
//! The limits stand here too; `decode` enforces them.

use crate::domain::post::Post;
use crate::domain::text::CleanText;
use std::fmt;

/// Bytes of one message. RabbitMQ and reverse proxies take this much unasked; the largest real post stays below
/// a tenth of it, since pictures and files travel as URLs.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Characters of the ids of a post, a story and an event: they are keys of database indexes.
pub const ID_CHARS_MAX: usize = 200;
/// Characters of a URL as it is sent out, hence percent-encoded: mail readers and old proxies cut longer ones.
pub const URL_CHARS_MAX: usize = 2_000;
/// Characters of a title: it becomes a mail's subject, of which readers show the first hundred.
pub const TITLE_CHARS_MAX: usize = 1_000;
/// Characters of a summary: a paragraph, not a second body.
pub const SUMMARY_CHARS_MAX: usize = 10_000;
/// Characters of one caption, alternative text or reason of a withdrawal.
pub const CAPTION_CHARS_MAX: usize = 2_000;
/// Characters of a name: of an author, office, person, file, licence, or one step of the breadcrumb.
pub const NAME_CHARS_MAX: usize = 500;
/// Characters of a mail address (RFC 5321 section 4.5.3.1.3, less the angle brackets).
pub const EMAIL_CHARS_MAX: usize = 254;
/// Topics of a post: each is a row to match against every subscription.
pub const TOPICS_MAX: usize = 100;
/// Tags of a post, for the same reason.
pub const TAGS_MAX: usize = 100;
/// Characters of a tag: `tag:` and it together name a topic and a feed.
pub const TAG_CHARS_MAX: usize = 64;
/// Characters of a topic's name.
pub const TOPIC_CHARS_MAX: usize = 64;
/// Pictures of a post: more makes a mail that providers cut off.
pub const IMAGES_MAX: usize = 100;
/// Downloads of a post.
pub const ATTACHMENTS_MAX: usize = 100;
/// Steps of a breadcrumb: no site nests deeper.
pub const BREADCRUMB_MAX: usize = 20;
/// Languages that a post may announce: twice the official languages of the European Union.
pub const LANGUAGES_MAX: usize = 50;
/// Levels of arrays and objects within each other; `serde_json` refuses more, so that no message exhausts the stack.
pub const NESTING_MAX: usize = 128;
/// The greatest revision: it leaves room in any integer column and catches a timestamp given by mistake.
pub const REVISION_MAX: i64 = 1_000_000_000;
/// The years that a date may lie in; what lies outside is a content system's empty field (`0000-00-00`, year 1).
pub const YEARS: std::ops::RangeInclusive<i16> = 1970..=2200;
/// Characters of a rejection's sentence: it stands in a table row and in an AMQP header.
pub const DETAIL_CHARS_MAX: usize = 200;

/// What arrives, before anything is known of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The configured source that it came through.
    pub source: String,
    /// The AMQP property or HTTP header `content-type`.
    pub content_type: Option<String>,
    /// AMQP headers or HTTP headers; in binary mode they hold the CloudEvents attributes.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Incoming {
    /// Leaves out headers and body: they hold tokens, addresses and text, which no log may show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("source", &self.source)
            .field("content_type", &self.content_type)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// What a source may do; from the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourcePolicy {
    /// Its configured name.
    pub name: String,
    /// The topics of a post that names none.
    pub topics_default: Vec<String>,
    /// The topics that it may publish under; `None`: every known one.
    pub topics_allowed: Option<Vec<String>>,
    /// The topics of this installation.
    pub topics_known: Vec<String>,
    /// Whether it may set `priority` to `urgent`.
    pub urgent_allowed: bool,
    /// The CloudEvents `source`s that may speak through it; `None`: any. A bare post counts as `name`.
    pub event_sources_allowed: Option<Vec<String>>,
    /// The authority of this installation: what has come through it already is its own and comes back. `None`: nothing does.
    pub own_authority: Option<String>,
}

/// A message that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The configured source that it came through.
    pub source: String,
    /// The CloudEvents `source`; for a bare post the configured one. With `event_id` it identifies the event.
    pub event_source: String,
    /// The CloudEvents `id`; for a bare post `sha256:` and a hash, so that a redelivery is the same event.
    pub event_id: String,
    /// SHA-256 of what the source said, whatever its spacing, key order, or this installation's default topics.
    pub content_hash: String,
    /// The post's id within the source.
    pub source_id: String,
    /// The revision that the source counts; `None`: the next one.
    pub revision: Option<i64>,
    /// What happened to the post.
    pub change: Change,
    /// The post as JSON, as the store keeps it; empty when it was withdrawn.
    pub content: String,
    /// Whether its topics are the default ones of this installation, which `content_hash` knows nothing of.
    pub has_default_topics: bool,
    /// What was cleaned, each with its path, such as `data.title: 1 control character removed`.
    pub repairs: Vec<String>,
}

impl Event {
    /// What happened, in one word.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self.change {
            Change::Published(_) => EventKind::Published,
            Change::Revised(_) => EventKind::Revised,
            Change::Withdrawn { .. } => EventKind::Withdrawn,
        }
    }

    /// The content, unless it was withdrawn.
    #[must_use]
    pub fn post(&self) -> Option<&Post> {
        match &self.change {
            Change::Published(post) | Change::Revised(post) => Some(post),
            Change::Withdrawn { .. } => None,
        }
    }

    /// Why it was withdrawn, if it was and the source says.
    #[must_use]
    pub fn reason(&self) -> Option<&CleanText> {
        match &self.change {
            Change::Withdrawn { reason } => reason.as_ref(),
            Change::Published(_) | Change::Revised(_) => None,
        }
    }
}

/// What happened to a post, with what that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Published(Box<Post>),
    /// It has another content.
    Revised(Box<Post>),
    /// It is to be shown no more.
    Withdrawn {
        /// One line for readers.
        reason: Option<CleanText>,
    },
}

/// The three kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A new post.
    Published,
    /// A new revision of one.
    Revised,
    /// The end of one.
    Withdrawn,
}

impl EventKind {
    /// The kind that a CloudEvents type names.
    #[must_use]
    pub fn of_type(name: &str) -> Option<Self> {
        [Self::Published, Self::Revised, Self::Withdrawn].into_iter().find(|kind| kind.type_name() == name)
    }

    /// Its CloudEvents type.
    #[must_use]
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Published => "org.allim.post.published.v1",
            Self::Revised => "org.allim.post.revised.v1",
            Self::Withdrawn => "org.allim.post.withdrawn.v1",
        }
    }

    /// As the store and people name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Revised => "revised",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Why a message was not taken, and what its sender can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{path}: {detail}", reason.word(), if path.is_empty() { "" } else { " at " })]
pub struct Rejection {
    /// The reason as a closed set.
    pub reason: RejectReason,
    /// Where, such as `data.images[2].url` or `type`; empty for the message as a whole.
    pub path: String,
    /// A sentence that says the fix; at most [`DETAIL_CHARS_MAX`] characters, without addresses or bodies.
    pub detail: String,
    /// The event's id, as far as it was read.
    pub event_id: Option<String>,
    /// The post's id, as far as it was read.
    pub source_id: Option<String>,
    /// The kind of event, as far as it was read.
    pub kind: Option<EventKind>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// The body isn't JSON in UTF-8.
    NotJson,
    /// The front matter of a Markdown file can't be read.
    BadFrontMatter,
    /// A required field is absent or empty.
    MissingField,
    /// A field has a value that it can't have.
    BadField,
    /// The message or a field is beyond its limit.
    TooLarge,
    /// A topic is not configured here.
    UnknownTopic,
    /// The event's type is none of ours.
    UnknownType,
    /// The source may not do this.
    NotAllowed,
    /// An event id came again with other content.
    EventIdReused,
    /// A revision number came again with other content.
    RevisionReused,
    /// A post was published again with other content by a source that may not revise that way.
    Republished,
    /// A revision or a withdrawal speaks of a post that isn't known yet.
    UnknownPost,
    /// The post was withdrawn for good.
    WithdrawnPost,
    /// The database refused it.
    StoreRefused,
    /// It went out from this installation and came back.
    Own,
}

impl RejectReason {
    /// All of them, for tables and metrics.
    pub const ALL: [Self; 15] = [
        Self::NotJson,
        Self::BadFrontMatter,
        Self::MissingField,
        Self::BadField,
        Self::TooLarge,
        Self::UnknownTopic,
        Self::UnknownType,
        Self::NotAllowed,
        Self::EventIdReused,
        Self::RevisionReused,
        Self::Republished,
        Self::UnknownPost,
        Self::WithdrawnPost,
        Self::StoreRefused,
        Self::Own,
    ];

    /// As the store, the interface and people name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::BadFrontMatter => "bad_front_matter",
            Self::MissingField => "missing_field",
            Self::BadField => "bad_field",
            Self::TooLarge => "too_large",
            Self::UnknownTopic => "unknown_topic",
            Self::UnknownType => "unknown_type",
            Self::NotAllowed => "not_allowed",
            Self::EventIdReused => "event_id_reused",
            Self::RevisionReused => "revision_reused",
            Self::Republished => "republished",
            Self::UnknownPost => "unknown_post",
            Self::WithdrawnPost => "withdrawn_post",
            Self::StoreRefused => "store_refused",
            Self::Own => "own",
        }
    }
}

/// `text` cut to `chars` characters, the last one an ellipsis if something was cut.
#[must_use]
pub fn clipped(text: &str, chars: usize) -> String {
    if text.chars().nth(chars).is_none() {
        return text.to_owned();
    }
    text.chars().take(chars.saturating_sub(1)).chain(['…']).collect()
}

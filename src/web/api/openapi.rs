//! The interface as an OpenAPI 3.1 document, made from the handlers themselves.

use super::{changes, inbound, inbox, partner, partners, posts, subscriptions};
use crate::web::validators::fixed;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use std::sync::OnceLock;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi, ToSchema};

#[derive(OpenApi)]
#[openapi(
    info(title = "allim", description = "Publishes posts, and says what became of them."),
    paths(
        posts::publish, posts::list, posts::show, posts::withdraw, inbound::take, inbox::take, subscriptions::ask,
        changes::list, changes::reconcile, partner::show, partner::told, partner::replay, partner::rotate, partner::test,
        partners::list, partners::add, partners::show, partners::set, partners::end, partners::act, partners::told, serve
    ),
    components(schemas(
        PostDocument, EventDocument, BodyDocument, ImageDocument, AttachmentDocument, ContactDocument,
        OccasionDocument, AuthorDocument, super::Details
    )),
    modifiers(&Tokens),
    tags((name = "posts", description = "Posts of the token's own source"),
        (name = "inbound", description = "Mail that came back"),
        (name = "inbox", description = "Signed webhooks of partners"),
        (name = "subscriptions", description = "Asking for mail"),
        (name = "partner", description = "For partner institutions, by their own tokens: what happened, and how they do"),
        (name = "partners", description = "Managing partner institutions"), (name = "about", description = "This interface"))
)]
struct Document;

struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A token whose hash stands in `[[intake.token]]`".to_owned());
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
        let mut bearer = Http::new(HttpAuthScheme::Bearer);
        bearer.description = Some("A partner's own token, as `allim partner add` prints it".to_owned());
        components.add_security_scheme("partner", SecurityScheme::Http(bearer));
    }
}

/// This document
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "about",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
pub(in crate::web) async fn serve() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| Document::openapi().to_pretty_json().unwrap_or_default());
    let headers = fixed([
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=300"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ]);
    (headers, text.as_str()).into_response()
}

/// An event around a post.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct EventDocument {
    #[schema(example = "1.0")]
    specversion: String,
    /// `org.allim.post.published.v1`, `org.allim.post.revised.v1` or `org.allim.post.withdrawn.v1`.
    #[schema(example = "org.allim.post.published.v1")]
    r#type: String,
    /// A URI that names the sender.
    source: String,
    /// Unique within `source`.
    #[schema(max_length = 200)]
    id: String,
    /// The post; of a withdrawal its `id`, and perhaps a `reason`.
    data: PostDocument,
}

/// A post.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct PostDocument {
    /// The source's own id.
    #[schema(max_length = 200, example = "events-1507")]
    id: String,
    #[schema(max_length = 1000)]
    title: String,
    /// BCP 47.
    #[schema(example = "ko")]
    language: String,
    /// RFC 3339 with an offset; in the future it counts as an embargo.
    #[schema(format = "date-time")]
    published_at: String,
    body: BodyDocument,
    /// The source's default topics when absent.
    topics: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    /// What variants in several languages share.
    story: Option<String>,
    /// The next one when absent.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    revision: Option<i64>,
    languages_expected: Option<Vec<String>>,
    breadcrumb: Option<Vec<String>>,
    #[schema(max_length = 10_000)]
    summary: Option<String>,
    author: Option<AuthorDocument>,
    #[schema(format = "date-time")]
    updated_at: Option<String>,
    #[schema(format = "date-time")]
    embargo_until: Option<String>,
    #[schema(format = "date-time")]
    expires_at: Option<String>,
    #[schema(format = "uri")]
    url: Option<String>,
    #[schema(max_items = 100)]
    images: Option<Vec<ImageDocument>>,
    #[schema(max_items = 100)]
    attachments: Option<Vec<AttachmentDocument>>,
    contact: Option<ContactDocument>,
    event: Option<OccasionDocument>,
    /// `normal` or, where the source is allowed to, `urgent`.
    #[schema(pattern = "^(normal|urgent)$")]
    priority: Option<String>,
    views: Option<i64>,
    license: Option<String>,
}

/// The text of a post.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct BodyDocument {
    /// The markup.
    #[schema(pattern = "^(html|markdown|text)$", example = "html")]
    format: String,
    content: String,
}

/// Who signed a post.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct AuthorDocument {
    name: String,
}

/// A picture.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct ImageDocument {
    #[schema(format = "uri")]
    url: String,
    alt: Option<String>,
    caption: Option<String>,
    media_type: Option<String>,
    bytes: Option<i64>,
}

/// A download.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct AttachmentDocument {
    #[schema(format = "uri")]
    url: String,
    name: Option<String>,
    media_type: Option<String>,
    bytes: Option<i64>,
}

/// Whom to ask.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct ContactDocument {
    department: Option<String>,
    name: Option<String>,
    phone: Option<String>,
    email: Option<String>,
}

/// When and where an announced event takes place.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what intake/decode reads")]
pub(in crate::web) struct OccasionDocument {
    /// A day (`2026-04-22`) or a civil time (`2026-04-22T09:30`) in `time_zone`.
    starts_at: String,
    ends_at: Option<String>,
    /// IANA.
    #[schema(example = "Asia/Seoul")]
    time_zone: Option<String>,
    location: Option<String>,
    #[schema(format = "uri")]
    url: Option<String>,
}

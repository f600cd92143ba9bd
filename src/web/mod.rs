//! Side room: HTTP. Feeds and pages for readers, the interface for content systems, and how the daemon does.

pub mod admin;
mod api;
mod client;
mod confirm;
mod editions;
mod feeds;
mod health;
mod issues;
mod lane;
mod link;
mod logo;
mod mails;
mod manage;
mod media;
mod opml;
mod pages;
mod partnership;
mod people;
mod samples;
mod search;
mod server;
mod share;
mod sitemap;
mod subscribe;
mod ui;
mod unshown;
mod unsubscribe;
mod validators;
mod views;
mod websub;

pub use api::Token;
pub use client::{BadRange, TrustedProxies};
pub use feeds::{Feeds, watch_changes};
pub use partnership::{Broken, Draft, Fault, Partnership, Secrets, Tried};
pub use samples::Sample;
pub use server::{Present, listen, serve};
pub use views::keep_views;
pub use websub::Hub;

use crate::domain::clock::{Chance, Clock};
use crate::domain::ids;
use crate::domain::language::Language;
use crate::domain::schedule::Schedule;
use crate::domain::standard_webhook::Key;
use crate::intake::Intake;
use crate::intake::wire::MESSAGE_BYTES_MAX;
use crate::plan::Planner;
use crate::render::RenderError;
use crate::render::feed::House;
use crate::render::logo::Logo;
use crate::render::share::ShareLink;
use crate::render::site::{LocalText, Site};
use crate::render::templates::Templates;
use crate::render::theme::{Palette, Theme};
use crate::render::words::page::TAGS;
use crate::store::Store;
use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{any, get, post};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Renders the metrics.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Something that must hold before this process is ready, beside the store.
pub struct Need {
    /// What is said while it doesn't hold, such as `the connection to RabbitMQ is missing`.
    pub unmet: &'static str,
    /// Whether it holds.
    pub met: Arc<AtomicBool>,
}

/// What the front is made from.
pub struct Parts {
    /// The ledger.
    pub store: Store,
    /// The door.
    pub intake: Intake,
    /// Who may publish.
    pub tokens: Vec<Token>,
    /// Who may send signed webhooks: the keys of each source.
    pub inboxes: BTreeMap<String, Vec<Key>>,
    /// Renders the metrics.
    pub metrics: Metrics,
    /// What readiness waits for.
    pub needs: Vec<Need>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub chance: Arc<dyn Chance>,
    /// Plans the letters that answer what somebody does here.
    pub planner: Planner,
    /// The institution.
    pub site: Site,
    /// How its pages look.
    pub theme: Theme,
    /// Domain and year of feed entry ids.
    pub tag_authority: String,
    /// The zone in which dates are written.
    pub zone: jiff::tz::TimeZone,
    /// Reader languages.
    pub languages: Vec<Language>,
    /// Topics with their titles, in the order of the configuration.
    pub topics: Vec<(String, LocalText)>,
    /// Digests by name: title and schedule.
    pub digests: BTreeMap<String, (LocalText, Schedule)>,
    /// The links by which readers pass a post on.
    pub shares: Vec<ShareLink>,
    /// Templates.
    pub templates: Arc<Templates>,
    /// Our own hub, where there is one.
    pub hub: Option<Hub>,
    /// Where copies of pictures and files lie, where they are made.
    pub media_folder: Option<PathBuf>,
    /// What feeds have in common.
    pub house: Arc<House>,
    /// Whether it is counted how often posts are looked at.
    pub count_views: bool,
    /// What is done with partner institutions.
    pub partnership: Partnership,
    /// Requests that may wait for news at once.
    pub waiting_max: usize,
    /// Whether past issues are listed.
    pub show_issues: bool,
    /// Proxies whose word counts.
    pub proxies: TrustedProxies,
    /// The Maildir whose mails may be looked at while allim is tried out.
    pub mail_folder: Option<PathBuf>,
    /// The pictures of sample posts by file name, while allim is tried out.
    pub samples: BTreeMap<String, Sample>,
}

/// Partners that try their webhooks at once.
const TRYING_MAX: usize = 4;

/// What `page.css` is given.
#[derive(serde::Serialize)]
struct Colours {
    light: Palette,
    dark: Palette,
}

/// What the handlers share.
pub struct Front {
    store: Store,
    intake: Intake,
    tokens: Vec<Token>,
    inboxes: BTreeMap<String, Vec<Key>>,
    metrics: Metrics,
    needs: Vec<Need>,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    planner: Planner,
    networks: people::Networks,
    hub: Option<Hub>,
    media_folder: Option<PathBuf>,
    hub_networks: people::Networks,
    site: Site,
    theme: Theme,
    tag_authority: String,
    zone: jiff::tz::TimeZone,
    languages: Vec<Language>,
    /// The languages that pages have words in.
    page_languages: Vec<Language>,
    /// The language of pages for those who ask for none of ours.
    language_default: Language,
    topics: Vec<(String, LocalText)>,
    digests: BTreeMap<String, (LocalText, Schedule)>,
    shares: Vec<ShareLink>,
    templates: Arc<Templates>,
    /// What absolute links begin with, without a slash at the end.
    origin: String,
    /// The path within `origin`: empty unless our pages lie below a folder.
    base: String,
    proxies: TrustedProxies,
    mail_folder: Option<PathBuf>,
    samples: BTreeMap<String, Sample>,
    show_issues: bool,
    icon: Option<Logo>,
    icon_path: String,
    style: Bytes,
    style_path: String,
    feeds: Feeds,
    /// What feeds have in common.
    house: Arc<House>,
    views: views::Views,
    partnership: Partnership,
    /// Those who wait for news.
    changes: api::waiting::Waiting,
    /// Whose turn it is to try a webhook.
    trying: tokio::sync::Semaphore,
    /// Whose turn it is to search.
    searching: tokio::sync::Semaphore,
}

impl Front {
    /// Builds what the handlers share.
    ///
    /// # Errors
    /// [`RenderError`] when the operator's style sheet can't be rendered.
    pub fn new(parts: Parts) -> Result<Self, RenderError> {
        let style = parts.templates.render("page.css", Colours { light: parts.theme.light, dark: parts.theme.dark })?;
        let icon = parts.theme.icon();
        let style_path = format!("/style-{}.css", &ids::content_hash(style.as_bytes())[..12]);
        let page_languages: Vec<Language> = TAGS.iter().filter_map(|tag| Language::parse(tag).ok()).collect();
        let spoken = |language: &&Language| page_languages.iter().find(|page| page.base() == language.base());
        let language_default = parts.languages.iter().find_map(|language| spoken(&language)).cloned();
        let english = || page_languages.iter().find(|language| language.base() == "en").cloned();
        let origin = parts.house.origin.clone();
        let path = url::Url::parse(&origin).map(|url| url.path().trim_end_matches('/').to_owned());
        Ok(Self {
            language_default: language_default.or_else(english).unwrap_or_else(|| parts.languages[0].clone()),
            page_languages,
            base: path.unwrap_or_default(),
            origin,
            style: style.into(),
            style_path,
            feeds: Feeds::new(parts.topics.len(), parts.languages.len()),
            house: parts.house,
            searching: tokio::sync::Semaphore::new(1),
            changes: api::waiting::Waiting::new(parts.waiting_max),
            trying: tokio::sync::Semaphore::new(TRYING_MAX),
            partnership: parts.partnership,
            views: views::Views::new(parts.count_views),
            store: parts.store,
            intake: parts.intake,
            tokens: parts.tokens,
            inboxes: parts.inboxes,
            metrics: parts.metrics,
            needs: parts.needs,
            clock: parts.clock,
            chance: parts.chance,
            planner: parts.planner,
            networks: people::Networks::default(),
            hub: parts.hub,
            media_folder: parts.media_folder,
            hub_networks: people::Networks::default(),
            site: parts.site,
            theme: parts.theme,
            tag_authority: parts.tag_authority,
            zone: parts.zone,
            languages: parts.languages,
            topics: parts.topics,
            digests: parts.digests,
            shares: parts.shares,
            templates: parts.templates,
            proxies: parts.proxies,
            mail_folder: parts.mail_folder,
            samples: parts.samples,
            show_issues: parts.show_issues,
            icon_path: icon.as_ref().map(Logo::path).unwrap_or_default(),
            icon,
        })
    }

    /// Whether past issues are listed: without digests there are none.
    fn has_issues(&self) -> bool {
        self.show_issues && !self.digests.is_empty()
    }

    /// A topic's title in a language; a tag is its own.
    fn topic_title(&self, topic: &str, language: &Language) -> String {
        self.house.topic_title(topic, language)
    }
}

/// Every route.
fn router(front: Arc<Front>) -> Router {
    let log = middleware::from_fn_with_state(front.clone(), client::log);
    Router::new()
        .route("/", get(pages::home))
        .route("/posts/{id}", get(pages::post))
        .route("/share/{name}/{id}", get(share::ask))
        .route("/websub", post(websub::ask))
        .route("/media/{hash}", get(media::serve))
        .route("/media/{hash}/{name}", get(media::named))
        .route("/editions", get(issues::list))
        .route("/editions/{name}", get(editions::show))
        .route("/editions/{digest}/{at}", get(issues::show))
        .route("/topics/{topic}", get(pages::topic))
        .route("/feeds", get(pages::feeds))
        .route("/feeds.opml", get(opml::serve).options(feeds::preflight))
        .route("/feeds/{file}", get(feeds::serve).options(feeds::preflight))
        .route("/feeds/private/{file}", get(feeds::serve_private))
        .route("/feeds/{subject}/{page}", get(feeds::serve).options(feeds::preflight))
        .route("/unsubscribe/{token}", get(unsubscribe::ask).post(unsubscribe::leave))
        .route("/subscribe", get(subscribe::show).post(subscribe::ask))
        .route("/confirm/{token}", get(confirm::show).post(confirm::confirm))
        .route("/link", get(link::show).post(link::ask))
        .route("/manage/{token}", get(manage::show).post(manage::act))
        .route("/manage/{token}/data.json", get(manage::data))
        .route("/mails/{name}", get(mails::show))
        .route("/mails/{name}/html", get(mails::html))
        .route("/mails/{name}/source", get(mails::source))
        .route("/quickstart/{name}", get(samples::picture))
        .route("/search", get(search::search))
        .route("/events", get(search::events))
        .route("/sitemap.xml", get(sitemap::index))
        .route("/sitemaps/{file}", get(sitemap::part))
        .route("/robots.txt", get(sitemap::robots))
        .route(&front.style_path, get(ui::style))
        .route("/logo/{name}", get(logo::serve))
        .route("/api/v1/posts", post(api::posts::publish).get(api::posts::list))
        .route("/api/v1/posts/{id}", get(api::posts::show))
        .route("/api/v1/posts/{id}/withdraw", post(api::posts::withdraw))
        .route("/api/v1/subscriptions", post(api::subscriptions::ask))
        .route("/api/v1/inbound", post(api::inbound::take))
        .route("/api/v1/changes", get(api::changes::list))
        .route("/api/v1/reconcile", post(api::changes::reconcile))
        .route("/api/v1/partner", get(api::partner::show))
        .route("/api/v1/partner/deliveries", get(api::partner::told))
        .route("/api/v1/partner/replay", post(api::partner::replay))
        .route("/api/v1/partner/keys", post(api::partner::rotate))
        .route("/api/v1/partner/test", post(api::partner::test))
        .route("/api/v1/partners", get(api::partners::list).post(api::partners::add))
        .route("/api/v1/partners/{name}", get(api::partners::show).patch(api::partners::set).delete(api::partners::end))
        .route("/api/v1/partners/{name}/deliveries", get(api::partners::told))
        .route("/api/v1/partners/{name}/{act}", post(api::partners::act))
        .route("/api/v1/inbox/{source}", post(api::inbox::take))
        .route("/api/openapi.json", get(api::openapi::serve))
        .route("/api/{*rest}", any(api::fallback))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(ui::fallback)
        // A little more than the limit of the wire format, so that a message beyond it is quarantined with its reason.
        .layer(DefaultBodyLimit::max(MESSAGE_BYTES_MAX * 2))
        .layer(log)
        .with_state(front)
}

//! What all feeds of a site have in common, for those who write them: the web server, which serves them whole, and the carriers that
//! push what changed.

use super::{Feed, Format, History, Meta, Tombstone, Which, feed, which::Subject};
use crate::domain::feed::query;
use crate::domain::language::Language;
use crate::domain::post::{Showable, TAG_PREFIX};
use crate::render::RenderError;
use crate::render::site::{LocalText, Site};
use crate::render::templates::Templates;

/// The site, as its feeds know it.
#[derive(Clone, Debug)]
pub struct House {
    /// What absolute links begin with, without a slash at the end.
    pub origin: String,
    /// The institution.
    pub site: Site,
    /// The zone in which events and dates are written.
    pub zone: jiff::tz::TimeZone,
    /// Domain and year of `tag:` URIs (RFC 4151), such as `example.org,2026`.
    pub tag_authority: String,
    /// Reader languages; at least one.
    pub languages: Vec<Language>,
    /// Topics with their titles.
    pub topics: Vec<(String, LocalText)>,
    /// The hubs that tell of changes, our own first: absolute addresses.
    pub hubs: Vec<String>,
}

impl House {
    /// What absolute links begin with: the public address, or as long as there is none the one that we listen at.
    #[must_use]
    pub fn origin(site: &Site, listen: &str) -> String {
        let origin = site.public_url.clone().unwrap_or_else(|| format!("http://{listen}"));
        origin.trim_end_matches('/').to_owned()
    }

    /// A topic's title in a language; a tag is its own.
    #[must_use]
    pub fn topic_title(&self, topic: &str, language: &Language) -> String {
        let title = self.topics.iter().find(|(name, _)| name == topic).map(|(_, title)| title.get(language).to_owned());
        title.unwrap_or_else(|| topic.strip_prefix(TAG_PREFIX).unwrap_or(topic).to_owned())
    }

    /// The title of a feed.
    #[must_use]
    pub fn title(&self, which: &Which) -> String {
        let site_name = self.site.name.get(self.title_language(which));
        let titled = |topic: String| format!("{} · {site_name}", self.topic_title(&topic, self.title_language(which)));
        if let Subject::Private(private) = &which.subject {
            return format!("{site_name} · {}", private.name);
        }
        which.topic(self).map_or_else(|| site_name.to_owned(), titled)
    }

    /// The language of a feed's title: its own, or the first of the site.
    #[must_use]
    pub fn title_language<'a>(&'a self, which: &Which) -> &'a Language {
        which.language(self).unwrap_or(&self.languages[0])
    }

    /// The page that shows what a feed holds.
    #[must_use]
    pub fn page_url(&self, which: &Which) -> String {
        let page = match &which.subject {
            Subject::Topic(_) => format!("/topics/{}", which.name(self)),
            Subject::All | Subject::Tag(_) | Subject::Private(_) => "/".to_owned(),
        };
        format!("{}{page}{}", self.origin, query(which.language_told(self)))
    }

    /// The hubs that tell of a feed.
    #[must_use]
    pub fn hubs_of(&self, which: &Which) -> &[String] {
        if which.is_followed() { &self.hubs } else { &[] }
    }

    /// The header field by which subscribers find the hubs, also those that read no XML (W3C WebSub sections 4 and 7).
    #[must_use]
    pub fn link_header(&self, self_url: &str) -> String {
        let hubs: String = self.hubs.iter().map(|hub| format!("<{hub}>; rel=\"hub\", ")).collect();
        format!("{hubs}<{self_url}>; rel=\"self\"")
    }

    /// Writes a feed of these posts, or of some of them: what changed.
    ///
    /// # Errors
    /// See [`feed`].
    pub fn write(
        &self,
        which: &Which,
        format: Format,
        posts: &[Showable],
        gone: &[Tombstone],
        history: &History,
        templates: &Templates,
    ) -> Result<Feed, RenderError> {
        let name = which.public_name(self);
        let meta = Meta {
            title: &self.title(which),
            name: &which.language(self).map_or_else(|| name.clone(), |language| format!("{name}/{language}")),
            language: self.title_language(which),
            self_url: &which.url(self, which.page),
            page_url: &self.page_url(which),
            site: &self.site,
            zone: &self.zone,
            tag_authority: &self.tag_authority,
            history,
            hubs: self.hubs_of(which),
            topic_title: &|topic, language| self.topic_title(topic, language),
        };
        feed(format, &meta, posts, gone, templates)
    }
}

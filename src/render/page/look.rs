//! Who looks at a page, and what stands around every page: the head of the sheet and its foot, the languages, the address that a
//! search engine is to know it by.

use super::{FeedLink, PostLine};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::domain::text::legal_markup;
use crate::render::entry::cut;
use crate::render::logo::Logo;
use crate::render::site::Site;
use crate::render::templates::Templates;
use crate::render::theme::{Colour, Theme};
use crate::render::words::page::{PageWords, own_name, page_words};
use crate::render::words::{Words, words};
use crate::render::{RenderError, body};
use serde::Serialize;

/// The `hreflang` of an address that answers in whatever language is asked for.
const ANY_LANGUAGE: &str = "x-default";

/// Who looks at a page, and at which.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// The language of the page.
    pub language: &'a Language,
    /// Whether it was asked for in the address, so that links keep it.
    pub is_chosen: bool,
    /// The languages that the page can be had in.
    pub offered: &'a [Language],
    /// The page's own path, with which a change of language leads to it again.
    pub path: &'a str,
    /// What of the query says which page it is, the language aside, as it stands in an address; may be empty.
    pub query: &'a str,
    /// What stands before every path: empty unless allim's pages lie below a folder of the site.
    pub base: &'a str,
    /// What absolute links begin with, `base` included and without a slash at the end.
    pub origin: &'a str,
    /// The path of the style sheet.
    pub style: &'a str,
    /// The path of the picture that browsers put on their tabs.
    pub icon: &'a str,
    /// The institution.
    pub site: &'a Site,
    /// How its pages look.
    pub theme: &'a Theme,
    /// Whether past issues are listed.
    pub has_issues: bool,
    /// The zone in which dates are written.
    pub zone: &'a jiff::tz::TimeZone,
}

#[derive(Serialize)]
struct Frame<'a, T: Serialize> {
    language: &'a str,
    /// What links end with to keep a chosen language.
    query: String,
    base: &'a str,
    style: &'a str,
    icon: &'a str,
    site_name: &'a str,
    logo: Option<LogoView<'a>>,
    /// What is behind the page on light and on dark screens.
    grounds: (Colour, Colour),
    footer: Option<&'a str>,
    contact: Option<&'a str>,
    postal_address: Option<&'a str>,
    has_issues: bool,
    languages: Vec<Choice>,
    /// The addresses of the page; none where it is nobody's to find.
    address: Option<Address>,
    /// A picture for those who show the page as a card.
    picture: Option<String>,
    /// Feeds for programs that look for them.
    discover: &'a [FeedLink],
    words: &'static Words,
    page: &'static PageWords,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
struct Choice {
    tag: String,
    name: String,
    href: String,
    is_current: bool,
}

#[derive(Serialize)]
struct LogoView<'a> {
    href: String,
    dark_href: Option<String>,
    alt: &'a str,
    width: u32,
    height: u32,
    /// Whether the name stands beside it.
    has_name: bool,
}

/// One page in several languages has an address for each, and one that answers in the language that a browser asks for. Each of them is
/// the one that it is known by, and names all of them.
#[derive(Serialize)]
struct Address {
    canonical: String,
    alternates: Vec<(String, String)>,
}

impl<'a> Look<'a> {
    /// The words of the page.
    #[must_use]
    pub fn words(&self) -> &'static PageWords {
        page_words(self.language)
    }

    /// A path of ours as a link that keeps a chosen language.
    #[must_use]
    pub fn link(&self, path: &str) -> String {
        let language = self.is_chosen.then_some(self.language);
        format!("{}{}", self.base, with_language(path, language))
    }

    /// An instant in words.
    #[must_use]
    pub fn instant(&self, at: UnixMillis) -> String {
        words(self.language).instant(at, self.zone)
    }

    /// The day of an instant in words.
    #[must_use]
    pub fn day(&self, at: UnixMillis) -> String {
        words(self.language).date(self.zone.to_datetime(at.timestamp()).date())
    }

    /// A post as a line of a list.
    #[must_use]
    pub fn line(&self, showable: &Showable, topic_title: impl Fn(&str) -> String) -> PostLine {
        let (post, words) = (showable.post(), words(self.language));
        let is_other = post.language.base() != self.language.base();
        let summary = post.summary.as_ref().map(|text| cut(text.line().as_str()));
        PostLine {
            href: self.link(&format!("/posts/{}", showable.standing().post_id)),
            title: post.title.line().into(),
            language: post.language.to_string(),
            other_language: is_other.then(|| words.language_name(&post.language).to_owned()),
            date: self.day(post.published_at),
            topics: post.topics.iter().map(|topic| topic_title(topic)).collect::<Vec<_>>().join(" · "),
            summary: summary.filter(|text| !text.is_empty()),
            when: post.event.as_ref().map(|event| words.event_when(event)),
        }
    }

    /// The same, with the beginning of the text where nobody wrote a summary.
    #[must_use]
    pub fn line_with_text(&self, showable: &Showable, topic_title: impl Fn(&str) -> String) -> PostLine {
        let mut line = self.line(showable, topic_title);
        let beginning = || Some(cut(&body::words_in_line(showable.post()))).filter(|text| !text.is_empty());
        line.summary = line.summary.or_else(beginning);
        line
    }

    /// The logo with its host, if it is one that networks show.
    pub(super) fn picture(&self) -> Option<String> {
        let logo = self.theme.logo.as_ref().filter(|logo| logo.is_pixels())?;
        Some(format!("{}{}", self.origin, logo.path()))
    }

    /// A page that everybody may find.
    pub(super) fn public_page(
        &self,
        template: &str,
        templates: &Templates,
        discover: &[FeedLink],
        content: impl Serialize,
    ) -> Result<String, RenderError> {
        self.framed(template, templates, discover, Some(self.address()), content)
    }

    /// A page that is for whoever was given its address, or says itself how it is known.
    pub(super) fn page(
        &self,
        template: &str,
        templates: &Templates,
        discover: &[FeedLink],
        content: impl Serialize,
    ) -> Result<String, RenderError> {
        self.framed(template, templates, discover, None, content)
    }

    fn framed(
        &self,
        template: &str,
        templates: &Templates,
        discover: &[FeedLink],
        address: Option<Address>,
        content: impl Serialize,
    ) -> Result<String, RenderError> {
        let choice = |language: &Language| Choice {
            tag: language.to_string(),
            name: own_name(language).to_owned(),
            href: format!("{}{}", self.base, self.here(Some(language))),
            is_current: language == self.language,
        };
        let frame = Frame {
            language: self.language.as_str(),
            query: if self.is_chosen { format!("?lang={}", self.language) } else { String::new() },
            base: self.base,
            style: self.style,
            icon: self.icon,
            site_name: self.site.name.get(self.language),
            logo: self.theme.logo.as_ref().map(|logo| self.logo(logo)),
            grounds: (self.theme.light.ground(), self.theme.dark.ground()),
            footer: self.theme.footer.as_ref().map(|text| text.get(self.language)),
            contact: self.site.contact.as_deref(),
            postal_address: self.site.postal_address.as_deref(),
            has_issues: self.has_issues,
            languages: self.offered.iter().map(choice).collect(),
            picture: address.as_ref().and_then(|_| self.picture()),
            address,
            discover,
            words: words(self.language),
            page: self.words(),
            content,
        };
        templates.render(template, &frame).map(|html| legal_markup(&html))
    }

    fn logo(&self, logo: &Logo) -> LogoView<'a> {
        let href = |logo: &Logo| format!("{}{}", self.base, logo.path());
        let (width, height) = logo.shown();
        let told = self.theme.logo_alt.as_ref().map(|text| text.get(self.language));
        // Beside the name it would be read out twice.
        let name = if self.theme.show_name { "" } else { self.site.name.get(self.language) };
        LogoView {
            href: href(logo),
            dark_href: self.theme.logo_dark.as_ref().map(href),
            alt: told.unwrap_or(name),
            width,
            height,
            has_name: self.theme.show_name,
        }
    }

    fn address(&self) -> Address {
        let at = |language: Option<&Language>| format!("{}{}", self.origin, self.here(language));
        let each = self.offered.iter().map(|language| (language.to_string(), at(Some(language))));
        Address {
            canonical: at(self.is_chosen.then_some(self.language)),
            alternates: each.chain([(ANY_LANGUAGE.to_owned(), at(None))]).collect(),
        }
    }

    /// The path and query of this page, in a language or in whichever is asked for.
    fn here(&self, language: Option<&Language>) -> String {
        let path = if self.query.is_empty() { self.path.to_owned() } else { format!("{}?{}", self.path, self.query) };
        with_language(&path, language)
    }
}

fn with_language(path: &str, language: Option<&Language>) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    language.map_or_else(|| path.to_owned(), |language| format!("{path}{mark}lang={language}"))
}

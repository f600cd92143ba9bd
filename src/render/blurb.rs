//! What is said of a post at a social network: a text that fits, and what a network can show beside it.

mod wording;

pub use wording::{BadTemplate, Link, Template, Wording};

use super::RenderError;
use super::body;
use super::entry::web_url;
use super::fit::Measure;
use super::fit::{self, Draft, Fitted, Hashtags, Limit, Parts, Span, TooLong, hashtags};
use super::words::mail::mail_words;
use super::words::words;
use crate::domain::post::{Event, EventTime, Post, Showable};
use crate::domain::text::CleanText;
use serde::{Deserialize, Serialize};
use std::cell::RefCell;

/// What a network takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// How long a text may be.
    pub limits: Vec<Limit>,
    /// What it makes hashtags of.
    pub hashtags: Hashtags,
    /// Hashtags at most.
    pub tags_max: usize,
    /// Whether the address stands in the text; else it travels beside it.
    pub url_in_text: bool,
    /// Whether the title stands in the text; else it travels beside it.
    pub title_in_text: bool,
}

/// What is said of one post by one account. It is kept, so that a repeat says the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blurb {
    /// The text.
    pub text: String,
    /// Address and hashtags in it, in octets of UTF-8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Hashtags without their sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The whole title.
    pub title: String,
    /// The summary as the link's card shows it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// Where it leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The language of the text (BCP 47).
    pub language: String,
    /// The post's first picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Picture>,
}

/// A picture of a post.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Where it is.
    pub url: String,
    /// What it shows, for those who can't see it; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub alt: String,
}

/// Why nothing can be said of a post at a network.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    /// It doesn't fit.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// The account's template can't be filled in.
    #[error(transparent)]
    Template(#[from] RenderError),
    /// A network whose posts are links wants one, and there is none.
    #[error("it has no address, and this network takes nothing else: set web.public_url, or let the source give one")]
    NoAddress,
    /// Nothing is left to say.
    #[error("there is nothing to say: the text is empty")]
    Empty,
}

/// Characters of a summary at most: two or three sentences. Cards of links cut what is longer.
const SUMMARY_MAX: usize = 300;

impl Blurb {
    /// Says what an account says of a post, at a network that takes this.
    ///
    /// # Errors
    /// [`Unfit`]: a repeat would end the same.
    pub fn write(showable: &Showable, style: &Style, wording: &Wording) -> Result<Self, Unfit> {
        let post = showable.post();
        let (title, summary) = (post.title.line().as_str().to_owned(), summary(post));
        let url = wording.url(showable);
        if url.is_none() && !style.url_in_text {
            return Err(Unfit::NoAddress);
        }
        let parts = Parts {
            title: if style.title_in_text { title.clone() } else { String::new() },
            event: post.event.as_ref().map(|event| event_line(event, wording)),
            summary: Some(summary.clone()).filter(|summary| !summary.is_empty()),
            tags: hashtags(post.tags.iter().map(String::as_str), style.hashtags, style.tags_max),
            url: url.clone().filter(|_| style.url_in_text),
        };
        let fitted = match &wording.template {
            Some(template) => by_template(template, &parts, style, wording.topic(post), post)?,
            None => fit::fit(&parts, &style.limits)?,
        };
        // Where title and address travel beside it, a text isn't needed.
        if fitted.text.trim().is_empty() && style.title_in_text {
            return Err(Unfit::Empty);
        }
        let in_text = |tag: &String| fitted.text.contains(&format!("#{tag}"));
        let tags = if style.tags_max == 0 { Vec::new() } else { parts.tags.into_iter().filter(in_text).collect() };
        Ok(Self {
            text: fitted.text,
            spans: fitted.spans,
            tags,
            title,
            summary,
            url,
            language: post.language.to_string(),
            image: image(post),
        })
    }

    /// The same as an answer to what was said of an earlier revision: the title says that it corrects it.
    ///
    /// # Errors
    /// [`Unfit`]: a repeat would end the same.
    pub fn answer(showable: &Showable, style: &Style, wording: &Wording) -> Result<Self, Unfit> {
        let post = showable.post();
        let mark = &mail_words(&post.language).correction_mark;
        let title = CleanText::new(&format!("{mark} {}", post.title.line().as_str()));
        Self::write(&showable.retitled(title), style, wording)
    }

    /// How much of each limit it takes, for those who look at it.
    #[must_use]
    pub fn counts(&self, style: &Style) -> Vec<(Measure, usize, usize)> {
        style.limits.iter().map(|limit| (limit.measure, limit.measure.count(&self.text), limit.max)).collect()
    }
}

/// Fits the text of a template, in which nothing is cut but what the post brought.
fn by_template(template: &Template, parts: &Parts, style: &Style, topic: String, post: &Post) -> Result<Fitted, Unfit> {
    let author = line(post.author.as_ref());
    let failed = RefCell::new(None);
    let spell = |draft: &Draft<'_>| {
        template.fill(draft, &topic, &author).unwrap_or_else(|error| {
            failed.borrow_mut().get_or_insert(error);
            String::new()
        })
    };
    let fitted = fit::fit_as(parts, &style.limits, &spell);
    match failed.take() {
        Some(error) => Err(error.into()),
        None => Ok(fitted?),
    }
}

/// The summary that the source wrote, or the first sentences.
fn summary(post: &Post) -> String {
    let written = line(post.summary.as_ref());
    let text = if written.is_empty() { body::words_in_line(post) } else { written };
    fit::beginning(text.trim(), SUMMARY_MAX)
}

/// When and where, as the account's readers write it; the zone where it isn't theirs.
fn event_line(event: &Event, wording: &Wording) -> String {
    let mut text = words(&wording.language).event_when(event);
    let zone = event.time_zone.as_deref().filter(|zone| *zone != wording.zone);
    if let (Some(zone), EventTime::Time(_)) = (zone, event.starts_at) {
        text = format!("{text} ({zone})");
    }
    let place = line(event.location.as_ref());
    if place.is_empty() { text } else { format!("{text} · {place}") }
}

fn image(post: &Post) -> Option<Picture> {
    let listed = post.images.iter().find_map(|image| {
        let alt = image.alt.as_ref().or(image.caption.as_ref());
        Some(Picture { url: web_url(&image.url)?, alt: line(alt) })
    });
    let in_text = || post.pictures_in_text().into_iter().next().map(|url| Picture { url, alt: String::new() });
    listed.or_else(in_text)
}

fn line(text: Option<&CleanText>) -> String {
    text.map(|text| text.line().as_str().to_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

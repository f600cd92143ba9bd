//! Fits a post into what a network takes: each counts in its own way and has its own limits. Nothing is cut within a syllable of Hangul,
//! an emoji, a word of a language that parts its words, or an address; a sentence is kept whole where that costs little.

mod cut;
mod hashtag;
mod measure;

pub use hashtag::{Hashtags, hashtag, hashtags};
pub use measure::Measure;

use cut::{ELLIPSIS, shortened};
use serde::{Deserialize, Serialize};

/// What a network takes at most, counted in one way. Some have two limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How it counts.
    pub measure: Measure,
    /// How much it takes.
    pub max: usize,
}

/// What is to be said, in the order in which it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// The title. It is shortened last.
    pub title: String,
    /// Date and place of an event: said whole or not at all.
    pub event: Option<String>,
    /// What it is about. It is shortened first.
    pub summary: Option<String>,
    /// Hashtags without their sign, the one that matters most first: those at the end are left out first.
    pub tags: Vec<String>,
    /// Where it leads. It always stands there, whole.
    pub url: Option<String>,
}

/// What a stretch of the text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The address.
    Url,
    /// A hashtag, sign included.
    Tag,
}

/// A stretch of the text, in octets of UTF-8: `start` is the first, `end` the one after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// What it is.
    pub kind: Kind,
    /// Where it begins.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
}

/// A text that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The text.
    pub text: String,
    /// Address and hashtags in it, in their order.
    pub spans: Vec<Span>,
    /// How much of each limit it takes.
    pub counts: Vec<usize>,
    /// Whether something was left out.
    pub is_cut: bool,
}

/// Nothing of a post fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its address alone takes {count} of the {max} that the network takes ({measure}): shorten it at the source")]
pub struct TooLong {
    /// What address and the shortest title take.
    pub count: usize,
    /// What the network takes.
    pub max: usize,
    /// How it counts.
    pub measure: Measure,
}

/// Graphemes of a title below which it says nothing.
const TITLE_MIN: usize = 10;

/// Fits a post into these limits. First the summary is shortened, then hashtags are left out, then the event's line, then the title
/// is shortened.
///
/// # Errors
/// [`TooLong`] when the address leaves no room for a title.
pub fn fit(parts: &Parts, limits: &[Limit]) -> Result<Fitted, TooLong> {
    let whole = Draft {
        title: &parts.title,
        event: parts.event.as_deref(),
        summary: parts.summary.as_deref(),
        tags: &parts.tags,
        url: parts.url.as_deref(),
    };
    if let Some(fitted) = whole.fitted(limits, false) {
        return Ok(fitted);
    }
    if let Some(summary) = &parts.summary {
        let fits = |short: &str| Draft { summary: Some(short), ..whole }.fitted(limits, true).is_some();
        if let Some(short) = shortened(summary, &fits) {
            let draft = Draft { summary: Some(&short), ..whole };
            return draft.fitted(limits, true).ok_or_else(|| whole.too_long(limits));
        }
    }
    let bare = Draft { summary: None, ..whole };
    for kept in (0..=parts.tags.len()).rev() {
        if let Some(fitted) = (Draft { tags: &parts.tags[..kept], ..bare }).fitted(limits, true) {
            return Ok(fitted);
        }
    }
    let least = Draft { tags: &[], event: None, ..bare };
    if let Some(fitted) = least.fitted(limits, true) {
        return Ok(fitted);
    }
    let fits = |short: &str| Draft { title: short, ..least }.fitted(limits, true).is_some();
    let short = shortened(&parts.title, &fits)
        .filter(|short| measure::graphemes(short) >= TITLE_MIN.min(measure::graphemes(&parts.title)));
    let short = short.ok_or_else(|| least.too_long(limits))?;
    Draft { title: &short, ..least }.fitted(limits, true).ok_or_else(|| least.too_long(limits))
}

/// What is about to be said.
#[derive(Clone, Copy)]
struct Draft<'a> {
    title: &'a str,
    event: Option<&'a str>,
    summary: Option<&'a str>,
    tags: &'a [String],
    url: Option<&'a str>,
}

impl Draft<'_> {
    /// Title, event, summary, hashtags, address: a paragraph each, but that the event follows its title.
    fn text(&self) -> (String, Vec<Span>) {
        let (mut text, mut spans) = (self.title.to_owned(), Vec::new());
        if let Some(event) = self.event {
            text.push('\n');
            text.push_str(event);
        }
        if let Some(summary) = self.summary.filter(|summary| !summary.is_empty()) {
            text.push_str("\n\n");
            text.push_str(summary);
        }
        for (index, tag) in self.tags.iter().enumerate() {
            text.push_str(if index == 0 { "\n\n" } else { " " });
            let start = text.len();
            text.push('#');
            text.push_str(tag);
            spans.push(Span { kind: Kind::Tag, start, end: text.len() });
        }
        if let Some(url) = self.url {
            text.push_str(if self.tags.is_empty() { "\n\n" } else { "\n" });
            let start = text.len();
            text.push_str(url);
            spans.push(Span { kind: Kind::Url, start, end: text.len() });
        }
        (text, spans)
    }

    fn fitted(&self, limits: &[Limit], is_cut: bool) -> Option<Fitted> {
        let (text, spans) = self.text();
        let counts: Vec<usize> = limits.iter().map(|limit| limit.measure.count(&text)).collect();
        let fits = counts.iter().zip(limits).all(|(count, limit)| *count <= limit.max);
        fits.then_some(Fitted { text, spans, counts, is_cut })
    }

    /// The limit that even the shortest goes beyond.
    fn too_long(&self, limits: &[Limit]) -> TooLong {
        let text = format!("{ELLIPSIS}\n\n{}", self.url.unwrap_or_default());
        let counts = limits.iter().map(|limit| (limit.measure.count(&text), limit));
        let worst = counts.max_by_key(|(count, limit)| count * 1_000 / limit.max.max(1));
        worst.map_or(TooLong { count: 0, max: 0, measure: Measure::Scalars }, |(count, limit)| TooLong {
            count,
            max: limit.max,
            measure: limit.measure,
        })
    }
}

#[cfg(test)]
mod tests;

//! Fits a post into what a network takes: each counts in its own way and has its own limits. Nothing is cut within a syllable of Hangul,
//! an emoji, a word of a language that parts its words, or an address; a sentence is kept whole where that costs little.

mod cut;
mod hashtag;
mod measure;
mod x;

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

/// How the parts are put together: into a text, in which address and hashtags are found again.
pub type Spelling<'a> = &'a dyn Fn(&Draft<'_>) -> String;

/// Fits a post into these limits. First the summary is shortened, then hashtags are left out, then the event's line, then the title
/// is shortened.
///
/// # Errors
/// [`TooLong`] when the address leaves no room for a title.
pub fn fit(parts: &Parts, limits: &[Limit]) -> Result<Fitted, TooLong> {
    fit_by(parts, limits, &|draft: &Draft<'_>| draft.text())
}

/// The same for a text that somebody else puts together, such as a template of the operator's.
///
/// # Errors
/// [`TooLong`] when nothing of it fits.
pub fn fit_as(parts: &Parts, limits: &[Limit], spell: Spelling<'_>) -> Result<Fitted, TooLong> {
    fit_by(parts, limits, &|draft: &Draft<'_>| {
        let text = spell(draft);
        let spans = find(&text, draft);
        (text, spans)
    })
}

/// Puts a draft together.
type Joining<'a> = &'a dyn Fn(&Draft<'_>) -> (String, Vec<Span>);

fn fit_by(parts: &Parts, limits: &[Limit], join: Joining<'_>) -> Result<Fitted, TooLong> {
    let whole = Draft {
        title: &parts.title,
        event: parts.event.as_deref(),
        summary: parts.summary.as_deref(),
        tags: &parts.tags,
        url: parts.url.as_deref(),
    };
    if let Some(fitted) = whole.fitted(limits, false, join) {
        return Ok(fitted);
    }
    if let Some(summary) = &parts.summary {
        let fits = |short: &str| Draft { summary: Some(short), ..whole }.fitted(limits, true, join).is_some();
        if let Some(short) = shortened(summary, &fits) {
            let draft = Draft { summary: Some(&short), ..whole };
            return draft.fitted(limits, true, join).ok_or_else(|| whole.too_long(limits));
        }
    }
    let bare = Draft { summary: None, ..whole };
    for kept in (0..=parts.tags.len()).rev() {
        if let Some(fitted) = (Draft { tags: &parts.tags[..kept], ..bare }).fitted(limits, true, join) {
            return Ok(fitted);
        }
    }
    let least = Draft { tags: &[], event: None, ..bare };
    if let Some(fitted) = least.fitted(limits, true, join) {
        return Ok(fitted);
    }
    let fits = |short: &str| Draft { title: short, ..least }.fitted(limits, true, join).is_some();
    let short = shortened(&parts.title, &fits)
        .filter(|short| measure::graphemes(short) >= TITLE_MIN.min(measure::graphemes(&parts.title)));
    let short = short.ok_or_else(|| least.too_long(limits))?;
    Draft { title: &short, ..least }.fitted(limits, true, join).ok_or_else(|| least.too_long(limits))
}

/// The beginning of a text that takes no more than so many characters as readers see them: to the end of a sentence or a word.
#[must_use]
pub fn beginning(text: &str, max: usize) -> String {
    if measure::graphemes(text) <= max {
        return text.to_owned();
    }
    shortened(text, &|short: &str| measure::graphemes(short) <= max).unwrap_or_default()
}

/// What is about to be said.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The title.
    pub title: &'a str,
    /// Date and place.
    pub event: Option<&'a str>,
    /// What it is about.
    pub summary: Option<&'a str>,
    /// Hashtags without their sign.
    pub tags: &'a [String],
    /// The address.
    pub url: Option<&'a str>,
}

impl Draft<'_> {
    /// Title, event, summary, hashtags, address: a paragraph each, but that the event follows its title.
    fn text(&self) -> (String, Vec<Span>) {
        let (mut text, mut spans) = (self.title.to_owned(), Vec::new());
        // Where the title travels beside the text, the next part comes first.
        let apart = |text: &mut String, by: &'static str| text.push_str(if text.is_empty() { "" } else { by });
        if let Some(event) = self.event {
            apart(&mut text, "\n");
            text.push_str(event);
        }
        if let Some(summary) = self.summary.filter(|summary| !summary.is_empty()) {
            apart(&mut text, "\n\n");
            text.push_str(summary);
        }
        for (index, tag) in self.tags.iter().enumerate() {
            apart(&mut text, if index == 0 { "\n\n" } else { " " });
            let start = text.len();
            text.push('#');
            text.push_str(tag);
            spans.push(Span { kind: Kind::Tag, start, end: text.len() });
        }
        if let Some(url) = self.url {
            apart(&mut text, if self.tags.is_empty() { "\n\n" } else { "\n" });
            let start = text.len();
            text.push_str(url);
            spans.push(Span { kind: Kind::Url, start, end: text.len() });
        }
        (text, spans)
    }

    fn fitted(&self, limits: &[Limit], is_cut: bool, join: Joining<'_>) -> Option<Fitted> {
        let (text, spans) = join(self);
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

/// Address and hashtags in a text that was put together elsewhere, each where it stands first by itself.
fn find(text: &str, draft: &Draft<'_>) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let url = draft.url.and_then(|url| text.find(url).map(|start| (start, start + url.len())));
    spans.extend(url.map(|(start, end)| Span { kind: Kind::Url, start, end }));
    for tag in draft.tags {
        let sign = format!("#{tag}");
        let is_free = |start: &usize| {
            let (end, before) = (start + sign.len(), text[..*start].chars().next_back());
            // `#지역` isn't what `#지역혁신` or `a#지역` says.
            let goes_on = text[end..].chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
            let is_taken = spans.iter().any(|span| *start < span.end && span.start < end);
            !goes_on && !is_taken && before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '/')
        };
        let start = text.match_indices(&sign).map(|(start, _)| start).find(is_free);
        spans.extend(start.map(|start| Span { kind: Kind::Tag, start, end: start + sign.len() }));
    }
    spans.sort_by_key(|span| span.start);
    spans
}

#[cfg(test)]
mod tests;

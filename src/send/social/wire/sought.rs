//! Whether a post at a network is the one that is looked for. Networks write texts anew (entities, links, little letters of their own), so
//! address and title are compared as readers see them; where these can't decide, nobody but a person can.

use crate::render::blurb::Blurb;
use crate::render::fit::Kind;
use unicode_normalization::UnicodeNormalization as _;

/// How much a post at a network is like what is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// It is the one.
    Same,
    /// It may be.
    Unclear,
    /// It is another.
    Other,
}

/// What a look through posts brought.
pub enum Picked<'a, T> {
    /// This is the one.
    This(&'a T),
    /// One of them may be.
    Unclear,
    /// None of them is.
    None,
}

/// The first that is the one; what may be it is no reason to look no further.
pub fn pick<T>(posts: &[T], likeness: impl Fn(&T) -> Likeness) -> Picked<'_, T> {
    let mut picked = Picked::None;
    for post in posts {
        match likeness(post) {
            Likeness::Same => return Picked::This(post),
            Likeness::Unclear => picked = Picked::Unclear,
            Likeness::Other => {}
        }
    }
    picked
}

/// What a blurb is known by at a network.
pub struct Sought<'a> {
    blurb: &'a Blurb,
    /// The address, if it stands there.
    url: Option<&'a str>,
    title: Title,
}

/// The first line up to an address, by its letters and digits.
enum Title {
    /// There is none.
    None,
    /// It holds what networks write in a way of their own: an address, somebody's name.
    Rewritten,
    Whole(String),
    /// What follows is an address.
    Beginning(String),
}

impl<'a> Sought<'a> {
    /// What is looked for. `is_url_beside`: the address travels beside the text.
    #[must_use]
    pub fn new(blurb: &'a Blurb, is_url_beside: bool) -> Self {
        let span = blurb.spans.iter().find(|span| span.kind == Kind::Url);
        let url = blurb.url.as_deref().filter(|_| is_url_beside || span.is_some());
        let (before, is_cut) = match span {
            Some(span) => (blurb.text.get(..span.start).unwrap_or(&blurb.text), true),
            None => (blurb.text.as_str(), false),
        };
        let is_first_line = !before.trim_start().contains('\n');
        let line = first_line(before);
        let kept = letters(line);
        let title = match kept.is_empty() {
            true => Title::None,
            false if is_rewritten(line) => Title::Rewritten,
            false if is_cut && is_first_line => Title::Beginning(kept),
            false => Title::Whole(kept),
        };
        Self { blurb, url, title }
    }

    /// How much a text at the network is like it: `beside` are addresses that travel with the text.
    #[must_use]
    pub fn likeness(&self, text: &str, beside: &[&str]) -> Likeness {
        let plain = unescaped(text);
        let texts = [text, plain.as_str()];
        let title = self.has_title(&texts);
        let Some(url) = self.url else {
            // Without an address only the whole text makes sure: titles come again.
            let own = letters(&self.blurb.text);
            let is_same = !own.is_empty() && texts.iter().any(|text| letters(text) == own);
            return match title {
                _ if is_same => Likeness::Same,
                Some(false) => Likeness::Other,
                Some(true) | None => Likeness::Unclear,
            };
        };
        let has_url = texts.iter().chain(beside).any(|text| holds(text, url));
        match (has_url, title, &self.title) {
            (true, Some(true), _) | (true, None, Title::None) => Likeness::Same,
            (true, None, _) | (false, Some(true), _) => Likeness::Unclear,
            _ => Likeness::Other,
        }
    }

    /// `None`: it can't be compared.
    fn has_title(&self, texts: &[&str]) -> Option<bool> {
        let mut lines = texts.iter().map(|text| letters(first_line(text)));
        match &self.title {
            Title::None | Title::Rewritten => None,
            Title::Whole(title) => Some(lines.any(|line| line == *title)),
            Title::Beginning(title) => Some(lines.any(|line| line.starts_with(title.as_str()))),
        }
    }
}

/// The first line in which something is said.
fn first_line(text: &str) -> &str {
    text.lines().find(|line| line.contains(char::is_alphanumeric)).unwrap_or_default()
}

fn letters(text: &str) -> String {
    text.nfc().filter(|c| c.is_alphanumeric()).collect()
}

/// Addresses are shortened, and the server of somebody's name is left out.
fn is_rewritten(line: &str) -> bool {
    let is_name = |word: &str| {
        let mut around = word.split('.').zip(word.split('.').skip(1));
        around.any(|(a, b)| {
            a.ends_with(|c: char| c.is_ascii_alphanumeric()) && b.starts_with(|c: char| c.is_ascii_alphabetic())
        })
    };
    line.contains('@') || line.contains("://") || line.split_whitespace().any(is_name)
}

/// What ends a sentence, and is no part of an address that a network makes a link of.
const ENDS: [char; 12] = ['.', ',', ';', ':', '!', '?', ')', ']', '\'', '"', '。', '…'];

/// Whether an address stands in a text, and not as the beginning of a longer one.
fn holds(text: &str, url: &str) -> bool {
    let short = url.trim_end_matches(ENDS).trim_end_matches('/');
    text.match_indices(short).any(|(at, _)| {
        let rest = &text[at + short.len()..];
        let rest = rest.strip_prefix(&url[short.len()..]).unwrap_or(rest);
        let rest = rest.strip_prefix('/').unwrap_or(rest).trim_start_matches(ENDS);
        rest.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, '<' | '>'))
    })
}

/// A text of HTML as readers see it, but that lines are kept; one that is plain stays as it is, except for what looks like an entity.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.split_once(';').and_then(|(name, after)| Some((entity(name)?, after))) {
            Some((c, after)) => {
                out.push(c);
                rest = after;
            }
            None => out.push('&'),
        }
    }
    out + rest
}

fn entity(name: &str) -> Option<char> {
    let number = name.strip_prefix('#');
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some('\u{a0}'),
        _ => char::from_u32(match number?.strip_prefix(['x', 'X']) {
            Some(digits) => u32::from_str_radix(digits, 16).ok()?,
            None => number?.parse().ok()?,
        }),
    }
}

/// The text of HTML such as Mastodon's, its paragraphs and line breaks as lines. Entities stay as they are.
#[must_use]
pub fn without_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    for (index, piece) in html.split('<').enumerate() {
        let Some((tag, text)) = piece.split_once('>').filter(|_| index > 0) else {
            out.push_str(piece);
            continue;
        };
        if tag.starts_with("br") || tag == "/p" {
            out.push('\n');
        }
        out.push_str(text);
    }
    out
}

#[cfg(test)]
mod tests;

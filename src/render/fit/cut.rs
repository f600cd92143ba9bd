//! Where a text may be cut.

use unicode_segmentation::UnicodeSegmentation as _;

/// What stands where something was left out.
pub(super) const ELLIPSIS: char = '…';
/// A cut at a sentence, or at a word, is taken if it keeps this part of what would fit, in percent.
const SENTENCE_WORTH: usize = 60;
const WORD_WORTH: usize = 80;

/// The longest beginning of a text that fits: to the end of a sentence, else of a word, else of a character, with an ellipsis. `None`: not even
/// one character fits.
pub(super) fn shortened(text: &str, fits: &dyn Fn(&str) -> bool) -> Option<String> {
    let text = text.trim_end();
    let ends: Vec<usize> = text.grapheme_indices(true).map(|(start, grapheme)| start + grapheme.len()).collect();
    let with_ellipsis = |end: usize| format!("{}{ELLIPSIS}", text[..end].trim_end());
    // Nearly always less fits where more does. Where it isn't so, because a cut makes an address of what was none, the search may end
    // beside the longest, but never at one that doesn't fit.
    let mut fitting = ends.partition_point(|end| fits(&with_ellipsis(*end)));
    while fitting > 0 && !fits(&with_ellipsis(ends[fitting - 1])) {
        fitting -= 1;
    }
    let longest = ends[..fitting].last().copied()?;
    let sentence = sentence_ends(text).into_iter().rfind(|end| *end <= longest + SLACK && fits(&text[..*end]));
    if let Some(end) = sentence.filter(|end| *end * 100 >= longest * SENTENCE_WORTH) {
        return Some(text[..end].to_owned());
    }
    let word = word_ends(text).into_iter().rfind(|end| *end <= longest);
    // A language that doesn't part its words has none to keep whole.
    let end = word.filter(|end| *end * 100 >= longest * WORD_WORTH || is_within_word(text, longest)).unwrap_or(longest);
    Some(with_ellipsis(end)).filter(|short| fits(short)).or_else(|| Some(with_ellipsis(longest)))
}

/// A whole sentence needs no ellipsis: that is so much more room, in octets.
const SLACK: usize = ELLIPSIS.len_utf8();

/// Where sentences end, each with its closing quotation mark.
fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut end = at + c.len_utf8();
        let is_wide = matches!(c, '。' | '！' | '？');
        if !is_wide && !matches!(c, '.' | '!' | '?' | '\n') {
            continue;
        }
        while let Some((_, next)) =
            chars.next_if(|(_, next)| matches!(next, '"' | '\'' | '”' | '’' | ')' | '」' | '』' | '）'))
        {
            end += next.len_utf8();
        }
        // A point within 3.14 or example.org ends nothing.
        if is_wide || c == '\n' || chars.peek().is_none_or(|(_, next)| next.is_whitespace()) {
            ends.push(if c == '\n' { at } else { end });
        }
    }
    ends.push(text.len());
    ends
}

/// Where words end that white space parts.
fn word_ends(text: &str) -> Vec<usize> {
    let mut ends: Vec<usize> = text
        .char_indices()
        .filter(|(at, c)| c.is_whitespace() && *at > 0 && !text[..*at].ends_with(char::is_whitespace))
        .map(|(at, _)| at)
        .collect();
    ends.push(text.len());
    ends
}

/// Whether a place lies within a word of Latin letters, digits or an address: those are never cut.
fn is_within_word(text: &str, at: usize) -> bool {
    let of_word = |c: char| c.is_ascii_graphic() && !matches!(c, ',' | ';' | '(' | ')' | '"');
    text[..at].chars().next_back().is_some_and(of_word) && text[at..].chars().next().is_some_and(of_word)
}

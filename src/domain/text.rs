//! Text that goes out can't be ill-formed (design rule 18).

use std::fmt;
use unicode_normalization::UnicodeNormalization;

/// Text without a character that XML 1.0 forbids (its production 2, `Char`), in Unicode normal form C.
/// Tabs and line feeds stay; a carriage return becomes a line feed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(from = "String", into = "String")]
pub struct CleanText(String);

impl CleanText {
    /// Cleans `raw`: line ends become `\n`, illegal characters are dropped, decomposed Hangul is composed.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self::counting(raw).0
    }

    /// As [`CleanText::new`], and how many characters were dropped as illegal.
    #[must_use]
    pub fn counting(raw: &str) -> (Self, usize) {
        if raw.chars().all(is_plain) {
            return (Self(raw.to_owned()), 0);
        }
        let unix = raw.replace("\r\n", "\n").replace('\r', "\n");
        let dropped = unix.chars().filter(|c| !is_xml_char(*c)).count();
        let text = unix.chars().filter(|c| is_xml_char(*c)).nfc().collect();
        (Self(text), dropped)
    }

    /// One line: every run of white space, line ends included, becomes one space; trimmed.
    #[must_use]
    pub fn line(&self) -> Self {
        Self(self.0.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for CleanText {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

impl From<CleanText> for String {
    fn from(text: CleanText) -> Self {
        text.0
    }
}

/// Markup whose texts are clean already, without the characters that only an escape such as `&#8;` has brought in. Nothing is composed:
/// `>` and U+0338 would be `≯`, and a text that begins with the one would take the end from the tag before it and stand
/// within.
#[must_use]
pub fn legal_markup(raw: &str) -> String {
    raw.replace("\r\n", "\n").chars().map(|c| if c == '\r' { '\n' } else { c }).filter(|c| is_xml_char(*c)).collect()
}

/// XML 1.0 production 2, without the control characters U+007F to U+009F, which it only discourages
/// but which no announcement means, and without U+FFFE/U+FFFF.
fn is_xml_char(c: char) -> bool {
    match c {
        '\t' | '\n' => true,
        '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => c >= ' ',
    }
}

/// Characters that are legal and stay as they are in normal form C whatever stands beside them, which is all that most
/// texts hold: Latin, the spaces, quotation marks and dashes of print, CJK punctuation, Hanja and whole Hangul syllables.
fn is_plain(c: char) -> bool {
    // What may combine with a character before it, such as U+0300, U+302A or the Jamo U+11A8, is in none of these ranges.
    matches!(c, '\n' | '\t' | ' '..='~' | '\u{A0}'..='\u{2FF}' | '\u{2010}'..='\u{2027}' | '\u{3001}'..='\u{3029}'
        | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}')
}

/// Why a value can't stand in a mail header.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a header value can't hold a line end or a NUL")]
pub struct UnsafeHeader;

/// A mail header's value: one line, no CR, LF or NUL (RFC 5322 section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderText(String);

impl HeaderText {
    /// Takes `raw` as it is, or refuses it.
    ///
    /// # Errors
    /// [`UnsafeHeader`] when it holds CR, LF, NUL or another control character.
    pub fn parse(raw: &str) -> Result<Self, UnsafeHeader> {
        if raw.chars().any(char::is_control) {
            return Err(UnsafeHeader);
        }
        Ok(Self(raw.to_owned()))
    }

    /// Folds any text into one safe line.
    #[must_use]
    pub fn fold(raw: &CleanText) -> Self {
        Self(raw.line().0.replace(char::is_control, ""))
    }

    /// The value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_characters_stay_whatever_stands_beside_them() {
        for c in (0..=0x0010_FFFF).filter_map(char::from_u32).filter(|c| is_plain(*c)) {
            assert!(is_xml_char(c), "U+{:04X}", u32::from(c));
            assert_eq!(
                unicode_normalization::is_nfc_quick(std::iter::once(c)),
                unicode_normalization::IsNormalized::Yes
            );
            assert_eq!(unicode_normalization::char::canonical_combining_class(c), 0);
        }
        // A syllable and the consonant that completes it are one.
        assert_eq!(CleanText::new("\u{AC00}\u{11A8}").as_str(), "각");
        assert_eq!(CleanText::counting("e\u{301}\r\n\u{8}x"), (CleanText("é\nx".to_owned()), 1));
    }

    #[test]
    fn markup_stays_markup() {
        assert_eq!(legal_markup("<p>\u{338} a\u{8}\r\nb\rc</p>"), "<p>\u{338} a\nb\nc</p>");
    }
}

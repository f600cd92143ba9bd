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

/// XML 1.0 production 2, without the control characters U+007F to U+009F, which it only discourages
/// but which no announcement means, and without U+FFFE/U+FFFF.
fn is_xml_char(c: char) -> bool {
    match c {
        '\t' | '\n' => true,
        '\u{7F}'..='\u{9F}' | '\u{FFFE}' | '\u{FFFF}' => false,
        _ => c >= ' ',
    }
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

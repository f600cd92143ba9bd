//! The ways in which networks count.

use std::fmt;
use unicode_normalization::UnicodeNormalization as _;
use unicode_properties::UnicodeEmoji as _;
use unicode_segmentation::UnicodeSegmentation as _;

/// How a network counts a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// X (<https://docs.x.com/fundamentals/counting-characters>, configuration 3 of twitter-text): composed first; Latin and its kin count
    /// 1, everything else 2, Hangul and Han among it; an emoji 2, of however many characters it is made; an address 23.
    Weighted,
    /// Characters as readers see them (Bluesky; UAX #29).
    Graphemes,
    /// Mastodon: the same, but an address counts 23, and of somebody elsewhere (`@name@server`) the server doesn't count.
    Mastodon,
    /// Octets of UTF-8.
    Octets,
    /// Units of UTF-16 (Telegram, LINE, Facebook, LinkedIn).
    Utf16,
    /// Characters of Unicode (Discord, Threads).
    Scalars,
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weighted => "weighted characters",
            Self::Graphemes => "characters",
            Self::Mastodon => "characters, an address as 23",
            Self::Octets => "octets",
            Self::Utf16 => "units of UTF-16",
            Self::Scalars => "characters of Unicode",
        })
    }
}

/// What an address counts for where it is replaced by a short one of the network's own.
const URL_COUNT: usize = 23;

impl Measure {
    /// How much a text counts for.
    #[must_use]
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::Weighted => weighted(text),
            Self::Graphemes => graphemes(text),
            Self::Mastodon => mastodon(text),
            Self::Octets => text.len(),
            Self::Utf16 => text.encode_utf16().count(),
            Self::Scalars => text.chars().count(),
        }
    }
}

/// Characters as readers see them.
pub(super) fn graphemes(text: &str) -> usize {
    text.graphemes(true).count()
}

fn weighted(text: &str) -> usize {
    let text: String = text.nfc().collect();
    let mut count = 0;
    for (piece, is_address) in pieces(&text) {
        let own: usize = piece
            .graphemes(true)
            .map(|grapheme| if is_emoji(grapheme) { 2 } else { grapheme.chars().map(weight).sum() })
            .sum();
        count += match is_address {
            Some(Address::Url) => URL_COUNT,
            // Where X sees a name of a host it makes a link of it; where we are wrong a few characters are left unused.
            Some(Address::Host) => own.max(URL_COUNT),
            None => own,
        };
    }
    count
}

/// The ranges that count 1; everything else counts 2.
fn weight(c: char) -> usize {
    match u32::from(c) {
        0..=4_351 | 8_192..=8_205 | 8_208..=8_223 | 8_242..=8_247 => 1,
        _ => 2,
    }
}

/// Whether it is shown as an emoji: a picture by itself, one made of several, a flag, or a key cap.
fn is_emoji(grapheme: &str) -> bool {
    const SHOWN_AS_EMOJI: char = '\u{fe0f}';
    let mut chars = grapheme.chars();
    let Some(first) = chars.next() else { return false };
    // Digits and signs are parts of key caps, and no emoji by themselves.
    let is_picture = first.is_emoji_char() && !first.is_ascii();
    let is_key_cap = grapheme.ends_with('\u{20e3}');
    let is_joined = |c: char| matches!(c, SHOWN_AS_EMOJI | '\u{200d}' | '\u{1f3fb}'..='\u{1f3ff}');
    is_key_cap || (is_picture && (u32::from(first) > 0xffff || chars.any(is_joined)))
}

fn mastodon(text: &str) -> usize {
    let mut count = 0;
    for (piece, address) in pieces(text) {
        count += match address {
            Some(Address::Url) => URL_COUNT,
            _ => mention(piece).map_or_else(|| graphemes(piece), graphemes),
        };
    }
    count
}

/// Of `@name@server` what counts.
fn mention(piece: &str) -> Option<&str> {
    let (name, server) = piece.strip_prefix('@')?.split_once('@')?;
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.');
    (is_name && server.contains('.')).then(|| &piece[..=name.len()])
}

/// What a network may make a link of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Address {
    /// With its scheme.
    Url,
    /// The name of a host by itself.
    Host,
}

/// The text in pieces: white space, words, and what of these is an address.
fn pieces(text: &str) -> Vec<(&str, Option<Address>)> {
    let mut pieces = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let start = ["https://", "http://"].iter().filter_map(|scheme| bare.find(scheme)).min();
        match start {
            Some(start) => {
                // What ends a sentence ends no address.
                let url = bare[start..]
                    .trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '"', '\'', '。', '，', '…']);
                pieces.push((&word[..start], None));
                pieces.push((url, Some(Address::Url)));
                pieces.push((&word[start + url.len()..], None));
            }
            None if is_host(bare) => {
                pieces.push((bare, Some(Address::Host)));
                pieces.push((&word[bare.len()..], None));
            }
            None => {
                pieces.push((bare, None));
                pieces.push((&word[bare.len()..], None));
            }
        }
    }
    pieces
}

/// Whether a word looks like the name of a host: labels, and a last one of letters.
fn is_host(word: &str) -> bool {
    let name = word.split('/').next().unwrap_or_default();
    let is_label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let is_top = |label: &str| label.len() >= 2 && label.chars().all(|c| c.is_ascii_alphabetic());
    name.rsplit_once('.').is_some_and(|(rest, top)| is_top(top) && rest.split('.').all(is_label))
}

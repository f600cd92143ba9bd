//! The ways in which networks count.

use super::x;
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
    let own = |text: &str| text.graphemes(true).map(weight_of).sum::<usize>();
    let (mut count, mut at) = (0, 0);
    for address in x::addresses(&text) {
        count += own(&text[at..address.range.start]);
        // Where X may see the name of a host at least a link's count is left; where we are wrong a few characters stay unused.
        let all = if address.is_sure { 0 } else { own(&text[address.range.clone()]) };
        count += all.max(URL_COUNT);
        at = address.range.end;
    }
    count + own(&text[at..])
}

/// An emoji counts 2, of however many characters it is made. Those that are joined in a way that is younger than twitter-text's table
/// (Emoji 11) count as their parts, and so do their joiners.
fn weight_of(grapheme: &str) -> usize {
    const JOINER: char = '\u{200d}';
    let plain = |text: &str| if is_emoji(text) { 2 } else { text.chars().map(weight).sum() };
    if !grapheme.contains(JOINER) || is_old_sequence(grapheme) {
        return plain(grapheme);
    }
    let parts = grapheme.split(JOINER);
    parts.map(|part| if is_picture(part) { 2 } else { plain(part) }).sum::<usize>() + grapheme.matches(JOINER).count()
}

/// People with what they do, families, whoever is a man or a woman, and three flags and signs.
fn is_old_sequence(grapheme: &str) -> bool {
    let begins = |with: &[char]| grapheme.starts_with(with);
    let (is_sexed, is_bearded) = (grapheme.contains(['♀', '♂']), begins(&['🧔', '🤵', '👰']));
    // The white cane, wheelchairs, held hands, a bottle for a baby.
    let is_younger = grapheme.contains(['🦯', '🦼', '🦽', '🤝', '🍼']);
    (begins(&['👨', '👩', '🏴', '🏳', '👁']) && !is_younger && !grapheme.contains('⚧')) || (is_sexed && !is_bearded)
}

fn is_picture(part: &str) -> bool {
    part.chars().next().is_some_and(|c| c.is_emoji_char() && !c.is_ascii())
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
    let count = |(piece, is_address): (&str, bool)| match is_address {
        true => URL_COUNT,
        false => mention(piece).map_or_else(|| graphemes(piece), |(name, rest)| graphemes(name) + graphemes(rest)),
    };
    pieces(text).into_iter().map(count).sum()
}

/// Of `@name@server` what counts: the name, and what stands after the server's.
fn mention(piece: &str) -> Option<(&str, &str)> {
    let (name, server) = piece.strip_prefix('@')?.split_once('@')?;
    let is_name =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.');
    let of_server = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let end = server.find(|c| !of_server(c)).unwrap_or(server.len());
    let host = server[..end].trim_end_matches(['.', '-']);
    (is_name && host.contains('.')).then(|| (&piece[..=name.len()], &server[host.len()..]))
}

/// The text in pieces, and which of them is an address: Mastodon lets white space end one, and what ends a sentence.
fn pieces(text: &str) -> Vec<(&str, bool)> {
    let mut pieces = Vec::new();
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        let start = ["https://", "http://"].iter().filter_map(|scheme| bare.find(scheme)).min();
        let Some(start) = start else {
            pieces.extend([(bare, false), (&word[bare.len()..], false)]);
            continue;
        };
        let url = bare[start..].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '"', '\'', '。', '，', '…']);
        pieces.extend([(&word[..start], false), (url, true), (&word[start + url.len()..], false)]);
    }
    pieces
}

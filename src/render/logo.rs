//! The logo of an institution: what kind of picture a file is and how large, by its content. A file that could run something is
//! refused.

use crate::domain::ids;

/// Largest file, in octets: every page asks for it once, and a logo that is larger wasn't made for the web.
pub const LOGO_BYTES_MAX: usize = 256 * 1024;
/// Longest side in pixels: browsers unpack the whole picture, however small it is shown.
const SIDE_MAX: u32 = 4_096;
/// How large it is shown at most, in CSS pixels.
const SHOWN_HEIGHT_MAX: u32 = 40;
const SHOWN_WIDTH_MAX: u32 = 240;
/// Hexadecimal digits of the name's hash.
const NAME_LEN: usize = 12;

/// A picture that pages may show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its kind.
    pub kind: LogoKind,
    /// Its size in pixels.
    pub size: (u32, u32),
    /// What its address ends with: of its content, so that it may be kept for good.
    pub name: String,
}

/// What browsers can show and people have logos in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogoKind {
    /// Scalable; shown as a picture, in which no browser runs anything.
    Svg,
    /// Pixels.
    Png,
    /// Pixels.
    WebP,
}

/// Why a file is no logo.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogo {
    /// It is too large.
    #[error("has {0} octets, {LOGO_BYTES_MAX} at most; save it smaller")]
    TooLarge(usize),
    /// It is something else.
    #[error("is neither a PNG, an SVG in UTF-8 nor a WebP; save it as one of these")]
    Unknown,
    /// Its size can't be read.
    #[error("doesn't tell its size; give an SVG a `viewBox` or `width` and `height`, save others anew")]
    NoSize,
    /// It has too many pixels.
    #[error("has {0} × {1} pixels, {SIDE_MAX} to a side at most; save it smaller")]
    TooManyPixels(u32, u32),
    /// It could run or fetch something.
    #[error("holds `{0}`, by which an SVG can run or fetch something; save it as plain SVG, or as PNG")]
    NotStill(String),
}

impl LogoKind {
    /// The media type.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Svg => "svg",
            Self::Png => "png",
            Self::WebP => "webp",
        }
    }
}

impl Logo {
    /// Reads a file, by its content and not by its name.
    ///
    /// # Errors
    /// [`BadLogo`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, BadLogo> {
        if bytes.len() > LOGO_BYTES_MAX {
            return Err(BadLogo::TooLarge(bytes.len()));
        }
        let (kind, size) = if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            (LogoKind::Png, png_size(&bytes))
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            (LogoKind::WebP, webp_size(&bytes))
        } else {
            let text = std::str::from_utf8(&bytes).map_err(|_| BadLogo::Unknown)?;
            let root = svg_root(text).ok_or(BadLogo::Unknown)?;
            if let Some(found) = alive(text) {
                return Err(BadLogo::NotStill(found));
            }
            (LogoKind::Svg, svg_size(root))
        };
        let (width, height) = size.filter(|(width, height)| *width > 0 && *height > 0).ok_or(BadLogo::NoSize)?;
        if width.max(height) > SIDE_MAX {
            return Err(BadLogo::TooManyPixels(width, height));
        }
        let name = format!("{}.{}", &ids::content_hash(&bytes)[..NAME_LEN], kind.ending());
        Ok(Self { bytes, kind, size: (width, height), name })
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/logo/{}", self.name)
    }

    /// How large it is shown, in its own proportions.
    #[must_use]
    pub fn shown(&self) -> (u32, u32) {
        let (width, height) = self.size;
        let at_height = |shown: u32| (width * shown).div_ceil(height).max(1);
        let shown = SHOWN_HEIGHT_MAX.min((height * SHOWN_WIDTH_MAX / width).max(1));
        (at_height(shown).min(SHOWN_WIDTH_MAX), shown)
    }

    /// Whether the networks that show pictures of pages take it: none of them reads SVG.
    #[must_use]
    pub fn is_pixels(&self) -> bool {
        self.kind != LogoKind::Svg
    }
}

/// The first chunk of a PNG is its header (PNG, third edition, section 11.2.1).
fn png_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    (bytes.get(12..16)? == b"IHDR").then_some((side(16)?, side(20)?))
}

/// The three forms of a WebP each have their own header (RFC 9649 sections 2.5 to 2.7).
fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let octet = |at: usize| bytes.get(at).map(|octet| u32::from(*octet));
    let pair = |at: usize| Some(octet(at)? | octet(at + 1)? << 8);
    let triple = |at: usize| Some(pair(at)? | octet(at + 2)? << 16);
    match bytes.get(12..16)? {
        b"VP8X" => Some((triple(24)? + 1, triple(27)? + 1)),
        b"VP8L" => {
            let bits = pair(21)? | pair(23)? << 16;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        b"VP8 " => Some((pair(26)? & 0x3fff, pair(28)? & 0x3fff)),
        _ => None,
    }
}

/// The opening tag of the root element, if the file begins as SVG does: declarations and remarks may stand before it.
fn svg_root(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        if let Some(after) = rest.strip_prefix("<?xml") {
            rest = after.split_once("?>")?.1.trim_start();
        } else if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->")?.1.trim_start();
        } else if let Some(after) = rest.strip_prefix("<!DOCTYPE svg") {
            rest = after.split_once('>')?.1.trim_start();
        } else {
            let is_root = rest.strip_prefix("<svg").is_some_and(|after| after.starts_with(|c: char| c.is_whitespace()));
            return is_root.then(|| rest.split_once('>').map(|(tag, _)| tag))?;
        }
    }
}

/// By `width` and `height` in pixels, or else by the `viewBox`.
fn svg_size(root: &str) -> Option<(u32, u32)> {
    let pixels = |text: &str| {
        let number = text.trim().trim_end_matches("px").parse::<f64>().ok()?;
        (number >= 0.5 && number <= f64::from(u32::MAX)).then(|| number.round() as u32)
    };
    let sides = (attribute(root, "width").and_then(pixels), attribute(root, "height").and_then(pixels));
    if let (Some(width), Some(height)) = sides {
        return Some((width, height));
    }
    let mut numbers = attribute(root, "viewBox")?.split(|c: char| c.is_whitespace() || c == ',');
    let mut sides = numbers.by_ref().filter(|part| !part.is_empty()).skip(2);
    Some((pixels(sides.next()?)?, pixels(sides.next()?)?))
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.match_indices(name).find_map(|(at, _)| {
        let is_whole = tag[..at].ends_with(|c: char| c.is_whitespace());
        let value = tag[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let quote = value.chars().next().filter(|c| is_whole && matches!(c, '"' | '\''))?;
        value[1..].split(quote).next()
    })
}

/// What in an SVG can run or fetch something. A browser that shows it as a picture does neither, and our headers forbid it to one that
/// opens it alone; but a file that wants to is not the logo that somebody meant to give.
fn alive(text: &str) -> Option<String> {
    const NEVER: [&str; 8] =
        ["<script", "<foreignobject", "<iframe", "<!entity", "<?xml-stylesheet", "javascript:", "@import", ":script"];
    let lower = text.to_ascii_lowercase();
    if let Some(found) = NEVER.iter().find(|word| lower.contains(**word)) {
        return Some((*found).to_owned());
    }
    handler(&lower).or_else(|| outward(&lower))
}

/// An attribute such as `onload=`.
fn handler(lower: &str) -> Option<String> {
    lower.match_indices("on").find_map(|(at, _)| {
        let begins = lower[..at].ends_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/'));
        let name: String = lower[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
        let is_given = lower[at + name.len()..].trim_start().starts_with('=');
        (begins && is_given && name.len() > 2).then_some(name)
    })
}

/// A reference to something that isn't in the file.
fn outward(lower: &str) -> Option<String> {
    let is_inside = |value: &str| value.is_empty() || value.starts_with('#') || value.starts_with("data:image/");
    let href = lower.match_indices("href").find_map(|(at, _)| {
        let value = lower[at + 4..].trim_start().strip_prefix('=')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        let value = value.split(['"', '\'']).next().unwrap_or_default().trim();
        (!is_inside(value) || value.starts_with("data:image/svg")).then(|| format!("href={value}"))
    });
    let url = || {
        lower.match_indices("url(").find_map(|(at, _)| {
            let value = lower[at + 4..].split(')').next().unwrap_or_default();
            let value = value.replace("&quot;", "\"").replace("&apos;", "'");
            let value = value.trim().trim_matches(['"', '\'']).trim().to_owned();
            (!is_inside(&value)).then(|| format!("url({value})"))
        })
    };
    href.or_else(url).map(|found| found.chars().take(80).collect())
}

#[cfg(test)]
#[path = "logo_tests.rs"]
mod tests;

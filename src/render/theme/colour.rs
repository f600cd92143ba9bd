//! Colours, and how well one is read on another.

use serde::{Serialize, Serializer};

/// Steps in which a readable neighbour of a colour is looked for.
const STEPS: u8 = 40;

/// A colour of the sRGB space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour([u8; 3]);

impl Colour {
    pub(super) const WHITE: Self = Self([0xff; 3]);
    pub(super) const BLACK: Self = Self([0; 3]);

    /// By its parts of red, green and blue.
    pub(super) const fn new(channels: [u8; 3]) -> Self {
        Self(channels)
    }

    /// Reads `#rrggbb`, the one spelling that every style sheet understands.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let channel = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_plain.then_some(Self([channel(0)?, channel(2)?, channel(4)?]))
    }

    /// How bright it looks, from 0 to 1 (WCAG 2.2, "relative luminance").
    fn luminance(self) -> f64 {
        let linear = |channel: u8| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = self.0.map(linear);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    /// How well one is read on the other, from 1 to 21.
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance(), other.luminance());
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// A mixture: `step` of [`STEPS`] parts are the other colour.
    fn mixed(self, other: Self, step: u8) -> Self {
        let (part, whole) = (u16::from(step), u16::from(STEPS));
        let mix = |index: usize| {
            let sum = u16::from(self.0[index]) * (whole - part) + u16::from(other.0[index]) * part;
            u8::try_from(sum / whole).unwrap_or(u8::MAX)
        };
        Self([mix(0), mix(1), mix(2)])
    }

    /// The nearest darker or lighter one that fits.
    pub(super) fn nearest(self, fits: impl Fn(Self) -> bool) -> Option<Self> {
        let steps = (1..=STEPS).flat_map(|step| [self.mixed(Self::BLACK, step), self.mixed(Self::WHITE, step)]);
        steps.into_iter().find(|colour| fits(*colour))
    }
}

impl std::fmt::Display for Colour {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b] = self.0;
        write!(out, "#{r:02x}{g:02x}{b:02x}")
    }
}

impl Serialize for Colour {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contrast_is_that_of_wcag() {
        let of = |one: &str, other: &str| {
            let contrast = Colour::parse(one).expect("a colour").contrast(Colour::parse(other).expect("a colour"));
            format!("{contrast:.2}")
        };
        assert_eq!((of("#000000", "#ffffff"), of("#ff0000", "#FFFFFF")), ("21.00".to_owned(), "4.00".to_owned()));
        // Two greys on either side of the border, as WCAG's own examples have them.
        assert_eq!((of("#777777", "#ffffff"), of("#767676", "#ffffff")), ("4.48".to_owned(), "4.54".to_owned()));
    }
}

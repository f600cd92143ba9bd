//! A letter as it comes over the wire: dots are unstuffed, and the final one is found (RFC 5321 section 4.5.2).

/// Where in a line the last octet stands. Only CR LF ends a line: a bare LF before a dot would let somebody hide a second
/// letter in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Spot {
    LineStart,
    Dot,
    DotCr,
    Text,
    Cr,
}

/// A letter that is being read.
pub(super) struct Letter {
    bytes: Vec<u8>,
    len_max: usize,
    is_too_long: bool,
    spot: Spot,
}

impl Letter {
    /// A letter of which at most `len_max` octets are kept.
    pub(super) fn new(len_max: usize) -> Self {
        Self { bytes: Vec::new(), len_max, is_too_long: false, spot: Spot::LineStart }
    }

    /// Takes what was heard. Returns how much of it belongs to the letter, and whether that is whole now.
    pub(super) fn push(&mut self, heard: &[u8]) -> (usize, bool) {
        for (index, octet) in heard.iter().enumerate() {
            self.spot = match (self.spot, *octet) {
                (Spot::DotCr, b'\n') => return (index + 1, true),
                (Spot::LineStart, b'.') => Spot::Dot,
                (Spot::Dot, b'\r') => Spot::DotCr,
                (Spot::Cr, b'\n') => self.keep(b"\n", Spot::LineStart),
                (Spot::DotCr, b'\r') => self.keep(b"\r", Spot::Cr),
                (Spot::DotCr, other) => self.keep(&[b'\r', other], Spot::Text),
                (_, b'\r') => self.keep(b"\r", Spot::Cr),
                (_, other) => self.keep(&[other], Spot::Text),
            };
        }
        (heard.len(), false)
    }

    fn keep(&mut self, octets: &[u8], spot: Spot) -> Spot {
        if self.bytes.len() + octets.len() > self.len_max {
            self.is_too_long = true;
        } else {
            self.bytes.extend_from_slice(octets);
        }
        spot
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

//! One part of a letter, encoded ahead: what all recipients share is encoded once, and what is personal is joined to it.

use super::RenderError;
use super::pieces::{Only, Personal, Span, spans, without_marks};
use super::templates::escape;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Body;
use lettre::message::header::ContentTransferEncoding;

/// How personal values are written into a part.
#[derive(Clone, Copy)]
pub(super) enum Spelling {
    /// As they are.
    Plain,
    /// With markup escaped.
    Html,
}

/// A part, ready to be filled in.
pub(super) struct Part {
    header: Vec<u8>,
    spelling: Spelling,
    encoding: ContentTransferEncoding,
    spans: Vec<(Only, Encoded)>,
}

enum Encoded {
    /// Quoted-printable that begins and, by a soft line break, ends at the beginning of a line.
    Quoted(Vec<u8>),
    /// Base64: three octets make four characters, so it depends on how many octets of the text before are left over
    /// what comes first. One form for each of the three cases.
    Base64(Vec<u8>, [Vec<u8>; 3]),
    Greeting,
    LeaveUrl,
    ManageUrl,
}

/// Characters of a base64 line, and the octets that make one (RFC 2045 section 6.8).
const LINE_OCTETS: usize = 57;

impl Part {
    /// Always encoded, so that lines stay short and no relay has a reason to touch them: as quoted-printable, or as
    /// base64 where that is shorter (an octet outside ASCII costs three or four thirds).
    pub(super) fn new(kind: &str, part: &str, spelling: Spelling) -> Result<Self, RenderError> {
        let foreign = part.bytes().filter(|byte| !byte.is_ascii()).count();
        let is_mostly_ascii = foreign * 6 < part.len();
        let (encoding, name) = if is_mostly_ascii {
            (ContentTransferEncoding::QuotedPrintable, "quoted-printable")
        } else {
            (ContentTransferEncoding::Base64, "base64")
        };
        let part = part.replace("\r\n", "\n").replace('\n', "\r\n");
        let encoded = |(only, span): (Only, Span)| {
            let encoded = match span {
                Span::Shared(text) if is_mostly_ascii => Encoded::Quoted(quoted(text)?),
                Span::Shared(text) => base64(text.into_bytes()),
                Span::Greeting => Encoded::Greeting,
                Span::LeaveUrl => Encoded::LeaveUrl,
                Span::ManageUrl => Encoded::ManageUrl,
            };
            Ok((only, encoded))
        };
        let header =
            format!("Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: {name}\r\n\r\n").into_bytes();
        let spans = spans(&part).into_iter().map(encoded).collect::<Result<_, RenderError>>()?;
        Ok(Self { header, spelling, encoding, spans })
    }

    /// Octets of what all recipients share, about.
    pub(super) fn len(&self) -> usize {
        let len = |(_, span): &(Only, Encoded)| match span {
            Encoded::Quoted(bytes) => bytes.len(),
            Encoded::Base64(_, [bytes, ..]) => bytes.len(),
            Encoded::Greeting | Encoded::LeaveUrl | Encoded::ManageUrl => 256,
        };
        self.header.len() + self.spans.iter().map(len).sum::<usize>()
    }

    /// Appends the part with its header; no line end follows it.
    pub(super) fn fill(&self, personal: Personal<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.header);
        let spans = self.spans.iter().filter(|(only, _)| only.holds(personal)).map(|(_, span)| span);
        match self.encoding {
            ContentTransferEncoding::QuotedPrintable => self.fill_quoted(spans, personal, out),
            _ => self.fill_base64(spans, personal, out),
        }
    }

    fn spelt(&self, value: Option<&str>) -> String {
        let value = without_marks(value.unwrap_or_default());
        match self.spelling {
            Spelling::Plain => value,
            Spelling::Html => escape(&value),
        }
    }

    fn fill_quoted<'a>(&self, spans: impl Iterator<Item = &'a Encoded>, personal: Personal<'_>, out: &mut Vec<u8>) {
        for span in spans {
            let value = match span {
                Encoded::Quoted(bytes) => {
                    out.extend_from_slice(bytes);
                    continue;
                }
                Encoded::LeaveUrl => personal.unsubscribe_url,
                Encoded::ManageUrl => personal.manage_url,
                _ => personal.greeting,
            };
            // Every octet can be quoted, so this can't fail.
            out.extend_from_slice(&quoted(self.spelt(value)).unwrap_or_default());
        }
        if out.ends_with(SOFT_BREAK) {
            out.truncate(out.len() - SOFT_BREAK.len());
        }
    }

    fn fill_base64<'a>(&self, spans: impl Iterator<Item = &'a Encoded>, personal: Personal<'_>, out: &mut Vec<u8>) {
        let mut left: Vec<u8> = Vec::with_capacity(256);
        for span in spans {
            let value = match span {
                Encoded::Base64(octets, forms) => {
                    let wanted = ((3 - left.len() % 3) % 3).min(octets.len());
                    left.extend_from_slice(&octets[..wanted]);
                    whole_lines(&mut left, out);
                    if left.is_empty() {
                        out.extend_from_slice(&forms[wanted]);
                        let rest = (octets.len() - wanted) % 3;
                        left.extend_from_slice(&octets[octets.len() - rest..]);
                    }
                    continue;
                }
                Encoded::LeaveUrl => personal.unsubscribe_url,
                Encoded::ManageUrl => personal.manage_url,
                _ => personal.greeting,
            };
            left.extend_from_slice(self.spelt(value).as_bytes());
            whole_lines(&mut left, out);
        }
        if left.is_empty() {
            // The line end of the last line belongs to the boundary.
            out.truncate(out.len() - b"\r\n".len());
        } else {
            push_line(&left, out);
        }
    }
}

/// Ends a line of quoted-printable without a line end in the text.
const SOFT_BREAK: &[u8] = b"=\r\n";

fn quoted(text: String) -> Result<Vec<u8>, RenderError> {
    let ends_line = text.ends_with('\n');
    let body = Body::new_with_encoding(text, ContentTransferEncoding::QuotedPrintable)
        .map_err(|_| RenderError::Field { field: "body", reason: "it can't be encoded" })?;
    let mut encoded = body.into_vec();
    if !ends_line && !encoded.is_empty() {
        encoded.extend_from_slice(SOFT_BREAK);
    }
    Ok(encoded)
}

/// The forms of a stretch of which none, one or two octets were used up before.
fn base64(octets: Vec<u8>) -> Encoded {
    let form = |used: usize| {
        let mut out = Vec::with_capacity(octets.len() * 3 / 2);
        let rest = octets.get(used..).unwrap_or_default();
        for line in rest[..rest.len() / 3 * 3].chunks(LINE_OCTETS) {
            push_line(line, &mut out);
            out.extend_from_slice(b"\r\n");
        }
        out
    };
    let forms = [form(0), form(1), form(2)];
    Encoded::Base64(octets, forms)
}

/// Writes as many octets as make whole groups of three, as lines; what is over stays.
fn whole_lines(octets: &mut Vec<u8>, out: &mut Vec<u8>) {
    let whole = octets.len() / 3 * 3;
    for line in octets[..whole].chunks(LINE_OCTETS) {
        push_line(line, out);
        out.extend_from_slice(b"\r\n");
    }
    octets.drain(..whole);
}

fn push_line(octets: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + octets.len().div_ceil(3) * 4, 0);
    // The room is exactly what it takes.
    let _ = STANDARD.encode_slice(octets, &mut out[start..]);
}

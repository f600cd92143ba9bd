//! The form in which a letter is signed: `relaxed` for header and body (RFC 6376 sections 3.4.2 and 3.4.4), which survives
//! relays that fold header lines anew or take spaces off the ends of lines.

use aws_lc_rs::digest::{Context, Digest, SHA256};

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// The fields of a header, each with its folded lines and its line end.
pub(super) fn fields(header: &[u8]) -> Vec<&[u8]> {
    let (mut fields, mut start) = (Vec::with_capacity(16), 0);
    for end in memchr::memchr_iter(b'\n', header) {
        let goes_on = header.get(end + 1).copied().is_some_and(is_space);
        if !goes_on {
            fields.push(&header[start..=end]);
            start = end + 1;
        }
    }
    fields
}

/// A field's name; empty if it has none that can be read.
pub(super) fn name(field: &[u8]) -> &str {
    let end = memchr::memchr(b':', field).unwrap_or(0);
    std::str::from_utf8(&field[..end]).unwrap_or_default().trim_ascii_end()
}

/// Appends a field without a line end: its name in lower case, its value on one line, spaces made one.
pub(super) fn field(field: &[u8], out: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    out.extend(field[..colon].trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let start = out.len();
    let mut is_gap = false;
    for byte in &field[(colon + 1).min(field.len())..] {
        if is_space(*byte) || matches!(byte, b'\r' | b'\n') {
            is_gap = true;
            continue;
        }
        if std::mem::take(&mut is_gap) && out.len() > start {
            out.push(b' ');
        }
        out.push(*byte);
    }
}

/// The SHA-256 of a body whose lines end with CRLF: no space before a line end, spaces made one, no empty lines at the end.
pub(super) fn body_hash(body: &[u8]) -> Digest {
    let mut hash = Context::new(&SHA256);
    let len =
        body.iter().rposition(|byte| !is_space(*byte) && !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
    let body = &body[..len];
    let (mut from, mut at) = (0, 0);
    // Most spaces stand alone between words and change nothing, so that long stretches are hashed at once.
    while let Some(found) = memchr::memchr2(b' ', b'\t', &body[at..]) {
        let start = at + found;
        at = start + body[start..].iter().take_while(|byte| is_space(**byte)).count();
        let ends_line = body[at..].starts_with(b"\r\n");
        if ends_line || at - start > 1 || body[start] == b'\t' {
            hash.update(&body[from..start]);
            hash.update(if ends_line { b"" } else { b" " });
            from = at;
        }
    }
    hash.update(&body[from..]);
    if !body.is_empty() {
        hash.update(b"\r\n");
    }
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::digest::digest;

    fn same(body: &str, canonical: &str) {
        assert_eq!(body_hash(body.as_bytes()).as_ref(), digest(&SHA256, canonical.as_bytes()).as_ref(), "{body:?}");
    }

    /// The example of RFC 6376 section 3.4.5.
    #[test]
    fn the_example_of_the_standard() {
        let header = b"A: X\r\nB : Y\t\r\n\tZ  \r\n";
        let mut out = Vec::new();
        for one in fields(header) {
            field(one, &mut out);
            out.extend_from_slice(b"\r\n");
        }
        assert_eq!(out, b"a:X\r\nb:Y Z\r\n");
        assert_eq!(fields(header).into_iter().map(name).collect::<Vec<_>>(), ["A", "B"]);
        same(" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n");
    }

    #[test]
    fn spaces_and_ends() {
        same("", "");
        same("\r\n\r\n", "");
        same("a", "a\r\n");
        same("a \t\r\n \r\n\r\nb  c\td\r\n \t\r\n\r\n", "a\r\n\r\n\r\nb c d\r\n");
        same("one two\r\n  three", "one two\r\n three\r\n");
    }
}

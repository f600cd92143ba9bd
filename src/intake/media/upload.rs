//! What somebody brings along for a post that they write here: judged by what it is, whatever it says that it is.

use super::keep;
use crate::store::media::{Copy, MediaKind};
use std::path::Path;

/// Octets of a file at most: mail readers fetch it over the telephone.
pub const UPLOAD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// What the octets of a document begin with, and what it is then. HTML, SVG and scripts are none: they would run where they are shown.
const KINDS: [(&[u8], &str); 4] = [
    (b"%PDF-", "application/pdf"),
    // Office documents of today (docx, xlsx, pptx, hwpx, odt) and archives.
    (b"PK\x03\x04", "application/zip"),
    // Office documents of yesterday (doc, xls, ppt, hwp).
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "application/x-ole-storage"),
    (b"HWP Document File", "application/x-hwp"),
];
/// Types of documents by the ends of their names, where what they begin with doesn't tell.
const NAMED: [(&str, &str); 8] = [
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("hwpx", "application/hwp+zip"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("hwp", "application/x-hwp"),
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
];

/// Why something isn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is larger than [`UPLOAD_BYTES_MAX`], or empty.
    Size,
    /// It is no picture (JPEG, PNG, GIF, WebP) that can be read.
    NoPicture,
    /// It is no document that is handed on.
    NoDocument,
    /// It could not be written.
    Disk,
}

/// Keeps a picture in the folder of copies, with a smaller one where it is large.
///
/// # Errors
/// [`Unfit`].
pub fn picture(folder: &Path, bytes: &[u8]) -> Result<Copy, Unfit> {
    if bytes.is_empty() || bytes.len() > UPLOAD_BYTES_MAX {
        return Err(Unfit::Size);
    }
    keep(folder, MediaKind::Picture, bytes, None).map_err(|missing| match missing.is_for_good {
        true => Unfit::NoPicture,
        false => Unfit::Disk,
    })
}

/// Keeps a document in the folder of copies.
///
/// # Errors
/// [`Unfit`].
pub fn document(folder: &Path, name: &str, bytes: &[u8]) -> Result<Copy, Unfit> {
    if bytes.is_empty() || bytes.len() > UPLOAD_BYTES_MAX {
        return Err(Unfit::Size);
    }
    let media_type = document_type(name, bytes).ok_or(Unfit::NoDocument)?;
    keep(folder, MediaKind::File, bytes, Some(media_type)).map_err(|_| Unfit::Disk)
}

fn document_type(name: &str, bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = KINDS.into_iter().find(|(begins, _)| bytes.starts_with(begins)) {
        let end = name.rsplit('.').next().unwrap_or_default().to_lowercase();
        let named = NAMED.into_iter().find(|(known, _)| *known == end && !kind.ends_with("pdf"));
        return Some(named.map_or(kind, |(_, media_type)| media_type));
    }
    if let Ok(format) = image::guess_format(bytes) {
        return match format {
            image::ImageFormat::Jpeg => Some("image/jpeg"),
            image::ImageFormat::Png => Some("image/png"),
            _ => None,
        };
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = !text.contains('<') && !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let is_text = [".txt", ".csv", ".ics"].iter().any(|end| name.to_lowercase().ends_with(end));
    (is_plain && is_text).then_some("text/plain")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_run_is_refused_whatever_it_is_called() {
        for bytes in [
            &b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"[..],
            b"<!doctype html><script>1</script>",
            b"MZ\x90\x00",
            b"#!/bin/sh\n",
        ] {
            assert_eq!(document_type("notice.pdf", bytes), None);
        }
        assert_eq!(document_type("a.txt", b"<b>"), None);
        assert_eq!(document_type("a.txt", "안내".as_bytes()), Some("text/plain"));
        assert_eq!(document_type("a.HWPX", b"PK\x03\x04..."), Some("application/hwp+zip"));
        assert_eq!(document_type("a.hwpx", b"%PDF-1.7"), Some("application/pdf"));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(picture(folder.path(), b"<svg/>"), Err(Unfit::NoPicture));
        assert_eq!(picture(folder.path(), b""), Err(Unfit::Size));
    }
}

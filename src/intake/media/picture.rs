//! Looks into a picture: what it is, how large, and a smaller one where it is larger than pages show it.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits};
use std::io::Cursor;

/// Pages show a picture this wide at most, in pixels: their column on a screen of double density.
const WIDTH_MAX: u32 = 1_280;
/// A picture may have sides of so many pixels, and take so many octets when it is unpacked.
const SIDE_MAX: u32 = 16_000;
const UNPACKED_MAX: u64 = 160 * 1024 * 1024;
/// Of 100; more isn't seen.
const JPEG_QUALITY: u8 = 82;

/// A picture.
pub(super) struct Read {
    pub media_type: &'static str,
    /// As it is to be shown, in pixels.
    pub width: u32,
    pub height: u32,
    pub small: Option<Small>,
}

/// A smaller one.
pub(super) struct Small {
    pub media_type: &'static str,
    pub bytes: Vec<u8>,
    pub width: u32,
    pub height: u32,
}

/// Reads a picture by what it is, whatever it says that it is.
///
/// # Errors
/// Why it can't be shown, in words.
pub(super) fn read(bytes: &[u8]) -> Result<Read, String> {
    let format = image::guess_format(bytes).map_err(|_| "it is no picture of a kind that we know".to_owned())?;
    let media_type = match format {
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Png => "image/png",
        ImageFormat::Gif => "image/gif",
        ImageFormat::WebP => "image/webp",
        _ => return Err("it is no JPEG, PNG, GIF or WebP".to_owned()),
    };
    let words = |error: image::ImageError| error.to_string();
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(UNPACKED_MAX);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(words)?;
    // The decoders see to the sides alone.
    limits.reserve(decoder.total_bytes()).map_err(words)?;
    // Cameras store pictures as they held them, and note how they are to be turned.
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).map_err(words)?;
    picture.apply_orientation(turned);
    let (width, height) = (picture.width(), picture.height());
    // One that moves would stand still.
    let small =
        (width > WIDTH_MAX && format != ImageFormat::Gif).then(|| shrink(&picture)).transpose().map_err(words)?;
    let small = small.filter(|small| small.bytes.len() < bytes.len());
    Ok(Read { media_type, width, height, small })
}

fn shrink(picture: &DynamicImage) -> Result<Small, image::ImageError> {
    let small = picture.thumbnail(WIDTH_MAX, SIDE_MAX);
    let mut bytes = Vec::new();
    let media_type = if picture.color().has_alpha() {
        small.write_with_encoder(PngEncoder::new(&mut bytes))?;
        "image/png"
    } else {
        small.to_rgb8().write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
        "image/jpeg"
    };
    Ok(Small { media_type, bytes, width: small.width(), height: small.height() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jpeg(width: u32, height: u32) -> Vec<u8> {
        let picture = image::RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, (x ^ y) as u8]));
        let mut bytes = Vec::new();
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 95)).unwrap();
        bytes
    }

    #[test]
    fn a_large_picture_gets_a_smaller_one_of_the_same_shape() {
        let read = read(&jpeg(2_560, 1_000)).unwrap();
        assert_eq!((read.media_type, read.width, read.height), ("image/jpeg", 2_560, 1_000));
        let small = read.small.expect("a smaller one");
        assert_eq!((small.width, small.height), (1_280, 500));
        let again = super::read(&small.bytes).unwrap();
        assert_eq!((again.width, again.height, again.small.is_none()), (1_280, 500, true));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        for bytes in
            [&b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..], b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"%PDF-1.7"]
        {
            assert!(read(bytes).is_err());
        }
        let whole = jpeg(64, 64);
        assert!(read(&whole[..whole.len() / 3]).is_err());
        // Small when it is packed, and more than anybody has room for.
        let mut bytes = Vec::new();
        let blank = image::GrayImage::new(9_000, 9_000);
        blank.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
        assert!(bytes.len() < 1_000_000 && read(&bytes).is_ok());
        let (mut bytes, blank) = (Vec::new(), image::RgbaImage::new(9_000, 9_000));
        blank.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
        assert!(bytes.len() < 2_000_000 && read(&bytes).is_err());
        // A header that promises more than anybody has room for.
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bomb.extend([0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 8, 6, 0, 0, 0, 0, 0, 0, 0]);
        assert!(read(&bomb).is_err());
    }
}

use super::*;

fn svg(inner: &str) -> Result<Logo, BadLogo> {
    Logo::read(format!("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 120 40\">{inner}</svg>").into_bytes())
}

#[test]
fn pictures_are_known_by_their_content() {
    let still = "<style>.a{fill:url(#g)}</style><title>On = off</title><use href='#a'/><path d=\"M0 0\"/>";
    let logo = svg(still).expect("a logo");
    assert_eq!((logo.kind, logo.size, logo.shown()), (LogoKind::Svg, (120, 40), (120, 40)));
    assert!(logo.name.ends_with(".svg") && logo.path() == format!("/logo/{}", logo.name) && !logo.is_pixels());
    let sized =
        "\u{feff}<?xml version=\"1.0\"?>\n<!-- x -->\n<svg width='800px' height=\"100\" stroke-width=\"3\"></svg>";
    let logo = Logo::read(sized.as_bytes().to_vec()).expect("a logo");
    assert_eq!((logo.size, logo.shown()), ((800, 100), (240, 30)));

    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend([0, 0, 1, 0, 0, 0, 0, 64, 8, 6, 0, 0, 0]);
    let logo = Logo::read(png.clone()).expect("a logo");
    assert_eq!((logo.kind, logo.size, logo.is_pixels()), (LogoKind::Png, (256, 64), true));
    png[18] = 0xff;
    assert_eq!(Logo::read(png).expect_err("large"), BadLogo::TooManyPixels(0xff00, 64));

    let mut extended = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0".to_vec();
    extended.extend([0x1f, 1, 0, 0x3f, 0, 0]);
    assert_eq!(Logo::read(extended).expect("a logo").size, (288, 64));
    let mut lossless = b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f".to_vec();
    lossless.extend(((99u32) | (49 << 14)).to_le_bytes());
    assert_eq!(Logo::read(lossless).expect("a logo").size, (100, 50));
    let mut lossy = b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a".to_vec();
    lossy.extend([200, 0, 50, 0]);
    assert_eq!(Logo::read(lossy).expect("a logo").size, (200, 50));
}

#[test]
fn what_is_no_still_picture_is_refused() {
    for inner in [
        "<script>alert(1)</script>",
        "<SCRIPT href=\"#a\"/>",
        "<svg:script>x</svg:script>",
        "<rect onload=\"x()\"/>",
        "<rect\nonClick = 'x()'/>",
        "<a href=\"javascript:x()\"/>",
        "<a xlink:href=\"https://elsewhere.example/\"/>",
        "<image href=\"//elsewhere.example/a.png\"/>",
        "<image href='data:text/html,x'/>",
        "<image href='data:image/svg+xml,x'/>",
        "<foreignObject/>",
        "<style>@import 'a.css'</style>",
        "<rect style=\"fill:url(https://elsewhere.example/)\"/>",
    ] {
        assert!(matches!(svg(inner), Err(BadLogo::NotStill(_))), "{inner}: {:?}", svg(inner));
    }
    let entity = "<!DOCTYPE svg [<!ENTITY a \"x\">]><svg viewBox=\"0 0 1 1\"></svg>";
    for none in [&b"GIF89a"[..], b"", b"\xff\xfe<\0s\0", b"<html><svg ></svg></html>", entity.as_bytes(), b"<svgx >"] {
        assert_eq!(Logo::read(none.to_vec()).expect_err("no picture"), BadLogo::Unknown, "{none:?}");
    }
    for shapeless in
        [&b"<svg ></svg>"[..], b"<svg width=\"100%\" height=\"2em\"></svg>", b"<svg viewBox=\"0 0 0 4\"></svg>"]
    {
        assert_eq!(Logo::read(shapeless.to_vec()).expect_err("no size"), BadLogo::NoSize, "{shapeless:?}");
    }
    assert_eq!(Logo::read(vec![b' '; LOGO_BYTES_MAX + 1]).expect_err("large"), BadLogo::TooLarge(LOGO_BYTES_MAX + 1));
}

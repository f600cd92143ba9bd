//! From the bytes of a feed to its text, whatever it is written in: feeds of old systems are in EUC-KR, GBK or UTF-16, and say so in
//! the header, in the XML declaration, in both, or nowhere.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Of so many characters one may be broken: systems that cut texts by octets break one here and there, and a feed in another encoding
/// than it says is broken throughout.
const BROKEN_ONE_IN: usize = 200;
/// Octets in which the XML declaration stands.
const DECLARATION_LEN_MAX: usize = 200;

/// The text, without byte-order mark and XML declaration.
///
/// # Errors
/// What is wrong with it.
pub(super) fn decoded(bytes: &[u8], content_type: Option<&str>) -> Result<String, String> {
    let candidates: Vec<&'static Encoding> = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => vec![encoding],
        None => [in_header(content_type), in_declaration(bytes), Some(UTF_8)].into_iter().flatten().collect(),
    };
    for encoding in &candidates {
        let (text, _) = encoding.decode_with_bom_removal(bytes);
        let broken = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER).count();
        if broken * BROKEN_ONE_IN <= text.chars().count() {
            return Ok(without_declaration(&text).to_owned());
        }
    }
    let named = candidates.first().map_or("UTF-8", |encoding| encoding.name());
    Err(format!("its characters aren't {named}, as it says or leaves to be understood"))
}

/// `charset` of a media type.
fn in_header(content_type: Option<&str>) -> Option<&'static Encoding> {
    let parameter = |part: &str| {
        let (name, value) = part.split_once('=')?;
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        is_charset.then(|| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    Encoding::for_label(content_type?.split(';').skip(1).find_map(parameter)?.as_bytes())
}

/// `encoding` of an XML declaration. Its own letters tell two octets a character from one.
fn in_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    match bytes {
        [b'<' | b'{', 0, ..] => return Some(UTF_16LE),
        [0, b'<' | b'{', ..] => return Some(UTF_16BE),
        _ => {}
    }
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_LEN_MAX)]).into_owned();
    let declaration = head.trim_start().strip_prefix("<?xml")?.split("?>").next()?;
    let (_, value) = declaration.split_once("encoding")?;
    let label = value.trim_start().strip_prefix('=')?.trim_start().split(['"', '\'']).nth(1)?;
    // What could be read so far isn't UTF-16, whatever it says.
    Encoding::for_label(label.as_bytes()).filter(|encoding| ![UTF_16LE, UTF_16BE].contains(encoding))
}

fn without_declaration(text: &str) -> &str {
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    match text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")) {
        Some((_, rest)) => rest.trim_start(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use encoding_rs::{EUC_KR, GBK};

    const KOREAN: &str = "<rss><title>공개 세미나 안내</title></rss>";

    #[test]
    fn old_encodings_are_read_wherever_they_are_named() {
        let (korean, ..) = EUC_KR.encode(KOREAN);
        assert_eq!(decoded(&korean, Some("text/xml; charset=\"euc-kr\"")).as_deref(), Ok(KOREAN));
        let declared = format!("<?xml version=\"1.0\" encoding='EUC-KR'?>\n{KOREAN}");
        assert_eq!(decoded(&EUC_KR.encode(&declared).0, None).as_deref(), Ok(KOREAN));
        // The header is wrong, the document right.
        assert_eq!(decoded(&EUC_KR.encode(&declared).0, Some("text/xml; charset=utf-8")).as_deref(), Ok(KOREAN));
        let chinese = "<?xml version=\"1.0\" encoding=\"gb2312\"?><rss>图书馆通知</rss>";
        assert_eq!(decoded(&GBK.encode(chinese).0, None).as_deref(), Ok("<rss>图书馆通知</rss>"));
        assert!(decoded(&korean, None).is_err(), "named nowhere");
    }

    #[test]
    fn two_octets_a_character() {
        let declared = format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{KOREAN}");
        let little: Vec<u8> = declared.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = declared.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let marked = [&[0xFF, 0xFE], &little[..]].concat();
        for bytes in [little, big, marked] {
            assert_eq!(decoded(&bytes, None).as_deref(), Ok(KOREAN));
        }
        // It says so and isn't.
        assert_eq!(decoded(declared.as_bytes(), None).as_deref(), Ok(KOREAN));
    }

    #[test]
    fn one_broken_character_is_no_other_encoding() {
        let mut bytes = format!("<rss>{}</rss>", "행사 안내 ".repeat(100)).into_bytes();
        bytes[6] = b'x';
        assert!(decoded(&bytes, None).expect("read").contains("행사 안내"));
    }
}

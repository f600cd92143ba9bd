//! Whatever bytes come, reading them ends with entries or with a reason.

use super::fetch::Document;
use super::read::read;
use proptest::prelude::*;

const WHOLE: &str = "<?xml version=\"1.0\"?><rss version=\"2.0\" xmlns:media=\"http://search.yahoo.com/mrss/\" xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\
<channel><title>소식</title><item><guid>1</guid><title>하나 &amp; 둘</title><link>/1</link><description><![CDATA[<p>본문</p>]]></description>\
<media:content url=\"a.jpg\" medium=\"image\"><media:title>강당</media:title></media:content><dc:rights>CC0 &amp; more</dc:rights></item>\
<item><title>图书馆</title></item></channel></rss>";

fn document(bytes: impl Into<Vec<u8>>) -> Document {
    Document { bytes: bytes.into(), content_type: None, url: "https://p.example/feeds/all.rss".to_owned() }
}

#[test]
fn entries_are_found_with_what_stands_beside() {
    let found = read(&document(WHOLE), 10).expect("a feed").entries;
    assert_eq!((found[0].key.as_str(), found[0].title.as_deref()), ("1", Some("하나 & 둘")));
    assert_eq!(found[0].link.as_deref(), Some("https://p.example/1"));
    assert_eq!(found[0].rights.as_deref(), Some("CC0 & more"));
    assert_eq!(found[0].images[0].url, "https://p.example/feeds/a.jpg");
    assert_eq!((found[0].images[0].title.as_deref(), found[0].body.0), (Some("강당"), "html"));
    assert!(found[1].link.is_none() && found[1].key.len() == crate::domain::ids::TEXT_ID_LEN);
    assert_eq!(read(&document(WHOLE), 1).expect("a feed").entries.len(), 1);
}

proptest! {
    #[test]
    fn nothing_makes_the_reader_stumble(at in 0..WHOLE.len(), length in 0..40usize, noise in proptest::collection::vec(any::<u8>(), 0..20)) {
        let mut bytes = WHOLE.as_bytes().to_vec();
        bytes.splice(at..(at + length).min(WHOLE.len()), noise);
        let _ = read(&document(bytes), 10);
    }

    #[test]
    fn nor_does_any_other_text(text in "(<[a-z:]{0,8}( [a-z]{1,4}=\"[^\"]{0,5}\")?/?>|&[a-z#0-9]{0,6};|[가-힣 {}\\[\\]\":,]){0,60}") {
        let _ = read(&document(text), 10);
    }
}

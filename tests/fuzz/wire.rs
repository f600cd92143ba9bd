//! Posts as content systems might send them, made of what breaks feeds, pages, mails and calendars.

use crate::words::{HARD, HOSTILE};
use allim::intake::wire::MESSAGE_BYTES_MAX;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

/// A character that stands for half of one, until the JSON is written.
const HALF: char = '\u{E000}';

/// A message, and what must be found again in whatever is made of it.
#[derive(Clone)]
pub struct Written {
    pub bytes: Vec<u8>,
    /// A word that the title begins with.
    pub mark: String,
    pub has_surrogate: bool,
}

impl std::fmt::Debug for Written {
    /// Long ones by their beginning: the failure names the place.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(&self.bytes);
        write!(f, "{}", text.chars().take(6_000).collect::<String>())
    }
}

fn hard() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec(select(HARD), 0..12).prop_map(|pieces| pieces.concat());
    prop_oneof![6 => pieces, 2 => any::<String>(), 1 => "\\PC{0,40}", 1 => Just(String::new())]
}

/// Rarely half a character: each text may hold one, and a post has many texts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![150 => hard(), 1 => hard().prop_map(|text| format!("{text}{HALF}x"))]
}

fn short(chars: usize) -> impl Strategy<Value = String> {
    text().prop_map(move |text| text.chars().take(chars).collect())
}

/// Addresses that are let in, with whatever may stand in one, and now and then one that isn't.
fn url() -> impl Strategy<Value = String> {
    let good = &[
        "https://board.example.org/view?id=1&page=2",
        "http://board.example.org",
        "HTTPS://Board.Example.ORG/%EA%B0%80?x=%22%3E",
        "https://한국.example/가나?다=라",
        "https://e.example/a;b,c:d@e!f$g'h(i)*j+k=l",
        "https://e.example/#frag\"<>",
        "https://user@e.example:8443/",
        "https://e.example/a b",
        "https://[2001:db8::1]/",
        "https://e.example/?q=]]>&r=</script>",
    ];
    let bad = &[
        "javascript:alert(1)",
        "data:text/html,x",
        "//e.example/",
        "/relative",
        "ftp://e.example/",
        "https://",
        "mailto:a@example.org",
    ];
    prop_oneof![40 => select(&good[..]).prop_map(str::to_owned), 1 => select(&bad[..]).prop_map(str::to_owned),
        2 => "[a-z]{1,9}".prop_map(|path| format!("https://e.example/{}", path.repeat(200)))]
}

/// A body: hostile HTML, deep or long, up to the limit of a message.
fn body() -> impl Strategy<Value = Value> {
    let piece = prop_oneof![2 => select(HOSTILE).prop_map(str::to_owned), 2 => text()];
    let pieces = prop::collection::vec(piece, 1..24).prop_map(|pieces| pieces.concat());
    let times = prop_oneof![200 => Just(1_usize), 8 => 2..100_usize, 1 => Just(usize::MAX)];
    let content = (pieces, times).prop_map(|(text, times)| {
        // As many octets as leave the rest of the message room: some characters take six in JSON.
        let octets = serde_json::to_string(&text).map_or(1, |json| json.len().max(1));
        text.repeat(times.min((900_000 / octets).max(1)))
    });
    (select(&["html", "html", "markdown", "text"][..]), content)
        .prop_map(|(format, content)| json!({ "format": format, "content": format!("글 {content}") }))
}

fn image() -> impl Strategy<Value = Value> {
    (url(), text(), text()).prop_map(|(url, alt, caption)| json!({ "url": url, "alt": alt, "caption": caption, "media_type": "image/png", "bytes": 7 }))
}

fn file() -> impl Strategy<Value = Value> {
    let bytes = prop_oneof![Just(Value::Null), (0..i64::MAX).prop_map(|bytes| json!(bytes))];
    (url(), text(), bytes)
        .prop_map(|(url, name, bytes)| json!({ "url": url, "name": format!("파일{name}"), "bytes": bytes }))
}

fn event() -> impl Strategy<Value = Value> {
    let times = select(
        &[
            ("2026-12-06T14:00", "2026-12-06T16:00"),
            ("2026-12-06", "2026-12-09"),
            ("2026-03-29T02:30", "2026-03-29T03:30"),
            ("1999-12-31", "2100-01-01"),
        ][..],
    );
    let zone = select(&["Asia/Seoul", "Europe/Berlin", "UTC"][..]);
    (times, zone, text(), url()).prop_map(|((starts_at, ends_at), zone, location, url)| {
        json!({ "starts_at": starts_at, "ends_at": ends_at, "time_zone": zone, "location": location, "url": url })
    })
}

fn contact() -> impl Strategy<Value = Value> {
    (text(), text(), short(40)).prop_map(|(department, name, phone)| json!({ "department": department, "name": name, "phone": phone, "email": "ask@example.org" }))
}

/// Any of these fields may be missing.
fn parts() -> impl Strategy<Value = Map<String, Value>> {
    let some = |strategy: BoxedStrategy<Value>| prop::option::of(strategy);
    let list =
        |strategy: BoxedStrategy<Value>| prop::option::of(prop::collection::vec(strategy, 0..4).prop_map(Value::Array));
    let words = |chars| short(chars).prop_map(Value::String).boxed();
    let fields = (
        (some(words(9_000)), some(words(400)), list(words(60)), list(words(300)), some(words(300))),
        (list(image().boxed()), list(file().boxed()), some(event().boxed()), some(contact().boxed())),
        some(url().prop_map(Value::String).boxed()),
    );
    fields.prop_map(|((summary, author, tags, breadcrumb, license), (images, attachments, event, contact), url)| {
        let author = author.map(|name| json!({ "name": name }));
        let named = [
            ("summary", summary),
            ("author", author),
            ("tags", tags),
            ("breadcrumb", breadcrumb),
            ("license", license),
            ("images", images),
            ("attachments", attachments),
            ("event", event),
            ("contact", contact),
            ("url", url),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    })
}

/// A post as long as a message may be, for runs that are too short to make one by chance.
pub fn longest() -> Written {
    let piece = "<p>]]&gt; 한글 \u{1F393} <b>&#824;</b></p>\n";
    let octets = serde_json::to_string(piece).map_or(1, |json| json.len());
    let content = piece.repeat((MESSAGE_BYTES_MAX - 1_000) / octets);
    let post = json!({ "id": "p0", "title": "표식0끝", "language": "ko", "topics": ["events"],
        "published_at": "2026-04-22T09:30:00+09:00", "body": { "format": "html", "content": content } });
    Written { bytes: post.to_string().into_bytes(), mark: "표식0끝".to_owned(), has_surrogate: false }
}

/// One post.
pub fn post() -> impl Strategy<Value = Written> {
    let language = select(&["ko", "en", "zh", "ar", "zh-Hant", "sr-Latn-RS"][..]);
    (0..1_000_000_u32, short(900), language, body(), parts()).prop_map(|(number, title, language, body, mut fields)| {
        let mark = format!("표식{number}끝");
        let named = [
            ("id", json!(format!("p{number}"))),
            ("title", json!(format!("{mark} {title}"))),
            ("language", json!(language)),
            ("topics", json!(["events"])),
            ("published_at", json!("2026-04-22T09:30:00+09:00")),
            ("body", body),
        ];
        fields.extend(named.map(|(name, value)| (name.to_owned(), value)));
        let text = Value::Object(fields).to_string();
        let has_surrogate = text.contains(HALF);
        Written { bytes: text.replace(HALF, "\\ud83c").into_bytes(), mark, has_surrogate }
    })
}

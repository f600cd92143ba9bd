//! Feeds as others read them.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn feeds_can_be_read_by_others_and_hold_what_is_public() {
    let site = Site::new();
    let id = site.publish_openly(&hostile()).await;
    let mut later = post("later", "나중 소식", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    let later = site.publish(&later).await;
    site.publish_openly(&post("english", "In English", "en", &["notices"])).await;

    for ending in FEEDS {
        for (feed, expected) in [("events", 1), ("notices", 1), ("all", 2)] {
            let path = format!("/feeds/{feed}.{ending}");
            let answer = site.until(&path, |answer| answer.status == 200 && entries(answer).len() == expected).await;
            assert!(!answer.text().contains(&later) && !answer.text().contains("나중"), "embargoed in {path}");
            assert!(answer.header("cache-control").contains("max-age=60"));
            assert!(answer.header("content-type").contains("charset=utf-8"));
        }
        let answer = site.get(&format!("/feeds/events.{ending}")).await;
        let entry = entries(&answer).remove(0);
        assert_eq!(entry.id, format!("tag:example.org,2026:post/{id}"));
        assert_eq!(entry.title.expect("a title").content, hostile()["title"]);
        let content = entry.content.expect("content").body.expect("a body");
        assert!(content.contains("본문 ]]&gt; &lt;상세문의&gt;"), "{content}");
        assert!(!content.contains("alert") && !content.contains("<iframe") && !content.contains('\0'), "{content}");

        let korean = site.get(&format!("/feeds/all.{ending}?lang=ko")).await;
        assert_eq!(entries(&korean).len(), 1);
        for missing in ["/feeds/nothing.", "/feeds/"] {
            assert_eq!(site.get(&format!("{missing}{ending}")).await.status, 404);
        }
        assert_eq!(site.get(&format!("/feeds/all.{ending}?lang=fr")).await.status, 404);
    }
    assert_eq!(site.get("/feeds/all.xml").await.status, 404);
    python(
        &site,
        &["/feeds/events.rss", "/feeds/events.atom", "/feeds/all.rss?lang=en", "/feeds/notices.atom?lang=zh"],
    );
}

fn entries(answer: &Answer) -> Vec<feed_rs::model::Entry> {
    feed_rs::parser::parse(answer.bytes.as_slice()).expect("a feed").entries
}

/// What Python's feedparser, with its strict XML parser, thinks of them.
pub(crate) fn python(site: &Site, paths: &[&str]) {
    let Some(python) = support::server("ALLIM_TEST_PYTHON") else { return };
    let script = "import sys, feedparser\n\
        for url in sys.argv[1:]:\n    feed = feedparser.parse(url)\n    \
        print(url, bool(feed.bozo), feed.version, feed.feed.title, len(feed.entries), feed.get('bozo_exception'))\n    \
        assert not feed.bozo and feed.version in ('rss20', 'atom10')\n    \
        assert all(entry.id.startswith('tag:example.org,2026:post/') for entry in feed.entries)\n";
    let urls: Vec<String> = paths.iter().map(|path| site.setting.url(path)).collect();
    let output = Command::new(python).arg("-c").arg(script).args(&urls).output().expect("python runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_is_sent_again_only_when_it_changed() {
    let site = Site::new();
    site.publish_openly(&post("one", "첫 소식", "ko", &["events"])).await;
    let path = "/feeds/events.atom";
    // A date that lies within the present second isn't told yet.
    let first =
        site.until(path, |answer| entries(answer).len() == 1 && answer.headers.contains_key("last-modified")).await;
    let tag = first.header("etag").to_owned();
    assert!(tag.starts_with('"') && !first.headers.contains_key("content-encoding"));
    assert_eq!(first.header("vary"), "accept-encoding, a-im");

    let with = |name: &'static str, value: String| {
        let site = &site;
        async move { site.ask(Method::GET, path, &[(name, &value)], None).await }
    };
    let known = with(IF_NONE_MATCH.as_str(), tag.clone()).await;
    assert_eq!((known.status, known.bytes.len(), known.header("etag")), (StatusCode::NOT_MODIFIED, 0, tag.as_str()));
    assert_eq!(with(IF_NONE_MATCH.as_str(), format!("\"x\", W/{tag}")).await.status, 304);
    assert_eq!(with(IF_NONE_MATCH.as_str(), "\"x\"".to_owned()).await.status, 200);
    assert_eq!(with(IF_MODIFIED_SINCE.as_str(), first.header("last-modified").to_owned()).await.status, 304);
    assert_eq!(with(IF_MODIFIED_SINCE.as_str(), "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()).await.status, 200);

    let packed = with(ACCEPT_ENCODING.as_str(), "gzip, br;q=0.5".to_owned()).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let packed_tag = packed.header(ETAG.as_str()).to_owned();
    assert_eq!(packed_tag, format!("\"{}-gz\"", tag.trim_matches('"')));
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(packed.bytes.as_slice()).read_to_end(&mut unpacked).expect("gzip");
    assert_eq!(unpacked, first.bytes);
    let both = [(ACCEPT_ENCODING.as_str(), "gzip"), (IF_NONE_MATCH.as_str(), packed_tag.as_str())];
    assert_eq!(site.ask(Method::GET, path, &both, None).await.status, 304);
    assert_eq!(with(IF_NONE_MATCH.as_str(), packed_tag.clone()).await.status, 200);

    let head = site.ask(Method::HEAD, path, &[], None).await;
    assert_eq!((head.status, head.bytes.len(), head.header("etag")), (StatusCode::OK, 0, tag.as_str()));
    assert_eq!(head.header("content-length"), first.bytes.len().to_string());

    // A change of another topic leaves it as it is.
    site.publish_openly(&post("two", "다른 주제", "ko", &["notices"])).await;
    site.until("/feeds/notices.atom", |answer| entries(answer).len() == 1).await;
    assert_eq!(site.get(path).await.header("etag"), tag);

    let began = support::now_seconds();
    site.publish(&post("three", "둘째 소식", "ko", &["events"])).await;
    let second = site.until(path, |answer| entries(answer).len() == 2).await;
    assert!(support::now_seconds() - began <= 2, "a new post shows at once");
    assert_ne!(second.header("etag"), tag);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_post_is_gone_everywhere() {
    let site = Site::new();
    let id = site.publish_openly(&post("gone", "거둘 소식", "ko", &["events"])).await;
    let other = site.publish_openly(&post("stays", "남는 소식", "ko", &["events"])).await;
    site.until("/feeds/events.rss", |answer| entries(answer).len() == 2).await;
    let path = format!("/api/v1/posts/{id}/withdraw");
    let answer = site.api(Method::POST, &path, Some(&json!({ "reason": "취소되었습니다" }))).await;
    assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::OK, &json!("withdrawn")));
    assert_eq!(site.api(Method::POST, &path, None).await.json()["state"], "duplicate");

    let page = site.get(&format!("/posts/{id}")).await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.text().contains("철회된 소식입니다") && !page.text().contains("거둘 소식"));
    for ending in FEEDS {
        let feed = site.until(&format!("/feeds/events.{ending}"), |answer| entries(answer).len() == 1).await;
        assert!(!feed.text().contains("거둘 소식") && feed.text().contains(&other));
    }
    let atom = site.get("/feeds/events.atom").await.text();
    let tombstone = format!("<at:deleted-entry ref=\"tag:example.org,2026:post/{id}\" when=\"20");
    assert!(atom.contains(&tombstone), "{atom}");
    assert!(!site.get("/feeds/notices.atom").await.text().contains("deleted-entry"));
    python(&site, &["/feeds/events.atom", "/feeds/all.atom?lang=ko"]);
    assert!(!site.get("/").await.text().contains("거둘 소식"));
}

/// Says something over a connection of its own and returns everything that comes back until the server closes it.
fn say(site: &Site, pieces: &[&[u8]]) -> String {
    use std::io::{Read as _, Write as _};
    let address = site.setting.url("").replace("http://", "");
    let mut stream = std::net::TcpStream::connect(address.trim_end_matches('/')).expect("a connection");
    for piece in pieces {
        stream.write_all(piece).expect("written");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("read to its end");
    String::from_utf8(answer).expect("text")
}

/// Feeds that lie ready are answered before hyper sees the connection, which it takes over with whatever else is asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_may_ask_for_feeds_and_then_for_anything() {
    let site = Site::new();
    site.publish_openly(&post("a", "소식", "ko", &["events"])).await;
    site.until("/feeds/all.rss", |answer| answer.status == 200 && entries(answer).len() == 1).await;
    // A date of the present second isn't told, and then the lane isn't taken.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let feed = "GET /feeds/all.rss HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let whole = |answer: &str| answer.matches("HTTP/1.1 200 OK\r\n").count();
    let closed = feed.replace("Host: a", "Host: a\r\nConnection: close");
    let by_hyper = say(&site, &[closed.as_bytes()]);
    assert_eq!(whole(&by_hyper), 1);

    // In one piece, in pieces of one octet, one behind the other: each gets what hyper says, and then the next request is heard.
    let octets: Vec<&[u8]> = feed.as_bytes().chunks(1).chain([last.as_bytes()]).collect();
    let together = format!("{feed}{feed}{last}");
    let beginning = format!("{feed}{}", &last[..20]);
    for (count, pieces) in [
        (1, vec![feed.as_bytes(), last.as_bytes()]),
        (1, octets),
        (2, vec![together.as_bytes()]),
        (1, vec![beginning.as_bytes(), &last.as_bytes()[20..]]),
    ] {
        let answer = say(&site, &pieces);
        assert_eq!(whole(&answer), count + 1, "{answer}");
        let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
        let (hypers, body) = by_hyper.split_once("\r\n\r\n").expect("a head");
        let fields = |head: &str| {
            let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
            lines.retain(|line| !line.starts_with("date: ") && !line.starts_with("connection: "));
            lines.sort();
            lines
        };
        assert_eq!(fields(head), fields(hypers));
        assert!(rest.starts_with(body) && head.contains("\r\ndate: "), "{head}");
    }
    let etag = by_hyper.lines().find_map(|line| line.strip_prefix("etag: ")).expect("an ETag");
    let known = feed.replace("Host: a", &format!("hOST: a\r\nIf-None-Match: {etag}"));
    let answer = say(&site, &[known.as_bytes(), last.as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 304 Not Modified\r\n") && whole(&answer) == 1, "{answer}");
    assert!(!answer.split_once("\r\n\r\n").expect("a head").0.contains("content-length"), "{answer}");

    // What the lane doesn't understand, hyper answers as it always did.
    for strange in ["GET /feeds/all.rss HTTP/1.0\r\n\r\n", "GET /feeds/%\r\n\r\n", "GET /feeds/ \u{1}\r\n\r\n"] {
        let answer = say(&site, &[strange.as_bytes()]);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1."), "{strange}: {answer}");
    }
    let body = "GET /feeds/all.rss HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
    assert_eq!(whole(&say(&site, &[body.as_bytes()])), 1);
}

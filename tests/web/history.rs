//! Feeds of tags, feeds down to the first post, parts of feeds, lists of feeds.

use crate::*;
use std::collections::BTreeSet;

fn entries(answer: &Answer) -> Vec<feed_rs::model::Entry> {
    assert!(answer.status.is_success(), "{} {}", answer.status, answer.text());
    feed_rs::parser::parse(answer.bytes.as_slice()).expect("a feed").entries
}

fn ids(answer: &Answer) -> Vec<String> {
    entries(answer).into_iter().map(|entry| entry.id).collect()
}

/// The path that a link of this relation leads to.
fn link(site: &Site, answer: &Answer, relation: &str) -> Option<String> {
    let feed = feed_rs::parser::parse(answer.bytes.as_slice()).expect("a feed");
    let href = feed.links.into_iter().find(|link| link.rel.as_deref() == Some(relation)).map(|link| link.href)?;
    // The origin is whatever the setting says that readers reach it by.
    let at = href.find("/feeds/").unwrap_or_else(|| panic!("{href} of {}", site.setting.url("")));
    Some(href[at..].to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_has_a_feed_as_long_as_a_post_has_it() {
    let site = Site::new();
    let mut tagged = post("one", "꼬리표가 있는 소식", "ko", &["events"]);
    tagged["tags"] = json!(["과학 기술", "R&D/1.0"]);
    let id = site.publish_openly(&tagged).await;
    let korean = "/feeds/tag:%EA%B3%BC%ED%95%99%20%EA%B8%B0%EC%88%A0.";
    for ending in FEEDS {
        let answer = site.until(&format!("{korean}{ending}"), |answer| answer.status == 200).await;
        assert_eq!(ids(&answer), [format!("tag:example.org,2026:post/{id}")]);
        assert_eq!(entries(&site.get(&format!("/feeds/tag:R%26D%2F1%2E0.{ending}?lang=ko")).await).len(), 1);
        assert_eq!(site.get(&format!("/feeds/tag:other.{ending}")).await.status, 404);
        assert_eq!(site.get(&format!("/feeds/tag:%FF.{ending}")).await.status, 404);
    }
    feeds::python(&site, &[&format!("{korean}rss"), &format!("{korean}atom")]);
    let page = site.get(&format!("/posts/{id}")).await.text();
    assert!(page.contains("/feeds/tag:R%26D%2F1%2E0.atom") && page.contains("/feeds/events.ics"), "{page}");

    site.publish_openly(&{
        let mut second = post("two", "둘째", "ko", &["notices"]);
        second["tags"] = json!(["과학 기술"]);
        second
    })
    .await;
    site.until(&format!("{korean}atom"), |answer| entries(answer).len() == 2).await;
    assert_eq!(site.ask(Method::HEAD, &format!("{korean}rss"), &[], None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_feed_that_is_not_there_reads_which_there_are() {
    let site = Site::new();
    for (language, words) in [("ko", "없는 피드입니다"), ("en", "There is no such feed"), ("zh", "没有这个订阅源")]
    {
        let headers = [(ACCEPT_LANGUAGE.as_str(), language)];
        let answer = site.ask(Method::GET, "/feeds/nothing.rss", &headers, None).await;
        check_headers(&answer);
        assert_eq!(answer.status, 404);
        assert!(answer.text().contains(words) && answer.text().contains("/feeds/events.atom"), "{}", answer.text());
    }
    let index = site.get("/feeds").await;
    check_headers(&index);
    for feed in ["/feeds/all.rss", "/feeds/notices.json", "/feeds/events.ics?lang=en", "/feeds.opml"] {
        assert!(index.text().contains(feed), "{feed} in {}", index.text());
    }
    let opml = site.get("/feeds.opml?lang=ko").await;
    assert!(opml.header("content-type").starts_with("text/x-opml"));
    assert_eq!(opml.text().matches("type=\"rss\"").count(), opml.text().matches(".atom?lang=ko\"").count());
    if let Some(python) = support::server("ALLIM_TEST_PYTHON") {
        let script = "import sys, xml.etree.ElementTree as tree\n\
            outlines = tree.fromstring(sys.argv[1]).findall('./body/outline/outline')\n\
            assert len(outlines) > 2 and all(outline.get('xmlUrl') and outline.get('text') for outline in outlines)\n";
        let status = Command::new(python).args(["-c", script, &opml.text()]).status().expect("python runs");
        assert!(status.success(), "{}", opml.text());
    }
    let headers = [(IF_NONE_MATCH.as_str(), opml.header("etag"))];
    assert_eq!(site.ask(Method::GET, "/feeds.opml?lang=ko", &headers, None).await.status, 304);
    assert_eq!(site.get("/feeds.opml?lang=xx").await.status, 404);
}

/// Every post is found by going on from page to page, and a page that is full stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_feed_goes_back_to_the_first_post() {
    let site = Site::new();
    let mut all = BTreeSet::new();
    for number in 0..120 {
        let id = site.publish(&post(&format!("p{number}"), &format!("소식 {number}"), "ko", &["events"])).await;
        all.insert(format!("tag:example.org,2026:post/{id}"));
    }
    site.until("/feeds/events/3.atom", |answer| answer.status == 200 && entries(answer).len() == 20).await;
    for (ending, relation) in [("atom", "next"), ("rss", "next"), ("atom", "prev-archive"), ("rss", "prev-archive")] {
        let mut answer = site.until(&format!("/feeds/events.{ending}"), |answer| entries(answer).len() >= 50).await;
        let mut found: BTreeSet<String> = ids(&answer).into_iter().collect();
        let mut pages = 0;
        while let Some(path) = link(&site, &answer, relation) {
            answer = site.get(&path).await;
            pages += 1;
            found.extend(ids(&answer));
            assert_eq!(answer.text().contains("<fh:archive>"), !path.contains("/3."), "{path}");
            assert!(link(&site, &answer, "current").is_some_and(|path| path.starts_with("/feeds/events.")));
        }
        assert_eq!((found == all, pages), (true, if relation == "next" { 3 } else { 2 }), "{ending} {relation}");
    }
    feeds::python(&site, &["/feeds/events/1.rss", "/feeds/events/3.atom", "/feeds/events.rss", "/feeds/events/2.atom"]);
    let json = site.get("/feeds/events.json").await.json();
    assert!(json["next_url"].as_str().is_some_and(|url| url.ends_with("/feeds/events/3.json")), "{}", json["next_url"]);
    for missing in ["/feeds/events/0.atom", "/feeds/events/4.atom", "/feeds/events/01.atom", "/feeds/notices/1.atom"] {
        assert_eq!(site.get(missing).await.status, 404, "{missing}");
    }

    let (first, second) = (site.get("/feeds/events/1.atom").await, site.get("/feeds/events/2.atom").await);
    let gone = ids(&first)[7].rsplit('/').next().expect("an id").to_owned();
    site.api(Method::POST, &format!("/api/v1/posts/{gone}/withdraw"), None).await;
    site.publish_openly(&post("new", "새 소식", "ko", &["events"])).await;
    let left = site.until("/feeds/events/1.atom", |answer| entries(answer).len() == 49).await;
    let tombstone = format!("<at:deleted-entry ref=\"tag:example.org,2026:post/{gone}\"");
    assert!(left.text().contains(&tombstone) && !ids(&left).iter().any(|id| id.ends_with(&gone)));
    assert_eq!(site.get("/feeds/events/2.atom").await.header("etag"), second.header("etag"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_parts_gets_what_is_new() {
    let site = Site::new();
    for number in 0..5 {
        site.publish_openly(&post(&format!("p{number}"), &"긴 글 ".repeat(200), "ko", &["events"])).await;
    }
    for ending in FEEDS {
        let path = format!("/feeds/events.{ending}");
        let first = site.until(&path, |answer| entries(answer).len() >= 5).await;
        let count = entries(&first).len();
        let id = site.publish_openly(&post(&format!("new-{ending}"), "새 소식", "ko", &["events"])).await;
        let second = site.until(&path, |answer| entries(answer).len() == count + 1).await;
        let etag = first.header("etag");
        let ask = |tag: String, manipulation: &'static str| {
            let (site, path) = (&site, path.as_str());
            async move {
                let headers = [("a-im", manipulation), (IF_NONE_MATCH.as_str(), &tag)];
                site.ask(Method::GET, path, &headers, None).await
            }
        };
        let packed = format!("W/\"{}-gz\"", etag.trim_matches('"'));
        for tag in [etag.to_owned(), format!("\"x\", {etag}"), packed] {
            let part = ask(tag, "vcdiff, feed").await;
            assert_eq!((part.status.as_u16(), part.header("im")), (226, "feed"));
            assert_eq!(ids(&part), [format!("tag:example.org,2026:post/{id}")]);
            assert!(part.header("vary").contains("a-im") && part.header("cache-control").contains("no-store"));
            assert_eq!(part.header("etag"), second.header("etag"));
            assert!(part.bytes.len() * 2 < second.bytes.len());
        }
        assert_eq!(ask(second.header("etag").to_owned(), "feed").await.status, 304);
        assert_eq!(entries(&ask("\"unknown\"".to_owned(), "feed").await).len(), count + 1);
        assert_eq!(entries(&ask(etag.to_owned(), "vcdiff, feed;q=0").await).len(), count + 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_may_read_feeds() {
    let site = Site::new();
    site.publish_openly(&post("one", &"소식 ".repeat(100), "ko", &["events"])).await;
    let path = "/feeds/events.atom";
    let plain = site.until(path, |answer| entries(answer).len() == 1).await;
    for path in [path, "/feeds/events/1.atom", "/feeds.opml"] {
        let asked = site.ask(Method::OPTIONS, path, &[("origin", "https://reader.example")], None).await;
        assert_eq!((asked.status.as_u16(), asked.header("access-control-allow-origin")), (204, "*"));
        assert!(asked.header("access-control-allow-headers").contains("a-im"));
    }
    assert_eq!(plain.header("access-control-allow-origin"), "*");
    assert!(plain.header("cache-control").contains("stale-while-revalidate="));
    let packed = site.ask(Method::GET, path, &[(ACCEPT_ENCODING.as_str(), "gzip, br")], None).await;
    assert_eq!(packed.header("content-encoding"), "br");
    let mut unpacked = Vec::new();
    brotli::Decompressor::new(packed.bytes.as_slice(), 4_096).read_to_end(&mut unpacked).expect("Brotli");
    assert_eq!(unpacked, site.get(path).await.bytes);
}

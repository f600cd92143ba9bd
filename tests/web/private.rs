//! Feeds whose address is a secret.

use crate::*;

fn urls(site: &Site, arguments: &[&str]) -> Value {
    serde_json::from_str(&site.setting.run(&[arguments, &["--json"]].concat())).expect("JSON")
}

fn path(site: &Site, url: &Value) -> String {
    url.as_str().and_then(|url| url.strip_prefix(&site.setting.url(""))).expect("an address of ours").to_owned()
}

fn titles(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let feed = feed_rs::parser::parse(answer.bytes.as_slice()).expect("a feed");
    feed.entries.into_iter().filter_map(|entry| entry.title.map(|title| title.content)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_institution_reads_its_own_selection_until_that_is_revoked() {
    let site = Site::new();
    let made = urls(&site, &["feed", "add", "university", "--topic", "events", "--topic", "notices", "--lang", "ko"]);
    let atom = path(&site, &made["atom"]);
    assert!(titles(&site.get(&atom).await).is_empty());
    let mut both = post("both", "행사이자 공지", "ko", &["events", "notices"]);
    both["published_at"] = json!("2026-11-01T09:00:00+09:00");
    site.publish(&both).await;
    let one = site.publish_openly(&post("one", "새 행사", "ko", &["events"])).await;
    site.publish_openly(&post("two", "A notice", "en", &["notices"])).await;
    site.publish_openly(&post("three", "새 공지", "ko", &["notices"])).await;
    let answer = site.until(&atom, |answer| answer.status == 200 && titles(answer).len() == 3).await;
    assert!(titles(&answer).contains(&"새 행사".to_owned()) && titles(&answer)[2] == "행사이자 공지");
    assert_eq!((answer.header("cache-control"), answer.header("x-robots-tag")), ("private, max-age=60", "noindex"));
    assert!(answer.header("access-control-allow-origin").is_empty() && answer.header("link").is_empty());
    let text = answer.text();
    assert!(
        !text.contains("rel=\"hub\"") && text.contains("<id>tag:example.org,2026:feed/private/university/ko</id>"),
        "{text}"
    );
    let etag = answer.header("etag").to_owned();
    assert_eq!(site.ask(Method::GET, &atom, &[("if-none-match", &etag)], None).await.status, 304);
    for ending in ["rss", "json"] {
        assert_eq!(titles(&site.get(&path(&site, &made[ending])).await).len(), 3);
    }
    site.api(Method::POST, &format!("/api/v1/posts/{one}/withdraw"), None).await;
    site.until(&atom, |answer| answer.text().contains("at:deleted-entry")).await;

    let listed = site.setting.run(&["feed", "list", "--json"]);
    let token = atom.rsplit('/').next().expect("a name").trim_end_matches(".atom");
    assert!(
        listed.contains("university") && !listed.contains("\"read_at\": null") && !listed.contains(token),
        "{listed}"
    );
    let everything = urls(&site, &["feed", "add", "everything"]);
    assert_eq!(titles(&site.get(&path(&site, &everything["atom"])).await).len(), 3);

    let moved = path(&site, &urls(&site, &["feed", "rotate", "university"])["atom"]);
    assert_eq!((site.get(&atom).await.status, site.get(&moved).await.status), (StatusCode::NOT_FOUND, StatusCode::OK));
    site.setting.run(&["feed", "revoke", "university"]);
    assert_eq!(site.get(&moved).await.status, 410);
    for wrong in
        ["/feeds/private/x.atom", "/feeds/private/.atom", &moved.replace(".atom", ".ics"), &moved.replace(".atom", "")]
    {
        assert_eq!(site.get(wrong).await.status, 404, "{wrong}");
    }
}

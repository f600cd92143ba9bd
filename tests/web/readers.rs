//! Every feed and calendar before readers that aren't ours: `tests/readers.py`, `tests/readers.mjs`.

use crate::*;

/// Posts of a topic that fill its first archive, and of another language.
const MANY: usize = 62;

/// A post with everything that a post can have, in a language.
fn full(language: &str, title: &str) -> Value {
    let mut body = post(&format!("river-{language}"), title, language, &["events", "notices"]);
    body["story"] = json!("river");
    body["summary"] = json!("강가에서 만납니다 & <함께> 걷습니다.");
    body["author"] = json!({ "name": "물길 모임 & 벗들" });
    body["license"] = json!("CC BY 4.0");
    // A tag that reads as a topic's title does, and some that are hard to write in addresses.
    body["tags"] = json!(["행사", "강 & 다리", "R&D/1.0"]);
    body["url"] = json!("https://board.example.org/view?id=1&page=2");
    body["breadcrumb"] = json!(["알림", "행사"]);
    let content = "<h2>Plan</h2><p>Words, <b>bold</b> &amp; <a href=\"https://form.example.org/?a=1&amp;b=2\">a form</a> ]]&gt;</p>\
        <ul><li>one</li></ul><table><tr><th>When</th><td colspan=\"2\">14:00</td></tr></table>";
    body["body"] = json!({ "format": "html", "content": content });
    body["images"] = json!([
        { "url": "https://img.example.org/a.jpg?x=1&y=2", "alt": "다리 <위>", "caption": "다리 & 강", "media_type": "image/jpeg", "bytes": 51_200 },
        { "url": "https://img.example.org/b.png", "bytes": 0 }]);
    body["attachments"] = json!([
        { "url": "https://files.example.org/a.pdf?x=1&y=2", "name": "안내 & \"요강\".pdf", "media_type": "application/pdf", "bytes": 1_234 },
        { "url": "https://files.example.org/b.hwp", "name": "신청서.hwp" },
        { "url": "https://files.example.org/c.zip", "name": "빈 묶음.zip", "bytes": 0 }]);
    body["contact"] = json!({ "department": "물길 모임", "phone": "044-000-0000", "email": "ask@example.org" });
    body["event"] = json!({ "starts_at": "2026-12-06T14:00", "ends_at": "2026-12-07T11:30", "time_zone": "Asia/Seoul",
        "location": "강당, 3층; \"가\"", "url": "https://event.example.org/?a=1&b=2" });
    body
}

/// A site with every sort of post: returns the ids of those whose titles hold markup.
async fn filled() -> (Site, Vec<String>) {
    let site = Site::new();
    for (language, title) in [
        ("ko", "강을 걷는 날 <신청> ]]> \u{1F393}"),
        ("en", "A day along the river & <harbour>"),
        ("zh", "沿河一日：“水与桥”"),
    ] {
        site.publish_openly(&full(language, title)).await;
    }
    for number in 0..MANY {
        let language = ["ko", "en"][number % 2];
        site.publish(&post(&format!("n{number}"), &format!("{number} ‧ 알림 notice"), language, &["notices"])).await;
    }
    let hostile = site.publish_openly(&hostile()).await;
    let mut whole_day = post("day", "하루 종일 열린 집", "ko", &["events"]);
    whole_day["event"] = json!({ "starts_at": "2026-12-24", "ends_at": "2026-12-24" });
    site.publish_openly(&whole_day).await;
    let mut poster = post("poster", "포스터", "ko", &["events"]);
    poster["body"] = json!({ "format": "html", "content": "<p><img src=\"https://img.example.org/poster.png\"></p>" });
    site.publish_openly(&poster).await;
    let mut revised = post("revised", "고치기 전", "ko", &["events"]);
    site.publish_openly(&revised).await;
    revised["title"] = json!("고친 뒤");
    revised["revision"] = json!(2);
    site.publish(&revised).await;
    let mut gone = post("gone", "거둘 소식", "ko", &["events", "notices"]);
    gone["event"] = json!({ "starts_at": "2026-12-08T10:00", "time_zone": "Asia/Seoul" });
    let gone = site.publish_openly(&gone).await;
    site.until("/feeds/notices/2.json", |answer| answer.status == 200).await;
    site.api(Method::POST, &format!("/api/v1/posts/{gone}/withdraw"), None).await;
    site.until("/feeds/events.atom", |answer| answer.text().contains("deleted-entry")).await;
    site.until("/feeds/events.json", |answer| answer.text().contains("고친 뒤")).await;
    (site, vec![hostile])
}

/// What each feed must hold, as the JSON Feed of the same posts says it; tests/web/feeds.rs sees to it that this one is right.
async fn expected(site: &Site, name: &str, query: &str, hostile: &[String]) -> Vec<Value> {
    let answer = site.get(&format!("/feeds/{name}.json{query}")).await;
    if answer.status == StatusCode::NOT_FOUND {
        return Vec::new();
    }
    let items = answer.json()["items"].as_array().expect("items").clone();
    let of = |name: &str| -> Vec<Value> { items.iter().map(|item| item[name].clone()).collect() };
    let (ids, titles) = (of("id"), of("title"));
    let is_hostile =
        ids.iter().any(|id| hostile.iter().any(|hostile| id.as_str().is_some_and(|id| id.ends_with(hostile))));
    let feed = |kind: &&str| {
        let url = site.setting.url(&format!("/feeds/{name}.{kind}{query}"));
        json!({ "url": url, "kind": kind, "ids": ids, "titles": titles, "hostile": is_hostile })
    };
    FEEDS.iter().map(feed).collect()
}

/// The UIDs of a calendar, by its lines.
async fn calendar(site: &Site, path: &str) -> Value {
    let text = site.get(path).await.text().replace("\r\n ", "");
    let ids: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("UID:")).collect();
    json!({ "url": site.setting.url(path), "ids": ids })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_feed_is_read_alike_by_all_who_are_not_us() {
    let (Some(python), Some(tools)) = (support::server("ALLIM_TEST_PYTHON"), support::server("ALLIM_TEST_TOOLS"))
    else {
        return;
    };
    let (site, hostile) = filled().await;
    let names = [
        "all",
        "events",
        "notices",
        "tag:%ED%96%89%EC%82%AC",
        "tag:R%26D%2F1%2E0",
        "all/1",
        "all/2",
        "notices/1",
        "notices/2",
    ];
    let (mut feeds, mut calendars) = (Vec::new(), Vec::new());
    for query in ["", "?lang=ko", "?lang=en", "?lang=zh"] {
        for name in names {
            feeds.extend(expected(&site, name, query, &hostile).await);
        }
        for name in ["all", "events", "notices"] {
            calendars.push(calendar(&site, &format!("/feeds/{name}.ics{query}")).await);
        }
    }
    let held = |one: &Value| one["ids"].as_array().map_or(0, Vec::len);
    assert!(feeds.len() > 80 && feeds.iter().any(|feed| held(feed) == 50), "{} feeds", feeds.len());
    assert!(calendars.iter().map(held).max() == Some(5), "three variants, a day, and one that is struck out");
    let lists = json!([{ "url": site.setting.url("/feeds.opml"), "urls": [site.setting.url("/feeds/events.atom")] }]);
    let question = json!({ "tools": tools, "feeds": feeds, "calendars": calendars, "lists": lists });
    let ask = move || {
        let script = |name: &str| format!("{}/tests/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut by_python = Command::new(python);
        by_python.env("PYTHONPATH", format!("{tools}/python")).arg(script("readers.py"));
        let mut found = faults(&mut by_python, &question);
        found.extend(faults(Command::new("node").arg(script("readers.mjs")), &question));
        found
    };
    let found = tokio::task::spawn_blocking(ask).await.expect("a thread");
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found[..found.len().min(20)].join("\n"));
}

/// A feed that is wrong must be told of, or the test above proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_readers_see_what_is_wrong() {
    let (Some(python), Some(tools)) = (support::server("ALLIM_TEST_PYTHON"), support::server("ALLIM_TEST_TOOLS"))
    else {
        return;
    };
    let site = Site::new();
    let id = site.publish_openly(&full("en", "A day along the river")).await;
    let text = site.until("/feeds/events.rss", |answer| answer.text().contains(&id)).await.text();
    let spoilt = [
        ("no date of RFC 822", text.replace("+0000</pubDate>", "GMT</pubDate>")),
        ("/feeds/other.rss", text.replace("/feeds/events.rss", "/feeds/other.rss")),
        ("holds <script>", text.replace("<h2>Plan</h2>", "<script>1</script>")),
        ("feedparser: ", text.replacen("]]>", "]] >", 1)),
        ("sfeed finds other titles", text.replace("<title>A day", "<title>Another day")),
        ("categories", text.replace("<category>Events</category>", "<category>Notices</category>")),
    ];
    let folder = site.setting.path().to_owned();
    let titles = json!(["A day along the river"]);
    let ask = move || {
        for (told, spoilt) in spoilt {
            assert_ne!(spoilt, text, "{told}");
            let file = folder.join("spoilt.rss");
            std::fs::write(&file, spoilt).expect("written");
            let ids = json!([format!("tag:example.org,2026:post/{id}")]);
            let feed = json!({ "url": format!("file://{}", file.display()), "kind": "rss", "ids": ids, "titles": titles, "hostile": false });
            let mut by_python = Command::new(&python);
            by_python
                .env("PYTHONPATH", format!("{tools}/python"))
                .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers.py"));
            let found = faults(&mut by_python, &json!({ "feeds": [feed], "calendars": [] }));
            assert!(found.iter().any(|one| one.contains(told)), "{told}: {found:?}");
        }
    };
    tokio::task::spawn_blocking(ask).await.expect("a thread");
}

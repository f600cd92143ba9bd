//! Finding posts: by words, by the month of their events, by search engines.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn posts_are_found_by_their_words() {
    let site = Site::new();
    let mut forum = post("forum", "제3차 혁신협력포럼 개최", "ko", &["events"]);
    forum["body"] = json!({ "format": "html", "content": "<p>京津冀 통합은 \"새로운\" 전략, 100% <b>Cluster</b></p>" });
    let forum = site.publish_openly(&forum).await;
    let other = site.publish_openly(&post("other", "공지", "ko", &["notices"])).await;
    let mut later = post("later", "혁신 비밀", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    site.publish(&later).await;
    let ask = async |words: &str| {
        let query: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
        let page = site.get(&format!("/search?q={query}&lang=en")).await;
        assert_eq!(page.status, StatusCode::OK);
        check_headers(&page);
        page.text()
    };
    for words in ["혁신협력", "협력포럼 개최", "津冀", "cluster", "CLUSTER 전략", "\"새로운\"", "100%", "京津冀 혁신"]
    {
        let page = ask(words).await;
        assert!(
            page.contains(&format!("/posts/{forum}")) && !page.contains(&format!("/posts/{other}")),
            "{words}: {page}"
        );
        assert!(!page.contains("비밀"), "{page}");
    }
    // Neither what markup is made of, nor wildcards, nor a word too many.
    for words in ["<b>", "source_id", "혁%럼", "혁신협력 없는말", "public_at", "공_"] {
        assert!(ask(words).await.contains("No post holds these words."), "{words}");
    }
    let escaped = ask("<script>alert(1)</script>").await;
    assert!(escaped.contains("value=\"&lt;script&gt;alert(1)") && !escaped.contains("<script>alert"), "{escaped}");
    assert!(ask("").await.contains("role=\"search\""));
    assert_eq!(site.get("/search?q=a&before=x").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn found_posts_go_on_from_page_to_page() {
    let site = Site::new();
    for number in 0..22 {
        site.publish(&post(&format!("n{number}"), &format!("물길 {number}"), "ko", &["notices"])).await;
    }
    let last = site.publish_openly(&post("last", "물길 끝", "ko", &["notices"])).await;
    site.until(&format!("/posts/{last}"), |answer| answer.status == 200).await;
    let (mut path, mut found) = ("/search?q=%EB%AC%BC%EA%B8%B8&lang=ko".to_owned(), std::collections::BTreeSet::new());
    let mut pages = 0;
    loop {
        let page = site.get(&path).await.text();
        pages += 1;
        found.extend(page.split("href=\"/posts/").skip(1).filter_map(|rest| rest.split('?').next().map(str::to_owned)));
        let Some((_, rest)) = page.split_once("<p class=\"older\"><a href=\"") else { break };
        path = rest.split('"').next().expect("an end").replace("&amp;", "&");
    }
    assert_eq!((pages, found.len()), (2, 23));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_stand_in_their_months() {
    let site = Site::new();
    let mut ids = Vec::new();
    for (name, begin, end) in
        [("a", "2026-11-28", Some("2026-12-02")), ("b", "2026-12-06T14:00", None), ("c", "2027-01-01", None)]
    {
        let mut body = post(name, &format!("행사 {name}"), "ko", &["events"]);
        body["event"] = json!({ "starts_at": begin, "ends_at": end, "time_zone": "Asia/Seoul", "location": "강당" });
        ids.push(site.publish_openly(&body).await);
    }
    let shown = async |month: &str| {
        let page = site.get(&format!("/events?month={month}&lang=ko")).await;
        check_headers(&page);
        let text = page.text();
        let places: Vec<Option<usize>> = ids.iter().map(|id| text.find(&format!("/posts/{id}"))).collect();
        (places, text)
    };
    let (places, page) = shown("2026-12").await;
    assert!(places[0].is_some() && places[0] < places[1] && places[2].is_none(), "{page}");
    assert!(page.contains("<h1>행사 일정: 2026년 12월</h1>"), "{page}");
    assert!(
        page.contains("/events?month=2026-11&amp;lang=ko\" rel=\"prev\"")
            && page.contains("/events?month=2027-01&amp;"),
        "{page}"
    );
    let (places, _) = shown("2026-11").await;
    assert!(places[0].is_some() && places[1].is_none());
    assert!(shown("2025-03").await.1.contains("이 달에는 행사가 없습니다."));
    for bad in ["2026-13", "x", "20261-1", "9999-12", "-1-1"] {
        assert_eq!(site.get(&format!("/events?month={bad}")).await.status, StatusCode::NOT_FOUND, "{bad}");
    }
    assert_eq!(site.get("/events").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn search_engines_find_every_public_post() {
    let site = Site::new();
    let shown = site.publish_openly(&post("shown", "보이는 글", "ko", &["events"])).await;
    let mut later = post("later", "비밀", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    let later = site.publish(&later).await;
    let robots = site.get("/robots.txt").await.text();
    let index = site.setting.url("/sitemap.xml");
    assert!(
        robots.contains("Disallow: /unsubscribe/\n") && robots.contains(&format!("Sitemap: {index}\n")),
        "{robots}"
    );
    let text = site.get("/sitemap.xml").await.text();
    assert!(text.contains(&format!("<loc>{}</loc>", site.setting.url("/sitemaps/1.xml"))), "{text}");
    let file = site.get("/sitemaps/1.xml").await;
    assert!(file.header("content-type").starts_with("application/xml"));
    let text = file.text();
    for path in ["/", "/events", "/topics/notices", &format!("/posts/{shown}")] {
        assert!(text.contains(&format!("<loc>{}</loc>", site.setting.url(path))), "{path}: {text}");
    }
    assert!(text.contains("<lastmod>20") && !text.contains(&later), "{text}");
    for none in ["/sitemaps/2.xml", "/sitemaps/0.xml", "/sitemaps/x.xml", "/sitemaps/1"] {
        assert_eq!(site.get(none).await.status, StatusCode::NOT_FOUND, "{none}");
    }
    let unknown = site.get("/topics/nothing?lang=en").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.text().contains("<li><a href=\"/topics/notices?lang=en\">Notices</a></li>"), "{}", unknown.text());
}

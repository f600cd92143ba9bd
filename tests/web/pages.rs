//! Pages as a browser sees them.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn pages_speak_the_readers_language_and_run_nothing() {
    let site = Site::new();
    let mut korean = hostile();
    korean["story"] = json!("story");
    korean["event"] = json!({ "starts_at": "2026-05-06T14:00", "time_zone": "Asia/Seoul", "location": "강당" });
    let id = site.publish_openly(&korean).await;
    let mut english = post("en", "Hostile in English", "en", &["events"]);
    english["story"] = json!("story");
    let english = site.publish_openly(&english).await;

    let paths = [
        "/",
        "/topics/events",
        "/topics/notices",
        "/topics/events?before=0-abc",
        &format!("/posts/{id}"),
        &format!("/posts/{english}?lang=zh"),
    ];
    for path in paths {
        let page = site.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        check_headers(&page);
        let text = page.text();
        assert!(
            text.matches("<script").count() == text.matches("<script type=\"application/ld+json\">").count()
                && !text.contains("onclick")
                && !text.contains("javascript:"),
            "{path}: {text}"
        );
        assert!(!text.contains(" style=") && !text.contains("<style"), "{path}: {text}");
        let same = site.ask(Method::GET, path, &[("if-none-match", page.header("etag"))], None).await;
        assert_eq!(same.status, 304, "{path}");
    }
    for (path, languages, tag) in [
        ("/", "zh-TW,zh;q=0.9,en;q=0.5", "zh"),
        ("/", "en-GB", "en"),
        ("/", "fr, en;q=0.1, ko;q=0.2", "ko"),
        ("/", "fr", "ko"),
        ("/?lang=en", "ko", "en"),
        ("/nowhere?lang=zh", "ko", "zh"),
    ] {
        let page = site.ask(Method::GET, path, &[(ACCEPT_LANGUAGE.as_str(), languages)], None).await;
        assert!(page.text().contains(&format!("<html lang=\"{tag}\">")), "{path} {languages}");
        assert_eq!(page.header("vary"), "accept-language");
    }
    let page = site.get(&format!("/posts/{id}")).await.text();
    assert!(
        page.contains(&format!("hreflang=\"en\" href=\"{}\"", site.setting.url(&format!("/posts/{english}")))),
        "{page}"
    );
    assert!(page.contains("<article lang=\"ko\">") && page.contains("&lt;상세문의&gt;"), "{page}");
    let home = site.ask(Method::GET, "/", &[(ACCEPT_LANGUAGE.as_str(), "en")], None).await.text();
    assert!(home.contains("Hostile in English") && !home.contains("상세문의"), "one line a story: {home}");
    assert!(home.contains("rel=\"alternate\" type=\"application/atom+xml\" href=\"/feeds/all.atom\""), "{home}");
    // The mail folder isn't shown unless the configuration says so.
    assert!(!home.contains("What is happening"));

    let style = home.split("href=\"/style-").nth(1).and_then(|rest| rest.split('"').next()).expect("a style sheet");
    let style = site.get(&format!("/style-{style}")).await;
    assert!(style.status == 200 && style.header("content-type").starts_with("text/css"));
    for path in [
        "/nowhere",
        "/posts/nothing",
        "/topics/nothing",
        "/feeds/nothing.rss",
        "/topics/events?before=x",
        "/mails/x.allim",
    ] {
        let page = site.get(path).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}");
        check_headers(&page);
    }
    assert!(site.get("/robots.txt").await.text().contains("Disallow: /unsubscribe/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_public_has_no_page_and_what_is_over_says_so() {
    let site = Site::new();
    let mut later = post("later", "비밀", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    let later = site.publish(&later).await;
    let mut brief = post("brief", "잠깐", "ko", &["events"]);
    let over_at = jiff::Timestamp::from_second(support::now_seconds() + 2).expect("a time");
    brief["expires_at"] = json!(over_at.to_string());
    let brief = site.publish(&brief).await;
    let over = site.until(&format!("/posts/{brief}"), |answer| answer.status == StatusCode::GONE).await;
    assert!(over.text().contains("게시 기간이 끝난 소식입니다"));
    let page = site.get(&format!("/posts/{later}")).await;
    assert!(page.status == StatusCode::NOT_FOUND && !page.text().contains("비밀"));
    assert!(!site.get("/").await.text().contains("비밀") && !site.get("/topics/events").await.text().contains("비밀"));
    let withdrawn = site.api(Method::POST, &format!("/api/v1/posts/{later}/withdraw"), None).await;
    assert_eq!(withdrawn.status, StatusCode::OK);
    // It was never shown, so there is nothing to say about it.
    assert_eq!(site.get(&format!("/posts/{later}")).await.status, StatusCode::NOT_FOUND);
    assert!(!site.get("/feeds/all.atom").await.text().contains(&later));
}

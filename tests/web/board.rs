//! The page of a post: everything of a board, and what machines read of it.

use crate::*;

/// Everything that a post can have, as the board of an institute shows it.
fn announced() -> Value {
    let mut body = post("forum", "제3차 물과 도시 포럼 공동 개최 </script> & \"따옴표\"", "ko", &["events"]);
    body["breadcrumb"] = json!(["알림", "행사/활동"]);
    body["author"] = json!({ "name": "국제협력실" });
    body["summary"] = json!("두 도시의 연구자들이 모입니다.");
    body["body"] = json!({ "format": "html", "content": "<p>□ 첫 문단</p><p>○ 둘째 문단</p>" });
    body["images"] =
        json!([{ "url": "https://img.example.org/hall.jpg?a=1&b=2", "alt": "강당", "caption": "▲ 강당에서" }]);
    body["attachments"] = json!([
        { "url": "https://files.example.org/a.pdf", "name": "안내문.pdf", "media_type": "application/pdf", "bytes": 1_234_567 },
        { "url": "https://files.example.org/b.hwp", "name": "신청서.hwp" }]);
    body["contact"] =
        json!({ "department": "국제협력실", "name": "이하늘", "phone": "044-000-0000", "email": "ask@example.org" });
    body["event"] = json!({ "starts_at": "2026-12-06T14:00", "ends_at": "2026-12-06T17:30", "time_zone": "Asia/Seoul",
        "location": "강당 </script>" });
    body["tags"] = json!(["innovation"]);
    body["story"] = json!("forum");
    body["url"] = json!("https://board.example.org/view?id=1&page=2");
    body
}

/// The JSON-LD of a page, which must stand in one block.
fn linked(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/ld+json\">").expect("a block");
    let (json, after) = rest.split_once("</script>").expect("an end");
    assert!(!after.contains("<script"), "{after}");
    serde_json::from_str(json).expect("JSON")
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_the_board_has_its_place() {
    let site = Site::new();
    let id = site.publish_openly(&announced()).await;
    let mut english = post("forum-en", "Third forum", "en", &["events"]);
    english["story"] = json!("forum");
    let english = site.publish_openly(&english).await;
    let answer = site.get(&format!("/posts/{id}?lang=ko")).await;
    check_headers(&answer);
    let page = answer.text();
    let url = site.setting.url(&format!("/posts/{id}"));
    let mut rest = page.split_once("<main id=\"main\">").expect("a page").1;
    // In the order in which a board has it.
    for part in [
        "<span lang=\"ko\">알림</span> › <a href=\"/topics/events?lang=ko\" lang=\"ko\">행사/활동</a></nav>",
        "<h1>제3차 물과 도시 포럼 공동 개최 &lt;/script&gt; &amp; &quot;따옴표&quot;</h1>",
        "<dt>작성</dt><dd lang=\"ko\">국제협력실</dd>",
        "<dt>작성일</dt><dd>",
        "<dt>조회수</dt><dd>0</dd>",
        "<p>□ 첫 문단</p><p>○ 둘째 문단</p>",
        "<img src=\"https://img.example.org/hall.jpg?a=1&amp;b=2\" alt=\"강당\" loading=\"lazy\" decoding=\"async\"><figcaption>▲ 강당에서</figcaption>",
        "국제협력실 · 이하늘 · 044-000-0000 <a href=\"mailto:ask@example.org\">",
        "<a href=\"https://files.example.org/a.pdf\">안내문.pdf</a></td><td>PDF</td><td>1.3 MB</td>",
        "<a href=\"https://files.example.org/b.hwp\">신청서.hwp</a></td><td>HWP</td><td>–</td>",
    ] {
        let (_, after) = rest.split_once(part).unwrap_or_else(|| panic!("{part} isn't in its place: {page}"));
        rest = after;
    }
    let head = page.split_once("</head>").expect("a head").0;
    for tag in [
        format!("<link rel=\"canonical\" href=\"{url}\">"),
        format!("<link rel=\"alternate\" hreflang=\"en\" href=\"{}\">", site.setting.url(&format!("/posts/{english}"))),
        format!("<link rel=\"alternate\" hreflang=\"ko\" href=\"{url}\">"),
        format!("<meta property=\"og:url\" content=\"{url}\">"),
        "<meta property=\"og:type\" content=\"article\">".to_owned(),
        "<meta property=\"og:title\" content=\"제3차 물과 도시 포럼 공동 개최 &lt;/script&gt; &amp; &quot;따옴표&quot;\">".to_owned(),
        "<meta property=\"og:description\" content=\"두 도시의 연구자들이 모입니다.\">".to_owned(),
        "<meta property=\"og:locale\" content=\"ko_KR\">".to_owned(),
        "<meta property=\"og:locale:alternate\" content=\"en_US\">".to_owned(),
        "<meta property=\"og:image\" content=\"https://img.example.org/hall.jpg?a=1&amp;b=2\">".to_owned(),
        "<meta property=\"og:image:alt\" content=\"강당\">".to_owned(),
        "<meta name=\"twitter:card\" content=\"summary_large_image\">".to_owned(),
    ] {
        assert!(head.contains(&tag), "{tag} isn't in {head}");
    }
    assert!(answer.bytes.len() < 50_000, "{} octets", answer.bytes.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_read_an_article_and_an_event() {
    let site = Site::new();
    let id = site.publish_openly(&announced()).await;
    let url = site.setting.url(&format!("/posts/{id}"));
    let data = linked(&site.get(&format!("/posts/{id}")).await.text());
    assert_eq!(data["@context"], "https://schema.org");
    let (article, event) = (&data["@graph"][0], &data["@graph"][1]);
    assert_eq!((&article["@type"], &article["url"]), (&json!("NewsArticle"), &json!(url)));
    assert_eq!(article["headline"], announced()["title"]);
    assert_eq!((&article["inLanguage"], &article["keywords"]), (&json!("ko"), &json!(["innovation"])));
    assert_eq!((&article["author"]["name"], &article["isBasedOn"]), (&json!("국제협력실"), &announced()["url"]));
    assert_eq!(article["image"], json!(["https://img.example.org/hall.jpg?a=1&b=2"]));
    assert_eq!((&event["@type"], &event["startDate"]), (&json!("Event"), &json!("2026-12-06T14:00:00+09:00")));
    assert_eq!(
        (&event["endDate"], &event["location"]["name"]),
        (&json!("2026-12-06T17:30:00+09:00"), &json!("강당 </script>"))
    );

    // A post without any of that is an article alone, described by how it begins.
    let id = site.publish_openly(&post("plain", "평범한 글", "ko", &["notices"])).await;
    let page = site.get(&format!("/posts/{id}")).await.text();
    let data = linked(&page);
    assert_eq!(data["@graph"].as_array().map(Vec::len), Some(1));
    assert!(data["@graph"][0]["description"].as_str().is_some_and(|text| text.contains("본문입니다")), "{data}");
    assert!(page.contains("<meta name=\"twitter:card\" content=\"summary\">") && !page.contains("og:image"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_passed_on_by_links_alone() {
    let mut setting = Setting::new();
    setting.extra = "[[share]]\nname = \"facebook\"\nstate = \"off\"\n[[share]]\nname = \"delicious\"\n\
                     url = \"https://links.example.org/add?u={url}&t={title}\"\n"
        .to_owned();
    let site = Site::with(setting);
    let id = site.publish_openly(&announced()).await;
    let page = site.get(&format!("/posts/{id}?lang=ko")).await.text();
    let url = site.setting.url(&format!("/posts/{id}"));
    let encoded = url.replace(':', "%3A").replace('/', "%2F");
    for part in [
        format!("href=\"https://www.linkedin.com/sharing/share-offsite/?url={encoded}\""),
        format!("href=\"https://links.example.org/add?u={encoded}&amp;t=%EC%A0%9C3%EC%B0%A8%20"),
        format!("href=\"/share/mastodon/{id}?lang=ko\""),
        "href=\"mailto:?subject=%EC%A0%9C3".to_owned(),
        format!("readonly value=\"{url}\""),
    ] {
        assert!(page.contains(&part), "{part} isn't in {page}");
    }
    assert!(page.contains("%3C%2Fscript%3E%20%26%20%22%EB%94%B0"), "{page}");
    assert!(!page.contains("facebook") && !page.contains("cyworld") && !page.contains("kakao.com/talk"), "{page}");

    let asking = format!("/share/mastodon/{id}");
    let form = site.get(&format!("{asking}?lang=en")).await;
    check_headers(&form);
    assert!(form.status == 200 && form.text().contains("<input type=\"hidden\" name=\"lang\" value=\"en\">"));
    let bad = site.get(&format!("{asking}?server=a.example%2Fpath")).await.text();
    assert!(bad.contains("role=\"alert\"") && bad.contains("value=\"a.example/path\""), "{bad}");
    let good = site.get(&format!("{asking}?server=%40me%40Mastodon.social")).await;
    assert_eq!(good.status, StatusCode::OK, "a link, and no redirection");
    assert!(good.text().contains("href=\"https://mastodon.social/share?text=%EC%A0%9C3"), "{}", good.text());
    for missing in [format!("/share/x/{id}"), format!("/share/nothing/{id}"), "/share/mastodon/nothing".to_owned()] {
        assert_eq!(site.get(&missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_counted_once_a_person_and_without_a_trace() {
    let site = Site::new();
    let mut told = post("told", "조회수", "ko", &["events"]);
    told["views"] = json!(1_150);
    let id = site.publish_openly(&told).await;
    let path = format!("/posts/{id}?lang=ko");
    let shown = |answer: &Answer| {
        let text = answer.text();
        let (_, rest) = text.split_once("<dt>조회수</dt><dd>").expect("views");
        rest.split('<').next().expect("an end").to_owned()
    };
    let (firefox, safari) = (("user-agent", "Firefox/140.0"), ("user-agent", "Safari/605"));
    let (bot, korean) = (("user-agent", "Googlebot/2.1"), ("accept-language", "ko"));
    assert_eq!(shown(&site.get(&path).await), "1,150", "no browser");
    for (headers, expected) in [
        (&[firefox, korean][..], "1,151"),
        (&[firefox, korean], "1,151"),
        (&[safari, korean], "1,152"),
        (&[bot, korean], "1,152"),
        (&[safari], "1,152"),
    ] {
        let answer = site.ask(Method::GET, &path, headers, None).await;
        check_headers(&answer);
        assert_eq!(shown(&answer), expected, "{headers:?}");
    }
    site.ask(Method::HEAD, &path, &[("user-agent", "Edge/1"), korean], None).await;
    // What was counted is written, and then it isn't counted twice.
    let read = || {
        let base = rusqlite::Connection::open(site.setting.path().join("allim.sqlite")).expect("a database");
        base.query_row("SELECT views FROM post_views WHERE post_id = ?1", [&id], |row| row.get::<_, i64>(0)).ok()
    };
    wait_until("the views to be written", Duration::from_secs(20), || read() == Some(2));
    assert_eq!(shown(&site.ask(Method::GET, &path, &[firefox, korean], None).await), "1,152");

    let mut setting = Setting::new();
    // Behind `public_url`, while no other table has begun.
    setting.extra = "count_views = false\n".to_owned();
    let off = Site::with(setting);
    let id = off.publish_openly(&told).await;
    assert!(!off.get(&format!("/posts/{id}?lang=ko")).await.text().contains("조회수</dt>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_announced_again_with_other_views_moves_no_feed() {
    let site = Site::new();
    let mut told = announced();
    told["views"] = json!(1_150);
    let id = site.publish_openly(&told).await;
    let path = format!("/posts/{id}?lang=ko");
    let feeds = async || {
        let mut tags = Vec::new();
        for feed in FEEDS {
            tags.push(site.get(&format!("/feeds/all.{feed}")).await.header("etag").to_owned());
        }
        (tags, site.get("/sitemaps/1.xml").await.text(), site.get(&format!("/posts/{id}.ics")).await.text())
    };
    let before = feeds().await;
    told["views"] = json!(2_300);
    assert_eq!(site.publish(&told).await, id);
    let page = site.until(&path, |answer| answer.text().contains("<dd>2,300</dd>")).await.text();
    assert!(!page.contains("<dt>수정</dt>") && !page.contains("article:modified_time"), "{page}");
    // What is public after it stands in a feed that was made after it.
    let next = site.publish_openly(&post("next", "다음 글", "ko", &["notices"])).await;
    site.until("/feeds/all.atom", |answer| answer.text().contains(&next)).await;
    site.api(Method::POST, &format!("/api/v1/posts/{next}/withdraw"), None).await;
    assert_eq!(before.2, feeds().await.2);
    let atom = site.until("/feeds/all.atom", |answer| !answer.text().contains("다음 글")).await.text();
    let entry = atom.split("<entry>").nth(1).expect("an entry");
    let of = |tag: &str| {
        entry.split(&format!("<{tag}>")).nth(1).and_then(|rest| rest.split('<').next()).expect("a date").to_owned()
    };
    assert_eq!(of("updated"), of("published"), "{entry}");
    assert_eq!(before.1, site.get("/sitemaps/1.xml").await.text());
}

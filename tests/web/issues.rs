//! Past issues of digests, for everybody.

use crate::*;

/// Links to issues on a page of the list.
fn links(page: &str) -> Vec<String> {
    let all = page.split("<a href=\"/editions/").skip(1);
    all.map(|rest| format!("/editions/{}", rest.split('"').next().expect("an end")).replace("&amp;", "&")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_that_went_out_shows_what_its_digest_held_and_nothing_of_who_reads_what() {
    let mut setting = Setting::new();
    // Two readers who combine topics differently, one at once, and nobody who reads English.
    setting.extra = "[[digest]]\nname = \"yearly\"\ntitle = \"Yearly\"\nschedule = \"0 9 1 JAN *\"\n".to_owned();
    setting.subscribe(&[
        "events@example.net,이하늘,ko,events,often".to_owned(),
        "now@example.net,박바다,ko,notices,immediate".to_owned(),
    ]);
    let site = Site::with(setting);
    let empty = site.get("/editions?lang=ko").await;
    check_headers(&empty);
    assert!(empty.status == StatusCode::OK && empty.text().contains("아직 발송된 호가 없습니다."), "{}", empty.text());

    let mut event = post("event", "봄 강연", "ko", &["events"]);
    event["body"]["content"] = json!("누구나 오실 수 있습니다.");
    let mut later = post("later", "비밀 발표", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    site.publish(&later).await;
    let notice = site.publish(&post("notice", "휴관 안내", "ko", &["notices"])).await;
    let event = site.publish_openly(&event).await;
    site.until(&format!("/posts/{notice}"), |answer| answer.status == StatusCode::OK).await;
    let list = site.until("/editions?lang=ko", |answer| answer.text().contains("/editions/often/")).await;
    check_headers(&list);
    let list = list.text();
    // The firing fell before or after the second post; together the issues hold both, whoever reads which.
    assert!(list.contains("<a href=\"/editions?digest=yearly&amp;lang=ko\">Yearly</a>"), "{list}");
    assert!(list.contains("aria-current=\"page\">전체</a>"), "{list}");
    let path = links(&list).remove(0);
    let issue = site.get(&path).await;
    assert_eq!(issue.status, StatusCode::OK);
    check_headers(&issue);
    let text = issue.text();
    assert!(text.contains("<h1>모음</h1>") && text.contains(&format!("/posts/{event}")), "{text}");
    assert!(text.contains("누구나 오실 수 있습니다."), "how the text begins: {text}");
    for nobodys in ["비밀", "noindex", "이하늘", "example.net", "박바다"] {
        assert!(!text.contains(nobodys), "{nobodys}: {text}");
    }
    let plain = path.split('?').next().expect("a path").to_owned();
    let canonical = format!("<link rel=\"canonical\" href=\"{}\">", site.setting.url(&format!("{plain}?lang=ko")));
    assert!(text.contains(&canonical), "{text}");
    // In another language what was released to its readers, though nobody reads it.
    let english = site.get(&format!("{plain}?lang=en")).await.text();
    assert!(english.contains("<h1>Digest</h1>") && english.contains(&format!("/posts/{event}")), "{english}");

    let only = site.get("/editions?digest=yearly&lang=ko").await.text();
    assert!(only.contains("아직 발송된 호가 없습니다."), "{only}");
    for none in [
        "/editions?digest=nothing",
        "/editions?before=x",
        "/editions/often/x",
        "/editions/often/20200101T000000Z",
        "/editions/nothing/20261123T000000Z",
        "/editions/immediate/20261123T000000Z",
    ] {
        assert_eq!(site.get(none).await.status, StatusCode::NOT_FOUND, "{none}");
    }

    // What is taken back leaves the issue, and an issue of which nothing is left leaves the list.
    for id in [&event, &notice] {
        site.api(Method::POST, &format!("/api/v1/posts/{id}/withdraw"), None).await;
    }
    let text = site.until(&path, |answer| !answer.text().contains(&event)).await.text();
    assert!(text.contains("철회되었거나") && !text.contains("봄 강연"), "{text}");
    let list = site.get("/editions?lang=ko").await.text();
    assert!(links(&list).is_empty(), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_linked_unless_it_is_turned_off() {
    let site = Site::new();
    for path in ["/", "/topics/events", "/nowhere"] {
        assert!(site.get(path).await.text().contains("href=\"/editions\""), "{path}");
    }
    assert!(
        site.get("/sitemaps/1.xml").await.text().contains(&format!("<loc>{}</loc>", site.setting.url("/editions")))
    );
    let mut setting = Setting::new();
    setting.extra = "show_issues = false\n".to_owned();
    let off = Site::with(setting);
    assert!(!off.get("/").await.text().contains("/editions"));
    assert!(!off.get("/sitemaps/1.xml").await.text().contains("/editions"));
    for path in ["/editions", "/editions/often/20261123T000000Z"] {
        assert_eq!(off.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

//! A post that can't be shown is set aside alone, with the reason, and feeds and pages of the others go on.

use crate::*;

/// Fails for one post: asks for what isn't there.
const OWN_TEMPLATE: &str =
    "{% if \"넘어지는\" in entry.title %}{{ entry.nothing_of_this_name }}{% endif %}<p>{{ entry.title }}</p>";

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_shown_spoils_nothing() {
    let mut setting = Setting::new();
    let folder = setting.path().join("templates");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("post_content.html"), OWN_TEMPLATE).expect("written");
    setting.extra = "[templates]\nfolder = \"templates\"\n".to_owned();
    let site = Site::with(setting);
    let before = site.publish(&post("before", "앞선 소식", "ko", &["events"])).await;
    let broken = site.publish(&post("broken", "넘어지는 소식", "ko", &["events"])).await;
    let after = site.publish(&post("after", "뒤의 소식", "ko", &["events"])).await;
    for ending in FEEDS {
        let path = format!("/feeds/events.{ending}");
        let feed = site.until(&path, |answer| answer.text().contains(&after)).await.text();
        assert!(feed.contains(&before) && !feed.contains(&broken), "{feed}");
    }
    let listed =
        || -> Vec<Value> { serde_json::from_str(&site.setting.run(&["--json", "quarantine", "list"])).expect("JSON") };
    let rows = listed();
    assert_eq!(rows.len(), 1, "each revision once: {rows:?}");
    let row = &rows[0];
    assert_eq!((&row["reason"], &row["source_id"]), (&json!("unshowable"), &json!("broken")));
    assert!(row["path"].as_str().is_some_and(|path| path.starts_with("feeds/events.")), "{row}");
    let detail = row["detail"].as_str().expect("a reason");
    assert!(detail.contains("post_content.html") && detail.contains("nothing_of_this_name"), "{detail}");
    let id = row["id"].as_str().expect("an id");
    assert!(site.setting.run(&["quarantine", "show", id]).contains("넘어지는 소식"));
    // Its own page, and the mail of it, are made by other templates.
    assert_eq!(site.get(&format!("/posts/{broken}")).await.status, StatusCode::OK);

    // Each change makes feeds anew; the row stays one. Once the template is right it may be put away.
    site.publish_openly(&post("last", "마지막 소식", "ko", &["events"])).await;
    site.until("/feeds/events.atom", |answer| answer.text().contains("마지막 소식")).await;
    assert_eq!(listed().len(), 1);
    let told = site.setting.run(&["quarantine", "replay", id]);
    assert!(told.contains("0 still set aside") && listed().is_empty(), "{told}");
    // It isn't right yet: it comes back.
    site.publish_openly(&post("next", "다음 소식", "ko", &["events"])).await;
    site.until("/feeds/events.atom", |answer| answer.text().contains("다음 소식")).await;
    assert_eq!(listed().len(), 1);
}

//! Digests: how a wrong issue is stopped before it leaves, and one is skipped.

use super::House;
use super::support::{Setting, post, publish};
use allim::domain::staff::Role;

/// A digest that fires by itself once in a while only.
const WEEKLY: &str = r#"
[[digest]]
name = "weekly"
title = { ko = "주간", en = "Weekly", zh = "周刊" }
schedule = "0 9 * * MON"
"#;

/// A house whose digest has a reader and a post that is owed.
async fn furnished() -> House {
    let mut setting = Setting::new();
    setting.extra.push_str(WEEKLY);
    let house = House::with(setting);
    house.setting.subscribe(&["kim@example.org,김,ko,events,weekly".to_owned()]);
    publish(&house.client, &house.setting.url("/api/v1/posts"), &post("one", "첫 소식", "ko", &["events"])).await;
    house
}

#[tokio::test]
async fn a_wrong_digest_is_stopped_before_it_leaves() {
    let house = furnished().await;
    let operator = house.person(Role::Operator).await;
    let list = operator.get("/admin/digests").await.text;
    assert!(list.contains("/admin/digests/weekly"), "{list}");
    let shown = operator.until("/admin/digests/weekly/preview?language=ko", "첫 소식").await.text;
    assert!(shown.contains("<iframe") && shown.contains("sandbox"), "{shown}");
    let frame = operator.get("/admin/digests/weekly/preview/html?address=kim%40example.org").await;
    assert!(frame.text.contains("첫 소식") && frame.policy.contains("sandbox"), "{} {}", frame.policy, frame.text);
    let stranger = operator.get("/admin/digests/weekly/preview?address=nobody%40example.org").await;
    assert!(stranger.status == 422 && stranger.text.contains("Nobody has this address"), "{}", stranger.text);
    let dry = operator.get("/admin/digests/weekly/dry-run").await.text;
    assert!(dry.contains("1 of 1 followers"), "{dry}");

    assert_eq!(operator.post("/admin/digests/weekly/hold", &[]).await.status, 422, "a hold says why");
    operator.does("/admin/digests/weekly/hold", &[("reason", "a wrong title")]).await;
    operator.does("/admin/digests/weekly/now", &[]).await;
    let held = operator.until("/admin/digests/weekly", "name=\"edition\"").await.text;
    assert!(held.contains("This digest is held") && held.contains("a wrong title"), "{held}");
    let edition = held.split("name=\"edition\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("one");
    operator.does("/admin/digests/weekly/cancel", &[("edition", edition)]).await;
    operator.does("/admin/digests/weekly/let-go", &[]).await;
    let after = operator.get("/admin/digests/weekly").await.text;
    assert!(after.contains("Nothing waits") && !after.contains("This digest is held"), "{after}");
    assert!(house.setting.run(&["delivery", "list", "--json"]).contains("cancelled"));
    let audit = house.person(Role::Owner).await.get("/admin/audit").await.text;
    assert!(audit.contains("held a digest") && audit.contains("cancelled what waited"), "{audit}");
}

#[tokio::test]
async fn the_next_issue_is_skipped_once() {
    let house = furnished().await;
    let operator = house.person(Role::Operator).await;
    operator.does("/admin/digests/weekly/skip", &[("reason", "nobody is in")]).await;
    let page = operator.get("/admin/digests/weekly").await.text;
    assert!(page.contains("changed by"), "{page}");
    let again = operator.post("/admin/digests/weekly/skip", &[("reason", "again")]).await;
    assert_eq!(again.status, 422, "it is skipped already");
}

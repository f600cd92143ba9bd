//! The journey of a post, and what an operator does about it.

use super::House;
use super::support::{post, publish, wait_until};
use allim::domain::staff::Role;
use reqwest::StatusCode;
use std::time::Duration;

fn mails(house: &House) -> usize {
    std::fs::read_dir(house.setting.maildir()).map_or(0, Iterator::count)
}

#[tokio::test]
async fn a_post_is_followed_corrected_and_withdrawn() {
    let house = House::new();
    let readers = ["kim", "lee"].map(|name| format!("{name}@example.org,,ko,events,immediate"));
    house.setting.subscribe(&readers);
    let (operator, editor) = (house.person(Role::Operator).await, house.person(Role::Editor).await);
    let mut body = post("walk", "강가 산책 <안내>", "ko", &["events"]);
    let id = publish(&house.client, &house.setting.url("/api/v1/posts"), &body).await;
    wait_until("two mails", Duration::from_secs(20), || mails(&house) == 2);

    let list = operator.get("/admin/posts?q=%EA%B0%95%EA%B0%80").await.text;
    assert!(list.contains(&format!("/admin/posts/{id}")) && list.contains("강가 산책 &lt;안내&gt;"), "{list}");
    assert!(operator.get("/admin/posts?q=walk").await.text.contains(&id), "by the id of the source");
    assert!(!operator.get("/admin/posts?state=withdrawn").await.text.contains(&id));
    let path = format!("/admin/posts/{id}");
    let page = operator.until(&path, "sent 2").await.text;
    let sends = page.split(&format!("{path}/readers?")).nth(1).and_then(|rest| rest.split('"').next()).expect("a send");
    let receipts = operator.get(&format!("{path}/readers?{}", sends.replace("&amp;", "&"))).await.text;
    assert!(receipts.contains("kim@example.org") && receipts.contains("/admin/people/"), "{receipts}");

    assert_eq!(operator.post(&format!("{path}/correct"), &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    body["title"] = serde_json::json!("강가 산책 (날짜 변경)");
    body["revision"] = serde_json::json!(2);
    publish(&house.client, &house.setting.url("/api/v1/posts"), &body).await;
    let asked = operator.until(&format!("{path}?correct=count"), "goes to the 2 readers").await;
    assert!(asked.text.contains("날짜 변경"), "{}", asked.text);
    assert!(asked.text.contains("</th><td>1</td>"), "what went out was the first revision: {}", asked.text);
    operator.does(&format!("{path}/correct"), &[]).await;
    wait_until("two corrections", Duration::from_secs(20), || mails(&house) == 4);

    assert_eq!(editor.post(&format!("{path}/withdraw"), &[("reason", "x")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(operator.post(&format!("{path}/withdraw"), &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let page = operator.get(&path).await.text;
    assert!(page.contains("</th><td>1</td>") && page.contains("</th><td>2</td>"), "{page}");
    operator.does(&format!("{path}/withdraw"), &[("reason", "the walk is called off")]).await;
    let gone = operator.until(&path, "It was taken back").await.text;
    assert!(!gone.contains("/withdraw\""), "{gone}");
    let audit = operator.get(&format!("/admin/audit?subject=post%3A{id}")).await.text;
    assert!(audit.contains("sent a correction") && audit.contains("the walk is called off"), "{audit}");
    assert_eq!(operator.get("/admin/posts/nothing").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_old_post_is_released_once() {
    let house = House::new();
    house.setting.subscribe(&["kim@example.org,,ko,events,immediate".to_owned()]);
    let operator = house.person(Role::Operator).await;
    let mut body = post("old", "지난해 소식", "ko", &["events"]);
    body["published_at"] = serde_json::json!("2024-01-05T09:00:00+09:00");
    let id = publish(&house.client, &house.setting.url("/api/v1/posts"), &body).await;
    let path = format!("/admin/posts/{id}");
    operator.until(&path, "published too long ago").await;
    operator.does(&format!("{path}/release"), &[]).await;
    wait_until("its mail", Duration::from_secs(20), || mails(&house) == 1);
    let again = operator.post(&format!("{path}/release"), &[]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
}

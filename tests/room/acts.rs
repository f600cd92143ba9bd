//! What operators do: a quarantined message, a partner's keys, a second person.

use super::support::{self, Setting, TOKEN, post, publish, wait_until};
use super::{House, Person};
use allim::domain::staff::Role;
use reqwest::StatusCode;
use std::time::Duration;

/// The first link of a page that begins like this.
fn link(page: &str, begins: &str) -> String {
    let from = page.find(&format!("href=\"{begins}")).unwrap_or_else(|| panic!("no link to {begins}: {page}")) + 6;
    page[from..].split('"').next().expect("a link").to_owned()
}

async fn send_bytes(house: &House, body: String) -> StatusCode {
    let request = house.client.post(house.setting.url("/api/v1/posts")).bearer_auth(TOKEN);
    request.header("content-type", "application/json").body(body).send().await.expect("an answer").status()
}

#[tokio::test]
async fn a_quarantined_message_is_mended_and_taken_in() {
    let house = House::new();
    let operator = house.person(Role::Operator).await;
    let mut broken = post("spring", "봄 소식", "ko", &["events"]);
    broken["published_at"] = serde_json::json!("어제");
    broken["author"] = serde_json::json!({ "name": "<script>alert(1)</script>" });
    assert!(send_bytes(&house, broken.to_string()).await.is_client_error());
    let list = operator.get("/admin/quarantine").await.text;
    let page = operator.get(&link(&list, "/admin/quarantine/")).await.text;
    let path = link(&list, "/admin/quarantine/");
    assert!(page.contains("published_at") && !page.contains("<script>alert"), "{page}");

    let again = operator.post(&format!("{path}/replay"), &[]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(again.text.contains("still refused"), "{}", again.text);
    let still = operator.post(&format!("{path}/mend"), &[("text", "{\"id\": 1")]).await;
    assert!(still.text.contains("still refused") && still.text.contains("{&quot;id&quot;: 1"), "{}", still.text);
    broken["published_at"] = serde_json::json!("2026-11-23T09:00:00+09:00");
    assert_eq!(
        operator.does(&format!("{path}/mend"), &[("text", &broken.to_string())]).await,
        "/admin/quarantine?said=said_taken"
    );
    assert!(operator.get("/admin/quarantine").await.text.contains("Nothing is set aside"));
    assert!(house.setting.run(&["post", "list"]).contains("봄 소식"));
    let audit = operator.get("/admin/audit").await.text;
    assert!(audit.contains("mended a message"), "{audit}");
}

#[tokio::test]
async fn a_message_is_put_away_with_a_reason() {
    let house = House::new();
    let operator = house.person(Role::Operator).await;
    assert!(send_bytes(&house, "{\"id\": \"x\"}".to_owned()).await.is_client_error());
    let path = link(&operator.get("/admin/quarantine").await.text, "/admin/quarantine/");
    assert_eq!(operator.post(&format!("{path}/discard"), &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    operator.does(&format!("{path}/discard"), &[("reason", "a test of theirs")]).await;
    assert!(operator.get("/admin").await.text.contains("Nothing needs you now"));
}

#[tokio::test]
async fn a_partners_keys_are_shown_once_and_kept_sealed() {
    let house = House::new();
    house.setting.run(&["partner", "add", "academy", "--url", "https://partner.example.org/hook/secret-path"]);
    let (operator, viewer) = (house.person(Role::Operator).await, house.person(Role::Viewer).await);
    let list = viewer.get("/admin/partners").await.text;
    assert!(
        list.contains("academy") && list.contains("partner.example.org") && !list.contains("secret-path"),
        "{list}"
    );
    let rotated = operator.post("/admin/partners/academy/keys", &[("leaked", "yes")]).await;
    assert_eq!(rotated.status, StatusCode::OK);
    let secret = rotated.text.split("whsec_").nth(1).expect("a shared secret").split('<').next().expect("its end");
    assert!(secret.len() > 20);
    for page in ["/admin/partners/academy", "/admin/audit", "/admin"] {
        assert!(!operator.get(page).await.text.contains(secret), "{page}");
    }
    operator.does("/admin/partners/academy/pause", &[("reason", "their move")]).await;
    let paused = viewer.get("/admin/partners/academy").await.text;
    assert!(paused.contains("their move") && !paused.contains("<button>New keys"), "{paused}");
    operator.does("/admin/partners/academy/resume", &[]).await;
    operator.does("/admin/partners/academy/replay", &[("days", "7")]).await;
    operator.does("/admin/partners/academy/end", &[]).await;
    assert!(!operator.get("/admin/partners").await.text.contains("/admin/partners/academy"));
    assert_eq!(operator.get("/admin/partners/nobody").await.status, StatusCode::NOT_FOUND);
    assert_eq!(operator.post("/admin/partners/academy/keys", &[]).await.status, StatusCode::NOT_FOUND);
}

/// The plan of the one send that waits.
async fn waiting_plan(person: &Person<'_>) -> String {
    let page = person.until("/admin/waiting", "/approve").await.text;
    page.split("/admin/waiting/").nth(1).and_then(|rest| rest.split('/').next()).expect("a plan").to_owned()
}

#[tokio::test]
async fn a_large_send_waits_for_a_second_person_and_goes_once() {
    let mut house = House::furnished(Setting::new(), "second_person_over = 2");
    let lines: Vec<String> = (0..3).map(|n| format!("reader{n}@example.org,,ko,events,immediate")).collect();
    house.setting.subscribe(&lines);
    let mails = |house: &House| std::fs::read_dir(house.setting.maildir()).map_or(0, Iterator::count);
    publish(&house.client, &house.setting.url("/api/v1/posts"), &post("large", "큰 소식", "ko", &["events"])).await;
    waiting_plan(&house.person(Role::Operator).await).await;
    house.restart();
    let (operator, editor) = (house.person(Role::Operator).await, house.person(Role::Editor).await);
    let plan = waiting_plan(&operator).await;
    assert_eq!(mails(&house), 0);
    assert!(operator.get("/admin").await.text.contains("wait for a second person"));
    let refused = editor.post(&format!("/admin/waiting/{plan}/approve"), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    operator.does(&format!("/admin/waiting/{plan}/approve"), &[]).await;
    wait_until("three mails", Duration::from_secs(20), || mails(&house) == 3);
    let again = operator.post(&format!("/admin/waiting/{plan}/approve"), &[]).await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);

    publish(&house.client, &house.setting.url("/api/v1/posts"), &post("second", "또 큰 소식", "ko", &["events"])).await;
    let plan = waiting_plan(&operator).await;
    operator.does(&format!("/admin/waiting/{plan}/reject"), &[]).await;
    let states = house.setting.run(&["--json", "delivery", "list", "--limit", "50"]);
    assert_eq!(states.matches("\"cancelled\"").count(), 3, "{states}");
    assert_eq!(mails(&house), 3);
    support::wait_until("the audit", Duration::from_secs(5), || {
        let audit = house.setting.run(&["audit"]);
        audit.contains("send_approve") && audit.contains("send_reject")
    });
}

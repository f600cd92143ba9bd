//! What people do on the pages, in Chromium, without JavaScript and with it (`tests/stories.mjs`).

use crate::*;

/// What a post page may weigh without its pictures: headers, page and style sheet as they come over the wire.
const OCTETS_MAX: u32 = 50_000;

#[tokio::test(flavor = "multi_thread")]
async fn people_get_along_with_and_without_javascript() {
    let Some(tools) = support::server("ALLIM_TEST_TOOLS") else { return };
    let mut setting = Setting::new();
    setting.extra = "show_mail_folder = true\n".to_owned();
    let site = Site::with(setting);
    let title = "강을 따라 걷는 저녁 <신청 받습니다>";
    let mut walk = post("walk", title, "ko", &["events"]);
    let paragraphs = "<p>해질녘물길을 따라 한 시간 반쯤 걷고, 다리 아래에서 차를 마십니다.</p>".repeat(12);
    walk["body"] = json!({ "format": "html", "content": paragraphs });
    walk["summary"] = json!("해가 지는 물가를 함께 걷습니다.");
    walk["breadcrumb"] = json!(["알림", "행사"]);
    walk["author"] = json!({ "name": "물길 모임" });
    walk["tags"] = json!(["산책", "강"]);
    walk["event"] = json!({ "starts_at": "2026-12-06T16:30", "time_zone": "Asia/Seoul", "location": "남쪽 다리" });
    walk["images"] = json!([{ "url": "https://img.example.org/bridge.jpg", "alt": "해 질 녘의 다리" }]);
    walk["attachments"] = json!([{ "url": "https://files.example.org/map.pdf", "name": "지도.pdf", "bytes": 84_000 },
        { "url": "https://files.example.org/form.hwp", "name": "신청서.hwp" }]);
    walk["contact"] = json!({ "department": "물길 모임", "email": "ask@example.org" });
    walk["story"] = json!("walk");
    let id = site.publish_openly(&walk).await;
    let mut english = post("walk-en", "An evening walk along the river", "en", &["events"]);
    english["story"] = json!("walk");
    let english = site.publish_openly(&english).await;

    let question = json!({ "tools": tools, "origin": site.setting.url(""), "token": TOKEN, "octets_max": OCTETS_MAX,
        "post": { "id": id, "title": title, "english": english, "word": "해질녘물길" } });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stories.mjs");
    let told = move || faults(Command::new("node").arg(script), &question);
    let found = tokio::task::spawn_blocking(told).await.expect("a thread");
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found.join("\n"));
}

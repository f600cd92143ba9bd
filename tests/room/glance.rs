//! The overview: what came in, what went out, what waits and why.

use super::House;
use super::support::{self, Setting, post, publish};
use allim::domain::staff::Role;

#[tokio::test]
async fn the_overview_tells_what_came_in_and_went_out() {
    let house = House::new();
    house.setting.subscribe(&["kim@example.org,김,ko,events,immediate".to_owned()]);
    let viewer = house.person(Role::Viewer).await;
    let empty = viewer.get("/admin").await.text;
    assert!(empty.contains("Nothing needs you now") && empty.contains("Nothing that is due waits"), "{empty}");
    assert!(empty.contains("All is well") && empty.contains("no delivery is uncertain"), "{empty}");
    assert!(empty.contains("Digest") && empty.contains("often"), "every digest stands there with its next firing");
    let body = post("one", "첫 소식", "ko", &["events"]);
    publish(&house.client, &house.setting.url("/api/v1/posts"), &body).await;
    house.client.get(house.setting.url("/feeds/all.atom")).send().await.expect("a feed");
    // What is counted is written every ten seconds.
    let page = viewer.until("/admin?span=hour", "sent 1").await.text;
    assert!(page.contains("accepted") && page.contains("<svg"), "{page}");
    assert!(page.contains("From accepting a post") && page.contains("≤"), "{page}");
    for span in ["day", "month", "nonsense"] {
        assert_eq!(viewer.get(&format!("/admin?span={span}")).await.status, 200);
    }
}

#[tokio::test]
async fn the_overview_tells_why_mail_waits_while_the_relay_is_away() {
    let mut setting = Setting::new();
    // Nobody listens there.
    setting.relay = Some(support::Relay { port: support::free_port(), connections: 1 });
    let house = House::with(setting);
    house.setting.subscribe(&["kim@example.org,김,ko,events,immediate".to_owned()]);
    let viewer = house.person(Role::Viewer).await;
    publish(&house.client, &house.setting.url("/api/v1/posts"), &post("one", "첫 소식", "ko", &["events"])).await;
    let page = viewer.until("/admin", "be delivered just now").await.text;
    assert!(page.contains("What waits, and for how long") && page.contains("be reached 1"), "{page}");
    assert!(
        page.contains("Mail <span class=\"quiet\">main</span>") && !page.contains("Nothing needs you now"),
        "{page}"
    );
}

#[tokio::test]
async fn the_overview_says_which_promise_is_not_kept_and_what_to_do() {
    let house = House::new();
    let viewer = house.person(Role::Viewer).await;
    house.setting.run(&["hold", "on", "--reason", "a test"]);
    let page = viewer.get("/admin").await.text;
    assert!(page.contains("Something is late") && page.contains("Nothing is held"), "{page}");
    house.setting.run(&["hold", "off"]);
    let page = viewer.get("/admin").await.text;
    assert!(page.contains("All is well"), "{page}");
}

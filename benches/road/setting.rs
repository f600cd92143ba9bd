//! An installation in a folder of its own, built from parts of the library.

use allim::app::{self, App, Purpose, World};
use allim::config;
use allim::domain::audience::{Address, Slot, Subscriber};
use allim::domain::language::Language;
use allim::intake::wire::Incoming;
use allim::store::subscribers;
use std::path::Path;

/// Builds an app on SQLite below `folder`, with `extra` added to its configuration.
pub async fn app(folder: &Path, extra: &str) -> App {
    let text = format!(
        r#"
[instance]
state_dir = "{}"
[site]
name = "연구원"
tag_authority = "example.org,2026"
zone = "Asia/Seoul"
[languages]
readers = ["ko"]
[[topic]]
name = "events"
title = "행사"
[[digest]]
name = "weekly"
title = "주간"
schedule = "0 9 * * MON"
[[sender]]
name = "news"
from = "연구원 소식"
address = "news@example.org"
list_id = "news.example.org"
[[intake.source]]
name = "cms"
{extra}"#,
        folder.display()
    );
    let config = config::parse(&text, Path::new("bench.toml"), folder, std::iter::empty()).expect("a configuration");
    app::build(config, World::system(), Purpose::Command).await.expect("an app")
}

/// Adds readers of the topic `events` by `slot`.
pub async fn subscribe(app: &App, count: usize, slot: &str) {
    let now = app.store.now().await.expect("a time");
    let language = Language::parse("ko").expect("a tag");
    for start in (0..count).step_by(5_000) {
        let readers: Vec<Subscriber> = (start..count.min(start + 5_000))
            .map(|number| Subscriber {
                id: app.world.chance.draw_id(),
                address: Address::parse(&format!("r{number}@example.net")).expect("an address"),
                name: None,
                language: language.clone(),
                unsubscribed_at: None,
            })
            .collect();
        let slot = Slot::from(slot.to_owned());
        let add = move |tx: &mut allim::store::Tx<'_>| {
            for reader in &readers {
                subscribers::insert(tx, reader, now)?;
                subscribers::subscribe(tx, reader.id, "events", &slot, now)?;
            }
            Ok(())
        };
        app.store.write(add).await.expect("subscribed");
    }
}

/// Takes in a post with a body of about `bytes` octets.
pub async fn publish(app: &App, id: &str, bytes: usize) {
    app.intake.accept(vec![message(id, bytes, app.world.clock.now().timestamp())]).await.expect("accepted");
}

/// A bare post.
pub fn message(id: &str, bytes: usize, at: jiff::Timestamp) -> Incoming {
    let body = "연구원 소식입니다. ".repeat(bytes / 26 + 1);
    let json = serde_json::json!({ "id": id, "title": "제목", "language": "ko", "topics": ["events"],
        "published_at": at.to_string(), "body": { "format": "text", "content": body } });
    Incoming {
        source: "cms".to_owned(),
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        bytes: json.to_string().into_bytes(),
    }
}

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
    app_on(folder, "", extra).await
}

/// Builds an app whose `[store]` table is `store`.
pub async fn app_on(folder: &Path, store: &str, extra: &str) -> App {
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
urgent = true
[immediate]
grace = "0s"
{store}
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
                text_only: false,
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

/// Topics of [`crowd`] beside `events`.
pub const TOPICS: usize = 20;

/// The `[[topic]]` tables of [`TOPICS`].
pub fn topics() -> String {
    (0..TOPICS).map(|number| format!("[[topic]]\nname = \"t{number}\"\ntitle = \"주제 {number}\"\n")).collect()
}

/// Adds `count` readers of the weekly digest at once, each with three of [`TOPICS`], in ten domains; they were planned with their
/// slot before, as all but new ones are.
pub async fn crowd(app: &App, count: usize) {
    crowd_of(app, count, "t").await;
}

/// The same with the one topic `events`, or with three that begin with `t`.
pub async fn crowd_of(app: &App, count: usize, topic: &'static str) {
    let add = move |tx: &mut allim::store::Tx<'_>| {
        const READERS: &str = "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
             INSERT INTO subscribers (id, address, address_key, domain, language, created_at, confirmed_at)
             SELECT i * 1000003, 'r' || i || '@d' || (i % 10) || '.example.net', 'r' || i || '@d' || (i % 10) || '.example.net',
                 'd' || (i % 10) || '.example.net', 'ko', 1, 1 FROM n";
        const ONE: &str =
            "INSERT INTO subscriptions (subscriber_id, topic, schedule, slot, since, mark, created_at, followed_at)
             SELECT id, 'events', 'weekly', 'weekly', 0, 0, 1, 1 FROM subscribers";
        const THREE: &str =
            "WITH RECURSIVE n (i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
             INSERT INTO subscriptions (subscriber_id, topic, schedule, slot, since, mark, created_at, followed_at)
             SELECT i * 1000003, 't' || ((i * 7 + (i / 20) * k * (k + 1) + k * 3) % 20), 'weekly', 'weekly', 0, 0, 1, 1
             FROM n CROSS JOIN (SELECT 0 AS k UNION ALL SELECT 1 UNION ALL SELECT 2) ks WHERE true
             ON CONFLICT (subscriber_id, topic) DO NOTHING";
        const SLOT: &str = "INSERT INTO slots (slot, line, considered_at, bound) VALUES ('weekly', '', 1, 0)
             ON CONFLICT (slot) DO NOTHING";
        tx.execute(READERS, &[(count as i64).into()])?;
        match topic {
            "events" => tx.execute(ONE, &[])?,
            _ => tx.execute(THREE, &[(count as i64).into()])?,
        };
        tx.execute(SLOT, &[])
    };
    app.store.write(add).await.expect("a crowd");
}

/// Takes in a post with a body of about `bytes` octets.
pub async fn publish(app: &App, id: &str, bytes: usize) {
    app.intake.accept(vec![message(id, bytes, app.world.clock.now().timestamp())]).await.expect("accepted");
}

/// Takes in ten posts, each under two of [`TOPICS`].
pub async fn publish_ten(app: &App, id: &str) {
    app.intake.accept(ten(id, app.world.clock.now().timestamp())).await.expect("accepted");
}

/// Ten posts, each under two of [`TOPICS`].
pub fn ten(id: &str, at: jiff::Timestamp) -> Vec<Incoming> {
    let post = |number: usize| {
        let topics = [number * 2 % TOPICS, (number * 3 + 1) % TOPICS].map(|topic| format!("t{topic}"));
        about(&format!("{id}-{number}"), 700, at, &serde_json::json!(topics))
    };
    (0..10).map(post).collect()
}

/// A post that may not wait.
pub fn urgent(id: &str, at: jiff::Timestamp) -> Incoming {
    let mut post = message(id, 700, at);
    let mut json: serde_json::Value = serde_json::from_slice(&post.bytes).expect("JSON");
    json["priority"] = serde_json::json!("urgent");
    post.bytes = json.to_string().into_bytes();
    post
}

/// A bare post.
pub fn message(id: &str, bytes: usize, at: jiff::Timestamp) -> Incoming {
    about(id, bytes, at, &serde_json::json!(["events"]))
}

fn about(id: &str, bytes: usize, at: jiff::Timestamp, topics: &serde_json::Value) -> Incoming {
    let body = "연구원 소식입니다. ".repeat(bytes / 26 + 1);
    let json = serde_json::json!({ "id": id, "title": "제목", "language": "ko", "topics": topics,
        "published_at": at.to_string(), "body": { "format": "text", "content": body } });
    Incoming {
        source: "cms".to_owned(),
        content_type: Some("application/json".to_owned()),
        headers: Vec::new(),
        bytes: json.to_string().into_bytes(),
    }
}

/// Connections of [`relay`].
pub const CONNECTIONS: usize = 10;

/// A relay on this machine, and a web server on a free port.
pub fn relay(port: u16) -> String {
    let listen = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    format!(
        "[web]\nlisten = \"127.0.0.1:{listen}\"\npublic_url = \"http://127.0.0.1:{listen}\"\n\
         [[relay]]\nname = \"main\"\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nconnections = {CONNECTIONS}\n"
    )
}

/// A fresh database on a server, as a `[store]` table.
pub async fn postgres(url: &str) -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = format!("bench_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::SeqCst));
    let (server, _) = url.rsplit_once('/').expect("a URL with a database");
    let (made, url) = (format!("CREATE DATABASE {name}"), url.to_owned());
    let create = move || {
        postgres::Client::connect(&url, postgres::NoTls)
            .expect("the server answers")
            .batch_execute(&made)
            .expect("made")
    };
    tokio::task::spawn_blocking(create).await.expect("a thread");
    format!("[store]\nurl = \"{server}/{name}\"\n")
}

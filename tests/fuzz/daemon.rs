//! The same posts over the wire into a daemon that runs, and everything that it then serves.

use crate::{outputs, pages, support, wire};
use allim::domain::ids::post_id;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::time::Duration;
use support::{Setting, TOKEN};

/// Fewer than a feed holds, so that each of them must be in it.
const POSTS: usize = 40;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_takes_them_in_serves_on() {
    let setting = Setting::new();
    let _daemon = setting.start();
    let (client, mut runner, strategy) = (reqwest::Client::new(), TestRunner::default(), wire::post());
    let get = async |path: &str| {
        let answer = client.get(setting.url(path)).timeout(LIMIT).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.text().await.expect("UTF-8"))
    };
    let mut taken: Vec<(String, String)> = Vec::new();
    for number in 0..POSTS {
        let written = strategy.new_tree(&mut runner).expect("a post").current();
        // Each another post, whatever number it was given.
        let own = format!("own{number}");
        let bytes = replaced(&written.bytes, &own);
        let request =
            client.post(setting.url("/api/v1/posts")).bearer_auth(TOKEN).header("content-type", "application/json");
        let answer = request.body(bytes).timeout(LIMIT).send().await.expect("an answer");
        if answer.status().is_success() {
            taken.push((post_id("cms", &own), written.mark));
        } else {
            assert!(answer.status().is_client_error(), "{}", answer.status());
        }
    }
    assert!(taken.len() > POSTS / 3, "{} of {POSTS}", taken.len());
    for (id, mark) in &taken {
        let began = support::now_seconds();
        let page = loop {
            match get(&format!("/posts/{id}")).await {
                (200, page) => break page,
                (status, _) => assert!(support::now_seconds() - began < 60, "{status} for {id}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        pages::document(&page, mark).unwrap_or_else(|error| panic!("{id}: {error}"));
        let (status, found) = get(&format!("/search?q={mark}")).await;
        assert!(status == 200 && found.contains(&format!("/posts/{id}")), "{mark} isn't found");
        pages::document(&found, mark).unwrap_or_else(|error| panic!("{mark}: {error}"));
    }
    for ending in ["rss", "atom", "json"] {
        let (status, feed) = get(&format!("/feeds/all.{ending}")).await;
        let read = feed_rs::parser::parse(feed.as_bytes()).expect("a feed");
        assert_eq!((status, read.entries.len()), (200, taken.len()), "{ending}");
    }
    let (_, calendar) = get("/feeds/all.ics").await;
    outputs::read_calendar(&calendar).unwrap_or_else(|error| panic!("{error}"));
    for path in ["/feeds/all.rss", "/feeds/all.atom", "/sitemap.xml", "/sitemaps/1.xml", "/feeds.opml"] {
        let (status, text) = get(path).await;
        let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(status, 200, "{path}");
        let ids = taken.iter().filter(|(id, _)| {
            document.root().descendants().any(|node| node.text().is_some_and(|text| text.ends_with(id)))
        });
        assert!(path.ends_with("opml") || path == "/sitemap.xml" || ids.count() == taken.len(), "{path} misses a post");
    }
    // What was refused stands there with its reason; nothing that was taken in can't be shown.
    let aside: serde_json::Value = serde_json::from_str(&setting.run(&["--json", "quarantine", "list"])).expect("JSON");
    let aside = aside.as_array().expect("rows");
    assert_eq!(aside.len(), POSTS - taken.len());
    assert!(aside.iter().all(|row| row["reason"] != "unshowable" && row["detail"].as_str().is_some_and(|detail| !detail.is_empty())));
}

/// The same message with another id.
fn replaced(bytes: &[u8], id: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let (before, rest) = text.split_once("\"id\":\"p").expect("an id");
    let (_, after) = rest.split_once('"').expect("its end");
    format!("{before}\"id\":\"{id}\"{after}").into_bytes()
}

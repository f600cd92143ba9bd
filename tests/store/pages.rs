//! What pages ask for: posts by their words and by their events, the issues that went out, and how often a post was looked at.

use crate::world::{World, on_both};
use allim::domain::clock::UnixMillis;
use allim::domain::ids;
use allim::intake::accept::Verdict;
use allim::store::issues::{self, Issue};
use allim::store::posts::search::{self, Candidates};
use allim::store::{Tx, changes, feeds, posts, views};
use serde_json::{Value, json};
use std::time::Duration;

on_both!(
    posts_are_found_by_their_words,
    a_search_goes_on_where_it_ended,
    events_are_found_without_reading_every_text,
    issues_are_what_was_released_and_went_out,
    what_was_not_sent_stands_in_the_next_issue_that_was,
    a_post_that_is_announced_again_with_other_views_is_not_revised,
);

fn id(source_id: &str) -> String {
    ids::post_id("cms", source_id)
}

async fn candidates(world: &World, words: &[&str], before: Option<(UnixMillis, String)>) -> Candidates {
    let words: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    world.store.read(move |tx| search::candidates(tx, &words, before.as_ref())).await.expect("candidates")
}

async fn found(world: &World, words: &[&str]) -> Vec<String> {
    let ids = candidates(world, words, None).await.posts.into_iter();
    ids.map(|(_, post)| post.source_id).collect()
}

/// A post that was published so many minutes ago, with a text of its own.
async fn publish(world: &World, name: &str, minutes: u64, content: &str) {
    let mut message = world.post(name, &["events"]).await;
    message["published_at"] = json!(world.now().await.minus(Duration::from_secs(minutes * 60)).to_string());
    message["body"]["content"] = json!(content);
    assert_eq!(world.accept(&message).await, Verdict::Stored);
}

async fn posts_are_found_by_their_words(world: World) {
    publish(&world, "forum", 3, "京津冀 통합은 \"새로운\" 전략, 100% Cluster_1 a\\b !").await;
    publish(&world, "other", 2, "다른 글").await;
    let mut secret = world.post("secret", &["events"]).await;
    secret["embargo_until"] = json!(world.now().await.plus(Duration::from_secs(3_600)).to_string());
    secret["body"]["content"] = json!("Cluster 전략");
    assert_eq!(world.accept(&secret).await, Verdict::Stored);
    world.tick().await;
    for words in [
        &["津冀"][..],
        &["CLUSTER"],
        &["cluster_1", "전략"],
        &["\"새로운\""],
        &["100%"],
        &["a\\b"],
        &["!"],
        &["전략,", "통합은", "100%", "cluster"],
    ] {
        assert_eq!(found(&world, words).await, ["forum"], "{words:?}");
    }
    // Neither a wildcard nor the sign that would make one plain is anything but itself.
    for words in [&["cluster%1"][..], &["c_uster"], &["100_"], &["!!"], &["전략", "다른"]] {
        assert!(found(&world, words).await.is_empty(), "{words:?}");
    }
    assert_eq!(found(&world, &["글"]).await, ["other"]);
    let withdrawal = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": "w",
        "data": { "id": "forum" } });
    assert_eq!(world.accept(&withdrawal).await, Verdict::Withdrawn);
    assert!(found(&world, &["cluster"]).await.is_empty());
}

async fn a_search_goes_on_where_it_ended(world: World) {
    let mut messages = Vec::new();
    // Two to an instant, so that a page may end between them.
    for number in 0..(search::CANDIDATES_MAX as u64 + 3) {
        let mut message = world.post(&format!("n{number}"), &["events"]).await;
        message["published_at"] =
            json!(world.now().await.minus(Duration::from_secs(60 * (1 + number / 2))).to_string());
        messages.push(message);
    }
    // On a server the clock runs on meanwhile.
    for pair in messages.chunks_mut(2) {
        let at = pair[0]["published_at"].clone();
        pair.iter_mut().for_each(|message| message["published_at"] = at.clone());
    }
    world.accept_all(&messages).await;
    world.tick().await;
    let first = candidates(&world, &["제목"], None).await;
    assert_eq!(first.posts.len() as i64, search::CANDIDATES_MAX);
    let rest = candidates(&world, &["제목"], first.rest.clone()).await;
    assert_eq!((rest.posts.len(), rest.rest.is_none()), (3, true));
    let mut all: Vec<String> =
        first.posts.iter().chain(&rest.posts).map(|(standing, _)| standing.post_id.clone()).collect();
    assert!(
        first
            .posts
            .is_sorted_by(|(a, one), (b, other)| (one.published_at, &a.post_id) > (other.published_at, &b.post_id))
    );
    all.sort();
    all.dedup();
    assert_eq!(all.len(), messages.len());
}

async fn events_are_found_without_reading_every_text(world: World) {
    let mut fair = world.post("fair", &["events"]).await;
    fair["event"] = json!({ "starts_at": "2026-12-06T14:00", "time_zone": "Asia/Seoul" });
    let mut talk = world.post("talk", &["events"]).await;
    talk["event"] = json!({ "starts_at": "2026-12-07" });
    // A text that speaks of events as we keep them announces none.
    let mut about = world.post("about", &["events"]).await;
    about["body"]["content"] = json!("{\"event\":{\"starts_at\":\"2026-12-06\"}}");
    world.accept_all(&[fair.clone(), talk, about]).await;
    world.tick().await;
    let events = async || {
        let read = |tx: &mut Tx<'_>| {
            let all = search::with_events(tx, UnixMillis(0), UnixMillis(i64::MAX))?;
            let filter = posts::Filter { topic: Some("events".to_owned()), ..posts::Filter::default() };
            let feed = feeds::with_event(tx, &filter, UnixMillis(0), UnixMillis(0), 10)?;
            let names = |found: Vec<(_, allim::domain::post::Post)>| {
                found.into_iter().map(|(_, post)| post.source_id).collect()
            };
            let (mut all, mut feed): (Vec<String>, Vec<String>) = (names(all), names(feed));
            all.sort();
            feed.sort();
            assert_eq!(all, feed);
            Ok(all)
        };
        world.store.read(read).await.expect("found")
    };
    assert_eq!(events().await, ["fair", "talk"]);
    // A revision that is no event any more is none, though its post was one.
    fair["event"] = Value::Null;
    assert_eq!(world.accept(&fair).await, Verdict::Revised);
    assert_eq!(events().await, ["talk"]);
}

async fn fire(world: &World) {
    tokio::time::sleep(Duration::from_millis(2)).await;
    world.clock.set(world.now().await.plus(Duration::from_secs(1)));
    world.planner.fire_now("often").await.expect("fired");
    world.tick().await;
}

async fn listed(world: &World) -> Vec<Issue> {
    let digests = ["often".to_owned(), "daily".to_owned()];
    world.store.read(move |tx| issues::list(tx, &digests, None, 10)).await.expect("a list")
}

/// The posts of an issue for readers of a language, by the ids of their source.
async fn held(world: &World, issue: &Issue, language: &'static str) -> Vec<String> {
    let issue = issue.clone();
    let read = move |tx: &mut Tx<'_>| {
        let posts = issues::posts(tx, &issue, language, 100)?;
        let public = posts.iter().filter(|(standing, _)| standing.is_public()).count();
        assert_eq!(issues::count(tx, &issue, language, 100)?, public as i64);
        Ok(posts.into_iter().map(|(_, post)| post.source_id).collect())
    };
    world.store.read(read).await.expect("posts")
}

async fn issues_are_what_was_released_and_went_out(world: World) {
    world.publish("before", &["events"]).await;
    world.tick().await;
    world.subscriber("events", &[("events", "often")]).await;
    world.subscriber("notices", &[("notices", "immediate")]).await;
    world.subscriber("own", &[("events", "often 07:30 Asia/Seoul")]).await;
    world.subscriber("now", &[("events", "immediate")]).await;
    for (name, topics) in [("a", &["events"][..]), ("b", &["notices", "events"]), ("n", &["notices"])] {
        world.publish(name, topics).await;
        world.tick().await;
    }
    fire(&world).await;
    assert!(listed(&world).await.is_empty(), "nothing was sent yet");
    assert!(world.send_all().await > 2);
    let first = listed(&world).await;
    assert_eq!((first.len(), first[0].digest.as_str()), (1, "often"));
    // Nobody got `before`, which was out when they subscribed. Each post once, whichever of its topics brought it; and that
    // nobody follows the topic of `n` by this digest can't be told from it.
    assert_eq!(held(&world, &first[0], "ko").await, ["a", "b", "n"]);
    assert_eq!(held(&world, &first[0], "en").await, ["a", "b", "n"], "what fell back counts, though nobody reads it");
    assert!(held(&world, &first[0], "zh").await.is_empty());

    world.publish("c", &["events"]).await;
    world.tick().await;
    fire(&world).await;
    world.send_all().await;
    let both = listed(&world).await;
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    assert_eq!(held(&world, &both[0], "ko").await, ["c"]);
    let (at, wanted) = (both[0].due_at, both[0].clone());
    let read = move |tx: &mut Tx<'_>| {
        let none = issues::find(tx, "daily", at)?;
        let before = issues::list(tx, &["often".to_owned()], Some(&(at, "often".to_owned())), 10)?;
        // A digest of a later name that was due at the same instant comes after it.
        let same = issues::list(tx, &["often".to_owned()], Some(&(at, "a".to_owned())), 1)?;
        Ok((issues::find(tx, "often", at)?, none, before.len(), same))
    };
    let (found, none, before, same) = world.store.read(read).await.expect("found");
    assert_eq!((found.as_ref(), none, before, &same[..]), (Some(&wanted), None, 1, &[wanted.clone()][..]));

    let withdrawal = json!({ "specversion": "1.0", "type": "org.allim.post.withdrawn.v1", "source": "cms", "id": "w",
        "data": { "id": "c" } });
    assert_eq!(world.accept(&withdrawal).await, Verdict::Withdrawn);
    let read = move |tx: &mut Tx<'_>| issues::count(tx, &wanted, "ko", 10);
    assert_eq!(world.store.read(read).await.expect("counted"), 0);
}

async fn what_was_not_sent_stands_in_the_next_issue_that_was(world: World) {
    world.subscriber("events", &[("events", "often")]).await;
    for name in ["a", "b"] {
        world.publish(name, &["events"]).await;
        world.tick().await;
        fire(&world).await;
    }
    // The first was superseded by the second before anybody could get it.
    assert_eq!(world.send_all().await, 1);
    // An issue in which there was nothing for anybody is none.
    fire(&world).await;
    let all = listed(&world).await;
    assert_eq!(all.len(), 1);
    assert_eq!(held(&world, &all[0], "ko").await, ["a", "b"]);
}

async fn a_post_that_is_announced_again_with_other_views_is_not_revised(world: World) {
    let mut post = world.post("a", &["events"]).await;
    post["views"] = json!(5);
    assert_eq!(world.accept(&post).await, Verdict::Stored);
    world.tick().await;
    let state = async || {
        let read = |tx: &mut Tx<'_>| {
            let (standing, post) = posts::find(tx, &id("a"))?.expect("a post");
            Ok((standing.revision, standing.revised_at, post.views, views::told(tx, &id("a"))?, changes::head(tx)?))
        };
        world.store.read(read).await.expect("read")
    };
    let (revision, revised_at, views, told, head) = state().await;
    assert_eq!((revision, revised_at, views, told), (1, None, Some(5), None));
    let said = |kind: &str, number: u32, post: &Value| {
        json!({ "specversion": "1.0", "type": format!("org.allim.post.{kind}.v1"), "source": "urn:cms",
            "id": format!("e{number}"), "data": post })
    };
    post["views"] = json!(12);
    // As a bare post, as an event of either kind, and by the number of the revision that it is.
    assert_eq!(world.accept(&post).await, Verdict::Duplicate);
    assert_eq!(state().await, (1, None, Some(5), Some(12), head));
    post["views"] = json!(13);
    assert_eq!(world.accept(&said("revised", 1, &post)).await, Verdict::Duplicate);
    post["views"] = json!(14);
    post["revision"] = json!(1);
    assert_eq!(world.accept(&said("published", 2, &post)).await, Verdict::Duplicate);
    assert_eq!(state().await, (1, None, Some(5), Some(14), head));
    // A source that tells none any more takes nothing back.
    let mut silent = post.clone();
    silent["views"] = Value::Null;
    assert_eq!(world.accept(&said("published", 3, &silent)).await, Verdict::Duplicate);
    assert_eq!(state().await, (1, None, Some(5), Some(14), head));
    // What readers read is a revision, and its number counts from then on.
    post["revision"] = Value::Null;
    post["title"] = json!("고친 제목");
    post["views"] = json!(15);
    assert_eq!(world.accept(&said("published", 4, &post)).await, Verdict::Revised);
    let (revision, revised_at, views, told, later) = state().await;
    assert!(revised_at.is_some() && later > head);
    assert_eq!((revision, views, told), (2, Some(15), None));
}

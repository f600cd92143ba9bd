//! Two allims that tell each other of everything, by signed webhooks: what one publishes, revises and withdraws the other has, once, and
//! nothing goes round.

use crate::house::House;
use crate::support::{Setting, TOKEN, post, publish};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Posts of each.
const POSTS: usize = 50;
/// How often it is looked whether all is there, three times a second.
const LOOKS_MAX: usize = 400;

const INBOX: &str = "[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n[[intake.source]]\nname = \"partner\"\ntopics_default = [\"events\"]\n\
                     [[intake.inbox]]\nsource = \"partner\"\nsecret_files = [\"secret\"]\n";

/// Makes the other one a partner of `setting`'s, and gives it the key.
fn introduce(setting: &Setting, authority: &str, other: &Setting) {
    let url = other.url("/api/v1/inbox/partner");
    let mut command = setting.command(&["partner", "add", "other", "--url", &url, "--order", "line", "--json"]);
    let output = command.env("ALLIM__SITE__TAG_AUTHORITY", authority).output().expect("it runs");
    let made: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    std::fs::write(other.path().join("secret"), made["shared_secret"].as_str().expect("a key")).expect("written");
}

/// State and title of each post, by the name that the first one to publish it gave it.
fn held(house: &House) -> BTreeMap<String, (String, String)> {
    let listed = house.json(&["post", "list", "--limit", "500"]);
    let mut held = BTreeMap::new();
    for one in listed.as_array().expect("posts") {
        let text = |name: &str| one[name].as_str().unwrap_or_default().to_owned();
        let name = text("title").split_whitespace().next().unwrap_or_default().to_owned();
        assert!(held.insert(name, (text("state"), text("title"))).is_none(), "twice: {one}");
    }
    held
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_posts_go_both_ways_and_none_goes_round() {
    let authorities = ["first.example,2026", "second.example,2025"];
    let settings = [Setting::new(), Setting::new()].map(|setting| Setting { extra: INBOX.to_owned(), ..setting });
    for (from, to) in [(0, 1), (1, 0)] {
        introduce(&settings[from], authorities[from], &settings[to]);
    }
    let [first, second] = settings;
    let houses = [House::start(first, authorities[0]), House::start(second, authorities[1])];
    let client = reqwest::Client::new();
    let mut ids: BTreeMap<(usize, usize), String> = BTreeMap::new();
    for number in 0..POSTS {
        for (side, house) in houses.iter().enumerate() {
            let name = format!("{}-{number}", ["가", "나"][side]);
            let body = post(&format!("p{number}"), &format!("{name} 소식"), "ko", &["events"]);
            ids.insert((side, number), publish(&client, &house.setting.url("/api/v1/posts"), &body).await);
        }
    }
    for number in (0..POSTS).step_by(3) {
        for (side, house) in houses.iter().enumerate() {
            let name = format!("{}-{number}", ["가", "나"][side]);
            let body = post(&format!("p{number}"), &format!("{name} 고친 소식"), "ko", &["events"]);
            publish(&client, &house.setting.url("/api/v1/posts"), &body).await;
        }
    }
    let settled = |withdrawn: bool| {
        let [first, second] = [held(&houses[0]), held(&houses[1])];
        let all_there = [&first, &second].iter().all(|held| {
            held.len() == 2 * POSTS
                && (0..POSTS).all(|number| {
                    ["가", "나"].iter().all(|side| {
                        let (state, title) = &held[&format!("{side}-{number}")];
                        let is_right = title.contains("고친") == (number % 3 == 0);
                        is_right && (state == "withdrawn") == (withdrawn && number % 5 == 0)
                    })
                })
        });
        (all_there, first, second)
    };
    wait(|| settled(false)).await;
    for number in (0..POSTS).step_by(5) {
        for (side, house) in houses.iter().enumerate() {
            let url = house.setting.url(&format!("/api/v1/posts/{}/withdraw", ids[&(side, number)]));
            let answer = client.post(url).bearer_auth(TOKEN).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), 200);
        }
    }
    wait(|| settled(true)).await;
    // What came back was known, and nothing is left that somebody must look at.
    for house in &houses {
        assert_eq!(house.json(&["quarantine", "list"]), json!([]));
        let listed = house.json(&["partner", "list"]);
        assert_eq!((&listed[0]["name"], &listed[0]["failing_since_at"]), (&json!("other"), &Value::Null), "{listed}");
    }
}

async fn wait(settled: impl Fn() -> (bool, BTreeMap<String, (String, String)>, BTreeMap<String, (String, String)>)) {
    for look in 0.. {
        let (is_settled, first, second) = settled();
        if is_settled {
            return;
        }
        assert!(look < LOOKS_MAX, "{first:?}\n{second:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

//! Daemons that take posts from partners, and tell sources what became of what they sent.

use crate::server::{Reply, Server};
use crate::support::broker::Broker;
use crate::support::{Daemon, Setting, post, publish, wait_until};
use allim::domain::clock::UnixMillis;
use allim::domain::standard_webhook::{self as webhook, Key, Signed};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const PARTNER: &str = "[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n[[intake.source]]\nname = \"partner\"\ntopics_default = [\"events\"]\n";

/// An installation with an authority of its own.
pub struct House {
    pub setting: Setting,
    authority: &'static str,
    _daemon: Daemon,
}

impl House {
    pub fn start(setting: Setting, authority: &'static str) -> Self {
        let mut command = setting.command(&["run"]);
        command.env("ALLIM__SITE__TAG_AUTHORITY", authority);
        let daemon = setting.start_by(command);
        Self { setting, authority, _daemon: daemon }
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut command = self.setting.command(arguments);
        command.arg("--json").env("ALLIM__SITE__TAG_AUTHORITY", self.authority);
        let output = command.output().expect("it runs");
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
    }

    /// What pulling came to, feed by feed.
    fn pull(&self) -> Value {
        self.json(&["source", "pull", "partner"])
    }

    async fn get(&self, path: &str) -> String {
        reqwest::get(self.setting.url(path)).await.expect("an answer").text().await.expect("a text")
    }

    async fn until(&self, path: &str, holds: &str) -> String {
        for _ in 0..1_000 {
            let text = self.get(path).await;
            if text.contains(holds) {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} never holds {holds}");
    }
}

fn feed(url: &str) -> String {
    format!("[[intake.feed]]\nurl = \"{url}\"\nsource = \"partner\"\n")
}

fn counts(new: i64, revised: i64, withdrawn: i64, own: i64) -> Value {
    json!({ "new": new, "revised": revised, "withdrawn": withdrawn, "own": own, "quarantined": 0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_allims_that_follow_each_other_have_each_post_once() {
    for ending in ["atom", "rss", "json"] {
        let (first, second) = (Setting::new(), Setting::new());
        let url = |setting: &Setting| setting.url(&format!("/feeds/all.{ending}"));
        let (of_first, of_second) = (url(&first), url(&second));
        let first = Setting { extra: format!("{PARTNER}{}", feed(&of_second)), ..first };
        let second = Setting { extra: format!("{PARTNER}{}", feed(&of_first)), ..second };
        let first = House::start(first, "first.example,2026");
        let second = House::start(second, "second.example,2025");
        let mut original = post("one", "물 순환 세미나 & <전시>", "ko", &["events"]);
        original["body"] = json!({ "format": "html", "content": "<p>본문 <em>전체</em> &lt;상세문의&gt;</p>" });
        original["url"] = json!("https://cms.first.example/one");
        original["tags"] = json!(["물"]);
        original["images"] = json!([{ "url": "https://cms.first.example/hall.jpg", "alt": "청중", "caption": "강당" }]);
        original["license"] = json!("CC BY 4.0");
        original["author"] = json!("연구지원팀");
        let client = reqwest::Client::new();
        let id = publish(&client, &first.setting.url("/api/v1/posts"), &original).await;
        first.until(&format!("/feeds/all.{ending}"), "전시").await;
        assert_eq!(second.pull()[0]["taken"], counts(1, 0, 0, 0), "{ending}");
        let listed = second.json(&["post", "list"]);
        let copy = listed[0]["id"].as_str().expect("an id").to_owned();
        let shown = second.json(&["post", "show", &copy]);
        let copied = &shown["post"];
        assert_eq!(copied["title"], "물 순환 세미나 & <전시>", "{ending}");
        assert!(
            copied["body"]["content"].as_str().expect("a text").contains("<p>본문 <em>전체</em> &lt;상세문의&gt;</p>")
        );
        // RSS has no word for where a post was first: there the page of the first allim is the origin.
        let page_there = first.setting.url(&format!("/posts/{id}"));
        let origin = if ending == "rss" { page_there.as_str() } else { "https://cms.first.example/one" };
        assert_eq!(copied["url"], origin, "{ending}");
        assert_eq!(copied["images"][0]["url"], "https://cms.first.example/hall.jpg");
        if ending != "json" {
            assert_eq!(
                (&copied["images"][0]["alt"], &copied["images"][0]["caption"]),
                (&json!("청중"), &json!("강당"))
            );
            assert_eq!(copied["license"], "CC BY 4.0");
        }
        assert_eq!((&copied["author"], &copied["path"]), (&json!("연구지원팀"), &json!(["first.example:2026"])));
        assert_eq!(shown["source_id"], format!("tag:first.example,2026:post/{id}"));
        // Its page says where it comes from.
        let page = second.until(&format!("/posts/{copy}"), "전시").await;
        assert!(page.contains(origin) && page.contains("연구지원팀"), "{ending}");
        // And back: nothing but our own.
        second.until(&format!("/feeds/all.{ending}"), "first.example:2026,second.example:2025").await;
        assert_eq!(first.pull()[0]["taken"], counts(0, 0, 0, 1), "{ending}");
        assert_eq!(second.pull()[0]["taken"], counts(0, 0, 0, 0), "{ending}");
        original["title"] = json!("물 순환 세미나, 고침");
        publish(&client, &first.setting.url("/api/v1/posts"), &original).await;
        first.until(&format!("/feeds/all.{ending}"), "고침").await;
        assert_eq!(second.pull()[0]["taken"], counts(0, 1, 0, 0), "{ending}");
        assert_eq!(first.json(&["post", "list"]).as_array().map(Vec::len), Some(1));
        if ending != "atom" {
            continue;
        }
        let withdraw = first.setting.url(&format!("/api/v1/posts/{id}/withdraw"));
        client.post(withdraw).bearer_auth(crate::support::TOKEN).send().await.expect("an answer");
        first.until("/feeds/all.atom", "deleted-entry").await;
        assert_eq!(second.pull()[0]["taken"], counts(0, 0, 1, 0));
        let list = second.json(&["source", "list"]);
        assert_eq!((&list[0]["url"], &list[0]["failures"]), (&json!(of_first), &json!(0)));
    }
}

fn now() -> UnixMillis {
    UnixMillis(crate::support::now_seconds() * 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn signed_posts_are_taken_and_no_others() {
    let (shared, pair) = (Key::new_shared([1, 2, 3, 4]), Key::new_private([5, 6, 7, 8]));
    let public = pair.verifier().reveal();
    let setting = Setting::new();
    std::fs::write(setting.path().join("secret"), format!("# both sides have it\n{}\n", shared.reveal()))
        .expect("written");
    let inbox =
        format!("[[intake.inbox]]\nsource = \"partner\"\nsecret_files = [\"secret\"]\npublic_keys = [\"{public}\"]\n");
    let house = House::start(Setting { extra: format!("{PARTNER}{inbox}"), ..setting }, "here.example,2026");
    let (client, url) = (reqwest::Client::new(), house.setting.url("/api/v1/inbox/partner"));
    let send = async |url: &str, id: &str, at: UnixMillis, signature: &str, body: &str| {
        let request = client
            .post(url)
            .header("content-type", "application/cloudevents+json")
            .header(webhook::ID, id)
            .header(webhook::TIMESTAMP, webhook::seconds(at))
            .header(webhook::SIGNATURE, signature);
        let answer = request.body(body.to_owned()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.expect("JSON"))
    };
    let event = |id: &str, title: &str, path: &str| {
        json!({
            "specversion": "1.0", "type": "org.allim.post.published.v1", "source": "tag:there.example,2025:posts",
            "id": format!("{id}/1/published"), "allimpath": path, "data": post(id, title, "ko", &[]),
        })
        .to_string()
    };
    let body = event("one", "서명된 소식", "there.example:2025");
    for (key, state, status) in [(&shared, "stored", 201), (&pair, "duplicate", 200), (&shared, "duplicate", 200)] {
        let signature = webhook::sign([key], "msg_1", now(), body.as_bytes());
        let (answered, said) = send(&url, "msg_1", now(), &signature, &body).await;
        assert_eq!((answered, said["state"].as_str()), (status, Some(state)), "{said}");
    }
    let signature = webhook::sign([&shared], "msg_2", now(), body.as_bytes());
    let late = UnixMillis(now().0 - 301_000);
    let early = UnixMillis(now().0 + 310_000);
    let refused = [
        send(&url, "msg_2", now(), &signature, &body.replace("소식", "소문")).await,
        send(&url, "msg_3", now(), &signature, &body).await,
        send(&url, "msg_2", late, &webhook::sign([&shared], "msg_2", late, body.as_bytes()), &body).await,
        send(&url, "msg_2", early, &webhook::sign([&shared], "msg_2", early, body.as_bytes()), &body).await,
        send(
            &url,
            "msg_2",
            now(),
            &webhook::sign([&Key::new_shared([9, 9, 9, 9])], "msg_2", now(), body.as_bytes()),
            &body,
        )
        .await,
        send(&url, "msg_2", now(), "", &body).await,
        // A source without an inbox, and one that isn't there.
        send(&house.setting.url("/api/v1/inbox/cms"), "msg_2", now(), &signature, &body).await,
        send(&house.setting.url("/api/v1/inbox/nobody"), "msg_2", now(), &signature, &body).await,
    ];
    for (index, (status, said)) in refused.iter().enumerate() {
        assert_eq!((*status, said["reason"].as_str()), (401, Some("not_signed")), "{index}: {said}");
    }
    let mut wrong: Value = serde_json::from_str(&event("two", "", "there.example:2025")).expect("JSON");
    wrong["data"]["title"] = Value::Null;
    let wrong = wrong.to_string();
    let (status, said) =
        send(&url, "msg_4", now(), &webhook::sign([&shared], "msg_4", now(), wrong.as_bytes()), &wrong).await;
    assert_eq!((status, &said["path"], &said["state"]), (422, &json!("data.title"), &json!("quarantined")));
    let own = event("three", "우리 소식", "here.example:2026,there.example:2025");
    let (status, said) =
        send(&url, "msg_5", now(), &webhook::sign([&shared], "msg_5", now(), own.as_bytes()), &own).await;
    assert_eq!((status, &said["state"], &said["post_id"]), (200, &json!("own"), &Value::Null));
    // What isn't signed makes nothing else of what is: no attribute in a header field, and no other type of the body.
    let bare = post("four", "서명된 본문", "ko", &[]).to_string();
    for (name, value, status) in [
        ("ce-type", "org.allim.post.withdrawn.v1", 400),
        ("ce-allimpath", "here.example:2026", 400),
        ("idempotency-key", "another", 201),
        ("content-type", "application/cloudevents+json", 200),
        ("content-type", "text/markdown", 200),
    ] {
        let signature = webhook::sign([&shared], "msg_6", now(), bare.as_bytes());
        let request = client.post(&url).header(name, value).header(webhook::ID, "msg_6");
        let request = request.header(webhook::TIMESTAMP, webhook::seconds(now())).header(webhook::SIGNATURE, signature);
        let answer = request.body(bare.clone()).send().await.expect("an answer");
        let (answered, said) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!(answered, status, "{name}: {said}");
        assert_eq!(said["reason"] == "not_signed_whole", status == 400, "{name}: {said}");
    }
    let listed = house.json(&["post", "list"]);
    let listed: Vec<&Value> =
        listed.as_array().expect("posts").iter().filter(|one| one["title"] != "서명된 본문").collect();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let shown = house.json(&["post", "show", listed[0]["id"].as_str().expect("an id")]);
    assert_eq!((&shown["source"], &shown["post"]["path"]), (&json!("partner"), &json!(["there.example:2025"])));
    assert_eq!(house.json(&["quarantine", "list"]).as_array().map(Vec::len), Some(1));
    let described: Value = serde_json::from_str(&house.get("/api/openapi.json").await).expect("JSON");
    assert!(described["paths"]["/api/v1/inbox/{source}"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_hears_by_webhook_what_became_of_what_it_sent() {
    let key = Key::new_shared([1, 2, 3, 4]);
    let server = Server::start().await;
    server.say("/receipts", Reply::new(503, "later"));
    let setting = Setting::new();
    std::fs::write(setting.path().join("secret"), key.reveal()).expect("written");
    let told = format!(
        "[[intake.receipts]]\nsource = \"cms\"\nurl = \"{}\"\nsecret_file = \"secret\"\n",
        server.url("/receipts")
    );
    let house = House::start(Setting { extra: format!("{PARTNER}{told}"), ..setting }, "here.example,2026");
    house.subscribe(&["kim@example.net,,ko,events,immediate", "lee@example.net,,ko,events,immediate"]);
    let (client, url) = (reqwest::Client::new(), house.setting.url("/api/v1/posts"));
    let body = post("one", "영수증이 있는 소식", "ko", &["events"]);
    let id = publish(&client, &url, &body).await;
    wait_until("the first attempt", LIMIT, || !server.asked().is_empty());
    server.say("/receipts", Reply::new(204, ""));
    publish(&client, &url, &body).await;
    let mut wrong = post("two", "잘못된 소식", "ko", &["nowhere"]);
    wrong["id"] = json!("two");
    let bearer = crate::support::TOKEN;
    client.post(&url).bearer_auth(bearer).json(&wrong).send().await.expect("an answer");
    let heard = |kind: &str| {
        let kind = format!("org.allim.receipt.{kind}.v1");
        let events =
            server.asked().into_iter().map(|asked| serde_json::from_slice::<Value>(&asked.body).expect("JSON"));
        events.filter(|event| event["type"] == kind).collect::<Vec<Value>>()
    };
    wait_until("all three", LIMIT, || {
        !heard("done").is_empty() && !heard("quarantined").is_empty() && heard("accepted").len() >= 2
    });
    for asked in server.asked() {
        let field = |name: &str| asked.headers.get(name).map(String::as_str).unwrap_or_default();
        let signed = Signed {
            id: field(webhook::ID),
            timestamp: field(webhook::TIMESTAMP),
            signature: field(webhook::SIGNATURE),
        };
        webhook::verify(std::slice::from_ref(&key), &signed, &asked.body, now(), webhook::TOLERANCE).expect("signed");
        let event: Value = serde_json::from_slice(&asked.body).expect("JSON");
        assert_eq!((event["id"].as_str(), &event["source"]), (Some(signed.id), &json!("tag:here.example,2026:allim")));
    }
    // The attempt that failed, and the one that was taken: the same receipt. The repeat of the post made none.
    let accepted = heard("accepted");
    assert!(accepted.iter().all(|event| *event == accepted[0]), "{accepted:?}");
    assert_eq!((&accepted[0]["data"]["post_id"], &accepted[0]["data"]["revision"]), (&json!(id), &json!(1)));
    assert_eq!((&accepted[0]["data"]["state"], &accepted[0]["data"]["source_id"]), (&json!("stored"), &json!("one")));
    let refused = &heard("quarantined")[0]["data"];
    assert_eq!(
        (&refused["reason"], &refused["path"], &refused["source_id"]),
        (&json!("unknown_topic"), &json!("topics[0]"), &json!("two"))
    );
    assert!(refused["detail"].as_str().is_some_and(|detail| !detail.is_empty()) && refused["event_id"].is_null());
    let done = heard("done");
    assert_eq!((done.len(), &done[0]["data"]["carriers"]), (1, &json!({ "email": { "sent": 2 } })));
    assert_eq!((&done[0]["data"]["state"], &done[0]["data"]["revision"]), (&json!("public"), &json!(1)));
    let before = server.asked().len();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(server.asked().len(), before, "nothing is told twice");
}

impl House {
    /// Imports subscribers.
    fn subscribe(&self, lines: &[&str]) {
        let file = self.setting.path().join("subscribers.csv");
        let text = format!("address,name,language,topics,schedule\n{}\n", lines.join("\n"));
        std::fs::write(&file, text).expect("the list is written");
        let mut command = self.setting.command(&["subscriber", "import", file.to_str().expect("a path")]);
        let output = command.env("ALLIM__SITE__TAG_AUTHORITY", self.authority).output().expect("it runs");
        assert!(output.status.success(), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_hears_through_the_broker() {
    let Some(broker) = Broker::shared("allim.sources-test") else { return };
    let told = "allim.sources-test.receipts";
    let connection =
        lapin::Connection::connect(&broker.url, lapin::ConnectionProperties::default()).await.expect("connected");
    let channel = connection.create_channel().await.expect("a channel");
    channel.queue_delete(told.into(), Default::default()).await.expect("deleted");
    let settings = Setting { amqp: Some(broker.url.clone()), queue: broker.queue.clone(), ..Setting::new() };
    let receipts = format!("[[intake.receipts]]\nsource = \"cms\"\nexchange = \"\"\nrouting_key = \"{told}\"\n");
    let house = House::start(Setting { extra: receipts, ..settings }, "here.example,2026");
    wait_until("the queue", LIMIT, || std::net::TcpStream::connect(("127.0.0.1", house.setting.port)).is_ok());
    let body = post("one", "줄에서 온 소식", "ko", &["events"]);
    // There is no queue yet that keeps a receipt: it waits.
    while !crate::support::publish_amqp(&broker.url, &broker.queue, &body).await {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let log = house.setting.path().join("log");
    let log = || std::fs::read_to_string(&log).unwrap_or_default();
    wait_until("the first attempt", LIMIT, || log().contains("a source could not be told"));
    let options = lapin::options::QueueDeclareOptions { durable: true, ..Default::default() };
    channel.queue_declare(told.into(), options, Default::default()).await.expect("declared");
    let options = lapin::options::BasicConsumeOptions { no_ack: true, ..Default::default() };
    let mut consumer =
        channel.basic_consume(told.into(), "".into(), options, Default::default()).await.expect("consumed");
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let delivery =
            tokio::time::timeout(LIMIT, consumer.next()).await.expect("in time").expect("open").expect("one");
        let event: Value = serde_json::from_slice(&delivery.data).expect("JSON");
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string);
        assert_eq!((id.as_deref(), delivery.properties.delivery_mode()), (event["id"].as_str(), &Some(2)));
        heard.push(event);
    }
    let kinds: Vec<&str> = heard.iter().filter_map(|event| event["type"].as_str()).collect();
    assert!(
        kinds.contains(&"org.allim.receipt.accepted.v1") && kinds.contains(&"org.allim.receipt.done.v1"),
        "{kinds:?}"
    );
    let done = heard.iter().find(|event| event["type"] == "org.allim.receipt.done.v1").expect("done");
    assert_eq!(done["data"]["carriers"], json!({}), "nobody subscribes");
    channel.queue_delete(told.into(), Default::default()).await.expect("deleted");
}

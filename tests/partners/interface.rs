//! What partners ask for: changes, comparison, and service to themselves.

use crate::support::{self, Daemon, Setting, TOKEN, post, publish};
use allim::domain::clock::{ManualClock, UnixMillis};
use allim::domain::delivery::{DeliveryKey, Lane};
use allim::domain::destination;
use allim::domain::edition::{Content, EditionKind, Item, ItemForm};
use allim::domain::language::Language;
use allim::domain::partner::WEBHOOK;
use allim::store::{Location, Store, Tx, deliveries, editions, identity, partners};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub struct Site {
    pub setting: Setting,
    _daemon: Daemon,
    client: reqwest::Client,
}

pub struct Answer {
    pub status: StatusCode,
    pub kind: String,
    pub json: Value,
}

impl Site {
    pub fn new() -> Self {
        let extra = "[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n[[intake.token]]\nname = \"operator\"\nsource = \"cms\"\npartners = true\n";
        let hash = allim::domain::ids::content_hash(b"operators-token");
        let setting = Setting { extra: format!("{extra}sha256 = \"{hash}\"\n"), ..Setting::new() };
        let daemon = setting.start();
        Self { setting, _daemon: daemon, client: reqwest::Client::new() }
    }

    pub async fn ask(&self, method: Method, path: &str, token: &str, body: Option<&Value>) -> Answer {
        let mut request = self.client.request(method, self.setting.url(path)).timeout(Duration::from_secs(60));
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.expect("an answer");
        let (status, kind) = (answer.status(), answer.headers().get("content-type").cloned());
        let kind = kind.map(|kind| kind.to_str().expect("ASCII").to_owned()).unwrap_or_default();
        let bytes = answer.bytes().await.expect("a body");
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        Answer { status, kind, json }
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask(Method::GET, path, token, None).await
    }

    /// Adds a partner by the command line. Returns what it printed.
    pub fn add(&self, arguments: &[&str]) -> Value {
        let out = self.setting.run(&[&["partner", "add"], arguments, &["--json"]].concat());
        serde_json::from_str(&out).expect("JSON")
    }

    pub async fn publish(&self, body: &Value) -> String {
        publish(&self.client, &self.setting.url("/api/v1/posts"), body).await
    }

    async fn withdraw(&self, id: &str) {
        let answer = self.ask(Method::POST, &format!("/api/v1/posts/{id}/withdraw"), TOKEN, None).await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    /// The events from `after` on until there are `count`, and the cursor behind them.
    async fn changes(&self, token: &str, after: &str, count: usize) -> (Vec<Value>, String) {
        let (mut events, mut cursor) = (Vec::new(), after.to_owned());
        let began = support::now_seconds();
        while events.len() < count {
            let answer = self.get(&format!("/api/v1/changes?after={cursor}&wait=5&limit=7"), token).await;
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
            events.extend(answer.json["events"].as_array().expect("a list").clone());
            cursor = answer.json["next"].as_str().expect("a cursor").to_owned();
            assert!(support::now_seconds() - began < 60, "{} of {count} events", events.len());
        }
        (events, cursor)
    }

    /// Another hand on the daemon's database.
    pub async fn store(&self) -> Store {
        let location = Location::Sqlite(self.setting.path().join("allim.sqlite"));
        let clock = Arc::new(ManualClock::at(UnixMillis(support::now_seconds() * 1_000)));
        tokio::task::spawn_blocking(move || Store::open(&location, clock)).await.expect("a thread").expect("a store")
    }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn ids(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| text(&event["data"], "id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_partner_gets_every_change_once_and_in_order_while_posts_come_in() {
    let site = Arc::new(Site::new());
    let token = text(&site.add(&["university"]), "token").to_owned();
    let (writers, each) = (4, 15);
    let reading = tokio::spawn({
        let (site, token) = (site.clone(), token.clone());
        async move { site.changes(&token, "start", writers * each).await }
    });
    let mut writing = tokio::task::JoinSet::new();
    for writer in 0..writers {
        let site = site.clone();
        writing.spawn(async move {
            let mut ids = Vec::new();
            for number in 0..each {
                let name = format!("{writer}-{number}");
                ids.push(site.publish(&post(&name, &format!("소식 {name}"), "ko", &["events"])).await);
            }
            ids
        });
    }
    let published: BTreeSet<String> = writing.join_all().await.into_iter().flatten().collect();
    let (events, cursor) = reading.await.expect("read");
    assert_eq!(events.len(), published.len(), "each once");
    assert_eq!(ids(&events).into_iter().collect::<BTreeSet<_>>(), published, "none is missing");
    // Whoever asks later gets the same in the same order.
    let (again, _) = site.changes(&token, "start", events.len()).await;
    assert_eq!(ids(&again), ids(&events));
    assert!(events.iter().all(|event| event["type"] == "org.allim.post.published.v1"));

    let one = published.first().expect("a post").clone();
    site.withdraw(&one).await;
    let (more, _) = site.changes(&token, &cursor, 1).await;
    assert_eq!((text(&more[0], "type"), ids(&more)), ("org.allim.post.withdrawn.v1", vec![one.clone()]));
    let (all, _) = site.changes(&token, "start", published.len()).await;
    let of_one: Vec<&Value> = all.iter().filter(|event| event["data"]["id"] == one.as_str()).collect();
    assert_eq!(of_one.len(), 1, "its text is given to nobody any more: {of_one:?}");
    assert!(of_one[0]["data"].get("title").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_waits_hears_of_news_at_once_and_of_no_news_when_the_time_is_over() {
    let site = Arc::new(Site::new());
    let token = text(&site.add(&["university", "--topic", "events", "--lang", "en"]), "token").to_owned();
    let now = site.get("/api/v1/changes?after=now", &token).await;
    assert_eq!((now.json["events"].as_array().map(Vec::len), &now.json["more"]), (Some(0), &json!(false)));
    let cursor = text(&now.json, "next").to_owned();
    let waiting = tokio::spawn({
        let (site, token, path) = (site.clone(), token.clone(), format!("/api/v1/changes?after={cursor}&wait=50"));
        async move { (site.get(&path, &token).await, support::now_seconds()) }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Not its language, not its topic, its own.
    site.publish(&post("ko", "소식", "ko", &["events"])).await;
    site.publish(&post("other", "Other news", "en", &["notices"])).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert!(!waiting.is_finished(), "that was none of its news");
    let asked = support::now_seconds();
    let id = site.publish(&post("own", "Its news", "en-GB", &["events"])).await;
    let (answer, heard) = waiting.await.expect("an answer");
    assert_eq!(ids(answer.json["events"].as_array().expect("a list")), [id]);
    assert!(heard - asked <= 5, "{}", heard - asked);
    let began = support::now_seconds();
    let cursor = text(&answer.json, "next");
    let none = site.get(&format!("/api/v1/changes?after={cursor}&wait=1"), &token).await;
    assert_eq!((none.status, none.json["events"].as_array().map(Vec::len)), (StatusCode::OK, Some(0)));
    assert!((1..10).contains(&(support::now_seconds() - began + 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn cursors_of_another_time_are_told_what_to_do() {
    let site = Site::new();
    let token = text(&site.add(&["university"]), "token").to_owned();
    let kept = site.publish(&post("kept", "소식", "ko", &["events"])).await;
    let (_, cursor) = site.changes(&token, "start", 1).await;
    for bad in ["x", &cursor[..cursor.len() - 2], "start2"] {
        let answer = site.get(&format!("/api/v1/changes?after={bad}"), &token).await;
        assert_eq!((answer.status, text(&answer.json, "path")), (StatusCode::BAD_REQUEST, "after"), "{bad}");
        assert_eq!(answer.kind, "application/problem+json");
    }
    for bad in ["limit=0", "limit=501", "wait=51", "wait=x"] {
        assert_eq!(site.get(&format!("/api/v1/changes?{bad}"), &token).await.status, StatusCode::BAD_REQUEST, "{bad}");
    }

    // As `allim hold off` leaves a restored database.
    site.store().await.write(|tx| identity::dispel(tx, 0)).await.expect("decided");
    let old = site.get(&format!("/api/v1/changes?after={cursor}"), &token).await;
    assert_eq!((old.status, text(&old.json, "reason")), (StatusCode::GONE, "old_epoch"));
    assert!(text(&old.json, "detail").contains("/api/v1/reconcile"));
    let known = json!({ "ids": [kept, "strange"] });
    let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&known)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    assert_eq!(answer.json["missing"], json!([]));
    assert_eq!(answer.json["gone"], json!([{ "id": "strange", "withdrawn_at": null }]));
    let next = text(&answer.json, "next_change");
    assert_eq!(site.get(&format!("/api/v1/changes?after={next}"), &token).await.status, StatusCode::OK);

    // A cursor of this time beyond what there is.
    let later = site.publish(&post("later", "소식", "ko", &["events"])).await;
    let (events, ahead) = site.changes(&token, next, 1).await;
    assert_eq!(ids(&events), [later]);
    let back = "UPDATE counters SET value = value - 1 WHERE name = 'change'";
    site.store().await.write(move |tx| tx.execute(back, &[])).await.expect("set");
    let answer = site.get(&format!("/api/v1/changes?after={ahead}"), &token).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.json);
    let on = "UPDATE counters SET value = value + 1 WHERE name = 'change'";
    site.store().await.write(move |tx| tx.execute(on, &[])).await.expect("set");

    // While somebody has yet to say what this database missed, nobody is told anything.
    let now = UnixMillis(support::now_seconds() * 1_000);
    let doubt = move |tx: &mut Tx<'_>| identity::doubt(tx, identity::Cause::Backup, "a test", now);
    site.store().await.write(doubt).await.expect("doubted");
    let answer = site.get(&format!("/api/v1/changes?after={ahead}"), &token).await;
    assert_eq!((answer.status, text(&answer.json, "reason")), (StatusCode::SERVICE_UNAVAILABLE, "in_doubt"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_tells_what_is_missing_newer_and_gone() {
    let site = Site::new();
    let token = text(&site.add(&["university", "--topic", "events"]), "token").to_owned();
    let mut ids_of = Vec::new();
    for name in ["a", "b", "c", "d"] {
        ids_of.push(site.publish(&post(name, &format!("소식 {name}"), "ko", &["events"])).await);
    }
    let other = site.publish(&post("other", "공지", "ko", &["notices"])).await;
    site.changes(&token, "start", 4).await;
    let mut revised = post("b", "소식 b, 고침", "ko", &["events"]);
    revised["published_at"] = json!("2026-11-20T09:00:00+09:00");
    site.publish(&revised).await;
    site.withdraw(&ids_of[2]).await;
    site.changes(&token, "start", 5).await;
    let have = json!({ "ids": [{ "id": ids_of[1], "revision": 1 }, ids_of[2], other] });
    let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&have)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.json);
    let list = |name: &str| ids(answer.json[name].as_array().expect("a list")).into_iter().collect::<BTreeSet<_>>();
    assert_eq!(list("missing"), [ids_of[0].clone(), ids_of[3].clone()].into());
    assert_eq!(list("newer"), [ids_of[1].clone()].into());
    assert_eq!(answer.json["newer"][0]["data"]["revision"], 2);
    let gone: Vec<&str> = answer.json["gone"].as_array().expect("a list").iter().map(|one| text(one, "id")).collect();
    assert_eq!(gone.iter().copied().collect::<BTreeSet<_>>(), [ids_of[2].as_str(), other.as_str()].into());
    let since = json!({ "ids": [], "since": "2199-01-01T00:00:00Z" });
    let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&since)).await;
    assert_eq!((&answer.json["missing"], &answer.json["next"]), (&json!([]), &Value::Null));

    let many: Vec<String> = (0..10_001).map(|number| format!("post{number}")).collect();
    let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&json!({ "ids": many }))).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&json!({ "ids": many[..10_000] }))).await;
    assert_eq!((answer.status, answer.json["gone"].as_array().map(Vec::len)), (StatusCode::OK, Some(10_000)));
    for bad in [
        json!({}),
        json!({ "ids": "x" }),
        json!({ "ids": [], "since": "gestern" }),
        json!({ "ids": [], "before": "x" }),
    ] {
        let answer = site.ask(Method::POST, "/api/v1/reconcile", &token, Some(&bad)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
}

/// Plans a delivery to a partner, as if a post had been published.
async fn tell(site: &Site, partner: &'static str, plan_id: i64) -> DeliveryKey {
    let now = UnixMillis(support::now_seconds() * 1_000);
    let item = Item {
        story_id: "story".to_owned(),
        post_id: format!("post{plan_id}"),
        revision: 1,
        topic: String::new(),
        also: Vec::new(),
        form: ItemForm::Post,
    };
    let content = Content {
        kind: EditionKind::Push,
        schedule: format!("{WEBHOOK}:cloudevent:published"),
        language: Language::parse("ko").expect("a tag"),
        sender: String::new(),
        template: "t".to_owned(),
        items: vec![item],
    };
    let plan = move |tx: &mut Tx<'_>| {
        let id = partners::find(tx, partner)?.and_then(|partner| partner.endpoint_id).expect("an endpoint");
        let key = DeliveryKey { plan_id, recipient_id: id, carrier: WEBHOOK.to_owned() };
        let edition = editions::ensure(tx, plan_id, &content, now)?;
        let far = now.plus(Duration::from_secs(3_600));
        deliveries::put(tx, &key, edition, &destination::of_endpoint(WEBHOOK, id), Lane::Normal, far, now)?;
        Ok(key)
    };
    site.store().await.write(plan).await.expect("planned")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_sees_itself_and_nobody_else() {
    let site = Site::new();
    let token = text(&site.add(&["university", "--url", "http://127.0.0.1:9/hook"]), "token").to_owned();
    let other = text(&site.add(&["museum", "--url", "http://127.0.0.1:9/museum"]), "token").to_owned();
    let pulls = text(&site.add(&["library"]), "token").to_owned();
    let (first, second) = (tell(&site, "university", 11).await, tell(&site, "university", 12).await);
    let foreign = tell(&site, "museum", 13).await;

    let own = site.get("/api/v1/partner", &token).await;
    assert_eq!((text(&own.json, "name"), text(&own.json, "url")), ("university", "http://127.0.0.1:9/hook"));
    let all = site.get("/api/v1/partner/deliveries", &token).await.json;
    let listed: Vec<&str> = all["deliveries"].as_array().expect("a list").iter().map(|one| text(one, "id")).collect();
    assert_eq!(
        listed.iter().copied().collect::<BTreeSet<_>>(),
        [first.text_id(), second.text_id()].iter().map(String::as_str).collect()
    );
    let page = site.get("/api/v1/partner/deliveries?limit=1", &token).await.json;
    assert_eq!(text(&page["deliveries"][0], "id"), listed[0]);
    let next = text(&page, "next");
    let page = site.get(&format!("/api/v1/partner/deliveries?limit=1&before={next}"), &token).await.json;
    assert_eq!((text(&page["deliveries"][0], "id"), &page["next"]), (listed[1], &Value::Null));
    let museum = site.get("/api/v1/partner/deliveries", &other).await.json;
    assert_eq!(text(&museum["deliveries"][0], "id"), foreign.text_id());
    assert_eq!(site.get("/api/v1/partner/deliveries", &pulls).await.json["deliveries"], json!([]));

    // Neither without a token, nor with that of a source, nor of the operator; nor do partners publish or manage.
    for strange in ["", "x", TOKEN, "operators-token"] {
        for path in ["/api/v1/partner", "/api/v1/partner/deliveries", "/api/v1/changes"] {
            let answer = site.get(path, strange).await;
            assert_eq!(
                (answer.status, answer.kind.as_str()),
                (StatusCode::UNAUTHORIZED, "application/problem+json"),
                "{path}"
            );
        }
    }
    for path in ["/api/v1/posts", "/api/v1/partners", "/api/v1/partners/museum", "/api/v1/partners/university"] {
        assert_eq!(site.get(path, &token).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }

    let keys = site.ask(Method::POST, "/api/v1/partner/keys", &token, None).await;
    assert!(
        text(&keys.json, "shared_secret").starts_with("whsec_") && text(&keys.json, "public_key").starts_with("whpk_")
    );
    assert!(keys.json.get("token").is_none() && keys.json.get("old_keys_until").is_some());
    let none = site.ask(Method::POST, "/api/v1/partner/keys", &pulls, None).await;
    assert_eq!(none.status, StatusCode::CONFLICT);
    let tried = site.ask(Method::POST, "/api/v1/partner/test", &token, None).await;
    assert_eq!((tried.status, &tried.json["is_taken"]), (StatusCode::OK, &json!(false)));
    assert!(!text(&tried.json, "answer").contains("127.0.0.1"), "{}", tried.json);
    for bad in [json!({}), json!({ "dead": true, "since": "2026-11-23T00:00:00Z" }), json!({ "since": "x" })] {
        let answer = site.ask(Method::POST, "/api/v1/partner/replay", &token, Some(&bad)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let again = site.ask(Method::POST, "/api/v1/partner/replay", &token, Some(&json!({ "dead": true }))).await;
    assert_eq!(again.json, json!({ "deliveries": 0 }));

    site.setting.run(&["partner", "end", "university"]);
    assert_eq!(site.get("/api/v1/partner", &token).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.get("/api/v1/partner", &other).await.status, StatusCode::OK);
}

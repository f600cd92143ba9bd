//! Our own hub, as subscribers meet it: one that isn't ours, and some that misbehave.

use crate::*;
use axum::extract::{Request, State};
use axum::http::Method as Asked;
use axum::response::{IntoResponse as _, Response};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// The daemon may ask this machine: that is where the tests' subscribers are.
const OWN: &str = "[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n";
const LIMIT: Duration = Duration::from_secs(20);

fn site() -> Site {
    Site::with(Setting { extra: OWN.to_owned(), ..Setting::new() })
}

/// Flask-WebSub in a process of its own.
struct Reader {
    child: Child,
    commands: ChildStdin,
    events: Receiver<Value>,
    _folder: tempfile::TempDir,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Reader {
    fn start() -> Option<Self> {
        let (python, tools) = (support::server("ALLIM_TEST_PYTHON")?, support::server("ALLIM_TEST_TOOLS")?);
        let (folder, port) = (tempfile::tempdir().expect("a folder"), support::free_port());
        let mut child = Command::new(python)
            .env("PYTHONPATH", format!("{tools}/python"))
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/web/websub.py"))
            .args([port.to_string(), folder.path().display().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Python starts");
        let (commands, out) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let (events_out, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                // What its libraries say is no event.
                if let Ok(event) = serde_json::from_str(&line) {
                    let _ = events_out.send(event);
                }
            }
        });
        wait_until("the reader", LIMIT, || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self { child, commands, events, _folder: folder })
    }

    fn tell(&mut self, command: &Value) {
        writeln!(self.commands, "{command}").expect("the reader listens");
    }

    /// Waits for an event of this kind; those before it are let go.
    fn next(&self, kind: &str) -> Value {
        loop {
            let event = self.events.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("waited for {kind}"));
            assert_ne!(event["event"], "error", "{event}");
            if event["event"] == kind {
                return event;
            }
        }
    }

    /// Waits for an entry with this title, and takes nothing else for it.
    fn entry(&self, title: &str) -> feed_rs::model::Entry {
        let event = self.next("content");
        let feed = feed_rs::parser::parse(event["body"].as_str().expect("text").as_bytes()).expect("a feed");
        assert_eq!(feed.entries.len(), 1, "one change, one entry");
        let entry = feed.entries.into_iter().next().expect("an entry");
        assert_eq!(entry.title.as_ref().map(|title| title.content.as_str()), Some(title));
        entry
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_subscriber_that_is_not_ours_gets_each_change_once_and_signed() {
    let Some(mut reader) = Reader::start() else { return };
    let site = site();
    site.publish_openly(&post("before", "앞선 소식", "ko", &["events"])).await;
    let feed = site.setting.url("/feeds/events.atom");
    reader.tell(&json!({ "do": "subscribe", "url": feed, "lease": 3_600 }));
    let asked = reader.next("asked");
    assert_eq!((&asked["hub_url"], &asked["topic_url"]), (&site.setting.url("/websub").into(), &feed.clone().into()));
    assert_eq!(reader.next("subscribe")["topic"], feed.as_str());
    noted(&site, true);

    let id = site.publish(&post("one", "첫 소식", "ko", &["events"])).await;
    let delivered = reader.next("content");
    assert_eq!(delivered["topic"], feed.as_str());
    let told = reader.next("post");
    assert!(told["signature"].as_str().is_some_and(|signature| signature.starts_with("sha256=")), "{told}");
    assert_eq!(told["type"], "application/atom+xml; charset=utf-8");
    let links = told["link"].as_str().expect("links");
    assert!(links.contains("/websub>; rel=\"hub\"") && links.contains(&format!("<{feed}>; rel=\"self\"")), "{links}");
    assert!(delivered["body"].as_str().is_some_and(|body| body.contains("첫 소식") && !body.contains("앞선")));

    site.publish(&post("elsewhere", "다른 소식", "ko", &["notices"])).await;
    let second = site.publish(&post("two", "둘째 소식 ]]> <끝>", "ko", &["events"])).await;
    assert_eq!(reader.entry("둘째 소식 ]]> <끝>").id, format!("tag:example.org,2026:post/{second}"));
    site.publish(&post("two", "둘째 소식, 고침", "ko", &["events"])).await;
    assert_eq!(reader.entry("둘째 소식, 고침").id, format!("tag:example.org,2026:post/{second}"));
    site.api(Method::POST, &format!("/api/v1/posts/{id}/withdraw"), None).await;
    let body = reader.next("content")["body"].as_str().expect("text").to_owned();
    assert!(
        body.contains("at:deleted-entry") && body.contains(&format!("post/{id}")) && !body.contains("<entry"),
        "{body}"
    );

    reader.tell(&json!({ "do": "renew", "id": asked["id"] }));
    reader.next("subscribe");
    site.publish(&post("three", "셋째 소식", "ko", &["events"])).await;
    reader.entry("셋째 소식");
    reader.tell(&json!({ "do": "unsubscribe", "id": asked["id"] }));
    reader.next("unsubscribe");
    noted(&site, false);
    site.publish_openly(&post("four", "넷째 소식", "ko", &["events"])).await;

    // A lease that isn't renewed ends by itself.
    reader.tell(&json!({ "do": "subscribe", "url": site.setting.url("/feeds/all.json?lang=ko"), "lease": 12 }));
    reader.next("subscribe");
    noted(&site, true);
    site.publish(&post("five", "다섯째 소식", "ko", &["notices"])).await;
    reader.entry("다섯째 소식");
    wait_until("the lease to end", LIMIT, || list(&site, &["--all"]).contains("its lease ended"));
    site.publish_openly(&post("six", "여섯째 소식", "ko", &["notices"])).await;
    let sent = site.setting.run(&["delivery", "list", "--json"]);
    let sent: Vec<Value> = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(sent.len(), 6, "one for each change that was told, and no more: {sent:?}");
    assert!(sent.iter().all(|one| one["state"] == "sent" && one["attempts"] == 1), "{sent:?}");
    assert!(reader.events.try_iter().all(|event| event["event"] == "post"), "nothing came after");
}

/// The reader knows of its subscription a moment before the hub has noted it.
fn noted(site: &Site, there: bool) {
    wait_until("the hub to note it", LIMIT, || list(site, &["--json"]).contains("http") == there);
}

fn list(site: &Site, more: &[&str]) -> String {
    site.setting.run(&[&["websub", "list"], more].concat())
}

/// What a callback does.
#[derive(Default)]
struct Conduct {
    /// Requests so far: method, path and body.
    heard: Vec<(String, String, String)>,
    /// Answers to deliveries, in their order; then 200.
    answers: Vec<u16>,
    /// What is said to the challenge, if not the challenge.
    says: Option<(u16, String)>,
}

type Shared = Arc<Mutex<Conduct>>;

async fn answer(State(conduct): State<Shared>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20).await.expect("a body");
    let mut conduct = conduct.lock().expect("not poisoned");
    let body = String::from_utf8_lossy(&body).into_owned();
    conduct.heard.push((method.to_string(), uri.to_string(), body));
    if method == Asked::GET {
        let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        let challenge = pairs.find(|(name, _)| name == "hub.challenge").map(|(_, value)| value.into_owned());
        let (status, said) = conduct.says.clone().unwrap_or((200, challenge.unwrap_or_default()));
        return (StatusCode::from_u16(status).expect("a status"), said).into_response();
    }
    let status = if conduct.answers.is_empty() { 200 } else { conduct.answers.remove(0) };
    StatusCode::from_u16(status).expect("a status").into_response()
}

/// A callback of our own.
async fn callback() -> (String, Shared) {
    let conduct = Shared::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let app = axum::Router::new().fallback(answer).with_state(conduct.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://127.0.0.1:{port}/hook"), conduct)
}

fn form(fields: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

async fn ask(site: &Site, fields: &[(&str, &str)]) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    site.ask(Method::POST, "/websub", &headers, Some(&form(fields))).await
}

async fn subscribe(site: &Site, callback: &str) -> Answer {
    let topic = site.setting.url("/feeds/all.rss");
    ask(site, &[("hub.mode", "subscribe"), ("hub.callback", callback), ("hub.topic", &topic)]).await
}

fn posts(conduct: &Shared) -> usize {
    conduct.lock().expect("not poisoned").heard.iter().filter(|(method, ..)| method == "POST").count()
}

fn asked(conduct: &Shared) -> usize {
    conduct.lock().expect("not poisoned").heard.iter().filter(|(method, ..)| method == "GET").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_in_words() {
    let site = Site::new();
    let (topic, far) = (site.setting.url("/feeds/all.atom"), "https://reader.example.net/hook");
    let (long, longest) = ("s".repeat(200), format!("{far}?{}", "a".repeat(1_500)));
    let of = |path: &str| site.setting.url(path);
    let (archive, calendar, none, page) =
        (of("/feeds/all/1.atom"), of("/feeds/all.ics"), of("/feeds/none.atom"), of("/topics/events"));
    let cases: Vec<(Vec<(&str, &str)>, &str)> = vec![
        (vec![("hub.callback", "http://reader.example.net/hook")], "hub.callback: it must begin with https://"),
        (vec![("hub.callback", "https://127.0.0.1/hook")], "hub.callback: it doesn't lead to a public address"),
        (vec![("hub.callback", "https://[::ffff:10.0.0.1]/")], "hub.callback: it doesn't lead to a public address"),
        (vec![("hub.callback", "https://reader.example.net:8443/")], "hub.callback: its port isn't allowed here"),
        (vec![("hub.callback", "https://a:b@reader.example.net/")], "hub.callback: it must not hold a user name"),
        (vec![("hub.callback", "hook")], "hub.callback: it is no absolute URL"),
        (vec![("hub.secret", &long)], "hub.secret: must be shorter than 200 octets"),
        (vec![("hub.lease_seconds", "0")], "hub.lease_seconds: write a number"),
        (vec![("hub.lease_seconds", "-5")], "hub.lease_seconds: write a number"),
        (vec![("hub.lease_seconds", "1.5")], "hub.lease_seconds: write a number"),
        (vec![("hub.lease_seconds", "99999999999")], "hub.lease_seconds: write a number"),
        (vec![("hub.topic", "https://elsewhere.example/feed")], "hub.topic: no feed of ours"),
        (vec![("hub.topic", &archive)], "hub.topic: no feed of ours"),
        (vec![("hub.topic", &calendar)], "hub.topic: no feed of ours"),
        (vec![("hub.topic", &none)], "hub.topic: no feed of ours"),
        (vec![("hub.topic", &page)], "hub.topic: no feed of ours"),
        (vec![("hub.mode", "publish")], "hub.mode: this hub pushes its own feeds"),
        (vec![("hub.callback", &longest)], "hub.callback: must not be longer than 1500 octets"),
        (vec![("hub.mode", "denied")], "hub.mode: write"),
        (vec![("hub.mode", "")], "hub.mode: write subscribe or unsubscribe"),
    ];
    for (changed, says) in cases {
        let all = [("hub.mode", "subscribe"), ("hub.callback", far), ("hub.topic", topic.as_str())];
        let kept = all.into_iter().filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
        let answer = ask(&site, &kept.chain(changed.iter().copied()).collect::<Vec<_>>()).await;
        assert_eq!(answer.status, 400, "{changed:?}");
        assert!(answer.text().starts_with(says), "{changed:?}: {}", answer.text());
    }
    assert_eq!(site.ask(Method::POST, "/websub", &[("content-type", "text/plain")], Some("")).await.status, 415);
    assert_eq!(site.get("/websub").await.status, 405);
    assert_eq!(list(&site, &["--all"]).matches("/feeds/").count(), 0, "nobody follows anything");
    assert!(site.get("/feeds/all.json").await.json()["hubs"][0]["url"] == site.setting.url("/websub").as_str());
    let off = Site::with(Setting { extra: "[websub]\nenabled = false\n".to_owned(), ..Setting::new() });
    assert_eq!(subscribe(&off, far).await.status, 404);
    assert!(
        !off.get("/feeds/all.atom").await.text().contains("rel=\"hub\"")
            && off.get("/feeds/all.atom").await.header("link").is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_yes_in_its_own_name_is_told_nothing() {
    let site = site();
    let (deaf, wrong) = callback().await;
    let (missing, gone) = callback().await;
    let (good, conduct) = callback().await;
    wrong.lock().expect("not poisoned").says = Some((200, "something else".to_owned()));
    gone.lock().expect("not poisoned").says = Some((404, String::new()));
    for callback in [&deaf, &missing, &good] {
        assert_eq!(subscribe(&site, callback).await.status, 202);
    }
    wait_until("the callbacks to be asked", LIMIT, || [&wrong, &gone, &conduct].into_iter().all(|one| asked(one) == 1));
    wait_until("the good one to follow", LIMIT, || list(&site, &[]).contains(&good));
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    wait_until("the good one to be told", LIMIT, || posts(&conduct) == 1);
    assert_eq!((posts(&wrong), posts(&gone)), (0, 0));
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    assert!(heard[0].1.contains("hub.lease_seconds=864000"), "{heard:?}");
    // Longer than may be is made shorter, and said so; an unsubscription that the callback denies ends nothing.
    let topic = site.setting.url("/feeds/all.rss");
    let longer = [
        ("hub.mode", "subscribe"),
        ("hub.callback", &good),
        ("hub.topic", &topic),
        ("hub.lease_seconds", "9999999999"),
    ];
    assert_eq!(ask(&site, &longer).await.status, 202);
    wait_until("it to be asked again", LIMIT, || asked(&conduct) == 2);
    assert!(conduct.lock().expect("not poisoned").heard.last().expect("heard").1.contains("hub.lease_seconds=2592000"));
    conduct.lock().expect("not poisoned").says = Some((404, String::new()));
    let end = [("hub.mode", "unsubscribe"), ("hub.callback", &good), ("hub.topic", &topic)];
    assert_eq!(ask(&site, &end).await.status, 202);
    wait_until("it to be asked whether it leaves", LIMIT, || asked(&conduct) == 3);
    site.publish(&post("two", "둘째", "ko", &["events"])).await;
    wait_until("it to be told all the same", LIMIT, || posts(&conduct) == 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_fails_is_tried_again_and_holds_nobody_up() {
    let site = site();
    let (bad, failing) = callback().await;
    let (over, ending) = callback().await;
    let (good, conduct) = callback().await;
    failing.lock().expect("not poisoned").answers = vec![500, 503];
    ending.lock().expect("not poisoned").answers = vec![410];
    for callback in [&bad, &over, &good] {
        assert_eq!(subscribe(&site, callback).await.status, 202);
    }
    wait_until("all three to follow", LIMIT, || {
        [&bad, &over, &good].into_iter().all(|url| list(&site, &[]).contains(url))
    });
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    wait_until("the good one to be told", LIMIT, || posts(&conduct) == 1);
    wait_until("the failing one to take it at the third try", LIMIT, || posts(&failing) == 3);
    let bodies: Vec<String> =
        failing.lock().expect("not poisoned").heard.iter().skip(1).map(|(.., body)| body.clone()).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0]), "a repeat is byte-equal");
    wait_until("the third one to be gone", LIMIT, || list(&site, &["--all"]).contains("it answered 410 Gone"));
    site.publish(&post("two", "둘째", "ko", &["events"])).await;
    wait_until("both others to be told", LIMIT, || posts(&conduct) == 2 && posts(&failing) == 4);
    assert_eq!(posts(&ending), 1);
    let id = list(&site, &["--json"]);
    let id: Vec<Value> = serde_json::from_str(&id).expect("JSON");
    let dropped = id.iter().find(|row| row["url"] == good.as_str()).expect("it is listed");
    site.setting.run(&["websub", "drop", &dropped["id"].to_string()]);
    wait_until("it to be told that it is over", LIMIT, || {
        conduct.lock().expect("not poisoned").heard.iter().any(|(_, uri, _)| uri.contains("hub.mode=denied"))
    });
    site.publish(&post("three", "셋째", "ko", &["events"])).await;
    wait_until("the one that is left to be told", LIMIT, || posts(&failing) == 5);
    assert_eq!(posts(&conduct), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_and_what_is_owed_outlive_the_daemon() {
    let (follower, conduct) = callback().await;
    let site = site();
    assert_eq!(subscribe(&site, &follower).await.status, 202);
    wait_until("it to follow", LIMIT, || list(&site, &[]).contains(&follower));
    conduct.lock().expect("not poisoned").answers = vec![503; 3];
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    wait_until("it to have failed", LIMIT, || posts(&conduct) == 3);
    let Site { setting, _daemon: daemon, client } = site;
    daemon.stop();
    let daemon = setting.start();
    let site = Site { setting, _daemon: daemon, client };
    // It rests after three failures; the post is revised meanwhile, and only the revision comes.
    site.publish_openly(&post("one", "소식, 고침", "ko", &["events"])).await;
    let name = "UPDATE destinations SET not_before_at = NULL WHERE name LIKE 'websub:%'";
    wait_until("its rest to be over", LIMIT, || {
        rusqlite::Connection::open(site.setting.path().join("allim.sqlite"))
            .and_then(|database| database.execute(name, []))
            .is_ok_and(|changed| changed == 1)
    });
    wait_until("it to be told", LIMIT, || posts(&conduct) == 4);
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    assert!(heard.last().expect("heard").2.contains("소식, 고침"), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hubs_are_told_which_feeds_have_changed() {
    let (hub, conduct) = callback().await;
    let extra = format!("{OWN}[websub]\nhubs = [\"{hub}\"]\n");
    let site = Site::with(Setting { extra, ..Setting::new() });
    let atom = site.get("/feeds/all.atom").await;
    assert_eq!(atom.text().matches("rel=\"hub\"").count(), 2);
    assert!(atom.header("link").contains(&format!("<{hub}>; rel=\"hub\"")));
    let mut tagged = post("one", "소식", "ko", &["events"]);
    tagged["tags"] = json!(["과학"]);
    site.publish(&tagged).await;
    wait_until("the hub to be told", LIMIT, || posts(&conduct) == 1);
    let (_, _, body) = conduct.lock().expect("not poisoned").heard[0].clone();
    let pairs: Vec<(String, String)> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(pairs[0], ("hub.mode".to_owned(), "publish".to_owned()));
    for path in ["/feeds/all.rss", "/feeds/events.atom?lang=ko", "/feeds/tag:%EA%B3%BC%ED%95%99.json"] {
        assert!(pairs.contains(&("hub.url".to_owned(), site.setting.url(path))), "{path} in {pairs:?}");
    }
    assert!(!body.contains("notices"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_replicas_tell_each_change_once() {
    let Some(postgres) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let url = support::create_database(&postgres, &format!("websub_{}", std::process::id())).await;
    let (follower, conduct) = callback().await;
    let first = Setting { store_url: url.clone(), store_connections: 4, extra: OWN.to_owned(), ..Setting::new() };
    let second = Setting { store_url: url, store_connections: 4, extra: OWN.to_owned(), ..Setting::new() };
    let second = Setting { public_port: Some(first.port), name: "second".to_owned(), ..second };
    let (first, second) = (Site::with(first), Site::with(second));
    assert_eq!(subscribe(&first, &follower).await.status, 202);
    wait_until("it to follow", LIMIT, || list(&second, &[]).contains(&follower));
    for number in 0..30 {
        let site = if number % 2 == 0 { &first } else { &second };
        site.publish(&post(&format!("p{number}"), &format!("{number}번째 소식"), "ko", &["events"])).await;
    }
    wait_until("it to be told of all", LIMIT, || posts(&conduct) >= 30);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let heard = conduct.lock().expect("not poisoned").heard.clone();
    let told: Vec<String> =
        heard.iter().filter(|(method, ..)| method == "POST").map(|(.., body)| body.clone()).collect();
    assert_eq!(told.len(), 30, "each once");
    for number in 0..30 {
        let title = format!("<title>{number}번째 소식</title>");
        assert_eq!(told.iter().filter(|body| body.contains(&title)).count(), 1, "{title}");
    }
    let sent: Vec<Value> =
        serde_json::from_str(&first.setting.run(&["delivery", "list", "--json", "--limit", "100"])).expect("JSON");
    assert!(sent.iter().all(|one| one["state"] == "sent" && one["attempts"] == 1), "{sent:?}");
}

/// Where there are no certificates of authorities the daemon starts, and whoever needs none is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_trusts_nobody_runs_all_the_same() {
    let (follower, conduct) = callback().await;
    let setting = Setting { extra: OWN.to_owned(), ..Setting::new() };
    let mut command = setting.command(&["run"]);
    command.env("SSL_CERT_FILE", setting.path().join("none.pem")).env("SSL_CERT_DIR", setting.path().join("none"));
    let daemon = setting.start_by(command);
    let site = Site { setting, _daemon: daemon, client: reqwest::Client::new() };
    assert_eq!(subscribe(&site, &follower).await.status, 202);
    wait_until("it to follow", LIMIT, || list(&site, &[]).contains(&follower));
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    wait_until("it to be told", LIMIT, || posts(&conduct) == 1);
    let log = site._daemon.log();
    assert!(log.contains("no certificates of authorities"), "{log}");
}

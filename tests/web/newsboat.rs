//! Newsboat, as people run it: what it takes for new is what is new, whatever happens to the daemon and its database.

use crate::*;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, LAST_MODIFIED};
use axum::response::{IntoResponse as _, Response};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// The feeds that are subscribed to: newsboat reads RSS and Atom.
const SUBSCRIBED: [&str; 4] =
    ["/feeds/events.rss", "/feeds/events.atom", "/feeds/all.atom?lang=ko", "/feeds/tag:%EB%AC%BC.rss"];
/// What was made by the binary of tag 0.1.0: its database, and its feeds as it served them.
const OLD_DATABASE: &str = include_str!("upgraded/allim.sql");
const OLD_FEEDS: [(&str, &str); 2] = [
    ("/feeds/events.rss", include_str!("upgraded/events.rss")),
    ("/feeds/events.atom", include_str!("upgraded/events.atom")),
];

/// What was asked for, whether with what is known already, and how it was answered.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    tag: Option<String>,
    since: Option<String>,
    status: u16,
}

/// Stands between newsboat and the daemon and writes down what passes: the address of the feeds stays the same whoever answers.
struct Between {
    url: String,
    seen: Arc<Mutex<Vec<Asked>>>,
    /// Answers in the daemon's place.
    stored: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

type Wire = (reqwest::Client, u16, Arc<Mutex<Vec<Asked>>>, Arc<Mutex<BTreeMap<String, &'static str>>>);

impl Between {
    async fn new(port: u16) -> Self {
        let (seen, stored) = (Arc::default(), Arc::default());
        let wire: Wire = (reqwest::Client::new(), port, Arc::clone(&seen), Arc::clone(&stored));
        let app = axum::Router::new().fallback(pass).with_state(wire);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen, stored }
    }

    /// What passed since it was asked last.
    fn seen(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.seen.lock().expect("a lock"))
    }
}

async fn pass(State((client, port, seen, stored)): State<Wire>, request: Request) -> Response {
    // The body, of which there is none, can't wait for an answer.
    let (asks, path) = (request.headers().clone(), request.uri().to_string());
    drop(request);
    let of = |name: axum::http::HeaderName| asks.get(name).map(|value| value.to_str().expect("ASCII").to_owned());
    let mut asked = Asked { tag: of(IF_NONE_MATCH), since: of(IF_MODIFIED_SINCE), status: 200, path };
    if let Some(text) = stored.lock().expect("a lock").get(&asked.path) {
        seen.lock().expect("a lock").push(asked);
        return ([(CONTENT_TYPE, "application/xml")], *text).into_response();
    }
    let mut out = client.get(format!("http://127.0.0.1:{port}{}", asked.path));
    for name in [IF_NONE_MATCH, IF_MODIFIED_SINCE, ACCEPT_ENCODING, axum::http::HeaderName::from_static("a-im")] {
        out = asks.get(&name).into_iter().fold(out, |out, value| out.header(&name, value));
    }
    let answer = out.send().await.expect("the daemon answers");
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body: Bytes = answer.bytes().await.expect("a body");
    asked.status = status.as_u16();
    seen.lock().expect("a lock").push(asked);
    let mut response = (status, body).into_response();
    for name in [CONTENT_TYPE, ETAG, LAST_MODIFIED, axum::http::header::CONTENT_ENCODING] {
        if let Some(value) = headers.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

/// Somebody who reads feeds.
struct Newsboat {
    program: String,
    folder: tempfile::TempDir,
}

impl Newsboat {
    fn new(program: String, between: &Between, paths: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let urls: Vec<String> = paths.iter().map(|path| format!("{}{path}\n", between.url)).collect();
        std::fs::write(folder.path().join("urls"), urls.concat()).expect("written");
        std::fs::write(folder.path().join("config"), "").expect("written");
        Self { program, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Reloads everything. Returns the titles of articles that are new since the last time.
    fn reload(&self) -> Vec<String> {
        let before = self.articles();
        let mut command = Command::new(&self.program);
        command.args(["-x", "reload"]).env("HOME", self.folder.path());
        for (flag, name) in [("-u", "urls"), ("-c", "cache.db"), ("-C", "config")] {
            command.arg(flag).arg(self.file(name));
        }
        let output = command.output().expect("newsboat runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        let mut after = self.articles();
        after.retain(|key, _| !before.contains_key(key));
        after.into_values().collect()
    }

    /// The id of each article with its title. Newsboat takes what has one id for one article, in however many feeds.
    fn articles(&self) -> BTreeMap<String, String> {
        if !self.file("cache.db").exists() {
            return BTreeMap::new();
        }
        let database = rusqlite::Connection::open(self.file("cache.db")).expect("its articles");
        let mut statement = database.prepare("SELECT guid, title FROM rss_item").expect("SQL");
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        statement.query_map([], row).expect("rows").collect::<Result<_, _>>().expect("articles")
    }
}

/// Nothing is new, and newsboat is told so in the shortest way, since it says what it knows.
async fn nothing_is_new(newsboat: &Arc<Newsboat>, between: &Between, feeds: usize) {
    assert_eq!(reloaded(newsboat).await, Vec::<String>::new());
    let seen = between.seen();
    assert_eq!(seen.len(), feeds);
    for asked in seen {
        assert!(asked.status == 304 && asked.tag.is_some() && asked.since.is_some(), "{asked:?}");
    }
}

async fn reloaded(newsboat: &Arc<Newsboat>) -> Vec<String> {
    let newsboat = newsboat.clone();
    tokio::task::spawn_blocking(move || newsboat.reload()).await.expect("a thread")
}

/// Newsboat 2.21 writes down ETag and date of a feed only if the feed is in its database already, so of a new one with the second
/// reload: that one is new to nobody, but comes whole.
async fn nothing_is_new_the_second_time(newsboat: &Arc<Newsboat>, between: &Between) {
    assert_eq!(reloaded(newsboat).await, Vec::<String>::new());
    between.seen();
}

/// Publishes and waits until every feed has changed, holds it and tells its date, which it doesn't within the present second.
async fn published(setting: &Setting, body: &Value) {
    let client = reqwest::Client::new();
    let tag = |answer: &reqwest::Response| answer.headers().get(ETAG).cloned();
    let mut before = Vec::new();
    for path in SUBSCRIBED {
        before.push(tag(&client.get(setting.url(path)).send().await.expect("an answer")));
    }
    let id = publish(&client, &setting.url("/api/v1/posts"), body).await;
    let began = support::now_seconds();
    for (path, before) in SUBSCRIBED.iter().zip(before) {
        loop {
            let answer = client.get(setting.url(path)).send().await.expect("an answer");
            let is_changed = answer.headers().contains_key(LAST_MODIFIED) && tag(&answer) != before;
            if is_changed && answer.text().await.is_ok_and(|text| text.contains(&id)) {
                break;
            }
            assert!(support::now_seconds() - began < 20, "waited for {id} in {path}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn tagged(id: &str, title: &str) -> Value {
    let mut body = post(id, title, "ko", &["events"]);
    body["tags"] = json!(["물"]);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_is_new_once_through_restarts_revisions_and_a_move() {
    let Some(program) = support::server("ALLIM_TEST_NEWSBOAT") else { return };
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let mut setting = Setting::new();
    let daemon = setting.start();
    let titles = ["첫 소식", "둘째 소식 & <표>", "셋째 소식 ]]> \u{1F393}"];
    for (number, title) in titles.iter().enumerate() {
        published(&setting, &tagged(&format!("p{number}"), title)).await;
    }
    let between = Between::new(setting.port).await;
    let newsboat = Arc::new(Newsboat::new(program, &between, &SUBSCRIBED));
    let mut first = reloaded(&newsboat).await;
    first.sort();
    let mut expected = titles.to_vec();
    expected.sort_unstable();
    assert_eq!(first, expected, "each post is one article");
    nothing_is_new_the_second_time(&newsboat, &between).await;
    nothing_is_new(&newsboat, &between, SUBSCRIBED.len()).await;

    published(&setting, &tagged("p3", "넷째 소식")).await;
    assert_eq!(reloaded(&newsboat).await, ["넷째 소식"]);
    // Newsboat asks for parts (RFC 3229) and gets them.
    assert!(between.seen().iter().all(|asked| asked.status == 226 && asked.tag.is_some()));
    nothing_is_new(&newsboat, &between, SUBSCRIBED.len()).await;

    let mut revised = tagged("p3", "넷째 소식 (고침)");
    revised["revision"] = json!(2);
    published(&setting, &revised).await;
    assert_eq!(reloaded(&newsboat).await, Vec::<String>::new(), "a revision is no new article");
    assert!(newsboat.articles().values().any(|title| title.ends_with("(고침)")));
    between.seen();
    nothing_is_new(&newsboat, &between, SUBSCRIBED.len()).await;

    daemon.stop();
    let daemon = setting.start();
    nothing_is_new(&newsboat, &between, SUBSCRIBED.len()).await;

    daemon.stop();
    let url = support::create_database(&server, &format!("newsboat_{}", std::process::id())).await;
    setting.run(&["migrate", "--from", "sqlite:allim.sqlite", "--to", &url]);
    setting.store_url = url;
    let _daemon = setting.start();
    nothing_is_new(&newsboat, &between, SUBSCRIBED.len()).await;
    published(&setting, &tagged("p4", "옮긴 뒤의 소식")).await;
    assert_eq!(reloaded(&newsboat).await, ["옮긴 뒤의 소식"]);
}

/// The feeds of 0.1.0 as it served them, then those of this version on the same data, under another address.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_makes_nothing_new() {
    let Some(program) = support::server("ALLIM_TEST_NEWSBOAT") else { return };
    let setting = Setting::new();
    let database = rusqlite::Connection::open(setting.path().join("allim.sqlite")).expect("a database");
    database.execute_batch(OLD_DATABASE).expect("the tables of 0.1.0");
    drop(database);
    let between = Between::new(setting.port).await;
    let paths = OLD_FEEDS.map(|(path, _)| path);
    *between.stored.lock().expect("a lock") = OLD_FEEDS.map(|(path, text)| (path.to_owned(), text)).into();
    let newsboat = Arc::new(Newsboat::new(program, &between, &paths));
    assert_eq!(reloaded(&newsboat).await.len(), 3);
    assert_eq!(between.seen().len(), paths.len());

    let _daemon = setting.start();
    between.stored.lock().expect("a lock").clear();
    nothing_is_new_the_second_time(&newsboat, &between).await;
    nothing_is_new(&newsboat, &between, paths.len()).await;
}

//! Subscribing, confirming, and the page on which somebody sets what they get.

use crate::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];
const ASKED: &str = "확인 메일을 확인해 주십시오";

pub(super) fn site() -> Site {
    let mut setting = Setting::new();
    setting.extra = "trusted_proxies = [\"127.0.0.1\"]\n".to_owned();
    Site::with(setting)
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut out = url::form_urlencoded::Serializer::new(String::new());
    out.extend_pairs(fields);
    out.finish()
}

/// The value of a form's hidden field.
fn hidden(page: &str, name: &str) -> String {
    let rest = page.split(&format!("name=\"{name}\" value=\"")).nth(1).expect("the field");
    rest.split('"').next().expect("a value").to_owned()
}

impl Site {
    pub(super) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.ask(Method::POST, path, &FORM, Some(&encoded(fields))).await
    }

    /// Fills in the form as a person would, who takes a while.
    async fn sign_up(&self, fields: &[(&str, &str)]) -> Answer {
        let form = hidden(&self.get("/subscribe?lang=ko").await.text(), "form");
        let began = support::now_seconds();
        loop {
            let all: Vec<(&str, &str)> = fields.iter().copied().chain([("form", form.as_str())]).collect();
            let answer = self.send("/subscribe?lang=ko", &all).await;
            if !answer.text().contains("한 번 더") {
                return answer;
            }
            assert!(support::now_seconds() - began < 10, "the form stays too fresh");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn mails(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.setting.maildir()) else { return Vec::new() };
        entries.map(|entry| mail(&entry.expect("an entry").path())).collect()
    }

    /// The mail to an address that holds a text, once it is there.
    pub(super) async fn mail_with(&self, to: &str, text: &str) -> String {
        let mut found = None;
        wait_until(&format!("a mail with {text}"), Duration::from_secs(20), || {
            found = self.mails().into_iter().find(|mail| mail.contains(&format!("To: {to}")) && mail.contains(text));
            found.is_some()
        });
        found.expect("a mail")
    }

    pub(super) fn path_of(&self, mail: &str, kind: &str) -> String {
        let url = self.setting.url(&format!("/{kind}/"));
        let rest = mail.split(&url).nth(1).unwrap_or_else(|| panic!("no {kind} link in {mail}"));
        format!("/{kind}/{}", rest.split([' ', '\n', '\r', '"', '>']).next().expect("a token"))
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.setting.path().join("allim.sqlite")).expect("the database")
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let database = self.database();
        let mut statement = database.prepare(sql).expect("SQL");
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("texts")
    }

    pub(super) fn subscriptions(&self) -> Vec<String> {
        self.rows("SELECT topic || ' ' || slot FROM subscriptions ORDER BY 1")
    }
}

/// A mail's To and text, with nothing encoded.
fn mail(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("a mail");
    let parsed = mail_parser::MessageParser::default().parse(&bytes).expect("a mail");
    let to = parsed.to().and_then(|to| to.first()).and_then(|to| to.address()).expect("a recipient").to_owned();
    let raw = String::from_utf8_lossy(&bytes);
    let head = raw.split("\r\n\r\n").next().unwrap_or_default();
    format!("To: {to}\n{head}\n\n{}", parsed.body_text(0).expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_written_to_before_they_confirm_and_then_they_are() {
    let site = site();
    let wish = [("address", "Minji@Example.net"), ("topic", "events"), ("schedule", "immediate"), ("reads", "ko")];
    let answer = site.sign_up(&wish).await;
    assert!(answer.status == 200 && answer.text().contains(ASKED), "{}", answer.text());
    check_headers(&answer);
    let mail = site.mail_with("Minji@example.net", "확인하러 가기").await;
    assert!(
        !mail.contains("List-Unsubscribe") && !mail.contains("List-Id") && mail.contains("Auto-Submitted"),
        "{mail}"
    );
    let path = site.path_of(&mail, "confirm");
    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = site.ask(method, &path, &[], None).await;
        assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
        check_headers(&page);
    }
    assert!(site.subscriptions().is_empty(), "looking confirms nothing");
    site.publish_openly(&post("before", "확인 전 소식", "ko", &["events"])).await;

    for other in [&[][..], &[("wish", "events often")]] {
        let nothing = site.send(&path, other).await;
        assert!(
            nothing.text().contains("주제를 하나 이상") && site.subscriptions().is_empty(),
            "what wasn't shown isn't agreed to"
        );
    }
    let done = site.send(&path, &[("wish", "events immediate"), ("wish", "notices immediate")]).await;
    assert!(done.text().contains("구독이 시작되었습니다") && done.text().contains("/manage/"), "{}", done.text());
    assert_eq!(site.subscriptions(), ["events immediate"], "what wasn't asked for isn't granted");
    assert!(site.send(&path, &[("wish", "events immediate")]).await.text().contains("확인할 것이 없습니다"));
    site.publish(&post("after", "확인 뒤 소식", "ko", &["events"])).await;
    let mail = site.mail_with("Minji@example.net", "확인 뒤 소식").await;
    assert!(!mail.contains("확인 전 소식"), "nothing from before is owed");
    assert_eq!(site.rows("SELECT act FROM consents ORDER BY seq"), ["asked", "granted"]);
    let told =
        site.rows("SELECT wording || ' ' || language || ' ' || source || ' ' || actor FROM consents ORDER BY seq");
    assert!(told[1].ends_with(" ko page subscriber") && !told[1].starts_with(' '), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sign_ups_for_one_address_send_one_mail_and_fill_no_ledger() {
    const TIMES: usize = 10_000;
    let site = site();
    let url = site.setting.url("/api/v1/subscriptions");
    let refused = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..250_usize {
        let (client, url, refused) = (site.client.clone(), url.clone(), refused.clone());
        tasks.spawn(async move {
            for number in 0..TIMES / 250 {
                let topics = &["events", "notices"][..1 + number % 2];
                let body =
                    json!({ "address": "one@example.net", "topics": topics, "schedule": "often", "language": "ko" });
                // From a network of its own for every few.
                let from = format!("198.{}.{}.{}", worker % 256, number % 7, number);
                let request = client.post(&url).header("x-forwarded-for", from).json(&body);
                let status = request.timeout(Duration::from_secs(60)).send().await.expect("an answer").status();
                if status == 429 {
                    refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                } else {
                    assert_eq!(status, 202);
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("a client");
    }
    assert_eq!(refused.load(std::sync::atomic::Ordering::Relaxed), 0, "no network asked too often");
    site.mail_with("one@example.net", "확인하러 가기").await;
    // Somebody else's mail shows that everything before has gone out.
    site.sign_up(&[("address", "two@example.net"), ("topic", "events"), ("schedule", "often")]).await;
    site.mail_with("two@example.net", "확인하러 가기").await;
    let to_one = site.mails().iter().filter(|mail| mail.contains("To: one@")).count();
    assert_eq!(to_one, 1);
    assert_eq!(site.rows("SELECT CAST(COUNT(*) AS TEXT) FROM consents"), ["2"]);
    assert_eq!(site.rows("SELECT CAST(COUNT(*) AS TEXT) FROM subscribers"), ["2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_is_told_to_wait_and_machines_get_nothing() {
    let site = site();
    let ask = async |from: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from)];
        let body = json!({ "address": "a@example.net", "topics": ["events"], "schedule": "often" }).to_string();
        site.ask(Method::POST, "/api/v1/subscriptions", &headers, Some(&body)).await.status
    };
    let mut seen = BTreeMap::new();
    for host in 0..70 {
        *seen.entry(ask(&format!("203.0.113.{host}")).await.as_u16()).or_insert(0) += 1;
    }
    assert_eq!(seen, BTreeMap::from([(202, 60), (429, 10)]));
    assert_eq!(ask("203.0.114.1").await, 202);

    let trap = [("address", "trap@example.net"), ("topic", "events"), ("schedule", "often"), ("website", "spam")];
    assert!(site.sign_up(&trap).await.text().contains(ASKED), "a machine learns nothing");
    let fresh = [("address", "fast@example.net"), ("topic", "events"), ("schedule", "often")];
    assert!(site.send("/subscribe?lang=ko", &fresh).await.text().contains("한 번 더"), "a form that we didn't show");
    assert_eq!(site.rows("SELECT address FROM subscribers"), ["a@example.net"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_beside_the_form_and_nothing_is_lost() {
    let site = site();
    let good = [("address", "a@example.net"), ("topic", "events"), ("schedule", "often")];
    for (field, value, says) in [
        ("address", "no-at.example.net", "메일 주소가 올바르지"),
        ("address", "a b@example.net", "메일 주소가 올바르지"),
        ("address", "a@example.net.", "메일 주소가 올바르지"),
        ("address", "a\r\nBcc: b@example.net@example.net", "메일 주소가 올바르지"),
        ("topic", "nothing", "주제를 하나 이상"),
        ("schedule", "yearly", "받는 시기를"),
    ] {
        let fields: Vec<_> =
            good.iter().map(|(name, old)| (*name, if *name == field { value } else { *old })).collect();
        let answer = site.send("/subscribe?lang=ko", &fields).await;
        assert!(answer.status == 422 && answer.text().contains(says), "{field}={value}: {}", answer.text());
        assert!(field == "address" || answer.text().contains("value=\"a@example.net\""), "what was filled in stays");
    }
    let korean = site.sign_up(&[("address", "김@한국.example"), ("topic", "events"), ("schedule", "often")]).await;
    assert!(korean.text().contains(ASKED), "{}", korean.text());
    assert_eq!(site.rows("SELECT address FROM subscribers"), ["김@xn--3e0b707e.example"]);
    for bad in ["x", "a.b.c", "%00%ff", &"a".repeat(3_000)] {
        for kind in ["confirm", "manage"] {
            let shown = site.get(&format!("/{kind}/{bad}?lang=ko")).await;
            let posted = site.send(&format!("/{kind}/{bad}?lang=ko"), &[("act", "leave")]).await;
            assert!(shown.status.is_client_error() && posted.status.is_client_error(), "{kind}/{bad}");
        }
    }
    let stale = site.get("/manage/a.b.c?lang=ko").await.text();
    assert!(stale.contains("이 링크는 쓸 수 없습니다") && stale.contains("action=\"/link?lang=ko\""), "{stale}");
}

/// Somebody who confirmed `events` by immediate mail, and the path of their page.
pub(super) async fn a_subscriber(site: &Site, address: &str) -> String {
    site.sign_up(&[("address", address), ("topic", "events"), ("schedule", "immediate"), ("reads", "ko")]).await;
    let mail = site.mail_with(address, "확인하러 가기").await;
    let done =
        site.send(&format!("{}?lang=ko", site.path_of(&mail, "confirm")), &[("wish", "events immediate")]).await.text();
    let path = done.split("href=\"/manage/").nth(1).expect("a link").split(['"', '?']).next().expect("a token");
    format!("/manage/{path}?lang=ko")
}

#[tokio::test(flavor = "multi_thread")]
async fn one_page_sets_everything() {
    let site = site();
    let page = a_subscriber(&site, "minji@example.net").await;
    let act = async |fields: &[(&str, &str)]| site.send(&page, fields).await.text();
    let save = [
        ("act", "save"),
        ("schedule:events", "often"),
        ("schedule:notices", "immediate"),
        ("reads", "en"),
        ("text_only", "yes"),
    ];
    assert!(act(&save).await.contains("저장했습니다"));
    assert_eq!(site.subscriptions(), ["events often", "notices immediate"]);
    site.publish(&post("en", "In English", "en", &["notices"])).await;
    let mail = site.mail_with("minji@example.net", "In English").await;
    assert!(
        !mail.contains("multipart") && mail.contains("Content-Type: text/plain") && mail.contains("List-Unsubscribe:")
    );

    let far = jiff::Timestamp::from_second(support::now_seconds() + 20 * 86_400).expect("an instant").to_string();
    let far = far.split('T').next().expect("a day").to_owned();
    assert!(act(&[("act", "pause"), ("until", "2020-01-01"), ("then", "skip")]).await.contains("오늘 이후의"));
    assert!(act(&[("act", "pause"), ("until", &far), ("then", "catch_up")]).await.contains("쉬는 중입니다"));
    site.publish_openly(&post("paused", "While paused", "en", &["notices"])).await;
    site.publish(&post("other", "Another while paused", "en", &["notices"])).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!site.mails().iter().any(|mail| mail.contains("paused")), "nothing is planned in a pause");
    assert!(!act(&[("act", "resume")]).await.contains("쉬는 중입니다"));
    let mail = site.mail_with("minji@example.net", "While paused").await;
    assert!(mail.contains("Another while paused"), "what came meanwhile comes as one mail");

    assert!(act(&[("act", "leave")]).await.contains("모두 해지되었습니다"));
    assert!(site.subscriptions().is_empty());
    site.publish_openly(&post("away", "While away", "en", &["notices"])).await;
    assert!(act(&[("act", "undo")]).await.contains("되돌렸습니다"));
    assert_eq!(site.subscriptions(), ["events often", "notices immediate"]);
    site.mail_with("minji@example.net", "While away").await;
    assert!(!act(&[("act", "undo")]).await.contains("value=\"undo\""), "it can be undone once");

    let data: Value = site.get(&page.replace("?lang=ko", "/data.json")).await.json();
    assert_eq!((data["address"].as_str(), data["language"].as_str()), (Some("minji@example.net"), Some("en")));
    let acts: Vec<_> = data["consents"].as_array().expect("a list").iter().map(|one| one["act"].clone()).collect();
    assert_eq!(acts, ["asked", "granted", "changed", "paused", "resumed", "left", "came_back"]);

    assert!(act(&[("act", "erase")]).await.contains("읽을 수 없습니다"), "one must say that one is sure");
    assert!(act(&[("act", "erase"), ("sure", "yes")]).await.contains("모두 지웠습니다"));
    assert!(site.rows("SELECT address FROM subscribers").is_empty());
    assert_eq!(site.get(&page).await.status, 404);
    let database = std::fs::read(site.setting.path().join("allim.sqlite")).expect("the file");
    drop(database);
    let hashes: BTreeSet<String> = site.rows("SELECT address_hash FROM consents").into_iter().collect();
    assert_eq!(site.rows("SELECT address_hash FROM suppressions"), Vec::from_iter(hashes));
    assert!(
        site.sign_up(&[("address", "minji@example.net"), ("topic", "events"), ("schedule", "often")])
            .await
            .text()
            .contains(ASKED)
    );
    assert!(site.rows("SELECT address FROM subscribers").is_empty(), "the address stays suppressed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_changes_when_its_holder_confirms_and_everything_goes_along() {
    let site = site();
    let page = a_subscriber(&site, "old@example.net").await;
    a_subscriber(&site, "taken@example.net").await;
    let before = site.rows("SELECT CAST(id AS TEXT) FROM subscribers WHERE address = 'old@example.net'");
    assert!(site.send(&page, &[("act", "move"), ("address", "OLD@example.net")]).await.text().contains("같습니다"));
    assert!(site.send(&page, &[("act", "move"), ("address", "new@example.net")]).await.text().contains("곧 확인 메일"));
    let mail = site.mail_with("new@example.net", "확인하러 가기").await;
    site.publish(&post("one", "옮기기 전", "ko", &["events"])).await;
    site.mail_with("old@example.net", "옮기기 전").await;
    let done = site.send(&format!("{}?lang=ko", site.path_of(&mail, "confirm")), &[]).await;
    assert!(done.text().contains("메일 주소가 바뀌었습니다"), "{}", done.text());
    site.publish(&post("two", "옮긴 뒤", "ko", &["events"])).await;
    let mail = site.mail_with("new@example.net", "옮긴 뒤").await;
    assert!(!mail.contains("옮기기 전"), "what was given isn't given again");
    assert_eq!(site.rows("SELECT CAST(id AS TEXT) FROM subscribers WHERE address = 'new@example.net'"), before);
    let done = done.text();
    let fresh = done.split("href=\"/manage/").nth(1).expect("a link").split(['"', '?']).next().expect("a token");
    let page = format!("/manage/{fresh}?lang=ko");
    let taken = site.send(&page, &[("act", "move"), ("address", "taken@example.net")]).await.text();
    assert!(taken.contains("곧 확인 메일"), "the answer tells nothing");
    site.mail_with("taken@example.net", "설정 열기").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_at_every_link_of_every_mail_changes_no_row() {
    let site = site();
    let page = a_subscriber(&site, "minji@example.net").await;
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    site.mail_with("minji@example.net", "소식").await;
    let form = hidden(&site.get("/link?lang=ko").await.text(), "form");
    let mut asked = String::new();
    let began = support::now_seconds();
    while !asked.contains("링크가 곧 도착합니다") {
        assert!(support::now_seconds() - began < 10, "{asked}");
        tokio::time::sleep(Duration::from_millis(300)).await;
        asked = site.send("/link?lang=ko", &[("address", "minji@example.net"), ("form", &form)]).await.text();
    }
    site.mail_with("minji@example.net", "설정 열기").await;
    site.sign_up(&[("address", "later@example.net"), ("topic", "events"), ("schedule", "often")]).await;
    site.mail_with("later@example.net", "확인하러 가기").await;
    let origin = site.setting.url("");
    let mut links: BTreeSet<String> = BTreeSet::from([page, "/subscribe".to_owned(), "/link".to_owned()]);
    for mail in site.mails() {
        let urls =
            mail.split(&origin).skip(1).map(|rest| rest.split([' ', '\n', '\r', '>', '"', ')']).next().unwrap_or(""));
        links.extend(urls.map(str::to_owned));
    }
    assert!(
        ["confirm", "manage", "unsubscribe", "posts"].iter().all(|kind| links.iter().any(|link| link.contains(kind)))
    );
    // A mail lies in the folder a moment before that is recorded.
    support::wait_until("what went out is recorded", std::time::Duration::from_secs(20), || {
        let open = "SELECT state FROM deliveries WHERE state IN ('claimed', 'sending')";
        site.rows(&format!("{open} UNION ALL SELECT state FROM batches WHERE state = 'claimed'")).is_empty()
    });
    let before = everything(&site.database());
    for link in &links {
        for method in [Method::GET, Method::HEAD, Method::GET, Method::HEAD] {
            let path = if link.is_empty() { "/" } else { link };
            let answer = site.ask(method, path, &[], None).await;
            assert!(answer.status.is_success(), "{path}: {}", answer.status);
        }
    }
    assert_eq!(before, everything(&site.database()));
}

/// Every row of every table but those of leases.
fn everything(database: &rusqlite::Connection) -> Vec<String> {
    let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1").expect("SQL");
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("a name")).collect();
    let mut out = Vec::new();
    for table in tables.iter().filter(|table| {
        !["processes", "sqlite_sequence", "counters", "slots", "occurrences", "editions"].contains(&table.as_str())
    }) {
        let mut rows = database.prepare(&format!("SELECT * FROM {table}")).expect("SQL");
        let columns = rows.column_count();
        let mut rows = rows.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<String> =
                (0..columns).map(|at| format!("{:?}", row.get_ref(at).expect("a value"))).collect();
            out.push(format!("{table}: {}", values.join(" ")));
        }
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_from_before_changes_nothing_that_people_chose() {
    let site = site();
    let row = |name: &str| format!("{name}@example.net,,ko,events notices,immediate");
    let list: Vec<String> = ["stays", "left", "erased", "signed-up", "one-click"].map(row).to_vec();
    let old: Vec<String> = list.iter().filter(|row| !row.starts_with("signed-up")).cloned().collect();
    site.setting.subscribe(&old);
    a_subscriber(&site, "signed-up@example.net").await;
    site.publish(&post("one", "소식", "ko", &["events"])).await;
    let leave = site.path_of(&site.mail_with("left@example.net", "소식").await, "unsubscribe");
    assert_eq!(site.send(&leave, &[("confirm", "yes")]).await.status, 200);
    let click = site.path_of(&site.mail_with("one-click@example.net", "소식").await, "unsubscribe");
    assert_eq!(site.send(&click, &[("List-Unsubscribe", "One-Click")]).await.status, 200);
    site.setting.run(&["subscriber", "erase", "erased@example.net"]);
    let state = "SELECT u.address || ' ' || s.topic || ' ' || s.slot FROM subscriptions s JOIN subscribers u ON u.id = s.subscriber_id ORDER BY 1";
    let before = site.rows(state);

    let (file, report) = (site.setting.path().join("old.json"), site.setting.path().join("report.csv"));
    let json: Vec<Value> = list
        .iter()
        .map(|row| row.split(',').next().expect("an address"))
        .chain(["new@example.net", "broken"])
        .map(|address| json!({ "address": address, "language": "ko", "topics": ["events", "notices"], "schedule": "immediate" }))
        .collect();
    std::fs::write(&file, Value::Array(json).to_string()).expect("the list");
    let arguments =
        ["subscriber", "import", file.to_str().expect("a path"), "--report", report.to_str().expect("a path")];
    let told = || {
        std::fs::read_to_string(&report)
            .expect("a report")
            .lines()
            .map(|line| line.split(',').nth(1).expect("a result").to_owned())
            .collect::<Vec<_>>()
    };
    let rehearsed = site.setting.command(&[&arguments[..], &["--dry-run"]].concat()).output().expect("it runs");
    assert!(!rehearsed.status.success(), "a fault is told of");
    let expected =
        ["result", "the same", "stays away", "stays away", "own choice stands", "stays away", "added", "fault"];
    assert_eq!(
        (told(), site.rows(state)),
        (expected.map(str::to_owned).to_vec(), before.clone()),
        "a rehearsal changes nothing"
    );
    assert!(!site.setting.command(&arguments).output().expect("it runs").status.success());
    let after: Vec<String> = site.rows(state).into_iter().filter(|row| !row.starts_with("new@")).collect();
    assert_eq!((told(), after), (expected.map(str::to_owned).to_vec(), before));
    let proof = site.setting.run(&["subscriber", "consents", "left@example.net"]);
    let acts: Vec<Value> =
        proof.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["act"].clone()).collect();
    assert_eq!(acts, ["imported", "withdrew"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_takes_the_place_of_somebody_else_and_old_links_end_with_the_address() {
    let site = site();
    let page = a_subscriber(&site, "mover@example.net").await;
    // Somebody asks for mail; a move to their address neither replaces what they asked for nor is confirmed by them.
    site.sign_up(&[("address", "victim@example.net"), ("topic", "notices"), ("schedule", "often"), ("reads", "ko")])
        .await;
    let theirs = site.path_of(&site.mail_with("victim@example.net", "확인하러 가기").await, "confirm");
    assert!(
        site.send(&page, &[("act", "move"), ("address", "victim@example.net")]).await.text().contains("곧 확인 메일")
    );
    assert!(site.get(&format!("{theirs}?lang=ko")).await.text().contains("notices often"));
    site.send(&theirs, &[("wish", "notices often")]).await;
    assert_eq!(site.subscriptions(), ["events immediate", "notices often"]);
    // A move that was asked for first ends when the holder asks for themselves.
    site.send(&page, &[("act", "move"), ("address", "later@example.net")]).await;
    let moving = site.path_of(&site.mail_with("later@example.net", "확인하러 가기").await, "confirm");
    site.sign_up(&[("address", "later@example.net"), ("topic", "events"), ("schedule", "often"), ("reads", "ko")])
        .await;
    assert!(site.get(&moving).await.text().contains("events often"));
    // Whoever has the old mailbox has no say any more.
    site.send(&page, &[("act", "move"), ("address", "new@example.net")]).await;
    let confirm = site.path_of(&site.mail_with("new@example.net", "확인하러 가기").await, "confirm");
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let done = site.send(&format!("{confirm}?lang=ko"), &[]).await.text();
    assert!(done.contains("메일 주소가 바뀌었습니다"), "{done}");
    assert_eq!(site.get(&page).await.status, 404, "the link from before opens nothing");
    let fresh = done.split("href=\"/manage/").nth(1).expect("a link").split(['"', '?']).next().expect("a token");
    assert!(site.get(&format!("/manage/{fresh}")).await.text().contains("new@example.net"));
    let old = site.setting.path().join("old.csv");
    std::fs::write(&old, "address,name,language,topics,schedule\nmover@example.net,,ko,events,immediate\n")
        .expect("a list");
    let told = site.setting.run(&["subscriber", "import", old.to_str().expect("a path")]);
    assert!(told.contains("0 added") && told.contains("1 left earlier"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_schedule_loses_nothing_that_waits_and_touches_nothing_else() {
    let site = site();
    let page = a_subscriber(&site, "minji@example.net").await;
    site.setting.run(&["hold", "on", "--reason", "a test"]);
    site.publish_openly(&post("waits", "기다리는 소식", "ko", &["events"])).await;
    let planned = || site.rows("SELECT CAST(COUNT(*) AS TEXT) FROM batches WHERE lane <> 'transactional'")[0] == "1";
    wait_until("a planned mail", Duration::from_secs(10), planned);
    let saved = site
        .send(&page, &[("act", "save"), ("schedule:events", "often"), ("reads", "ko"), ("zone", "Asia/Seoul")])
        .await;
    assert!(saved.text().contains("저장했습니다"), "{}", saved.text());
    site.setting.run(&["hold", "off"]);
    site.mail_with("minji@example.net", "기다리는 소식").await;
    let rows = site.rows("SELECT CAST(COUNT(*) AS TEXT) FROM consents");
    site.send(&page, &[("act", "save"), ("schedule:events", "often"), ("reads", "ko"), ("zone", "Asia/Seoul")]).await;
    assert_eq!(site.rows("SELECT CAST(COUNT(*) AS TEXT) FROM consents"), rows, "nothing was changed");
}

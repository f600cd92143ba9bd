//! The commands, as an operator or a script runs them: what they print, and their exit codes.
#![allow(missing_docs, reason = "a test")]

mod support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{Setting, TOKEN, post, wait_until};

/// A limit, not a wait: a machine that compiles meanwhile is slow.
const LIMIT: Duration = Duration::from_secs(60);

/// What a command came to.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|_| panic!("not JSON: {}{}", self.out, self.err))
    }
}

fn ran(setting: &Setting, arguments: &[&str]) -> Ran {
    let output = setting.command(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ran { code: output.status.code().expect("it ends"), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A command that must go well.
fn well(setting: &Setting, arguments: &[&str]) -> Ran {
    let ran = ran(setting, arguments);
    assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
    ran
}

/// A command that must fail with a sentence that holds `words`.
fn fails(setting: &Setting, arguments: &[&str], words: &str) -> Ran {
    let ran = ran(setting, arguments);
    assert_eq!(ran.code, 1, "{arguments:?}: {}{}", ran.out, ran.err);
    assert!(ran.err.contains(words), "{arguments:?}: `{words}` is missing in: {}", ran.err);
    ran
}

fn file(setting: &Setting, name: &str, content: &str) -> String {
    let path = setting.path().join(name);
    std::fs::write(&path, content).expect("written");
    path.to_str().expect("a path").to_owned()
}

fn published(setting: &Setting, id: &str, language: &str) -> String {
    let body = post(id, &format!("제목 {id}"), language, &["events"]).to_string();
    let path = file(setting, &format!("{id}.json"), &body);
    well(setting, &["--json", "post", "publish", &path, "--to", "direct"]).json()["post_id"]
        .as_str()
        .expect("an id")
        .to_owned()
}

fn mails(setting: &Setting) -> usize {
    std::fs::read_dir(setting.maildir()).map_or(0, Iterator::count)
}

const READERS: [&str; 3] = [
    "ko@example.net,김하나,ko,events,immediate",
    "en@example.net,,en,events notices,often",
    "zh@example.net,,zh,notices,often",
];

fn subscribed() -> Setting {
    let setting = Setting::new();
    setting.subscribe(&READERS.map(str::to_owned));
    setting
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let setting = Setting::new();
    for wrong in [
        &["nonsense"][..],
        &["post"],
        &["delivery", "show", "nonsense"],
        &["delivery", "list", "--state", "lost"],
        &["digest", "preview", "often"],
        &["quarantine", "replay"],
        &["post", "list", "--language", "english!"],
    ] {
        assert_eq!(ran(&setting, wrong).code, 2, "{wrong:?}");
    }
    fails(&setting, &["post", "show", "nothing"], "there is no post");
    fails(&setting, &["subscriber", "show", "nobody@example.net"], "nobody has this address");
}

#[test]
fn check_has_a_verdict_and_a_fix_for_each_point() {
    let mut setting = Setting::new();
    setting.spool = true;
    let findings = well(&setting, &["--json", "check"]).json();
    let verdict = |findings: &Value, point: &str| {
        let found = findings.as_array().expect("a list").iter().find(|one| one["point"] == point);
        found.unwrap_or_else(|| panic!("{point}: {findings}"))["verdict"].as_str().expect("a word").to_owned()
    };
    let expected = [
        ("config", "ok"),
        ("state_dir", "ok"),
        ("store", "warn"),
        ("spool", "warn"),
        ("relay", "warn"),
        ("web.public_url", "ok"),
    ];
    for (point, word) in expected {
        assert_eq!(verdict(&findings, point), word, "{findings}");
    }
    assert!(!setting.path().join("allim.sqlite").exists(), "a check makes nothing");
    well(&setting, &["migrate"]);
    assert_eq!(verdict(&well(&setting, &["--json", "check"]).json(), "store"), "ok");

    setting.relay = Some(support::Relay { port: support::free_port(), connections: 1 });
    setting.amqp = Some(format!("amqp://127.0.0.1:{}/%2f", support::free_port()));
    let dead = fails(&setting, &["--json", "check"], "points failed");
    let findings = dead.json();
    assert_eq!(
        (verdict(&findings, "relay main"), verdict(&findings, "broker")),
        ("fail".to_owned(), "fail".to_owned())
    );
    let table = fails(&setting, &["check"], "points failed");
    assert!(table.out.contains("FAIL") && table.out.contains("firewall"), "{}", table.out);

    let mut command = setting.command(&["check"]);
    std::fs::write(setting.path().join("allim.toml"), "[instance]\nstate_dir = 5\n").expect("written");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("allim.toml:2"), "the line is named");
}

#[test]
fn check_talks_to_a_real_relay_and_broker() {
    let mut setting = Setting::new();
    let sink = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = sink.local_addr().expect("an address").port();
    // As much of a relay as a check needs.
    std::thread::spawn(move || {
        use std::io::{BufRead as _, Write as _};
        for stream in sink.incoming().flatten() {
            let mut reader = std::io::BufReader::new(stream.try_clone().expect("a handle"));
            let mut stream = stream;
            let _ = stream.write_all(b"220 sink ESMTP\r\n");
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                let answer: &[u8] = if line.starts_with("EHLO") { b"250 sink\r\n" } else { b"221 bye\r\n" };
                let _ = stream.write_all(answer);
                line.clear();
            }
        }
    });
    setting.relay = Some(support::Relay { port, connections: 1 });
    let told = well(&setting, &["--json", "check"]).out;
    assert!(told.contains("is ready to take mail"), "{told}");
    let Some(broker) = support::server("ALLIM_TEST_AMQP") else { return };
    setting.amqp = Some(broker);
    let told = well(&setting, &["--json", "check"]).out;
    assert!(told.contains("logged in"), "{told}");
}

#[test]
fn migrate_says_from_where_to_where() {
    let setting = Setting::new();
    assert!(well(&setting, &["migrate"]).out.contains("made new"));
    assert!(well(&setting, &["migrate"]).out.contains("nothing to do"));
    let told = well(&setting, &["--json", "migrate"]).json();
    assert_eq!(told["from"], told["version"]);
}

#[test]
fn the_configuration_is_shown_without_secrets() {
    let mut setting = Setting::new();
    setting.amqp = Some("amqp://allim:geheim@127.0.0.1:5672/%2f".to_owned());
    let shown = well(&setting, &["config", "show"]).out;
    assert!(!shown.contains("geheim") && shown.contains("***"), "{shown}");
    assert!(shown.contains("translation_wait = \"1d\""), "defaults are shown: {shown}");
    assert!(shown.contains("uncertain_wait = \"1s\""), "{shown}");
    let value: toml::Table = shown.parse().expect("TOML");
    assert_eq!(value["languages"]["readers"].as_array().expect("a list").len(), 3);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_allim"))
        .args(["config", "example"])
        .env("ALLIM_CONFIG", "/nowhere.toml")
        .output()
        .expect("it runs");
    assert!(output.status.success(), "the example needs no configuration");
}

#[test]
fn subscribers_come_in_line_by_line_and_those_who_left_stay_away() {
    let setting = Setting::new();
    let list = "address,name,language,topics,schedule\n\
        one@example.net,\"Kim, Hana\",ko-KR,events,immediate\n\
        \n\
        broken,,ko,events,immediate\n\
        two@example.net,,fr,events,immediate\n\
        two@example.net,,en,sports,immediate\n\
        two@example.net,,en,events,monthly\n\
        two@example.net,,en,events\n\
        two@example.net,,en,events notices,often\n";
    let path = file(&setting, "list.csv", list);
    let told = fails(&setting, &["subscriber", "import", &path], "5 lines were not taken in");
    for (line, words) in [(4, "address"), (5, "language"), (6, "topics"), (7, "monthly"), (8, "4 fields")] {
        assert!(
            told.err.lines().any(|l| l.starts_with(&format!("line {line}: ")) && l.contains(words)),
            "{}",
            told.err
        );
    }
    assert!(told.out.contains("2 added, 0 changed"), "{}", told.out);
    assert!(!told.err.contains("two@example.net"), "addresses don't belong into logs");
    fails(
        &setting,
        &["subscriber", "import", &file(&setting, "no.csv", "mail,topics\n")],
        "line 1: the column `address`",
    );

    let shown = well(&setting, &["--json", "subscriber", "show", "TWO@example.net"]).json();
    assert_eq!(shown["subscriptions"].as_array().expect("a list").len(), 2);
    let searched = well(&setting, &["--json", "subscriber", "search", "@example"]).json();
    assert_eq!((searched["people"].as_array().map(Vec::len), searched["more"].as_bool()), (Some(2), Some(false)));
    assert!(well(&setting, &["subscriber", "search", "TWO@"]).out.contains("two@example.net"));
    let story = well(&setting, &["--json", "subscriber", "story", &format!("#{}", shown["id"])]).json();
    assert_eq!(
        (story["person"]["address"].as_str(), story["consents"][0]["act"].as_str()),
        (Some("two@example.net"), Some("imported"))
    );
    fails(&setting, &["subscriber", "story", "#12"], "nobody has this");
    let exported = well(&setting, &["subscriber", "export"]).out;
    assert!(exported.contains("one@example.net,\"Kim, Hana\",ko,events,immediate"), "{exported}");
    assert!(exported.contains("two@example.net,,en,events notices,often"), "{exported}");

    leave(&setting, "two@example.net");
    let again = file(&setting, "again.csv", &exported);
    let told = well(&setting, &["--json", "subscriber", "import", &again]).json();
    assert_eq!(told, json!({ "added": 0, "changed": 0, "same": 1, "stay_away": 1, "own_choice": 0, "faults": 0 }));
    let shown = well(&setting, &["--json", "subscriber", "show", "two@example.net"]).json();
    assert!(shown["unsubscribed_at"].is_i64(), "an import brings nobody back: {shown}");
    assert!(!well(&setting, &["subscriber", "export"]).out.contains("two@"));
}

/// Marks somebody as having left altogether, as the page for it does.
fn leave(setting: &Setting, address: &str) {
    let database = rusqlite::Connection::open(setting.path().join("allim.sqlite")).expect("the database");
    let changed = database
        .execute("UPDATE subscribers SET unsubscribed_at = 1 WHERE address = ?1", [address])
        .expect("an update");
    assert_eq!(changed, 1);
}

#[test]
fn a_post_is_published_by_every_way_in() {
    let mut setting = subscribed();
    setting.spool = true;
    let path = |id: &str| file(&setting, &format!("{id}.json"), &post(id, id, "ko", &["events"]).to_string());
    let direct = well(&setting, &["post", "publish", &path("direct"), "--to", "direct"]);
    assert!(direct.out.trim_end().ends_with("stored"), "{}", direct.out);
    fails(&setting, &["post", "publish", &path("http")], "ALLIM_TOKEN");
    fails(&setting, &["post", "publish", &path("http"), "--token", TOKEN], "no answer");
    well(&setting, &["post", "publish", &path("spooled"), "--to", "spool"]);
    fails(&setting, &["post", "publish", &path("spooled"), "--to", "spool"], "File exists");
    fails(&setting, &["post", "publish", &path("queued"), "--to", "amqp"], "no [intake.amqp]");

    let daemon = setting.start();
    fails(&setting, &["post", "publish", &path("http"), "--token", "wrong"], "not_authorized");
    let told = well(&setting, &["--json", "post", "publish", &path("http"), "--token", TOKEN]).json();
    assert_eq!(told["state"], "stored");
    let told = well(&setting, &["--json", "post", "publish", &path("http"), "--token", TOKEN]).json();
    assert_eq!(told["state"], "duplicate");
    let markdown = "+++\nid = \"md\"\nlanguage = \"ko\"\ntopics = [\"events\"]\npublished_at = 2026-01-01T00:00:00Z\n+++\n# 옛 소식\n";
    let told = well(&setting, &["--json", "post", "publish", &file(&setting, "md.md", markdown), "--token", TOKEN]);
    assert_eq!(told.json()["state"], "stored");
    let bad = file(&setting, "bad.json", "{}");
    let told = fails(&setting, &["--json", "post", "publish", &bad, "--token", TOKEN], "missing_field at id");
    assert_eq!(told.json()["state"], "quarantined");
    wait_until("the spooled post", LIMIT, || ran(&setting, &["post", "show", "spooled"]).code == 0);
    daemon.stop();
    let listed = well(&setting, &["--json", "post", "list"]).json();
    let ids: Vec<_> =
        listed.as_array().expect("a list").iter().map(|one| one["source_id"].as_str().expect("an id")).collect();
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert_eq!(ids.last(), Some(&"md"), "newest publication first");
}

#[test]
fn a_post_is_shown_withdrawn_and_its_faults_with_it() {
    let setting = subscribed();
    let id = published(&setting, "p1", "ko");
    let mut revised = post("p1", "고친\u{7} 제목", "ko", &["events"]);
    revised["revision"] = json!(2);
    well(&setting, &["post", "publish", &file(&setting, "r.json", &revised.to_string()), "--to", "direct"]);
    revised["title"] = json!("다른 제목");
    let reused = file(&setting, "r2.json", &revised.to_string());
    fails(&setting, &["post", "publish", &reused, "--to", "direct"], "revision_reused");

    let shown = well(&setting, &["--json", "post", "show", "p1"]).json();
    assert_eq!((shown["id"].as_str(), shown["revision"].as_i64()), (Some(id.as_str()), Some(2)));
    assert_eq!(shown["revisions"][1]["repairs"][0], "title: 1 control character removed");
    assert_eq!(shown["quarantined"][0]["reason"], "revision_reused");
    let table = well(&setting, &["post", "show", &id]).out;
    assert!(table.contains("고친 제목") && table.contains("waiting") && table.contains("revision_reused"), "{table}");

    assert_eq!(well(&setting, &["--json", "post", "withdraw", "p1"]).json()["state"], "withdrawn");
    assert_eq!(well(&setting, &["--json", "post", "withdraw", "p1"]).json()["state"], "duplicate");
    assert!(well(&setting, &["post", "list"]).out.contains("withdrawn"));
    fails(&setting, &["post", "withdraw", "p2"], "there is no post");
    assert_eq!(well(&setting, &["--json", "post", "list", "--topic", "notices"]).json(), json!([]));
}

#[test]
fn old_posts_come_in_quietly_until_one_is_released() {
    let setting = subscribed();
    let archive = setting.path().join("archive/2015");
    std::fs::create_dir_all(&archive).expect("a folder");
    for number in 0..3 {
        let body = post(&format!("old-{number}"), "옛 소식", "ko", &["events"]);
        std::fs::write(archive.join(format!("{number}.json")), body.to_string()).expect("written");
    }
    std::fs::write(archive.join("notes.txt"), "not a post").expect("written");
    std::fs::write(archive.join("bad.md"), "no front matter").expect("written");
    let folder = setting.path().join("archive");
    let folder = folder.to_str().expect("a path");
    let told = fails(&setting, &["post", "import", folder], "1 files were refused");
    assert!(told.out.contains("3 taken in, 0 known already, 1 refused"), "{}", told.out);
    assert!(told.err.contains("bad.md: refused: bad_front_matter"), "{}", told.err);
    std::fs::remove_file(archive.join("bad.md")).expect("removed");
    assert!(well(&setting, &["post", "import", folder]).out.contains("0 taken in, 3 known already"));

    let daemon = setting.start();
    let state =
        |id: &str| well(&setting, &["--json", "post", "show", id]).json()["state"].as_str().expect("a word").to_owned();
    wait_until("the posts to be public", LIMIT, || state("old-0") == "public, held as backfill");
    let told = well(&setting, &["--json", "explain", "ko@example.net", "old-0"]).json();
    assert_eq!(told["reason"], "held_as_backfill");
    assert_eq!(mails(&setting), 0);
    well(&setting, &["post", "release", "old-1"]);
    // The reader of the digest may get theirs in the same moment.
    wait_until("the mail of the one", LIMIT, || mails(&setting) >= 1);
    for entry in std::fs::read_dir(setting.maildir()).expect("a Maildir") {
        let bytes = std::fs::read(entry.expect("an entry").path()).expect("a mail");
        assert_eq!(support::sink::posts_in(&bytes), [allim::domain::ids::post_id("cms", "old-1")]);
    }
    fails(&setting, &["post", "release", "old-1"], "no backfill guard");
    daemon.stop();
}

#[test]
fn the_quarantine_is_looked_at_and_replayed() {
    let mut setting = subscribed();
    let body = post("q1", "경기\u{1b}[2J", "ko", &["sports"]).to_string();
    fails(&setting, &["post", "publish", &file(&setting, "q.json", &body), "--to", "direct"], "unknown_topic");
    let rows = well(&setting, &["--json", "quarantine", "list"]).json();
    let id = rows[0]["id"].as_str().expect("an id").to_owned();
    assert_eq!((rows[0]["path"].as_str(), rows[0]["source_id"].as_str()), (Some("topics[0]"), Some("q1")));
    let shown = well(&setting, &["quarantine", "show", &id]).out;
    assert!(shown.contains("`sports` is no topic here") && shown.contains("본문입니다"), "{shown}");
    assert!(!shown.contains('\u{1b}'), "nothing steers the terminal");
    fails(&setting, &["quarantine", "replay", &id], "still refused");
    fails(&setting, &["quarantine", "replay", "nothing"], "no such message");
    // The operator sets the configuration right.
    setting.extra = "[[topic]]\nname = \"sports\"\ntitle = \"경기\"\n".to_owned();
    assert!(well(&setting, &["quarantine", "replay", "--all"]).out.contains("1 taken in, 0 still set aside"));
    assert_eq!(well(&setting, &["--json", "quarantine", "list"]).json(), json!([]));
    well(&setting, &["post", "show", "q1"]);
}

/// Every table of the store, row by row.
fn everything(database: &Path) -> Vec<String> {
    let database = rusqlite::Connection::open(database).expect("the database");
    let mut names =
        database.prepare("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").expect("names");
    let names: Vec<String> =
        names.query_map([], |row| row.get(0)).expect("rows").map(|name| name.expect("a name")).collect();
    let mut all = Vec::new();
    for name in names {
        let mut statement = database.prepare(&format!("SELECT * FROM {name}")).expect("a table");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            let values: Vec<String> =
                (0..columns).map(|column| format!("{:?}", row.get_ref(column).expect("a value"))).collect();
            all.push(format!("{name}: {}", values.join(" ")));
        }
    }
    all.sort();
    all
}

#[test]
fn a_digest_is_previewed_without_a_trace_and_then_fired() {
    let mut setting = Setting::new();
    // So that no firing of its own comes in between.
    setting.extra =
        "[[digest]]\nname = \"yearly\"\ntitle = { ko = \"연보\", en = \"Yearbook\" }\nschedule = \"0 0 1 JAN *\"\n"
            .to_owned();
    setting
        .subscribe(&["en@example.net,Ann,en,events,yearly".to_owned(), "ko@example.net,,ko,notices,yearly".to_owned()]);
    published(&setting, "d1", "ko");
    published(&setting, "d2", "en");
    let database: PathBuf = setting.path().join("allim.sqlite");
    let before = everything(&database);
    let told = well(&setting, &["--json", "digest", "preview", "yearly", "--for", "en@example.net"]).json();
    assert_eq!(told["posts"].as_array().expect("a list").len(), 2, "{told}");
    assert!(told["subject"].as_str().expect("a subject").starts_with("Yearbook"), "{told}");
    assert!(told["html"].as_str().expect("HTML").contains("제목 d2"));
    let text = well(&setting, &["digest", "preview", "yearly", "--for", "en@example.net", "--text"]).out;
    assert!(text.contains("Ann") && text.contains("제목 d1"), "{text}");
    let html = setting.path().join("issue.html");
    well(&setting, &["digest", "preview", "yearly", "--language", "ko", "--html", html.to_str().expect("a path")]);
    assert!(std::fs::read_to_string(html).expect("the file").contains("연보"));
    let told = well(&setting, &["digest", "preview", "yearly", "--for", "ko@example.net"]).out;
    assert!(told.contains("nothing is owed"), "{told}");
    fails(&setting, &["digest", "preview", "yearly", "--for", "nobody@example.net"], "nobody has this address");
    assert_eq!(everything(&database), before, "a preview changes nothing");
    // What is under embargo comes once its time has.
    let mut later = post("d3", "제목 d3", "ko", &["events"]);
    later["embargo_until"] = json!("2090-01-01T00:00:00Z");
    let path = file(&setting, "d3.json", &later.to_string());
    well(&setting, &["post", "publish", &path, "--to", "direct"]);
    let before = everything(&database);
    let titles = |more: &[&str]| {
        let told =
            well(&setting, &[&["--json", "digest", "preview", "yearly", "--for", "en@example.net"], more].concat());
        told.json()["posts"].as_array().expect("a list").len()
    };
    assert_eq!((titles(&[]), titles(&["--at", "2089-12-31T00:00"]), titles(&["--at", "2090-01-01T09:00"])), (2, 2, 3));
    fails(&setting, &["digest", "preview", "yearly", "--language", "ko", "--at", "noon"], "--at: `noon` is no time");
    fails(&setting, &["digest", "preview", "often", "--for", "en@example.net"], "take no topic");
    fails(&setting, &["digest", "preview", "daily", "--for", "en@example.net"], "no [[digest]]");
    fails(&setting, &["digest", "preview", "yearly", "--language", "fr"], "languages.readers");
    assert_eq!(everything(&database), before, "a preview changes nothing");

    fails(&setting, &["digest", "now", "often"], "nobody has ever subscribed");
    let daemon = setting.start();
    well(&setting, &["digest", "now", "yearly"]);
    wait_until("the issue", LIMIT, || mails(&setting) == 1);
    well(&setting, &["digest", "now", "yearly"]);
    let told = well(&setting, &["--json", "explain", "en@example.net", "d1"]).json();
    assert_eq!((told["reason"].as_str(), told["schedule"].as_str()), (Some("given"), Some("yearly")), "{told}");
    daemon.stop();
    assert_eq!(mails(&setting), 1, "nobody gets an empty or a second issue");
}

#[test]
fn deliveries_are_listed_shown_and_tried_again() {
    let setting = subscribed();
    let daemon = setting.start();
    published(&setting, "s1", "ko");
    wait_until("both mails", LIMIT, || {
        well(&setting, &["--json", "delivery", "list", "--state", "sent"]).json().as_array().expect("a list").len() == 2
    });
    let rows = well(&setting, &["--json", "delivery", "list", "--for", "ko@example.net"]).json();
    assert_eq!(rows.as_array().expect("a list").len(), 1);
    let id = rows[0]["id"].as_str().expect("an id");
    let shown = well(&setting, &["--json", "delivery", "show", id]).json();
    assert_eq!(
        (shown["attempts"][0]["outcome"].as_str(), shown["posts"][0]["revision"].as_i64()),
        (Some("sent"), Some(1))
    );
    let table = well(&setting, &["delivery", "show", id]).out;
    assert!(table.contains("제목 s1") && table.contains("immediate"), "{table}");
    fails(&setting, &["delivery", "retry", id], "this delivery is sent");
    fails(&setting, &["delivery", "show", "1.2.email"], "no such delivery");
    fails(&setting, &["delivery", "list", "--for", "nobody@example.net"], "nobody has this address");
    assert_eq!(
        well(&setting, &["--json", "delivery", "list", "--limit", "1"]).json().as_array().expect("a list").len(),
        1
    );
    daemon.stop();
}

#[test]
fn a_hold_keeps_mail_back_and_a_retry_moves_it() {
    let setting = subscribed();
    assert!(well(&setting, &["hold"]).out.contains("no hold is on"));
    assert_eq!(ran(&setting, &["hold", "on"]).code, 2, "a reason must be given");
    well(&setting, &["hold", "on", "--reason", "moving house"]);
    fails(&setting, &["hold", "on", "--destination", "main", "--reason", "x"], "there is no destination `email:main`");
    let holds = well(&setting, &["--json", "hold"]).json();
    assert_eq!((holds[0]["scope"].as_str(), holds[0]["reason"].as_str()), (Some("all"), Some("moving house")));
    let daemon = setting.start();
    published(&setting, "h1", "ko");
    let due = || well(&setting, &["--json", "delivery", "list", "--state", "due", "--for", "ko@example.net"]).json();
    wait_until("the planned mail", LIMIT, || due().as_array().is_some_and(|rows| rows.len() == 1));
    let told = well(&setting, &["--json", "explain", "ko@example.net", "h1"]).json();
    assert_eq!((told["reason"].as_str(), told["state"].as_str()), (Some("given"), Some("due")), "{told}");
    well(&setting, &["delivery", "retry", due()[0]["id"].as_str().expect("an id")]);
    assert_eq!(mails(&setting), 0);
    assert!(well(&setting, &["--json", "check"]).out.contains("moving house"));
    well(&setting, &["hold", "off"]);
    fails(&setting, &["hold", "off"], "no hold");
    wait_until("the mail", LIMIT, || mails(&setting) >= 1);
    daemon.stop();
}

#[test]
fn explain_names_its_reasons() {
    let setting = subscribed();
    let reason = |address: &str, post: &str| {
        let told = well(&setting, &["--json", "explain", address, post]).json();
        told["reason"].as_str().expect("a reason").to_owned()
    };
    let mut embargoed = post("later", "나중에", "ko", &["events"]);
    embargoed["embargo_until"] = json!("2100-01-01T00:00:00Z");
    let mut waiting = post("waits", "기다림", "ko", &["events"]);
    waiting["languages_expected"] = json!(["en"]);
    for body in [&embargoed, &waiting, &post("gone", "취소", "ko", &["events"])] {
        let path = file(&setting, "x.json", &body.to_string());
        well(&setting, &["post", "publish", &path, "--to", "direct"]);
    }
    well(&setting, &["post", "withdraw", "gone"]);
    assert_eq!(reason("ko@example.net", "later"), "embargo");
    assert_eq!(reason("ko@example.net", "gone"), "withdrawn");
    assert_eq!(reason("ko@example.net", "waits"), "released_next");
    let daemon = setting.start();
    wait_until("the release", LIMIT, || reason("ko@example.net", "waits") == "given");
    assert_eq!(reason("en@example.net", "waits"), "waits_for_translation");
    assert_eq!(reason("zh@example.net", "waits"), "not_subscribed");
    daemon.stop();
    setting.subscribe(&["late@example.net,,ko,events,often".to_owned()]);
    assert_eq!(reason("late@example.net", "waits"), "released_before");
    published(&setting, "next", "ko");
    well(&setting, &["digest", "now", "often"]);
    assert_eq!(reason("late@example.net", "next"), "owed");
    let told = well(&setting, &["explain", "late@example.net", "next"]).out;
    assert!(told.contains("Owed by their subscription to `events`") && told.contains("`often`"), "{told}");
    leave(&setting, "late@example.net");
    assert_eq!(reason("late@example.net", "next"), "unsubscribed");
    fails(&setting, &["explain", "nobody@example.net", "next"], "nobody has this address");
}

#[test]
fn tokens_are_shown_once_and_keys_without_their_secrets() {
    let mut setting = Setting::new();
    let told = well(&setting, &["token", "new", "cms-2"]);
    let token = told.out.lines().next().expect("a token").to_owned();
    assert!(token.starts_with("allim_") && token.len() > 40, "{token}");
    let table = told.out.split_once("\n\n").expect("the lines for the configuration").1.to_owned();
    assert!(!table.contains(&token), "the configuration holds the hash only");
    fails(&setting, &["token", "new", "test"], "already");
    setting.extra = table;
    let daemon = setting.start();
    let path = file(&setting, "t.json", &post("t1", "t", "ko", &["events"]).to_string());
    well(&setting, &["post", "publish", &path, "--token", &token]);
    daemon.stop();

    let keys = well(&setting, &["--json", "token", "keys"]).json();
    assert_eq!(keys.as_array().expect("a list").len(), 1);
    well(&setting, &["token", "rotate"]);
    let table = well(&setting, &["token", "keys"]).out;
    assert!(table.contains("signs and verifies") && table.contains(keys[0]["id"].as_str().expect("an id")), "{table}");
    let database = rusqlite::Connection::open(setting.path().join("allim.sqlite")).expect("the database");
    let mut secrets = database.prepare("SELECT secret FROM token_keys").expect("keys");
    let secrets: Vec<String> =
        secrets.query_map([], |row| row.get(0)).expect("rows").map(|s| s.expect("a secret")).collect();
    assert_eq!(secrets.len(), 2);
    assert!(secrets.iter().all(|secret| !table.contains(secret.as_str())));
}

/// What depends on the database most, on the other one.
#[test]
fn postgresql_is_checked_migrated_and_previewed_without_a_trace() {
    let Some(server) = support::server("ALLIM_TEST_POSTGRES") else { return };
    let name = format!("cli_{}", std::process::id());
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut setting = Setting::new();
    setting.store_url = runtime.block_on(support::create_database(&server, &name));
    assert!(well(&setting, &["check"]).out.contains("no tables yet"));
    assert!(well(&setting, &["migrate"]).out.contains("made new"));
    assert!(well(&setting, &["check"]).out.contains("version "));
    setting.subscribe(&READERS.map(str::to_owned));
    let id = published(&setting, "p1", "ko");
    let counts = || {
        let mut client = postgres::Client::connect(&setting.store_url, postgres::NoTls).expect("the server answers");
        let count = |table: &str| format!("(SELECT COUNT(*) FROM {table})");
        let tables = ["deliveries", "editions", "occurrences", "releases", "subscribers", "subscriptions", "changes"];
        let row = client.query_one(&format!("SELECT {}", tables.map(count).join(" + ")), &[]).expect("a row");
        row.get::<_, i64>(0)
    };
    let before = counts();
    let told = well(&setting, &["--json", "digest", "preview", "often", "--for", "en@example.net"]).json();
    assert_eq!(told["posts"][0]["id"].as_str(), Some(id.as_str()));
    well(&setting, &["--json", "digest", "preview", "often", "--language", "zh"]);
    assert_eq!(counts(), before, "a preview changes nothing");
    assert_eq!(well(&setting, &["--json", "explain", "en@example.net", &id]).json()["reason"], "released_next");
    assert_eq!(well(&setting, &["--json", "post", "withdraw", &id]).json()["state"], "withdrawn");
    assert_eq!(well(&setting, &["--json", "explain", "en@example.net", &id]).json()["reason"], "withdrawn");
    well(&setting, &["post", "show", &id]);
}

#[test]
fn a_post_is_published_through_the_queue() {
    let Some(broker) = support::server("ALLIM_TEST_AMQP") else { return };
    let mut setting = Setting::new();
    setting.amqp = Some(broker);
    setting.queue = format!("test.cli.{}", std::process::id());
    let path = file(&setting, "a.json", &post("a1", "줄을 서서", "ko", &["events"]).to_string());
    let publish = ["post", "publish", &path, "--to", "amqp"];
    fails(&setting, &publish, "the broker has no queue");
    let daemon = setting.start();
    wait_until("the queue", LIMIT, || ran(&setting, &publish).code == 0);
    wait_until("the post", LIMIT, || ran(&setting, &["post", "show", "a1"]).code == 0);
    daemon.stop();
}

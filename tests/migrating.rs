//! docs/migrating.md, done: what it tells to run is run, on lists as the old senders keep them, and taken in.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use support::{Setting, server};

/// The block of the document that is marked so.
fn block(mark: &str) -> String {
    let document = include_str!("../docs/migrating.md");
    let start = format!("```{mark}\n");
    let (_, rest) = document.split_once(&start).unwrap_or_else(|| panic!("no block {mark}"));
    rest.split_once("\n```").expect("its end").0.to_owned()
}

/// What a script of the document makes of a file.
fn converted(mark: &str, input: &str) -> String {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-c", &block(&format!("python {mark}")), "/dev/stdin"]).env("PYTHONUTF8", "1");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Where a list was taken in, with a digest `weekly`.
fn taken_in(list: &str, rows: usize) -> Setting {
    let mut setting = Setting::new();
    setting.extra.push_str("\n[[digest]]\nname = \"weekly\"\ntitle = \"주간\"\nschedule = \"0 9 * * MON\"\n");
    let file = setting.path().join("subscribers.csv");
    std::fs::write(&file, list).expect("written");
    let told = setting.run(&["--json", "subscriber", "import", file.to_str().expect("a path")]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&told["added"], &told["faults"]), (&rows.into(), &0.into()), "{list}: {told}");
    setting
}

/// The row of one subscriber, as it is exported again.
fn row(setting: &Setting, address: &str) -> String {
    let rows = setting.run(&["subscriber", "export"]);
    rows.lines()
        .find(|line| line.starts_with(address))
        .unwrap_or_else(|| panic!("{address} is missing: {rows}"))
        .to_owned()
}

#[test]
fn lists_of_listmonk_are_taken_in_with_topics_and_without_those_who_left() {
    let Some(url) = server("ALLIM_TEST_POSTGRES") else { return };
    let mut client = postgres::Client::connect(&url, postgres::NoTls).expect("the server answers");
    // As listmonk's schema has them, as far as the query looks.
    let there = "
        CREATE TEMP TABLE subscribers (id INT PRIMARY KEY, email TEXT, name TEXT, attribs JSONB, status TEXT);
        CREATE TEMP TABLE lists (id INT PRIMARY KEY, name TEXT, optin TEXT);
        CREATE TEMP TABLE subscriber_lists (subscriber_id INT, list_id INT, status TEXT);
        INSERT INTO lists VALUES (1, 'Events', 'double'), (2, 'Notices', 'single'), (3, 'Staff', 'single');
        INSERT INTO subscribers VALUES
            (1, 'kim@example.org', '김, 하나', '{\"language\": \"ko\"}', 'enabled'),
            (2, 'li@example.org', '李', '{\"language\": \"zh\"}', 'enabled'),
            (3, 'asked@example.org', '', '{}', 'enabled'),
            (4, 'left@example.org', '', '{}', 'enabled'),
            (5, 'blocked@example.org', '', '{}', 'blocklisted'),
            (6, 'staff@example.org', '', '{}', 'enabled');
        INSERT INTO subscriber_lists VALUES (1, 1, 'confirmed'), (1, 2, 'unconfirmed'), (2, 1, 'confirmed'),
            (3, 1, 'unconfirmed'), (4, 2, 'unsubscribed'), (5, 1, 'confirmed'), (6, 3, 'unconfirmed');";
    client.batch_execute(there).expect("tables");
    let mut copied = |mark: &str| {
        let mut text = String::new();
        let mut rows = client.copy_out(&*block(mark)).expect("the query runs");
        rows.read_to_string(&mut text).expect("read");
        text
    };
    let setting = taken_in(&copied("sql listmonk"), 2);
    let kim = row(&setting, "kim@example.org");
    assert!(kim.contains("김, 하나") && kim.contains("events") && kim.contains("notices"), "{kim}");
    assert!(row(&setting, "li@example.org").contains(",zh,"));
    assert_eq!(copied("sql listmonk-blocked"), "blocked@example.org\n");
}

#[test]
fn an_export_of_listmonk_is_taken_in() {
    let export = "uuid,email,name,attributes,status,created_at,updated_at\n\
        1,kim@example.org,김,\"{\"\"language\"\": \"\"en\"\"}\",enabled,2024-01-01,2024-01-01\n\
        2,no@example.org,,{},blocklisted,2024-01-01,2024-01-01\n";
    let setting = taken_in(&converted("listmonk-csv", export), 1);
    assert!(row(&setting, "kim@example.org").contains(",en,"));
}

#[test]
fn members_of_a_mailman_list_are_taken_in() {
    let members = "Kim Hana <kim@example.org>\n=?utf-8?b?7J20?= <lee@example.org>\nbare@example.org\n\n";
    let setting = taken_in(&converted("mailman", members), 3);
    assert!(row(&setting, "kim@example.org").contains("Kim Hana"));
}

#[test]
fn addresses_of_a_script_are_taken_in() {
    let setting = taken_in(&converted("addresses", "# readers\nkim@example.org\n\nlee@example.org # 2021\n"), 2);
    row(&setting, "lee@example.org");
}

//! People: found, told of, suppressed, erased, taken in by lists.

use super::support::{Setting, post, wait_until};
use super::{House, Person};
use allim::domain::staff::Role;
use reqwest::StatusCode;
use std::time::Duration;

const HANA: &str = "hana.kim@example.net";

fn house() -> House {
    let setting = Setting::new();
    setting.subscribe(&[
        format!("{HANA},김하나,ko,events,immediate"),
        "lee@example.net,Lee,en,notices,immediate".to_owned(),
        "hanako@uni.example,Hanako,en,events,often".to_owned(),
    ]);
    House::with(setting)
}

/// A post is published, and its mail for this address lies in the folder.
async fn mailed(house: &House, id: &str, title: &str) {
    super::support::publish(&house.client, &house.setting.url("/api/v1/posts"), &post(id, title, "ko", &["events"]))
        .await;
    let is_there = || {
        let files = std::fs::read_dir(house.setting.maildir()).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_to_string(file.path()).ok()).any(|mail| mail.contains(HANA))
    };
    wait_until("the mail", Duration::from_secs(30), is_there);
}

/// The number of whoever is found by what was typed.
async fn number(person: &Person<'_>, typed: &str) -> String {
    let found = person.post("/admin/people", &[("find", typed)]).await;
    let link = found.text.split("href=\"/admin/people/").find(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    link.unwrap_or_else(|| panic!("{typed}: {}", found.text)).split('"').next().expect("a number").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn why_one_person_did_not_get_one_post_is_told_in_three_steps() {
    let house = house();
    mailed(&house, "forum", "포럼 안내").await;
    let viewer = house.person(Role::Viewer).await;
    assert!(viewer.get("/admin/people").await.text.contains("Find somebody"));
    let found = viewer.post("/admin/people", &[("find", "hana")]).await.text;
    assert!(found.contains(HANA) && found.contains("hanako@uni.example") && !found.contains("lee@"), "{found}");
    let hana = number(&viewer, "김하").await;
    let story = viewer.until(&format!("/admin/people/{hana}"), "포럼 안내").await.text;
    assert!(story.contains(HANA) && story.contains("came by a list"), "{story}");
    assert!(!story.contains("/suppress"), "a viewer is offered nothing to change");
    let yes = viewer.until(&format!("/admin/people/{hana}/why?post=forum"), "Yes: it was sent").await.text;
    assert!(yes.contains("포럼 안내"), "{yes}");
    let lee = number(&viewer, "lee@").await;
    for asked in ["forum", "%ED%8F%AC%EB%9F%BC"] {
        let no = viewer.get(&format!("/admin/people/{lee}/why?post={asked}")).await.text;
        assert!(no.contains("No: they take none of its topics (events)"), "{no}");
    }
    let unknown = viewer.get(&format!("/admin/people/{lee}/why?post=nothing")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(unknown.text.contains("No post is called so"));
    // Whoever is suppressed is told so.
    let operator = house.person(Role::Operator).await;
    let to =
        operator.does(&format!("/admin/people/{lee}/suppress"), &[("reason", "asked by phone, x@y.example")]).await;
    assert!(operator.get(&to).await.text.contains("They are written to no more"));
    let no = viewer.get(&format!("/admin/people/{lee}/why?post=forum")).await.text;
    assert!(no.contains("nothing is sent to their address"), "{no}");
    let story = viewer.get(&format!("/admin/people/{lee}")).await.text;
    assert!(story.contains("asked by phone, (address)"), "{story}");
    assert!(
        operator
            .get(&operator.does(&format!("/admin/people/{lee}/lift"), &[]).await)
            .await
            .text
            .contains("written to again")
    );
    // Nothing that was typed stands in the log.
    let log = std::fs::read_to_string(house.setting.path().join("log")).expect("a log");
    assert!(!log.contains("hana") && !log.contains("lee@"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_do_what_they_say_once() {
    let house = house();
    let operator = house.person(Role::Operator).await;
    let hana = number(&operator, HANA).await;
    let at = |what: &str| format!("/admin/people/{hana}/{what}");
    let far = operator.post(&at("pause"), &[("until", "2999-01-01"), ("then", "skip")]).await;
    assert_eq!(far.status, StatusCode::UNPROCESSABLE_ENTITY);
    let day = jiff::Timestamp::from_second(super::support::now_seconds() + 20 * 86_400).expect("a time");
    let day = day.strftime("%Y-%m-%d").to_string();
    let to = operator.does(&at("pause"), &[("until", &day), ("then", "catch_up")]).await;
    assert!(operator.get(&to).await.text.contains("follows in one issue"));
    operator.does(&at("resume"), &[]).await;
    assert_eq!(operator.post(&at("resume"), &[]).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    operator.does(&at("link"), &[]).await;
    let again = operator.post(&at("link"), &[]).await;
    assert!(again.text.contains("mailed their link today already"), "{}", again.text);
    let data = operator.post(&at("data"), &[]).await;
    let data: serde_json::Value = serde_json::from_str(&data.text).expect("JSON");
    assert_eq!((data["address"].as_str(), data["subscriptions"][0]["topic"].as_str()), (Some(HANA), Some("events")));
    let all = operator.post("/admin/people/export", &[]).await.text;
    assert!(all.starts_with("address,name,language,topics,schedule\n") && all.lines().count() == 4, "{all}");
    assert!(all.contains(&format!("{HANA},김하나,ko,events,immediate")), "{all}");
    let audit = operator.get("/admin/audit").await.text;
    for act in ["paused", "ended a pause", "sent a settings link", "took a copy", "took all subscribers along"] {
        assert!(audit.contains(act), "{act}: {audit}");
    }
    assert!(!audit.contains("example.net"), "{audit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_leaves_the_facts_and_no_trace_of_whom_they_are_about() {
    let house = house();
    mailed(&house, "forum", "포럼 안내").await;
    let operator = house.person(Role::Operator).await;
    let hana = number(&operator, HANA).await;
    operator.until(&format!("/admin/people/{hana}/why?post=forum"), "Yes: it was sent").await;
    let list = format!("address,language,topics,schedule\n{HANA},ko,events,immediate\n");
    operator
        .upload("/admin/people/import", &[("basis", "at the desk")], &[("list", "a.csv", "text/csv", list.as_bytes())])
        .await;
    let path = format!("/admin/people/{hana}/erase");
    assert!(operator.get(&path).await.text.contains("What stays, and names nobody"));
    let first = operator.post(&path, &[]).await;
    assert!(first.status == StatusCode::OK && first.text.contains("not even from here"), "{}", first.text);
    let wrong = operator.post(&path, &[("sure", "yes"), ("number", "1")]).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(!traces(&house).is_empty(), "nothing was erased yet");
    let to = operator.does(&path, &[("sure", "yes"), ("number", &hana)]).await;
    let story = operator.get(&to).await.text;
    assert!(story.contains("What is left names nobody") && story.contains("포럼 안내"), "{story}");
    assert_eq!(traces(&house), [""; 0]);
    let gone = operator.post("/admin/people", &[("find", HANA)]).await.text;
    assert!(gone.contains("erased at their wish") && gone.contains(&format!("/admin/people/{hana}\"")), "{gone}");
    assert!(operator.get("/admin/audit").await.text.contains("erased"));
    // A list brings nobody back.
    let again = operator
        .upload("/admin/people/import", &[("basis", "once more")], &[("list", "a.csv", "text/csv", list.as_bytes())])
        .await;
    let looked = operator.until(&again.location, "Looked through").await.text;
    assert!(looked.contains("There is nothing to take in"), "{looked}");
}

/// Every table in whose rows something of the person stands, as it is, in another case or in base64. What a list holds that waits
/// to be looked through is left out: it says nothing about who is a subscriber, and goes by itself.
fn traces(house: &House) -> Vec<String> {
    let database = rusqlite::Connection::open(house.setting.path().join("allim.sqlite")).expect("the database");
    let mut tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").expect("SQL");
    let tables: Vec<String> =
        tables.query_map([], |row| row.get(0)).expect("tables").collect::<Result<_, _>>().expect("names");
    let mut found = Vec::new();
    for table in tables {
        let mut all = database.prepare(&format!("SELECT * FROM \"{table}\"")).expect("SQL");
        let columns = all.column_count();
        let mut rows = all.query([]).expect("rows");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..columns {
                let text: Option<String> = row.get(column).ok();
                let text = text.unwrap_or_default();
                if text.to_lowercase().contains("hana.kim") || text.contains("김하나") || text.contains("aGFuYS5raW")
                {
                    found.push(format!("{table}.{}", row.as_ref().column_name(column).unwrap_or_default()));
                }
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_errors_is_told_line_by_line_and_taken_in_as_it_was_shown() {
    let house = house();
    let operator = house.person(Role::Operator).await;
    let mut list = "address,name,language,topics,schedule\n".to_owned();
    for number in 0..1_200 {
        list.push_str(&format!("new{number}@example.com,,ko,events,immediate\n"));
    }
    list.push_str("new3@example.com,,ko,notices,immediate\nnobody,,ko,events,immediate\n");
    list.push_str("a@example.com,,ko,sports,immediate\nb@example.com,,ko,events,monthly\nc@example.com,ko,events\n");
    list.push_str("lee@example.net,Lee,en,notices,immediate\n");
    let file = [("list", "people.csv", "text/csv", list.as_bytes())];
    let basis = "By the paper form of the forum, kept in room 204";
    assert!(
        operator.upload("/admin/people/import", &[("basis", "")], &file).await.text.contains("Say in one sentence")
    );
    let bad = [("list", "people.csv", "text/csv", &b"mail,topics\nx,y\n"[..])];
    let refused = operator.upload("/admin/people/import", &[("basis", basis)], &bad).await;
    assert!(refused.text.contains("the column `address` is missing"), "{}", refused.text);
    let handed = operator.upload("/admin/people/import", &[("basis", basis)], &file).await;
    assert_eq!(handed.status, StatusCode::SEE_OTHER, "{}", handed.text);
    let looked = operator.until(&handed.location, "Nothing was changed").await.text;
    for (what, count) in [("New", "1,200"), ("Changed", "1"), ("The same", "1"), ("Faulty", "4")] {
        assert!(looked.contains(&format!("<dt>{what}</dt><dd>{count}</dd>")), "{what}: {looked}");
    }
    for (line, field) in [("1203", "address"), ("1204", "topics"), ("1205", "schedule"), ("1206", "row")] {
        let row = format!("{line}</th><td><code>{field}</code>");
        assert!(looked.contains(&row), "{row}: {looked}");
    }
    assert!(looked.contains("<code>sports</code>") && !looked.contains("new3@"), "{looked}");
    let nobody = operator.post("/admin/people", &[("find", "new")]).await.text;
    assert!(nobody.contains("Nobody was found"), "looking through changes nothing");
    let report = operator.get(&format!("{}/report.csv", handed.location)).await.text;
    assert_eq!(report.lines().count(), 1 + 1_206);
    assert!(
        report.contains("1204,fault,topics,sports,") && !report.contains("@example.com"),
        "{}",
        &report[report.len() - 500..]
    );
    operator.does(&format!("{}/take", handed.location), &[]).await;
    let taken = operator.until(&handed.location, "Taken in").await.text;
    assert!(taken.contains("<dt>New</dt><dd>1,200</dd>"), "{taken}");
    assert!(operator.post("/admin/people", &[("find", "new")]).await.text.contains("new0@example.com"));
    let id = number(&operator, "new3@").await;
    let story = operator.get(&format!("/admin/people/{id}")).await.text;
    assert!(story.contains("kept in room 204") && story.contains("notices"), "{story}");
    // The same list once more changes nothing.
    let again = operator.upload("/admin/people/import", &[("basis", "again")], &file).await;
    let looked = operator.until(&again.location, "Nothing was changed").await.text;
    assert!(
        looked.contains("There is nothing to take in") && looked.contains("<dt>The same</dt><dd>1,202</dd>"),
        "{looked}"
    );
    let audit = operator.get("/admin/audit").await.text;
    assert!(audit.contains("took in a list of subscribers") && !audit.contains("example.com"), "{audit}");
    let editor = house.person(Role::Editor).await;
    assert_eq!(editor.get("/admin/people/import").await.status, StatusCode::FORBIDDEN);
    operator.does(&format!("{}/drop", again.location), &[]).await;
    assert_eq!(operator.get(&again.location).await.status, StatusCode::NOT_FOUND);
}

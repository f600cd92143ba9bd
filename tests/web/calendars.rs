//! Calendars to subscribe to, as others read them.

use crate::*;

fn event(id: &str, title: &str, topic: &str, days: i64) -> Value {
    let day = |days: i64| {
        let at = jiff::Timestamp::from_second(support::now_seconds() + days * 86_400).expect("a time");
        at.strftime("%Y-%m-%d").to_string()
    };
    let mut body = post(id, title, "ko", &[topic]);
    body["event"] = json!({ "starts_at": format!("{}T14:00", day(days)), "ends_at": format!("{}T17:00", day(days + 1)),
        "time_zone": "Asia/Seoul", "location": "세종, 국책연구단지; \"대강당\"" });
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_be_subscribed_to_and_withdrawn_ones_are_struck_out() {
    let site = Site::new();
    let hard = "포럼; \u{202e}끝\u{202c}, \u{1F393} ]]> <b>\\n</b>";
    let id = site.publish_openly(&event("e1", hard, "events", 20)).await;
    let past = site.publish_openly(&event("e2", "지난 행사", "events", -40)).await;
    let ancient = site.publish_openly(&event("e3", "옛 행사", "events", -500)).await;
    let other = site.publish_openly(&event("e4", "다른 행사", "notices", 5)).await;
    site.publish_openly(&post("plain", "\"event\":{\"starts_at\": 공지", "ko", &["events"])).await;

    let uid = |id: &str| format!("UID:{id}@example.org\r\n");
    let fits = |answer: &Answer| answer.text().matches("BEGIN:VEVENT").count() == 2;
    let calendar = site.until("/feeds/events.ics", fits).await;
    let text = calendar.text();
    assert!(text.contains(&uid(&id)) && text.contains(&uid(&past)) && !text.contains(&uid(&ancient)), "{text}");
    assert!(!text.contains(&uid(&other)));
    assert_eq!(calendar.header("content-type"), "text/calendar; charset=utf-8");
    assert!(calendar.header("etag").starts_with('"') && calendar.header("access-control-allow-origin") == "*");
    assert_eq!(site.get("/feeds/all.ics?lang=ko").await.text().matches("BEGIN:VEVENT").count(), 3);
    assert_eq!(site.get("/feeds/all.ics?lang=en").await.text().matches("BEGIN:VEVENT").count(), 0);
    assert_eq!(site.get("/feeds/events/1.ics").await.status, 404);

    site.api(Method::POST, &format!("/api/v1/posts/{id}/withdraw"), None).await;
    let text = site.until("/feeds/events.ics", |answer| answer.text().contains("STATUS:CANCELLED")).await.text();
    assert!(text.contains(&uid(&id)) && !text.contains("포럼") && text.contains("지난 행사"), "{text}");

    let urls: Vec<String> =
        ["/feeds/events.ics", "/feeds/all.ics", "/feeds/all.ics?lang=en"].map(|path| site.setting.url(path)).to_vec();
    let Some(python) = support::server("ALLIM_TEST_PYTHON") else { return };
    let Some(tools) = support::server("ALLIM_TEST_TOOLS") else { return };
    run(Command::new(python).env("PYTHONPATH", format!("{tools}/python")).arg("-c").arg(PYTHON).args(&urls));
    run(Command::new("node").current_dir(&tools).args(["--input-type=module", "-e", NODE]).args(&urls));
}

/// Python's icalendar: strict, complains of what it can't read, and finds the same events.
const PYTHON: &str = "import sys, urllib.request, icalendar\n\
    for url, count in zip(sys.argv[1:], (2, 3, 0)):\n    \
    calendar = icalendar.Calendar.from_ical(urllib.request.urlopen(url).read())\n    \
    events = calendar.walk('VEVENT')\n    \
    assert len(events) == count and not calendar.errors and not any(event.errors for event in events), url\n    \
    assert calendar['X-WR-CALNAME'] and calendar['NAME'] == calendar['X-WR-CALNAME']\n    \
    assert calendar['REFRESH-INTERVAL'] == 'PT1H'\n    \
    assert all(event['DTSTART'].dt < event['DTEND'].dt for event in events)\n    \
    assert count == 0 or any(event.get('LOCATION') == '세종, 국책연구단지; \"대강당\"' for event in events), url\n";

/// Mozilla's ical.js.
const NODE: &str = "import ICAL from 'ical.js';\n\
    const counts = [2, 3, 0];\n\
    for (const [index, url] of process.argv.slice(1).entries()) {\n\
    const calendar = new ICAL.Component(ICAL.parse(await (await fetch(url)).text()));\n\
    const events = calendar.getAllSubcomponents('vevent').map(event => new ICAL.Event(event));\n\
    if (events.length !== counts[index] || events.some(event => !event.uid.endsWith('@example.org') || event.startDate.compare(event.endDate) >= 0)) throw new Error(url);\n\
    }\n";

fn run(command: &mut Command) {
    let output = command.output().expect("it runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
}

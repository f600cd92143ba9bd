//! Web copies of editions, and events for calendars.

use crate::*;

/// The link to the web copy in the text part of a mail.
fn web_copy(mail: &[u8]) -> String {
    let parsed = mail_parser::MessageParser::default().parse(mail).expect("a mail");
    let text = parsed.body_text(0).expect("a text part").into_owned();
    let line = text.lines().find_map(|line| line.split_once("/editions/")).expect("a link to the web copy");
    format!("/editions/{}", line.1)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_has_a_web_copy_without_anything_personal() {
    let setting = Setting::new();
    setting.subscribe(&["reader@example.net,이하늘,ko,events notices,often".to_owned()]);
    let site = Site::with(setting);
    let mut first = post("first", "첫 소식", "ko", &["events", "notices"]);
    first["event"] = json!({ "starts_at": "2026-12-06T14:00", "time_zone": "Asia/Seoul", "location": "강당" });
    let first = site.publish_openly(&first).await;
    let folder = site.setting.maildir();
    let mails = || -> Vec<Vec<u8>> {
        let Ok(files) = std::fs::read_dir(&folder) else { return Vec::new() };
        files.map(|file| std::fs::read(file.expect("a file").path()).expect("a mail")).collect()
    };
    wait_until("the issue", Duration::from_secs(20), || mails().len() == 1);
    let mail = mails().remove(0);
    let path = web_copy(&mail);
    let text = String::from_utf8_lossy(&mail).into_owned();
    assert!(text.contains(&format!("\r\nList-Help: <{}>\r\n", site.setting.url("/"))), "{text}");

    let copy = site.get(&path).await;
    assert_eq!(copy.status, StatusCode::OK);
    check_headers(&copy);
    let page = copy.text();
    assert!(
        page.contains("<meta name=\"robots\" content=\"noindex\">") && page.contains("<html lang=\"ko\">"),
        "{page}"
    );
    assert!(page.contains("첫 소식 — 본문입니다.") && page.contains(&format!("/posts/{first}")), "{page}");
    for personal in ["reader@example.net", "이하늘", "unsubscribe"] {
        assert!(!page.contains(personal), "{personal}: {page}");
    }
    // In the reader's language, not in that of the browser; unless it is asked for.
    let english = site.ask(Method::GET, &path, &[(ACCEPT_LANGUAGE.as_str(), "en")], None).await;
    assert!(english.text().contains("<html lang=\"ko\">"));
    assert!(site.get(&format!("{path}?lang=en")).await.text().contains("<html lang=\"en\">"));
    let id = path.split('.').nth(1).expect("an id");
    let (head, mac) = path.rsplit_once('.').expect("a MAC");
    for guessed in
        [format!("/editions/{id}"), format!("{head}."), format!("{head}.AAAA{}", &mac[4..]), "/editions/x".into()]
    {
        assert_eq!(site.get(&guessed).await.status, StatusCode::NOT_FOUND, "{guessed}");
    }

    let mut revised = post("first", "고친 소식", "ko", &["events", "notices"]);
    revised["body"]["content"] = json!("고친 본문");
    site.publish(&revised).await;
    let page = site.until(&path, |answer| answer.text().contains("발송한 뒤에 수정되었습니다")).await.text();
    assert!(page.contains("첫 소식") && !page.contains("고친 본문"), "the copy stays what was mailed: {page}");
    let withdrawn = site.api(Method::POST, &format!("/api/v1/posts/{first}/withdraw"), None).await;
    assert_eq!(withdrawn.status, StatusCode::OK);
    let page = site.until(&path, |answer| answer.text().contains("거두어들인 소식입니다")).await;
    assert!(page.status == StatusCode::OK && !page.text().contains("첫 소식"), "{}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_a_file_for_calendars() {
    let site = Site::new();
    let mut forum = post("forum", "포럼, 제2차", "ko", &["events"]);
    forum["event"] = json!({ "starts_at": "2026-12-06T14:00", "ends_at": "2026-12-06T17:30", "time_zone": "Asia/Seoul",
        "location": "강당" });
    let forum = site.publish_openly(&forum).await;
    let notice = site.publish_openly(&post("notice", "공지", "ko", &["notices"])).await;
    let file = site.get(&format!("/posts/{forum}.ics")).await;
    assert_eq!((file.status, file.header("content-type")), (StatusCode::OK, "text/calendar; charset=utf-8"));
    let text = file.text();
    assert!(text.contains("\r\nDTSTART:20261206T050000Z\r\nDTEND:20261206T083000Z\r\n"), "{text}");
    assert!(text.contains(&format!("UID:{forum}@example.org\r\n")), "{text}");
    assert!(site.get(&format!("/posts/{forum}")).await.text().contains(&format!("/posts/{forum}.ics")));
    for none in [format!("/posts/{notice}.ics"), "/posts/nothing.ics".to_owned(), "/posts/.ics".to_owned()] {
        assert_eq!(site.get(&none).await.status, StatusCode::NOT_FOUND, "{none}");
    }
    site.api(Method::POST, &format!("/api/v1/posts/{forum}/withdraw"), None).await;
    site.until(&format!("/posts/{forum}.ics"), |answer| answer.status == StatusCode::GONE).await;
}

//! Leaving by the link in a mail, and the folder that shows the mails.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn unsubscribing_is_a_post_and_can_be_repeated() {
    let mut setting = Setting::new();
    setting.extra = "show_mail_folder = true\n".to_owned();
    setting.subscribe(&["reader@example.net,,ko,events,immediate".to_owned()]);
    let site = Site::with(setting);
    site.publish(&post("one", "첫 소식", "ko", &["events"])).await;
    let folder = site.setting.maildir();
    let mails = || std::fs::read_dir(&folder).map_or(0, Iterator::count);
    wait_until("the first mail", Duration::from_secs(20), || mails() == 1);
    let link = unsubscribe_link(&folder);
    let path = link.strip_prefix(&site.setting.url("")).expect("our link").to_owned();
    let token = path.rsplit('/').next().expect("a token").to_owned();

    for method in [Method::GET, Method::HEAD, Method::GET] {
        let page = site.ask(method, &path, &[], None).await;
        assert_eq!((page.status, page.header("cache-control")), (StatusCode::OK, "no-store"));
        check_headers(&page);
    }
    assert!(site.get(&path).await.text().contains("<form method=\"post\""));
    site.publish(&post("two", "둘째 소식", "ko", &["events"])).await;
    wait_until("the second mail: looking changed nothing", Duration::from_secs(20), || mails() == 2);

    let form = [("content-type", "application/x-www-form-urlencoded")];
    for _ in 0..3 {
        let answer = site.ask(Method::POST, &path, &form, Some("List-Unsubscribe=One-Click")).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.header("content-type").starts_with("text/plain") && !answer.headers.contains_key("set-cookie"));
    }
    let page = site.ask(Method::POST, &path, &form, Some("confirm=yes")).await;
    assert!(page.status == 200 && page.text().contains("수신 거부되었습니다") && !page.text().contains("<form"));
    assert!(site.get(&path).await.text().contains("이미 수신 거부"));

    for bad in ["x", "a.b.c", &token[..token.len() - 1], &format!("{token}A"), "%00%ff", &"a".repeat(3_000)] {
        let path = format!("/unsubscribe/{bad}");
        let (one_click, shown) =
            (site.ask(Method::POST, &path, &form, Some("List-Unsubscribe=One-Click")).await, site.get(&path).await);
        assert!(one_click.status.is_client_error() && shown.status.is_client_error(), "{bad}");
    }
    assert!(site.get("/unsubscribe/a.b.c").await.text().contains("올바른 수신 거부 주소가 아닙니다"));

    let third = site.publish_openly(&post("three", "셋째 소식", "ko", &["events"])).await;
    // Whoever still subscribes gets it; a second reader shows that planning has passed this post.
    site.setting.subscribe(&["other@example.net,,ko,events,immediate".to_owned()]);
    site.publish(&post("four", "넷째 소식", "ko", &["events"])).await;
    wait_until("the other's mail", Duration::from_secs(20), || mails() == 3);
    let texts: Vec<String> =
        std::fs::read_dir(&folder).expect("mails").map(|entry| text_of(&entry.expect("an entry").path())).collect();
    assert!(texts.iter().all(|text| !text.contains(&third)));
    assert!(!std::fs::read_to_string(site.setting.path().join("log")).expect("a log").contains(&token));
    the_folder_can_be_looked_at(&site).await;
}

/// With `web.show_mail_folder`, for those near, and not for those behind an unknown proxy.
async fn the_folder_can_be_looked_at(site: &Site) {
    let home = site.get("/?lang=en").await.text();
    assert!(home.contains("What is happening") && home.contains("other@example.net"), "{home}");
    let href = home.split("href=\"/mails/").nth(1).and_then(|rest| rest.split(['"', '?']).next()).expect("a mail");
    let page = site.get(&format!("/mails/{href}")).await;
    check_headers(&page);
    assert!(page.text().contains("<iframe class=\"mail\"") && page.text().contains("sandbox="), "{}", page.text());
    let html = site.get(&format!("/mails/{href}/html")).await;
    assert!(
        html.header("content-security-policy").contains("default-src 'none'") && html.text().contains("<base target")
    );
    assert!(html.header("content-security-policy").contains("sandbox"));
    assert!(site.get(&format!("/mails/{href}/source")).await.text().contains("List-Unsubscribe-Post"));
    for path in ["/mails/..%2f..%2fallim.toml", "/mails/.hidden", "/mails/nothing.allim"] {
        assert_eq!(site.get(path).await.status, 404, "{path}");
    }
    let far = [("x-forwarded-for", "203.0.113.9")];
    assert_eq!(site.ask(Method::GET, &format!("/mails/{href}"), &far, None).await.status, 404);
    assert!(!site.ask(Method::GET, "/?lang=en", &far, None).await.text().contains("other@example.net"));
}

fn text_of(path: &std::path::Path) -> String {
    let bytes = std::fs::read(path).expect("a mail");
    let message = mail_parser::MessageParser::default().parse(&bytes).expect("a mail");
    message.body_text(0).expect("a text").into_owned()
}

fn unsubscribe_link(folder: &std::path::Path) -> String {
    let entry = std::fs::read_dir(folder).expect("mails").next().expect("one").expect("an entry");
    let text = std::fs::read_to_string(entry.path()).expect("a mail").replace("\r\n ", " ");
    let line = text.lines().find(|line| line.starts_with("List-Unsubscribe:")).expect("the header");
    line.split(['<', '>']).nth(1).expect("a link").to_owned()
}

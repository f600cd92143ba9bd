//! Every page and every mail before axe-core, in Chromium: light and dark, wide and as narrow as a telephone.

use crate::*;

/// What is wrong with pages, by `tests/axe.mjs`; `None` where its tools aren't installed and need not be.
fn wrong_with(urls: &[String]) -> Option<Vec<String>> {
    let tools = support::server("ALLIM_TEST_TOOLS")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/axe.mjs");
    let question = json!({ "tools": tools, "urls": urls });
    Some(faults(Command::new("node").arg(script), &question))
}

/// A page that can't be read by everybody must be told of, or the next test proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn the_check_sees_what_is_wrong() {
    let app = axum::Router::new().fallback(|| async {
        let page = "<!DOCTYPE html><html><head><title>x</title></head><body><main><h1>x</h1><img src=\"/x.png\">\
                    <script>console.error('told')</script><p style=\"color:#ccc;background:#fff;width:1300px\">faint and wide</p></main></body></html>";
        axum::response::Html(page)
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let served = tokio::spawn(async move { axum::serve(listener, app).await });
    let found = tokio::task::spawn_blocking(move || wrong_with(&[url])).await.expect("a thread");
    served.abort();
    let Some(found) = found else { return };
    for told in ["html-has-lang", "image-alt", "color-contrast", "sideways", "console: told"] {
        assert!(found.iter().any(|one| one.contains(told)), "{told}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_wrong_with_any_page() {
    let mut setting = Setting::new();
    setting.extra = "show_mail_folder = true\n[site.theme]\nlogo = \"logo.svg\"\nfooter = \"첫 줄\\n둘째 줄\"\n\
                     [site.theme.light]\naccent = \"#0a6b3d\"\n[site.theme.dark]\naccent = \"#7fd6a8\"\n"
        .to_owned();
    let logo = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 100\"><path fill=\"#0a6b3d\" d=\"M0 0h900v100H0z\"/></svg>";
    std::fs::write(setting.path().join("logo.svg"), logo).expect("written");
    setting.subscribe(&[
        "ko@example.net,이하늘,ko,events notices,immediate".to_owned(),
        "en@example.net,Ann,en,events notices,often".to_owned(),
    ]);
    let site = Site::with(setting);
    let mut ids = Vec::new();
    for (index, language) in ["ko", "en", "zh", "ko", "en", "zh", "ko"].into_iter().enumerate() {
        ids.push(site.publish_openly(&full(index, language)).await);
    }
    ids.push(site.publish_openly(&hostile()).await);
    let folder = site.setting.maildir();
    let ask =
        json!({ "address": "new@example.net", "topics": ["events", "notices"], "schedule": "often", "language": "ko" });
    site.api(Method::POST, "/api/v1/subscriptions", Some(&ask)).await;
    wait_until("mails in both languages", Duration::from_secs(30), || {
        let to = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap_or_default();
        let mails: Vec<String> =
            std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| to(file.path())).collect();
        ["ko@", "en@", "new@"].iter().all(|who| mails.iter().any(|mail| mail.contains(who)))
    });
    let gone = site.publish_openly(&post("gone", "거두는 글", "ko", &["notices"])).await;
    site.api(Method::POST, &format!("/api/v1/posts/{gone}/withdraw"), None).await;
    let mut urls: Vec<String> = Vec::new();
    let mut paths: Vec<String> = [
        "/",
        "/?lang=en",
        "/?lang=zh",
        "/topics/events",
        "/topics/notices?lang=zh",
        "/nowhere",
        "/search?q=%EB%AC%BC&lang=ko",
        "/search?lang=zh",
        "/events?month=2026-12&lang=en",
        "/events?month=2020-01",
        "/topics/nothing",
        "/subscribe",
        "/subscribe?lang=zh",
        "/link?lang=en",
        "/feeds?lang=en",
        "/editions?lang=ko",
        "/editions?digest=often&lang=zh",
        "/manage/x",
    ]
    .map(str::to_owned)
    .to_vec();
    let issues = site.until("/editions?lang=en", |answer| answer.text().contains("/editions/often/")).await.text();
    let issue = issues.split("/editions/often/").nth(1).and_then(|rest| rest.split('"').next()).expect("an issue");
    paths.push(format!("/editions/often/{issue}"));
    // One of each language, and the one full of what breaks pages.
    paths.extend([0, 1, 2, 7].map(|index| format!("/posts/{}", ids[index])));
    paths.push(format!("/posts/{}?lang=zh", ids[0]));
    paths.push(format!("/posts/{gone}"));
    paths.push(format!("/share/mastodon/{}", ids[0]));
    paths.push(format!("/share/mastodon/{}?lang=en&server=x", ids[1]));
    let files = std::fs::read_dir(&folder).expect("mails").map(|file| file.expect("a file"));
    let mut mails: Vec<(String, Vec<u8>)> = files
        .map(|file| (file.file_name().into_string().expect("a name"), std::fs::read(file.path()).expect("a mail")))
        .collect();
    mails.sort_by_key(|(_, mail)| std::cmp::Reverse(mail.len()));
    for who in ["ko@example.net", "en@example.net", "new@example.net"] {
        let of = |(_, mail): &&(String, Vec<u8>)| memchr::memmem::find(mail, who.as_bytes()).is_some();
        let (name, mail) = mails.iter().find(of).expect("a mail");
        paths.push(format!("/mails/{name}"));
        let parsed = mail_parser::MessageParser::default().parse(mail).expect("a mail");
        // By itself, as a mail program shows it: in the folder's frame nothing may run, axe neither.
        let html = site.setting.path().join(format!("{name}.html"));
        std::fs::write(&html, parsed.body_html(0).expect("an HTML part").as_bytes()).expect("written");
        urls.push(format!("file://{}", html.display()));
        let text = parsed.body_text(0).expect("a text part").into_owned();
        let links: &[&str] = if who.starts_with("new@") { &["/confirm/"] } else { &["/editions/", "/unsubscribe/"] };
        for ours in links {
            let (_, rest) = text.split_once(ours).expect("a link");
            paths.push(format!("{ours}{}", rest.split_whitespace().next().expect("an end")));
        }
    }
    // One's own page is behind the button that confirms.
    let confirm = paths.iter().find(|path| path.starts_with("/confirm/")).expect("a link").clone();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let again =
        json!({ "address": "own@example.net", "topics": ["events"], "schedule": "immediate", "language": "ko" });
    site.api(Method::POST, "/api/v1/subscriptions", Some(&again)).await;
    let mut own = String::new();
    wait_until("another confirmation", Duration::from_secs(20), || {
        let text = |path: std::path::PathBuf| std::fs::read(path).ok();
        let mails = std::fs::read_dir(&folder).into_iter().flatten().flatten().filter_map(|file| text(file.path()));
        let mail = mails.into_iter().find(|mail| memchr::memmem::find(mail, b"own@example.net").is_some());
        let Some(mail) = mail else { return false };
        let parsed = mail_parser::MessageParser::default().parse(&mail).expect("a mail");
        let body = parsed.body_text(0).expect("a text part").into_owned();
        own = body.split_once("/confirm/").expect("a link").1.split_whitespace().next().expect("an end").to_owned();
        true
    });
    let done = site.ask(Method::POST, &format!("/confirm/{own}"), &form, Some("wish=events+immediate")).await.text();
    let (_, rest) = done.split_once("href=\"/manage/").expect("a link");
    paths.extend([confirm, format!("/manage/{}", rest.split('"').next().expect("an end"))]);
    paths.sort();
    paths.dedup();
    urls.extend(paths.iter().map(|path| site.setting.url(path)));
    assert!(urls.len() > 15, "{urls:?}");
    let found = tokio::task::spawn_blocking(move || wrong_with(&urls)).await.expect("a thread");
    let Some(found) = found else { return };
    assert!(found.is_empty(), "{} faults:\n{}", found.len(), found[..found.len().min(20)].join("\n"));
}

/// A post with everything that a post can have.
fn full(index: usize, language: &str) -> Value {
    let title = match language {
        "ko" => "물과 도시 포럼 참가자를 모집합니다",
        "zh" => "关于举办水与城市论坛的通知",
        _ => "Call for participants: rivers and harbours",
    };
    let mut body = post(&format!("full-{index}"), &format!("{title} ({index})"), language, &["events", "notices"]);
    let content = "<h2>Head</h2><p>Words and <a href=\"https://form.example.org/\">a link</a>.</p><ul><li>one</li></ul>\
        <table><tr><th>When</th><th>Where</th></tr><tr><td>14:00</td><td>Hall</td></tr></table>\
        <blockquote>quoted</blockquote><pre>a_long_line_that_is_not_to_be_wrapped_anywhere_at_all_but_must_not_be_cut_off_either</pre>";
    body["body"] = json!({ "format": "html", "content": content });
    body["event"] = json!({ "starts_at": "2026-12-06T14:00", "time_zone": "Asia/Seoul", "location": "강당",
        "url": "https://event.example.org/" });
    body["images"] = json!([{ "url": "https://img.example.org/a.jpg", "alt": "A hall", "caption": "The hall" },
        { "url": "https://img.example.org/b.jpg" }]);
    body["attachments"] = json!([{ "url": "https://files.example.org/a.pdf", "name": "안내.pdf", "bytes": 1234 }]);
    body["contact"] = json!({ "department": "국제협력실", "phone": "044-000-0000", "email": "ask@example.org" });
    body["breadcrumb"] = json!(["알림", "행사"]);
    body["author"] = json!({ "name": "홍보팀" });
    body["license"] = json!("CC BY 4.0");
    body["url"] = json!("https://board.example.org/view?id=1");
    body
}

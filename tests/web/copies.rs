//! Copies of pictures and files: made when a post becomes public, shown as long as it is.

use crate::*;
use axum::http::HeaderMap as Fields;
use axum::response::IntoResponse as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const LIMIT: Duration = Duration::from_secs(20);

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let picture =
        image::RgbImage::from_fn(width, height, |x, y| image::Rgb([(x / 7) as u8, (y / 5) as u8, (x ^ y) as u8]));
    let mut bytes = Vec::new();
    picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, 90)).expect("a picture");
    bytes
}

/// The server that the source keeps its files on. Counts what is asked for.
async fn origin() -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let count = asked.clone();
    let answer = move |uri: axum::http::Uri| {
        count.fetch_add(1, Ordering::SeqCst);
        let (status, kind, bytes) = match uri.path() {
            "/large.jpg" => (200, "image/jpeg", jpeg(1_600, 900)),
            "/small.jpg" => (200, "image/jpeg", jpeg(320, 200)),
            "/plan.pdf" => (200, "application/pdf", b"%PDF-1.7 plan".to_vec()),
            "/page.html" => (200, "text/html", b"<script>alert(1)</script>".to_vec()),
            "/no-picture.jpg" => (200, "image/jpeg", b"<svg onload=alert(1)>".to_vec()),
            "/huge.bin" => (200, "application/zip", vec![7; (1 << 20) + 1]),
            "/moved" => (302, "text/plain", Vec::new()),
            _ => (404, "text/plain", Vec::new()),
        };
        let mut fields = Fields::new();
        fields.insert("content-type", kind.parse().expect("a value"));
        fields.insert("location", "http://169.254.169.254/".parse().expect("a value"));
        let status = StatusCode::from_u16(status).expect("a status");
        std::future::ready((status, fields, bytes).into_response())
    };
    let app = axum::Router::new().fallback(answer);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (format!("http://127.0.0.1:{port}"), asked)
}

fn illustrated(origin: &str) -> Value {
    let mut body = post("one", "사진이 있는 소식", "ko", &["events"]);
    let image = |name: &str| json!({ "url": format!("{origin}/{name}"), "alt": "강당", "caption": "강당 전경" });
    body["images"] = json!([image("large.jpg"), image("small.jpg"), image("no-picture.jpg"), image("moved")]);
    let file = |path: &str, name: &str| json!({ "url": format!("{origin}/{path}"), "name": name });
    body["attachments"] = json!([
        file("plan.pdf", "행사 계획.pdf"),
        file("page.html", "쪽.html"),
        file("huge.bin", "큰 자료.zip"),
        file("gone", "없음.hwp")
    ]);
    body
}

/// How many files there are below a folder.
fn walk(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

/// The addresses that stand in these attributes of a page.
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    page.split(&format!("{attribute}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_posts_show_is_copied_and_outlives_its_source() {
    let (origin, asked) = origin().await;
    let extra = "[media]\nmirror = true\nfile_mib_max = 1\nfrom_own_networks = true\n[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n".to_owned();
    let site = Site::with(Setting { extra, ..Setting::new() });
    let id = site.publish_openly(&illustrated(&origin)).await;
    let path = format!("/posts/{id}");
    let copied = |answer: &Answer| {
        values(&answer.text(), "src").iter().filter(|src| src.starts_with("/media/")).count() == 2
            && answer.text().matches("/media/").count() >= 5
    };
    let page = site.until(&path, copied).await.text();
    let sources: Vec<&str> = values(&page, "src");
    assert!(page.contains("width=\"1280\" height=\"720\"") && page.contains("width=\"320\" height=\"200\""), "{page}");
    for kept in ["/no-picture.jpg", "/moved"] {
        assert!(sources.iter().any(|src| src.ends_with(kept)), "{kept} stays where it is: {sources:?}");
    }
    for source in sources.iter().filter(|src| src.starts_with("/media/")) {
        let picture = site.get(source).await;
        assert_eq!((picture.status.as_u16(), picture.header("content-type")), (200, "image/jpeg"));
        assert!(image::load_from_memory(&picture.bytes).is_ok());
        assert!(picture.header("content-security-policy").contains("sandbox"));
        let etag = picture.header("etag").to_owned();
        assert_eq!(site.ask(Method::GET, source, &[("if-none-match", &etag)], None).await.status, 304);
    }
    let links = values(&page, "href");
    let whole = links
        .iter()
        .find(|href| href.starts_with("/media/") && href.matches('/').count() == 2)
        .expect("the whole picture");
    assert_eq!(image::load_from_memory(&site.get(whole).await.bytes).expect("a picture").width(), 1_600);
    let named = |ending: &str| links.iter().find(|href| href.starts_with("/media/") && href.ends_with(ending)).copied();
    let plan_path = named("%2Epdf").expect("the plan").to_owned();
    let plan = site.get(&plan_path).await;
    assert_eq!((plan.header("content-type"), plan.header("content-disposition")), ("application/pdf", "attachment"));
    assert_eq!(plan.bytes, b"%PDF-1.7 plan");
    let html = site.get(named("%2Ehtml").expect("the page")).await;
    assert_eq!(
        (html.header("content-type"), html.header("content-disposition")),
        ("application/octet-stream", "attachment")
    );
    assert!(
        named("%2Ezip").is_none() && links.iter().any(|href| href.ends_with("/huge.bin")),
        "too large: linked where it is"
    );
    // Feeds keep the links that came.
    assert!(site.get("/feeds/all.atom").await.text().contains(&format!("{origin}/plan.pdf")));
    assert!(!site.get("/feeds/all.json").await.text().contains("/media/"));

    // Another post that shows the same asks for nothing again.
    wait_until("everything to be asked for", LIMIT, || asked.load(Ordering::SeqCst) == 8);
    let given_up = || site.setting.run(&["media", "list"]);
    wait_until("what can't be copied to be named", LIMIT, || given_up().contains("/huge.bin"));
    let named = given_up();
    assert!(named.contains("/no-picture.jpg") && named.contains("/moved") && !named.contains("/gone"), "{named}");
    let mut second = post("two", "같은 사진", "ko", &["events"]);
    second["images"] = json!([{ "url": format!("{origin}/small.jpg"), "alt": "강당" }]);
    let other = site.publish_openly(&second).await;
    let small = |answer: &Answer| answer.text().contains("width=\"320\"");
    site.until(&format!("/posts/{other}"), small).await;
    assert_eq!(asked.load(Ordering::SeqCst), 8);

    // What a revision shows no more is kept by nobody.
    let mut revised = illustrated(&origin);
    revised["attachments"] = json!([]);
    site.publish(&revised).await;
    let plan = plan_path.clone();
    site.until(&plan, |answer| answer.status == 404).await;
    let kept = || walk(&site.setting.path().join("media"));
    wait_until("its file to be gone", LIMIT, || kept() == 3);

    // What was withdrawn is shown no more; what another post shows still is.
    site.api(Method::POST, &format!("/api/v1/posts/{id}/withdraw"), None).await;
    site.until(whole, |answer| answer.status == 404).await;
    let shared =
        values(&page, "src").into_iter().rfind(|src| src.starts_with("/media/")).expect("the small one").to_owned();
    site.until(&shared, |answer| answer.status == 200).await;
    for wrong in ["/media/", "/media/..%2F..%2Fallim.toml", "/media/0", &format!("/media/{}", "0".repeat(64))] {
        assert_eq!(site.get(wrong).await.status, 404, "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_fetched() {
    let (origin, asked) = origin().await;
    let site =
        Site::with(Setting { extra: "[outgoing]\nown_networks = [\"127.0.0.0/8\"]\n".to_owned(), ..Setting::new() });
    let id = site.publish_openly(&illustrated(&origin)).await;
    assert!(!site.get(&format!("/posts/{id}")).await.text().contains("/media/"));
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

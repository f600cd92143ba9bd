//! How an institution's pages look: colours, logo, words at the foot, templates of its own.

use crate::*;
use std::path::Path;

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 160 40\"><path fill=\"#1b5aa6\" d=\"M0 0h40v40H0z\"/></svg>";

/// A PNG of one pixel.
const PNG: [u8; 67] = [
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52, 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1f, 0x15, 0xc4, 0x89, 0, 0, 0, 0x0a, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0, 1, 0, 0, 5, 0, 1,
    0x0d, 0x0a, 0x2d, 0xb4, 0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82,
];

fn themed(table: &str, files: &[(&str, &[u8])]) -> Setting {
    let mut setting = Setting::new();
    setting.extra = table.to_owned();
    for (name, bytes) in files {
        write(setting.path(), name, bytes);
    }
    setting
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, bytes).expect("written");
}

/// The value of the first attribute that follows `mark`.
fn after<'a>(page: &'a str, mark: &str) -> &'a str {
    let (_, rest) = page.split_once(mark).unwrap_or_else(|| panic!("{mark} isn't in {page}"));
    rest.split('"').next().expect("an end")
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_have_the_institutions_colours_logo_and_words() {
    let table = "[site.theme]\nlogo = \"theme/logo.svg\"\nlogo_dark = \"theme/dark.png\"\nshow_name = false\n\
                 footer = { ko = \"첫 줄\\n둘째 줄 <b>\", en = \"First\", zh = \"首行\" }\n\
                 [site.theme.light]\naccent = \"#0a6b3d\"\n[site.theme.dark]\naccent = \"#7fd6a8\"\n";
    let files: [(&str, &[u8]); 2] = [("theme/logo.svg", SVG.as_bytes()), ("theme/dark.png", &PNG)];
    let site = Site::with(themed(table, &files));
    let id = site.publish_openly(&post("one", "첫 글", "ko", &["events"])).await;
    let page = site.get("/?lang=ko").await;
    check_headers(&page);
    let page = page.text();
    let style = site.get(after(&page, "rel=\"stylesheet\" href=\"")).await.text();
    for part in
        ["--link: #0a6b3d", "--link: #7fd6a8", "--button-ink: #ffffff", "--button-ink: #10151c", "--ground: #f3f5f8"]
    {
        assert!(style.contains(part), "{part} isn't in {style}");
    }
    assert!(page.contains("<p class=\"words\">첫 줄\n둘째 줄 &lt;b&gt;</p>"), "{page}");
    assert!(site.get("/?lang=zh").await.text().contains("首行"));
    // The logo is the name here, so it says it.
    assert!(
        page.contains("alt=\"시험 연구원\" width=\"160\" height=\"40\">") && !page.contains("<span>시험 연구원</span>")
    );
    let light = after(&page, "alt=\"시험 연구원\" ").len();
    assert!(light > 0 && page.contains("media=\"(prefers-color-scheme: dark)\">"), "{page}");
    let logo = site.get(after(&page, "class=\"name\" href=\"/?lang=ko\">\n<picture>\n<source srcset=\"")).await;
    assert_eq!((logo.status, logo.header("content-type"), &logo.bytes[..]), (StatusCode::OK, "image/png", &PNG[..]));
    let path = after(&page, "<img src=\"").to_owned();
    let logo = site.get(&path).await;
    assert_eq!((logo.status, logo.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert_eq!(logo.text(), SVG);
    assert_eq!(logo.header("cache-control"), "public, max-age=31536000, immutable");
    let policy = logo.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && policy.contains("sandbox") && !policy.contains("script-src"),
        "{policy}"
    );
    assert_eq!(logo.header("x-content-type-options"), "nosniff");
    assert_eq!(site.get("/logo/000000000000.svg").await.status, StatusCode::NOT_FOUND);
    assert_eq!(after(&page, "rel=\"icon\" href=\""), path);

    let page = site.get(&format!("/posts/{id}")).await.text();
    assert!(page.contains(&format!("\"logo\":\"{}\"", site.setting.url(&path))), "{page}");
    assert!(!page.contains("og:image"), "no network reads SVG: {page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logo_of_pixels_stands_for_pages_without_a_picture() {
    let table = "[site.theme]\nlogo = \"logo.png\"\nlogo_alt = { ko = \"상징\", en = \"Emblem\" }\n";
    let site = Site::with(themed(table, &[("logo.png", &PNG)]));
    let id = site.publish_openly(&post("one", "첫 글", "ko", &["events"])).await;
    let page = site.get(&format!("/posts/{id}?lang=ko")).await.text();
    let path = after(&page, "<img class=\"plate\" src=\"").to_owned();
    assert!(page.contains("alt=\"상징\"") && page.contains("<span>시험 연구원</span>"), "{page}");
    let tag = format!("<meta property=\"og:image\" content=\"{}\">", site.setting.url(&path));
    assert!(page.contains(&tag) && page.contains("<meta name=\"twitter:card\" content=\"summary\">"), "{page}");
    let home = site.get("/topics/events?lang=en").await.text();
    assert!(
        home.contains(&tag) && home.contains("<meta property=\"og:title\" content=\"Events · Test Institute\">"),
        "{home}"
    );
}

#[test]
fn a_theme_that_cannot_be_is_refused_at_the_start() {
    let script = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"><script>alert(1)</script></svg>";
    let large = vec![b' '; 300_000];
    for (table, file, told) in [
        ("[site.theme.light]\naccent = \"blue\"\n", None, "site.theme.light.accent: `blue` is no colour"),
        ("[site.theme.light]\naccent = \"#8cbcff\"\n", None, "a contrast of 1.95 : 1"),
        ("[site.theme]\nlogo = \"no.svg\"\n", None, "site.theme.logo: "),
        ("[site.theme]\nlogo = \"a.svg\"\n", Some(script.as_bytes()), "holds `<script`"),
        ("[site.theme]\nlogo = \"a.svg\"\n", Some(&b"GIF89a"[..]), "neither a PNG"),
        ("[site.theme]\nlogo = \"a.svg\"\n", Some(&large[..]), "300000 octets, 262144 at most"),
    ] {
        let setting = themed(table, &file.map(|bytes| ("a.svg", bytes)).into_iter().collect::<Vec<_>>());
        for command in ["run", "check"] {
            let output = setting.command(&[command]).output().expect("it runs");
            let said =
                format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            // A table breaks lines.
            let said: String = said.split(['│', '┆', '\n']).map(str::trim).collect::<Vec<_>>().join(" ");
            assert!(!output.status.success(), "{command} {table}");
            assert!(command == "check" || said.contains(told), "{command} {table}: {said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_and_words_of_its_own_make_its_pages() {
    let frame = "<!DOCTYPE html>\n<html lang=\"{{ language }}\"><head><title>{% block title %}{{ site_name }}{% endblock %}</title>\
                 <link rel=\"stylesheet\" href=\"{{ base }}{{ style }}\">{% block head %}{% endblock %}</head>\
                 <body class=\"own\">{% include \"own_head.html\" %}<main>{% block main %}{% endblock %}</main></body></html>\n";
    let files: [(&str, &[u8]); 4] = [
        ("look/page_frame.html", frame.as_bytes()),
        ("look/own_head.html", "<p>{{ page.home }} {{ site_name }}</p>".as_bytes()),
        ("look/page.css", b"a { color: {{ light.accent }}; }\n"),
        ("look/words.ko.toml", "[page]\nhome = \"대문\"\n".as_bytes()),
    ];
    let site = Site::with(themed("[templates]\nfolder = \"look\"\n", &files));
    let id = site.publish_openly(&post("one", "첫 글", "ko", &["events"])).await;
    for path in [
        "/?lang=ko".to_owned(),
        "/topics/events?lang=ko".to_owned(),
        format!("/posts/{id}?lang=ko"),
        "/nowhere?lang=ko".to_owned(),
    ] {
        let page = site.get(&path).await;
        check_headers(&page);
        let text = page.text();
        assert!(text.contains("<body class=\"own\"><p>대문 시험 연구원</p>"), "{path}: {text}");
    }
    let page = site.get(&format!("/posts/{id}?lang=ko")).await.text();
    assert!(page.contains("<h1>첫 글</h1>") && page.contains("<link rel=\"canonical\""), "ours go on inside: {page}");
    assert_eq!(site.get(after(&page, "rel=\"stylesheet\" href=\"")).await.text(), "a { color: #1b5aa6; }\n");

    // What isn't there is told with its place, and the page says that it can't be shown.
    let broken =
        themed("[templates]\nfolder = \"look\"\n", &[("look/page_topic.html", b"<p>\n{{ topic.nothing }}</p>")]);
    let site = Site::with(broken);
    assert_eq!(site.get("/topics/events").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(site.get("/").await.status, StatusCode::OK);
    let log = std::fs::read_to_string(site.setting.path().join("log")).expect("a log");
    assert!(log.contains("`page_topic.html`, line 2") && log.contains("topic.nothing"), "{log}");
}

//! The addresses of one page in several languages, as search engines are told of them.

use crate::*;

/// Canonical address and alternates of a page.
fn told(page: &str) -> (String, Vec<(String, String)>) {
    let value = |rest: &str| rest.split('"').next().expect("an end").replace("&amp;", "&");
    let canonical: Vec<String> = page.split("<link rel=\"canonical\" href=\"").skip(1).map(value).collect();
    assert_eq!(canonical.len(), 1, "{page}");
    let alternate = |rest: &str| {
        let (tag, rest) = rest.split_once("\" href=\"").expect("an address");
        (tag.to_owned(), value(rest))
    };
    let alternates = page.split("<link rel=\"alternate\" hreflang=\"").skip(1).map(alternate).collect();
    (canonical[0].clone(), alternates)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_is_known_by_one_address_and_names_those_in_other_languages() {
    let site = Site::new();
    site.publish_openly(&post("one", "첫 글", "ko", &["events"])).await;
    for (path, rest) in [
        ("/", ""),
        ("/topics/events", ""),
        ("/topics/events", "before=1-abc"),
        ("/search", ""),
        ("/search", "q=%EB%AC%BC+%26&before=1-abc"),
        ("/events", ""),
        ("/events", "month=2026-12"),
        ("/feeds", ""),
        ("/editions", "digest=often"),
        ("/subscribe", ""),
    ] {
        let at = |query: &str| {
            let both = [rest, query].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("&");
            if both.is_empty() { path.to_owned() } else { format!("{path}?{both}") }
        };
        let expected: Vec<(String, String)> =
            [("ko", "lang=ko"), ("en", "lang=en"), ("zh", "lang=zh"), ("x-default", "")]
                .map(|(tag, query)| (tag.to_owned(), site.setting.url(&at(query))))
                .to_vec();
        for (query, canonical) in [("", 3), ("lang=en", 1), ("lang=zh-Hans&utm_source=mail", 2)] {
            let page = site.get(&at(query)).await;
            assert_eq!(page.status, StatusCode::OK, "{path} {query}");
            let (found, alternates) = told(&page.text());
            assert_eq!(found, expected[canonical].1, "{path} {query}");
            assert_eq!(alternates, expected, "{path} {query}");
        }
        // A change of language keeps to the page.
        let page = site.get(&at("lang=ko")).await.text().replace("&amp;", "&");
        assert!(page.contains(&format!("hreflang=\"en\" href=\"{}\"", at("lang=en"))), "{page}");
    }
    for none in ["/nowhere", "/feeds/nothing.rss", "/link", "/manage/x"] {
        assert!(!site.get(none).await.text().contains("rel=\"canonical\""), "{none}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_variants_of_a_post_have_one_for_everybody_else() {
    let site = Site::new();
    let mut ids = Vec::new();
    for (name, language) in [("a", "en"), ("b", "zh"), ("c", "ko")] {
        let mut body = post(name, name, language, &["events"]);
        body["story"] = json!("story");
        ids.push(site.publish_openly(&body).await);
    }
    let url = |id: &str| site.setting.url(&format!("/posts/{id}"));
    // Korean comes first in the configuration.
    let expected: Vec<(String, String)> = [("ko", &ids[2]), ("en", &ids[0]), ("zh", &ids[1]), ("x-default", &ids[2])]
        .map(|(tag, id)| (tag.to_owned(), url(id)))
        .to_vec();
    for id in &ids {
        let (canonical, alternates) = told(&site.get(&format!("/posts/{id}?lang=zh")).await.text());
        assert_eq!((canonical, alternates), (url(id), expected.clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sitemap_names_the_same_addresses() {
    let site = Site::new();
    let id = site.publish_openly(&post("one", "첫 글", "ko", &["events"])).await;
    let map = site.get("/sitemaps/1.xml").await.text();
    let locations: Vec<&str> = map.split("<loc>").skip(1).filter_map(|rest| rest.split("</loc>").next()).collect();
    for path in ["/", "/events", "/topics/events", "/editions", "/feeds", "/subscribe"] {
        for query in ["", "?lang=ko", "?lang=en", "?lang=zh"] {
            let url = site.setting.url(&format!("{path}{query}"));
            assert!(locations.contains(&url.as_str()), "{url} isn't in {map}");
            let (canonical, alternates) = told(&site.get(&format!("{path}{query}")).await.text());
            assert_eq!(canonical, url);
            let (_, entry) = map.split_once(&format!("<loc>{url}</loc>")).expect("an entry");
            let entry = entry.split("</url>").next().expect("an end");
            for (tag, href) in alternates {
                let link = format!("<xhtml:link rel=\"alternate\" hreflang=\"{tag}\" href=\"{href}\"/>");
                assert!(entry.contains(&link), "{link} isn't in {entry}");
            }
        }
    }
    assert!(locations.contains(&site.setting.url(&format!("/posts/{id}")).as_str()));
}

//! The interface for content systems.

use crate::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_shows_what_became_of_a_post() {
    let site = Site::new();
    let mut first = post("one", "첫\u{8} 소식", "ko", &["events"]);
    let id = site.publish_openly(&first).await;
    first["title"] = json!("고친 소식");
    assert_eq!(site.api(Method::POST, "/api/v1/posts", Some(&first)).await.json()["state"], "revised");
    site.publish_openly(&post("two", "둘째", "en", &["notices"])).await;
    site.publish_openly(&post("three", "셋째", "ko", &["events"])).await;

    let shown = site.api(Method::GET, &format!("/api/v1/posts/{id}"), None).await.json();
    assert_eq!(
        (&shown["state"], &shown["revision"], &shown["title"]),
        (&json!("public"), &json!(2), &json!("고친 소식"))
    );
    assert_eq!(shown["history"].as_array().map(Vec::len), Some(2));
    assert!(shown["history"][0]["repairs"][0].as_str().is_some_and(|repair| repair.contains("title")), "{shown}");

    let mut seen = Vec::new();
    let mut path = "/api/v1/posts?limit=2".to_owned();
    loop {
        let page = site.api(Method::GET, &path, None).await.json();
        seen.extend(
            page["posts"]
                .as_array()
                .expect("posts")
                .iter()
                .map(|post| post["source_id"].as_str().expect("an id").to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/v1/posts?limit=2&before={next}");
    }
    seen.sort();
    assert_eq!(seen, ["one", "three", "two"]);
    let english = site.api(Method::GET, "/api/v1/posts?language=en&topic=notices", None).await.json();
    assert_eq!(english["posts"].as_array().map(Vec::len), Some(1));

    let mut wrong = post("wrong", "제목", "ko", &["events"]);
    wrong["published_at"] = json!("yesterday");
    let answer = site.api(Method::POST, "/api/v1/posts", Some(&wrong)).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (422, "application/problem+json"));
    let problem = answer.json();
    assert_eq!((&problem["state"], &problem["path"]), (&json!("quarantined"), &json!("published_at")));
    assert!(problem["reason"].is_string() && problem["detail"].is_string() && problem["status"] == 422);

    for (method, path, status) in [
        (Method::GET, "/api/v1/posts?limit=0", 400),
        (Method::GET, "/api/v1/posts?before=x", 400),
        (Method::GET, "/api/v1/posts/nothing", 404),
        (Method::POST, "/api/v1/posts/nothing/withdraw", 404),
        (Method::GET, "/api/v2/", 404),
    ] {
        let answer = site.api(method, path, None).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "application/problem+json"),
            "{path}"
        );
    }
    for path in ["/api/v1/posts", &format!("/api/v1/posts/{id}")] {
        let answer = site.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("www-authenticate")), (401, "Bearer"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_interface_describes_itself() {
    let site = Site::new();
    let document = site.get("/api/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            assert!(operation["summary"].is_string() && operation["responses"].is_object(), "{method} {path}");
            routes.push(format!("{method} {path}"));
        }
    }
    routes.sort();
    let expected = [
        "delete /api/v1/partners/{name}",
        "get /api/openapi.json",
        "get /api/v1/changes",
        "get /api/v1/partner",
        "get /api/v1/partner/deliveries",
        "get /api/v1/partners",
        "get /api/v1/partners/{name}",
        "get /api/v1/partners/{name}/deliveries",
        "get /api/v1/posts",
        "get /api/v1/posts/{id}",
        "patch /api/v1/partners/{name}",
        "post /api/v1/inbound",
        "post /api/v1/inbox/{source}",
        "post /api/v1/partner/keys",
        "post /api/v1/partner/replay",
        "post /api/v1/partner/test",
        "post /api/v1/partners",
        "post /api/v1/partners/{name}/{act}",
        "post /api/v1/posts",
        "post /api/v1/posts/{id}/withdraw",
        "post /api/v1/reconcile",
        "post /api/v1/subscriptions",
    ];
    assert_eq!(routes, expected);
    // Every reference leads somewhere.
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().expect("a pointer");
        assert!(document.pointer(pointer).is_some(), "{pointer}");
    }
    if let Some(python) = std::env::var_os("ALLIM_TEST_OPENAPI_PYTHON") {
        let script = "import json, sys\nfrom openapi_spec_validator import validate\nvalidate(json.load(sys.stdin))";
        let mut child = Command::new(python).args(["-c", script]).stdin(Stdio::piped()).spawn().expect("python runs");
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("written");
        assert!(child.wait().expect("it ends").success());
    }
}

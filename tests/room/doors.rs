//! Who gets in, and who may do what.

use super::{House, by_name};
use allim::domain::staff::Role;
use allim::web::admin::routes_told;
use reqwest::{Method, StatusCode};

/// A path with something in each of its places; nothing of that name is there.
fn filled(path: &str) -> String {
    let step = |step: &str| if step.starts_with('{') { "999".to_owned() } else { step.to_owned() };
    path.split('/').map(step).collect::<Vec<_>>().join("/")
}

/// What kind of request it is: as a page of ours sends it, as another site makes a browser send it, or as no browser does.
#[derive(Clone, Copy)]
enum From {
    Here,
    Elsewhere,
    Nowhere,
}

/// Mails that lie in the folder.
fn mails(house: &House) -> usize {
    std::fs::read_dir(house.setting.maildir()).map_or(0, Iterator::count)
}

async fn status(house: &House, verb: &str, path: &str, cookie: Option<&str>, from: From) -> StatusCode {
    let origin = house.origin();
    let mut headers = vec![("accept-language", "en")];
    match from {
        From::Here => headers.extend([("origin", origin.as_str()), ("sec-fetch-site", "same-origin")]),
        From::Elsewhere => headers.extend([("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]),
        From::Nowhere => {}
    }
    headers.extend(cookie.map(|cookie| ("cookie", cookie)));
    let method = Method::from_bytes(verb.as_bytes()).expect("a verb");
    let form = (verb == "POST").then(String::new);
    house.ask(method, &filled(path), &headers, form).await.status
}

#[tokio::test]
async fn no_route_opens_to_less_than_its_role() {
    let house = House::new();
    let routes = routes_told();
    assert!(routes.iter().all(|(_, path, _)| path.starts_with("/admin")));
    for (verb, path, _) in &routes {
        let answer = status(&house, verb, path, None, From::Here).await;
        assert_eq!(answer, StatusCode::SEE_OTHER, "{verb} {path}: nobody is signed in");
        let answer = status(&house, verb, path, Some("allim_session=stolen"), From::Here).await;
        assert_eq!(answer, StatusCode::SEE_OTHER, "{verb} {path}: no such session");
    }
    for role in Role::ALL {
        let mut person = house.person(role).await;
        for (verb, path, least) in &routes {
            let cookie = Some(person.cookie());
            if *verb == "POST" {
                for from in [From::Elsewhere, From::Nowhere] {
                    let answer = status(&house, verb, path, cookie, from).await;
                    assert_eq!(answer, StatusCode::FORBIDDEN, "{verb} {path} from elsewhere as {role:?}");
                }
                assert!(*least > Role::Viewer || is_own(path), "a viewer changes nothing: {path}");
            }
            let answer = status(&house, verb, path, cookie, From::Here).await;
            if role < *least {
                assert_eq!(answer, StatusCode::FORBIDDEN, "{verb} {path} as {role:?}");
            } else {
                assert!(answer != StatusCode::FORBIDDEN, "{verb} {path} as {role:?}: {answer}");
                assert!(!answer.is_server_error(), "{verb} {path} as {role:?}: {answer}");
            }
            // What is their own may have ended the session; who comes in too often from one network waits for an hour.
            if *verb == "POST" && (path.starts_with("/admin/me") || *path == "/admin/sign-out") {
                person = house.person(role).await;
            }
        }
    }
}

/// What everybody may change: what is their own. A search for people is a look, sent as a form so that no address stands in a URL.
fn is_own(path: &str) -> bool {
    path == "/admin/people" || path.starts_with("/admin/me") || path == "/admin/sign-out"
}

#[tokio::test]
async fn the_room_answers_to_its_names_only() {
    let house = House::new();
    assert_eq!(by_name(&house, &format!("localhost:{}", house.port)).await, StatusCode::OK);
    for name in ["evil.example", "127.0.0.1", &format!("evil.example:{}", house.port)] {
        assert_eq!(by_name(&house, name).await, StatusCode::MISDIRECTED_REQUEST, "{name}");
    }
}

#[tokio::test]
async fn a_link_lets_in_once_and_looking_at_it_uses_nothing_up() {
    let house = House::new();
    let link = house.link("kim", Role::Owner);
    let path = link.strip_prefix(&house.origin()).expect("ours").to_owned();
    let origin = house.origin();
    let here = [("origin", origin.as_str())];
    for _ in 0..3 {
        assert_eq!(house.ask(Method::GET, &path, &[], None).await.status, StatusCode::OK);
    }
    let entered = house.ask(Method::POST, &path, &here, None).await;
    assert_eq!(entered.status, StatusCode::SEE_OTHER);
    let cookie = entered.cookies[0].clone();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    assert_eq!(house.ask(Method::POST, &path, &here, None).await.status, StatusCode::NOT_FOUND, "used up");
    let wrong = house.ask(Method::POST, "/admin/link/wrong", &here, None).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn passwords_lock_after_five_and_a_link_still_opens() {
    let house = House::new();
    let person = house.person(Role::Owner).await;
    let name = person.get("/admin/me").await.text;
    let name = name.split("<h1>").nth(1).and_then(|rest| rest.split('<').next()).expect("a name").to_owned();
    let password = "correct horse battery";
    let fields = [("fresh", password), ("again", password)];
    assert_eq!(person.does("/admin/me/password", &fields).await, "/admin/me?said=said_password");
    let short =
        person.post("/admin/me/password", &[("present", password), ("fresh", "short"), ("again", "short")]).await;
    assert_eq!(short.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(short.text.contains("too short"));

    let origin = house.origin();
    let enter = async |password: &str| {
        let form = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("name", name.as_str()), ("password", password), ("to", "/admin/audit")])
            .finish();
        let headers = [("origin", origin.as_str()), ("accept-language", "ko")];
        house.ask(Method::POST, "/admin/sign-in", &headers, Some(form)).await
    };
    let entered = enter(password).await;
    assert_eq!((entered.status, entered.location.as_str()), (StatusCode::SEE_OTHER, "/admin/audit"));
    for _ in 0..5 {
        let refused = enter("wrong").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(refused.text.contains("비밀번호가 맞지 않거나"), "{}", refused.text);
    }
    assert_eq!(enter(password).await.status, StatusCode::UNPROCESSABLE_ENTITY, "locked");
    let link = house.setting.run(&["staff", "link", &name]);
    let path = link.trim().strip_prefix(&origin).expect("ours").to_owned();
    let by_link = house.ask(Method::POST, &path, &[("origin", &origin)], None).await;
    assert_eq!(by_link.status, StatusCode::SEE_OTHER);
    assert_eq!(enter(password).await.status, StatusCode::SEE_OTHER, "coming in unlocked it");
    let audit = person.get("/admin/audit").await.text;
    assert!(audit.contains("a wrong password was given") && audit.contains("set a password"), "{audit}");
}

#[tokio::test]
async fn the_last_owner_stays_and_whoever_leaves_is_out_at_once() {
    let house = House::new();
    let (owner, viewer) = (house.person(Role::Owner).await, house.person(Role::Viewer).await);
    let list: serde_json::Value = serde_json::from_str(&house.setting.run(&["--json", "staff", "list"])).expect("JSON");
    let id = |role: &str| {
        let rows = list.as_array().expect("rows");
        rows.iter().find(|row| row["role"] == role).expect("somebody")["id"].to_string()
    };
    let refused = owner.post(&format!("/admin/staff/{}/end", id("owner")), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("only owner"));
    assert_eq!(viewer.get("/admin").await.status, StatusCode::OK);
    owner.does(&format!("/admin/staff/{}/role", id("viewer")), &[("role", "operator")]).await;
    assert_eq!(viewer.get("/admin/freeze").await.status, StatusCode::OK, "the session goes on with the new role");
    owner.does(&format!("/admin/staff/{}/end", id("viewer")), &[]).await;
    assert_eq!(viewer.get("/admin").await.location, "/admin/sign-in");
}

#[tokio::test]
async fn freezing_is_said_on_every_page_and_holds_mail() {
    let house = House::new();
    house.setting.subscribe(&["kim@example.org,김,ko,events,immediate".to_owned()]);
    let operator = house.person(Role::Operator).await;
    assert_eq!(
        operator.post("/admin/freeze", &[]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "a reason is wanted"
    );
    operator.does("/admin/freeze", &[("reason", "a wrong attachment")]).await;
    let page = operator.get("/admin/audit").await;
    assert!(page.text.contains("Everything is held") && page.text.contains("a wrong attachment"), "{}", page.text);
    assert!(page.policy.contains("script-src 'self'") && !page.policy.contains("unsafe"));
    let body = super::support::post("frozen", "멈춘 소식", "ko", &["events"]);
    super::support::publish(&house.client, &house.setting.url("/api/v1/posts"), &body).await;
    super::support::wait_until("the delivery to be planned", std::time::Duration::from_secs(20), || {
        house.setting.run(&["--json", "delivery", "list"]).contains("\"due\"")
    });
    assert_eq!(mails(&house), 0);
    operator.does("/admin/freeze/end", &[]).await;
    super::support::wait_until("the mail", std::time::Duration::from_secs(20), || mails(&house) == 1);
}

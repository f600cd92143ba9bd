//! A post's first picture: it goes ahead of the post, with its words for those who can't see it, and holds no post up.

use super::server::{Board, Reply, Request};
use super::{Account, Server, UnixMillis, blurb, cases, fakes, gate, named};
use allim::render::blurb::Picture;
use allim::send::carriers::Settings;
use allim::send::social::terms::{ImageUse, Terms};
use serde_json::json;

/// What stands in for a picture: nobody looks into it.
const BYTES: &str = "PNG-of-a-banner";
const ALT: &str = "현수막 앞에 선 사람들";

fn picture(request: &Request) -> Option<Reply> {
    let kind = match request.path.as_str() {
        "/picture.png" => "image/png",
        "/page.png" => "text/html",
        _ => return None,
    };
    Some(Reply { status: 200, headers: vec![("content-type", kind.to_owned())], body: BYTES.to_owned() })
}

/// <https://docs.joinmastodon.org/methods/media/#v2>, `#get`: 202 and 206 until it is ready.
fn mastodon(board: &mut Board, request: &Request) -> Option<Reply> {
    match request.line().as_str() {
        "POST /api/v2/media" => {
            let body = String::from_utf8(request.body.clone()).expect("UTF-8");
            let boundary = request.header("content-type").strip_prefix("multipart/form-data; boundary=")?;
            let parts: Vec<&str> = body.split(&format!("--{boundary}")).collect();
            assert!(parts.len() == 4 && parts[3] == "--\r\n", "{body}");
            assert!(parts[1].contains("name=\"description\"\r\n\r\n") && parts[1].contains(ALT), "{body}");
            assert!(parts[2].contains("Content-Type: image/png\r\n\r\n") && parts[2].contains(BYTES), "{body}");
            Some(Reply::json(202, &json!({ "id": "m1", "type": "image", "url": null })))
        }
        "GET /api/v1/media/m1" => {
            let asked = board.calls.iter().filter(|call| call.contains("/media/m1")).count();
            if board.calls.iter().any(|call| call == "no picture") {
                return Some(Reply::json(422, &json!({ "error": "Validation failed: File couldn't be processed" })));
            }
            Some(Reply::json(if asked < 2 { 206 } else { 200 }, &json!({ "id": "m1" })))
        }
        line => {
            if matches!(request.method.as_str(), "POST" | "PUT") && line.contains("/statuses") {
                board.calls.push(format!("media {}", request.json()["media_ids"]));
            }
            picture(request).or_else(|| fakes::mastodon(board, request))
        }
    }
}

/// `com.atproto.repo.uploadBlob`, `app.bsky.embed.images`, `app.bsky.embed.external`.
fn bluesky(board: &mut Board, request: &Request) -> Option<Reply> {
    match request.line().as_str() {
        "POST /xrpc/com.atproto.repo.uploadBlob" => {
            assert!(request.header("content-type") == "image/png" && request.body == BYTES.as_bytes());
            let blob = json!({ "$type": "blob", "ref": { "$link": "bafk" }, "mimeType": "image/png", "size": 15 });
            Some(Reply::json(200, &json!({ "blob": blob })))
        }
        line => {
            if line.ends_with("createRecord") {
                board.calls.push(format!("embed {}", request.json()["record"]["embed"]));
            }
            picture(request).or_else(|| fakes::bluesky(board, request))
        }
    }
}

async fn open(name: &str, image: ImageUse) -> Account {
    let case = cases().into_iter().find(|case| case.name == name).expect("it is there");
    let server = Server::start(if name == "mastodon" { mastodon } else { bluesky }, case.makes).await;
    let mut terms = Terms { server: Some(server.base.clone()), image, ..Terms::default() };
    (case.terms)(&mut terms);
    let network = Settings::read(case.network, &terms).expect("settings").network(super::guard());
    let credential = case.credential(&server.base);
    Account { server, network, credential, case }
}

/// Posts with a picture at this path, and says what the network was told of it.
async fn told(account: &Account, path: &str, word: &str) -> String {
    let mut text = blurb("사진이 있는 글");
    text.image = Some(Picture { url: format!("{}{path}", account.server.base), alt: ALT.to_owned() });
    let saying = account.saying("delivery1", &text, None);
    let refused = account.network.say(&saying, &mut gate(false)).await;
    assert_eq!((named(&refused.outcome).as_str(), account.server.posts().len()), ("not allowed", 0));
    let said = account.network.say(&saying, &mut gate(true)).await;
    assert_eq!(named(&said.outcome), "sent", "{:?}", said.outcome);
    let told = |account: &Account| {
        let board = account.server.board.lock().expect("not poisoned");
        board.calls.iter().rev().find_map(|call| call.strip_prefix(word)).expect("it was told").to_owned()
    };
    let first = told(account);
    // What a revision doesn't name would go from the post.
    if let Some(remote) = said.remote.filter(|_| account.network.can().edit) {
        let edited = account.network.edit(&saying, &remote, &mut gate(true)).await;
        assert_eq!((named(&edited.outcome).as_str(), told(account)), ("sent", first.clone()));
    }
    assert_eq!(account.server.strays(), Vec::<String>::new());
    assert_eq!(saying.now, UnixMillis(fakes::NOW));
    first
}

#[tokio::test]
async fn a_picture_goes_with_the_post_and_its_words_with_it() {
    let attach = ImageUse::Attach;
    assert_eq!(told(&open("mastodon", attach).await, "/picture.png", "media ").await, "[\"m1\"]");
    let embed = told(&open("bluesky", attach).await, "/picture.png", "embed ").await;
    assert!(embed.contains("app.bsky.embed.images") && embed.contains(ALT) && embed.contains("bafk"), "{embed}");
    let embed = told(&open("bluesky", ImageUse::Card).await, "/picture.png", "embed ").await;
    assert!(embed.contains("app.bsky.embed.external") && embed.contains("thumb") && embed.contains("bafk"), "{embed}");
}

#[tokio::test]
async fn a_picture_that_can_not_be_had_holds_no_post_up() {
    assert_eq!(told(&open("mastodon", ImageUse::Attach).await, "/page.png", "media ").await, "null");
    let account = open("mastodon", ImageUse::Attach).await;
    account.server.board.lock().expect("not poisoned").calls.push("no picture".to_owned());
    assert_eq!(told(&account, "/picture.png", "media ").await, "null");
    let embed = told(&open("bluesky", ImageUse::Card).await, "/page.png", "embed ").await;
    assert!(embed.contains("app.bsky.embed.external") && !embed.contains("thumb"), "{embed}");
    assert_eq!(told(&open("bluesky", ImageUse::None).await, "/picture.png", "embed ").await, "null");
}

//! The networks, each written from its public documents, which it names; whatever they don't have is answered with an error and fails the
//! test.

use super::server::{Board, Reply, Request};
use serde_json::{Value, json};

/// A page of a network's list, the newest first, after so many.
fn page(board: &Board, after: usize, most: usize) -> Vec<&super::server::Posted> {
    board.posts.iter().rev().skip(after).take(most).collect()
}

fn number(request: &Request, name: &str) -> usize {
    request.query.get(name).map_or(0, |text| text.parse().expect("a number"))
}

/// The login of every account. Nothing that is told may hold it.
pub const TOKEN: &str = "canary-token-4711";
/// When everything here happens: 2026-11-23T10:00:00Z.
pub const NOW: i64 = 1_795_428_000_000;

const AT: &str = "2026-11-23T10:00:00.000Z";

fn unauthorised() -> Option<Reply> {
    Some(Reply::json(401, &json!({ "error": "The access token is invalid" })))
}

/// <https://docs.joinmastodon.org/methods/statuses/#create>, `#edit`, `#delete`, `…/accounts/#verify_credentials`, `#statuses`,
/// `…/media/#v2`, `…/instance/#v2`.
pub fn mastodon(board: &mut Board, request: &Request) -> Option<Reply> {
    let status = |id: &str, text: &str, parent: &Option<String>| {
        let content = text
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('\'', "&#39;")
            .replace('"', "&quot;")
            .replace('\n', "<br>");
        json!({ "id": id, "url": format!("https://social.example.org/@a/{id}"), "content": format!("<p>{content}</p>"),
            "created_at": AT, "in_reply_to_id": parent })
    };
    if request.line() == "GET /api/v2/instance" {
        return Some(Reply::json(
            200,
            &json!({ "configuration": { "statuses": { "max_characters": 1_234, "characters_reserved_per_url": 30 } } }),
        ));
    }
    if !request.bears(TOKEN) {
        return unauthorised();
    }
    let line = request.line();
    if let Some(id) = line.strip_prefix("PUT /api/v1/statuses/") {
        let body = request.json();
        return Some(match board.change(id, body["status"].as_str()?) {
            true => Reply::json(200, &status(id, body["status"].as_str()?, &None)),
            false => Reply::json(404, &json!({ "error": "Record not found" })),
        });
    }
    if let Some(id) = line.strip_prefix("DELETE /api/v1/statuses/") {
        return Some(match board.remove(id) {
            true => Reply::json(200, &json!({ "id": id, "text": "" })),
            false => Reply::json(404, &json!({ "error": "Record not found" })),
        });
    }
    match line.as_str() {
        "POST /api/v1/statuses" => {
            let (body, key) = (request.json(), request.header("idempotency-key"));
            assert!(!key.is_empty() && body["visibility"] == "public" && body["language"] == "ko", "{body}");
            let parent = body["in_reply_to_id"].as_str().map(str::to_owned);
            if parent.as_ref().is_some_and(|id| !board.posts.iter().any(|post| post.id == *id)) {
                return Some(Reply::json(404, &json!({ "error": "The post you are replying to is gone" })));
            }
            let text = body["status"].as_str()?;
            let id = match board.by_key(key) {
                Some(post) => post.id.clone(),
                None => board.make(text, parent.clone(), key),
            };
            Some(Reply::json(200, &status(&id, text, &parent)))
        }
        "GET /api/v1/accounts/verify_credentials" => Some(Reply::json(200, &json!({ "id": "77", "username": "a" }))),
        "GET /api/v1/accounts/77/statuses" => {
            // What comes before `max_id`; a page is filled first, and then some of it is left out.
            let before = request.query.get("max_id").and_then(|id| board.posts.iter().rev().position(|p| p.id == *id));
            let after = before.map_or(0, |at| at + 1);
            let posts = page(board, after, number(request, "limit").min(40));
            let all: Vec<Value> = posts.iter().map(|post| status(&post.id, &post.text, &post.parent)).collect();
            Some(Reply::json(200, &json!(all)))
        }
        _ => None,
    }
}

/// Lexicons of the AT protocol: `com.atproto.server.createSession`, `.refreshSession`, `com.atproto.repo.createRecord`, `.getRecord`,
/// `.deleteRecord`; <https://atproto.com/specs/record-key>.
pub fn bluesky(board: &mut Board, request: &Request) -> Option<Reply> {
    const DID: &str = "did:plc:abc";
    let made =
        |key: &str| json!({ "uri": format!("at://{DID}/app.bsky.feed.post/{key}"), "cid": format!("bafy-{key}") });
    let error = |status, name: &str| Some(Reply::json(status, &json!({ "error": name, "message": "…" })));
    let session =
        || json!({ "did": DID, "handle": "a.example.org", "accessJwt": TOKEN, "refreshJwt": "canary-refresh-1" });
    let line = request.line();
    if line == "POST /xrpc/com.atproto.server.createSession" {
        let body = request.json();
        let is_right = body["identifier"] == "a.example.org" && body["password"] == "canary-app-password";
        return if is_right { Some(Reply::json(200, &session())) } else { error(401, "AuthenticationRequired") };
    }
    if line == "POST /xrpc/com.atproto.server.refreshSession" {
        let is_right = request.bears("canary-refresh-0");
        return if is_right { Some(Reply::json(200, &session())) } else { error(400, "ExpiredToken") };
    }
    if !request.bears(TOKEN) {
        return error(400, "ExpiredToken");
    }
    match line.as_str() {
        "POST /xrpc/com.atproto.repo.createRecord" => {
            let (body, key) = (request.json(), request.json()["rkey"].as_str()?.to_owned());
            assert!(body["repo"] == DID && body["collection"] == "app.bsky.feed.post" && key.len() == 13, "{body}");
            let record = &body["record"];
            assert!(record["$type"] == "app.bsky.feed.post" && record["langs"] == json!(["ko"]), "{record}");
            record["createdAt"].as_str()?.parse::<jiff::Timestamp>().expect("a time");
            if board.by_key(&key).is_some() {
                return error(500, "InternalServerError");
            }
            let parent = record["reply"]["parent"]["uri"].as_str().map(str::to_owned);
            if parent.is_some() {
                assert!(record["reply"]["root"]["cid"].is_string() && record["reply"]["parent"]["cid"].is_string());
            }
            let text = record["text"].as_str()?;
            for facet in record["facets"].as_array()? {
                let (start, end) = (facet["index"]["byteStart"].as_u64()?, facet["index"]["byteEnd"].as_u64()?);
                let said =
                    text.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?).expect("whole characters");
                let feature = &facet["features"][0];
                match feature["$type"].as_str()? {
                    "app.bsky.richtext.facet#link" => assert_eq!(feature["uri"], said),
                    "app.bsky.richtext.facet#tag" => assert_eq!(format!("#{}", feature["tag"].as_str()?), said),
                    other => panic!("{other}"),
                }
            }
            board.make(text, parent, &key);
            Some(Reply::json(200, &made(&key)))
        }
        "GET /xrpc/com.atproto.repo.getRecord" => match board.by_key(request.query.get("rkey")?) {
            Some(post) => {
                let mut value = made(&post.key);
                value["value"] = json!({ "text": post.text });
                Some(Reply::json(200, &value))
            }
            None => error(400, "RecordNotFound"),
        },
        "POST /xrpc/com.atproto.repo.deleteRecord" => {
            let key = request.json()["rkey"].as_str()?.to_owned();
            board.posts.retain(|post| post.key != key);
            Some(Reply::json(200, &json!({ "commit": { "cid": "c", "rev": "r" } })))
        }
        _ => None,
    }
}

/// <https://docs.x.com/x-api/posts/create-post>, `…/delete-post`, `…/users/get-posts`, `…/users/get-my-user`.
pub fn x(board: &mut Board, request: &Request) -> Option<Reply> {
    let line = request.line();
    if line == "POST /2/oauth2/token" {
        let form = request.form();
        let is_good = form.get("refresh_token").is_some_and(|token| token == "canary-refresh-0");
        assert!(form.get("grant_type").is_some_and(|grant| grant == "refresh_token") && form.contains_key("client_id"));
        let tokens = json!({ "token_type": "bearer", "expires_in": 7200, "access_token": TOKEN,
            "refresh_token": "canary-refresh-1", "scope": "tweet.read tweet.write" });
        let refused =
            json!({ "error": "invalid_request", "error_description": "Value passed for the token was invalid." });
        return Some(if is_good { Reply::json(200, &tokens) } else { Reply::json(400, &refused) });
    }
    if !request.bears(TOKEN) {
        return Some(Reply::json(401, &json!({ "title": "Unauthorized", "type": "about:blank", "status": 401 })));
    }
    if let Some(id) = line.strip_prefix("DELETE /2/tweets/") {
        board.remove(id);
        return Some(Reply::json(200, &json!({ "data": { "deleted": true } })));
    }
    match line.as_str() {
        "POST /2/tweets" => {
            let body = request.json();
            let text = body["text"].as_str()?;
            let parent = body["reply"]["in_reply_to_tweet_id"].as_str().map(str::to_owned);
            if board.posts.iter().any(|post| post.text == text) {
                let detail = "You are not allowed to create a Tweet with duplicate content.";
                return Some(Reply::json(403, &json!({ "title": "Forbidden", "status": 403, "detail": detail })));
            }
            let id = board.make(text, parent, "");
            Some(Reply::json(201, &json!({ "data": { "id": id, "text": text } })))
        }
        "GET /2/users/42/tweets" => {
            let all: Vec<Value> = board
                .posts
                .iter()
                .map(|post| {
                    // Addresses are shortened in the text, and whole beside it.
                    let url =
                        post.text.split_whitespace().find(|word| word.starts_with("https://")).unwrap_or_default();
                    let text =
                        if url.is_empty() { post.text.clone() } else { post.text.replace(url, "https://t.co/abc") };
                    let mut value = json!({ "id": post.id, "text": text, "created_at": AT,
                        "entities": { "urls": [{ "url": "https://t.co/abc", "expanded_url": url }] } });
                    if let Some(parent) = &post.parent {
                        value["referenced_tweets"] = json!([{ "type": "replied_to", "id": parent }]);
                    }
                    value
                })
                .collect();
            Some(Reply::json(200, &json!({ "data": all, "meta": { "result_count": board.posts.len() } })))
        }
        _ => None,
    }
}

/// <https://developers.facebook.com/docs/graph-api/reference/page/feed/> (reading, creating), `…/post` (updating, deleting),
/// <https://developers.facebook.com/docs/graph-api/guides/error-handling>.
pub fn facebook(board: &mut Board, request: &Request) -> Option<Reply> {
    let error = |status, code: i64, subcode: i64| {
        let error = json!({ "message": "…", "type": "OAuthException", "code": code, "error_subcode": subcode, "fbtrace_id": "A" });
        Some(Reply::json(status, &json!({ "error": error })))
    };
    if !request.bears(TOKEN) {
        return error(400, 190, 463);
    }
    let line = request.line();
    match line.as_str() {
        "POST /77/feed" => {
            let form = request.form();
            let text = format!("{}\n{}", form.get("message")?, form.get("link").map_or("", String::as_str));
            if board.posts.iter().any(|post| post.text == text) {
                return error(400, 506, 0);
            }
            let id = board.make(&text, None, "");
            Some(Reply::json(200, &json!({ "id": id })))
        }
        "GET /77/published_posts" => {
            let (after, most) = (number(request, "after"), number(request, "limit").min(100));
            let all: Vec<Value> = page(board, after, most)
                .into_iter()
                .map(|post| {
                    let (message, link) = post.text.rsplit_once('\n').unwrap_or((&post.text, ""));
                    json!({ "id": post.id, "message": message, "permalink_url": "https://www.facebook.com/p/1",
                        "attachments": { "data": [{ "unshimmed_url": link }] } })
                })
                .collect();
            let end = (after + all.len()).to_string();
            // The last page that holds something still says where to go on.
            let paging = if all.is_empty() { json!({}) } else { json!({ "cursors": { "after": end } }) };
            Some(Reply::json(200, &json!({ "data": all, "paging": paging })))
        }
        _ => {
            let (method, id) = line.split_once(" /")?;
            let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
            match method {
                "POST" if is_id => match board.change(id, request.form().get("message")?) {
                    true => Some(Reply::json(200, &json!({ "success": true }))),
                    false => error(400, 100, 33),
                },
                "DELETE" if is_id => match board.remove(id) {
                    true => Some(Reply::json(200, &json!({ "success": true }))),
                    false => error(400, 100, 33),
                },
                _ => None,
            }
        }
    }
}

/// <https://core.telegram.org/bots/api>: "Making requests", `sendMessage`, `editMessageText`, `deleteMessage`, `LinkPreviewOptions`.
pub fn telegram(board: &mut Board, request: &Request) -> Option<Reply> {
    let error = |code: u16, text: &str| {
        Some(Reply::json(code, &json!({ "ok": false, "error_code": code, "description": text })))
    };
    let Some(method) = request.path.strip_prefix(&format!("/bot{TOKEN}/")) else {
        return error(401, "Unauthorized");
    };
    let body = request.json();
    assert!(request.method == "POST" && body["chat_id"] == "@notices", "{body}");
    let message = |id: &str, text: &str| {
        let chat = json!({ "id": -100, "type": "channel", "username": "notices" });
        json!({ "ok": true, "result": { "message_id": id.parse::<i64>().ok(), "date": 1, "chat": chat, "text": text } })
    };
    let id = body["message_id"].as_i64().map(|id| id.to_string()).unwrap_or_default();
    match method {
        "sendMessage" => {
            let text = body["text"].as_str()?;
            for entity in body["entities"].as_array().into_iter().flatten() {
                let units = text.encode_utf16().count() as u64;
                assert!(entity["offset"].as_u64()? + entity["length"].as_u64()? <= units);
            }
            let parent = body["reply_parameters"]["message_id"].as_i64().map(|id| id.to_string());
            let id = board.make(text, parent, "");
            Some(Reply::json(200, &message(&id, text)))
        }
        "editMessageText" => {
            let text = body["text"].as_str()?;
            if board.posts.iter().any(|post| post.id == id && post.text == text) {
                return error(400, "Bad Request: message is not modified");
            }
            match board.change(&id, text) {
                true => Some(Reply::json(200, &message(&id, text))),
                false => error(400, "Bad Request: message to edit not found"),
            }
        }
        "deleteMessage" => match board.remove(&id) {
            true => Some(Reply::json(200, &json!({ "ok": true, "result": true }))),
            false => error(400, "Bad Request: message to delete not found"),
        },
        _ => None,
    }
}

/// <https://spec.matrix.org/latest/client-server-api/>: "Sending events to a room", "Event replacements", "Redactions", "Getting events for
/// a room", "Standard error response".
pub fn matrix(board: &mut Board, request: &Request) -> Option<Reply> {
    if !request.bears(TOKEN) {
        return Some(Reply::json(401, &json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "Unrecognised access token." })));
    }
    let line = request.line();
    if let Some(txn) = line.strip_prefix("PUT /_matrix/client/v3/rooms/!room:example.org/send/m.room.message/") {
        let body = request.json();
        assert!(body["msgtype"] == "m.text" && body["format"] == "org.matrix.custom.html", "{body}");
        let event = |id: &str| json!({ "event_id": format!("${id}") });
        if body["m.relates_to"]["rel_type"] == "m.replace" {
            let id = body["m.relates_to"]["event_id"].as_str()?.trim_start_matches('$').to_owned();
            board.change(&id, body["m.new_content"]["body"].as_str()?);
            return Some(Reply::json(200, &event("5000")));
        }
        let parent = body["m.relates_to"]["m.in_reply_to"]["event_id"].as_str().map(str::to_owned);
        assert_eq!(body["allim.delivery"], txn);
        let id = match board.by_key(txn) {
            Some(post) => post.id.clone(),
            None => board.make(body["body"].as_str()?, parent, txn),
        };
        return Some(Reply::json(200, &event(&id)));
    }
    if let Some(rest) = line.strip_prefix("PUT /_matrix/client/v3/rooms/!room:example.org/redact/$") {
        board.remove(rest.split('/').next()?);
        return Some(Reply::json(200, &json!({ "event_id": "$6000" })));
    }
    if line == "GET /_matrix/client/v3/rooms/!room:example.org/messages" {
        assert!(request.query.get("dir").is_some_and(|dir| dir == "b"));
        let event = |post: &super::server::Posted| {
            json!({ "event_id": format!("${}", post.id), "type": "m.room.message", "origin_server_ts": NOW,
                "content": { "body": post.text, "allim.delivery": post.key } })
        };
        let chunk: Vec<Value> = board.posts.iter().map(event).collect();
        return Some(Reply::json(200, &json!({ "chunk": chunk, "start": "a" })));
    }
    None
}

/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>: "Sending messages", "Handling errors".
pub fn slack(board: &mut Board, request: &Request) -> Option<Reply> {
    if request.path != format!("/hooks/{TOKEN}") {
        return Some(Reply::text(404, "no_service"));
    }
    let body = request.json();
    let text = body["blocks"][0]["text"]["text"].as_str()?;
    assert!(request.method == "POST" && text.chars().count() <= 3_000 && body["text"].is_string());
    board.make(text, None, "");
    Some(Reply::text(200, "ok"))
}

/// <https://docs.discord.com/developers/resources/webhook>: "Execute Webhook", "Edit Webhook Message", "Delete Webhook Message".
pub fn discord(board: &mut Board, request: &Request) -> Option<Reply> {
    let Some(rest) = request.path.strip_prefix(&format!("/hooks/{TOKEN}")) else {
        return Some(Reply::json(401, &json!({ "message": "Invalid Webhook Token", "code": 50_027 })));
    };
    let unknown = || Some(Reply::json(404, &json!({ "message": "Unknown Message", "code": 10_008 })));
    let text = || Some(request.json()["embeds"][0]["description"].as_str()?.to_owned());
    match (request.method.as_str(), rest.strip_prefix("/messages/")) {
        ("POST", None) => {
            assert!(request.query.get("wait").is_some_and(|wait| wait == "true"));
            assert_eq!(request.json()["allowed_mentions"]["parse"], json!([]));
            let id = board.make(&text()?, None, "");
            Some(Reply::json(200, &json!({ "id": id, "channel_id": "9", "embeds": [] })))
        }
        ("PATCH", Some(id)) => match board.change(id, &text()?) {
            true => Some(Reply::json(200, &json!({ "id": id, "channel_id": "9" }))),
            false => unknown(),
        },
        ("DELETE", Some(id)) => match board.remove(id) {
            true => Some(Reply::text(204, "")),
            false => unknown(),
        },
        _ => None,
    }
}

/// <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using>: "Send adaptive cards using an
/// incoming webhook"; workflows answer 202.
pub fn teams(board: &mut Board, request: &Request) -> Option<Reply> {
    if request.path != format!("/hooks/{TOKEN}") {
        return Some(Reply::json(401, &json!({ "error": { "code": "DirectApiAuthorizationRequired" } })));
    }
    let body = request.json();
    let card = &body["attachments"][0];
    assert!(card["contentType"] == "application/vnd.microsoft.card.adaptive" && request.body.len() < 28_000);
    board.make(card["content"]["body"][1]["text"].as_str()?, None, "");
    Some(Reply::text(202, ""))
}

/// <https://pinboard.in/api/>: "posts/add", "posts/get", "posts/delete", "Authentication".
pub fn delicious(board: &mut Board, request: &Request) -> Option<Reply> {
    let xml = |text: &str| {
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>";
        Some(Reply {
            status: 200,
            headers: vec![("content-type", "text/xml".to_owned())],
            body: format!("{head}{text}"),
        })
    };
    if request.query.get("auth_token").is_none_or(|token| token != &format!("user:{TOKEN}")) {
        return Some(Reply::text(401, "401 Forbidden"));
    }
    let url = request.query.get("url")?.clone();
    match request.line().as_str() {
        "GET /posts/add" => {
            let (title, text) = (request.query.get("description")?, request.query.get("extended")?);
            assert!(title.chars().count() <= 255 && request.query.get("dt")?.ends_with('Z'));
            assert!(request.query.get("replace")? == "yes" && request.query.get("tags")? == "혁신");
            board.posts.retain(|post| post.key != url);
            board.make(text, None, &url);
            xml("<result code=\"done\" />")
        }
        "GET /posts/get" => {
            let posts = board.posts.iter().filter(|post| post.key == url);
            let posts: String = posts
                .map(|post| format!("<post href=\"{}\" description=\"t\" />", post.key.replace('&', "&amp;")))
                .collect();
            xml(&format!("<posts dt=\"{AT}\" user=\"user\">{posts}</posts>"))
        }
        "GET /posts/delete" => {
            let is_there = board.by_key(&url).is_some();
            board.posts.retain(|post| post.key != url);
            xml(if is_there { "<result code=\"done\" />" } else { "<result code=\"item not found\" />" })
        }
        _ => None,
    }
}

/// <https://learn.microsoft.com/linkedin/marketing/community-management/shares/posts-api>: "Organic posts", "Find posts by authors",
/// "Update posts", "Delete posts"; `…/little-text-format`.
pub fn linkedin(board: &mut Board, request: &Request) -> Option<Reply> {
    if !request.bears(TOKEN) {
        return Some(Reply::json(401, &json!({ "status": 401, "code": "REVOKED_ACCESS_TOKEN", "message": "revoked" })));
    }
    assert_eq!(request.header("x-restli-protocol-version"), "2.0.0");
    assert_eq!(request.header("linkedin-version").len(), 6);
    let (line, how) = (request.line(), request.header("x-restli-method"));
    let urn = |id: &str| format!("urn:li:share:{id}");
    if let Some(id) = request.path.strip_prefix("/rest/posts/urn:li:share:") {
        return match (request.method.as_str(), how) {
            ("DELETE", "DELETE") => {
                board.remove(id);
                Some(Reply::text(204, ""))
            }
            ("POST", "PARTIAL_UPDATE") => {
                let text = request.json()["patch"]["$set"]["commentary"].as_str()?.to_owned();
                Some(if board.change(id, &text) { Reply::text(204, "") } else { Reply::text(404, "") })
            }
            _ => None,
        };
    }
    match (line.as_str(), how) {
        ("POST /rest/posts", "") => {
            let body = request.json();
            assert!(body["author"] == "urn:li:organization:77" && body["lifecycleState"] == "PUBLISHED");
            let text = body["commentary"].as_str()?;
            assert!(text.contains("{hashtag|\\#|혁신}"), "{text}");
            let key = body["content"]["article"]["source"].as_str().unwrap_or_default().to_owned();
            if let Some(post) = board.posts.iter().find(|post| post.text == text) {
                let message = format!("Content is a duplicate of {}", urn(&post.id));
                return Some(Reply::json(422, &json!({ "status": 422, "code": "DUPLICATE_POST", "message": message })));
            }
            let id = board.make(text, None, &key);
            Some(Reply::text(201, "").with("x-restli-id", &urn(&id)))
        }
        ("GET /rest/posts", "FINDER") => {
            let post = |post: &super::server::Posted| {
                json!({ "id": urn(&post.id), "commentary": post.text, "createdAt": NOW,
                    "content": { "article": { "source": post.key } } })
            };
            let (start, count) = (number(request, "start"), number(request, "count").min(50));
            let elements: Vec<Value> = page(board, start, count).into_iter().map(post).collect();
            Some(Reply::json(200, &json!({ "elements": elements, "paging": {} })))
        }
        _ => None,
    }
}

/// <https://developers.facebook.com/docs/threads/posts>, `…/threads-media`, `…/reply-management`, `…/posts/delete-posts`.
pub fn threads(board: &mut Board, request: &Request) -> Option<Reply> {
    let error = |code: i64, subcode: i64| {
        Some(Reply::json(400, &json!({ "error": { "message": "…", "code": code, "error_subcode": subcode } })))
    };
    if !request.bears(TOKEN) {
        return error(190, 463);
    }
    let line = request.line();
    match line.as_str() {
        "POST /me/threads" => {
            let form = request.form();
            assert_eq!(form.get("media_type").map(String::as_str), Some("TEXT"));
            if form.get("reply_to_id").is_some_and(|id| !board.posts.iter().any(|post| post.id == *id)) {
                return error(100, 33);
            }
            // The container carries what will be published.
            let held = json!([form.get("text"), form.get("link_attachment"), form.get("reply_to_id")]).to_string();
            board.calls.push(format!("container {held}"));
            Some(Reply::json(200, &json!({ "id": "500" })))
        }
        "POST /me/threads_publish" => {
            assert_eq!(request.form().get("creation_id").map(String::as_str), Some("500"));
            let held = board.calls.iter().rev().find_map(|call| call.strip_prefix("container "))?.to_owned();
            let held: Vec<Option<String>> = serde_json::from_str(&held).ok()?;
            let id = board.make(held[0].as_deref()?, held[2].clone(), held[1].as_deref().unwrap_or_default());
            Some(Reply::json(200, &json!({ "id": id })))
        }
        "GET /me/threads" | "GET /me/replies" => {
            let is_reply = line.ends_with("replies");
            let posts = board.posts.iter().rev().filter(|post| post.parent.is_some() == is_reply);
            let (after, most) = (number(request, "after"), number(request, "limit").min(100));
            let posts = posts.skip(after).take(most);
            let all: Vec<Value> = posts
                .map(|post| {
                    json!({ "id": post.id, "text": post.text, "link_attachment_url": post.key,
                        "replied_to": { "id": post.parent } })
                })
                .collect();
            let end = (after + all.len()).to_string();
            let paging = if all.is_empty() { json!({}) } else { json!({ "cursors": { "after": end } }) };
            Some(Reply::json(200, &json!({ "data": all, "paging": paging })))
        }
        _ => match line.strip_prefix("DELETE /").map(|id| board.remove(id)) {
            Some(true) => Some(Reply::json(200, &json!({ "success": true }))),
            Some(false) => error(100, 33),
            None => None,
        },
    }
}

/// <https://developers.line.biz/en/reference/messaging-api/#send-broadcast-message>, "Retry a failed API request".
pub fn line(board: &mut Board, request: &Request) -> Option<Reply> {
    if !request.bears(TOKEN) {
        return Some(Reply::json(401, &json!({ "message": "Authentication failed." })));
    }
    if request.line() != "POST /v2/bot/message/broadcast" {
        return None;
    }
    let (body, key) = (request.json(), request.header("x-line-retry-key"));
    assert_eq!(key.len(), 36);
    if let Some(post) = board.by_key(key) {
        let message = json!({ "message": "The retry key is already accepted" });
        return Some(Reply::json(409, &message).with("x-line-accepted-request-id", &post.id));
    }
    let id = board.make(body["messages"][0]["text"].as_str()?, None, key);
    Some(Reply::json(200, &json!({})).with("x-line-request-id", &id))
}

/// <https://docs.ntfy.sh/publish/#publish-as-json>, <https://docs.ntfy.sh/subscribe/api/#poll-for-messages>, `#json-message-format`.
pub fn ntfy(board: &mut Board, request: &Request) -> Option<Reply> {
    if !request.bears(TOKEN) {
        return Some(Reply::json(401, &json!({ "code": 40_101, "http": 401, "error": "unauthorized" })));
    }
    match request.line().as_str() {
        "POST /" => {
            let body = request.json();
            let key = json!([body["title"], body["click"]]).to_string();
            let text = body["message"].as_str().filter(|text| !text.is_empty()).unwrap_or("triggered").trim();
            let id = board.make(text, None, &key);
            Some(Reply::json(
                200,
                &json!({ "id": id, "time": 1, "event": "message", "topic": body["topic"], "message": text }),
            ))
        }
        "GET /notices/json" => {
            assert!(request.query.get("poll").is_some_and(|poll| poll == "1") && request.query.contains_key("since"));
            let line = |post: &super::server::Posted| {
                let key: Value = serde_json::from_str(&post.key).expect("JSON");
                json!({ "id": post.id, "event": "message", "topic": "notices", "message": post.text, "title": key[0],
                    "click": key[1] })
                .to_string()
                    + "\n"
            };
            Some(Reply::text(200, &board.posts.iter().map(line).collect::<String>()))
        }
        _ => None,
    }
}

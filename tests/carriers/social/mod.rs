//! One suite for the clients of all networks: what each kind of answer, and no answer, means to a delivery. A new network is one more
//! `Case`.

mod fakes;
mod mended;
mod pictures;
mod real;
mod server;
mod storm;
mod tokens;

use allim::domain::clock::UnixMillis;
use allim::domain::delivery::{Outcome, Reason};
use allim::domain::public_address::Network as Addresses;
use allim::guard::{Guard, Rules};
use allim::render::blurb::Blurb;
use allim::render::fit::{Kind, Span};
use allim::send::carrier::Gate;
use allim::send::carriers::Settings;
use allim::send::social::network::{Credential, Found, Network, Remote, Said, Saying};
use allim::send::social::terms::Terms;
use fakes::{NOW, TOKEN};
use serde_json::json;
use server::{Documents, Mood, Reply, Request, Server};
use std::sync::Arc;
use tokio::sync::oneshot;

/// A network, and what is particular to it.
struct Case {
    name: &'static str,
    network: &'static str,
    documents: Documents,
    /// Whether a call makes a post.
    makes: fn(&Request) -> bool,
    terms: fn(&mut Terms),
    /// What it says where a login ended.
    ended: Reply,
    /// Whether what may have been posted can be looked up.
    finds: bool,
    /// Whether a success is all told by the status and header fields, so that a broken body takes nothing away.
    is_headers_only: bool,
}

/// An account at a fake.
struct Account {
    server: Server,
    network: Arc<dyn Network>,
    credential: Credential,
    case: Case,
}

fn post(path: &'static str) -> impl Fn(&Request) -> bool {
    move |request| request.method == "POST" && request.path == path
}

fn cases() -> Vec<Case> {
    let case = |name, network, documents, makes, terms, ended| Case {
        name,
        network,
        documents,
        makes,
        terms,
        ended,
        finds: true,
        is_headers_only: false,
    };
    let graph = || {
        Reply::json(400, &json!({ "error": { "message": "Session has expired", "code": 190, "error_subcode": 463 } }))
    };
    let hooks: fn(&Request) -> bool = |request| request.method == "POST" && request.path.starts_with("/hooks/");
    let unfindable = |case: Case| Case { finds: false, ..case };
    vec![
        case(
            "mastodon",
            "mastodon",
            fakes::mastodon,
            |r| post("/api/v1/statuses")(r),
            |_| (),
            Reply::json(401, &json!({ "error": "The access token was revoked" })),
        ),
        case(
            "bluesky",
            "bluesky",
            fakes::bluesky,
            |r| post("/xrpc/com.atproto.repo.createRecord")(r),
            |terms| terms.user = Some("a.example.org".to_owned()),
            Reply::json(400, &json!({ "error": "ExpiredToken", "message": "Token has expired" })),
        ),
        case(
            "x",
            "x",
            fakes::x,
            |r| post("/2/tweets")(r),
            |terms| terms.client_id = Some("client".to_owned()),
            Reply::json(401, &json!({ "title": "Unauthorized" })),
        ),
        case("facebook", "facebook", fakes::facebook, |r| post("/77/feed")(r), target::<77>, graph()),
        unfindable(case(
            "telegram",
            "telegram",
            fakes::telegram,
            |r| r.path.ends_with("/sendMessage"),
            |terms| terms.target = Some("@notices".to_owned()),
            Reply::json(401, &json!({ "ok": false, "error_code": 401, "description": "Unauthorized" })),
        )),
        case(
            "matrix",
            "matrix",
            fakes::matrix,
            |r| r.path.contains("/send/m.room.message/"),
            |terms| terms.target = Some("!room:example.org".to_owned()),
            Reply::json(401, &json!({ "errcode": "M_UNKNOWN_TOKEN", "error": "…" })),
        ),
        unfindable(case("slack", "chat_webhook", fakes::slack, hooks, flavour_slack, Reply::text(404, "no_service"))),
        unfindable(case(
            "discord",
            "chat_webhook",
            fakes::discord,
            hooks,
            |terms| terms.flavour = Some("discord".to_owned()),
            Reply::json(401, &json!({ "message": "Invalid Webhook Token", "code": 50_027 })),
        )),
        unfindable(case(
            "teams",
            "chat_webhook",
            fakes::teams,
            hooks,
            |terms| terms.flavour = Some("teams".to_owned()),
            Reply::text(404, ""),
        )),
        case(
            "delicious",
            "delicious",
            fakes::delicious,
            |r| r.path == "/posts/add",
            |_| (),
            Reply::text(401, "401 Forbidden"),
        ),
        Case {
            is_headers_only: true,
            ..case(
                "linkedin",
                "linkedin",
                fakes::linkedin,
                |r| post("/rest/posts")(r),
                target::<77>,
                Reply::json(401, &json!({ "code": "EXPIRED_ACCESS_TOKEN", "message": "…" })),
            )
        },
        case("threads", "threads", fakes::threads, |r| post("/me/threads_publish")(r), |_| (), graph()),
        unfindable(case(
            "line",
            "line",
            fakes::line,
            |r| post("/v2/bot/message/broadcast")(r),
            |_| (),
            Reply::json(401, &json!({ "message": "Authentication failed" })),
        )),
        case(
            "ntfy",
            "ntfy",
            fakes::ntfy,
            |r| post("/")(r),
            |terms| terms.target = Some("notices".to_owned()),
            Reply::json(401, &json!({ "code": 40_101 })),
        ),
    ]
}

fn flavour_slack(terms: &mut Terms) {
    terms.flavour = Some("slack".to_owned());
}

fn target<const ID: u32>(terms: &mut Terms) {
    terms.target = Some(ID.to_string());
}

fn guard() -> Guard {
    let own = vec![Addresses::parse("127.0.0.0/8").expect("a network")];
    Guard::new(Rules { own, ..Rules::default() }, "allim/test").expect("TLS")
}

impl Case {
    async fn open(self) -> Account {
        let server = Server::start(self.documents, self.makes).await;
        let network = self.client(&server.base);
        let credential = self.credential(&server.base);
        Account { server, network, credential, case: self }
    }

    fn client(&self, base: &str) -> Arc<dyn Network> {
        let mut terms = Terms::default();
        if self.network != "chat_webhook" {
            terms.server = Some(base.to_owned());
        }
        (self.terms)(&mut terms);
        Settings::read(self.network, &terms).expect("settings").network(guard())
    }

    fn credential(&self, base: &str) -> Credential {
        let access = match self.name {
            "slack" | "discord" | "teams" => format!("{base}/hooks/{TOKEN}"),
            "delicious" => format!("user:{TOKEN}"),
            _ => TOKEN.to_owned(),
        };
        let more = [("did", "did:plc:abc"), ("user_id", "42"), ("password", "canary-app-password")];
        let more = more.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Credential { access, refresh: None, expires_at: None, more }
    }
}

/// What is said in all of this.
fn blurb(text: &str) -> Blurb {
    let url = "https://allim.example.org/posts/abc?a=1&b=2";
    let mut whole = format!("{text}\n\n#혁신\n");
    let tag = whole.find('#').expect("a tag");
    let spans = vec![
        Span { kind: Kind::Tag, start: tag, end: tag + "#혁신".len() },
        Span { kind: Kind::Url, start: whole.len(), end: whole.len() + url.len() },
    ];
    whole.push_str(url);
    Blurb {
        text: whole,
        spans,
        tags: vec!["혁신".to_owned()],
        title: "토론회에 초대합니다".to_owned(),
        summary: "함께 묻습니다.".to_owned(),
        url: Some(url.to_owned()),
        language: "ko".to_owned(),
        image: None,
    }
}

fn gate(answer: bool) -> Gate {
    let (hand, gate) = oneshot::channel();
    hand.send(answer).expect("it waits");
    Gate::answered_by(gate)
}

impl Account {
    fn saying<'a>(&'a self, id: &'a str, blurb: &'a Blurb, reply_to: Option<&'a Remote>) -> Saying<'a> {
        let (since, now) = (UnixMillis(NOW - 60_000), UnixMillis(NOW));
        Saying { id, since, now, blurb, reply_to, credential: &self.credential }
    }

    async fn say(&self, id: &str, text: &str) -> Said {
        let said = self.network.say(&self.saying(id, &blurb(text), None), &mut gate(true)).await;
        self.gives_nothing_away(&said.outcome);
        said
    }

    async fn find(&self, id: &str, text: &str) -> Found {
        self.network.find(&self.saying(id, &blurb(text), None)).await
    }

    /// No token, no webhook's address and no password in what is told.
    fn gives_nothing_away(&self, outcome: &Outcome) {
        let told = format!("{outcome:?} {:?}", self.credential);
        for secret in [TOKEN, "canary-refresh", "canary-app-password"] {
            assert!(!told.contains(secret), "{}: {told}", self.case.name);
        }
        assert!(told.chars().count() < 600, "{}: {} characters", self.case.name, told.chars().count());
    }
}

/// An outcome in a few words.
fn named(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Sent { .. } => "sent".to_owned(),
        Outcome::TryLater { reason, .. } => format!("later: {reason}"),
        Outcome::Refused { reason, .. } => format!("refused: {reason}"),
        Outcome::Uncertain { reason, .. } => format!("uncertain: {reason}"),
        Outcome::NotAllowed => "not allowed".to_owned(),
    }
}

#[tokio::test]
async fn a_post_is_made_once_and_only_with_the_ledgers_word() {
    for case in cases() {
        let account = case.open().await;
        let name = account.case.name;
        let text = blurb("안녕하세요 👩‍🔬");
        let said = account.network.say(&account.saying("delivery1", &text, None), &mut gate(false)).await;
        assert_eq!((named(&said.outcome).as_str(), account.server.posts().len()), ("not allowed", 0), "{name}");
        let said = account.say("delivery1", "안녕하세요 👩‍🔬").await;
        assert_eq!(named(&said.outcome), "sent", "{name}: {:?}", said.outcome);
        let posts = account.server.posts();
        assert!(posts.len() == 1 && posts[0].text.contains("안녕하세요"), "{name}: {posts:?}");
        // Where the network knows a repeat, a repeat makes no second one.
        if account.network.can().repeats_safely_for.is_some() {
            let again = account.say("delivery1", "안녕하세요 👩‍🔬").await;
            assert_eq!(named(&again.outcome), "sent", "{name}: {:?}", again.outcome);
            assert_eq!(again.remote.map(|remote| remote.id), said.remote.map(|remote| remote.id), "{name}");
            assert_eq!(account.server.posts().len(), 1, "{name}");
        }
        assert_eq!(account.server.strays(), Vec::<String>::new(), "{name}");
    }
}

#[tokio::test]
async fn each_status_means_what_it_should() {
    let table = [
        (401, "later: login"),
        (400, "refused: content_refused"),
        (422, "refused: content_refused"),
        (429, "later: busy"),
        (500, "uncertain: answer_lost"),
        (502, "uncertain: answer_lost"),
        (503, "uncertain: answer_lost"),
        (302, "later: our_error"),
        (405, "later: our_error"),
    ];
    for case in cases() {
        let account = case.open().await;
        for (status, meaning) in table {
            // Whoever looks for a fault is told what was answered; what in it is secret isn't told.
            let reply = Reply::text(status, &format!("no: {TOKEN} {}", "x".repeat(5_000))).with("retry-after", "60");
            account.server.mood(Mood::Says(reply));
            let said = account.say("delivery1", "안녕").await;
            let name = account.case.name;
            assert_eq!(named(&said.outcome), meaning, "{name} {status}: {:?}", said.outcome);
            assert!(said.remote.is_none());
            if let Outcome::TryLater { reason: Reason::Busy, not_before, .. } = said.outcome {
                assert_eq!(not_before, Some(UnixMillis(NOW + 60_000)), "{name}");
            }
            assert_eq!(account.server.posts().len(), 0);
        }
        account.server.mood(Mood::Says(account.case.ended.clone()));
        assert_eq!(named(&account.say("delivery1", "안녕").await.outcome), "later: login", "{}", account.case.name);
        assert_eq!(account.server.strays(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn limits_are_obeyed_as_each_network_tells_them() {
    let told = |name: &str| match name {
        "mastodon" => Some(Reply::text(429, "").with("x-ratelimit-reset", "2026-11-23T10:01:30.000000Z")),
        "bluesky" => Some(Reply::text(429, "").with("ratelimit-reset", &(NOW / 1_000 + 90).to_string())),
        "x" => Some(Reply::text(429, "").with("x-rate-limit-reset", &(NOW / 1_000 + 90).to_string())),
        "telegram" => {
            Some(Reply::json(429, &json!({ "ok": false, "error_code": 429, "parameters": { "retry_after": 90 } })))
        }
        "matrix" => Some(Reply::json(429, &json!({ "errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 90_000 }))),
        "discord" => Some(Reply::json(429, &json!({ "message": "limited", "retry_after": 90.0, "global": false }))),
        _ => None,
    };
    let mut looked_at = 0;
    for case in cases() {
        let Some(reply) = told(case.name) else { continue };
        let account = case.open().await;
        account.server.mood(Mood::Says(reply));
        match account.say("delivery1", "안녕").await.outcome {
            Outcome::TryLater { reason: Reason::Busy, not_before, .. } => {
                assert_eq!(not_before, Some(UnixMillis(NOW + 90_000)), "{}", account.case.name);
            }
            outcome => panic!("{}: {outcome:?}", account.case.name),
        }
        looked_at += 1;
    }
    assert_eq!(looked_at, 6);
    for code in [4, 17, 32, 613] {
        let account = cases().into_iter().find(|case| case.name == "facebook").expect("it is there").open().await;
        account.server.mood(Mood::Says(Reply::json(400, &json!({ "error": { "code": code, "message": "limit" } }))));
        assert_eq!(named(&account.say("delivery1", "안녕").await.outcome), "later: busy", "{code}");
    }
}

#[tokio::test]
async fn a_lost_answer_is_uncertain_and_what_is_there_is_found() {
    for case in cases() {
        for mood in [Mood::MakesAndGoes, Mood::MakesAndBreaks] {
            let is_broken = matches!(mood, Mood::MakesAndBreaks);
            let account = cases().into_iter().find(|other| other.name == case.name).expect("it is there").open().await;
            let name = account.case.name;
            account.server.mood(mood);
            let said = account.say("delivery1", "안녕하세요").await;
            let expected = match is_broken {
                true if account.case.is_headers_only => "sent",
                true => "uncertain: bad_answer",
                false => "uncertain: answer_lost",
            };
            assert_eq!(named(&said.outcome), expected, "{name}: {:?}", said.outcome);
            assert_eq!(account.server.posts().len(), 1, "{name}");
            account.server.mood(Mood::Well);
            match (account.find("delivery1", "안녕하세요").await, account.case.finds) {
                (Found::There(remote), true) => assert!(!remote.id.is_empty()),
                (Found::CantTell, false) => {}
                (found, _) => panic!("{name}: {found:?}"),
            }
            assert_eq!(account.server.strays(), Vec::<String>::new(), "{name}");
        }
    }
}

#[tokio::test]
async fn what_is_not_there_is_said_not_to_be_there() {
    for case in cases().into_iter().filter(|case| case.finds) {
        let account = case.open().await;
        let found = account.find("delivery1", "안녕하세요").await;
        assert!(matches!(found, Found::NotThere), "{}: {found:?}", account.case.name);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_in_the_documents_may_all_the_same_be_to_a_post_that_was_made() {
    let page = "<!DOCTYPE html><html><title>Just a moment…</title></html>";
    let html = Reply { status: 200, headers: vec![("content-type", "text/html".to_owned())], body: page.to_owned() };
    let error = Reply::json(200, &json!({ "ok": false, "error": { "message": TOKEN, "code": 1 } }));
    let entities =
        "<?xml version=\"1.0\"?><!DOCTYPE r [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><result code=\"&b;done\"/>";
    let bomb = Reply { status: 200, headers: vec![("content-type", "text/xml".to_owned())], body: entities.to_owned() };
    for case in cases() {
        let account = case.open().await;
        for reply in [&html, &error, &bomb] {
            account.server.mood(Mood::MakesAndSays(reply.clone()));
            let said =
                account.say(&format!("delivery{}", reply.body.len()), &format!("안녕 {}", reply.body.len())).await;
            assert_eq!(named(&said.outcome), "uncertain: bad_answer", "{}: {:?}", account.case.name, said.outcome);
        }
    }
}

#[tokio::test]
async fn a_network_that_can_not_be_reached_made_nothing() {
    for case in cases() {
        let mut account = case.open().await;
        // A port that nobody listens at.
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}", free.local_addr().expect("an address"));
        drop(free);
        account.network = account.case.client(&base);
        account.credential = account.case.credential(&base);
        let outcome = account.say("delivery1", "안녕").await.outcome;
        assert_eq!(named(&outcome), "later: unreachable", "{}: {outcome:?}", account.case.name);
    }
}

/// The guard ends an answer that never does.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_drip_is_cut_off() {
    let mut waiting = tokio::task::JoinSet::new();
    for case in cases().into_iter().filter(|case| !case.is_headers_only) {
        waiting.spawn(async move {
            let account = case.open().await;
            account.server.mood(Mood::MakesAndDrips);
            let said = account.say("delivery1", "안녕").await;
            assert_eq!(named(&said.outcome), "uncertain: bad_answer", "{}: {:?}", account.case.name, said.outcome);
        });
    }
    let all = async {
        while let Some(ended) = waiting.join_next().await {
            ended.expect("it was cut off");
        }
    };
    tokio::time::timeout(allim::guard::ANSWER_MAX * 2, all).await.expect("nothing waits for ever");
}

/// Two attempts of one post, of which the first one's answer was lost: the network says that it is there already.
#[tokio::test]
async fn a_duplicate_is_the_post_itself() {
    for name in ["x", "facebook", "linkedin", "bluesky", "line"] {
        let account = cases().into_iter().find(|case| case.name == name).expect("it is there").open().await;
        account.server.mood(Mood::MakesAndGoes);
        assert_eq!(named(&account.say("delivery1", "안녕").await.outcome), "uncertain: answer_lost", "{name}");
        account.server.mood(Mood::Well);
        let again = account.say("delivery1", "안녕").await;
        assert_eq!(named(&again.outcome), "sent", "{name}: {:?}", again.outcome);
        assert!(again.remote.is_some() && account.server.posts().len() == 1, "{name}");
    }
}

#[tokio::test]
async fn posts_are_changed_answered_and_taken_away_where_that_can_be() {
    for case in cases() {
        let account = case.open().await;
        let (name, can) = (account.case.name, account.network.can());
        let Some(remote) = account.say("delivery1", "안녕하세요").await.remote else {
            assert!(!can.edit && !can.delete && !can.reply, "{name}");
            continue;
        };
        let kept: Remote = serde_json::from_str(&serde_json::to_string(&remote).expect("JSON")).expect("JSON");
        assert_eq!(kept, remote);
        if can.edit {
            let new = blurb("새로 고쳤습니다");
            let said = account.network.edit(&account.saying("delivery2", &new, None), &remote, &mut gate(true)).await;
            assert_eq!(named(&said.outcome), "sent", "{name}: {:?}", said.outcome);
            let posts = account.server.posts();
            assert!(posts.len() == 1 && posts[0].text.contains("새로 고쳤습니다"), "{name}: {posts:?}");
            let refused =
                account.network.edit(&account.saying("delivery2", &new, None), &remote, &mut gate(false)).await;
            assert_eq!(named(&refused.outcome), "not allowed", "{name}");
        }
        if can.reply {
            let more = blurb("장소가 바뀌었습니다");
            let saying = account.saying("delivery3", &more, Some(&remote));
            let said = account.network.say(&saying, &mut gate(true)).await;
            assert_eq!(named(&said.outcome), "sent", "{name}: {:?}", said.outcome);
            let parent = account.server.posts().last().and_then(|post| post.parent.clone());
            assert_eq!(parent.as_deref(), Some(remote.id.as_str()), "{name}");
            // The answer isn't taken for the post itself, which holds the same address.
            if account.case.finds {
                let found = account.network.find(&saying).await;
                let id = said.remote.map(|remote| remote.id);
                assert!(matches!(&found, Found::There(there) if Some(&there.id) == id.as_ref()), "{name}: {found:?}");
            }
        }
        if can.delete {
            let before = account.server.posts().len();
            let refused = account.network.unsay(&account.credential, &remote, &mut gate(false)).await;
            assert_eq!((named(&refused).as_str(), account.server.posts().len()), ("not allowed", before), "{name}");
            for _ in 0..2 {
                let outcome = account.network.unsay(&account.credential, &remote, &mut gate(true)).await;
                assert_eq!(named(&outcome), "sent", "{name}: {outcome:?}");
                assert_eq!(account.server.posts().len(), before - 1, "{name}");
            }
        }
        assert_eq!(account.server.strays(), Vec::<String>::new(), "{name}");
    }
}

/// Whoever stops in the middle of a call, as a shutdown does, leaves nothing behind that goes on.
#[tokio::test]
async fn a_call_can_be_given_up() {
    for case in cases() {
        let account = case.open().await;
        account.server.mood(Mood::MakesAndDrips);
        let text = blurb("안녕");
        let (saying, mut gate) = (account.saying("delivery1", &text, None), gate(true));
        let given_up =
            tokio::time::timeout(std::time::Duration::from_millis(300), account.network.say(&saying, &mut gate));
        assert!(account.case.is_headers_only || given_up.await.is_err(), "{}", account.case.name);
        account.server.mood(Mood::Well);
        assert_eq!(named(&account.say("delivery9", "다음").await.outcome), "sent", "{}", account.case.name);
    }
}

#[test]
fn every_network_of_the_list_is_in_the_suite() {
    let here: std::collections::BTreeSet<&str> = cases().iter().map(|case| case.network).collect();
    let list: std::collections::BTreeSet<&str> = allim::send::carriers::NETWORKS.iter().copied().collect();
    assert_eq!(here, list);
}

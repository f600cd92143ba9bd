//! What networks do that their documents say in small letters: posts that a person took away, duplicates, look-ups page by page, texts
//! without their address.

use super::server::{Mood, Reply};
use super::{Account, Case, Saying, blurb, cases, gate, named};
use allim::render::blurb::Blurb;
use allim::render::fit::Kind;
use allim::send::social::network::Found;
use serde_json::json;

async fn open(name: &str) -> Account {
    let case: Case = cases().into_iter().find(|case| case.name == name).expect("it is there");
    case.open().await
}

/// What a template makes that names no address.
fn without_address(text: &str) -> Blurb {
    let mut blurb = blurb(text);
    let start = blurb.spans.iter().find(|span| span.kind == Kind::Url).expect("an address").start;
    blurb.text.truncate(start);
    blurb.spans.retain(|span| span.kind != Kind::Url);
    blurb
}

async fn say(account: &Account, blurb: &Blurb) -> String {
    named(&account.network.say(&account.saying("delivery1", blurb, None), &mut gate(true)).await.outcome)
}

async fn find(account: &Account, blurb: &Blurb) -> Found {
    account.network.find(&account.saying("delivery1", blurb, None)).await
}

#[tokio::test]
async fn a_text_without_its_address_is_found_by_what_it_says() {
    for name in ["mastodon", "x"] {
        let account = open(name).await;
        let text = without_address("It's \"us\" & <them>, 안녕");
        account.server.mood(Mood::MakesAndGoes);
        assert_eq!(say(&account, &text).await, "uncertain: answer_lost");
        let found = find(&account, &text).await;
        assert!(matches!(found, Found::There(_)), "{name}: {found:?}");
        let found = find(&account, &without_address("다른 소식")).await;
        assert!(matches!(found, Found::NotThere), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn another_post_with_the_same_address_is_not_this_one() {
    for name in ["mastodon", "x", "facebook", "linkedin", "threads"] {
        let account = open(name).await;
        assert_eq!(say(&account, &blurb("첫째 소식")).await, "sent");
        let found = find(&account, &blurb("둘째 소식")).await;
        assert!(matches!(found, Found::NotThere), "{name}: {found:?}");
        let found = find(&account, &blurb("첫째 소식")).await;
        assert!(matches!(found, Found::There(_)), "{name}: {found:?}");
    }
}

#[tokio::test]
async fn what_a_person_took_away_is_no_fault_of_the_network() {
    for name in ["mastodon", "facebook", "discord", "linkedin", "threads"] {
        let account = open(name).await;
        let (first, more) = (blurb("안녕"), blurb("고쳤습니다"));
        let said = account.network.say(&account.saying("delivery1", &first, None), &mut gate(true)).await;
        let remote = said.remote.expect("it is there");
        account.server.board.lock().expect("not poisoned").posts.clear();
        let can = account.network.can();
        if can.edit {
            let saying = account.saying("delivery2", &more, None);
            let outcome = account.network.edit(&saying, &remote, &mut gate(true)).await.outcome;
            assert_eq!(named(&outcome), "refused: content_refused", "{name}: {outcome:?}");
        }
        if can.reply {
            let saying = Saying { reply_to: Some(&remote), ..account.saying("delivery2", &more, None) };
            let outcome = account.network.say(&saying, &mut gate(true)).await.outcome;
            assert_eq!(named(&outcome), "refused: content_refused", "{name}: {outcome:?}");
        }
    }
}

/// A page may hold fewer posts than were asked for, and the post may stand on one that follows.
#[tokio::test]
async fn lists_are_looked_through_to_their_end() {
    for name in ["mastodon", "facebook", "linkedin", "threads"] {
        let account = open(name).await;
        let text = |number: usize| blurb(&format!("{number}번째 소식"));
        for number in 0..150 {
            assert_eq!(say(&account, &text(number)).await, "sent");
        }
        let found = find(&account, &text(0)).await;
        assert!(matches!(found, Found::There(_)), "{name}: {found:?}");
        let found = find(&account, &text(999)).await;
        assert!(matches!(found, Found::NotThere), "{name}: {found:?}");
    }
}

/// The network says that it has this already, and it isn't in its list.
#[tokio::test]
async fn a_duplicate_that_is_not_found_may_be_the_post_itself() {
    let x = Reply::json(403, &json!({ "detail": "You are not allowed to create a Tweet with duplicate content." }));
    let message = "Content is a duplicate of urn:li:share:4711";
    let linkedin = Reply::json(422, &json!({ "code": "DUPLICATE_POST", "message": message }));
    for (name, reply) in [("x", x), ("linkedin", linkedin)] {
        let account = open(name).await;
        account.server.mood(Mood::Says(reply));
        assert_eq!(say(&account, &blurb("안녕")).await, "uncertain: answer_lost", "{name}");
    }
}

#[tokio::test]
async fn a_key_that_is_taken_is_looked_at_before_anything_is_refused() {
    let account = open("bluesky").await;
    let taken = Reply::json(400, &json!({ "error": "InvalidRequest", "message": "Record already exists" }));
    account.server.mood(Mood::Says(taken));
    // It surely isn't there: then it is the record that is wrong.
    assert_eq!(say(&account, &blurb("안녕")).await, "refused: content_refused");
    let fails: super::Documents = |_, request| {
        let status = if request.path.ends_with("getRecord") { 502 } else { 400 };
        Some(Reply::json(status, &json!({ "error": "InvalidRequest", "message": "no" })))
    };
    let server = super::Server::start(fails, |_| false).await;
    let account = Account { network: account.case.client(&server.base), server, ..account };
    assert_eq!(say(&account, &blurb("안녕")).await, "uncertain: answer_lost");
}

#[tokio::test]
async fn x_refuses_a_text_or_locks_an_account_with_one_status() {
    let account = open("x").await;
    for (detail, meaning) in [
        ("Your account is temporarily locked.", "later: login"),
        ("You are not permitted to perform this action.", "later: login"),
        ("Your Tweet text is too long.", "refused: content_refused"),
        ("You attempted to reply to a Tweet that is deleted or not visible to you.", "refused: content_refused"),
    ] {
        account.server.mood(Mood::Says(Reply::json(403, &json!({ "title": "Forbidden", "detail": detail }))));
        assert_eq!(say(&account, &blurb("안녕")).await, meaning, "{detail}");
    }
}

#[tokio::test]
async fn a_long_korean_bookmark_fits_into_an_address() {
    let account = open("delicious").await;
    let mut long = blurb("안녕");
    (long.text, long.spans) = ("혁신의 지역 정책을 함께 묻습니다. ".repeat(34), Vec::new());
    long.title = "긴 제목입니다 ".repeat(30);
    assert!(long.text.chars().count() <= 680);
    assert_eq!(say(&account, &long).await, "sent");
    let kept = account.server.posts()[0].text.clone();
    assert!(kept.chars().count() > 300 && long.text.starts_with(kept.trim_end_matches('…')), "{kept}");
}

#[tokio::test]
async fn a_message_of_a_title_only_is_found_again() {
    for text in ["", "  둘러싼 빈칸  "] {
        let account = open("ntfy").await;
        let mut bare = blurb("");
        (bare.text, bare.spans) = (text.to_owned(), Vec::new());
        account.server.mood(Mood::MakesAndGoes);
        assert_eq!(say(&account, &bare).await, "uncertain: answer_lost");
        let found = find(&account, &bare).await;
        assert!(matches!(found, Found::There(_)), "{found:?}");
    }
}

/// Whoever takes away isn't told the time: a wait of so many seconds is told by no instant.
#[tokio::test]
async fn no_wait_ends_in_1970() {
    let limited: super::Documents = |_, _| Some(Reply::text(429, "slowly").with("retry-after", "60"));
    for case in cases().into_iter().filter(|case| !matches!(case.name, "slack" | "teams" | "line" | "ntfy")) {
        let server = super::Server::start(limited, |_| false).await;
        let remote = allim::send::social::network::Remote { id: "1".to_owned(), url: None, more: Default::default() };
        let network = case.client(&server.base);
        let outcome = network.unsay(&case.credential(&server.base), &remote, &mut gate(true)).await;
        let is_so = matches!(outcome, allim::domain::delivery::Outcome::TryLater { not_before: None, .. });
        assert!(is_so, "{}: {outcome:?}", case.name);
    }
}

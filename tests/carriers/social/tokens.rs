//! Logins: what is renewed, what takes a person, and what a server says of itself.

use super::server::{Documents, Reply, Server};
use super::{UnixMillis, cases, named};
use crate::social::fakes::{NOW, TOKEN};
use allim::send::social::login::Draw;
use allim::send::social::network::Credential;

fn ended(refresh: &str) -> Credential {
    Credential {
        access: "canary-token-old1".to_owned(),
        refresh: Some(refresh.to_owned()),
        expires_at: Some(UnixMillis(NOW + 60_000)),
        more: Default::default(),
    }
}

#[tokio::test]
async fn a_login_of_x_is_renewed_and_its_refresh_token_with_it() {
    let account = cases().into_iter().find(|case| case.name == "x").expect("it is there").open().await;
    let now = UnixMillis(NOW);
    let renewed = account.network.refresh(&ended("canary-refresh-0"), now).await.expect("renewed").expect("a new one");
    assert_eq!((renewed.access.as_str(), renewed.refresh.as_deref()), (TOKEN, Some("canary-refresh-1")));
    assert_eq!(renewed.expires_at, Some(UnixMillis(NOW + 7_200_000)));
    // One that is good as it is costs no call.
    assert_eq!(account.network.refresh(&renewed, now).await.expect("good"), None);
    // A refresh token is good once.
    let outcome = account.network.refresh(&renewed.clone(), UnixMillis(NOW + 7_200_000)).await.expect_err("used up");
    assert_eq!(named(&outcome), "later: login");
    account.gives_nothing_away(&outcome);
    let draw = Draw::new(&[1; 64]);
    let page = account.network.login().expect("a browser").page(&draw);
    assert!(
        page.contains("code_challenge_method=S256")
            && page.contains(&draw.challenge())
            && page.contains("offline.access")
    );
    assert!(!page.contains(&draw.verifier));
}

#[tokio::test]
async fn a_session_of_bluesky_is_made_renewed_and_made_again() {
    let account = cases().into_iter().find(|case| case.name == "bluesky").expect("it is there").open().await;
    let now = UnixMillis(NOW);
    let password = Credential { access: "canary-app-password".to_owned(), ..Credential::default() };
    let session = account.network.refresh(&password, now).await.expect("let in").expect("a session");
    assert_eq!((session.access.as_str(), session.more["did"].as_str()), (TOKEN, "did:plc:abc"));
    assert_eq!(account.network.refresh(&session, now).await.expect("good"), None);
    for refresh in ["canary-refresh-0", "canary-refresh-gone"] {
        let old = Credential { more: session.more.clone(), ..ended(refresh) };
        let renewed = account.network.refresh(&old, now).await.expect("let in").expect("a session");
        assert_eq!(renewed.access, TOKEN);
    }
    let wrong = Credential { access: "canary-app-password-of-another".to_owned(), ..Credential::default() };
    let outcome = account.network.refresh(&wrong, now).await.expect_err("not let in");
    assert_eq!(named(&outcome), "later: login");
    account.gives_nothing_away(&outcome);
}

#[tokio::test]
async fn mastodon_is_asked_how_long_a_post_may_be() {
    let account = cases().into_iter().find(|case| case.name == "mastodon").expect("it is there").open().await;
    assert_eq!(account.network.style().limits[0].max, 500);
    account.network.learn(&account.credential).await;
    // An address counts for seven more than the measure knows.
    assert_eq!(account.network.style().limits[0].max, 1_234 - 7);
}

#[tokio::test]
async fn mastodon_is_asked_again_where_it_did_not_answer() {
    let account = cases().into_iter().find(|case| case.name == "mastodon").expect("it is there").open().await;
    let nobody = account.case.client("http://127.0.0.1:9");
    nobody.learn(&account.credential).await;
    assert_eq!(nobody.style().limits[0].max, 500);
    assert_eq!(named(&account.say("delivery1", "안녕").await.outcome), "sent");
    assert_eq!(account.network.style().limits[0].max, 1_234 - 7);
    account.say("delivery2", "다음").await;
    let asked = account.server.board.lock().expect("not poisoned").calls.clone();
    assert_eq!(asked.iter().filter(|call| call.ends_with("/instance")).count(), 1);
}

/// Half of an answer with new tokens: nobody knows them yet to hide them.
#[tokio::test]
async fn new_tokens_that_can_not_be_read_are_not_told() {
    for (name, path) in [("x", "/2/oauth2/token"), ("threads", "/refresh_access_token"), ("bluesky", "refreshSession")]
    {
        let documents: Documents = |_, _| {
            let body = "{\"access_token\":\"canary-fresh-1\",\"accessJwt\":\"canary-fresh-1\",\"expires_in\":";
            Some(Reply::text(200, body))
        };
        let server = Server::start(documents, |_| false).await;
        let case = cases().into_iter().find(|case| case.name == name).expect("it is there");
        let more = case.credential(&server.base).more;
        let old = Credential { more, ..ended("canary-refresh-0") };
        let outcome = case.client(&server.base).refresh(&old, UnixMillis(NOW)).await.expect_err("not to be read");
        assert_eq!(named(&outcome), "later: bad_answer", "{name}");
        assert!(!format!("{outcome:?}").contains("canary"), "{name}: {outcome:?}");
        let asked = server.board.lock().expect("not poisoned").calls.clone();
        assert!(asked.iter().any(|call| call.ends_with(path)), "{name}: {asked:?}");
    }
}

//! Logins: what is renewed, what takes a person, and what a server says of itself.

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
    assert_eq!(account.network.style().limits[0].max, 1_234);
}

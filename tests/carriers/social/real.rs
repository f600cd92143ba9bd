//! The same against real servers, where somebody has started them: Synapse (PyPI `matrix-synapse`) and the AT protocol's own server (npm
//! `@atproto/pds`). `cargo test --test carriers -- --ignored real`, with
//! `ALLIM_TEST_SYNAPSE="http://127.0.0.1:PORT ROOM TOKEN"` and `ALLIM_TEST_PDS="http://127.0.0.1:PORT HANDLE PASSWORD"`.

use super::{blurb, gate, guard, named};
use allim::domain::clock::{Clock as _, UnixMillis};
use allim::send::carriers::Settings;
use allim::send::social::network::{Credential, Found, Network, Saying};
use allim::send::social::terms::Terms;
use std::sync::Arc;

fn told(variable: &str) -> [String; 3] {
    let told = std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is needed: see the head of this file"));
    let words: Vec<String> = told.split(' ').map(str::to_owned).collect();
    words.try_into().expect("three words")
}

/// Says, says again, finds, changes, answers and takes away.
async fn lives(network: Arc<dyn Network>, credential: &Credential) {
    let now = allim::app::clock::SystemClock.now();
    let (id, text) = (format!("delivery{}", now.0), blurb(&format!("안녕하세요 👩‍🔬 {}", now.0)));
    let since = UnixMillis(now.0 - 1_000);
    let saying = Saying { id: &id, since, now, blurb: &text, reply_to: None, credential };
    assert!(matches!(network.find(&saying).await, Found::NotThere));
    let said = network.say(&saying, &mut gate(true)).await;
    assert_eq!(named(&said.outcome), "sent", "{:?}", said.outcome);
    let remote = said.remote.expect("it is there");
    let again = network.say(&saying, &mut gate(true)).await;
    assert_eq!(again.remote.expect("it is there").id, remote.id, "{:?}", again.outcome);
    let Found::There(found) = network.find(&saying).await else { panic!("it is there") };
    assert_eq!(found.id, remote.id);
    if network.can().edit {
        let text = blurb("새로 고쳤습니다");
        let saying = Saying { blurb: &text, ..saying };
        assert_eq!(named(&network.edit(&saying, &remote, &mut gate(true)).await.outcome), "sent");
    }
    let (reply_id, more) = (format!("reply{}", now.0), blurb("장소가 바뀌었습니다"));
    let reply = Saying { id: &reply_id, since, now, blurb: &more, reply_to: Some(&remote), credential };
    let said = network.say(&reply, &mut gate(true)).await;
    assert_eq!(named(&said.outcome), "sent", "{:?}", said.outcome);
    for _ in 0..2 {
        let outcome = network.unsay(credential, &remote, &mut gate(true)).await;
        assert_eq!(named(&outcome), "sent", "{outcome:?}");
    }
    let wrong = Credential { access: "canary-token-of-nobody".to_owned(), ..credential.clone() };
    let other_id = format!("other{}", now.0);
    let saying = Saying { id: &other_id, credential: &wrong, ..reply };
    assert_eq!(named(&network.say(&saying, &mut gate(true)).await.outcome), "later: login");
}

#[tokio::test]
#[ignore = "needs a Synapse: see the head of the file"]
async fn real_synapse() {
    let [server, room, token] = told("ALLIM_TEST_SYNAPSE");
    let terms = Terms { server: Some(server), target: Some(room), ..Terms::default() };
    let network = Settings::read("matrix", &terms).expect("settings").network(guard());
    lives(network, &Credential { access: token, ..Credential::default() }).await;
}

#[tokio::test]
#[ignore = "needs a PDS: see the head of the file"]
async fn real_pds() {
    let [server, user, password] = told("ALLIM_TEST_PDS");
    let terms = Terms { server: Some(server), user: Some(user), ..Terms::default() };
    let network = Settings::read("bluesky", &terms).expect("settings").network(guard());
    let first = Credential { access: password, ..Credential::default() };
    let now = allim::app::clock::SystemClock.now();
    let session = network.refresh(&first, now).await.expect("let in").expect("a session");
    lives(network.clone(), &session).await;
    let ended = Credential { expires_at: Some(now), ..session };
    let renewed = network.refresh(&ended, now).await.expect("let in").expect("another session");
    lives(network, &renewed).await;
}

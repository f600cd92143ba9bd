//! The networks' clients, the ledger and its sender, while each network misbehaves at random: answers that are lost after accepting,
//! errors, ended logins, nonsense. Nothing is said twice, and nothing is lost or stuck without a reason.

use super::server::{Mood, Reply};
use super::{Account as AtFake, Case, cases};
use crate::house::House;
use crate::world::World;
use allim::domain::account::{Revised, Rule};
use allim::domain::clock::{Chance as _, SeededChance};
use allim::domain::language::Language;
use allim::render::RenderError;
use allim::render::blurb::{Blurb, Link, Wording};
use allim::send::social::Account;
use allim::store::{Location, deliveries};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

/// Posts for each network, so that together they get a thousand; unless `ALLIM_STORM_POSTS` says more.
const POSTS: usize = 70;

fn dice(seed: u64, ended: Reply) -> Box<dyn FnMut() -> Mood + Send> {
    let chance = SeededChance::new(seed);
    Box::new(move || match chance.draw() % 100 {
        0..6 => Mood::MakesAndGoes,
        6..10 => Mood::MakesAndBreaks,
        10..13 => Mood::MakesAndSays(Reply::text(200, "<html>welcome</html>")),
        13..16 => Mood::MakesAndSays(Reply::text(504, "gateway timeout")),
        16..22 => Mood::Says(Reply::text(503, "no")),
        22..28 => Mood::Says(Reply::text(429, "slowly").with("retry-after", "120")),
        28..30 => Mood::Says(ended.clone()),
        _ => Mood::Well,
    })
}

fn account(case: Case, fake: &AtFake, language: &Language) -> Account {
    let rule = Rule {
        name: case.name.to_owned(),
        carrier: case.network.to_owned(),
        language: language.clone(),
        topics: Vec::new(),
        sources: Vec::new(),
        revised: Revised::Leave,
    };
    let wording = Wording {
        origin: Some("https://allim.example.org".to_owned()),
        link: Link::Page,
        language: language.clone(),
        zone: "Asia/Seoul".to_owned(),
        topics: BTreeMap::new(),
        template: None,
    };
    Account {
        endpoint_id: rule.endpoint_id(),
        rule,
        network: fake.network.clone(),
        base: fake.credential.clone(),
        slots: None,
        max_age: None,
        write: Arc::new(move |showable, style, _| {
            Blurb::write(showable, style, &wording).map_err(|unfit| RenderError::Unfit(unfit.to_string()))
        }),
        learn_at: AtomicI64::new(0),
        unkept: Default::default(),
    }
}

#[tokio::test]
async fn no_network_gets_anything_twice_and_nothing_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::new(Location::Sqlite(folder.path().join("s.sqlite"))).await;
    let count = std::env::var("ALLIM_STORM_POSTS").map_or(POSTS, |text| text.parse().expect("a number"));
    let korean = Language::parse("ko").expect("a tag");
    let (mut fakes, mut accounts) = (Vec::new(), Vec::new());
    for (seed, (case, same)) in cases().into_iter().zip(cases()).enumerate() {
        let fake = case.open().await;
        fake.server.board.lock().expect("a board").dice = Some(dice(seed as u64, fake.case.ended.clone()));
        accounts.push(account(same, &fake, &korean));
        fakes.push(fake);
    }
    let names: BTreeMap<i64, String> =
        accounts.iter().map(|account| (account.endpoint_id, account.rule.name.clone())).collect();
    let house = House::of(world, accounts, Vec::new()).await;
    let mut messages = Vec::new();
    for number in 0..count {
        let mut message = house.world.post(&format!("p{number}"), &["events"]).await;
        message["tags"] = json!(["혁신"]);
        message["body"]["content"] = json!(format!("{number}번째 소식의 본문입니다."));
        messages.push(message);
    }
    house.world.accept_all(&messages).await;
    house.pass(Duration::from_secs(2 * 86_400)).await;
    assert!(house.is_idle().await, "nothing is stuck");
    let all = house.world.store.read(|tx| deliveries::list(tx, None, None, 100_000)).await.expect("listed");
    assert_eq!(all.len(), fakes.len() * count);
    for fake in fakes {
        let name = fake.case.name;
        let posts = fake.server.posts();
        let texts: BTreeSet<String> = posts.iter().map(|post| post.text.clone()).collect();
        assert_eq!(texts.len(), posts.len(), "{name} got something twice");
        let own: Vec<_> = all.iter().filter(|one| names[&one.recipient_id] == name).collect();
        let in_state = |state: &str| own.iter().filter(|one| one.state == state).count();
        let (sent, uncertain) = (in_state("sent"), in_state("uncertain"));
        assert_eq!(
            sent + uncertain,
            count,
            "{name}: {:?}",
            own.iter().find(|one| !matches!(one.state.as_str(), "sent" | "uncertain"))
        );
        assert!(own.iter().all(|one| one.reason.is_some()), "{name}");
        // What a person is to settle is what can't be looked up: at some networks nothing can, at others not what lies further back
        // than a page shows.
        let few = if fake.case.finds { count / 10 } else { count / 2 };
        assert!(uncertain <= few, "{name}: {uncertain} uncertain");
        assert!(posts.len() >= sent, "{name}: {} of {sent}", posts.len());
        assert_eq!(fake.server.strays(), Vec::<String>::new(), "{name}");
    }
    house.close().await;
}

//! Feeds to pull, and what pulls them into a world.

use crate::server::{Reply, Server};
use crate::world::World;
use allim::domain::clock::{SeededChance, UnixMillis};
use allim::domain::post::{Post, Standing};
use allim::domain::public_address::Network;
use allim::guard::{Guard, Rules};
use allim::intake::Intake;
use allim::intake::accept::{Backfill, Republish, Revisions, Source};
use allim::intake::feed::{Begin, Followed, Puller, Taken};
use allim::intake::wire::SourcePolicy;
use allim::store::posts::{self, Filter};
use allim::store::pulled::{self, Feed};
use allim::store::quarantine::{self, Quarantined};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The tag authority of the installation that pulls.
pub const OWN: &str = "here.example,2026";

pub struct Reader {
    pub world: World,
    pub server: Server,
    pub puller: Arc<Puller>,
}

pub fn intake(world: &World) -> Intake {
    let policy = SourcePolicy {
        name: "partner".to_owned(),
        topics_default: vec!["events".to_owned()],
        topics_known: vec!["events".to_owned(), "notices".to_owned()],
        own_authority: Some(OWN.to_owned()),
        ..SourcePolicy::default()
    };
    let source = Source { policy, republish: Republish::Revise, revisions: Revisions::Silent };
    let sources = BTreeMap::from([("partner".to_owned(), source)]);
    let backfill = Backfill::OlderThan(Duration::from_secs(7 * 86_400));
    Intake::new(world.store.clone(), sources, backfill, Arc::new(Notify::new()))
}

pub fn followed(url: &str) -> Followed {
    Followed {
        url: url.to_owned(),
        source: "partner".to_owned(),
        every: Duration::from_secs(900),
        topics: Vec::new(),
        categories: BTreeMap::from([("공지사항".to_owned(), vec!["notices".to_owned()])]),
        language: Some("ko".to_owned()),
        author: Some("한강 연구소".to_owned()),
        license: Some("CC BY 4.0".to_owned()),
        entries_max: 200,
        from: Begin::Now,
    }
}

impl Reader {
    /// Follows these paths of a server of its own.
    pub async fn new(world: World, paths: &[&str]) -> Self {
        let server = Server::start().await;
        let feeds = paths.iter().map(|path| followed(&server.url(path))).collect();
        Self::with(world, server, feeds)
    }

    pub fn with(world: World, server: Server, feeds: Vec<Followed>) -> Self {
        let own = vec![Network::parse("127.0.0.0/8").expect("a network")];
        let guard = Guard::new(Rules { own, ..Rules::default() }, "allim test").expect("a guard");
        let puller = Puller {
            store: world.store.clone(),
            intake: intake(&world),
            guard,
            chance: Arc::new(SeededChance::new(7)),
            feeds,
        };
        Self { world, server, puller: Arc::new(puller) }
    }

    /// Pulls the only feed.
    pub async fn pull(&self) -> Result<Taken, String> {
        let mut pulled = self.puller.pull_now("partner").await.expect("the store");
        assert_eq!(pulled.len(), 1);
        pulled.remove(0).1
    }

    pub async fn pull_this(&self, reply: Reply) -> Result<Taken, String> {
        // On PostgreSQL time goes by of itself.
        self.world.clock.set(self.world.now().await.plus(Duration::from_millis(5)));
        self.server.say("/feed", reply);
        self.pull().await
    }

    pub async fn posts(&self) -> Vec<(Standing, Post)> {
        let look = |tx: &mut allim::store::Tx<'_>| posts::list(tx, &Filter::default(), 100);
        self.world.store.read(look).await.expect("read")
    }

    pub async fn only(&self) -> (Standing, Post) {
        let mut posts = self.posts().await;
        assert_eq!(posts.len(), 1, "{posts:?}");
        posts.remove(0)
    }

    pub async fn quarantined(&self) -> Vec<Quarantined> {
        self.world.store.read(|tx| quarantine::list(tx, 100)).await.expect("read")
    }

    pub async fn feed(&self) -> Feed {
        let url = self.puller.feeds[0].url.clone();
        self.world.store.read(move |tx| pulled::find(tx, &url)).await.expect("read").expect("known")
    }
}

/// An Atom feed of these entries.
pub fn atom(entries: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" \
         xmlns:at=\"http://purl.org/atompub/tombstones/1.0\" xmlns:allim=\"https://allim.org/ns/feed/1\" xml:lang=\"ko\">\
         <id>urn:feed</id><title>소식</title><updated>2026-01-01T00:00:00Z</updated>{entries}</feed>"
    )
}

pub fn entry(id: &str, title: &str, link: &str, published_at: Option<UnixMillis>) -> String {
    let date = published_at.map(|at| format!("<published>{at}</published><updated>{at}</updated>")).unwrap_or_default();
    format!(
        "<entry><id>{id}</id><title>{title}</title><link href=\"{link}\"/>{date}\
         <content type=\"html\">&lt;p&gt;{title} 본문&lt;/p&gt;</content></entry>"
    )
}

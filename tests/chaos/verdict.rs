//! What must be true after every run, whatever was done to the house: the promise, as set arithmetic.

use crate::house::{House, READERS};
use crate::support::sink::Received;
use allim::domain::ids;
use allim::send::lease::{LEASE, RENEWAL};
use allim::store::Row;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

/// Deliveries that a connection can leave uncertain when it is lost: the one on its way, and those marked ahead.
const UNCERTAIN_PER_CONNECTION: usize = 1 + allim::send::MARKED_AHEAD;
/// After a lease and its last renewal: settling what is uncertain, the last digest, and a machine that compiles meanwhile.
const FINISH_MAX: Duration = Duration::from_secs(45);

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub posts: usize,
    pub mails: usize,
    pub uncertain: usize,
    pub repeated: usize,
    pub connections_lost: usize,
    pub kills_in_sending: usize,
    pub recovery_max: Duration,
}

impl Figures {
    /// This run and another one together.
    pub fn and(self, other: Self) -> Self {
        Self {
            posts: self.posts + other.posts,
            mails: self.mails + other.mails,
            uncertain: self.uncertain + other.uncertain,
            repeated: self.repeated + other.repeated,
            connections_lost: self.connections_lost + other.connections_lost,
            kills_in_sending: self.kills_in_sending + other.kills_in_sending,
            recovery_max: self.recovery_max.max(other.recovery_max),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { posts, mails, uncertain, repeated, connections_lost, kills_in_sending, recovery_max } = self;
        write!(
            f,
            "{posts} posts, {mails} mails; {connections_lost} connections lost ({kills_in_sending} kills met a row in \
             `sending`): {uncertain} deliveries uncertain, {repeated} repeated; slowest recovery {recovery_max:.1?}"
        )
    }
}

/// Waits until everything is final, and holds it against the promise:
///
/// - nothing that was confirmed is missing at any reader, and no reader has it in two mails;
/// - nothing was accepted twice but deliveries marked uncertain, and a repeat is byte-equal;
/// - no more deliveries are uncertain than the connections lost explain;
/// - nothing is left `claimed` or `sending` one lease after the last fault, nor waits for anything.
pub async fn hold(house: &House) -> Figures {
    let name = &house.name;
    house.all_confirmed().await;
    let confirmed = house.confirmed.lock().expect("not poisoned").clone();
    settle(house, confirmed.len() * READERS).await;
    let received = house.received();
    let given = given(&received);
    let stories: BTreeSet<&str> = given.keys().map(|(_, post)| post.as_str()).collect();
    let missing: Vec<_> = confirmed.keys().filter(|post| !stories.contains(post.as_str())).collect();
    assert!(missing.is_empty(), "{name}: confirmed and at no reader: {missing:?}");
    let invented: Vec<_> = stories.iter().filter(|post| !confirmed.contains_key(**post)).collect();
    assert!(invented.is_empty(), "{name}: delivered and never published: {invented:?}");
    assert_eq!(given.len(), confirmed.len() * READERS, "{name}: not every story is at every reader");
    let twice: Vec<_> = given.iter().filter(|(_, mails)| mails.len() != 1).collect();
    assert!(twice.is_empty(), "{name}: in more than one mail: {twice:?}");
    let uncertain = uncertain(house).await;
    let repeated = repeats(name, &received, &uncertain);
    let uncertain_max = house.connections_lost * UNCERTAIN_PER_CONNECTION;
    let count = uncertain.len();
    assert!(count <= uncertain_max, "{name}: {count} uncertain, not {uncertain_max} at most: {}", why(house).await);
    Figures {
        posts: confirmed.len(),
        mails: received.len(),
        uncertain: uncertain.len(),
        repeated,
        connections_lost: house.connections_lost,
        kills_in_sending: house.kills_in_sending,
        recovery_max: house.recovery_max,
    }
}

/// Waits until every story is with every reader and no delivery is open.
async fn settle(house: &House, wanted: usize) {
    let until = house.disturbed_at.max(Instant::now() - LEASE) + LEASE + RENEWAL + FINISH_MAX;
    loop {
        let counted = house.counted().await;
        // A server that is away counts nothing.
        let is_final = |state: &String| matches!(state.as_str(), "sent" | "cancelled");
        if !counted.is_empty() && counted.keys().all(is_final) && given(&house.received()).len() >= wanted {
            return;
        }
        let given = given(&house.received()).len();
        assert!(
            Instant::now() < until,
            "{}: a lease and more after the last fault, {given} of {wanted} are given, and {counted:?}\n{}",
            house.name,
            house.log()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// The deliveries that were ever marked uncertain. Such a one has a row of its own.
async fn uncertain(house: &House) -> BTreeSet<String> {
    const SQL: &str = "SELECT plan_id, recipient_id FROM deliveries WHERE uncertain_at IS NOT NULL";
    let rows = house.store.read(|tx| tx.query(SQL, &[])).await.expect("read");
    let id = |row: &Row| ids::delivery_text_id(row.int(0).expect("a plan"), row.int(1).expect("a reader"), "email");
    rows.iter().map(id).collect()
}

/// Why attempts ended uncertain, and what the log says of processes.
async fn why(house: &House) -> String {
    const SQL: &str = "SELECT term, COALESCE(reason, ''), COUNT(*) FROM attempts WHERE outcome = 'uncertain'
         GROUP BY term, COALESCE(reason, '')";
    let rows = house.store.read(|tx| tx.query(SQL, &[])).await.expect("read");
    let warnings: Vec<String> = house.log().lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect();
    format!("{rows:?}\n{}", warnings.join("\n"))
}

/// Counts the deliveries that were accepted more than once; each must be marked uncertain, and its repeats byte-equal.
fn repeats(name: &str, received: &[Received], uncertain: &BTreeSet<String>) -> usize {
    let mut by_id: BTreeMap<&str, Vec<&Received>> = BTreeMap::new();
    for mail in received {
        by_id.entry(&mail.message_id).or_default().push(mail);
    }
    by_id.retain(|_, mails| mails.len() > 1);
    for (id, mails) in &by_id {
        assert!(mails.iter().all(|mail| mail.bytes == mails[0].bytes), "{name}: a repeat of {id} differs");
        let local = id.trim_start_matches('<').split('@').next().expect("an id");
        assert!(uncertain.contains(local), "{name}: {id} is repeated and not marked uncertain");
    }
    by_id.len()
}

/// In which mails each reader got each post.
pub fn given(received: &[Received]) -> BTreeMap<(String, String), BTreeSet<String>> {
    let mut given: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for mail in received {
        for post in mail.posts() {
            given.entry((mail.recipient.clone(), post)).or_default().insert(mail.message_id.clone());
        }
    }
    given
}

//! What the daemon knows of its senders' standing: looked up beside everything else, and read where mail is claimed.

use super::resolver::Resolver;
use super::{Grade, Point, Rule, Subject, is_nowhere, look};
use crate::domain::clock::UnixMillis;
use crate::store::large::{self, Mailing, Wanted};
use crate::store::{Store, StoreError, Tx, second};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// While receivers would refuse a sender's mail it is looked at this often, if not oftener.
const LOOK_WHILE_REFUSED: Duration = Duration::from_secs(60);
/// Nothing is claimed before the first look, but no longer than this: a DNS that doesn't answer holds nobody up.
const FIRST_LOOK_MAX: Duration = Duration::from_secs(10);
/// What is kept back rests this long before it is looked at again, should nobody wake it sooner.
const REST: Duration = large::REST;

/// How senders are looked at.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The senders that have relays.
    pub subjects: Vec<Subject>,
    /// The name server to ask; the system's when absent.
    pub resolver: Option<SocketAddr>,
    /// What becomes of large sends that would be refused.
    pub rule: Rule,
    /// A send to more recipients is large.
    pub large: i64,
    /// How often.
    pub every: Duration,
    /// Which sends wait for a second person.
    pub second: second::Rule,
}

/// Senders whose mail to many receivers would refuse, with the reason.
type Refused = BTreeMap<String, String>;

/// Why a sender's mail to many would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    reason: String,
    /// The points that say so.
    about: BTreeSet<&'static str>,
}

/// What is known.
pub struct Board {
    refused: Mutex<Arc<Refused>>,
    has_looked: watch::Sender<bool>,
    large: i64,
    second: second::Rule,
}

impl Board {
    /// A board before the first look.
    #[must_use]
    pub fn new(settings: &Settings) -> Arc<Self> {
        let has_looked = watch::channel(settings.is_idle()).0;
        Arc::new(Self { refused: Mutex::default(), has_looked, large: settings.large, second: settings.second })
    }

    /// A board that nobody writes on: for tests and measurements of sending by itself.
    #[must_use]
    pub fn blank() -> Arc<Self> {
        let has_looked = watch::channel(true).0;
        Arc::new(Self { refused: Mutex::default(), has_looked, large: i64::MAX, second: second::Rule::default() })
    }

    /// Waits for the first look.
    pub(in crate::send) async fn looked(&self) {
        let mut has_looked = self.has_looked.subscribe();
        // The sender lives as long as this.
        let _ = tokio::time::timeout(FIRST_LOOK_MAX, has_looked.wait_for(|has| *has)).await;
    }

    /// Keeps back large sends at a destination, in the transaction that claims from it: those that receivers would refuse, and those
    /// that wait for a second person. Costs nothing while no sender would be refused and nobody is to be asked.
    pub(in crate::send) fn keep_back(
        &self,
        tx: &mut Tx<'_>,
        destination: &str,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        for plan_id in second::keep_back(tx, &self.second, destination, now)? {
            tracing::warn!(plan_id, "a send waits for a second person; `allim hold` lists it");
        }
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if refused.is_empty() {
            return Ok(());
        }
        let wanted = Wanted { destination, refused: &refused, large: self.large, until: now.plus(REST) };
        for Mailing { plan_id, sender } in large::keep_back(tx, &wanted, now)? {
            tracing::warn!(plan_id, sender, "a large send is kept back; `allim hold` says why");
        }
        Ok(())
    }
}

impl Settings {
    /// Whether no sender can be looked up.
    fn is_idle(&self) -> bool {
        self.subjects.iter().all(|subject| is_nowhere(&subject.from))
    }
}

/// Looks again and again until `stop` turns true, and lets go what was kept back once nothing is wrong any more. `gone_on` is called
/// when mail is due again.
pub async fn watch(
    store: Store,
    board: Arc<Board>,
    settings: Settings,
    gone_on: impl Fn(),
    mut stop: watch::Receiver<bool>,
) {
    let resolver = match settings.is_idle() {
        true => None,
        false => Resolver::new(settings.resolver)
            .inspect_err(|error| tracing::warn!(%error, "senders aren't looked up in the DNS"))
            .ok(),
    };
    let mut standing = BTreeMap::new();
    let mut silent = BTreeSet::new();
    while !*stop.borrow() {
        if let Some(resolver) = &resolver {
            let looking = look_at_all(&settings, resolver, &mut standing, &mut silent);
            tokio::select! {
                () = looking => {}
                _ = stop.changed() => break,
            }
        }
        let reasons = standing.iter().map(|(sender, why): (&String, &Refusal)| (sender.clone(), why.reason.clone()));
        let refused: Refused = reasons.filter(|_| settings.rule == Rule::Refuse).collect();
        let senders: BTreeSet<String> = refused.keys().cloned().collect();
        *board.refused.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(refused);
        board.has_looked.send_replace(true);
        match review(&store, senders, settings.second).await {
            Ok(true) => gone_on(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "sends that are kept back could not be looked through"),
        }
        let rest = if standing.is_empty() { settings.every } else { settings.every.min(LOOK_WHILE_REFUSED) };
        tokio::select! {
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Looks at every sender; `silent` are those of whom the DNS hasn't told everything.
async fn look_at_all(
    settings: &Settings,
    resolver: &Resolver,
    standing: &mut BTreeMap<String, Refusal>,
    silent: &mut BTreeSet<String>,
) {
    for subject in settings.subjects.iter().filter(|subject| !is_nowhere(&subject.from)) {
        let points = look(subject, resolver).await;
        let before = standing.remove(&subject.sender);
        let now = weigh(&points, before.as_ref());
        if now != before {
            tell(subject, settings.rule, now.as_ref().map(|why| why.reason.as_str()));
        }
        let unanswered: Vec<&str> =
            points.iter().filter(|one| one.grade == Grade::Unanswered).map(|one| one.found.as_str()).collect();
        if unanswered.is_empty() {
            silent.remove(&subject.sender);
        } else if silent.insert(subject.sender.clone()) {
            let what = unanswered.join("; ");
            tracing::warn!(
                sender = subject.sender,
                what,
                "whether receivers take mail to many isn't known; it goes as before"
            );
        }
        let is_refused = if now.is_some() { 1.0 } else { 0.0 };
        metrics::gauge!("allim_sender_refused", "sender" => subject.sender.clone()).set(is_refused);
        standing.extend(now.map(|why| (subject.sender.clone(), why)));
    }
}

/// Why mail to many would be refused, if it would. A DNS that is silent changes nothing: it neither holds mail back nor lets it
/// go. Silence about something else than what was refused says nothing about that.
fn weigh(points: &[Point], before: Option<&Refusal>) -> Option<Refusal> {
    let refused = || points.iter().filter(|point| point.grade == Grade::Refused);
    if refused().next().is_some() {
        let reasons: Vec<String> = refused().map(|one| format!("{}: {}", one.found, one.fix)).collect();
        return Some(Refusal { reason: reasons.join("; "), about: refused().map(|one| one.about).collect() });
    }
    let is_silent =
        |why: &&Refusal| points.iter().any(|point| point.grade == Grade::Unanswered && why.about.contains(point.about));
    before.filter(is_silent).cloned()
}

fn tell(subject: &Subject, rule: Rule, refused: Option<&str>) {
    let sender = &subject.sender;
    match (refused, rule) {
        (Some(why), Rule::Refuse) => tracing::warn!(sender, why, "large sends wait: receivers would refuse them"),
        (Some(why), Rule::Warn) => tracing::warn!(sender, why, "receivers refuse large sends"),
        (None, _) => tracing::info!(sender, "receivers have nothing against large sends any more"),
    }
}

async fn review(store: &Store, refused: BTreeSet<String>, rule: second::Rule) -> Result<bool, StoreError> {
    // Without the writer's time as long as nothing is kept back.
    let look = |tx: &mut Tx<'_>| Ok((large::kept_back(tx)?, large::let_go_before(tx)?, second::any(tx)?));
    let (kept, let_go, any_second) = store.read(look).await?;
    metrics::gauge!("allim_large_sends_kept_back").set(kept.len() as f64);
    let now = store.now().await?;
    let goes_on = any_second && store.write(move |tx| second::tidy(tx, &rule, now)).await?;
    if kept.is_empty() && let_go.is_empty() {
        return Ok(goes_on);
    }
    let gone_on = store.write(move |tx| large::review(tx, &refused, now)).await?;
    for Mailing { plan_id, sender } in &gone_on {
        tracing::info!(plan_id, sender, "a large send goes on");
    }
    Ok(goes_on || !gone_on.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(grade: Grade) -> Point {
        Point::new("spf", grade, "found", "fix")
    }

    #[test]
    fn silence_changes_nothing() {
        let silent = [point(Grade::Well), point(Grade::Unanswered)];
        assert_eq!(weigh(&silent, None), None);
        let why = |about: &'static str| Refusal { reason: "why".to_owned(), about: BTreeSet::from([about]) };
        assert_eq!(weigh(&silent, Some(&why("spf"))), Some(why("spf")));
        assert_eq!(weigh(&silent, Some(&why("dmarc"))), None, "it was mended, whatever else isn't answered");
        assert_eq!(weigh(&[point(Grade::Doubtful), point(Grade::Wrong)], Some(&why("spf"))), None);
        let refused = [point(Grade::Refused), point(Grade::Unanswered)];
        let told = weigh(&refused, None).expect("it is refused");
        assert_eq!((told.reason.as_str(), told.about), ("found: fix", BTreeSet::from(["spf"])));
    }
}

//! Our hub's questions: whoever asks in the name of a callback is believed when that callback says so (W3C WebSub section 5.3,
//! verification of intent).

use crate::domain::clock::{Chance, UnixMillis};
use crate::domain::feed::{HUB_PING, WEBSUB};
use crate::domain::{backoff, ids};
use crate::guard::{Answer, Call, Failure, Guard};
use crate::render::feed::{House, Which};
use crate::store::endpoints::{Endpoint, New};
use crate::store::hub::{Mode, Request};
use crate::store::{Store, StoreError, Tx, endpoints, hub};
use reqwest::Method;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Callbacks that are asked at once.
const AT_ONCE_MAX: usize = 32;
/// How long a callback may take to say whether it wants a feed.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// It is looked for requests this often, in case a wake-up was lost or came from another process.
const POLL: Duration = Duration::from_secs(1);
/// A request that was taken is taken again after this, if nobody says what came of it: longer than an answer can take.
const TAKEN_FOR: Duration = Duration::from_secs(120);
/// How often a callback that can't be reached is asked.
const TRIES_MAX: i64 = 3;
/// Octets of an answer that are read: a challenge is shorter.
const ANSWER_MAX: usize = 1_024;
/// Endpoints ended in one transaction at most.
const LAPSED_MAX: i64 = 200;
/// Endpoints that ended are forgotten after this.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30 * 86_400);
/// Live endpoints looked through at the start: as many as there can be.
const LIVE_MAX: i64 = 1_000_000;

/// What asks.
pub struct Asker {
    /// The store.
    pub store: Store,
    /// The way out.
    pub guard: Guard,
    /// For challenges.
    pub chance: Arc<dyn Chance>,
    /// What feeds have in common.
    pub house: Arc<House>,
    /// Whether there is a hub of our own.
    pub is_open: bool,
    /// Hubs of others that are told of changes.
    pub other_hubs: Vec<String>,
    /// Whether the database may be another one's: then it stays as it was found (design rule 19).
    pub is_in_doubt: Arc<dyn Fn() -> bool + Send + Sync>,
}

/// Asks callbacks, and ends subscriptions whose time is over, until `stop` turns true.
pub async fn run(asker: Arc<Asker>, wake: Arc<Notify>, mut stop: watch::Receiver<bool>) {
    let (mut asking, mut is_tidy) = (JoinSet::new(), false);
    while !*stop.borrow() {
        let rest = match round(&asker, &mut asking, &mut is_tidy).await {
            Ok(()) => POLL,
            Err(error) => {
                tracing::warn!(%error, "requests to the hub could not be looked through");
                backoff::SERVICE.wait(1, asker.chance.draw_32())
            }
        };
        tokio::select! {
            Some(_) = asking.join_next() => {}
            () = wake.notified() => {}
            () = tokio::time::sleep(rest) => {}
            _ = stop.changed() => {}
        }
    }
    // What isn't answered is asked again by whoever comes next.
    asking.shutdown().await;
}

/// What the configuration has no use for any more ends, and the hubs that it names are told from now on.
async fn tidy(asker: &Asker) -> Result<(), StoreError> {
    let now = asker.store.now().await?;
    let (house, is_open, hubs) = (asker.house.clone(), asker.is_open, asker.other_hubs.clone());
    let tidy = move |tx: &mut Tx<'_>| {
        endpoints::forget(tx, now.minus(FORGOTTEN_AFTER))?;
        for endpoint in endpoints::list(tx, WEBSUB, false, LIVE_MAX)? {
            let is_there = Which::at(&house, &endpoint.subject).is_some();
            let why = match (is_open, is_there) {
                (true, true) => continue,
                (true, false) => "there is no such feed any more",
                (false, _) => "the hub was closed",
            };
            deny(tx, &endpoint, &house.origin, why, now)?;
        }
        for endpoint in endpoints::list(tx, HUB_PING, false, LIVE_MAX)? {
            if !hubs.contains(&endpoint.url) {
                endpoints::end(tx, endpoint.id, "the configuration doesn't name it any more", now)?;
            }
        }
        for url in &hubs {
            endpoints::ensure(tx, &New { carrier: HUB_PING, subject: "", url, secret: None, until_at: None }, now)?;
        }
        Ok(())
    };
    asker.store.write(tidy).await
}

/// Ends a subscription and has its callback told so (section 5.2). `origin` is what the addresses of our feeds begin with. Returns
/// whether it was alive.
///
/// # Errors
/// [`StoreError`] from the database.
pub fn deny(
    tx: &mut Tx<'_>,
    endpoint: &Endpoint,
    origin: &str,
    why: &str,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    let ended = endpoints::end(tx, endpoint.id, why, now)?;
    if ended && endpoint.carrier == WEBSUB {
        let request = Request {
            id: endpoint.id,
            mode: Mode::Denied,
            subject: endpoint.subject.clone(),
            topic: format!("{origin}{}", endpoint.subject),
            callback: endpoint.url.clone(),
            secret: None,
            lease_s: 0,
            asked_at: now,
            failures: 0,
        };
        hub::put(tx, &request)?;
    }
    Ok(ended)
}

async fn round(asker: &Arc<Asker>, asking: &mut JoinSet<()>, is_tidy: &mut bool) -> Result<(), StoreError> {
    if (asker.is_in_doubt)() {
        return Ok(());
    }
    if !*is_tidy {
        tidy(asker).await?;
        *is_tidy = true;
    }
    let now = asker.store.now().await?;
    if asker.store.read(endpoints::next_lapse).await?.is_some_and(|next| next <= now) {
        let ended = asker.store.write(move |tx| endpoints::end_lapsed(tx, now, LAPSED_MAX)).await?;
        tracing::info!(ended, "subscriptions of feeds weren't renewed");
    }
    while asking.len() < AT_ONCE_MAX {
        let (_, next) = asker.store.read(hub::waiting).await?;
        if next.is_none_or(|next| next > now) {
            break;
        }
        let take = move |tx: &mut Tx<'_>| hub::take(tx, now, now.plus(TAKEN_FOR));
        let Some(request) = asker.store.write(take).await? else { break };
        let asker = asker.clone();
        asking.spawn(async move {
            if let Err(error) = ask(&asker, request).await {
                tracing::warn!(%error, "what a callback said could not be recorded; it is asked again");
            }
        });
    }
    Ok(())
}

/// What a callback's answer means.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Yes,
    No(String),
    Nothing(String),
}

async fn ask(asker: &Asker, request: Request) -> Result<(), StoreError> {
    let challenge = ids::hex(&[asker.chance.draw().to_be_bytes(), asker.chance.draw().to_be_bytes()].concat());
    let said = match url::Url::parse(&request.callback) {
        Ok(callback) => {
            let url = question(callback, &request, &challenge);
            let call =
                Call { method: Method::GET, url: &url, headers: Vec::new(), body: Vec::new(), answer_max: ANSWER_MAX };
            match tokio::time::timeout(ANSWER_WITHIN, asker.guard.call(call)).await {
                // Whoever is told that it is over needn't answer anything.
                Ok(Ok(_)) if request.mode == Mode::Denied => Said::Yes,
                Ok(answered) => heard(answered, &challenge),
                Err(_) => Said::Nothing("it didn't answer in time".to_owned()),
            }
        }
        Err(error) => Said::No(error.to_string()),
    };
    let now = asker.store.now().await?;
    match said {
        Said::Yes => {
            asker.store.write(move |tx| follow(tx, &request, now)).await?;
            metrics::counter!("allim_hub_verifications_total", "outcome" => "confirmed").increment(1);
        }
        Said::Nothing(reason) if request.failures + 1 < TRIES_MAX => {
            tracing::info!(reason, "a callback can't be asked whether it wants a feed; it is tried again");
            let failures = u32::try_from(request.failures + 1).unwrap_or(u32::MAX);
            let due_at = now.plus(backoff::RELAY.wait(failures, asker.chance.draw_32()));
            asker.store.write(move |tx| hub::put_off(tx, &request, due_at)).await?;
        }
        Said::Nothing(reason) | Said::No(reason) => {
            tracing::info!(reason, mode = %request.mode, feed = request.subject, "a callback didn't confirm what was asked in its name");
            metrics::counter!("allim_hub_verifications_total", "outcome" => "denied").increment(1);
            asker.store.write(move |tx| hub::settle(tx, &request).map(drop)).await?;
        }
    }
    Ok(())
}

/// The callback's address with the hub's parameters after its own.
fn question(mut callback: url::Url, request: &Request, challenge: &str) -> String {
    {
        let mut query = callback.query_pairs_mut();
        query.append_pair("hub.mode", request.mode.word()).append_pair("hub.topic", &request.topic);
        if request.mode == Mode::Denied {
            query.append_pair("hub.reason", "the hub has ended this subscription");
        } else {
            query.append_pair("hub.challenge", challenge);
        }
        if request.mode == Mode::Subscribe {
            query.append_pair("hub.lease_seconds", &request.lease_s.to_string());
        }
    }
    callback.into()
}

/// A callback says yes by 2xx with the challenge and nothing else (section 5.3.1).
fn heard(answered: Result<Answer, Failure>, challenge: &str) -> Said {
    match answered {
        Ok(answer) if (200..300).contains(&answer.status) => {
            let is_echo = !answer.is_cut && !answer.is_broken && answer.body == challenge.as_bytes();
            if is_echo { Said::Yes } else { Said::No("it answered with something else than the challenge".to_owned()) }
        }
        Ok(answer) if answer.status >= 500 || answer.status == 429 => {
            Said::Nothing(format!("it answered {}", answer.status))
        }
        Ok(answer) => Said::No(format!("it answered {}", answer.status)),
        Err(Failure::Refused(refused)) => Said::No(refused.to_string()),
        Err(Failure::Unreachable(words) | Failure::Lost(words)) => Said::Nothing(words),
    }
}

/// Does what was confirmed, unless something newer was asked for meanwhile.
fn follow(tx: &mut Tx<'_>, request: &Request, now: UnixMillis) -> Result<(), StoreError> {
    if !hub::settle(tx, request)? {
        return Ok(());
    }
    match request.mode {
        Mode::Subscribe => {
            let lease = Duration::from_secs(u64::try_from(request.lease_s).unwrap_or(0));
            let new = New {
                carrier: WEBSUB,
                subject: &request.subject,
                url: &request.callback,
                secret: request.secret.as_ref().map(|secret| secret.0.as_str()),
                until_at: Some(now.plus(lease)),
            };
            endpoints::ensure(tx, &new, now)?;
            tracing::info!(feed = request.subject, "a subscriber follows a feed");
        }
        Mode::Denied => {}
        Mode::Unsubscribe => {
            endpoints::end(tx, request.id, "it unsubscribed", now)?;
            tracing::info!(feed = request.subject, "a subscriber follows a feed no more");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(callback: &str) -> (url::Url, Request) {
        let request = Request {
            id: 1,
            mode: Mode::Subscribe,
            subject: "/feeds/all.atom".to_owned(),
            topic: "https://allim.example.org/feeds/all.atom".to_owned(),
            callback: callback.to_owned(),
            secret: None,
            lease_s: 600,
            asked_at: UnixMillis(0),
            failures: 0,
        };
        (url::Url::parse(callback).unwrap(), request)
    }

    #[test]
    fn the_callbacks_own_parameters_stay() {
        let (callback, request) = request("https://reader.example.net/hook?id=7&key=a%2Bb");
        assert_eq!(
            question(callback, &request, "abc"),
            "https://reader.example.net/hook?id=7&key=a%2Bb&hub.mode=subscribe\
             &hub.topic=https%3A%2F%2Fallim.example.org%2Ffeeds%2Fall.atom&hub.challenge=abc&hub.lease_seconds=600"
        );
    }
}

//! What the pages of subscribers share: tokens, forms, how often a network may ask, and who asks.

use super::ui::Asked;
use super::{Front, client};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::token::{Purpose, Token};
use crate::render::page::people::{self as pages, Said};
use crate::render::words::people::{PeopleWords, people_words};
use crate::store::token_keys::{self, TokenKey};
use crate::store::{Store, StoreError, profile};
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A form that is sent sooner than this after it was shown was filled in by a machine.
const FORM_AGE_MIN: Duration = Duration::from_secs(2);
/// A form that was shown longer ago is shown again with what was filled in.
const FORM_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Links to somebody's settings live for so long after their mail was planned: readers keep mails, and a year of them is enough.
const LINK_AGE_MAX: Duration = Duration::from_secs(400 * 86_400);
/// Octets of a form at most: 100 topics with long names fit.
const FORM_LEN_MAX: usize = 64 * 1024;

/// The keys of tokens.
pub(super) struct Keys(Vec<TokenKey>);

impl Keys {
    pub(super) async fn read(store: &Store) -> Result<Self, StoreError> {
        store.read(token_keys::all).await.map(Self)
    }

    /// A token made now; none while there is no key, which the start sees to.
    pub(super) fn sign(&self, purpose: Purpose, subscriber_id: i64, now: UnixMillis) -> String {
        let token = Token { purpose, subscriber_id, detail: now.0.div_euclid(1_000).to_string() };
        self.0.last().map_or_else(String::new, |key| token.sign(&key.id, &key.secret))
    }

    /// Whom a link speaks of, if it is one of ours and its time isn't over.
    pub(super) fn open(&self, purpose: Purpose, token: &str, now: UnixMillis) -> Option<i64> {
        let (token, age) = self.aged(purpose, token, now)?;
        (age <= LINK_AGE_MAX).then_some(token.subscriber_id)
    }

    /// Whose page a link opens, if it was mailed to the address that they have now.
    pub(super) async fn whose(&self, front: &Front, token: &str) -> Result<Option<Whose>, StoreError> {
        let now = front.clock.now();
        let opened = [(Purpose::Manage, true), (Purpose::Settings, false)];
        let found =
            opened.into_iter().find_map(|(purpose, is_whole)| Some((self.aged(purpose, token, now)?, is_whole)));
        let Some(((token, age), is_whole)) = found else { return Ok(None) };
        let (id, made_at) = (token.subscriber_id, now.minus(age));
        let profile = front.store.read(move |tx| profile::of(tx, id)).await?;
        // A link tells its second only.
        let is_older = |moved_at: UnixMillis| made_at.0.div_euclid(1_000) < moved_at.0.div_euclid(1_000);
        // Colleagues to whom a mail is shown have confirmed nothing: their link opens nothing.
        let is_good = profile.is_some_and(|profile| {
            (is_whole || profile.confirmed_at.is_some()) && !profile.moved_at.is_some_and(is_older)
        });
        Ok((is_good && age <= LINK_AGE_MAX).then_some(Whose { id, is_whole }))
    }

    /// Whether a form was shown by us, long enough ago for a person to fill it in.
    pub(super) fn is_form(&self, token: &str, now: UnixMillis) -> bool {
        let age = self.aged(Purpose::Form, token, now).map(|(_, age)| age);
        age.is_some_and(|age| (FORM_AGE_MIN..=FORM_AGE_MAX).contains(&age))
    }

    fn aged(&self, purpose: Purpose, token: &str, now: UnixMillis) -> Option<(Token, Duration)> {
        let secret = |id: &str| self.0.iter().find(|key| key.id == id).map(|key| key.secret.as_str());
        let token = Token::verify(purpose, token, secret)?;
        let made_at = UnixMillis(token.detail.parse::<i64>().ok()?.checked_mul(1_000)?);
        // Made by a replica whose clock is a little ahead: as old as can be.
        let age = if made_at > now { Duration::ZERO } else { made_at.until(now) };
        Some((token, age))
    }
}

/// What a link to somebody's page opens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose {
    /// The subscriber.
    pub(super) id: i64,
    /// Everything; a link that stood in a mail of a list, which may be passed on, opens what they get and no more.
    pub(super) is_whole: bool,
}

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads `application/x-www-form-urlencoded`.
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(body).map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// Fields that came another way.
    pub(super) fn of(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }

    /// The first field of this name, trimmed; empty when there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// The first field of this name, as it was sent.
    pub(super) fn raw(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// All fields of this name that aren't empty.
    pub(super) fn all(&self, name: &str) -> Vec<String> {
        let theirs = self.0.iter().filter(|(key, value)| key == name && !value.trim().is_empty());
        theirs.map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// How often a network has asked of late. In memory only: a restart forgets it, and no address is kept.
#[derive(Default)]
pub(super) struct Networks(Mutex<HashMap<u128, (i64, u32)>>);

/// Requests of one network in an hour: a class room that signs up together fits.
const ASKED_MAX: u32 = 60;
/// Networks remembered at most; beyond it those of earlier hours are forgotten, and then all.
const NETWORKS_MAX: usize = 100_000;
const HOUR_MS: i64 = 3_600_000;

impl Networks {
    /// Whether a request from an address may go on; counts it.
    pub(super) fn admit(&self, address: IpAddr, now: UnixMillis) -> bool {
        let hour = now.0.div_euclid(HOUR_MS);
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= NETWORKS_MAX {
            seen.retain(|_, (of, _)| *of == hour);
            if seen.len() >= NETWORKS_MAX {
                seen.clear();
            }
        }
        let entry = seen.entry(network(address)).or_insert((hour, 0));
        if entry.0 != hour {
            *entry = (hour, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        entry.1 <= ASKED_MAX
    }
}

/// A /24 of IPv4, a /48 of IPv6: what one party usually holds.
fn network(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(v4) => u128::from(u32::from(v4) >> 8),
        IpAddr::V6(v6) => (v6.to_bits() >> 80) | 1 << 100,
    }
}

/// Whether the network that a request comes from may ask.
pub(super) fn may_ask(front: &Front, request: &Request) -> bool {
    front.networks.admit(client::address(front, request), front.clock.now())
}

/// Every answer to a request that somebody makes in the name of an address takes as long, whatever is known of that address.
const ANSWERED_AFTER: Duration = Duration::from_millis(150);

/// The page of one person stays in no cache.
pub(super) fn private(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A page that says one thing.
pub(super) fn say_page(front: &Front, asked: &Asked, status: StatusCode, said: Said<'_>) -> Response {
    private(asked.answer(status, pages::said(&asked.look(front), &front.templates, said)))
}

/// The page for whoever came by a link that can't be used.
pub(super) fn stale(front: &Front, asked: &Asked, keys: &Keys) -> Response {
    let (say, form) = (say(asked.language()), keys.sign(Purpose::Form, 0, front.clock.now()));
    let said = Said { title: &say.stale_link, sentence: &say.stale_link_why, link: None, link_form: Some(&form) };
    say_page(front, asked, StatusCode::NOT_FOUND, said)
}

/// The page that asks for patience.
pub(super) fn unavailable(front: &Front, asked: &Asked, error: &StoreError) -> Response {
    tracing::warn!(%error, "a page of subscribers can't be shown");
    private(asked.sorry(front))
}

/// The body of a request, if it isn't too long.
pub(super) async fn body(request: Request) -> Option<Bytes> {
    to_bytes(request.into_body(), FORM_LEN_MAX).await.ok()
}

/// The form of a request; a page says so when it can't be read.
pub(super) async fn read_form(front: &Front, asked: &Asked, request: Request) -> Result<Form, Response> {
    let say = say(asked.language());
    let said = Said { title: &say.subscribe, sentence: &say.bad_form, link: None, link_form: None };
    let read = body(request).await.map(|body| Form::parse(&body));
    read.ok_or_else(|| say_page(front, asked, StatusCode::BAD_REQUEST, said))
}

/// The form of somebody who asks in the name of an address, with the keys of its token; a page says so when their network asked
/// too often, or there are none.
pub(super) async fn read_asking(front: &Front, asked: &Asked, request: Request) -> Result<(Form, Keys), Response> {
    let say = say(asked.language());
    if !may_ask(front, &request) {
        let said = Said { title: &say.too_many, sentence: &say.too_many_why, link: None, link_form: None };
        return Err(say_page(front, asked, StatusCode::TOO_MANY_REQUESTS, said));
    }
    let form = read_form(front, asked, request).await?;
    let keys = Keys::read(&front.store).await.map_err(|error| unavailable(front, asked, &error))?;
    Ok((form, keys))
}

/// Does what a person asked for, and says the same to everybody after the same time. Who filled in what no person sees is a
/// machine: nothing is done for it, and it is told what a person would be.
pub(super) async fn answer_asking(
    front: &Front,
    asked: &Asked,
    form: &Form,
    (title, sentence): (&'static str, &'static str),
    work: impl Future<Output = Result<(), StoreError>>,
) -> Response {
    let is_person = form.get("website").is_empty();
    match answered_in_time(async { if is_person { work.await } else { Ok(()) } }).await {
        Ok(()) => say_page(front, asked, StatusCode::OK, Said { title, sentence, link: None, link_form: None }),
        Err(error) => unavailable(front, asked, &error),
    }
}

/// Waits until every other answer of the kind would be there too.
pub(super) async fn answered_in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::join!(work, tokio::time::sleep(ANSWERED_AFTER)).0
}

/// The words of the pages in a language.
pub(super) fn say(language: &Language) -> &'static PeopleWords {
    people_words(language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_may_ask_so_often_in_an_hour_and_no_other_pays_for_it() {
        let networks = Networks::default();
        let now = UnixMillis(HOUR_MS * 1_000);
        let asked = |host: u8| networks.admit(IpAddr::from([203, 0, 113, host]), now);
        assert_eq!((0..=255).filter(|host| asked(*host)).count() as u32, ASKED_MAX);
        assert!(networks.admit(IpAddr::from([203, 0, 114, 1]), now));
        assert!(networks.admit(IpAddr::from([203, 0, 113, 1]), UnixMillis(now.0 + HOUR_MS)));
        let (one, other) = ("2001:db8:1::1".parse().unwrap(), "2001:db8:2::1".parse().unwrap());
        for _ in 0..ASKED_MAX {
            assert!(networks.admit(one, now));
        }
        assert!(!networks.admit(one, now) && networks.admit(other, now));
    }

    #[test]
    fn forms_are_neither_too_fresh_nor_too_old() {
        let key = TokenKey { id: "k1".to_owned(), secret: "s".to_owned(), created_at: UnixMillis(0) };
        let (keys, then) = (Keys(vec![key]), UnixMillis(1_800_000_000_000));
        let form = keys.sign(Purpose::Form, 0, then);
        let after = |wait: Duration| keys.is_form(&form, then.plus(wait));
        assert!(!after(Duration::from_secs(1)) && after(FORM_AGE_MIN) && after(FORM_AGE_MAX));
        assert!(!after(FORM_AGE_MAX + Duration::from_secs(1)));
        assert!(!keys.is_form("", then) && !keys.is_form("k1.MDow.AAAA", then));
        let link = keys.sign(Purpose::Manage, 7, then);
        assert_eq!(keys.open(Purpose::Manage, &link, then.plus(Duration::from_secs(60 * 86_400))), Some(7));
        assert_eq!(keys.open(Purpose::Manage, &link, then.plus(LINK_AGE_MAX + Duration::from_secs(1))), None);
        assert_eq!(keys.open(Purpose::Confirm, &link, then), None);
    }
}

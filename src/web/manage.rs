//! Somebody's own page: everything that they may set, by the link in their mails. GET shows, only POST changes.

use super::Front;
use super::link;
use super::people::{Form, Keys, Whose, answered_in_time, may_ask, private, read_form, say, stale, unavailable};
use super::subscribe::{ZONES, languages, offers_own_hour, reads, schedules, slot};
use super::ui::Asked;
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::edition::EditionKind;
use crate::plan::service::Letter;
use crate::render::page::people::{self as pages, Choice, Managing, Said, TopicRow};
use crate::store::people::{self, By};
use crate::store::profile::{self, Profile, Then};
use crate::store::subscribers::{self, Subscription};
use crate::store::wishes::Wish;
use crate::store::{StoreError, Tx, consents, deliveries, erasing};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// A pause of more than a year is a farewell.
const PAUSE_DAYS_MAX: i64 = 366;
/// Deliveries told of in somebody's data.
const DELIVERIES_TOLD: usize = 1_000;

/// What the page says first.
type Told = Option<(&'static str, bool)>;

/// What is known of whom the page belongs to.
struct Known {
    person: Subscriber,
    profile: Profile,
    subscriptions: Vec<Subscription>,
    can_undo: bool,
}

async fn known(front: &Front, id: i64) -> Result<Option<Known>, StoreError> {
    let now = front.store.now().await?;
    let look = move |tx: &mut Tx<'_>| {
        let (Some(person), Some(profile)) = (subscribers::find(tx, id)?, profile::of(tx, id)?) else { return Ok(None) };
        let can_undo = people::undoable(tx, id, now)?.is_some();
        Ok(Some(Known { person, profile, subscriptions: subscribers::subscriptions(tx, id)?, can_undo }))
    };
    front.store.read(look).await
}

/// The page.
pub(super) async fn show(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    page(&front, &asked, &token, None).await
}

async fn page(front: &Front, asked: &Asked, token: &str, told: Told) -> Response {
    let shown = async {
        let keys = Keys::read(&front.store).await?;
        let Some(whose) = keys.whose(front, token).await? else { return Ok(stale(front, asked, &keys)) };
        let Some(known) = known(front, whose.id).await? else { return Ok(stale(front, asked, &keys)) };
        let managing = managing(front, asked, (token, whose), &known, told);
        Ok(private(asked.answer(StatusCode::OK, pages::manage(&asked.look(front), &front.templates, &managing))))
    };
    shown.await.unwrap_or_else(|error: StoreError| unavailable(front, asked, &error))
}

/// The hour of their own that the page shows, and its zone: those of the first topic that has any.
fn own_time(front: &Front, known: &Known) -> (String, String) {
    match known.subscriptions.iter().find_map(|subscription| subscription.slot.own_time()) {
        Some((hour, minute, zone)) => (format!("{hour:02}:{minute:02}"), zone.to_owned()),
        None => (String::new(), front.zone.iana_name().unwrap_or("UTC").to_owned()),
    }
}

fn managing(front: &Front, asked: &Asked, (token, whose): (&str, Whose), known: &Known, told: Told) -> Managing {
    let (language, words) = (asked.language(), say(asked.language()));
    let row = |(name, title): &(String, crate::render::site::LocalText)| {
        let theirs = known.subscriptions.iter().find(|subscription| subscription.topic == *name);
        let chosen = theirs.map_or("", |subscription| subscription.slot.schedule());
        let none = Choice { name: String::new(), title: words.none.to_owned(), is_chosen: chosen.is_empty() };
        let mut schedules: Vec<Choice> = std::iter::once(none).chain(schedules(front, language, chosen)).collect();
        if !schedules.iter().any(|schedule| schedule.is_chosen) {
            schedules.push(Choice { name: chosen.to_owned(), title: chosen.to_owned(), is_chosen: true });
        }
        TopicRow { name: name.clone(), title: title.get(language).to_owned(), schedules }
    };
    let (hour, zone) = own_time(front, known);
    Managing {
        address: if whose.is_whole { known.person.address.to_string() } else { veiled(&known.person.address) },
        is_whole: whose.is_whole,
        topics: front.topics.iter().map(row).collect(),
        own_hour: offers_own_hour(front),
        hour,
        zone,
        zones: ZONES,
        reads: languages(front, &known.person.language),
        text_only: known.person.text_only,
        paused: known.profile.pause.map(|(until, _)| asked.look(front).instant(until)),
        can_undo: known.can_undo,
        gets_mail: !known.subscriptions.is_empty(),
        data_href: format!("{}/manage/{token}/data.json", front.base),
        told: told.map(|(sentence, _)| sentence),
        is_fault: told.is_some_and(|(_, is_fault)| is_fault),
    }
}

/// Does what a button of the page says.
pub(super) async fn act(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let may_ask = may_ask(&front, &request);
    let form = match read_form(&front, &asked, request).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    // Leaving is never refused; what mails others or writes much is, to a network that does it again and again.
    if !may_ask && !matches!(form.get("act"), "leave" | "undo" | "erase") {
        return page(&front, &asked, &token, Some((&say(asked.language()).too_many_why, true))).await;
    }
    match acted(&front, &asked, &token, &form).await {
        Ok(Acted::Page(told)) => page(&front, &asked, &token, told).await,
        Ok(Acted::Stale(keys)) => stale(&front, &asked, &keys),
        Ok(Acted::Erased) => {
            let words = say(asked.language());
            let said = Said { title: &words.erased, sentence: &words.erased_why, link: None, link_form: None };
            private(asked.answer(StatusCode::OK, pages::said(&asked.look(&front), &front.templates, said)))
        }
        Err(error) => unavailable(&front, &asked, &error),
    }
}

enum Acted {
    Page(Told),
    Stale(Keys),
    Erased,
}

/// What a button asks for, read and found possible.
enum Deed {
    Save(people::Choice),
    Pause(Option<(UnixMillis, Then)>),
    Move(Address),
    Leave,
    Undo,
    /// Have the link that opens everything mailed to them.
    Link,
    Erase,
}

impl Deed {
    /// Whether a link from a mail that may have been passed on isn't enough: nor is it for coming back.
    fn wants_all(&self, has_left: bool) -> bool {
        matches!(self, Self::Move(_) | Self::Erase) || (has_left && matches!(self, Self::Save(_) | Self::Undo))
    }
}

/// An address as only its holder recognises it: `m…@example.net`.
fn veiled(address: &Address) -> String {
    let first: String = address.as_str().chars().take(1).collect();
    format!("{first}…@{}", address.domain())
}

async fn acted(front: &Front, asked: &Asked, token: &str, form: &Form) -> Result<Acted, StoreError> {
    let keys = Keys::read(&front.store).await?;
    let Some(Whose { id, is_whole }) = keys.whose(front, token).await? else { return Ok(Acted::Stale(keys)) };
    let Some(known) = known(front, id).await? else { return Ok(Acted::Stale(keys)) };
    let words = say(asked.language());
    let now = front.store.now().await?;
    let deed = match read(front, asked, form, &known, now) {
        Ok(deed) if is_whole || !deed.wants_all(known.person.unsubscribed_at.is_some()) => deed,
        Ok(_) => return Ok(Acted::Page(Some((&words.bad_form, true)))),
        Err(fault) => return Ok(Acted::Page(Some((fault, true)))),
    };
    let told = match &deed {
        Deed::Move(_) => &words.asked_why,
        Deed::Leave => &words.left_all,
        Deed::Undo => &words.undone,
        Deed::Link => &words.link_sent,
        Deed::Save(_) | Deed::Pause(_) | Deed::Erase => &words.saved,
    };
    let erases = matches!(deed, Deed::Erase);
    do_it(front, asked, id, deed, now).await?;
    Ok(if erases { Acted::Erased } else { Acted::Page(Some((told, false))) })
}

fn read(front: &Front, asked: &Asked, form: &Form, known: &Known, now: UnixMillis) -> Result<Deed, &'static str> {
    let words = say(asked.language());
    match form.get("act") {
        "save" => choice(front, asked, form, known).map(Deed::Save),
        "resume" => Ok(Deed::Pause(None)),
        "pause" => {
            let until = until(front, form.get("until"), now).ok_or(words.bad_date.as_str())?;
            let then = Then::from_word(form.get("then")).unwrap_or(Then::CatchUp);
            Ok(Deed::Pause(Some((until, then))))
        }
        "move" => match Address::parse(form.get("address")) {
            Ok(address) if address.key() == known.person.address.key() => Err(&words.same_address),
            Ok(address) => Ok(Deed::Move(address)),
            Err(_) => Err(&words.bad_address),
        },
        "leave" => Ok(Deed::Leave),
        "undo" => Ok(Deed::Undo),
        "link" => Ok(Deed::Link),
        "erase" if form.get("sure") == "yes" => Ok(Deed::Erase),
        _ => Err(&words.bad_form),
    }
}

/// The beginning of a day of the site's zone, if it lies ahead and not too far.
pub(super) fn until(front: &Front, text: &str, now: UnixMillis) -> Option<UnixMillis> {
    let day: jiff::civil::Date = text.parse().ok()?;
    let at = UnixMillis(day.to_zoned(front.zone.clone()).ok()?.timestamp().as_millisecond());
    let latest = UnixMillis(now.0 + PAUSE_DAYS_MAX * 86_400_000);
    (at > now && at <= latest).then_some(at)
}

fn choice(front: &Front, asked: &Asked, form: &Form, known: &Known) -> Result<people::Choice, &'static str> {
    let mut topics = Vec::new();
    let (hour, zone) = own_time(front, known);
    let is_moved = form.get("hour") != hour || form.get("zone") != zone;
    for (topic, _) in &front.topics {
        let schedule = form.get(&format!("schedule:{topic}"));
        let before = known.subscriptions.iter().find(|subscription| subscription.topic == *topic);
        // What wasn't touched stays as it is: at its own hour, or by a schedule that has left the configuration.
        if let Some(same) = before.filter(|before| before.slot.schedule() == schedule && !is_moved) {
            topics.push(Wish { topic: topic.clone(), slot: same.slot.clone() });
        } else if !schedule.is_empty() {
            let slot = slot(front, schedule, form.get("hour"), form.get("zone"));
            let slot = slot.map_err(|fault| fault.words(say(asked.language())))?;
            topics.push(Wish { topic: topic.clone(), slot });
        }
    }
    // Tags and topics that have left the configuration aren't on the page, and stay as they are.
    let is_shown = |topic: &str| front.topics.iter().any(|(known, _)| known == topic);
    let others = known.subscriptions.iter().filter(|subscription| !is_shown(&subscription.topic));
    topics
        .extend(others.map(|subscription| Wish { topic: subscription.topic.clone(), slot: subscription.slot.clone() }));
    let language = reads(front, form.get("reads"), &known.person.language);
    Ok(people::Choice { topics, language, text_only: form.get("text_only") == "yes" })
}

async fn do_it(front: &Front, asked: &Asked, id: i64, deed: Deed, now: UnixMillis) -> Result<(), StoreError> {
    let (planner, language, fresh_id) = (front.planner.clone(), asked.language().clone(), front.chance.draw_id());
    if let Deed::Move(address) = deed {
        return answered_in_time(ask_to_move(front, id, address, fresh_id, now)).await;
    }
    let erased = match &deed {
        Deed::Erase => front.store.read(move |tx| subscribers::find(tx, id)).await?.map(|person| person.address),
        _ => None,
    };
    let work = move |tx: &mut Tx<'_>| {
        let Some(person) = subscribers::lock(tx, id)? else { return Ok(()) };
        let by = By { language: &language, source: "page", actor: "subscriber" };
        match &deed {
            Deed::Save(choice) => {
                let (ended, begun) = people::change(tx, &person, choice, by, now)?;
                planner.notices(tx, EditionKind::Withdrawn, &person, &ended, now)?;
                planner.notices(tx, EditionKind::Granted, &person, &begun, now)
            }
            Deed::Pause(pause) => people::pause(tx, &person, *pause, by, now),
            Deed::Leave => {
                let ended = people::withdraw(tx, &person, None, by, now)?;
                planner.notices(tx, EditionKind::Withdrawn, &person, &ended, now)
            }
            Deed::Undo => people::undo(tx, &person, by, now).map(drop),
            Deed::Link => {
                planner.letter(tx, &Letter { kind: EditionKind::Link, to: &person, about: None }, now).map(drop)
            }
            Deed::Erase => people::erase(tx, &person, by, now),
            Deed::Move(_) => Ok(()),
        }
    };
    front.store.write(work).await?;
    front.planner.tell();
    match erased {
        Some(address) => erasing::sweep(&front.store, &address).await,
        None => Ok(()),
    }
}

/// Asks the holder of the new address to confirm. One that is a subscriber's already gets their own link instead, so that the answer
/// tells nothing.
async fn ask_to_move(
    front: &Front,
    id: i64,
    address: Address,
    fresh_id: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    let (planner, to) = (front.planner.clone(), address.clone());
    let work = move |tx: &mut Tx<'_>| {
        let Some(person) = subscribers::lock(tx, id)? else { return Ok(true) };
        let Some(provisional) = people::ask_to_move(tx, &person, to.clone(), fresh_id, now)? else { return Ok(false) };
        planner.letter(tx, &Letter { kind: EditionKind::Confirmation, to: &provisional, about: None }, now)?;
        Ok(true)
    };
    if front.store.write(work).await? {
        front.planner.tell();
        return Ok(());
    }
    link::mail_link(front, address).await
}

/// Everything that is kept about somebody, as JSON, for whoever holds their link.
pub(super) async fn data(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let told = async {
        let keys = Keys::read(&front.store).await?;
        let whose = keys.whose(&front, &token).await?.filter(|whose| whose.is_whole);
        let data = match whose {
            Some(whose) => data_of(&front, whose.id).await?,
            None => None,
        };
        Ok(data.map_or_else(|| stale(&front, &asked, &keys), |data| private(as_file(&data))))
    };
    told.await.unwrap_or_else(|error: StoreError| unavailable(&front, &asked, &error))
}

/// A copy of somebody's data as a file.
pub(super) fn as_file(data: &serde_json::Value) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"allim.json\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, format!("{data:#}\n")).into_response()
}

/// Everything that is kept about somebody: what the law calls a copy of their data.
///
/// # Errors
/// [`StoreError`] from the database.
pub(super) async fn data_of(front: &Front, id: i64) -> Result<Option<serde_json::Value>, StoreError> {
    let Some(known) = known(front, id).await? else { return Ok(None) };
    let more =
        move |tx: &mut Tx<'_>| Ok((consents::of(tx, id)?, deliveries::of_recipient(tx, id, None, DELIVERIES_TOLD)?));
    let (consents, deliveries) = front.store.read(more).await?;
    let subscription = |s: &Subscription| serde_json::json!({ "topic": s.topic, "schedule": Slot::as_str(&s.slot) });
    let (person, profile) = (&known.person, &known.profile);
    let pause = profile.pause.map(|(until, then)| serde_json::json!({ "until": until, "then": then }));
    Ok(Some(serde_json::json!({
        "address": person.address.as_str(), "name": person.name.as_ref().map(ToString::to_string),
        "language": person.language.as_str(), "text_only": person.text_only, "pause": pause,
        "confirmed_at": profile.confirmed_at, "unsubscribed_at": person.unsubscribed_at,
        "subscriptions": known.subscriptions.iter().map(subscription).collect::<Vec<_>>(),
        "consents": consents, "deliveries": deliveries,
    })))
}

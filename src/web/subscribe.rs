//! Asking for mail. Whoever asks learns nothing about the address: the answer is the same, and takes as long,
//! whether it is known, new, or may not be written to.

use super::Front;
use super::people::{Form, Keys, answer_asking, private, read_asking, say, unavailable};
use super::ui::Asked;
use crate::domain::audience::{Address, IMMEDIATE, Slot, Subscriber};
use crate::domain::edition::EditionKind;
use crate::domain::language::Language;
use crate::domain::token::Purpose;
use crate::plan::digest::{self, BadSlot};
use crate::plan::service::Letter;
use crate::render::page::people::{self as pages, Asking, Choice};
use crate::render::words::page::own_name;
use crate::render::words::people::PeopleWords;
use crate::store::StoreError;
use crate::store::people::{self, By};
use crate::store::wishes::Wish;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Zones offered in forms; any other of the IANA database may be written.
pub(super) const ZONES: &[&str] = &[
    "Asia/Seoul",
    "Asia/Shanghai",
    "Asia/Taipei",
    "Asia/Tokyo",
    "Asia/Singapore",
    "Asia/Kolkata",
    "Asia/Dubai",
    "Europe/London",
    "Europe/Paris",
    "Europe/Berlin",
    "Africa/Nairobi",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Australia/Sydney",
    "Pacific/Auckland",
    "UTC",
];

/// What somebody asks for.
pub(super) struct Wanted {
    address: Address,
    language: Language,
    wishes: Vec<Wish>,
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Address,
    Topic,
    Schedule,
    Hour,
}

impl Fault {
    pub(super) fn words(self, say: &'static PeopleWords) -> &'static str {
        match self {
            Self::Address => &say.bad_address,
            Self::Topic => &say.no_topic,
            Self::Schedule => &say.bad_schedule,
            Self::Hour => &say.bad_hour,
        }
    }

    /// The field that is meant, as the interface names it.
    pub(super) fn field(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Topic => "topics",
            Self::Schedule => "schedule",
            Self::Hour => "hour",
        }
    }
}

impl From<BadSlot> for Fault {
    fn from(bad: BadSlot) -> Self {
        match bad {
            BadSlot::Unknown => Self::Schedule,
            BadSlot::NoOwnHour | BadSlot::BadHour => Self::Hour,
        }
    }
}

/// The slot of a schedule; an hour counts only where the schedule offers one, so that a form may ask for it once for all.
pub(super) fn slot(front: &Front, schedule: &str, hour: &str, zone: &str) -> Result<Slot, Fault> {
    let digests = front.planner.digests();
    let offers = digests.get(schedule).is_some_and(|digest| digest.own_hour);
    let own = (offers && !hour.is_empty()).then_some((hour, zone));
    Ok(digest::slot(digests, schedule, own)?)
}

/// A reader language, as somebody names it; else the page's, else the first.
pub(super) fn reads(front: &Front, tag: &str, page: &Language) -> Language {
    let named = Language::parse(tag).ok();
    let best = named.iter().chain([page]).find_map(|language| language.best_of(&front.languages));
    best.unwrap_or(&front.languages[0]).clone()
}

/// What a form asks for.
pub(super) fn wanted(front: &Front, form: &Form, page: &Language) -> Result<Wanted, Fault> {
    let address = Address::parse(form.get("address")).map_err(|_| Fault::Address)?;
    let topics: BTreeSet<String> = form.all("topic").into_iter().collect();
    if topics.is_empty() || !topics.iter().all(|topic| front.topics.iter().any(|(known, _)| known == topic)) {
        return Err(Fault::Topic);
    }
    let slot = slot(front, form.get("schedule"), form.get("hour"), form.get("zone"))?;
    let wishes = topics.into_iter().map(|topic| Wish { topic, slot: slot.clone() }).collect();
    Ok(Wanted { address, language: reads(front, form.get("reads"), page), wishes })
}

/// The schedules that one can choose.
pub(super) fn schedules(front: &Front, language: &Language, chosen: &str) -> Vec<Choice> {
    let choice =
        |name: &str, title: &str| Choice { name: name.to_owned(), title: title.to_owned(), is_chosen: name == chosen };
    let digests = front.digests.iter().map(|(name, (title, _))| choice(name, title.get(language)));
    std::iter::once(choice(IMMEDIATE, &say(language).immediate)).chain(digests).collect()
}

/// The languages that one can read in.
pub(super) fn languages(front: &Front, chosen: &Language) -> Vec<Choice> {
    let choice = |language: &Language| Choice {
        name: language.to_string(),
        title: own_name(language).to_owned(),
        is_chosen: language == chosen,
    };
    front.languages.iter().map(choice).collect()
}

/// Whether any schedule offers an hour of one's own.
pub(super) fn offers_own_hour(front: &Front) -> bool {
    front.planner.digests().values().any(|digest| digest.own_hour)
}

fn form_page(
    front: &Front,
    asked: &Asked,
    keys: &Keys,
    filled: &Form,
    (status, fault, note): (StatusCode, Option<&'static str>, Option<&'static str>),
) -> Response {
    let language = asked.language();
    let topics = filled.all("topic");
    let topic = |(name, title): &(String, crate::render::site::LocalText)| Choice {
        name: name.clone(),
        title: title.get(language).to_owned(),
        is_chosen: topics.contains(name),
    };
    let chosen = match filled.get("schedule") {
        "" => IMMEDIATE,
        chosen => chosen,
    };
    let zone = match filled.get("zone") {
        "" => front.zone.iana_name().unwrap_or("UTC"),
        zone => zone,
    };
    let asking = Asking {
        address: filled.get("address").to_owned(),
        topics: front.topics.iter().map(topic).collect(),
        schedules: schedules(front, language, chosen),
        own_hour: offers_own_hour(front),
        hour: filled.get("hour").to_owned(),
        zone: zone.to_owned(),
        zones: ZONES,
        reads: languages(front, &reads(front, filled.get("reads"), language)),
        form: keys.sign(Purpose::Form, 0, front.clock.now()),
        fault,
        note,
    };
    private(asked.answer(status, pages::subscribe(&asked.look(front), &front.templates, &asking)))
}

/// The form. What stands in the query is filled in, so that any page can link to it with a topic chosen.
pub(super) async fn show(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let filled = Form::parse(request.uri().query().unwrap_or_default().as_bytes());
    match Keys::read(&front.store).await {
        Ok(keys) => form_page(&front, &asked, &keys, &filled, (StatusCode::OK, None, None)),
        Err(error) => unavailable(&front, &asked, &error),
    }
}

/// Takes a request for mail. A form that we didn't show (one on another page of the institution, say) is shown filled in.
pub(super) async fn ask(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let (form, keys) = match read_asking(&front, &asked, request).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let say = say(asked.language());
    let wanted = match wanted(&front, &form, asked.language()) {
        Ok(wanted) => wanted,
        Err(fault) => {
            let told = (StatusCode::UNPROCESSABLE_ENTITY, Some(fault.words(say)), None);
            return form_page(&front, &asked, &keys, &form, told);
        }
    };
    if !keys.is_form(form.get("form"), front.clock.now()) {
        return form_page(&front, &asked, &keys, &form, (StatusCode::OK, None, Some(&say.once_more)));
    }
    let work = ask_for(&front, wanted, asked.language(), "page");
    answer_asking(&front, &asked, &form, (&say.asked, &say.asked_why), work).await
}

/// Notes what somebody asks for, and plans the letter that asks for their confirmation.
pub(super) async fn ask_for(
    front: &Front,
    wanted: Wanted,
    page: &Language,
    source: &'static str,
) -> Result<(), StoreError> {
    let Wanted { address, language, wishes } = wanted;
    let id = front.chance.draw_id();
    let stranger = Subscriber { id, address, name: None, language, text_only: false, unsubscribed_at: None };
    let (now, planner, page) = (front.store.now().await?, front.planner.clone(), page.clone());
    let asked = move |tx: &mut crate::store::Tx<'_>| {
        let Some(person) = people::ask(tx, &stranger, &wishes, now)? else { return Ok(()) };
        if planner.letter(tx, &Letter { kind: EditionKind::Confirmation, to: &person, about: None }, now)? {
            people::asked(tx, &person, &wishes, By { language: &page, source, actor: "subscriber" }, now)?;
        }
        Ok(())
    };
    front.store.write(asked).await?;
    front.planner.tell();
    Ok(())
}

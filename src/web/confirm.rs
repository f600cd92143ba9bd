//! Confirming what was asked for in somebody's name. The mailed link opens a page; only its button confirms.

use super::Front;
use super::people::{Form, Keys, private, read_form, say, say_page, stale, unavailable};
use super::ui::Asked;
use crate::domain::audience::{IMMEDIATE, Slot};
use crate::domain::edition::EditionKind;
use crate::domain::language::Language;
use crate::domain::token::Purpose;
use crate::render::page::people::{self as pages, Said};
use crate::store::people::{self, By, Confirmed};
use crate::store::wishes::{self, Wish};
use crate::store::{StoreError, subscribers};
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Shows what waits for a confirmation, and changes nothing.
pub(super) async fn show(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    match waiting(&front, &asked, &token).await {
        Ok(answer) => answer,
        Err(error) => unavailable(&front, &asked, &error),
    }
}

async fn waiting(front: &Front, asked: &Asked, token: &str) -> Result<Response, StoreError> {
    let keys = Keys::read(&front.store).await?;
    let Some(id) = keys.open(Purpose::Confirm, token, front.clock.now()) else { return Ok(stale(front, asked, &keys)) };
    let (waits, moves) = front.store.read(move |tx| Ok((wishes::of(tx, id)?, wishes::move_of(tx, id)?))).await?;
    if waits.is_empty() && moves.is_none() {
        return Ok(nothing_left(front, asked));
    }
    let language = asked.language();
    let title = |slot: &Slot| {
        let own = slot.own_time().map(|(hour, minute, zone)| format!(" {hour:02}:{minute:02} {zone}"));
        format!("{}{}", schedule_title(front, slot.schedule(), language), own.unwrap_or_default())
    };
    let wish = |wish: &Wish| (shown_as(wish), front.topic_title(&wish.topic, language), title(&wish.slot));
    let shown: Vec<_> = waits.iter().filter(|_| moves.is_none()).map(wish).collect();
    let page = pages::confirm(&asked.look(front), &front.templates, &shown);
    Ok(private(asked.answer(StatusCode::OK, page)))
}

/// A schedule's title; its name when it has left the configuration.
pub(super) fn schedule_title<'a>(front: &'a Front, schedule: &'a str, language: &Language) -> &'a str {
    match front.digests.get(schedule) {
        _ if schedule == IMMEDIATE => &say(language).immediate,
        Some((title, _)) => title.get(language),
        None => schedule,
    }
}

/// A wish as the form holds it: no topic has a space in its name.
fn shown_as(wish: &Wish) -> String {
    format!("{} {}", wish.topic, wish.slot.as_str())
}

fn read_shown(shown: &str) -> Option<Wish> {
    let (topic, slot) = shown.split_once(' ')?;
    Some(Wish { topic: topic.to_owned(), slot: Slot::from(slot.to_owned()) })
}

fn nothing_left(front: &Front, asked: &Asked) -> Response {
    let say = say(asked.language());
    let said = Said {
        title: &say.nothing_left,
        sentence: &say.nothing_left_why,
        link: Some(("/subscribe", &say.subscribe)),
        link_form: None,
    };
    say_page(front, asked, StatusCode::OK, said)
}

/// Confirms what was asked for: the only way in which anybody begins to be written to.
pub(super) async fn confirm(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let form = match read_form(&front, &asked, request).await {
        Ok(form) => form,
        Err(answer) => return answer,
    };
    match confirmed(&front, &asked, &token, &form).await {
        Ok(answer) => answer,
        Err(error) => unavailable(&front, &asked, &error),
    }
}

async fn confirmed(front: &Front, asked: &Asked, token: &str, form: &Form) -> Result<Response, StoreError> {
    let keys = Keys::read(&front.store).await?;
    let Some(id) = keys.open(Purpose::Confirm, token, front.clock.now()) else { return Ok(stale(front, asked, &keys)) };
    let (now, planner, language) = (front.store.now().await?, front.planner.clone(), asked.language().clone());
    // As they saw them: what was asked for since in their name isn't agreed to.
    let wanted: Vec<Wish> = form.all("wish").iter().filter_map(|shown| read_shown(shown)).collect();
    let (waits, moves) = front.store.read(move |tx| Ok((wishes::of(tx, id)?, wishes::move_of(tx, id)?))).await?;
    if moves.is_none() && !waits.iter().any(|wish| wanted.contains(wish)) && !waits.is_empty() {
        let words = say(asked.language());
        let said = Said {
            title: &words.confirm,
            sentence: &words.no_topic,
            link: Some((asked.path(), &words.confirm)),
            link_form: None,
        };
        return Ok(say_page(front, asked, StatusCode::UNPROCESSABLE_ENTITY, said));
    }
    let outcome = front.store.write(move |tx| {
        let by = By { language: &language, source: "page", actor: "subscriber" };
        let outcome = people::confirm(tx, id, &wanted, by, now)?;
        if let (Confirmed::Granted(wishes), Some(person)) = (&outcome, subscribers::lock(tx, id)?) {
            let schedules: BTreeSet<String> = wishes.iter().map(|wish| wish.slot.schedule().to_owned()).collect();
            planner.notices(tx, EditionKind::Granted, &person, &schedules, now)?;
        }
        Ok(outcome)
    });
    let outcome = outcome.await?;
    front.planner.tell();
    let (title, sentence, id) = match outcome {
        Confirmed::Granted(_) => (&say(asked.language()).confirmed, &say(asked.language()).confirmed_why, id),
        Confirmed::Moved(id) => (&say(asked.language()).moved, &say(asked.language()).moved_why, id),
        Confirmed::Nothing => return Ok(nothing_left(front, asked)),
    };
    tracing::info!(subscriber = id, "confirmed");
    let href = asked.look(front).link(&format!("/manage/{}", keys.sign(Purpose::Manage, id, now)));
    let said = Said { title, sentence, link: Some((&href, &say(asked.language()).manage)), link_form: None };
    Ok(say_page(front, asked, StatusCode::OK, said))
}

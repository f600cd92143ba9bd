//! Links to somebody's own page: mailed on request, with the same answer for everybody.

use super::Front;
use super::people::{Keys, answer_asking, read_asking, say, say_page, unavailable};
use super::ui::Asked;
use crate::domain::audience::Address;
use crate::domain::edition::EditionKind;
use crate::domain::token::Purpose;
use crate::plan::service::Letter;
use crate::render::page::people::Said;
use crate::store::{StoreError, Tx, profile, subscribers};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// The form by which somebody has their link mailed to them.
pub(super) async fn show(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    match Keys::read(&front.store).await {
        Ok(keys) => {
            let (say, form) = (say(asked.language()), keys.sign(Purpose::Form, 0, front.clock.now()));
            let said = Said { title: &say.my_link, sentence: &say.my_link_why, link: None, link_form: Some(&form) };
            say_page(&front, &asked, StatusCode::OK, said)
        }
        Err(error) => unavailable(&front, &asked, &error),
    }
}

/// Mails somebody their link. Whoever has no subscription here gets nothing, and the answer is the same.
pub(super) async fn ask(State(front): State<Arc<Front>>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let (form, keys) = match read_asking(&front, &asked, request).await {
        Ok(read) => read,
        Err(answer) => return answer,
    };
    let say = say(asked.language());
    let fresh = keys.sign(Purpose::Form, 0, front.clock.now());
    let address = Address::parse(form.get("address"));
    let (Ok(address), true) = (address, keys.is_form(form.get("form"), front.clock.now())) else {
        let sentence = if Address::parse(form.get("address")).is_err() { &say.bad_address } else { &say.once_more };
        let said = Said { title: &say.my_link, sentence, link: None, link_form: Some(&fresh) };
        return say_page(&front, &asked, StatusCode::UNPROCESSABLE_ENTITY, said);
    };
    answer_asking(&front, &asked, &form, (&say.my_link, &say.link_sent_why), mail_link(&front, address)).await
}

/// Plans the letter with somebody's link, if the address is a confirmed subscriber's.
pub(super) async fn mail_link(front: &Front, address: Address) -> Result<(), StoreError> {
    let (now, planner) = (front.store.now().await?, front.planner.clone());
    let planned = move |tx: &mut Tx<'_>| {
        let Some(person) = subscribers::by_address(tx, &address)? else { return Ok(()) };
        let profile = profile::of(tx, person.id)?;
        if profile.is_none_or(|profile| profile.confirmed_at.is_none()) {
            return Ok(());
        }
        planner.letter(tx, &Letter { kind: EditionKind::Link, to: &person, about: None }, now).map(drop)
    };
    front.store.write(planned).await?;
    front.planner.tell();
    Ok(())
}

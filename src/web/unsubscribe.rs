//! Leaving a schedule by the link in its mails: one-click for mail programs (RFC 8058), a page with a button for people.

use super::Front;
use super::people::private;
use super::ui::Asked;
use super::validators::fixed;
use crate::domain::audience::IMMEDIATE;
use crate::domain::edition::EditionKind;
use crate::domain::token::Unsubscribe;
use crate::render::page::{self, Leaving, Notice};
use crate::store::people::{self, By};
use crate::store::{Store, StoreError, subscribers, token_keys};
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Shows the button and changes nothing: link scanners and previews come by GET and HEAD.
pub(super) async fn ask(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let wish = match read(&front.store, token).await {
        Ok(Some(wish)) => wish,
        Ok(None) => return private(asked.notice(&front, StatusCode::NOT_FOUND, Notice::BadLink)),
        Err(error) => return unavailable(&front, &asked, &error),
    };
    let (id, schedule) = (wish.subscriber_id, wish.schedule.clone());
    let leaving = match front.store.read(move |tx| subscribers::subscriptions(tx, id)).await {
        Ok(list) if list.iter().any(|subscription| subscription.slot.schedule() == schedule) => Leaving::Asked,
        Ok(_) => Leaving::Before,
        Err(error) => return unavailable(&front, &asked, &error),
    };
    show(&front, &asked, &wish, leaving)
}

/// Ends the subscriptions of the schedule. For a mail program the answer is plain and the same however often it comes.
pub(super) async fn leave(State(front): State<Arc<Front>>, Path(token): Path<String>, request: Request) -> Response {
    let asked = Asked::new(&front, &request);
    let Ok(body) = Bytes::from_request(request, &()).await else {
        return plain(StatusCode::BAD_REQUEST, "The request could not be read.\n");
    };
    let is_one_click = is_one_click(&body);
    let ended = match read(&front.store, token).await {
        Ok(Some(wish)) => end(&front, &asked, &wish, is_one_click).await.map(|()| Some(wish)),
        other => other,
    };
    match (ended, is_one_click) {
        (Ok(Some(_)), true) => plain(StatusCode::OK, "Unsubscribed.\n"),
        (Ok(Some(wish)), false) => show(&front, &asked, &wish, Leaving::Done),
        (Ok(None), true) => plain(StatusCode::NOT_FOUND, "This isn't a valid unsubscribe link; nothing was changed.\n"),
        (Ok(None), false) => private(asked.notice(&front, StatusCode::NOT_FOUND, Notice::BadLink)),
        (Err(error), true) => {
            tracing::warn!(%error, "somebody could not unsubscribe");
            plain(StatusCode::SERVICE_UNAVAILABLE, "Not now; please try again.\n")
        }
        (Err(error), false) => unavailable(&front, &asked, &error),
    }
}

/// RFC 8058 section 3.2: the body is `List-Unsubscribe=One-Click`, form-encoded or as `multipart/form-data`.
fn is_one_click(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("list-unsubscribe") && text.contains("one-click")
}

/// What a token allows, if it is one of ours.
async fn read(store: &Store, token: String) -> Result<Option<Unsubscribe>, StoreError> {
    let keys = store.read(token_keys::all).await?;
    let secret = |id: &str| keys.iter().find(|key| key.id == id).map(|key| key.secret.as_str());
    Ok(Unsubscribe::verify(&token, secret))
}

async fn end(front: &Front, asked: &Asked, wish: &Unsubscribe, is_one_click: bool) -> Result<(), StoreError> {
    let (now, planner, language) = (front.store.now().await?, front.planner.clone(), asked.language().clone());
    let (id, schedule) = (wish.subscriber_id, wish.schedule.clone());
    let ended = front.store.write(move |tx| {
        // Planning locks the subscriber too: what it has planned is cancelled here, and it plans nothing more.
        let Some(person) = subscribers::lock(tx, id)? else { return Ok(0) };
        let actor = if is_one_click { "mail program" } else { "subscriber" };
        let by = By { language: &language, source: "mail", actor };
        let ended = people::withdraw(tx, &person, Some(&schedule), by, now)?;
        planner.notices(tx, EditionKind::Withdrawn, &person, &ended, now)?;
        Ok(ended.len())
    });
    let ended = ended.await?;
    front.planner.tell();
    tracing::info!(subscriber = wish.subscriber_id, schedule = wish.schedule, ended, "unsubscribed by link");
    Ok(())
}

fn show(front: &Front, asked: &Asked, wish: &Unsubscribe, leaving: Leaving) -> Response {
    // Mails are passed on, so this link opens nothing else: whoever wants their settings has a link of their own mailed to them.
    let look = asked.look(front);
    let title = match (wish.schedule.as_str(), front.digests.get(&wish.schedule)) {
        (IMMEDIATE, _) => &look.words().immediate,
        (_, Some((title, _))) => title.get(asked.language()),
        // The digest has left the configuration; the link works all the same.
        (name, None) => name,
    };
    let title = format!("{} · {title}", front.site.name.get(asked.language()));
    let page = page::unsubscribe(&look, &front.templates, &title, leaving);
    private(asked.answer(StatusCode::OK, page))
}

fn unavailable(front: &Front, asked: &Asked, error: &StoreError) -> Response {
    tracing::warn!(%error, "an unsubscribe page can't be shown");
    private(asked.sorry(front))
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let headers = fixed([
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ]);
    (status, headers, text).into_response()
}

#[cfg(test)]
mod tests {
    use super::is_one_click;

    #[test]
    fn both_encodings_of_one_click_are_known() {
        assert!(is_one_click(b"List-Unsubscribe=One-Click"));
        let multipart =
            b"--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
        assert!(is_one_click(multipart));
        assert!(!is_one_click(b"confirm=yes") && !is_one_click(b"") && !is_one_click(b"List-Unsubscribe=no"));
    }
}

//! Sends that wait for a second person: looked at, and let go or taken back by somebody else than who asked for them.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use crate::domain::audit::{Actor, Subject};
use crate::domain::staff::Role;
use crate::store::audit::{self, Asked};
use crate::store::second::{self, Decided, Waiting};
use crate::store::{StoreError, Tx, posts};
use axum::extract::Path;
use serde::Serialize;

/// Acts on a post that are looked through for who asked for its sending.
const ACTS_MAX: i64 = 200;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/waiting", Role::Viewer, list),
        Route::post("/admin/waiting/{plan}/approve", Role::Operator, approve),
        Route::post("/admin/waiting/{plan}/reject", Role::Operator, reject),
    ]
}

#[derive(Serialize)]
struct Post {
    id: String,
    title: String,
    revision: i64,
    source: String,
}

#[derive(Serialize)]
struct Send {
    waiting: Waiting,
    posts: Vec<Post>,
    /// Whether whoever looks asked for it: somebody else decides.
    is_mine: bool,
}

#[derive(Serialize)]
struct Sends {
    sends: Vec<Send>,
}

async fn page(desk: &Desk) -> Result<Sends, Lost> {
    let me = desk.who.id;
    let read = move |tx: &mut Tx<'_>| {
        let waiting = second::waiting(tx)?;
        waiting.into_iter().map(|waiting| send(tx, waiting, me)).collect::<Result<Vec<_>, StoreError>>()
    };
    Ok(Sends { sends: desk.read(read).await? })
}

fn send(tx: &mut Tx<'_>, waiting: Waiting, me: i64) -> Result<Send, StoreError> {
    let wanted: Vec<(String, i64)> = waiting.posts.iter().map(|held| (held.post_id.clone(), held.revision)).collect();
    let texts = posts::at_revisions(tx, &wanted)?;
    let shown = waiting.posts.iter().zip(texts).map(|(held, (_, post))| Post {
        id: held.post_id.clone(),
        title: post.title.to_string(),
        revision: held.revision,
        source: held.source.clone(),
    });
    let posts = shown.collect();
    let is_mine = asked_by(tx, &waiting, me)?;
    Ok(Send { waiting, posts, is_mine })
}

/// Whether somebody published or released one of its posts, or fired its digest.
fn asked_by(tx: &mut Tx<'_>, waiting: &Waiting, staff_id: i64) -> Result<bool, StoreError> {
    let of_posts = waiting.posts.iter().map(|held| Subject::post(&held.post_id));
    let me = Actor::Staff(staff_id).to_string();
    for subject in of_posts.chain([Subject::digest(&waiting.schedule)]) {
        let asked = Asked { subject: Some((subject.kind.to_owned(), subject.id)), ..Asked::default() };
        if audit::list(tx, &asked, ACTS_MAX)?.iter().any(|act| act.actor == me) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn list(desk: Desk) -> Answer {
    let sends = page(&desk).await?;
    Ok(desk.page("waiting.html", sends))
}

async fn approve(desk: Desk, Path(plan): Path<i64>) -> Answer {
    decide(&desk, plan, "send_approve", second::approve, "said_approved").await
}

async fn reject(desk: Desk, Path(plan): Path<i64>) -> Answer {
    decide(&desk, plan, "send_reject", second::reject, "said_rejected").await
}

type Decide = fn(&mut Tx<'_>, i64, crate::domain::clock::UnixMillis) -> Result<Decided, StoreError>;

/// Decides, unless it is one's own. Whether it is, is asked in the same transaction.
async fn decide(desk: &Desk, plan: i64, act: &'static str, with: Decide, said: &'static str) -> Answer {
    let (now, me) = (desk.room.front.store.now().await?, desk.who.id);
    let job = move |tx: &mut Tx<'_>| {
        let Some(waiting) = second::find(tx, plan)? else { return Ok(Err("error_not_waiting")) };
        if asked_by(tx, &waiting, me)? {
            return Ok(Err("error_same_person"));
        }
        Ok(match with(tx, plan, now)? {
            Decided::Done => Ok(()),
            Decided::NotWaiting => Err("error_not_waiting"),
            Decided::BeingPlanned => Err("error_being_planned"),
        })
    };
    let act = Act::new(act, Subject::plan(&plan.to_string()));
    match desk.act_if(act, job, Result::is_ok).await? {
        Ok(()) => {
            desk.room.front.planner.tell();
            Ok(desk.done("/admin/waiting", said))
        }
        Err(why) => Ok(desk.faulty("waiting.html", page(desk).await?, why)),
    }
}

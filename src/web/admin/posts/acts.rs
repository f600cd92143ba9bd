//! What an operator does about a post, through the same functions as the command line.

use super::{found, one};
use crate::domain::audit::Subject;
use crate::intake::accept::Verdict;
use crate::store::posts;
use crate::web::admin::desk::{Act, Answer, Desk, Lost};
use crate::web::admin::fields::Fields;
use axum::extract::Path;

/// Longest reason, in characters.
const REASON_LEN_MAX: usize = 500;

/// Owes an old post to readers like a new one.
pub(super) async fn release(desk: Desk, Path(id): Path<String>) -> Answer {
    let (standing, _) = found(&desk, &id).await?;
    let (now, key) = (desk.room.front.store.now().await?, standing.post_id.clone());
    let act = Act::new("post_release", Subject::post(&standing.post_id));
    if !desk.act_if(act, move |tx| posts::lift_backfill(tx, &key, now), |lifted| *lifted).await? {
        return Ok(desk.faulty("post.html", one(&desk, &id).await?, "error_no_guard"));
    }
    desk.room.front.planner.tell();
    Ok(desk.done(&format!("/admin/posts/{}", standing.post_id), "said_released"))
}

/// Takes a post back, for good.
pub(super) async fn withdraw(desk: Desk, Path(id): Path<String>, fields: Fields) -> Answer {
    let (standing, post) = found(&desk, &id).await?;
    let reason = fields.get("reason").to_owned();
    if reason.is_empty() || reason.chars().count() > REASON_LEN_MAX {
        return Ok(desk.faulty("post.html", one(&desk, &id).await?, "error_reason"));
    }
    let receipt = desk.room.front.intake.withdraw(&standing.source, &post.source_id).await?;
    if !matches!(receipt.verdict, Verdict::Withdrawn | Verdict::Duplicate) {
        return Err(Lost::Refused("error_refused"));
    }
    desk.tell(Act::new("post_withdraw", Subject::post(&standing.post_id)).with("reason", reason)).await?;
    desk.room.front.planner.tell();
    Ok(desk.done(&format!("/admin/posts/{}", standing.post_id), "said_withdrawn"))
}

/// Sends the newest revision to exactly those who got an earlier one.
pub(super) async fn correct(desk: Desk, Path(id): Path<String>) -> Answer {
    let (standing, _) = found(&desk, &id).await?;
    let planner = &desk.room.front.planner;
    let readers = if standing.is_public() { planner.outdated(&standing.post_id).await? } else { 0 };
    if readers == 0 || planner.correct(&standing.post_id).await?.is_none() {
        return Ok(desk.faulty("post.html", one(&desk, &id).await?, "error_nobody_outdated"));
    }
    let act = Act::new("post_correct", Subject::post(&standing.post_id));
    desk.tell(act.with("revision", standing.revision).with("readers", readers)).await?;
    planner.tell();
    Ok(desk.done(&format!("/admin/posts/{}", standing.post_id), "said_correcting"))
}

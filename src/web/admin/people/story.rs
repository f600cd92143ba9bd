//! One person's whole story, and whether they got a post.

use super::super::Route;
use super::super::desk::{Answer, Desk, Lost};
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::domain::staff::Role;
use crate::plan::explain::Because;
use crate::store::bounces::Bounce;
use crate::store::deliveries::{self, Before, Received};
use crate::store::finding::Found;
use crate::store::stories::{self, Called, Known, Owed, Story};
use crate::store::subscribers::{self, Subscription};
use crate::store::suppressions::Suppression;
use crate::store::{StoreError, Tx, consents};
use axum::extract::Path;
use serde::Serialize;

/// Deliveries on one page.
const PAGE: usize = 20;
/// Rows of the ledger of consent that are shown.
const CONSENTS_SHOWN: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin/people/{id}", Role::Viewer, show), Route::get("/admin/people/{id}/why", Role::Viewer, why)]
}

#[derive(Serialize)]
struct Taken {
    topic: String,
    schedule: String,
    /// The reader's own hour and zone.
    own_time: Option<String>,
    since: i64,
    mark: i64,
    next_at: Option<UnixMillis>,
    /// Whether the digest has left the configuration.
    is_gone: bool,
}

#[derive(Serialize)]
struct Pause {
    until: UnixMillis,
    then: &'static str,
}

#[derive(Serialize)]
struct Suppressed {
    cause: &'static str,
    evidence: String,
    since_at: UnixMillis,
    until_at: Option<UnixMillis>,
    lifted_at: Option<UnixMillis>,
    lifted_by: Option<String>,
}

#[derive(Serialize)]
struct Person {
    #[serde(flatten)]
    found: Found,
    text_only: bool,
    moved_at: Option<UnixMillis>,
    pause: Option<Pause>,
    suppression: Option<Suppressed>,
    takes: Vec<Taken>,
    wishes: Vec<(String, String)>,
    bounces: Vec<Bounce>,
}

#[derive(Serialize)]
struct Agreed {
    at: UnixMillis,
    act: &'static str,
    source: String,
    actor: String,
    wording: String,
    /// Topics and schedules, and how an imported one is said to have agreed.
    about: String,
    basis: Option<String>,
}

/// What the page is made of.
#[derive(Serialize)]
pub(super) struct Shown {
    id: i64,
    person: Option<Person>,
    erased_at: Option<UnixMillis>,
    consents: Vec<Agreed>,
    owed: Vec<Owed>,
    deliveries: Vec<Received>,
    older: Option<String>,
    /// The first day that a pause may last to.
    first_day: String,
}

/// Reads what the page is made of, with deliveries from `before` on.
pub(super) async fn shown(desk: &Desk, id: i64, before: Option<Before>) -> Result<Shown, Lost> {
    let read = move |tx: &mut Tx<'_>| {
        let Some(story) = stories::of(tx, id)? else { return Ok(None) };
        let owed = stories::owed(tx, id)?;
        let listed = deliveries::of_recipient(tx, id, before, PAGE + 1)?;
        let has_more = listed.len() > PAGE;
        let told: Result<Vec<Received>, StoreError> =
            listed.into_iter().take(PAGE).map(|one| deliveries::told(tx, one)).collect();
        Ok(Some((story, owed, told?, has_more)))
    };
    let (story, owed, deliveries, has_more) = desk.read(read).await?.ok_or(Lost::NotFound)?;
    let older = deliveries.last().filter(|_| has_more).map(|last| {
        let plan = last.listed.id.split('.').next().unwrap_or_default();
        format!("{}-{plan}", last.listed.planned_at.0)
    });
    let tomorrow = UnixMillis(desk.now().0 + 86_400_000).timestamp().to_zoned(desk.room.front.zone.clone());
    Ok(Shown {
        id,
        erased_at: story.erased_at(),
        consents: agreed(&story),
        person: story.known.map(|known| person(desk, known)),
        owed,
        deliveries,
        older,
        first_day: tomorrow.strftime("%Y-%m-%d").to_string(),
    })
}

fn person(desk: &Desk, known: Known) -> Person {
    let suppressed = |one: Suppression| Suppressed {
        cause: one.cause.word(),
        evidence: one.evidence,
        since_at: one.since_at,
        until_at: one.until_at,
        lifted_at: one.lifted_at,
        lifted_by: one.lifted_by,
    };
    let takes = known.subscriptions.iter().map(|one| taken(desk, one)).collect();
    Person {
        text_only: known.person.text_only,
        moved_at: known.profile.moved_at,
        pause: known.profile.pause.map(|(until, then)| Pause { until, then: then.word() }),
        suppression: known.suppression.map(suppressed),
        takes,
        wishes: known.wishes.into_iter().map(|wish| (wish.topic, wish.slot.as_str().to_owned())).collect(),
        bounces: known.bounces,
        found: known.found,
    }
}

fn taken(desk: &Desk, one: &Subscription) -> Taken {
    let (schedule, digests) = (one.slot.schedule(), desk.room.front.planner.digests());
    let is_immediate = schedule == IMMEDIATE;
    let digest = digests.get(schedule);
    let next = digest.and_then(|digest| digest.schedule_of(&one.slot).ok()?.next_after(desk.now().0));
    Taken {
        topic: one.topic.clone(),
        schedule: schedule.to_owned(),
        own_time: one.slot.own_time().map(|(hour, minute, zone)| format!("{hour:02}:{minute:02} {zone}")),
        since: one.since,
        mark: one.mark,
        next_at: next.map(UnixMillis),
        is_gone: !is_immediate && digest.is_none(),
    }
}

fn agreed(story: &Story) -> Vec<Agreed> {
    let row = |kept: &consents::Kept| Agreed {
        at: kept.at,
        act: kept.act.word(),
        source: kept.source.clone(),
        actor: kept.actor.clone(),
        wording: kept.wording.clone(),
        about: about(&kept.detail),
        basis: kept.detail["basis"].as_str().map(str::to_owned),
    };
    story.consents.iter().take(CONSENTS_SHOWN).map(row).collect()
}

/// Topics with their schedules, as a row of the ledger names them.
fn about(detail: &serde_json::Value) -> String {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let mut parts = Vec::new();
    for list in ["topics", "left", "schedules"] {
        for one in detail[list].as_array().into_iter().flatten() {
            let slot = [&one["schedule"], &one["slot"]].into_iter().find_map(|slot| slot.as_str());
            parts.push(match (one.as_str(), slot) {
                (Some(topic), _) => topic.to_owned(),
                (None, Some(slot)) => format!("{} ({slot})", text(&one["topic"])),
                (None, None) => text(&one["topic"]),
            });
        }
    }
    let mut about = parts.join(", ");
    if let Some(schedule) = detail["schedule"].as_str() {
        about = format!("{about} ({schedule})");
    }
    about
}

async fn show(desk: Desk, Path(id): Path<i64>) -> Answer {
    let before = desk.query.some("before").and_then(|text| text.split_once('-'));
    let before = before
        .and_then(|(at, plan)| Some(Before { planned_at: UnixMillis(at.parse().ok()?), plan_id: plan.parse().ok()? }));
    let shown = shown(&desk, id, before).await?;
    Ok(desk.page("people_story.html", shown))
}

#[derive(Serialize)]
struct Why {
    id: i64,
    address: String,
    typed: String,
    /// What was asked for, where it is one post.
    post: Option<Called>,
    /// Which ones may be meant, where they are several.
    posts: Vec<Called>,
    because: Option<Because>,
    /// The variant that their language has, where it is another one.
    variant: Option<Called>,
    deliveries: Vec<Received>,
}

/// Whether somebody got a post, and why not.
async fn why(desk: Desk, Path(id): Path<i64>) -> Answer {
    let typed = desk.query.get("post").to_owned();
    let asked = typed.clone();
    let read = move |tx: &mut Tx<'_>| {
        let Some(person) = subscribers::find(tx, id)? else { return Ok(None) };
        let called = if asked.is_empty() { Vec::new() } else { stories::posts_called(tx, &asked)? };
        Ok(Some((person, called)))
    };
    let (person, mut posts) = desk.read(read).await?.ok_or(Lost::NotFound)?;
    let mut why = Why {
        id,
        address: person.address.to_string(),
        typed,
        post: None,
        posts: Vec::new(),
        because: None,
        variant: None,
        deliveries: Vec::new(),
    };
    if posts.is_empty() {
        return Ok(desk.faulty("people_why.html", why, "error_no_post"));
    }
    if posts.len() > 1 {
        why.posts = posts;
        return Ok(desk.page("people_why.html", why));
    }
    let post = posts.remove(0);
    let explained = desk.room.front.planner.explain(&person.address, &post.id).await?.ok_or(Lost::NotFound)?;
    let variant = explained.release.map(|(_, variant)| variant).filter(|variant| *variant != post.id);
    let listed = explained.deliveries;
    let read = move |tx: &mut Tx<'_>| {
        let told: Result<Vec<Received>, StoreError> =
            listed.iter().cloned().map(|one| deliveries::told(tx, one)).collect();
        let variant = variant.as_deref().map(|id| stories::posts_called(tx, id)).transpose()?.unwrap_or_default();
        Ok((told?, variant.into_iter().next()))
    };
    (why.deliveries, why.variant) = desk.read(read).await?;
    (why.post, why.because) = (Some(post), Some(explained.because));
    Ok(desk.page("people_why.html", why))
}

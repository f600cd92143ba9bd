//! Whether everything is well, at a glance.

mod plots;
mod promised;

use super::desk::{Answer, Desk};
use super::{Room, Route};
use crate::domain::audience::IMMEDIATE;
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::staff::Role;
use crate::store::Tx;
use crate::store::overview::{self, AGES_MIN, Fired, Waiting};
use crate::store::tallies::{self, HOUR_MS, Kind};
use plots::{Plots, Span};
use promised::Promised;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/admin", Role::Viewer, show)]
}

/// What of the last day is told in numbers.
const DAY: Duration = Duration::from_secs(86_400);

#[derive(Serialize)]
struct Queue {
    carrier: String,
    /// Of the destination: a relay's, or an endpoint's number.
    name: String,
    ages: Vec<i64>,
    all: i64,
    reasons: Vec<(String, i64)>,
}

#[derive(Serialize)]
struct Run {
    slot: String,
    title: String,
    last_at: Option<UnixMillis>,
    planned: i64,
    is_planned: bool,
    skipped: Option<String>,
    next_at: Option<UnixMillis>,
}

#[derive(Serialize)]
struct Overview {
    promised: Promised,
    queues: Vec<Queue>,
    /// Whether something that waits was tried in vain.
    is_troubled: bool,
    ages: Vec<String>,
    is_more: bool,
    for_a_person: Vec<(&'static str, i64, &'static str)>,
    came_in: Vec<(String, i64)>,
    /// Carrier, then state and count.
    went_out: Vec<(String, Vec<(String, i64)>)>,
    runs: Vec<Run>,
    plots: Plots,
    span: &'static str,
    spans: [&'static str; 3],
}

/// Where an operator looks after each kind of thing that needs a person.
const PLACES: &[(&str, &str)] = &[
    ("holds", "/admin/freeze"),
    ("quarantine", "/admin/quarantine"),
    ("uncertain", "/admin/deliveries?state=uncertain"),
    ("partners", "/admin/partners"),
    ("waiting", "/admin/waiting"),
];

async fn show(desk: Desk) -> Answer {
    let now = desk.room.front.store.now().await?;
    let span = Span::named(desk.query.get("span"));
    let read = move |tx: &mut Tx<'_>| {
        let waiting = overview::waiting(tx, now)?;
        let (people, fired) = (overview::for_a_person(tx)?, overview::last_fired(tx)?);
        let counts = |tx: &mut Tx<'_>, kind| tallies::since(tx, kind, HOUR_MS, now.minus(DAY));
        let (came_in, went_out) = (counts(tx, Kind::In)?, counts(tx, Kind::Out)?);
        Ok((waiting, people, fired, came_in, went_out, plots::read(tx, span, now)?))
    };
    let ((waiting, is_more), people, fired, came_in, went_out, counted) = desk.read(read).await?;
    let place = |word: &str| PLACES.iter().find(|(of, _)| *of == word).map_or("", |(_, place)| place);
    let overview = Overview {
        promised: promised::read(&desk).await?,
        is_troubled: waiting.iter().any(|waiting| !waiting.reasons.is_empty()),
        queues: waiting.into_iter().map(queue).collect(),
        ages: AGES_MIN
            .iter()
            .map(|bound| format!("<{bound}"))
            .chain([format!("≥{}", AGES_MIN[AGES_MIN.len() - 1])])
            .collect(),
        is_more,
        for_a_person: people.into_iter().map(|(word, count)| (word, count, place(word))).collect(),
        came_in: summed(came_in.into_iter().map(|(_, name, count)| (name, count))),
        went_out: by_carrier(went_out),
        runs: runs(&desk.room, &desk.language, fired, now),
        plots: plots::made(&desk, span, &counted),
        span: span.word(),
        spans: Span::ALL.map(Span::word),
    };
    Ok(desk.page("overview.html", overview))
}

fn queue(waiting: Waiting) -> Queue {
    let all = waiting.all();
    let mut reasons: Vec<_> = waiting.reasons.into_iter().collect();
    reasons.sort_by_key(|(_, count)| -count);
    let (carrier, name) = waiting.destination.split_once(':').unwrap_or((&waiting.destination, ""));
    Queue { carrier: carrier.to_owned(), name: name.to_owned(), ages: waiting.ages.to_vec(), all, reasons }
}

fn summed(counts: impl Iterator<Item = (String, i64)>) -> Vec<(String, i64)> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for (name, count) in counts {
        *sums.entry(name).or_default() += count;
    }
    sums.into_iter().collect()
}

fn by_carrier(counts: Vec<(UnixMillis, String, i64)>) -> Vec<(String, Vec<(String, i64)>)> {
    let mut carriers: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for (name, count) in summed(counts.into_iter().map(|(_, name, count)| (name, count))) {
        if let Some((carrier, state)) = name.split_once('/') {
            carriers.entry(carrier.to_owned()).or_default().push((state.to_owned(), count));
        }
    }
    carriers.into_iter().collect()
}

/// Every digest with its last and next firing, and what readers chose beside it (their own hour and zone).
fn runs(room: &Room, language: &Language, fired: Vec<Fired>, now: UnixMillis) -> Vec<Run> {
    let front = &room.front;
    let mut last: BTreeMap<String, Fired> = fired.into_iter().map(|fired| (fired.slot.clone(), fired)).collect();
    let run = |slot: String, title: String, next_at: Option<i64>, fired: Option<Fired>| Run {
        slot,
        title,
        last_at: fired.as_ref().map(|fired| fired.due_at),
        planned: fired.as_ref().map_or(0, |fired| fired.planned),
        is_planned: fired.as_ref().is_none_or(|fired| fired.is_planned),
        skipped: fired.and_then(|fired| fired.skipped),
        next_at: next_at.map(UnixMillis),
    };
    let digests = front.digests.iter().map(|(name, (title, schedule))| {
        let fired = last.remove(name);
        run(name.clone(), title.get(language).to_owned(), schedule.next_after(now.0), fired)
    });
    let mut runs: Vec<Run> = digests.collect();
    let title = |slot: &str| match slot {
        IMMEDIATE => room.pages.word("overview.html", language, "part_immediate").unwrap_or(IMMEDIATE).to_owned(),
        own => own.to_owned(),
    };
    runs.extend(last.into_iter().map(|(slot, fired)| run(slot.clone(), title(&slot), None, Some(fired))));
    runs
}

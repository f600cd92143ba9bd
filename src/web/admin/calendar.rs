//! What goes out when: a month of issues, with the days on which digests rest.

use super::Route;
use super::desk::{Act, Answer, Desk, Lost};
use super::fields::Fields;
use crate::domain::audit::Subject;
use crate::domain::clock::UnixMillis;
use crate::domain::freeze::{self, Freeze, Standing, Way};
use crate::domain::staff::Role;
use crate::store::{Tx, freezes, occurrences};
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;

/// Issues of one digest that are listed of a month; one that comes more often is told of in a line.
const ISSUES_MAX: usize = 62;
/// Days that are set with one form: years of holidays.
const LINES_MAX: usize = 500;
/// Longest name, in characters.
const NAME_LEN_MAX: usize = 100;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/admin/calendar", Role::Viewer, show),
        Route::post("/admin/calendar/freeze", Role::Operator, put),
        Route::post("/admin/calendar/remove", Role::Operator, remove),
    ]
}

#[derive(Serialize)]
struct Issue {
    at: UnixMillis,
    title: String,
    digest: String,
    /// `well`, `skipped` or `put_off`.
    state: &'static str,
    freeze: String,
    moved_at: Option<UnixMillis>,
}

#[derive(Serialize)]
struct Day {
    day: String,
    is_today: bool,
    freezes: Vec<String>,
    issues: Vec<Issue>,
}

#[derive(Serialize)]
struct Rest {
    name: String,
    first: String,
    last: String,
    digests: Vec<String>,
    way: &'static str,
    reason: String,
}

#[derive(Serialize)]
struct Calendar {
    month: String,
    before: String,
    after: String,
    days: Vec<Day>,
    /// Digests that come more often than is listed.
    often: Vec<String>,
    /// Hours of their own that readers chose, by digest.
    own_hours: Vec<(String, usize)>,
    freezes: Vec<Rest>,
    digests: Vec<(String, String)>,
    typed: String,
}

async fn part(desk: &Desk, typed: &str) -> Result<Calendar, Lost> {
    let (front, now) = (&desk.room.front, desk.room.front.store.now().await?);
    let today = now.timestamp().to_zoned(front.zone.clone()).date();
    let first = format!("{}-01", desk.query.get("month")).parse::<Date>().unwrap_or(today).first_of_month();
    let (before, after) = (first.saturating_sub(1.month()), first.saturating_add(1.month()));
    let from = first.to_string();
    let (freezes, slots) = desk.read(move |tx| Ok((freezes::since(tx, &from)?, occurrences::slots(tx)?))).await?;
    let mut own: BTreeMap<String, usize> = BTreeMap::new();
    for slot in slots.iter().map(|state| &state.slot).filter(|slot| slot.own_time().is_some()) {
        *own.entry(slot.schedule().to_owned()).or_default() += 1;
    }
    let (issues, often) = issues(desk, &freezes, first, after)?;
    let digest = |(name, (title, _)): (&String, &(crate::render::site::LocalText, _))| {
        (name.clone(), title.get(&desk.language).to_owned())
    };
    Ok(Calendar {
        month: month(first),
        before: month(before),
        after: month(after),
        days: days(first, after, today, issues, &freezes),
        often,
        own_hours: own.into_iter().collect(),
        freezes: freezes.into_iter().map(rest).collect(),
        digests: front.digests.iter().map(digest).collect(),
        typed: typed.to_owned(),
    })
}

fn month(day: Date) -> String {
    day.strftime("%Y-%m").to_string()
}

fn rest(freeze: Freeze) -> Rest {
    Rest {
        first: freeze.first.to_string(),
        last: freeze.last.to_string(),
        digests: freeze.digests,
        way: freeze.way.word(),
        reason: freeze.reason,
        name: freeze.name,
    }
}

type Issues = BTreeMap<Date, Vec<Issue>>;

/// The issues from `first` to the day before `end`, by the day in the site's zone; and the digests that come too often for that.
fn issues(desk: &Desk, freezes: &[Freeze], first: Date, end: Date) -> Result<(Issues, Vec<String>), Lost> {
    let front = &desk.room.front;
    let begins = |day: Date| day.to_zoned(front.zone.clone()).map(|at| at.timestamp().as_millisecond());
    let (Ok(from), Ok(until)) = (begins(first), begins(end)) else { return Err(Lost::NotFound) };
    let (mut all, mut often) = (Issues::new(), Vec::new());
    for (name, (title, schedule)) in &front.digests {
        let firings = std::iter::successors(schedule.next_after(from - 1), |at| schedule.next_after(*at));
        let firings: Vec<i64> = firings.take_while(|at| *at < until).take(ISSUES_MAX + 1).collect();
        if firings.len() > ISSUES_MAX {
            often.push(title.get(&desk.language).to_owned());
            continue;
        }
        for at in firings.into_iter().map(UnixMillis) {
            let (state, freeze, moved_at) = match freeze::standing(freezes, name, at, schedule.zone()) {
                Standing::Free => ("well", String::new(), None),
                Standing::Skipped(freeze) => ("skipped", freeze.name.clone(), None),
                Standing::PutOff(freeze, later) => ("put_off", freeze.name.clone(), Some(later)),
            };
            let (title, digest) = (title.get(&desk.language).to_owned(), name.clone());
            let day = at.timestamp().to_zoned(front.zone.clone()).date();
            all.entry(day).or_default().push(Issue { at, title, digest, state, freeze, moved_at });
        }
    }
    all.values_mut().for_each(|issues| issues.sort_by_key(|issue| issue.at));
    Ok((all, often))
}

/// The days of a month on which something is.
fn days(first: Date, end: Date, today: Date, mut issues: Issues, freezes: &[Freeze]) -> Vec<Day> {
    let all = first.series(1.day()).take_while(|day| *day < end);
    let day = |day: Date| {
        let here = freezes.iter().filter(|freeze| freeze.first <= day && day <= freeze.last);
        let freezes = here.map(|freeze| freeze.name.clone()).collect();
        let issues = issues.remove(&day).unwrap_or_default();
        Day { day: day.strftime("%m-%d").to_string(), is_today: day == today, freezes, issues }
    };
    all.map(day).filter(|day| day.is_today || !day.freezes.is_empty() || !day.issues.is_empty()).collect()
}

async fn show(desk: Desk) -> Answer {
    let part = part(&desk, "").await?;
    Ok(desk.page("calendar.html", part))
}

/// One freeze for each line: `2026-12-25 Christmas` or `2027-02-06 2027-02-08 Seollal`.
fn read(line: &str) -> Option<(Date, Date, String)> {
    let (first, rest) = line.trim().split_once(char::is_whitespace)?;
    let first: Date = first.parse().ok()?;
    let rest = rest.trim();
    let (last, name) = match rest.split_once(char::is_whitespace) {
        Some((last, name)) if last.parse::<Date>().is_ok() => (last.parse().ok()?, name.trim()),
        _ => (first, rest),
    };
    let is_named = !name.is_empty() && name.chars().count() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
    (is_named && first <= last).then(|| (first, last, name.to_owned()))
}

async fn put(desk: Desk, fields: Fields) -> Answer {
    let typed = fields.get("days").to_owned();
    let lines: Vec<&str> = typed.lines().filter(|line| !line.trim().is_empty()).collect();
    let read: Option<Vec<_>> = lines.iter().map(|line| read(line)).collect();
    let (Some(read), Some(way)) = (read, Way::from_word(fields.get("way"))) else {
        return Ok(desk.faulty("calendar.html", part(&desk, &typed).await?, "error_days"));
    };
    if read.is_empty() || read.len() > LINES_MAX {
        return Ok(desk.faulty("calendar.html", part(&desk, &typed).await?, "error_days"));
    }
    let front = &desk.room.front;
    let digests = fields.all("digest").into_iter().filter(|name| front.digests.contains_key(*name));
    let digests: Vec<String> = digests.map(str::to_owned).collect();
    let Some(zone) = front.zone.iana_name().map(str::to_owned) else { return Err(Lost::Broken) };
    let freeze = |(first, last, name): (Date, Date, String)| Freeze {
        // A holiday comes every year; a name is one freeze.
        name: format!("{name} {}", first.year()),
        first,
        last,
        zone: zone.clone(),
        digests: digests.clone(),
        way,
        reason: name,
    };
    let freezes: Vec<Freeze> = read.into_iter().map(freeze).collect();
    let names: Vec<String> = freezes.iter().map(|freeze| freeze.name.clone()).collect();
    let now = front.store.now().await?;
    let act = Act::new("freeze_put", Subject::none()).with("freezes", names).with("way", way.word());
    desk.act(act, move |tx: &mut Tx<'_>| freezes.iter().try_for_each(|freeze| freezes::put(tx, freeze, now))).await?;
    front.planner.tell();
    Ok(desk.done("/admin/calendar", "said_put"))
}

async fn remove(desk: Desk, fields: Fields) -> Answer {
    let name = fields.get("name").to_owned();
    let act = Act::new("freeze_remove", Subject::freeze(&name));
    let removed = desk.act_if(act, move |tx: &mut Tx<'_>| freezes::remove(tx, &name), |removed| *removed).await?;
    if !removed {
        return Err(Lost::NotFound);
    }
    desk.room.front.planner.tell();
    Ok(desk.done("/admin/calendar", "said_removed"))
}

//! The plots of the overview, over the last hour, day or month.

use crate::domain::clock::UnixMillis;
use crate::render::admin::plot::{Plot, Series};
use crate::store::tallies::{self, DELAYS_MS, HOUR_MS, Kind, MINUTE_MS};
use crate::store::{StoreError, Tx};
use crate::web::admin::desk::Desk;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// Domains that are shown by name.
const DOMAINS: usize = 10;
const TEMPLATE: &str = "overview.html";

/// How far back is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    Hour,
    Day,
    Month,
}

impl Span {
    pub(super) const ALL: [Self; 3] = [Self::Hour, Self::Day, Self::Month];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    pub(super) fn named(word: &str) -> Self {
        Self::ALL.into_iter().find(|span| span.word() == word).unwrap_or(Self::Day)
    }

    /// How many steps are shown, how long each is, and in which steps it was counted, in milliseconds.
    fn steps(self) -> (usize, i64, i64) {
        match self {
            Self::Hour => (12, 5 * MINUTE_MS, MINUTE_MS),
            Self::Day => (24, HOUR_MS, HOUR_MS),
            Self::Month => (31, 24 * HOUR_MS, HOUR_MS),
        }
    }
}

/// What was counted of each kind.
pub(super) struct Counted {
    from: UnixMillis,
    out: Vec<(UnixMillis, String, i64)>,
    delay: Vec<(UnixMillis, String, i64)>,
    bounce: Vec<(UnixMillis, String, i64)>,
    feed: Vec<(UnixMillis, String, i64)>,
}

pub(super) fn read(tx: &mut Tx<'_>, span: Span, now: UnixMillis) -> Result<Counted, StoreError> {
    let (count, step_ms, of_ms) = span.steps();
    // The step under way is the last one shown.
    let from = UnixMillis((now.0.div_euclid(step_ms) + 1 - count as i64) * step_ms);
    let mut of = |kind| tallies::since(tx, kind, of_ms, from);
    Ok(Counted { from, out: of(Kind::Out)?, delay: of(Kind::Delay)?, bounce: of(Kind::Bounce)?, feed: of(Kind::Feed)? })
}

#[derive(Serialize)]
pub(super) struct Legend {
    name: String,
    class: &'static str,
    total: String,
}

#[derive(Serialize)]
pub(super) struct Shown {
    svg: String,
    legend: Vec<Legend>,
}

#[derive(Serialize)]
pub(super) struct Plots {
    out: Option<Shown>,
    delay: Option<Shown>,
    feed: Option<Shown>,
    /// Domains with refusals, most first.
    bounces: Vec<(String, i64)>,
}

pub(super) fn made(desk: &Desk, span: Span, counted: &Counted) -> Plots {
    let mut bounces: BTreeMap<&str, i64> = BTreeMap::new();
    for (_, domain, count) in &counted.bounce {
        *bounces.entry(domain).or_default() += count;
    }
    let mut bounces: Vec<(String, i64)> = bounces.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    bounces.sort_by_key(|(_, count)| -count);
    bounces.truncate(DOMAINS);
    Plots { out: out(desk, span, counted), delay: delay(desk, span, counted), feed: feed(desk, span, counted), bounces }
}

/// What became of deliveries, all carriers together.
fn out(desk: &Desk, span: Span, counted: &Counted) -> Option<Shown> {
    let states = [("sent", "good"), ("due", "one"), ("uncertain", "warn"), ("refused", "bad"), ("abandoned", "three")];
    let series = states.map(|(state, class)| {
        let word = desk.word(TEMPLATE, &format!("state_{state}")).to_owned();
        let is_it = |name: &str| name.split_once('/').is_some_and(|(_, of)| of == state);
        Series { name: word, class, values: values(span, counted.from, &counted.out, is_it) }
    });
    bars(desk, span, counted.from, "kind_out", series.into())
}

/// Feeds that were given, and those that the reader had already.
fn feed(desk: &Desk, span: Span, counted: &Counted) -> Option<Shown> {
    let series = [("fresh", "one"), ("known", "good")].map(|(name, class)| {
        let word = desk.word(TEMPLATE, &format!("kind_{name}")).to_owned();
        Series { name: word, class, values: values(span, counted.from, &counted.feed, |of| of == name) }
    });
    bars(desk, span, counted.from, "kind_feed", series.into())
}

fn bars(desk: &Desk, span: Span, from: UnixMillis, title: &str, series: Vec<Series>) -> Option<Shown> {
    let series: Vec<Series> =
        series.into_iter().filter(|series| series.values.iter().any(|value| *value > 0)).collect();
    if series.is_empty() {
        return None;
    }
    let total = |series: &Series| crate::render::words::grouped(series.values.iter().sum());
    let legend =
        series.iter().map(|one| Legend { name: one.name.clone(), class: one.class, total: total(one) }).collect();
    let plot = Plot { title: desk.word(TEMPLATE, title).to_owned(), steps: labels(desk, span, from), series };
    Some(Shown { svg: plot.bars(), legend })
}

/// Percentiles of the time from accepting a post to its mail's being sent.
fn delay(desk: &Desk, span: Span, counted: &Counted) -> Option<Shown> {
    let (count, step_ms, _) = span.steps();
    let mut steps: Vec<BTreeMap<i64, i64>> = vec![BTreeMap::new(); count];
    let mut all: BTreeMap<i64, i64> = BTreeMap::new();
    for (at, bucket, times) in &counted.delay {
        let Ok(bound) = bucket.parse::<i64>() else { continue };
        let index = usize::try_from((at.0 - counted.from.0).div_euclid(step_ms)).unwrap_or(usize::MAX);
        if let Some(step) = steps.get_mut(index) {
            *step.entry(bound).or_default() += times;
            *all.entry(bound).or_default() += times;
        }
    }
    if all.is_empty() {
        return None;
    }
    let shares = [("50 %", 0.5, "good"), ("95 %", 0.95, "warn"), ("99 %", 0.99, "bad")];
    let series: Vec<Series> = shares
        .iter()
        .map(|(name, share, class)| Series {
            name: (*name).to_owned(),
            class,
            values: steps.iter().map(|step| tallies::percentile(step, *share).unwrap_or(0)).collect(),
        })
        .collect();
    let top = series.iter().flat_map(|one| one.values.iter().copied()).max().unwrap_or(DELAYS_MS[0]);
    let legend = shares.iter().map(|(name, share, class)| {
        let bound = tallies::percentile(&all, *share).unwrap_or(0);
        Legend { name: (*name).to_owned(), class, total: format!("≤ {}", short(bound)) }
    });
    let legend = legend.collect();
    let plot =
        Plot { title: desk.word(TEMPLATE, "kind_delay").to_owned(), steps: labels(desk, span, counted.from), series };
    Some(Shown { svg: plot.lines(&short(top)), legend })
}

/// A span by its largest unit: `30 s`, `2 h`.
fn short(span_ms: i64) -> String {
    match Duration::from_millis(span_ms.unsigned_abs()).as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds @ 3_600..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn values(span: Span, from: UnixMillis, rows: &[(UnixMillis, String, i64)], is_it: impl Fn(&str) -> bool) -> Vec<i64> {
    let (count, step_ms, _) = span.steps();
    let mut values = vec![0; count];
    for (at, _, times) in rows.iter().filter(|(_, name, _)| is_it(name)) {
        let index = usize::try_from((at.0 - from.0).div_euclid(step_ms)).unwrap_or(usize::MAX);
        if let Some(value) = values.get_mut(index) {
            *value += times;
        }
    }
    values
}

fn labels(desk: &Desk, span: Span, from: UnixMillis) -> Vec<String> {
    let (count, step_ms, _) = span.steps();
    let format = if span == Span::Month { "%m-%d" } else { "%H:%M" };
    let label = |index: usize| {
        let at = UnixMillis(from.0 + index as i64 * step_ms).timestamp().to_zoned(desk.room.front.zone.clone());
        at.strftime(format).to_string()
    };
    (0..count).map(label).collect()
}

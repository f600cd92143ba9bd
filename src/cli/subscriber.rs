//! `allim subscriber`: import, export, show; suppress and lift (`suppression.rs`).

mod story;
mod suppression;

pub(super) use suppression::print_bounces;

use super::{Context, audit, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::audience::Address;
use crate::domain::audit::Subject;
use crate::plan::roster::{self, BATCH, Line, Rolls, Taken};
use crate::store::audit::{Entry, note};
use crate::store::people::{self, By};
use crate::store::{consents, deliveries, erasing, subscribers};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// What is done with subscribers.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Reads a CSV file with the columns address, name, language, topics and schedule (topics parted by spaces;
    /// schedule is `immediate`, a digest's name, or `DIGEST HH:MM ZONE`). Those who left stay away.
    Import {
        /// The file, CSV or a JSON list of the same fields; `-` is standard input.
        file: PathBuf,
        /// Changes nothing and tells what would become of each row.
        #[arg(long)]
        dry_run: bool,
        /// Writes what became of each row to this CSV file: line, result, reason.
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
    },
    /// Writes all subscribers as such a CSV file to standard output, without those who left.
    Export,
    /// Writes the ledger of consent to standard output, one JSON object a line: the proof of who agreed to what, when, by which wording.
    Consents {
        /// Only those of this mail address.
        address: Option<String>,
    },
    /// Erases a subscriber, as they could by their own page: what is left is a keyed hash that keeps the address suppressed.
    Erase {
        /// The mail address.
        address: String,
    },
    /// Shows one subscriber.
    Show {
        /// The mail address.
        address: String,
    },
    /// Finds people by the beginning of an address, a name or a domain (`@example`), or by number (`#12`).
    Search {
        /// What is looked for.
        text: String,
    },
    /// Tells everything about one person: consents, what is owed, deliveries with attempts and answers.
    Story {
        /// The mail address, or the number (`#12`), also of somebody who was erased.
        whom: String,
    },
    /// Writes no more to an address, whoever it belongs to now or later.
    Suppress {
        /// The mail address.
        address: String,
        /// Why, for whoever looks later.
        #[arg(long)]
        reason: String,
    },
    /// Takes a suppression back, and forgets what counted against the address.
    Lift {
        /// The mail address.
        address: String,
    },
}

/// Subscribers read at once.
const PAGE: i64 = 1_000;
/// Deliveries shown with a subscriber.
const DELIVERIES_SHOWN: usize = 20;

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::Import { file, dry_run, report } => import(&app, &file, dry_run, report.as_deref(), json).await,
        Command::Export => export(&app).await,
        Command::Consents { address } => consents(&app, address.as_deref()).await,
        Command::Erase { address } => erase(&app, &address).await,
        Command::Show { address } => show(&app, &address, json).await,
        Command::Search { text } => story::search(&app, &text, json).await,
        Command::Story { whom } => story::story(&app, &whom, json).await,
        Command::Suppress { address, reason } => suppression::suppress(&app, &address, &reason, json).await,
        Command::Lift { address } => suppression::lift(&app, &address, json).await,
    }
}

/// What an import came to.
#[derive(Default, serde::Serialize)]
struct Tally {
    added: u64,
    changed: u64,
    same: u64,
    stay_away: u64,
    own_choice: u64,
    faults: u64,
}

/// What became of one row.
#[derive(serde::Serialize)]
struct Row {
    line: u64,
    result: &'static str,
    reason: String,
}

async fn import(app: &App, file: &Path, dry_run: bool, report: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    }
    let (rows, rolls) = (roster::rows(&bytes).with_context(|| file.display().to_string())?, app.rolls());
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec}")?;
    let bar = ProgressBar::new(rows.len() as u64).with_style(style);
    let (mut tally, mut told) = (Tally::default(), Vec::with_capacity(rows.len()));
    let mut batch = Vec::with_capacity(BATCH);
    for (line, row) in rows {
        match row.and_then(|row| rolls.check(&row)) {
            Ok(wish) => batch.push((line, wish)),
            Err(error) => {
                tally.faults += 1;
                let reason = print::visible(&error.to_string());
                bar.suspend(|| eprintln!("line {line}: {reason}"));
                told.push(Row { line, result: "fault", reason });
            }
        }
        if batch.len() == BATCH {
            write((app, &rolls), std::mem::take(&mut batch), dry_run, &mut tally, &mut told).await?;
        }
        bar.inc(1);
    }
    write((app, &rolls), batch, dry_run, &mut tally, &mut told).await?;
    bar.finish_and_clear();
    if !dry_run {
        let detail = serde_json::json!({ "rows": told.len() });
        let entry = audit::entry(app, "people_import", Subject::none(), detail, app.store.now().await?);
        app.store.write(move |tx| note(tx, &entry)).await?;
    }
    if let Some(report) = report {
        told.sort_by_key(|row| row.line);
        let mut out = csv::Writer::from_path(report).with_context(|| report.display().to_string())?;
        told.iter().try_for_each(|row| out.serialize(row))?;
        out.flush()?;
    }
    let Tally { added, changed, same, stay_away, own_choice, faults } = tally;
    if json {
        print::json(&tally)?;
    } else {
        let would = if dry_run { "nothing was changed; this would be: " } else { "" };
        print::line(format!(
            "{would}{added} added, {changed} changed, {same} the same, {stay_away} left earlier and stay away, {own_choice} keep what they chose themselves, {faults} faulty"
        ));
    }
    anyhow::ensure!(faults == 0, "{faults} lines were not taken in; they are named above");
    Ok(())
}

async fn write(
    (app, rolls): (&App, &Rolls),
    batch: Vec<(u64, roster::Wish)>,
    dry_run: bool,
    tally: &mut Tally,
    told: &mut Vec<Row>,
) -> anyhow::Result<()> {
    let (lines, wishes): (Vec<u64>, Vec<_>) = batch.into_iter().unzip();
    for (line, taken) in lines.into_iter().zip(rolls.write(&app.store, wishes, dry_run).await?) {
        let count = match taken {
            Taken::Added => &mut tally.added,
            Taken::Changed => &mut tally.changed,
            Taken::Same => &mut tally.same,
            Taken::StaysAway => &mut tally.stay_away,
            Taken::OwnChoice => &mut tally.own_choice,
        };
        *count += 1;
        told.push(Row { line, result: taken.word(), reason: String::new() });
    }
    Ok(())
}

async fn export(app: &App) -> anyhow::Result<()> {
    let entry = audit::entry(app, "people_export", Subject::none(), serde_json::json!({}), app.store.now().await?);
    app.store.write(move |tx| note(tx, &entry)).await?;
    let mut out = csv::Writer::from_writer(std::io::stdout().lock());
    let mut after = i64::MIN;
    loop {
        let rows = app.store.read(move |tx| subscribers::page_with_topics(tx, after, PAGE)).await?;
        let Some((last, _)) = rows.last() else { break };
        after = last.id;
        for line in rows.iter().flat_map(|(person, subscriptions)| Line::of(person, subscriptions)) {
            out.serialize(line)?;
        }
    }
    out.flush()?;
    Ok(())
}

async fn consents(app: &App, address: Option<&str>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if let Some(address) = address {
        let address = Address::parse(address)?;
        let found = app.store.read(move |tx| match subscribers::by_address(tx, &address)? {
            Some(person) => consents::of(tx, person.id).map(Some),
            None => Ok(None),
        });
        for kept in found.await?.context("nobody has this address")? {
            writeln!(out, "{}", serde_json::to_string(&kept)?)?;
        }
        return Ok(());
    }
    let mut after = 0;
    loop {
        let page = app.store.read(move |tx| consents::page(tx, after, PAGE)).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.seq;
        for kept in &page {
            writeln!(out, "{}", serde_json::to_string(kept)?)?;
        }
    }
}

async fn erase(app: &App, address: &str) -> anyhow::Result<()> {
    let address = Address::parse(address)?;
    let (now, theirs) = (app.store.now().await?, address.clone());
    let entry = audit::entry(app, "person_erase", Subject::none(), serde_json::json!({}), now);
    let erased = app.store.write(move |tx| {
        let Some(person) = subscribers::by_address(tx, &theirs)? else { return Ok(false) };
        subscribers::lock(tx, person.id)?;
        let by = By { language: &person.language, source: "command", actor: "operator" };
        people::erase(tx, &person, by, now)?;
        note(tx, &Entry { subject: Subject::subscriber(person.id), ..entry.clone() }).map(|()| true)
    });
    anyhow::ensure!(erased.await?, "nobody has this address");
    erasing::sweep(&app.store, &address).await?;
    print::line("erased; the address stays suppressed");
    Ok(())
}

async fn show(app: &App, address: &str, json: bool) -> anyhow::Result<()> {
    let address = Address::parse(address)?;
    let found = app.store.read(move |tx| {
        let Some(subscriber) = subscribers::by_address(tx, &address)? else { return Ok(None) };
        let reached = suppression::Reached::load(tx, &subscriber)?;
        let subscriptions = subscribers::subscriptions(tx, subscriber.id)?;
        let deliveries = deliveries::of_recipient(tx, subscriber.id, None, DELIVERIES_SHOWN)?;
        Ok(Some((subscriber, reached, subscriptions, deliveries)))
    });
    let (subscriber, reached, subscriptions, deliveries) = found.await?.context("nobody has this address")?;
    if json {
        let topics: Vec<_> = subscriptions
            .iter()
            .map(|s| serde_json::json!({ "topic": s.topic, "schedule": s.slot.as_str(), "since": s.since, "mark": s.mark }))
            .collect();
        return print::json(&serde_json::json!({ "id": subscriber.id, "language": subscriber.language,
            "unsubscribed_at": subscriber.unsubscribed_at, "suppression": reached.suppression, "bounces": reached.bounces,
            "subscriptions": topics, "deliveries": deliveries }));
    }
    print::fields(&[
        ("id", subscriber.id.to_string()),
        ("language", subscriber.language.to_string()),
        ("left", print::at_opt(subscriber.unsubscribed_at, &app.config.zone)),
    ]);
    reached.print(&app.config.zone);
    let row = |s: &subscribers::Subscription| vec![s.topic.clone(), s.slot.as_str().to_owned(), s.since.to_string()];
    print::table(&["topic", "schedule", "since release"], subscriptions.iter().map(row));
    super::delivery::print_list(&deliveries, &app.config.zone);
    Ok(())
}

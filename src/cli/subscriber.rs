//! `allim subscriber`: import, export, show.

use super::Context;
use crate::app::{self, App, Purpose, World};
use crate::domain::audience::{Address, IMMEDIATE, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::text::CleanText;
use crate::store::{StoreError, Tx, occurrences, subscribers};
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// What is done with subscribers.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Reads a CSV file with the columns address, name, language, topics and schedule (topics parted by spaces;
    /// schedule is `immediate`, a digest's name, or `DIGEST HH:MM ZONE`). Those who left stay away.
    Import {
        /// The file; `-` is standard input.
        file: PathBuf,
    },
    /// Writes all subscribers as such a CSV file to standard output.
    Export,
    /// Shows one subscriber.
    Show {
        /// The mail address.
        address: String,
    },
}

/// Rows written in one transaction.
const BATCH: usize = 500;
/// Subscribers read at once.
const PAGE: i64 = 1_000;

/// One row of the file.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
struct Line {
    address: String,
    #[serde(default)]
    name: String,
    language: String,
    topics: String,
    schedule: String,
}

/// A row that holds together.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    subscriber: Subscriber,
    topics: Vec<String>,
    slot: Slot,
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::Import { file } => import(&app, &file).await,
        Command::Export => export(&app).await,
        Command::Show { address } => show(&app, &address, json).await,
    }
}

async fn import(app: &App, file: &std::path::Path) -> anyhow::Result<()> {
    let input: Box<dyn std::io::Read> = if file.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(file).with_context(|| file.display().to_string())?)
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
    let lines: Vec<Result<Line, csv::Error>> = reader.deserialize().collect();
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec}")?;
    let bar = ProgressBar::new(lines.len() as u64).with_style(style);
    let (mut taken, mut faults) = (0, 0);
    let mut batch = Vec::with_capacity(BATCH);
    for (index, line) in lines.into_iter().enumerate() {
        match line.map_err(anyhow::Error::from).and_then(|line| wish(app, &line)) {
            Ok(wish) => batch.push(wish),
            Err(error) => {
                faults += 1;
                // Two lines on: one for the header, one because people count from one.
                bar.suspend(|| eprintln!("line {}: {error:#}", index + 2));
            }
        }
        if batch.len() == BATCH {
            taken += write(app, std::mem::take(&mut batch)).await?;
        }
        bar.inc(1);
    }
    taken += write(app, batch).await?;
    bar.finish_and_clear();
    println!("{taken} taken in, {faults} not");
    anyhow::ensure!(faults == 0, "{faults} lines were not taken in; they are named above");
    Ok(())
}

/// Checks a row against the configuration.
fn wish(app: &App, line: &Line) -> anyhow::Result<Wish> {
    let address = Address::parse(&line.address).context("address")?;
    let language = Language::parse(&line.language).context("language")?;
    let readers = &app.config.release.languages;
    let language =
        language.best_of(readers).with_context(|| format!("language: `{language}` is none of languages.readers"))?;
    let topics: Vec<String> = line.topics.split_whitespace().map(str::to_owned).collect();
    anyhow::ensure!(!topics.is_empty(), "topics: name at least one");
    for topic in &topics {
        let known = app.config.file.topic.iter().any(|known| known.name == *topic);
        let tag = topic.starts_with(crate::domain::post::TAG_PREFIX);
        anyhow::ensure!(known || tag, "topics: no [[topic]] has the name `{topic}`");
    }
    let name = CleanText::new(&line.name).line();
    let subscriber = Subscriber {
        id: app.world.chance.draw_id(),
        address,
        name: (!name.is_empty()).then_some(name),
        language: language.clone(),
        unsubscribed_at: None,
    };
    Ok(Wish { subscriber, topics, slot: slot(app, &line.schedule)? })
}

fn slot(app: &App, text: &str) -> anyhow::Result<Slot> {
    let slot = Slot::from(text.trim().to_owned());
    let name = slot.schedule();
    if name == IMMEDIATE {
        anyhow::ensure!(text.trim() == IMMEDIATE, "schedule: immediate mail has no hour");
        return Ok(slot);
    }
    let digest =
        app.config.digests.get(name).with_context(|| format!("schedule: no [[digest]] has the name `{name}`"))?;
    if text.trim() == name {
        return Ok(slot);
    }
    anyhow::ensure!(digest.own_hour, "schedule: `{name}` doesn't offer an hour of one's own");
    let (hour, minute, zone) = slot.own_time().context("schedule: write `DIGEST HH:MM ZONE`")?;
    digest.schedule.with_own_time(hour, minute, zone).context("schedule")?;
    Ok(Slot::own(name, hour, minute, zone))
}

async fn write(app: &App, wishes: Vec<Wish>) -> anyhow::Result<usize> {
    let now = app.store.now().await?;
    let taken = app.store.write(move |tx| {
        let mut taken = 0;
        for wish in &wishes {
            taken += usize::from(take(tx, wish, now)?);
        }
        Ok(taken)
    });
    Ok(taken.await?)
}

/// Adds or changes one subscriber. False when they had left: an import never brings anybody back.
pub(crate) fn take(tx: &mut Tx<'_>, wish: &Wish, now: UnixMillis) -> Result<bool, StoreError> {
    let known = subscribers::by_address(tx, &wish.subscriber.address)?;
    let changed = known.is_some();
    let id = match known {
        Some(known) if known.unsubscribed_at.is_some() => return Ok(false),
        Some(known) => {
            subscribers::lock(tx, known.id)?;
            if known.language != wish.subscriber.language {
                subscribers::set_language(tx, known.id, &wish.subscriber.language)?;
            }
            known.id
        }
        None => {
            subscribers::insert(tx, &wish.subscriber, now)?;
            wish.subscriber.id
        }
    };
    for topic in &wish.topics {
        subscribers::subscribe(tx, id, topic, &wish.slot, now)?;
    }
    if changed {
        occurrences::fire_for(tx, id, now)?;
    }
    Ok(true)
}

async fn export(app: &App) -> anyhow::Result<()> {
    let mut out = csv::Writer::from_writer(std::io::stdout().lock());
    let mut after = i64::MIN;
    loop {
        let page = move |tx: &mut Tx<'_>| {
            let mut rows = Vec::new();
            for subscriber in subscribers::page(tx, after, PAGE)? {
                let subscriptions = subscribers::subscriptions(tx, subscriber.id)?;
                rows.push((subscriber, subscriptions));
            }
            Ok(rows)
        };
        let rows = app.store.read(page).await?;
        let Some((last, _)) = rows.last() else { break };
        after = last.id;
        for (subscriber, subscriptions) in &rows {
            let mut by_slot: std::collections::BTreeMap<&str, Vec<&str>> = std::collections::BTreeMap::new();
            for subscription in subscriptions {
                by_slot.entry(subscription.slot.as_str()).or_default().push(&subscription.topic);
            }
            for (slot, topics) in by_slot {
                out.serialize(Line {
                    address: subscriber.address.to_string(),
                    name: subscriber.name.as_ref().map(ToString::to_string).unwrap_or_default(),
                    language: subscriber.language.to_string(),
                    topics: topics.join(" "),
                    schedule: slot.to_owned(),
                })?;
            }
        }
    }
    out.flush()?;
    Ok(())
}

async fn show(app: &App, address: &str, json: bool) -> anyhow::Result<()> {
    let address = Address::parse(address)?;
    let found = app.store.read(move |tx| {
        let Some(subscriber) = subscribers::by_address(tx, &address)? else { return Ok(None) };
        let subscriptions = subscribers::subscriptions(tx, subscriber.id)?;
        let deliveries = crate::store::deliveries::list(tx, None, Some(subscriber.id), 20)?;
        Ok(Some((subscriber, subscriptions, deliveries)))
    });
    let (subscriber, subscriptions, deliveries) = found.await?.context("nobody has this address")?;
    if json {
        let topics: Vec<_> = subscriptions
            .iter()
            .map(|s| serde_json::json!({ "topic": s.topic, "schedule": s.slot.as_str(), "since": s.since, "mark": s.mark }))
            .collect();
        let text = serde_json::json!({ "id": subscriber.id, "language": subscriber.language, "unsubscribed_at": subscriber.unsubscribed_at, "subscriptions": topics, "deliveries": deliveries });
        println!("{text:#}");
        return Ok(());
    }
    println!("id {}  language {}", subscriber.id, subscriber.language);
    if let Some(at) = subscriber.unsubscribed_at {
        println!("left at {at}");
    }
    let mut table = comfy_table::Table::new();
    table.set_header(["topic", "schedule"]);
    for subscription in subscriptions {
        table.add_row([subscription.topic.as_str(), subscription.slot.as_str()]);
    }
    println!("{table}");
    for delivery in deliveries {
        println!("{}  {}  {}  {}", delivery.planned_at, delivery.schedule, delivery.state, delivery.id);
    }
    Ok(())
}

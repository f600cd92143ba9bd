//! Lists of subscribers as CSV or JSON: read, checked against the configuration, and written into the store. What somebody set
//! themselves a list never changes, and it brings nobody back.

use super::App;
use crate::domain::audience::{Address, Slot, Subscriber};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::text::CleanText;
use crate::plan::digest;
use crate::store::consents::{self, Act, Consent};
use crate::store::{StoreError, Tx, occurrences, profile, subscribers, suppressions};
use anyhow::Context as _;

/// Rows written in one transaction.
pub const BATCH: usize = 500;

/// One row of the file.
#[derive(Debug, Clone, serde::Deserialize, serde::Serialize)]
pub struct Line {
    /// Mail address.
    pub address: String,
    /// How to greet them; may be empty.
    #[serde(default)]
    pub name: String,
    /// Language tag.
    pub language: String,
    /// Topics, parted by spaces; in JSON perhaps a list.
    #[serde(deserialize_with = "listed")]
    pub topics: String,
    /// `immediate`, a digest's name, or `DIGEST HH:MM ZONE`.
    pub schedule: String,
}

fn listed<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Given {
        One(String),
        List(Vec<String>),
    }
    Ok(match serde::Deserialize::deserialize(from)? {
        Given::One(text) => text,
        Given::List(list) => list.join(" "),
    })
}

/// A row that holds together.
#[derive(Debug, Clone)]
pub struct Wish {
    subscriber: Subscriber,
    topics: Vec<String>,
    slot: Slot,
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Somebody new.
    Added,
    /// Somebody known; what they take was added to or changed.
    Changed,
    /// They left or asked to be erased, or their address may not be written to: a list never brings anybody back.
    StaysAway,
    /// They confirmed, changed or ended something themselves: that stands, and the list changes nothing.
    OwnChoice,
}

impl Taken {
    /// As reports name it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Changed => "changed",
            Self::StaysAway => "stays away",
            Self::OwnChoice => "own choice stands",
        }
    }
}

/// The rows of a file, each with its line (of JSON: with its place in the list). A row that can't be read is an error of its own.
///
/// # Errors
/// When the header can't be read, or JSON isn't a list.
pub fn rows(mut input: impl std::io::Read) -> anyhow::Result<Vec<(u64, anyhow::Result<Line>)>> {
    let mut bytes = Vec::new();
    input.read_to_end(&mut bytes)?;
    if bytes.trim_ascii_start().starts_with(b"[") {
        let list: Vec<serde_json::Value> = serde_json::from_slice(&bytes).context("JSON")?;
        return Ok((1..).zip(list.into_iter().map(|one| Ok(serde_json::from_value(one)?))).collect());
    }
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(bytes.as_slice());
    let header = reader.headers().context("line 1")?.clone();
    for column in ["address", "language", "topics", "schedule"] {
        let there = header.iter().any(|name| name == column);
        let fix = "begin with address,name,language,topics,schedule";
        anyhow::ensure!(there, "line 1: the column `{column}` is missing; {fix}");
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let position = match &record {
            Ok(record) => record.position(),
            Err(error) => error.position(),
        };
        let line = position.map_or(0, |position| line_of(position, &bytes));
        rows.push((line, record.map_err(anyhow::Error::from).and_then(|record| row(&record, &header))));
    }
    Ok(rows)
}

/// The line that a record begins on. The reader counts from before the blank lines that it skips.
fn line_of(position: &csv::Position, bytes: &[u8]) -> u64 {
    let start = usize::try_from(position.byte()).unwrap_or(usize::MAX).min(bytes.len());
    let blank = bytes[start..].iter().take_while(|byte| matches!(**byte, b'\n' | b'\r'));
    position.line() + blank.filter(|byte| **byte == b'\n').count() as u64
}

fn row(record: &csv::StringRecord, header: &csv::StringRecord) -> anyhow::Result<Line> {
    let (has, wants) = (record.len(), header.len());
    anyhow::ensure!(
        has == wants,
        "{has} fields where the header has {wants}; put a field that holds a comma in quotes"
    );
    Ok(record.deserialize(Some(header))?)
}

/// Checks a row against the configuration.
///
/// # Errors
/// What is wrong with it: the field, and what would be right. Never repeats the address.
pub fn check(app: &App, line: &Line) -> anyhow::Result<Wish> {
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
        text_only: false,
        unsubscribed_at: None,
    };
    Ok(Wish { subscriber, topics, slot: slot(app, &line.schedule)? })
}

fn slot(app: &App, text: &str) -> anyhow::Result<Slot> {
    let wanted = Slot::from(text.trim().to_owned());
    let name = wanted.schedule();
    let own = match text.trim().strip_prefix(name).map(str::trim) {
        None | Some("") => None,
        Some(own) => Some(own.split_once(' ').context("schedule: write `DIGEST HH:MM ZONE`")?),
    };
    digest::slot(&app.config.digests, name, own).with_context(|| format!("schedule: `{name}`"))
}

/// Writes rows in one transaction, or only finds out what that would come to; tells what became of each.
///
/// # Errors
/// From the store.
pub async fn write(app: &App, wishes: Vec<Wish>, is_rehearsal: bool) -> anyhow::Result<Vec<Taken>> {
    let (now, readers) = (app.store.now().await?, app.config.release.languages.clone());
    let job = move |tx: &mut Tx<'_>| {
        wishes.iter().map(|wish| take(tx, wish, &readers[0], now)).collect::<Result<Vec<_>, _>>()
    };
    Ok(if is_rehearsal { app.store.rehearse(job).await? } else { app.store.write(job).await? })
}

fn take(tx: &mut Tx<'_>, wish: &Wish, language: &Language, now: UnixMillis) -> Result<Taken, StoreError> {
    let hash = suppressions::hash(tx, &wish.subscriber.address)?;
    if suppressions::is_suppressed(tx, &wish.subscriber.address)? {
        return Ok(Taken::StaysAway);
    }
    let known = subscribers::by_address(tx, &wish.subscriber.address)?;
    let (id, taken) = match known {
        Some(known) if known.unsubscribed_at.is_some() => return Ok(Taken::StaysAway),
        Some(known) if has_chosen(tx, known.id)? => return Ok(Taken::OwnChoice),
        Some(known) => {
            subscribers::lock(tx, known.id)?;
            if known.language != wish.subscriber.language {
                subscribers::set_language(tx, known.id, &wish.subscriber.language)?;
            }
            profile::set_confirmed(tx, known.id, now)?;
            (known.id, Taken::Changed)
        }
        // Somebody was written to here, and has moved or was forgotten since.
        None if consents::knows_address(tx, &hash)? => return Ok(Taken::StaysAway),
        None => {
            subscribers::insert(tx, &wish.subscriber, now)?;
            (wish.subscriber.id, Taken::Added)
        }
    };
    for topic in &wish.topics {
        subscribers::subscribe(tx, id, topic, &wish.slot, now)?;
    }
    let detail = serde_json::json!({ "topics": wish.topics, "schedule": wish.slot.as_str() });
    let (act, source, actor) = (Act::Imported, "import", "operator");
    let imported = Consent { subscriber_id: id, address_hash: &hash, act, language, source, actor, detail: &detail };
    consents::record(tx, &imported, now)?;
    if taken == Taken::Changed {
        occurrences::fire_for(tx, id, now)?;
    }
    Ok(taken)
}

/// Whether somebody confirmed, changed or ended something themselves.
fn has_chosen(tx: &mut Tx<'_>, id: i64) -> Result<bool, StoreError> {
    let is_own = |act: Act| !matches!(act, Act::Asked | Act::Imported | Act::Told);
    Ok(consents::of(tx, id)?.iter().any(|kept| is_own(kept.act)))
}

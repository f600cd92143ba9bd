//! What became of each row of a list, for whoever mends it. Lines, fields and fixes; never an address.

use super::super::audit::harmless;
use super::super::desk::{Answer, Desk, Lost};
use crate::plan::roster::{Fault, Taken};
use crate::store::rosters::{self, Roster};
use crate::store::{StoreError, Tx};
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse as _;
use futures_util::stream;
use serde::{Deserialize, Serialize};

/// The result of a row that wasn't taken in.
pub(super) const FAULT: &str = "fault";
const PAGE: &str = "people_list_page.html";

/// What became of one row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Told {
    /// Its line in the file.
    pub line: u64,
    /// What became of it: `added`, `changed`, `same`, `stays_away`, `own_choice` or [`FAULT`].
    pub result: String,
    /// Which field is wrong.
    #[serde(default)]
    pub field: String,
    /// What is wrong: a word `why_…` has the fix.
    #[serde(default)]
    pub why: String,
    /// What stands there, where that helps.
    #[serde(default)]
    pub value: String,
}

impl Told {
    pub(super) fn taken(line: u64, taken: Taken) -> Self {
        let result = match taken {
            Taken::Added => "added",
            Taken::Changed => "changed",
            Taken::Same => "same",
            Taken::StaysAway => "stays_away",
            Taken::OwnChoice => "own_choice",
        };
        Self { line, result: result.to_owned(), field: String::new(), why: String::new(), value: String::new() }
    }

    pub(super) fn fault(line: u64, fault: &Fault) -> Self {
        let (field, why) = (fault.field().to_owned(), fault.word().to_owned());
        Self { line, result: FAULT.to_owned(), field, why, value: fault.value() }
    }
}

fn part(tx: &mut Tx<'_>, roster: &Roster, number: i64) -> Result<Vec<Told>, StoreError> {
    let told = rosters::part(tx, &roster.id, number)?.and_then(|(_, told)| told);
    let read = |told: String| serde_json::from_str(&told).map_err(|e| StoreError::Shape(format!("a report: {e}")));
    told.map_or_else(|| Ok(Vec::new()), read)
}

/// The first faulty rows, `limit` at most.
pub(super) fn faults(tx: &mut Tx<'_>, roster: &Roster, limit: usize) -> Result<Vec<Told>, StoreError> {
    let mut faults = Vec::new();
    for number in 0..roster.parts {
        faults.extend(part(tx, roster, number)?.into_iter().filter(|told| told.result == FAULT));
        if faults.len() >= limit {
            break;
        }
    }
    faults.truncate(limit);
    Ok(faults)
}

/// What became of every row, as a table for other programs, part by part.
pub(super) async fn serve(desk: Desk, Path(id): Path<String>) -> Answer {
    let roster = desk.read(move |tx| rosters::find(tx, &id)).await?.ok_or(Lost::NotFound)?;
    let parts = stream::unfold(0, move |number| {
        let (desk, roster) = (desk.clone(), roster.clone());
        async move {
            if number >= roster.parts {
                return None;
            }
            let read = desk.room.front.store.read(move |tx| part(tx, &roster, number)).await;
            Some(match read.and_then(|told| table(&desk, &told)) {
                Ok(text) => (Ok(text), number + 1),
                Err(error) => (Err(error), i64::MAX),
            })
        }
    });
    let head = stream::once(async { Ok(Bytes::from_static(b"line,result,field,value,fix\n")) });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, Body::from_stream(futures_util::StreamExt::chain(head, parts))).into_response())
}

fn table(desk: &Desk, told: &[Told]) -> Result<Bytes, StoreError> {
    let broken = |error: &dyn std::fmt::Display| StoreError::Shape(format!("a report: {error}"));
    let mut out = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    for one in told {
        let why = format!("why_{}", one.why);
        let fix = if one.why.is_empty() { "" } else { desk.word(PAGE, &why) };
        let row = [one.line.to_string(), one.result.clone(), one.field.clone(), harmless(&one.value), fix.to_owned()];
        out.write_record(row).map_err(|e| broken(&e))?;
    }
    out.into_inner().map(Bytes::from).map_err(|e| broken(&e))
}

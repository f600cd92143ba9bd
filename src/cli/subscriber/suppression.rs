//! Addresses that may not be written to, at an operator's word, and what counts against them.

use crate::app::App;
use crate::cli::{audit, print};
use crate::domain::audience::{Address, Subscriber};
use crate::domain::audit::Subject;
use crate::domain::reply::without_addresses;
use crate::store::audit::{Entry, note};
use crate::store::bounces::{self, Bounce};
use crate::store::suppressions::{self, Cause, EVIDENCE_CHARS_MAX, Suppression, Wanted};
use crate::store::{StoreError, Tx, subscribers};
use jiff::tz::TimeZone;

/// Refusals shown with a subscriber.
const BOUNCES_SHOWN: i64 = 20;

/// How a subscriber is reached.
pub(super) struct Reached {
    pub suppression: Option<Suppression>,
    pub bounces: Vec<Bounce>,
}

impl Reached {
    pub(super) fn load(tx: &mut Tx<'_>, subscriber: &Subscriber) -> Result<Self, StoreError> {
        let suppression = suppressions::find(tx, &subscriber.address)?;
        Ok(Self { suppression, bounces: bounces::of_subscriber(tx, subscriber.id, BOUNCES_SHOWN)? })
    }

    pub(super) fn print(&self, zone: &TimeZone) {
        if let Some(suppression) = &self.suppression {
            print::fields(&[
                ("suppressed", print::at(suppression.since_at, zone)),
                ("because", suppression.cause.to_string()),
                ("evidence", suppression.evidence.clone()),
                ("until", print::at_opt(suppression.until_at, zone)),
                ("lifted", print::at_opt(suppression.lifted_at, zone)),
                ("by", suppression.lifted_by.clone().unwrap_or_default()),
            ]);
        }
        print_bounces(&self.bounces, zone);
    }
}

/// Refusals as a table, if there are any.
pub(in crate::cli) fn print_bounces(bounces: &[Bounce], zone: &TimeZone) {
    if bounces.is_empty() {
        return;
    }
    let row = |one: &Bounce| {
        let kind = one.kind.to_string();
        vec![print::at(one.at, zone), kind, one.status.clone(), one.delivery.clone(), one.reply.clone()]
    };
    print::table(&["came back", "kind", "status", "delivery", "answer"], bounces.iter().map(row));
}

pub(super) async fn suppress(app: &App, address: &str, reason: &str, json: bool) -> anyhow::Result<()> {
    let address = Address::parse(address)?;
    let (now, evidence) = (app.store.now().await?, without_addresses(reason, EVIDENCE_CHARS_MAX));
    let entry = audit::entry(app, "person_suppress", Subject::none(), serde_json::json!({}), now);
    let changed = app.store.write(move |tx| {
        let id = locked(tx, &address)?;
        let wanted = Wanted { address: &address, cause: Cause::Operator, evidence: &evidence, until_at: None };
        let changed = suppressions::set(tx, id, &wanted, now)?;
        note_if(tx, changed, &entry, id, &address)
    });
    told(changed.await?, "the address is written to no more", "the address was suppressed before", json)
}

pub(super) async fn lift(app: &App, address: &str, json: bool) -> anyhow::Result<()> {
    let address = Address::parse(address)?;
    let now = app.store.now().await?;
    let entry = audit::entry(app, "person_lift", Subject::none(), serde_json::json!({}), now);
    let lifted = app.store.write(move |tx| {
        let id = locked(tx, &address)?;
        let lifted = suppressions::lift(tx, id, &address, "operator", now)?;
        note_if(tx, lifted, &entry, id, &address)
    });
    told(lifted.await?, "the address is written to again", "the address wasn't suppressed", json)
}

/// Writes an act down if anything was done: by the subscriber's number, or where nobody has the address by its keyed hash.
fn note_if(
    tx: &mut Tx<'_>,
    is_done: bool,
    entry: &Entry,
    id: Option<i64>,
    address: &Address,
) -> Result<bool, StoreError> {
    if is_done {
        let subject = id.map_or_else(Subject::none, Subject::subscriber);
        let detail = serde_json::json!({ "address_hash": suppressions::hash_if_known(tx, address)? });
        note(tx, &Entry { subject, detail, ..entry.clone() })?;
    }
    Ok(is_done)
}

fn told(changed: bool, yes: &str, no: &str, json: bool) -> anyhow::Result<()> {
    if json {
        return print::json(&serde_json::json!({ "changed": changed }));
    }
    print::line(if changed { yes } else { no });
    Ok(())
}

/// The subscriber with this address, locked.
fn locked(tx: &mut Tx<'_>, address: &Address) -> Result<Option<i64>, StoreError> {
    match subscribers::by_address(tx, address)? {
        Some(known) => Ok(subscribers::lock(tx, known.id)?.map(|subscriber| subscriber.id)),
        None => Ok(None),
    }
}

//! Finding somebody, and their whole story.

use crate::app::App;
use crate::cli::print;
use crate::domain::audience::Address;
use crate::store::deliveries::{self, Received};
use crate::store::finding::{self, Found};
use crate::store::stories::{self, Story};
use crate::store::{StoreError, Tx, consents, subscribers};
use anyhow::Context as _;

/// Deliveries that a story tells.
const DELIVERIES_TOLD: usize = 50;

pub(super) async fn search(app: &App, typed: &str, json: bool) -> anyhow::Result<()> {
    let asked = typed.to_owned();
    let page = app.store.read(move |tx| finding::search(tx, &asked, None)).await?;
    if json {
        return print::json(
            &serde_json::json!({ "people": page.people, "gone": page.gone, "more": page.next.is_some() }),
        );
    }
    let row = |one: &Found| {
        let name = one.name.clone().unwrap_or_default();
        vec![one.id.to_string(), one.address.clone(), name, one.language.clone(), standing(one).to_owned()]
    };
    print::table(&["number", "address", "name", "language", "state"], page.people.iter().map(row));
    if let Some(gone) = page.gone {
        let number = gone.id.map(|id| format!(" as number {id}")).unwrap_or_default();
        let cause = gone.cause.map(|cause| format!("; not written to: {cause}")).unwrap_or_default();
        print::line(format!("nobody has this address now, but it was known{number}{cause}"));
    } else if page.people.is_empty() {
        print::line("nobody was found");
    }
    if page.next.is_some() {
        print::line("there are more: type more of the address, the name or the domain");
    }
    Ok(())
}

fn standing(one: &Found) -> &'static str {
    match one {
        Found { suppressed_at: Some(_), .. } => "not written to",
        Found { unsubscribed_at: Some(_), .. } => "left",
        Found { confirmed_at: None, .. } => "not confirmed",
        Found { paused_until_at: Some(_), .. } => "paused",
        _ => "subscribed",
    }
}

/// `whom` is an address or a number, `#12` or `12`; the number also of somebody who was erased.
pub(super) async fn story(app: &App, whom: &str, json: bool) -> anyhow::Result<()> {
    let whom = whom.to_owned();
    let address = match whom.trim_start_matches('#').parse::<i64>() {
        Ok(_) => None,
        Err(_) => Some(Address::parse(&whom)?),
    };
    let read = move |tx: &mut Tx<'_>| {
        let id = match &address {
            Some(address) => subscribers::by_address(tx, address)?.map(|person| person.id),
            None => whom.trim_start_matches('#').parse().ok(),
        };
        let Some((id, story)) = id.map(|id| Ok::<_, StoreError>((id, stories::of(tx, id)?))).transpose()? else {
            return Ok(None);
        };
        let Some(story) = story else { return Ok(None) };
        let listed = deliveries::of_recipient(tx, id, None, DELIVERIES_TOLD)?;
        let told: Result<Vec<Received>, StoreError> = listed.into_iter().map(|one| deliveries::told(tx, one)).collect();
        Ok(Some((story, stories::owed(tx, id)?, told?)))
    };
    let (story, owed, deliveries) = app.store.read(read).await?.context("nobody has this address or number")?;
    if json {
        let known = story.known.as_ref();
        return print::json(&serde_json::json!({
            "id": story.id, "person": known.map(|known| &known.found), "erased_at": story.erased_at(),
            "suppression": known.and_then(|known| known.suppression.as_ref()),
            "bounces": known.map(|known| &known.bounces), "consents": story.consents, "owed": owed, "deliveries": deliveries,
        }));
    }
    tell(app, &story);
    for one in &owed {
        print::line(format!("owed: {} ({}, {})", one.title, one.topic, one.schedule));
    }
    print_received(app, &deliveries);
    Ok(())
}

fn tell(app: &App, story: &Story) {
    let zone = &app.config.zone;
    match &story.known {
        Some(known) => print::fields(&[
            ("number", story.id.to_string()),
            ("address", known.found.address.clone()),
            ("state", standing(&known.found).to_owned()),
        ]),
        None => print::fields(&[("number", story.id.to_string()), ("erased", print::at_opt(story.erased_at(), zone))]),
    }
    let row = |kept: &consents::Kept| {
        vec![
            print::at(kept.at, zone),
            kept.act.to_string(),
            kept.actor.clone(),
            kept.source.clone(),
            kept.detail.to_string(),
        ]
    };
    print::table(&["when", "consent", "by", "where", "about"], story.consents.iter().map(row));
}

fn print_received(app: &App, deliveries: &[Received]) {
    let row = |one: &Received| {
        let reply = one.tries.last().and_then(|attempt| attempt.reply.clone()).unwrap_or_default();
        let listed = &one.listed;
        let at = print::at(listed.finished_at.unwrap_or(listed.due_at), &app.config.zone);
        vec![at, listed.state.clone(), one.kind.clone(), one.titles.join("; "), one.destination.clone(), reply]
    };
    print::table(&["when", "state", "what", "posts", "by", "answer"], deliveries.iter().map(row));
}

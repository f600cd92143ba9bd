//! Partners for people, and for scripts.

use crate::app::App;
use crate::cli::print;
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::store::endpoints::Endpoint;
use crate::store::partners::{self, Partner, Told};
use crate::store::{StoreError, Tx, deliveries, endpoints};
use crate::web::Secrets;
use serde::Serialize;

/// A partner and what else is known of it.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    partner: Partner,
    /// Where it is told; without a password.
    url: Option<String>,
    /// When the oldest delivery that waits is due.
    waiting_since: Option<UnixMillis>,
}

/// Secrets, which are shown once.
pub(super) fn secrets(secrets: &Secrets, json: bool) -> anyhow::Result<()> {
    if json {
        return print::json(secrets);
    }
    eprintln!("Shown only now; hand them over by a way that nobody else reads:");
    let said = |value: &Option<String>| value.clone().unwrap_or_default();
    print::fields(&[
        ("token", said(&secrets.token)),
        ("shared secret (v1)", said(&secrets.shared_secret)),
        ("public key (v1a)", said(&secrets.public_key)),
        ("old keys sign until", said(&secrets.old_keys_until)),
    ]);
    Ok(())
}

fn shown(tx: &mut Tx<'_>, partner: Partner) -> Result<Shown, StoreError> {
    let endpoint = partner.endpoint_id.map(|id| endpoints::find(tx, id)).transpose()?.flatten();
    let waiting_since = match &endpoint {
        Some(Endpoint { id, carrier, .. }) => deliveries::next_due(tx, &destination::of_endpoint(carrier, *id))?,
        None => None,
    };
    Ok(Shown { partner, url: endpoint.map(|endpoint| endpoint.url), waiting_since })
}

pub(super) async fn list(app: &App, all: bool, json: bool) -> anyhow::Result<()> {
    let look = move |tx: &mut Tx<'_>| {
        let partners = partners::list(tx, all)?;
        partners.into_iter().map(|partner| shown(tx, partner)).collect::<Result<Vec<Shown>, StoreError>>()
    };
    let found = app.store.read(look).await?;
    if json {
        return print::json(&found);
    }
    let (zone, now) = (&app.config.zone, app.store.now().await?);
    let row = |one: &Shown| {
        let waiting = print::at_opt(one.waiting_since.filter(|since| *since <= now), zone);
        let partner = &one.partner;
        let url = one.url.clone().unwrap_or_default();
        vec![partner.name.clone(), partner.way.to_string(), url, selection(partner), waiting, standing(app, partner)]
    };
    print::table(&["name", "by", "where", "told of", "waiting since", "state"], found.iter().map(row));
    Ok(())
}

fn selection(partner: &Partner) -> String {
    let topics = &partner.selection.topics;
    let topics = if topics.is_empty() { "everything".to_owned() } else { topics.join(", ") };
    let languages: Vec<String> = partner.selection.languages.iter().map(ToString::to_string).collect();
    if languages.is_empty() { topics } else { format!("{topics} ({})", languages.join(", ")) }
}

fn standing(app: &App, partner: &Partner) -> String {
    let zone = &app.config.zone;
    match (partner.ended_at, partner.paused_at, partner.failing_since_at) {
        (Some(at), ..) => format!("ended {}", print::at(at, zone)),
        (_, Some(_), _) => format!("paused: {}", partner.paused_why.clone().unwrap_or_default()),
        (_, _, Some(at)) => format!("fails since {}", print::at(at, zone)),
        _ => "well".to_owned(),
    }
}

pub(super) async fn one(app: &App, name: String, limit: i64, json: bool) -> anyhow::Result<()> {
    let look = move |tx: &mut Tx<'_>| {
        let Some(partner) = partners::find(tx, &name)? else { return Ok(None) };
        let told = match partner.endpoint_id {
            Some(id) if limit > 0 => partners::told(tx, id, None, limit)?,
            _ => Vec::new(),
        };
        Ok(Some((shown(tx, partner)?, told)))
    };
    let found = app.store.read(look).await?;
    let (one, told) = found.ok_or_else(|| anyhow::anyhow!("there is no partner of this name"))?;
    if json {
        return print::json(&serde_json::json!({ "partner": one, "deliveries": told }));
    }
    let (zone, partner) = (&app.config.zone, &one.partner);
    print::fields(&[
        ("name", partner.name.clone()),
        ("by", partner.way.to_string()),
        ("where", one.url.clone().unwrap_or_default()),
        ("format", partner.format.to_string()),
        ("told of", selection(partner)),
        ("order", partner.ordering.to_string()),
        ("trusted since", print::at_opt(partner.embargoed_at, zone)),
        ("contact", partner.contact.clone().unwrap_or_default()),
        ("since", print::at(partner.created_at, zone)),
        ("state", standing(app, partner)),
        ("contact told", print::at_opt(partner.told_at, zone)),
        ("waiting since", print::at_opt(one.waiting_since, zone)),
    ]);
    let row = |told: &Told| {
        let post = told.post_id.clone().unwrap_or_default();
        let revision = told.revision.map(|revision| revision.to_string()).unwrap_or_default();
        let said = told.reply.clone().or_else(|| told.reason.clone()).unwrap_or_default();
        let at = print::at(told.planned_at, zone);
        vec![at, told.event.clone(), post, revision, told.state.clone(), told.attempts.to_string(), said]
    };
    if limit > 0 {
        let header = ["planned", "event", "post", "revision", "state", "attempts", "said"];
        print::table(&header, told.iter().map(row));
    }
    Ok(())
}

//! `allim post show`.

use super::find;
use crate::app::App;
use crate::cli::{print, quarantine as quarantine_table};
use crate::domain::clock::UnixMillis;
use crate::domain::post::{Post, Standing};
use crate::store::deliveries::{self, Holder, Spread};
use crate::store::quarantine::{self, Quarantined};
use crate::store::releases::{self, Released};
use crate::store::{Tx, posts};
use serde_json::{Value, json};

/// What is shown beside the post itself.
struct Around {
    revisions: Vec<(i64, UnixMillis, Vec<String>)>,
    releases: Vec<Released>,
    variants: Vec<(String, String)>,
    quarantined: Vec<Quarantined>,
    spread: Vec<Spread>,
    holders: Vec<Holder>,
}

pub(super) async fn run(app: &App, given: &str, as_json: bool) -> anyhow::Result<()> {
    let (standing, post) = find(app, given).await?;
    let (wanted, source_id) = (standing.clone(), post.source_id.clone());
    let around = app.store.read(move |tx| around(tx, &wanted, &source_id)).await?;
    if as_json {
        return print::json(&everything(&standing, &post, &around));
    }
    let zone = &app.config.zone;
    let due = standing.public_at.is_none().then(|| post.public_due_at());
    print::fields(&[
        ("title", post.title.to_string()),
        ("id", standing.post_id.clone()),
        ("source", format!("{} / {}", standing.source, post.source_id)),
        ("story", standing.story_id.clone()),
        ("language", post.language.to_string()),
        ("topics", post.topics_all().join(" ")),
        ("state", standing.state().to_owned()),
        ("urgent", if post.urgent { "yes".to_owned() } else { String::new() }),
        ("published", print::at(post.published_at, zone)),
        ("received", print::at(standing.received_at, zone)),
        ("public from", print::at_opt(due, zone)),
        ("public", print::at_opt(standing.public_at, zone)),
        ("held since", print::at_opt(standing.backfill_at, zone)),
        ("revised", print::at_opt(standing.revised_at, zone)),
        ("expires", print::at_opt(post.expires_at, zone)),
        ("expired", print::at_opt(standing.expired_at, zone)),
        ("withdrawn", print::at_opt(standing.withdrawn_at, zone)),
        ("page", post.url.clone().unwrap_or_default()),
    ]);
    let revision = |(number, at, repairs): &(i64, UnixMillis, Vec<String>)| {
        let newest = if *number == standing.revision { "newest" } else { "" };
        vec![number.to_string(), print::at(*at, zone), newest.to_owned(), repairs.join("\n")]
    };
    print::table(&["revision", "received", "", "cleaned"], around.revisions.iter().map(revision));
    let release = |one: &Released| {
        vec![one.language.clone(), one.seq.to_string(), print::at(one.released_at, zone), one.post_id.clone()]
    };
    print::table(&["released for", "number", "at", "variant"], around.releases.iter().map(release));
    if around.variants.len() > 1 {
        let variant = |(language, id): &(String, String)| vec![language.clone(), id.clone()];
        print::table(&["variant in", "post"], around.variants.iter().map(variant));
    }
    if !around.spread.is_empty() {
        let row = |one: &Spread| {
            vec![one.carrier.clone(), one.revision.to_string(), one.state.clone(), one.count.to_string()]
        };
        print::table(&["carrier", "revision", "state", "deliveries"], around.spread.iter().map(row));
    }
    if !around.holders.is_empty() {
        let row = |one: &Holder| {
            let (revision, at) = (one.revision.to_string(), print::at(one.at, zone));
            vec![one.partner.clone(), one.event.clone(), revision, one.state.clone(), at]
        };
        print::table(&["partner", "told", "revision", "state", "at"], around.holders.iter().map(row));
    }
    if !around.quarantined.is_empty() {
        quarantine_table::print_list(&around.quarantined, zone);
    }
    Ok(())
}

fn around(tx: &mut Tx<'_>, standing: &Standing, source_id: &str) -> Result<Around, crate::store::StoreError> {
    Ok(Around {
        revisions: posts::history(tx, &standing.post_id)?,
        releases: releases::of_story(tx, &standing.story_id)?,
        variants: posts::variants(tx, &standing.story_id)?,
        quarantined: quarantine::of_post(tx, &standing.source, source_id)?,
        spread: deliveries::spread(tx, &standing.post_id)?,
        holders: deliveries::holders(tx, &standing.post_id)?,
    })
}

/// A post in a list, for scripts.
pub(super) fn summary(standing: &Standing, post: &Post) -> Value {
    json!({
        "id": standing.post_id, "source": standing.source, "source_id": post.source_id, "story_id": standing.story_id,
        "language": post.language, "topics": post.topics_all(), "title": post.title, "state": standing.state(),
        "revision": standing.revision, "urgent": post.urgent, "published_at": post.published_at,
        "public_due_at": post.public_due_at(), "received_at": standing.received_at, "revised_at": standing.revised_at,
        "public_at": standing.public_at, "expired_at": standing.expired_at, "withdrawn_at": standing.withdrawn_at,
        "backfill_at": standing.backfill_at,
    })
}

fn everything(standing: &Standing, post: &Post, around: &Around) -> Value {
    let revision = |(number, at, repairs): &(i64, UnixMillis, Vec<String>)| json!({ "revision": number, "received_at": at, "repairs": repairs });
    let variant = |(language, id): &(String, String)| json!({ "language": language, "post_id": id });
    let mut value = summary(standing, post);
    value["revisions"] = around.revisions.iter().map(revision).collect();
    value["releases"] = json!(around.releases);
    value["variants"] = around.variants.iter().map(variant).collect();
    value["spread"] = json!(around.spread);
    value["partners"] = json!(around.holders);
    value["quarantined"] = json!(around.quarantined);
    value["post"] = json!(post);
    value
}

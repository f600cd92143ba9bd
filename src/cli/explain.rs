//! `allim explain`: who gets a post and why, or why not.

use super::{Context, delivery, post, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::audience::{Address, IMMEDIATE};
use crate::plan::explain::Because;
use anyhow::Context as _;

pub(super) async fn run(address: &str, given: &str, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let address = Address::parse(address)?;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let (standing, _) = post::find(&app, given).await?;
    let explained = app.planner.explain(&address, &standing.post_id).await?.context("nobody has this address")?;
    if json {
        return print::json(&explained);
    }
    print::line(sentence(&app, &explained.because));
    if let Some((number, variant)) = explained.release.filter(|(_, variant)| *variant != standing.post_id) {
        print::line(format!("Readers of their language get another variant: {variant} (release {number})."));
    }
    if !explained.deliveries.is_empty() {
        delivery::print_list(&explained.deliveries, &app.config.zone);
    }
    Ok(())
}

fn sentence(app: &App, because: &Because) -> String {
    let at = |instant| print::at(instant, &app.config.zone);
    match because {
        Because::Given { delivery, state, schedule, at: instant } => {
            format!("Theirs by delivery {delivery} ({schedule}): {state}, {}.", at(*instant))
        }
        Because::Unsubscribed { at: instant } => format!("No: they unsubscribed at {}.", at(*instant)),
        Because::Suppressed => "No: their address takes no mail.".to_owned(),
        Because::Paused { until, is_skipped } => {
            let then = if *is_skipped { "what comes meanwhile is skipped" } else { "then it comes with one issue" };
            format!("No: they paused their mail until {}; {then}.", at(*until))
        }
        Because::Withdrawn { at: instant } => format!("No: the post was withdrawn at {}.", at(*instant)),
        Because::Expired { at: instant } => format!("No: the post expired at {}.", at(*instant)),
        Because::Embargo { until } => format!("Not yet: the post isn't to be shown before {}.", at(*until)),
        Because::HeldAsBackfill { since } => format!(
            "No: it came at {} as an old post, which is shown and mailed to nobody; `allim post release` mails it.",
            at(*since)
        ),
        Because::LanguageNotServed { language } => {
            format!("No: they read {language}, which is none of languages.readers.")
        }
        Because::WaitsForTranslation { language, until } => {
            format!("Not yet: a variant in {language} was announced, which is waited for until {}.", at(*until))
        }
        Because::ReleasedNext => "Not yet: it is released within a second of a running allim.".to_owned(),
        Because::NotSubscribed { topics } => format!("No: they take none of its topics ({}).", topics.join(", ")),
        Because::ReleasedBefore { release, since } => {
            format!("No: it was released as number {release}; their subscription began after number {since}.")
        }
        Because::Owed { schedule, topic, next_at } => {
            let with = if schedule == IMMEDIATE { "at once".to_owned() } else { format!("with the next `{schedule}`") };
            let when = next_at.filter(|_| schedule != IMMEDIATE).map(|next| format!(" at {}", at(next)));
            format!("Owed by their subscription to `{topic}`: it comes {with}{}.", when.unwrap_or_default())
        }
        Because::DigestGone { schedule } => {
            format!("No: it is owed by the digest `{schedule}`, which the configuration has no more.")
        }
        Because::PassedOver { release, mark } => format!(
            "No: it was released as number {release}, and planning went on to number {mark} while it could not be shown or \
             its delivery was cancelled."
        ),
    }
}

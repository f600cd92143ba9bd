//! `allim hold`: stops sending and lets it go on.

use super::{Context, print};
use crate::app::custody::WAYS;
use crate::app::{self, App, Purpose, World};
use crate::domain::clock::UnixMillis;
use crate::domain::destination;
use crate::store::large::{self, Mailing};
use crate::store::second::{self, Decided};
use crate::store::{Tx, destinations, identity};

/// What is done with holds.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// Stops sending. Posts are taken in and planned; their mail waits.
    On {
        /// Only to this destination, such as `email:main` with all its domains, or `email:main/naver.com`; to all when left out.
        #[arg(long)]
        destination: Option<String>,
        /// Why, for whoever looks.
        #[arg(long)]
        reason: String,
    },
    /// Lets sending go on. A database that was restored, cloned or moved wants to know what it missed.
    Off {
        /// Only to this destination; the hold on all when left out.
        #[arg(long, conflicts_with_all = ["sent_until", "resend"])]
        destination: Option<String>,
        /// A send that is kept back because receivers would refuse it, or that waits for a second person, whom you are then: it goes
        /// as it is. Its number, or scope, as `allim hold` lists it.
        #[arg(long, value_name = "ID", conflicts_with_all = ["destination", "sent_until", "resend"])]
        plan: Option<String>,
        /// After a restore: what was due before this time went out and isn't sent again. RFC 3339
        /// (2026-11-23T10:00:00+09:00), or the site's own time (2026-11-23T10:00).
        #[arg(long, value_name = "TIME", conflicts_with = "resend")]
        sent_until: Option<String>,
        /// After a restore: nothing went out that this database doesn't know of, or it may go out twice.
        #[arg(long)]
        resend: bool,
    },
}

pub(super) async fn run(action: Option<Action>, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match action {
        None => {}
        Some(Action::On { destination, reason }) => {
            let (scopes, now) = (scopes(&app, destination.as_deref(), &[])?, app.store.now().await?);
            let hold =
                move |tx: &mut Tx<'_>| scopes.iter().try_for_each(|scope| destinations::hold(tx, scope, &reason, now));
            app.store.write(hold).await?;
        }
        Some(Action::Off { sent_until: Some(until), .. }) => {
            let until = instant(&until, &app)?;
            decide(&app, Some(until), json).await?;
        }
        Some(Action::Off { resend: true, .. }) => decide(&app, None, json).await?,
        Some(Action::Off { plan: Some(plan), .. }) => let_go(&app, &plan).await?,
        Some(Action::Off { destination, .. }) => {
            if destination.is_none() {
                refuse_in_doubt(&app).await?;
            }
            let holds = app.store.read(destinations::holds).await?;
            let held: Vec<String> = holds.into_iter().map(|(scope, ..)| scope).collect();
            let scopes = scopes(&app, destination.as_deref(), &held)?;
            let asked = scopes.clone();
            let release = move |tx: &mut Tx<'_>| {
                let released = asked.iter().map(|scope| destinations::release_hold(tx, scope));
                Ok(released.collect::<Result<Vec<bool>, _>>()?.contains(&true))
            };
            let was_on = app.store.write(release).await?;
            anyhow::ensure!(was_on, "no hold of the scope `{}` is on", scopes.join(", "));
        }
    }
    show(&app, json).await
}

/// Lets a large send go as it is: all senders' part of the plan, or that of one.
async fn let_go(app: &App, plan: &str) -> anyhow::Result<()> {
    let (plan, now) = (plan.trim_start_matches("plan:").to_owned(), app.store.now().await?);
    let scope = format!("plan:{plan}");
    let release = move |tx: &mut Tx<'_>| {
        let mailings = large::kept_back(tx)?;
        let is_meant = |mailing: &&Mailing| mailing.plan_id.to_string() == plan || mailing.scope() == scope;
        let meant: Vec<&Mailing> = mailings.iter().filter(is_meant).collect();
        meant.iter().try_for_each(|mailing| large::let_go(tx, mailing, now).map(drop))?;
        // Whoever may write commands here counts as a second person.
        let decided = match plan.strip_prefix("second:").unwrap_or(&plan).parse() {
            Ok(number) => second::approve(tx, number, now)?,
            Err(_) => Decided::NotWaiting,
        };
        let waiting = second::waiting(tx)?.into_iter().map(|send| send.plan_id);
        let there = mailings.iter().map(|mailing| mailing.plan_id).chain(waiting);
        Ok((meant.len() + usize::from(decided == Decided::Done), there.collect::<Vec<i64>>()))
    };
    let (count, there) = app.store.write(release).await?;
    let there: Vec<String> = there.iter().map(ToString::to_string).collect();
    let there = if there.is_empty() { "none is".to_owned() } else { format!("there are: {}", there.join(", ")) };
    anyhow::ensure!(count > 0, "no send of that number is kept back, or it is still being planned; {there}");
    Ok(())
}

/// A hold that a doubt put on ends with a decision, not just so.
async fn refuse_in_doubt(app: &App) -> anyhow::Result<()> {
    let doubts = app.store.read(identity::doubts).await?;
    let reasons: Vec<String> = doubts.into_iter().map(|doubt| doubt.reason).collect();
    anyhow::ensure!(
        reasons.is_empty(),
        "{}. Say what it missed: {WAYS}. Neither can be taken back",
        reasons.join("; ")
    );
    Ok(())
}

/// Ends the doubts about this database: everything due before `until` went out, or nothing did.
async fn decide(app: &App, until: Option<UnixMillis>, json: bool) -> anyhow::Result<()> {
    let doubted = !app.store.read(identity::doubts).await?.is_empty();
    // A database that no daemon has looked at yet is judged now.
    let suspected = !app.high_water().suspicions(&app.store).await?.is_empty();
    anyhow::ensure!(doubted || suspected, "nothing speaks against this database; plain `allim hold off` will do");
    if let Some(until) = until {
        let counted = app.planner.count_as_sent(until).await?;
        if !json {
            eprintln!(
                "counted as sent: {} deliveries (uncertain now; `allim delivery retry` sends one), {} firings of schedules, \
                 {} posts (shown and mailed to nobody; `allim post release` mails one)",
                counted.deliveries, counted.occurrences, counted.posts
            );
        }
    }
    app.high_water().accept(&app.store).await
}

/// An instant that has passed: RFC 3339, or a civil time in the site's zone.
fn instant(text: &str, app: &App) -> anyhow::Result<UnixMillis> {
    let at = super::instant::read("--sent-until", text, &app.config.zone)?;
    anyhow::ensure!(at <= app.world.clock.now(), "--sent-until: {at} hasn't come yet");
    Ok(at)
}

async fn show(app: &App, json: bool) -> anyhow::Result<()> {
    let holds = app.store.read(destinations::holds).await?;
    if json {
        let row = |(scope, reason, since): &(String, String, _)| serde_json::json!({ "scope": scope, "reason": reason, "since_at": since });
        return print::json(&holds.iter().map(row).collect::<Vec<_>>());
    }
    if holds.is_empty() {
        print::line("no hold is on: mail is sent");
        return Ok(());
    }
    let rows = holds.into_iter().map(|(scope, reason, since)| vec![scope, print::at(since, &app.config.zone), reason]);
    print::table(&["held", "since", "reason"], rows);
    Ok(())
}

/// The scopes as the store names them; a destination that doesn't exist would hold nothing, so it is refused. A group of
/// relays is held with every class of domains that goes by it.
/// What is `held` can be named too, for the configuration may have changed since.
fn scopes(app: &App, destination: Option<&str>, held: &[String]) -> anyhow::Result<Vec<String>> {
    let Some(name) = destination else { return Ok(vec!["all".to_owned()]) };
    let mut known = app.config.destinations();
    let held = held.iter().filter_map(|scope| scope.strip_prefix("destination:"));
    known.extend(held.filter(|name| !app.config.destinations().iter().any(|known| known == name)).map(str::to_owned));
    let full = if name.contains(':') { name.to_owned() } else { format!("email:{name}") };
    anyhow::ensure!(known.contains(&full), "there is no destination `{full}`; there are: {}", known.join(", "));
    let is_meant = |known: &&String| **known == full || destination::group_of(known) == full;
    Ok(known.iter().filter(is_meant).map(|known| format!("destination:{known}")).collect())
}

//! `allim post`: what was taken in, and what an operator may do with it.

mod import;
mod publish;
mod show;

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::ids;
use crate::domain::language::Language;
use crate::domain::post::{Post, Standing};
use crate::intake::accept::Verdict;
use crate::store::posts::{self, Filter};
use anyhow::Context as _;
use std::path::PathBuf;

/// What is done with posts.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Publishes a post from a file: JSON (a post or a CloudEvent) or Markdown with front matter.
    Publish(publish::Arguments),
    /// Lists posts, newest publication first.
    List {
        /// Only those of this topic.
        #[arg(long)]
        topic: Option<String>,
        /// Only those in this language.
        #[arg(long, value_parser = language)]
        language: Option<Language>,
        /// How many at most.
        #[arg(long, default_value_t = 50)]
        limit: u32,
    },
    /// Shows one post: where it stands, its revisions, its releases, and what of it was set aside.
    Show {
        /// Its id, or the id that its source gave it.
        id: String,
    },
    /// Lifts the backfill guard from a post, so that its story is mailed like a new one.
    Release {
        /// Its id, or the id that its source gave it.
        id: String,
    },
    /// Takes a post back for good: out of pages and feeds and of every mail that isn't under way.
    Withdraw {
        /// Its id, or the id that its source gave it.
        id: String,
    },
    /// Sends a post as it reads now to exactly those who got an earlier revision of it.
    Correct {
        /// Its id, or the id that its source gave it.
        id: String,
        /// Only says how many would get it.
        #[arg(long)]
        dry_run: bool,
    },
    /// Takes in a folder of old posts (`.json` and `.md`, subfolders too): they become public and are mailed to nobody.
    Import {
        /// The folder.
        folder: PathBuf,
        /// The source whose posts they are; may be left out when there is only one.
        #[arg(long)]
        source: Option<String>,
    },
}

fn language(text: &str) -> Result<Language, String> {
    Language::parse(text).map_err(|error| error.to_string())
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    // Publishing to a daemon elsewhere needs no store here.
    let command = match command {
        Command::Publish(arguments) => return publish::run(arguments, context).await,
        other => other,
    };
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::Publish(_) => Ok(()),
        Command::List { topic, language, limit } => list(&app, topic, language, limit, json).await,
        Command::Show { id } => show::run(&app, &id, json).await,
        Command::Release { id } => release(&app, &id, json).await,
        Command::Withdraw { id } => withdraw(&app, &id, json).await,
        Command::Correct { id, dry_run } => correct(&app, &id, dry_run, json).await,
        Command::Import { folder, source } => import::run(&app, &folder, source.as_deref(), json).await,
    }
}

async fn list(
    app: &App,
    topic: Option<String>,
    language: Option<Language>,
    limit: u32,
    json: bool,
) -> anyhow::Result<()> {
    let language = language.map(|language| language.as_str().to_owned());
    let filter = Filter { topic, language, ..Filter::default() };
    let rows = app.store.read(move |tx| posts::list(tx, &filter, i64::from(limit))).await?;
    if json {
        let rows: Vec<_> = rows.iter().map(|(standing, post)| show::summary(standing, post)).collect();
        return print::json(&rows);
    }
    let row = |(standing, post): &(Standing, Post)| {
        vec![
            standing.post_id.clone(),
            post.source_id.clone(),
            print::at(post.published_at, &app.config.zone),
            post.language.to_string(),
            standing.state().to_owned(),
            post.title.to_string(),
        ]
    };
    print::table(&["id", "source id", "published", "language", "state", "title"], rows.iter().map(row));
    Ok(())
}

/// The post that somebody means: by its own id, or by the id that a source gave it.
pub(super) async fn find(app: &App, given: &str) -> anyhow::Result<(Standing, Post)> {
    let derived = app.config.sources.keys().map(|source| ids::post_id(source, given));
    let candidates: Vec<String> = std::iter::once(given.to_owned()).chain(derived).collect();
    let found = app.store.read(move |tx| {
        let found: Result<Vec<_>, _> = candidates.iter().map(|id| posts::find(tx, id)).collect();
        Ok(found?.into_iter().flatten().collect::<Vec<_>>())
    });
    let mut found = found.await?;
    if found.len() > 1 {
        let ids: Vec<_> =
            found.iter().map(|(standing, _)| format!("{} ({})", standing.post_id, standing.source)).collect();
        anyhow::bail!("several sources have a post of this id; write one of: {}", ids.join(", "));
    }
    found.pop().with_context(|| {
        format!("there is no post `{given}`; `allim post list` and `allim quarantine list` show what came")
    })
}

async fn release(app: &App, given: &str, json: bool) -> anyhow::Result<()> {
    let (standing, _) = find(app, given).await?;
    let now = app.store.now().await?;
    let id = standing.post_id.clone();
    let lifted = app.store.write(move |tx| posts::lift_backfill(tx, &id, now)).await?;
    anyhow::ensure!(lifted, "this post is {}: no backfill guard holds it", standing.state());
    if json {
        return print::json(&serde_json::json!({ "post_id": standing.post_id, "state": "released" }));
    }
    print::line(format!("{} is mailed like a new post; a running allim sees it within a second", standing.post_id));
    Ok(())
}

async fn withdraw(app: &App, given: &str, json: bool) -> anyhow::Result<()> {
    let (standing, post) = find(app, given).await?;
    let receipt = app.intake.withdraw(&standing.source, &post.source_id).await?;
    if json {
        return print::json(&receipt);
    }
    print::line(format!("{}  {}", standing.post_id, verdict(&receipt.verdict)));
    Ok(())
}

async fn correct(app: &App, given: &str, dry_run: bool, json: bool) -> anyhow::Result<()> {
    let (standing, _) = find(app, given).await?;
    anyhow::ensure!(standing.is_public(), "this post is {}: nobody is written to about it", standing.state());
    let readers = app.planner.outdated(&standing.post_id).await?;
    let asked = !dry_run && readers > 0 && app.planner.correct(&standing.post_id).await?.is_some();
    if json {
        let (post_id, revision) = (&standing.post_id, standing.revision);
        return print::json(
            &serde_json::json!({ "post_id": post_id, "revision": revision, "readers": readers, "asked": asked }),
        );
    }
    let who = format!("{readers} reader(s) got an earlier revision than {}", standing.revision);
    print::line(if asked { format!("{who}; a running allim writes to them") } else { who });
    Ok(())
}

/// What became of a message, for people.
pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Stored => "stored".to_owned(),
        Verdict::Revised => "stored as a revision".to_owned(),
        Verdict::Withdrawn => "withdrawn".to_owned(),
        Verdict::Duplicate => "known already; nothing changed".to_owned(),
        Verdict::Own => "ignored: it went out from here and came back".to_owned(),
        Verdict::Stale => "stored, but a newer revision is shown".to_owned(),
        Verdict::Quarantined { id, reason, path, detail } => {
            let at = if path.is_empty() { String::new() } else { format!(" at {path}") };
            format!("refused: {reason}{at}: {detail} (quarantine {id})")
        }
    }
}

/// The source that is meant: the named one, or the only one.
pub(super) fn source_of(config: &crate::config::Config, named: Option<&str>) -> anyhow::Result<String> {
    let known: Vec<&str> = config.sources.keys().map(String::as_str).collect();
    match (named, known.as_slice()) {
        (Some(name), known) if known.contains(&name) => Ok(name.to_owned()),
        (Some(name), known) => {
            anyhow::bail!("no [[intake.source]] has the name `{name}`; write one of: {}", known.join(", "))
        }
        (None, [only]) => Ok((*only).to_owned()),
        (None, known) => anyhow::bail!("name the source with --source; one of: {}", known.join(", ")),
    }
}

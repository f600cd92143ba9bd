//! `allim feed`: feeds for one institution, whose address is a secret.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::ids;
use crate::domain::language::Language;
use crate::store::private_feeds::{self, PrivateFeed};

/// What is done with private feeds.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Makes a feed and prints its address, once.
    Add {
        /// For whom it is.
        name: String,
        /// A topic in it; may be given several times. Default: everything.
        #[arg(long = "topic", value_name = "TOPIC")]
        topics: Vec<String>,
        /// One of the reader languages. Default: all.
        #[arg(long, value_name = "TAG")]
        lang: Option<String>,
    },
    /// Lists them, with when each was read last.
    List,
    /// Gives a feed another address and prints it; the one from before is good no more.
    Rotate {
        /// Its name.
        name: String,
    },
    /// Ends a feed.
    Revoke {
        /// Its name.
        name: String,
    },
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let now = app.store.now().await?;
    match command {
        Command::Add { name, topics, lang } => {
            let (name, language) = (checked(&name)?, language(&app, lang.as_deref())?);
            let known = |topic: &&String| !app.config.file.topic.iter().any(|table| table.name == **topic);
            if let Some(unknown) = topics.iter().find(known) {
                anyhow::bail!("no [[topic]] has the name `{unknown}`");
            }
            let (token, to) = (app::new_token(&app.world), name.clone());
            let hash = ids::content_hash(token.as_bytes());
            let add = move |tx: &mut crate::store::Tx<'_>| {
                private_feeds::add(tx, &name, &hash, &topics, language.as_deref(), now)
            };
            anyhow::ensure!(
                app.store.write(add).await?,
                "there is a feed of this name; `allim feed rotate {to}` gives it another address"
            );
            tell(&app, &token, json)
        }
        Command::Rotate { name } => {
            let token = app::new_token(&app.world);
            let hash = ids::content_hash(token.as_bytes());
            let there = app.store.write(move |tx| private_feeds::rotate(tx, &name, &hash, now)).await?;
            anyhow::ensure!(there, "there is no such feed, or it was revoked");
            tell(&app, &token, json)
        }
        Command::Revoke { name } => {
            let there = app.store.write(move |tx| private_feeds::revoke(tx, &name, now)).await?;
            anyhow::ensure!(there, "there is no such feed, or it was revoked");
            print::line("revoked");
            Ok(())
        }
        Command::List => list(&app, json).await,
    }
}

/// Longest name, in characters.
const NAME_LEN_MAX: usize = 64;

fn checked(name: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let is_good = !name.is_empty() && name.len() <= NAME_LEN_MAX && name.chars().all(fits);
    anyhow::ensure!(is_good, "`{name}` is not a name; use up to {NAME_LEN_MAX} of a-z, 0-9, - and _");
    Ok(name.to_owned())
}

fn language(app: &App, tag: Option<&str>) -> anyhow::Result<Option<String>> {
    let Some(tag) = tag else { return Ok(None) };
    let language = Language::parse(tag)?;
    anyhow::ensure!(app.config.release.languages.contains(&language), "`{tag}` is none of languages.readers");
    Ok(Some(language.to_string()))
}

fn tell(app: &App, token: &str, json: bool) -> anyhow::Result<()> {
    let url = |ending: &str| format!("{}/feeds/private/{token}.{ending}", app.house.origin);
    if json {
        return print::json(&serde_json::json!({ "atom": url("atom"), "rss": url("rss"), "json": url("json") }));
    }
    eprintln!("The address, shown only now; whoever has it reads the feed. It may end in .atom, .rss or .json:");
    print::line(url("atom"));
    Ok(())
}

async fn list(app: &App, json: bool) -> anyhow::Result<()> {
    let feeds = app.store.read(private_feeds::list).await?;
    if json {
        return print::json(&feeds);
    }
    let zone = &app.config.zone;
    let row = |feed: &PrivateFeed| {
        let topics = if feed.topics.is_empty() { "everything".to_owned() } else { feed.topics.join(", ") };
        let language = feed.language.clone().unwrap_or_else(|| "all".to_owned());
        let state = feed.revoked_at.map_or_else(String::new, |at| format!("revoked {}", print::at(at, zone)));
        let (since, read) = (print::at(feed.created_at, zone), print::at_opt(feed.read_at, zone));
        vec![feed.name.clone(), topics, language, since, read, state]
    };
    print::table(&["name", "topics", "language", "since", "read", ""], feeds.iter().map(row));
    Ok(())
}

//! `allim digest`: what the next issue would hold, and an issue out of turn.

use super::{Context, print};
use crate::app::{self, App, Purpose, World};
use crate::domain::audience::{Address, IMMEDIATE};
use crate::domain::clock::UnixMillis;
use crate::domain::language::Language;
use crate::domain::post::Showable;
use crate::plan::preview::{Issue, Preview, Reader};
use crate::plan::trial::{Colleague, Shown};
use crate::render::pieces::Personal;
use crate::render::words::words;
use crate::store::occurrences;
use anyhow::Context as _;
use std::path::PathBuf;

/// What is done with digests.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Shows what a digest would bring somebody if it fired now. Changes nothing and sends nothing.
    #[command(group(clap::ArgGroup::new("reader").required(true)), group(clap::ArgGroup::new("form")))]
    Preview {
        /// The digest's name, or `immediate`.
        name: String,
        /// For this subscriber.
        #[arg(long = "for", value_name = "ADDRESS", group = "reader")]
        address: Option<String>,
        /// For somebody who reads this language, takes every topic and had the last issue.
        #[arg(long, group = "reader", value_parser = language)]
        language: Option<Language>,
        /// As if it fired at this time, with the posts that are known now: RFC 3339 (2026-11-23T10:00:00+09:00), or the
        /// site's own time (2026-11-23T10:00).
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// Opens the HTML part in the browser.
        #[arg(long, group = "form")]
        open: bool,
        /// Writes the HTML part into this file.
        #[arg(long, group = "form")]
        html: Option<PathBuf>,
        /// Prints the text part only.
        #[arg(long, group = "form")]
        text: bool,
    },
    /// Sends what a digest would bring somebody if it fired now to colleagues: a real mail, marked as a test. Nobody's own issue is
    /// changed by it.
    #[command(group(clap::ArgGroup::new("reader").required(true)))]
    Test {
        /// The digest's name, or `immediate`.
        name: String,
        /// Whom to; several with commas between them.
        #[arg(long, value_name = "ADDRESSES", required = true, value_delimiter = ',')]
        to: Vec<String>,
        /// As this subscriber would get it.
        #[arg(long = "for", value_name = "ADDRESS", group = "reader")]
        address: Option<String>,
        /// As somebody would get it who reads this language, takes every topic and had the last issue.
        #[arg(long, group = "reader", value_parser = language)]
        language: Option<Language>,
        /// As if it fired at this time.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
    },
    /// Fires a digest now, whatever its schedule; who is owed nothing gets nothing.
    Now {
        /// The digest's name.
        name: String,
    },
}

fn language(text: &str) -> Result<Language, String> {
    Language::parse(text).map_err(|error| error.to_string())
}

/// In which form a preview is wanted.
enum Form {
    Whole,
    Text,
    Html(PathBuf),
    Browser,
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::Preview { name, address, language, at, open, html, text } => {
            known(&app, &name)?;
            let reader = reader(&app, address.as_deref(), language)?;
            let at = at.map(|at| super::instant::read("--at", &at, &app.config.zone)).transpose()?;
            let form = match (html, text) {
                _ if open => Form::Browser,
                (Some(file), _) => Form::Html(file),
                (None, true) => Form::Text,
                (None, false) => Form::Whole,
            };
            preview(&app, &name, reader, at, form, json).await
        }
        Command::Test { name, to, address, language, at } => {
            known(&app, &name)?;
            let reader = reader(&app, address.as_deref(), language)?;
            let at = at.map(|at| super::instant::read("--at", &at, &app.config.zone)).transpose()?;
            test(&app, &name, reader, at, &to, json).await
        }
        Command::Now { name } => {
            anyhow::ensure!(name != IMMEDIATE, "immediate mail goes out by itself");
            known(&app, &name)?;
            now(&app, &name, json).await
        }
    }
}

fn known(app: &App, name: &str) -> anyhow::Result<()> {
    let names: Vec<&str> = app.config.digests.keys().map(String::as_str).collect();
    let is_known = name == IMMEDIATE || names.contains(&name);
    anyhow::ensure!(is_known, "no [[digest]] has the name `{name}`; there are: {}", names.join(", "));
    Ok(())
}

fn reader(app: &App, address: Option<&str>, language: Option<Language>) -> anyhow::Result<Reader> {
    if let Some(address) = address {
        return Ok(Reader::Known(Address::parse(address)?));
    }
    let language = language.context("name a reader with --for or --language")?;
    let served = language.best_of(&app.config.release.languages).cloned();
    let served = served.with_context(|| format!("`{language}` is none of languages.readers"))?;
    Ok(Reader::Anybody(served, app.config.file.topic.iter().map(|topic| topic.name.clone()).collect()))
}

/// The issue that somebody would get; `None`: none, since nothing is owed.
async fn issue(app: &App, name: &str, reader: Reader, at: Option<UnixMillis>) -> anyhow::Result<Option<Issue>> {
    Ok(match app.planner.preview(name, reader, at).await? {
        Preview::Issue(issue) => Some(*issue),
        Preview::NobodyThere => anyhow::bail!("nobody has this address"),
        Preview::Left(at) => anyhow::bail!("they unsubscribed at {}", print::at(at, &app.config.zone)),
        Preview::NotSubscribed => anyhow::bail!("they take no topic with the schedule `{name}`"),
        Preview::NothingOwed => None,
    })
}

async fn preview(
    app: &App,
    name: &str,
    reader: Reader,
    at: Option<UnixMillis>,
    form: Form,
    json: bool,
) -> anyhow::Result<()> {
    let Some(issue) = issue(app, name, reader, at).await? else {
        if json {
            return print::json(&serde_json::json!({ "posts": [] }));
        }
        print::line("no mail: nothing is owed");
        return Ok(());
    };
    let Issue { reader, edition, posts } = issue;
    let titles: Vec<_> = posts
        .iter()
        .map(|(standing, post)| serde_json::json!({ "id": standing.post_id, "language": post.language, "title": post.title }))
        .collect();
    let showables = posts.into_iter().map(|(standing, post)| Showable::pinned_by_edition(standing, post)).collect();
    let pieces = app.stationery.render(&edition, showables, None)?;
    let greeting = reader.name.as_ref().map(|name| words(&reader.language).greeting(name.as_str()));
    let personal = Personal { greeting: greeting.as_deref(), unsubscribe_url: None, manage_url: None };
    let (text, html) = (pieces.text_for(personal), pieces.html_for(personal));
    match form {
        Form::Browser => open(app, name, &html)?,
        Form::Html(file) => {
            std::fs::write(&file, html).with_context(|| file.display().to_string())?;
            eprintln!("written to {}", file.display());
        }
        _ if json => {
            return print::json(&serde_json::json!({ "subject": pieces.subject, "language": edition.content.language,
                "sender": edition.content.sender, "posts": titles, "text": text, "html": html }));
        }
        Form::Text => print::line(print::visible(&text)),
        Form::Whole => {
            print::fields(&[
                ("sender", edition.content.sender.clone()),
                ("language", edition.content.language.to_string()),
                ("subject", pieces.subject.clone()),
            ]);
            print::line(format!("\n{}", print::visible(&text)));
        }
    }
    Ok(())
}

/// What the desktop opens files with.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Shows the HTML part in the browser, from a file that stays: the browser reads it after we have ended.
fn open(app: &App, name: &str, html: &str) -> anyhow::Result<()> {
    let file = app.config.file.instance.state_dir.join(format!("preview-{name}.html"));
    std::fs::write(&file, html).with_context(|| file.display().to_string())?;
    let opened = std::process::Command::new(OPENER).arg(&file).status();
    match opened {
        Ok(status) if status.success() => eprintln!("opened {}", file.display()),
        _ => eprintln!("`{OPENER}` can't open it; it lies in {}", file.display()),
    }
    Ok(())
}

async fn test(
    app: &App,
    name: &str,
    reader: Reader,
    at: Option<UnixMillis>,
    to: &[String],
    json: bool,
) -> anyhow::Result<()> {
    anyhow::ensure!(to.len() <= COLLEAGUES_MAX, "--to: at most {COLLEAGUES_MAX} addresses");
    let colleague = |text: &String| {
        let address = Address::parse(text.trim()).with_context(|| format!("--to {text}"))?;
        Ok(Colleague { address, fresh_id: app.world.chance.draw_id() })
    };
    let colleagues = to.iter().map(colleague).collect::<anyhow::Result<Vec<_>>>()?;
    let Some(issue) = issue(app, name, reader, at).await? else {
        anyhow::bail!("nothing is owed, so there is nothing to show; try another reader or --at")
    };
    let hidden = issue.posts.iter().find(|(standing, _)| !standing.is_public());
    if let Some((standing, _)) = hidden {
        anyhow::bail!(
            "the post {} isn't public yet: a test mails what may be shown only; `digest preview` shows it here",
            standing.post_id
        )
    }
    let shown = app.planner.show(&issue, colleagues).await?;
    let told = |shown: &Shown| match shown {
        Shown::Planned(key) => ("planned", key.to_string()),
        Shown::Suppressed => ("suppressed", String::new()),
    };
    if json {
        let one = |(address, shown): (&String, &Shown)| {
            let (state, delivery) = told(shown);
            serde_json::json!({ "address": address, "state": state, "delivery": delivery })
        };
        return print::json(&to.iter().zip(&shown).map(one).collect::<Vec<_>>());
    }
    let row = |(address, shown): (&String, &Shown)| {
        let (state, delivery) = told(shown);
        vec![address.clone(), state.to_owned(), delivery]
    };
    print::table(&["to", "state", "delivery"], to.iter().zip(&shown).map(row));
    print::line("A running allim sends it within a second.");
    Ok(())
}

/// Addresses that a test is sent to at most: it is for colleagues, not for lists.
const COLLEAGUES_MAX: usize = 20;

async fn now(app: &App, name: &str, json: bool) -> anyhow::Result<()> {
    let slots = app.store.read(occurrences::slots).await?;
    let fired = slots.iter().filter(|state| state.slot.schedule() == name).count();
    anyhow::ensure!(fired > 0, "nobody has ever subscribed to the digest `{name}`");
    app.planner.fire_now(name).await?;
    if json {
        return print::json(&serde_json::json!({ "digest": name, "fired": fired }));
    }
    print::line(format!(
        "`{name}` fired for {fired} hour(s) that readers chose; a running allim plans it within a second"
    ));
    Ok(())
}

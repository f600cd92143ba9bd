//! `allim partner`: institutions that are told of posts.

mod print;

use super::Context;
use crate::app::{self, App, Purpose, World};
use crate::cli::print as show;
use crate::web::{Draft, Partnership};
use anyhow::Context as _;
use std::path::PathBuf;
use std::time::Duration;

/// What is done with partners.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Adds a partner, which is told of what happens from now on, and prints its secrets, once.
    Add {
        /// What it is called, for good.
        name: String,
        #[command(flatten)]
        said: Said,
    },
    /// Lists partners and how they do.
    List {
        /// Those that have ended too.
        #[arg(long)]
        all: bool,
    },
    /// Shows a partner and what it was told last.
    Show {
        /// Its name.
        name: String,
        /// How many deliveries at most.
        #[arg(long, default_value_t = 20)]
        limit: u32,
    },
    /// Sets what is said, and leaves the rest.
    Set {
        /// Its name.
        name: String,
        #[command(flatten)]
        said: Said,
        /// No longer tells it of posts under an embargo.
        #[arg(long, conflicts_with = "trusted")]
        untrusted: bool,
    },
    /// Sends a signed ping, or a message to its broker, and says what came back.
    Test {
        /// Its name.
        name: String,
    },
    /// Gives a partner new keys and prints them, once; the old ones sign beside them for a while.
    Rotate {
        /// Its name.
        name: String,
        /// How long the old keys sign as well, such as `24h`; `0s` when they have leaked. Default: partners.key_overlap.
        #[arg(long, value_name = "TIME", value_parser = span)]
        overlap: Option<Duration>,
        /// A new token instead: the one from before is good no more.
        #[arg(long, conflicts_with = "overlap")]
        token: bool,
    },
    /// Stops sending to a partner; what is planned for it waits.
    Pause {
        /// Its name.
        name: String,
        /// Why, for whoever looks.
        #[arg(long, default_value = "an operator paused it")]
        reason: String,
    },
    /// Lets sending to a partner go on.
    Resume {
        /// Its name.
        name: String,
    },
    /// Sends again, each under the id that it has; but for what was revised or withdrawn since, which goes itself.
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Replay {
        /// Its name.
        name: String,
        /// Everything planned since this time: RFC 3339, or the site's own time (2026-11-23T10:00).
        #[arg(long, value_name = "TIME", group = "which")]
        since: Option<String>,
        /// What was given up or refused.
        #[arg(long, group = "which")]
        dead: bool,
    },
    /// Ends a partner, with what waits for it.
    End {
        /// Its name.
        name: String,
        /// Why, for whoever looks.
        #[arg(long, default_value = "an operator ended it")]
        reason: String,
    },
}

/// What is said of a partner.
#[derive(Debug, clap::Args)]
pub(super) struct Said {
    /// Where it is told: `https://…`, or `amqps://user@host:5671/vhost`. A partner without one asks for itself.
    #[arg(long)]
    url: Option<String>,
    /// A file whose first line is the password of its broker.
    #[arg(long, value_name = "FILE", requires = "url")]
    password_file: Option<PathBuf>,
    /// Certificates (PEM) to trust for its broker beside the system's.
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// The exchange of its broker; the default one unless said otherwise.
    #[arg(long, requires = "url")]
    exchange: Option<String>,
    /// The routing key for its broker.
    #[arg(long, requires = "url")]
    routing_key: Option<String>,
    /// To its broker, attributes of events go in header fields, and the body is the post alone.
    #[arg(long, requires = "url")]
    binary: bool,
    /// What it is told in: cloudevent, jsonfeed, atom or activitystreams.
    #[arg(long)]
    format: Option<String>,
    /// A topic that it is told of, tags as `tag:…`; may be given several times. Default: all. `all` takes a selection away.
    #[arg(long = "topic", value_name = "TOPIC")]
    topics: Vec<String>,
    /// A language that it is told of; may be given several times. Default: all. `all` takes a selection away.
    #[arg(long = "lang", value_name = "TAG")]
    languages: Vec<String>,
    /// What follows when one delivery fails. `pass`: others pass it; `line`: it holds the line.
    #[arg(long, value_name = "pass|line")]
    order: Option<String>,
    /// Tells it of posts under an embargo, marked as such.
    #[arg(long)]
    trusted: bool,
    /// The mail address that is told when it doesn't answer; empty for nobody.
    #[arg(long, value_name = "ADDRESS")]
    contact: Option<String>,
    /// The language of that letter.
    #[arg(long, value_name = "TAG", requires = "contact")]
    contact_lang: Option<String>,
}

fn span(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "write a time such as 24h or 30m".to_owned())?;
    Duration::try_from(span).map_err(|_| "a time isn't negative".to_owned())
}

impl Said {
    fn draft(self, name: Option<String>) -> anyhow::Result<Draft> {
        let first_line = |file: &PathBuf| {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            Ok::<_, anyhow::Error>(text.lines().next().unwrap_or_default().to_owned())
        };
        let url = match (self.url, &self.password_file) {
            (Some(url), Some(file)) => {
                let password = first_line(file)?;
                // The words of the parser may repeat the address, and with it a name.
                let mut with = url::Url::parse(&url).map_err(|_| anyhow::anyhow!("--url: it is not a URL"))?;
                let set = with.set_password(Some(&password));
                set.map_err(|()| anyhow::anyhow!("--url: this address has no room for a password"))?;
                Some(with.into())
            }
            (url, _) => url,
        };
        let ca =
            self.ca_file.as_ref().map(|file| std::fs::read_to_string(file).with_context(|| file.display().to_string()));
        let list = |said: Vec<String>| match &said[..] {
            [] => None,
            [all] if all == "all" => Some(Vec::new()),
            _ => Some(said),
        };
        Ok(Draft {
            name,
            url,
            format: self.format,
            topics: list(self.topics),
            languages: list(self.languages),
            ordering: self.order,
            trusted: self.trusted.then_some(true),
            contact: self.contact,
            contact_language: self.contact_lang,
            exchange: self.exchange,
            routing_key: self.routing_key,
            binary: self.binary.then_some(true),
            ca: ca.transpose()?,
        })
    }
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    let partners = app::partnership(&app)?;
    match command {
        Command::Add { name, said } => {
            let secrets = partners.add(&said.draft(Some(name))?).await?;
            print::secrets(&secrets, json)
        }
        Command::List { all } => print::list(&app, all, json).await,
        Command::Show { name, limit } => print::one(&app, name, i64::from(limit), json).await,
        Command::Set { name, said, untrusted } => {
            let draft = said.draft(None)?;
            let draft = if untrusted { Draft { trusted: Some(false), ..draft } } else { draft };
            partners.set(&name, &draft).await?;
            print::one(&app, name, 0, json).await
        }
        Command::Test { name } => test(&partners, &name, json).await,
        Command::Rotate { name, token: true, .. } => print::secrets(&partners.rotate_token(&name).await?, json),
        Command::Rotate { name, overlap, .. } => print::secrets(&partners.rotate_keys(&name, overlap).await?, json),
        Command::Pause { name, reason } => {
            let was_on = partners.pause(&name, &reason).await?;
            show::line(if was_on { "paused" } else { "it was paused before" });
            Ok(())
        }
        Command::Resume { name } => {
            let was_off = partners.resume(&name).await?;
            show::line(if was_off { "a running allim sends what waits within a second" } else { "it wasn't paused" });
            Ok(())
        }
        Command::Replay { name, since, .. } => replay(&app, &partners, &name, since.as_deref(), json).await,
        Command::End { name, reason } => {
            partners.end(&name, &reason).await?;
            show::line("ended");
            Ok(())
        }
    }
}

async fn replay(app: &App, partners: &Partnership, name: &str, since: Option<&str>, json: bool) -> anyhow::Result<()> {
    let zone = &app.config.zone;
    let since = since.map(|text| super::instant::read("--since", text, zone)).transpose()?;
    let deliveries = partners.replay(name, since).await?;
    if json {
        return show::json(&serde_json::json!({ "deliveries": deliveries }));
    }
    show::line(format!("{deliveries} are due again; a running allim sends them within a second"));
    Ok(())
}

async fn test(partners: &Partnership, name: &str, json: bool) -> anyhow::Result<()> {
    let (partner, _) = partners.find(name).await?;
    let tried = match partner.way {
        #[cfg(feature = "amqp")]
        crate::domain::partner::Way::Amqp => app::try_broker(partners, name).await?,
        _ => partners.test(name).await?,
    };
    if json {
        show::json(&tried)?;
    } else {
        show::line(format!("{}: {}", if tried.is_taken { "taken" } else { "not taken" }, tried.answer));
    }
    anyhow::ensure!(tried.is_taken, "{name} didn't take the ping");
    Ok(())
}

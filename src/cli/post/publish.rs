//! `allim post publish`: one post, by any of the ways in.

use super::source_of;
use crate::app::{self, Purpose, World};
use crate::cli::{Context, print};
use crate::config::Config;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::post_file;
use crate::intake::wire::{Incoming, MESSAGE_BYTES_MAX};
use anyhow::Context as _;
use std::path::PathBuf;
use std::time::Duration;

/// How long a daemon may take to answer; without an answer nobody knows, and the same command may be given again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Arguments {
    /// The file: `.json` or `.md`.
    file: PathBuf,
    /// The way in.
    #[arg(long, value_enum, default_value_t)]
    to: Way,
    /// For http: where the daemon is; web.public_url or web.listen when left out.
    #[arg(long)]
    url: Option<String>,
    /// For http: a token that [[intake.token]] knows.
    #[arg(long, env = "ALLIM_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// For direct: the source whose post it is; may be left out when there is only one.
    #[arg(long)]
    source: Option<String>,
}

/// The ways in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Way {
    /// POST to a running daemon.
    #[default]
    Http,
    /// To the broker of [intake.amqp].
    Amqp,
    /// Into the folder of [intake.spool].
    Spool,
    /// Into the store of this configuration.
    Direct,
}

/// How far the post came.
enum Published {
    /// It is durable, or refused.
    Taken(Receipt),
    /// Somebody else keeps it until a daemon takes it; this says where.
    HandedOn(String),
}

pub(super) async fn run(arguments: Arguments, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let incoming = post_file::read(&arguments.file, "").with_context(|| arguments.file.display().to_string())?;
    let size = incoming.bytes.len();
    anyhow::ensure!(
        size <= MESSAGE_BYTES_MAX,
        "the file is larger than {MESSAGE_BYTES_MAX} bytes, the limit of a message"
    );
    let published = match arguments.to {
        Way::Http => over_http(&arguments, &context.config, incoming).await?,
        Way::Amqp => over_amqp(&context.config, incoming).await?,
        Way::Spool => into_spool(&arguments, &context.config, &incoming)?,
        Way::Direct => directly(&arguments, context.config, incoming).await?,
    };
    match published {
        Published::HandedOn(place) if json => print::json(&serde_json::json!({ "state": "handed_on", "to": place })),
        Published::HandedOn(place) => {
            print::line(format!("handed on to {place}; it is taken in by the daemon"));
            Ok(())
        }
        Published::Taken(receipt) => {
            let id = receipt.post_id.clone().unwrap_or_default();
            let told = print::visible(&super::verdict(&receipt.verdict));
            match json {
                true => print::json(&receipt)?,
                false if matches!(receipt.verdict, Verdict::Quarantined { .. }) => {}
                false => print::line(format!("{id}  {told}")),
            }
            anyhow::ensure!(!matches!(receipt.verdict, Verdict::Quarantined { .. }), "{told}");
            Ok(())
        }
    }
}

async fn over_http(arguments: &Arguments, config: &Config, incoming: Incoming) -> anyhow::Result<Published> {
    let token = arguments
        .token
        .as_deref()
        .context("give a token with --token or in ALLIM_TOKEN; `allim token new` makes one")?;
    let own = || config.site.public_url.clone().unwrap_or_else(|| format!("http://{}", config.file.web.listen));
    let base = arguments.url.clone().unwrap_or_else(own);
    let url = format!("{}/api/v1/posts", base.trim_end_matches('/'));
    let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build()?;
    let request = client
        .post(&url)
        .bearer_auth(token)
        .header(reqwest::header::CONTENT_TYPE, incoming.content_type.unwrap_or_default())
        .body(incoming.bytes);
    let answer = request.send().await.with_context(|| format!("{url}: no answer; repeating the command is safe"))?;
    let status = answer.status();
    let body = answer.bytes().await.with_context(|| format!("{url}: half an answer; repeating the command is safe"))?;
    if let Ok(receipt) = serde_json::from_slice::<Receipt>(&body) {
        return Ok(Published::Taken(receipt));
    }
    #[derive(serde::Deserialize)]
    struct Problem {
        reason: String,
        detail: String,
    }
    match serde_json::from_slice::<Problem>(&body) {
        Ok(Problem { reason, detail }) => {
            anyhow::bail!("{url}: {status}: {}", print::visible(&format!("{reason}: {detail}")))
        }
        Err(_) => anyhow::bail!("{url}: {status}: this isn't the answer of an allim; check --url"),
    }
}

/// A temporary name first: the daemon must never see half a file.
fn into_spool(arguments: &Arguments, config: &Config, incoming: &Incoming) -> anyhow::Result<Published> {
    let table = config.file.intake.spool.as_ref().context("no [intake.spool] is configured")?;
    let folder = config.in_state(&table.folder);
    std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let name = arguments.file.file_name().context("the file has no name")?.to_string_lossy().into_owned();
    anyhow::ensure!(
        post_file::Kind::of(name.as_ref()).is_some(),
        "the name must end in .json or .md and not begin with a dot"
    );
    let target = folder.join(&name);
    let hidden = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let write = || {
        std::fs::write(&hidden, &incoming.bytes)?;
        std::fs::File::open(&hidden)?.sync_all()?;
        // Linking, unlike renaming, never replaces a file that waits there under the same name.
        std::fs::hard_link(&hidden, &target)
    };
    let written: std::io::Result<()> = write();
    let _ = std::fs::remove_file(&hidden);
    written.with_context(|| target.display().to_string())?;
    Ok(Published::HandedOn(target.display().to_string()))
}

async fn directly(arguments: &Arguments, config: Config, incoming: Incoming) -> anyhow::Result<Published> {
    let source = source_of(&config, arguments.source.as_deref())?;
    let app = app::build(config, World::system(), Purpose::Command).await?;
    let receipt = app.intake.accept(vec![Incoming { source, ..incoming }]).await?.pop();
    receipt.map(Published::Taken).context("the store gave no receipt")
}

#[cfg(feature = "amqp")]
async fn over_amqp(config: &Config, incoming: Incoming) -> anyhow::Result<Published> {
    let settings = app::queue(config).context("no [intake.amqp] is configured")?;
    let content_type = incoming.content_type.unwrap_or_default();
    crate::intake::amqp::publish(&settings, &incoming.bytes, &content_type).await?;
    Ok(Published::HandedOn(format!("the queue `{}`", settings.queue)))
}

#[cfg(not(feature = "amqp"))]
async fn over_amqp(_: &Config, _: Incoming) -> anyhow::Result<Published> {
    anyhow::bail!("this allim was built without RabbitMQ; use --to http, spool or direct")
}

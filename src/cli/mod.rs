//! The command line: one file per subcommand.

mod run;
mod subscriber;

use crate::app::telemetry::{self, LogFormat};
use crate::config::{self, Config};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Turns "we published a post" into the right mail in each subscriber's inbox and an entry in every feed.
#[derive(Debug, Parser)]
#[command(name = "allim", version, about, max_term_width = 100)]
struct Arguments {
    /// The configuration file.
    #[arg(long, global = true, env = "ALLIM_CONFIG", default_value = "/etc/allim/allim.toml")]
    config: PathBuf,
    /// How logs are written to standard error.
    #[arg(long, global = true, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Results as JSON, for scripts.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the daemon.
    Run,
    /// Subscribers.
    #[command(subcommand)]
    Subscriber(subscriber::Command),
}

/// What every command is given.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) json: bool,
}

/// Runs the command line: exit code 0 when all went well, 1 when something failed, 2 for wrong usage.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with code 2.
    let arguments = Arguments::parse();
    let level = if matches!(arguments.command, Command::Run) { "info" } else { "warn" };
    telemetry::logs(arguments.log_format, level);
    crate::app::choose_tls_provider();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let environment = std::env::vars().filter(|(name, _)| name.starts_with(config::ENV_PREFIX));
    let config = config::load(&arguments.config, environment)?;
    let context = Context { config, json: arguments.json };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(dispatch(arguments.command, context));
    // A database thread or a blocking write may still be busy; nothing it does is waited for any more.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

async fn dispatch(command: Command, context: Context) -> anyhow::Result<()> {
    match command {
        Command::Run => run::run(context).await,
        Command::Subscriber(command) => subscriber::run(command, context).await,
    }
}

//! The command line: one file per subcommand.

mod account;
mod audit;
mod backup;
mod check;
mod config;
mod delivery;
mod digest;
mod doctor;
mod explain;
mod feed;
mod help;
mod hold;
mod inbound;
mod instant;
mod media;
mod migrate;
mod partner;
mod post;
mod print;
mod quarantine;
mod run;
mod source;
mod staff;
mod subscriber;
mod token;
mod websub;

use crate::app::telemetry::{self, LogFormat};
use crate::config::{self as configuration, Config, ConfigError, Role};
use clap::{Parser, Subcommand};
use std::path::{Path, PathBuf};
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
    Run {
        /// What it does of the whole; several on one PostgreSQL may share the work. Default: `instance.roles`, which is all.
        #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLE,…")]
        roles: Vec<Role>,
    },
    /// Looks whether everything is ready: configuration, store, broker, relays, name service.
    Check,
    /// The same, and whether everything that was promised is kept, with a verdict in words. Exit code 1: not all is well.
    Doctor,
    /// Brings the tables of the store up to date, or moves an installation from SQLite to PostgreSQL.
    Migrate {
        /// The database to move: `sqlite:FILE`, as in store.url. No daemon may run on it.
        #[arg(long, value_name = "URL", requires = "to")]
        from: Option<String>,
        /// The empty database to move it to: `postgres://USER@HOST/DATABASE`.
        #[arg(long, value_name = "URL", requires = "from")]
        to: Option<String>,
    },
    /// Copies the built-in database (SQLite) into a new file while the daemon runs. The copy holds a hold.
    Backup {
        /// The file to make.
        file: PathBuf,
    },
    /// Posts: publish, list, show, release, withdraw, import.
    #[command(subcommand)]
    Post(post::Command),
    /// Messages that could not be taken in: list, show, replay.
    #[command(subcommand)]
    Quarantine(quarantine::Command),
    /// Takes a mail that came back from standard input: a bounce, a complaint or an unsubscribe mail. Exit code 75: come again.
    #[command(args_conflicts_with_subcommands = true)]
    Inbound {
        /// The envelope's recipient; without it, the one that the header names.
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        #[command(subcommand)]
        action: Option<inbound::Command>,
    },
    /// Subscribers: import, export, show, suppress, lift.
    #[command(subcommand)]
    Subscriber(subscriber::Command),
    /// Digests: preview the next issue, or fire one now.
    #[command(subcommand)]
    Digest(digest::Command),
    /// Deliveries: list, show, retry.
    #[command(subcommand)]
    Delivery(delivery::Command),
    /// Tells whether and how a reader gets a post, or why not.
    Explain {
        /// The reader's mail address.
        address: String,
        /// The post's id, or the id that its source gave it.
        post: String,
    },
    /// Feeds for one institution, whose address is a secret: add, list, rotate, revoke.
    #[command(subcommand)]
    Feed(feed::Command),
    /// Own accounts at social networks: list, preview, login.
    #[command(subcommand)]
    Account(account::Command),
    /// Copies of pictures and files that failed: list, retry.
    #[command(subcommand)]
    Media(media::Command),
    /// Feeds of partners that posts come from: list, pull.
    #[command(subcommand)]
    Source(source::Command),
    /// Programs that follow feeds: list, drop.
    #[command(subcommand)]
    Websub(websub::Command),
    /// Institutions that are told of posts: add, list, show, set, test, rotate, pause, resume, replay, end.
    #[command(subcommand)]
    Partner(partner::Command),
    /// Who may come into the control room: add, list, link, role, end.
    #[command(subcommand)]
    Staff(staff::Command),
    /// What was done by whom, the newest first.
    Audit {
        /// How many acts are shown.
        #[arg(long, default_value_t = 50)]
        count: i64,
    },
    /// Stops sending and lets it go on; alone it shows which holds are on.
    Hold {
        #[command(subcommand)]
        action: Option<hold::Action>,
    },
    /// Tokens of publishers, and the keys of links in mails.
    #[command(subcommand)]
    Token(token::Command),
    /// The configuration in effect, or the commented example.
    #[command(subcommand)]
    Config(config::Command),
    /// Prints completions for a shell: `allim completions bash > /etc/bash_completion.d/allim`.
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Writes the manual pages, one for each command.
    Man {
        /// The folder to write them into; it is made if missing.
        folder: PathBuf,
    },
}

/// What every command is given.
pub(crate) struct Context {
    pub(crate) config: Config,
    /// Where it was read.
    pub(crate) file: PathBuf,
    pub(crate) json: bool,
}

/// Runs the command line: exit code 0 when all went well, 1 when something failed, 2 for wrong usage; and 75 when a mail that
/// was piped in couldn't be kept just now.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here, with code 2.
    let arguments = Arguments::parse();
    let is_pipe = matches!(arguments.command, Command::Inbound { action: None, .. });
    let level = if matches!(arguments.command, Command::Run { .. }) { "info" } else { "warn" };
    telemetry::logs(arguments.log_format, level);
    crate::app::choose_tls_provider();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allim: {error:#}");
            match is_pipe && !inbound::is_for_good(&error) {
                true => ExitCode::from(inbound::COME_AGAIN),
                false => ExitCode::FAILURE,
            }
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    let Arguments { config: path, json, command, .. } = arguments;
    // What needs no configuration.
    match &command {
        Command::Config(config::Command::Example) => return config::example(),
        Command::Config(config::Command::Schema) => return config::schema(),
        Command::Completions { shell } => return help::completions(*shell),
        Command::Man { folder } => return help::manual(folder),
        _ => {}
    }
    let loaded = load(&path);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match command {
            // A configuration that can't be read is what `check` is there to tell.
            Command::Check => check::run(loaded, &path, json).await,
            Command::Doctor => doctor::run(loaded, &path, json).await,
            command => {
                let (config, act) = (loaded?, audit::Act::of(&command));
                let kept = act.is_some().then(|| config.clone());
                dispatch(command, Context { config, file: path, json }).await?;
                match act.zip(kept) {
                    Some((act, config)) => audit::tell(config, act).await,
                    None => Ok(()),
                }
            }
        }
    });
    // A database thread or a blocking write may still be busy; nothing it does is waited for any more.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}

/// Reads the configuration, with the environment laid over it.
fn load(file: &Path) -> Result<Config, ConfigError> {
    configuration::load(file, std::env::vars().filter(|(name, _)| name.starts_with(configuration::ENV_PREFIX)))
}

async fn dispatch(command: Command, context: Context) -> anyhow::Result<()> {
    match command {
        Command::Run { roles } => run::run(roles, context).await,
        Command::Check | Command::Doctor => Ok(()),
        Command::Migrate { from: Some(from), to: Some(to) } => migrate::move_to(&from, &to, context).await,
        Command::Migrate { .. } => migrate::run(context).await,
        Command::Backup { file } => backup::run(file, context).await,
        Command::Post(command) => post::run(command, context).await,
        Command::Account(command) => account::run(command, context).await,
        Command::Quarantine(command) => quarantine::run(command, context).await,
        Command::Inbound { to, action } => inbound::run(to, action, context).await,
        Command::Subscriber(command) => subscriber::run(command, context).await,
        Command::Digest(command) => digest::run(command, context).await,
        Command::Delivery(command) => delivery::run(command, context).await,
        Command::Explain { address, post } => explain::run(&address, &post, context).await,
        Command::Feed(command) => feed::run(command, context).await,
        Command::Media(command) => media::run(command, context).await,
        Command::Source(command) => source::run(command, context).await,
        Command::Websub(command) => websub::run(command, context).await,
        Command::Partner(command) => partner::run(command, context).await,
        Command::Staff(command) => staff::run(command, context).await,
        Command::Audit { count } => audit::run(count, context).await,
        Command::Hold { action } => hold::run(action, context).await,
        Command::Token(command) => token::run(command, context).await,
        Command::Config(config::Command::Show) => config::show(&context),
        Command::Config(config::Command::Example | config::Command::Schema)
        | Command::Completions { .. }
        | Command::Man { .. } => Ok(()),
    }
}

//! `allim media`: copies of pictures and files.

use super::{Context, print};
use crate::app::{self, Purpose, World};
use crate::store::media;

/// What is done with copies.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Lists what couldn't be copied and isn't tried any more, with the reason.
    List {
        /// How many at most.
        #[arg(long, default_value_t = 200)]
        limit: u32,
    },
    /// Has all of that tried again.
    Retry,
}

pub(super) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    let json = context.json;
    let app = app::build(context.config, World::system(), Purpose::Command).await?;
    match command {
        Command::List { limit } => {
            let rows = app.store.read(move |tx| media::given_up(tx, i64::from(limit))).await?;
            if json {
                let row = |(url, why): &(String, String)| serde_json::json!({ "url": url, "why": why });
                return print::json(&rows.iter().map(row).collect::<Vec<_>>());
            }
            print::table(&["address", "why"], rows.into_iter().map(|(url, why)| vec![url, why]));
        }
        Command::Retry => {
            let now = app.store.now().await?;
            let count = app.store.write(move |tx| media::retry(tx, now)).await?;
            if json {
                return print::json(&serde_json::json!({ "tried_again": count }));
            }
            print::line(format!("{count} to be tried again"));
        }
    }
    Ok(())
}

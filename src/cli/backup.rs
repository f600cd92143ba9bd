//! `allim backup`: a copy of the embedded database while the daemon works on it.

use super::{Context, print};
use crate::app::World;
use crate::store::{self, Location};
use std::path::{Path, PathBuf};

pub(super) async fn run(to: PathBuf, context: Context) -> anyhow::Result<()> {
    let Location::Sqlite(from) = context.config.store.clone() else {
        anyhow::bail!(
            "store.url is a PostgreSQL database: use its own tools (pg_dump, pg_basebackup); \
             a database that was restored from them is held by itself until you say what it missed"
        )
    };
    anyhow::ensure!(from.exists(), "there is no database at {} yet", from.display());
    let (now, target) = (World::system().clock.now(), to.clone());
    let bar = print::progress("copying", "pages");
    let copying = tokio::task::spawn_blocking(move || {
        let result = store::backup(&from, &target, now, |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        });
        bar.finish_and_clear();
        result
    });
    copying.await??;
    told(&to, context.json)
}

fn told(to: &Path, json: bool) -> anyhow::Result<()> {
    let bytes = std::fs::metadata(to)?.len();
    if json {
        return print::json(&serde_json::json!({ "file": to.display().to_string(), "bytes": bytes }));
    }
    print::line(format!(
        "{}: {bytes} bytes; it holds a hold, so that it sends nothing where it is restored",
        to.display()
    ));
    Ok(())
}

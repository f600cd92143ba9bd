//! `allim migrate`: brings the tables of the store up to date, or moves an installation to a server.

use super::{Context, print};
use crate::app::{self, Purpose, World, lock};
use crate::config::show;
use crate::store::moving::{self, Stage};
use crate::store::{self, Found};
use anyhow::Context as _;
use std::path::Path;

pub(super) async fn run(context: Context) -> anyhow::Result<()> {
    let (json, location) = (context.json, context.config.store.clone());
    let before = tokio::task::spawn_blocking(move || store::inspect(&location)).await??;
    app::build(context.config, World::system(), Purpose::Command).await?;
    let (known, from) = (store::version_known(), version(before));
    if json {
        return print::json(&serde_json::json!({ "from": from, "version": known }));
    }
    match before {
        Found::Version(at) if at == known => print::line(format!("version {known}: nothing to do")),
        Found::Version(at) => print::line(format!("version {known}, was {at}")),
        Found::Empty => print::line(format!("version {known}, made new")),
    }
    Ok(())
}

/// Moves everything from a file to a server. The file can't send from then on, whether this comes to its end or not
/// when it is run again.
pub(super) async fn move_to(from: &str, to: &str, context: Context) -> anyhow::Result<()> {
    let state_dir = &context.config.file.instance.state_dir;
    let file = from.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    let file = state_dir.join(file.context("--from: write `sqlite:FILE`; only the built-in database can be moved")?);
    let is_server = to.starts_with("postgres://") || to.starts_with("postgresql://");
    anyhow::ensure!(is_server, "--to: write `postgres://USER@HOST/DATABASE`; a move leads to PostgreSQL only");
    anyhow::ensure!(file.exists(), "--from: there is no database at {}", file.display());
    // A daemon's lock lies in its state_dir, which is where its database lies too unless somebody chose otherwise.
    let beside = file.parent().unwrap_or(Path::new("."));
    let mut locks = vec![lock::take(state_dir).context("--from: a daemon works on it")?];
    if beside.canonicalize()? != state_dir.canonicalize()? {
        locks.push(lock::take(beside).context("--from: a daemon works on it")?);
    }
    let (told, url, now) = (show::without_password(to), to.to_owned(), World::system().clock.now());
    let bar = print::progress("copying", "rows");
    let moving = move || {
        let result = moving::carry(&file, &url, &told, now, |stage, done, all| {
            bar.set_length(all);
            bar.set_position(done);
            bar.set_message(if stage == Stage::Copying { "copying" } else { "comparing" });
        });
        bar.finish_and_clear();
        result
    };
    // Not one of tokio's own threads: the client of the server may not block those.
    let thread = std::thread::spawn(moving);
    let moved = tokio::task::spawn_blocking(move || thread.join()).await?;
    let moved = moved.map_err(|_| anyhow::anyhow!("the move ended in the middle; run it again"))??;
    drop(locks);
    if context.json {
        return print::json(&moved);
    }
    let rows: u64 = moved.iter().map(|table| table.rows).sum();
    print::line(format!("moved: {rows} rows in {} tables, all compared", moved.len()));
    print::line(format!(
        "now set store.url to {} and start allim; the old database sends no more",
        show::without_password(to)
    ));
    Ok(())
}

/// The version as a number: 0 where there is nothing.
fn version(found: Found) -> i64 {
    match found {
        Found::Empty => 0,
        Found::Version(at) => at,
    }
}

//! `allim post import`: years of old posts, made public and mailed to nobody.

use super::source_of;
use crate::app::App;
use crate::cli::print;
use crate::intake::accept::{Receipt, Verdict};
use crate::intake::post_file::{self, Kind};
use crate::intake::wire::MESSAGE_BYTES_MAX;
use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use std::path::{Path, PathBuf};

/// Files taken in with one commit at most.
const BATCH_FILES_MAX: usize = 100;
/// Bytes taken in with one commit at most, so that large files don't fill the memory.
const BATCH_BYTES_MAX: usize = 16 * MESSAGE_BYTES_MAX;
/// Folders within each other at most: a link that leads in a circle isn't followed, and nobody nests deeper.
const DEPTH_MAX: usize = 32;

/// What an import came to.
#[derive(Default, serde::Serialize)]
struct Tally {
    stored: u64,
    known: u64,
    refused: u64,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Stored | Verdict::Revised | Verdict::Withdrawn | Verdict::Stale => self.stored += 1,
            Verdict::Duplicate | Verdict::Own => self.known += 1,
            Verdict::Quarantined { .. } => self.refused += 1,
        }
    }
}

pub(super) async fn run(app: &App, folder: &Path, source: Option<&str>, json: bool) -> anyhow::Result<()> {
    let source = source_of(&app.config, source)?;
    let mut files = Vec::new();
    collect(folder, DEPTH_MAX, &mut files)?;
    files.sort();
    anyhow::ensure!(!files.is_empty(), "{}: holds no .json or .md file", folder.display());
    let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} {per_sec}")?;
    let bar = ProgressBar::new(files.len() as u64).with_style(style);
    let intake = app.intake.as_backfill();
    let mut tally = Tally::default();
    let mut waiting = files.into_iter().peekable();
    while waiting.peek().is_some() {
        let (mut paths, mut messages, mut bytes_read) = (Vec::new(), Vec::new(), 0);
        while messages.len() < BATCH_FILES_MAX && bytes_read < BATCH_BYTES_MAX {
            let Some(path) = waiting.next() else { break };
            let incoming = post_file::read(&path, &source).with_context(|| path.display().to_string())?;
            bytes_read += incoming.bytes.len();
            messages.push(incoming);
            paths.push(path);
        }
        let receipts = intake.accept(messages).await?;
        for (path, receipt) in paths.iter().zip(&receipts) {
            tally.count(&receipt.verdict);
            tell_refusal(&bar, path, receipt);
        }
        bar.inc(paths.len() as u64);
    }
    bar.finish_and_clear();
    let Tally { stored, known, refused } = tally;
    if json {
        print::json(&tally)?;
    } else {
        print::line(format!("{stored} taken in, {known} known already, {refused} refused"));
        eprintln!("they become public and are mailed to nobody; `allim post release ID` mails one after all");
    }
    anyhow::ensure!(refused == 0, "{refused} files were refused; they are named above and in `allim quarantine list`");
    Ok(())
}

fn tell_refusal(bar: &ProgressBar, path: &Path, receipt: &Receipt) {
    if matches!(receipt.verdict, Verdict::Quarantined { .. }) {
        let told = super::verdict(&receipt.verdict);
        bar.suspend(|| eprintln!("{}: {}", path.display(), print::visible(&told)));
    }
}

/// Every post below a folder. Links to folders aren't followed, as they may lead in a circle.
fn collect(folder: &Path, depth_left: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let name = || folder.display().to_string();
    anyhow::ensure!(depth_left > 0, "{}: folders nest deeper than {DEPTH_MAX} levels", name());
    for entry in std::fs::read_dir(folder).with_context(name)? {
        let entry = entry.with_context(name)?;
        let kind = entry.file_type().with_context(name)?;
        if kind.is_dir() {
            collect(&entry.path(), depth_left - 1, files)?;
        } else if kind.is_file() && Kind::of(&entry.file_name()).is_some() {
            files.push(entry.path());
        }
    }
    Ok(())
}

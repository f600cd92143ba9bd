//! The watched folder: a file that appears there is taken in like any message, and moved away once it is durable.
//!
//! The folder is looked at twice a second rather than watched through inotify: inotify sees nothing of what other machines
//! write over NFS, drops events when its queue is full, and so would need the same look round anyway.

use super::Intake;
use super::accept::{Receipt, Verdict};
use super::post_file::{self, Kind};
use super::wire::{Incoming, MESSAGE_BYTES_MAX};
use crate::domain::backoff;
use crate::domain::clock::Chance;
use crate::store::StoreError;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// How often the folder is looked at.
const POLL: Duration = Duration::from_millis(500);
/// Files taken in with one commit at most, so that ten thousand of them don't make one long transaction.
const BATCH_FILES_MAX: usize = 100;
/// Bytes read for one commit at most, so that a batch of large files doesn't fill the memory.
const BATCH_BYTES_MAX: usize = 16 * MESSAGE_BYTES_MAX;
/// Where files go that were taken in.
const DONE: &str = "done";
/// Where files go that were not, each with its reason beside it.
const REJECTED: &str = "rejected";

/// What keeps the folder from being emptied. Nothing is lost by it: the files stay, and are tried again.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder or a file in it can't be read or moved.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Nothing could be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread that reads files ended.
    #[error("a file could not be handled: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// A folder and the source whose posts are dropped there.
pub struct Spool {
    intake: Intake,
    folder: PathBuf,
    source: String,
}

impl Spool {
    /// Makes the folder with its two folders inside where they are missing.
    ///
    /// # Errors
    /// When they can't be made.
    pub fn create(intake: Intake, folder: PathBuf, source: String) -> Result<Self, SpoolError> {
        for inside in [DONE, REJECTED] {
            let path = folder.join(inside);
            std::fs::create_dir_all(&path).map_err(|error| SpoolError::File { path, error })?;
        }
        Ok(Self { intake, folder, source })
    }

    /// Takes in what appears until `stop` turns true.
    pub async fn watch(self, chance: Arc<dyn Chance>, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        while !*stop.borrow() {
            let rest = match self.sweep(&stop).await {
                Ok(()) => {
                    failures = 0;
                    POLL
                }
                Err(error) => {
                    failures += 1;
                    tracing::warn!(%error, failures, "the spool folder could not be emptied; its files stay there");
                    backoff::SERVICE.wait(failures, chance.draw_32())
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stop.changed() => {}
            }
        }
    }

    /// Takes in every file that is there now, in the order in which they were written: revisions without a number count
    /// by their arrival.
    async fn sweep(&self, stop: &watch::Receiver<bool>) -> Result<(), SpoolError> {
        let folder = self.folder.clone();
        let mut waiting = tokio::task::spawn_blocking(move || files_in(&folder)).await??.into_iter().peekable();
        while waiting.peek().is_some() && !*stop.borrow() {
            let source = self.source.clone();
            let (batch, rest) = tokio::task::spawn_blocking(move || read_batch(waiting, &source)).await?;
            waiting = rest;
            let (files, messages): (Vec<_>, Vec<_>) = batch?.into_iter().unzip();
            if messages.is_empty() {
                continue;
            }
            // Only now, with everything durable, the files leave. A crash in between makes them come again as duplicates.
            let receipts = self.intake.accept(messages).await?;
            tokio::task::spawn_blocking(move || move_away(&files, &receipts)).await??;
        }
        Ok(())
    }
}

type Waiting = std::iter::Peekable<std::vec::IntoIter<PathBuf>>;

/// The files to be taken in, oldest first.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, SpoolError> {
    let fault = |error| SpoolError::File { path: folder.to_owned(), error };
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if Kind::of(&entry.file_name()).is_none() {
            continue;
        }
        // Not through links: whoever may write here shall not make allim read what only allim may read.
        match entry.metadata() {
            Ok(about) if about.is_file() => {
                found.push((about.modified().unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
            }
            // Another process may have taken it away meanwhile.
            _ => {}
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Reads the next files, as many as fit into one commit.
fn read_batch(mut waiting: Waiting, source: &str) -> (Result<Vec<(PathBuf, Incoming)>, SpoolError>, Waiting) {
    let (mut batch, mut bytes_read) = (Vec::new(), 0);
    while batch.len() < BATCH_FILES_MAX && bytes_read < BATCH_BYTES_MAX {
        let Some(path) = waiting.next() else { break };
        match post_file::read(&path, source) {
            Ok(incoming) => {
                bytes_read += incoming.bytes.len();
                batch.push((path, incoming));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                // It would stand in the way for ever. It was never read, so the quarantine has nothing to keep.
                if let Err(error) = reject(&path, "unreadable: allim may not read this file; give it the right to") {
                    return (Err(error), waiting);
                }
            }
            Err(error) => return (Err(SpoolError::File { path, error }), waiting),
        }
    }
    (Ok(batch), waiting)
}

fn move_away(files: &[PathBuf], receipts: &[Receipt]) -> Result<(), SpoolError> {
    for (path, receipt) in files.iter().zip(receipts) {
        match &receipt.verdict {
            Verdict::Quarantined { id, reason, path: field, detail } => {
                let at = if field.is_empty() { String::new() } else { format!(" at {field}") };
                reject(path, &format!("{reason}{at}: {detail}\nquarantine id: {id}"))?;
            }
            _ => rename(path, &free_name(path, DONE))?,
        }
    }
    tracing::info!(files = files.len(), "taken from the spool folder");
    Ok(())
}

/// The reason is written before the file moves, so that no rejected file is without one.
fn reject(path: &Path, reason: &str) -> Result<(), SpoolError> {
    let to = free_name(path, REJECTED);
    tracing::warn!(file = %path.display(), reason = reason.split(':').next(), "a file in the spool folder was rejected");
    let beside = appended(&to, ".reason.txt");
    std::fs::write(&beside, format!("{reason}\n")).map_err(|error| SpoolError::File { path: beside, error })?;
    rename(path, &to)
}

/// A name in the folder `inside` beside `path` that no file has: what was taken in before is never overwritten.
fn free_name(path: &Path, inside: &str) -> PathBuf {
    let folder = path.parent().unwrap_or(Path::new("")).join(inside);
    let plain = folder.join(path.file_name().unwrap_or_default());
    let mut name = plain.clone();
    let mut number = 1u32;
    while name.exists() {
        name = appended(&plain, &format!(".{number}"));
        number += 1;
    }
    name
}

fn appended(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<(), SpoolError> {
    match std::fs::rename(from, to) {
        // Another daemon on the same folder was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        moved => moved.map_err(|error| SpoolError::File { path: from.to_owned(), error }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_comes_first_and_links_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, age_s) in [("a.json", 1), ("b.json", 3), ("c.md", 2)] {
            let file = std::fs::File::create(folder.path().join(name)).expect("a file");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(100 - age_s)).expect("a time");
        }
        std::os::unix::fs::symlink("/etc/hostname", folder.path().join("d.json")).expect("a link");
        std::fs::create_dir(folder.path().join("e.json")).expect("a folder");
        let found = files_in(folder.path()).expect("readable");
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()).collect();
        assert_eq!(names, ["b.json", "c.md", "a.json"]);
    }

    #[test]
    fn nothing_in_done_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        std::fs::create_dir(folder.path().join(DONE)).expect("a folder");
        std::fs::write(folder.path().join("done/a.json"), "1").expect("a file");
        assert_eq!(free_name(&path, DONE), folder.path().join("done/a.json.1"));
    }
}

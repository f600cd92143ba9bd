//! A copy of the embedded database while the daemon works on it.
//!
//! Why SQLite's backup interface and not `VACUUM INTO`: it copies pages as they are instead of building every table and
//! index anew, and it does so in steps. Between steps it would begin again whenever another process has written, that
//! is, never end under a daemon; so all steps are made inside one read transaction, which in WAL mode keeps nobody from
//! writing. The log only grows until the copy is done.

use super::identity::{self, Cause};
use super::{StoreError, migrate, sqlite};
use crate::domain::clock::UnixMillis;
use rusqlite::backup::{Backup, StepResult};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pages copied in one step: 4 MiB of the usual 4 KiB pages, a few milliseconds.
const PAGES_PER_STEP: i32 = 1_024;
/// The rest between two steps, so that the writer's syncs don't wait behind one long read and write.
const REST: Duration = Duration::from_millis(2);
/// What stands in a copy, so that it doesn't send by itself.
const REASON: &str =
    "this is a backup: if it is put in place of the original, mail may have gone out that it knows nothing of";

/// Copies the database at `from` to a new file `to`, which holds a consistent state and may not send before an operator
/// has decided. `progress` hears how many pages of how many are done. Blocks.
///
/// # Errors
/// [`StoreError`] when `to` is there already, can't be written, or the copy doesn't hold together.
pub fn backup(from: &Path, to: &Path, now: UnixMillis, progress: impl FnMut(u64, u64)) -> Result<(), StoreError> {
    let broken = |what: &Path| {
        let what = what.display().to_string();
        move |error: io::Error| StoreError::Unavailable(format!("{what}: {error}"))
    };
    if to.try_exists().map_err(broken(to))? {
        return Err(StoreError::Refused(format!("{} is there already; name a file that isn't", to.display())));
    }
    let partial = Partial::beside(to).map_err(broken(to))?;
    copy(from, &partial.0, progress)?;
    sqlite::alone(&partial.0, |tx| {
        migrate::run(tx)?;
        identity::doubt(tx, Cause::Backup, REASON, now)
    })?;
    File::open(&partial.0).and_then(|file| file.sync_all()).map_err(broken(&partial.0))?;
    publish(&partial.0, to).map_err(broken(to))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(broken(folder))
}

/// A file under its first name; removed when it goes out of scope, whether the copy succeeded or not.
struct Partial(PathBuf);

impl Partial {
    fn beside(to: &Path) -> io::Result<Self> {
        let mut name = to.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.partial", std::process::id()));
        let path = to.with_file_name(name);
        // Nobody else may read it: it holds addresses and the keys of links.
        File::options().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Gives a finished file its name. A link, unlike a renaming, never takes the place of a file that appeared meanwhile.
fn publish(partial: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(partial, to) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !to.exists() => {
            // Drives and shares that know no links.
            fs::rename(partial, to)
        }
        done => done,
    }
}

fn copy(from: &Path, to: &Path, mut progress: impl FnMut(u64, u64)) -> Result<(), StoreError> {
    let source = sqlite::open_to_read(from)?;
    let mut target = rusqlite::Connection::open(to).map_err(sqlite::error)?;
    // The read that makes the snapshot all steps copy from.
    source.execute_batch("BEGIN; SELECT COUNT(*) FROM sqlite_master").map_err(sqlite::error)?;
    let steps = Backup::new(&source, &mut target).map_err(sqlite::error)?;
    loop {
        let step = steps.step(PAGES_PER_STEP).map_err(sqlite::error)?;
        let done = steps.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or(0);
        progress(pages(done.pagecount - done.remaining), pages(done.pagecount));
        match step {
            StepResult::Done => break,
            _ => std::thread::sleep(REST),
        }
    }
    drop(steps);
    let verdict: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(sqlite::error)?;
    if verdict == "ok" {
        Ok(())
    } else {
        Err(StoreError::Refused(format!("the copy doesn't hold together: {verdict}")))
    }
}

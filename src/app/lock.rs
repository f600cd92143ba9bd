//! The lock file that keeps two daemons off one SQLite database (design rule 12).

use anyhow::Context as _;
use std::fs::{File, TryLockError};
use std::path::Path;

/// The name of the lock file in the state folder.
pub const LOCK_FILE: &str = "allim.lock";

/// Takes the lock; it is held until the returned file is dropped, and the system frees it when the process dies.
///
/// # Errors
/// When another daemon holds it, or the file can't be made.
pub fn take(state_dir: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(state_dir).with_context(|| format!("instance.state_dir {}", state_dir.display()))?;
    let path = state_dir.join(LOCK_FILE);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("the lock file {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!(
                "another allim runs on {}; stop it first, or give this one a state_dir of its own",
                state_dir.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).context("the lock file"),
    }
}

//! The key that seals secrets of others in the store: a file beside the database, never in it, so that a copy of the one is of no use
//! without the other.

use super::{World, new_token_key};
use crate::config::Config;
use crate::domain::seal::Seal;
use crate::store::{Store, sealed};
use anyhow::Context as _;
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

/// The name of the file in the state folder.
pub const FILE: &str = "seal.key";
/// Octets of a key, at least: as many as half of what we make ourselves.
const KEY_LEN_MIN: usize = 32;

/// The seal of this installation. The first start makes its key, unless the configuration names one.
///
/// # Errors
/// When the key can't be read, or isn't the one that secrets in the store were sealed with.
pub(super) async fn open(config: &Config, store: &Store, world: &World) -> anyhow::Result<Arc<Seal>> {
    let instance = &config.file.instance;
    let (path, key) = match &instance.seal_key_file {
        Some(file) => {
            let path = config.in_state(file);
            let key = read(&path).with_context(|| format!("instance.seal_key_file {}", path.display()))?;
            (path, key)
        }
        None => {
            let path = instance.state_dir.join(FILE);
            let key = read_or_make(&path, world).with_context(|| path.display().to_string())?;
            (path, key)
        }
    };
    let seal = Seal::new(&key).context("the key of the seal")?;
    let name = seal.name().to_owned();
    let other = store.read(move |tx| sealed::other(tx, &name)).await.context("store.url")?;
    if let Some(other) = other {
        anyhow::bail!(
            "{} is the seal {}, and secrets in the store were sealed with {other}: put the key back, or let \
             instance.seal_key_file name it; replicas share one",
            path.display(),
            seal.name()
        );
    }
    Ok(Arc::new(seal))
}

fn read_or_make(path: &Path, world: &World) -> anyhow::Result<String> {
    match read(path) {
        Err(error) if is_missing(&error) => make(path, world)?,
        read => return read,
    }
    read(path)
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read(path: &Path) -> anyhow::Result<String> {
    let key = std::fs::read_to_string(path)?.trim().to_owned();
    anyhow::ensure!(key.len() >= KEY_LEN_MIN, "it must hold a line of at least {KEY_LEN_MIN} characters");
    if std::fs::metadata(path)?.permissions().mode() & 0o077 != 0 {
        tracing::warn!(file = %path.display(), "others than its owner may read this key; set its mode to 0600");
    }
    Ok(key)
}

/// Whole or not at all, and never over another: a daemon and a command may come here at once.
fn make(path: &Path, world: &World) -> anyhow::Result<()> {
    let key = new_token_key(world);
    let draft = path.with_extension(format!("{}.tmp", key.id));
    let write = || {
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", key.secret)?;
        file.sync_all()?;
        match std::fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        }
    };
    let written = write();
    let _ = std::fs::remove_file(&draft);
    written?;
    // The name too must outlive a power cut: what is sealed from now on can't be opened without it.
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

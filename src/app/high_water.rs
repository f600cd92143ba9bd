//! The file beside the database that remembers how far it had come (design rule 19): a database that is behind it was
//! restored from an earlier state, and mail may have gone out that it knows nothing of.

use crate::domain::ids;
use crate::store::identity::{self, Cause};
use crate::store::{Dialect, Store, Tx};
use anyhow::Context as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The name of the file in the state folder.
pub const FILE: &str = "high-water";
/// What tells one machine from another (machine-id(5)); containers often have none.
const MACHINE_ID: &str = "/etc/machine-id";
/// What stands in the file for a machine that doesn't say who it is.
const NO_MACHINE: &str = "-";

/// One daemon's or command's view on database and file.
#[derive(Clone)]
pub struct HighWater {
    path: PathBuf,
    instance: String,
    machine: String,
}

/// What the file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    counter: i64,
    machine: String,
}

/// A reason to doubt the database.
pub type Suspicion = (Cause, String);

impl HighWater {
    /// The file of a state folder, for an instance of this name.
    #[must_use]
    pub fn new(state_dir: &Path, instance: &str) -> Self {
        let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
        // The id itself is not for others to read, so its hash stands in the file.
        let hashed = || ids::content_hash(format!("allim {}", machine.trim()).as_bytes())[..16].to_owned();
        let machine = if machine.trim().is_empty() { NO_MACHINE.to_owned() } else { hashed() };
        Self { path: state_dir.join(FILE), instance: instance.to_owned(), machine }
    }

    /// Compares the database with the file and with the server that it lay on, without changing anything.
    ///
    /// # Errors
    /// When the file can't be read or the store doesn't answer.
    pub async fn suspicions(&self, store: &Store) -> anyhow::Result<Vec<Suspicion>> {
        let seen = self.read()?;
        let instance = self.instance.clone();
        let look = move |tx: &mut Tx<'_>| Ok((identity::high_water(tx)?, identity::strayed(tx, &instance)?));
        let (counter, strayed) = store.read(look).await?;
        let mut found = Vec::new();
        if let Some(told) = strayed {
            let reason =
                format!("this database isn't where it was: {told}; it was cloned or restored, or a standby took over");
            found.push((Cause::Cloned, reason));
        }
        // A replica on PostgreSQL may be new, and its folder may come from another one: the server tells who it is.
        if store.dialect() == Dialect::Sqlite {
            found.extend(self.copied(seen.as_ref(), counter));
        }
        if let Some(seen) = seen.filter(|seen| seen.counter > counter) {
            let reason = format!(
                "this database is behind what was seen here before ({counter} after {}): it was restored from an \
                 earlier state, or is another one",
                seen.counter
            );
            found.push((Cause::Behind, reason));
        }
        Ok(found)
    }

    fn copied(&self, seen: Option<&Seen>, counter: i64) -> Option<Suspicion> {
        let reason = match seen {
            None if counter > 0 => format!(
                "this database was in use and there is no file `{FILE}` in the state_dir: it was copied here from elsewhere"
            ),
            Some(seen)
                if ![&seen.machine, &self.machine].contains(&&NO_MACHINE.to_owned())
                    && seen.machine != self.machine =>
            {
                "this state_dir was made on another machine: it was copied here".to_owned()
            }
            _ => return None,
        };
        Some((Cause::Copied, reason))
    }

    /// Raises the counter in the database, then in the file: a crash between the two leaves the file behind, never ahead.
    ///
    /// # Errors
    /// When the store doesn't answer or the file can't be written.
    pub async fn raise(&self, store: &Store) -> anyhow::Result<()> {
        if self.read()?.is_none() {
            // Before the counter, so that a crash between the two doesn't look like a database that was copied here.
            self.write(0)?;
        }
        let instance = self.instance.clone();
        let raised = store.write(move |tx| {
            identity::remember(tx, &instance)?;
            identity::raise(tx)
        });
        let counter = raised.await?;
        self.write(counter)
    }

    /// Ends all doubts at an operator's word.
    ///
    /// # Errors
    /// As [`HighWater::raise`].
    pub async fn accept(&self, store: &Store) -> anyhow::Result<()> {
        let seen = self.read()?.map_or(0, |seen| seen.counter);
        let counter = store.write(move |tx| identity::dispel(tx, seen)).await?;
        self.write(counter)
    }

    fn read(&self) -> anyhow::Result<Option<Seen>> {
        let name = || self.path.display().to_string();
        let text = match std::fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            read => read.with_context(name)?,
        };
        let seen = text
            .trim()
            .split_once(' ')
            .and_then(|(counter, machine)| Some(Seen { counter: counter.parse().ok()?, machine: machine.to_owned() }));
        let wrong = "isn't as allim writes it; remove it, and the database is held until you say what it missed";
        seen.with_context(|| format!("{} {wrong}", name())).map(Some)
    }

    /// Under another name first: the file is whole at any moment, and on the disk when this returns.
    fn write(&self, counter: i64) -> anyhow::Result<()> {
        let write = || -> io::Result<()> {
            let fresh = self.path.with_extension("new");
            let mut file = File::create(&fresh)?;
            writeln!(file, "{counter} {}", self.machine)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &self.path)?;
            File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
        };
        write().with_context(|| self.path.display().to_string())
    }
}

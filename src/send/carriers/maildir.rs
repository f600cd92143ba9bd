//! `email` into a folder: each mail becomes a file of a Maildir (<https://cr.yp.to/proto/maildir.html>). The default
//! until a relay is configured.

use crate::domain::delivery::{Outcome, Reason};
use crate::send::carrier::{Carrier, Gate, Later, Parcel, Session};
use std::io;
use std::path::{Path, PathBuf};

/// Writes into a Maildir.
pub struct Maildir {
    folder: PathBuf,
}

impl Maildir {
    /// Makes `tmp`, `new` and `cur` in the folder.
    ///
    /// # Errors
    /// An I/O error when they can't be made.
    pub fn create(folder: &Path) -> io::Result<Self> {
        for sub in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(folder.join(sub))?;
        }
        Ok(Self { folder: folder.to_owned() })
    }
}

impl Carrier for Maildir {
    fn sessions(&self) -> usize {
        // Files of one folder: more hands than this wait for the same disk.
        4
    }

    fn open(&self) -> Box<dyn Session> {
        Box::new(Writer { folder: self.folder.clone() })
    }
}

struct Writer {
    folder: PathBuf,
}

impl Session for Writer {
    fn carry<'a>(
        &'a mut self,
        parcel: &'a Parcel,
        gate: &'a mut Gate,
        _ahead: Option<(&'a Parcel, &'a mut Gate)>,
    ) -> Later<'a, Outcome> {
        Box::pin(async move {
            gate.ask();
            let bytes = match parcel.signed_letter().await {
                Ok(bytes) => bytes,
                Err(outcome) => return outcome,
            };
            if !gate.pass().await {
                return Outcome::NotAllowed;
            }
            let (folder, name) = (self.folder.clone(), format!("{}.allim", parcel.key.text_id()));
            let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes)).await;
            match written {
                Ok(Ok(())) => Outcome::Sent { reply: "written to the folder".to_owned() },
                // The name is the delivery's own, so a repeat replaces the file instead of adding one.
                Ok(Err(error)) => {
                    Outcome::TryLater { reason: Reason::Unreachable, reply: error.to_string(), not_before: None }
                }
                Err(error) => Outcome::Uncertain { reason: Reason::AnswerLost, reply: error.to_string() },
            }
        })
    }

    fn close(&mut self) -> Later<'_, ()> {
        Box::pin(async {})
    }
}

/// Durable before it is called delivered: the file and the folder are synced.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    let (tmp, new) = (folder.join("tmp").join(name), folder.join("new").join(name));
    let mut file = std::fs::File::create(&tmp)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&tmp, &new)?;
    std::fs::File::open(folder.join("new"))?.sync_all()
}

//! Keys for signatures: read from their files, and looked at with suspicion.

use crate::config::{Config, Dkim};
use crate::render::dkim::{Key, Signer};
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::path::Path;

/// The signers of each sender that signs. Only what sends needs them: other commands run without the right to read keys.
///
/// # Errors
/// The key of the configuration, the file, and what is wrong with it; never anything of its content.
pub fn signers(config: &Config) -> anyhow::Result<BTreeMap<String, Vec<Signer>>> {
    let read = |dkim: &Dkim| {
        let signer = signer(dkim)?;
        if let Some(exposure) = exposure(&dkim.key_file) {
            tracing::warn!(file = %dkim.key_file.display(), "{exposure}");
        }
        tracing::info!(domain = dkim.domain, selector = dkim.selector, key = %signer.key(), "mail is signed");
        Ok(signer)
    };
    let of_sender = |(name, list): (&String, &Vec<Dkim>)| {
        Ok((name.clone(), list.iter().map(read).collect::<anyhow::Result<Vec<Signer>>>()?))
    };
    config.dkim.iter().map(of_sender).collect()
}

/// Reads the key of one signature.
///
/// # Errors
/// As [`signers`].
pub fn signer(dkim: &Dkim) -> anyhow::Result<Signer> {
    let about = || format!("{}.key_file {}", dkim.key, dkim.key_file.display());
    let pem = std::fs::read(&dkim.key_file).with_context(about)?;
    let key = Key::from_pem(&pem).with_context(about)?;
    Ok(Signer::new(dkim.domain.clone(), dkim.selector.clone(), key))
}

/// What is wrong with who may read a key, if anything. A group may: that is how a key is shared between services.
#[must_use]
pub fn exposure(file: &Path) -> Option<&'static str> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o007 != 0).then_some("every user of this machine can read this private key; `chmod o= FILE` ends that")
}

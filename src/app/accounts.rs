//! The accounts at social networks, from what the configuration says of them.

use crate::config::accounts::Account;
use crate::guard::Guard;
use crate::send::social::network::{Credential, Network};
use anyhow::Context as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

/// Octets of a file with a secret at most: far above any real one.
const SECRET_LEN_MAX: u64 = 64 * 1_024;

/// The client of an account. Nothing is asked of the network.
///
/// # Errors
/// When the file with our program's secret can't be read.
pub fn build(account: &Account, guard: Guard) -> anyhow::Result<Arc<dyn Network>> {
    let mut settings = account.settings.clone();
    if let Some(file) = &account.client_secret_file {
        let key = || format!("client_secret_file of account `{}`", account.name);
        settings.set_client_secret(secret(file).with_context(key)?);
    }
    Ok(settings.network(guard))
}

/// The client of an account for those who only want to know what it takes: no secret is needed.
#[must_use]
pub fn look_at(account: &Account, guard: Guard) -> Arc<dyn Network> {
    account.settings.clone().network(guard)
}

/// The login that lies in the account's file, if it has one: it counts until another is stored.
///
/// # Errors
/// When the file can't be read.
pub fn credential_from_file(account: &Account) -> anyhow::Result<Option<Credential>> {
    let Some(file) = &account.token_file else { return Ok(None) };
    let text = secret(file).with_context(|| format!("token_file of account `{}`", account.name))?;
    // A login with more than a token was written by [`keep_in_file`].
    match text.starts_with('{') {
        true => serde_json::from_str(&text).map(Some).map_err(|_| anyhow::anyhow!("{} holds no login", file.display())),
        false => Ok(Some(Credential { access: text, ..Credential::default() })),
    }
}

/// Writes a login into the account's file, for nobody else to read.
///
/// # Errors
/// When the account has no file, or it can't be written.
pub fn keep_in_file(account: &Account, credential: &Credential) -> anyhow::Result<()> {
    let name = &account.name;
    let file =
        account.token_file.as_ref().with_context(|| format!("account `{name}` has no token_file to keep it in"))?;
    let new = file.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&new).with_context(|| new.display().to_string())?;
    out.write_all(&serde_json::to_vec(credential)?)?;
    out.sync_all()?;
    std::fs::rename(&new, file).with_context(|| file.display().to_string())
}

/// One line of a file, which may end with a line feed.
fn secret(file: &Path) -> anyhow::Result<String> {
    let length = std::fs::metadata(file).with_context(|| file.display().to_string())?.len();
    anyhow::ensure!(length <= SECRET_LEN_MAX, "{} is too large for a secret", file.display());
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let text = text.trim();
    anyhow::ensure!(!text.is_empty() && !text.contains(char::is_control), "{} holds no secret", file.display());
    Ok(text.to_owned())
}

//! The accounts at social networks, from what the configuration says of them.

use super::App;
use super::custody::Custody;
use crate::config::accounts::Account as Configured;
use crate::domain::account::Rule;
use crate::domain::destination;
use crate::domain::post::Showable;
use crate::guard::Guard;
use crate::render::RenderError;
use crate::render::blurb::{Blurb, Style};
use crate::send::social::network::{Credential, Network};
use crate::send::social::{Account, kept};
use crate::store::{Tx, accounts, destinations};
use anyhow::Context as _;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

/// A ledger in doubt is looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Octets of a file with a secret at most: far above any real one.
const SECRET_LEN_MAX: u64 = 64 * 1_024;

/// The client of an account. Nothing is asked of the network.
///
/// # Errors
/// When the file with our program's secret can't be read.
pub fn build(account: &Configured, guard: Guard) -> anyhow::Result<Arc<dyn Network>> {
    let mut settings = account.settings.clone();
    if let Some(file) = &account.client_secret_file {
        let key = || format!("client_secret_file of account `{}`", account.name);
        settings.set_client_secret(secret(file).with_context(key)?);
    }
    Ok(settings.network(guard))
}

/// The client of an account for those who only want to know what it takes: no secret is needed.
#[must_use]
pub fn look_at(account: &Configured, guard: Guard) -> Arc<dyn Network> {
    account.settings.clone().network(guard)
}

/// The login that lies in the account's file, if it has one: it counts until another is stored.
///
/// # Errors
/// When the file can't be read.
pub fn credential_from_file(account: &Configured) -> anyhow::Result<Option<Credential>> {
    // One that isn't there yet is no mistake: a login can be brought by command.
    let Some(file) = account.token_file.as_ref().filter(|file| file.exists()) else { return Ok(None) };
    let text = secret(file).with_context(|| format!("token_file of account `{}`", account.name))?;
    // A login with more than a token is written as JSON.
    match text.starts_with('{') {
        true => serde_json::from_str(&text).map(Some).map_err(|_| anyhow::anyhow!("{} holds no login", file.display())),
        false => Ok(Some(Credential { access: text, ..Credential::default() })),
    }
}

/// The accounts as the ledger's sender has them.
///
/// # Errors
/// When a file with a secret can't be read.
pub(super) fn all(app: &App, guard: &Guard) -> anyhow::Result<Vec<Account>> {
    app.config.accounts.iter().map(|configured| one(configured, guard)).collect()
}

fn one(configured: &Configured, guard: &Guard) -> anyhow::Result<Account> {
    let network = build(configured, guard.clone())?;
    let rule = configured.rule(network.can());
    let wording = configured.wording.clone();
    let write = move |showable: &Showable, style: &Style, is_answer: bool| {
        let written = match is_answer {
            true => Blurb::answer(showable, style, &wording),
            false => Blurb::write(showable, style, &wording),
        };
        written.map_err(|unfit| RenderError::Unfit(unfit.to_string()))
    };
    Ok(Account {
        endpoint_id: rule.endpoint_id(),
        rule,
        network,
        base: credential_from_file(configured)?.unwrap_or_default(),
        slots: configured.slots.clone(),
        max_age: Some(configured.max_age),
        write: Arc::new(write),
        learn_at: AtomicI64::new(0),
        unkept: Mutex::default(),
    })
}

/// What planning goes by.
pub(super) fn rules(configured: &[Configured], guard: impl Fn() -> anyhow::Result<Guard>) -> anyhow::Result<Vec<Rule>> {
    if configured.is_empty() {
        return Ok(Vec::new());
    }
    let guard = guard()?;
    Ok(configured.iter().map(|account| account.rule(look_at(account, guard.clone()).can())).collect())
}

/// Makes the accounts of the configuration in the ledger, as soon as that is surely ours, and ends those that it lacks.
pub(super) async fn tidy(app: Arc<App>, custody: Custody, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        if !custody.is_in_doubt() {
            let rules = app.planner.accounts().to_vec();
            let tidied = async {
                let now = app.store.now().await?;
                app.store.write(move |tx: &mut Tx<'_>| accounts::tidy(tx, &rules, now)).await
            };
            match tidied.await {
                Ok(()) => return,
                Err(error) => tracing::warn!(%error, "accounts could not be looked through; trying again"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_AGAIN) => {}
            _ = stop.changed() => {}
        }
    }
}

/// Keeps a login, sealed, so that the daemon finds it.
///
/// # Errors
/// When it can't be kept.
pub async fn keep(app: &App, configured: &Configured, credential: &Credential) -> anyhow::Result<()> {
    let (name, id) = (&configured.name, configured.endpoint_id());
    let draws = [app.world.chance.draw(), app.world.chance.draw()];
    let sealed = kept::sealed(&app.seal, name, credential, draws)?;
    let of = kept::hash(&credential_from_file(configured)?.unwrap_or_default());
    let seal = app.seal.name().to_owned();
    let name = destination::of_endpoint(configured.carrier(), id);
    let keep = move |tx: &mut Tx<'_>| {
        accounts::keep_login(tx, id, &sealed, &seal, &of)?;
        accounts::login_works(tx, id)?;
        // What waits goes at once.
        destinations::forgive(tx, &name)
    };
    Ok(app.store.write(keep).await?)
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

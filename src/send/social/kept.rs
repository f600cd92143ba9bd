//! Logins of accounts: the configured one, or a newer one that came of it, which is kept sealed.

use super::network::Credential;
use super::{Account, insist};
use crate::domain::clock::UnixMillis;
use crate::domain::delivery::{Outcome, Reason};
use crate::domain::ids;
use crate::domain::seal::Seal;
use crate::send::push::Office;
use crate::store::{StoreError, accounts};
use std::sync::PoisonError;

/// What a login is sealed for.
#[must_use]
pub fn purpose(name: &str) -> String {
    format!("account:{name}")
}

/// What a configured login is told from another by.
#[must_use]
pub fn hash(base: &Credential) -> String {
    ids::content_hash(&serde_json::to_vec(base).unwrap_or_default())
}

/// Opens the login that is kept, if it came of the configured one.
#[must_use]
pub fn opened(seal: &Seal, name: &str, base: &Credential, row: &accounts::Account) -> Option<Credential> {
    let sealed = row.login.as_deref().filter(|_| row.login_of.as_deref() == Some(&hash(base)))?;
    serde_json::from_str(&seal.open(&purpose(name), sealed)?).ok()
}

/// The login that calls are made with, renewed if it is time; and whether it was.
///
/// # Errors
/// What becomes of the delivery.
pub(super) async fn ready(
    office: &Office,
    account: &Account,
    row: &accounts::Account,
) -> Result<(Credential, bool), Outcome> {
    let unkept = account.unkept.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let credential = match unkept {
        Some(newest) => newest,
        None => opened(&office.seal, &account.rule.name, &account.base, row).unwrap_or_else(|| account.base.clone()),
    };
    if credential == Credential::default() {
        return Err(Outcome::TryLater {
            reason: Reason::Login,
            reply: "there is no login yet".to_owned(),
            not_before: None,
        });
    }
    match account.network.refresh(&credential, office.store.about_now()).await? {
        None => Ok((credential, false)),
        Some(new) => {
            keep(office, account, &new).await.map_err(|error| {
                tracing::error!(account = account.rule.name, %error, "a renewed login could not be kept");
                Outcome::NotAllowed
            })?;
            Ok((new, true))
        }
    }
}

/// A login that was refused is renewed before the next attempt, if it can be. Returns whether that is so.
pub(super) async fn expire(office: &Office, account: &Account, credential: &Credential) -> bool {
    if credential.refresh.is_none() {
        return false;
    }
    let over = Credential { expires_at: Some(UnixMillis(0)), ..credential.clone() };
    keep(office, account, &over).await.is_ok()
}

async fn keep(office: &Office, account: &Account, credential: &Credential) -> Result<(), StoreError> {
    let remember = |newest| *account.unkept.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    // Whatever happens to the store, this process goes on with it.
    remember(Some(credential.clone()));
    let draws = [office.chance.draw(), office.chance.draw()];
    let sealed = sealed(&office.seal, &account.rule.name, credential, draws)?;
    let (id, of, seal) = (account.endpoint_id, hash(&account.base), office.seal.name().to_owned());
    insist(office, move |tx| accounts::keep_login(tx, id, &sealed, &seal, &of)).await?;
    remember(None);
    Ok(())
}

/// A login as the store keeps it.
///
/// # Errors
/// When it can't be sealed.
pub fn sealed(seal: &Seal, name: &str, credential: &Credential, draws: [u64; 2]) -> Result<String, StoreError> {
    let text = serde_json::to_string(credential).map_err(|error| StoreError::Shape(error.to_string()))?;
    seal.close(&purpose(name), &text, draws).ok_or_else(|| StoreError::Shape("a login can't be sealed".to_owned()))
}

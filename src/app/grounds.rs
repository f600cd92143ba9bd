//! What every configuration stands on, and what a reload leaves as it is: time, chance, the open store and its lock.

use super::{Purpose, World, lock, new_token_key};
use crate::config::Config;
use crate::store::identity::{self, Cause};
use crate::store::{Location, Store, suppressions, token_keys};
use anyhow::Context as _;
use std::fs::File;
use std::sync::Arc;

/// What outlives a configuration. Clones share it.
#[derive(Clone)]
pub(super) struct Grounds {
    pub(super) world: World,
    pub(super) store: Store,
    /// Keeps other daemons off; held as long as anything stands here.
    _lock: Option<Arc<File>>,
}

impl Grounds {
    /// Opens the store, alone on it if it is an embedded one and this is a daemon.
    pub(super) async fn open(config: &Config, world: World, purpose: Purpose) -> anyhow::Result<Self> {
        let state_dir = &config.file.instance.state_dir;
        std::fs::create_dir_all(state_dir).with_context(|| format!("instance.state_dir {}", state_dir.display()))?;
        let embedded = matches!(config.store, Location::Sqlite(_));
        let lock = (purpose == Purpose::Daemon && embedded).then(|| lock::take(state_dir)).transpose()?;
        let (location, clock) = (config.store.clone(), world.clock.clone());
        let store = tokio::task::spawn_blocking(move || Store::open(&location, clock)).await?.context("store.url")?;
        refuse_unfinished(&store).await?;
        Ok(Self { world, store, _lock: lock.map(Arc::new) })
    }
}

/// A database that a move didn't fill to the end is of no use to anybody: rows are missing.
async fn refuse_unfinished(store: &Store) -> anyhow::Result<()> {
    let doubts = store.read(identity::doubts).await.context("store.url")?;
    let unfinished = doubts.into_iter().find(|doubt| doubt.cause == Cause::Unfinished);
    unfinished.map_or(Ok(()), |doubt| Err(anyhow::anyhow!("store.url: {}", doubt.reason)))
}

/// The first start makes the first key of tokens, and the one of address hashes; and what ids of feed entries are minted under, for
/// good.
pub(super) async fn ensure_facts(store: &Store, world: &World, authority: &str) -> anyhow::Result<()> {
    let (key, hashes, own) = (new_token_key(world), new_token_key(world).secret, authority.to_owned());
    let made = store.write(move |tx| {
        if token_keys::all(tx)?.is_empty() {
            token_keys::insert(tx, &key)?;
        }
        suppressions::ensure_key(tx, &hashes)?;
        identity::keep_authority(tx, &own)
    });
    let kept = made.await.context("the first keys")?;
    anyhow::ensure!(
        kept == authority,
        "site.tag_authority: this installation's feed entries were minted under `{kept}`; with another one every post would be new \
         to every feed reader: write `{kept}` again"
    );
    Ok(())
}

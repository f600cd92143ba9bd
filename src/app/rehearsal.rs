//! Trying a configuration before what runs is ended for it: every file that it names is read, and every part built that may
//! fail.

use super::{App, accounts, front, logo, outside, queue, quickstart, signing, ways};

/// Builds what the configuration asks for beside [`App`], and drops it again.
///
/// # Errors
/// The first that can't be built, in a sentence for the operator.
pub(super) fn rehearse(app: &App) -> anyhow::Result<()> {
    let config = &app.config;
    if let Some(queue) = queue(config) {
        queue.check()?;
    }
    ways(config, &app.world)?;
    signing::signers(config)?;
    outside::try_receipts(config)?;
    accounts::all(app, &outside::guard(app, true)?)?;
    front::inboxes(config)?;
    logo::theme(config)?;
    quickstart::pictures(config).map(drop)
}

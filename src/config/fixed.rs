//! What a running daemon can't change: it was opened, bound or promised at the start.

use super::Config;

/// Refuses a configuration that differs from the running one in what only a restart can change.
///
/// # Errors
/// The first such setting, with what to do.
pub fn fixed(running: &Config, new: &Config) -> anyhow::Result<()> {
    let (was, is) = (&running.file, &new.file);
    let address = |config: &Config| config.control_room.as_ref().map(|(address, _)| *address);
    let changed = [
        ("instance.name", was.instance.name != is.instance.name),
        ("instance.state_dir", was.instance.state_dir != is.instance.state_dir),
        ("instance.roles", running.roles != new.roles),
        ("store", running.store != new.store),
        ("web.listen", was.web.listen != is.web.listen),
        ("admin.listen", address(running) != address(new)),
    ];
    match changed.iter().find(|(_, changed)| *changed) {
        Some((key, _)) => anyhow::bail!(
            "{key}: a running daemon can't change this; set it back and reload, or restart the daemon to change it"
        ),
        None => Ok(()),
    }
}

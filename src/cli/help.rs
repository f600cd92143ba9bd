//! `allim completions` and `allim man`: what shells and `man` show, made from the command line itself.

use super::Arguments;
use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use std::path::Path;

/// Prints what a shell needs to complete our commands.
pub(super) fn completions(shell: Shell) -> anyhow::Result<()> {
    clap_complete::generate(shell, &mut Arguments::command(), "allim", &mut std::io::stdout());
    Ok(())
}

/// Writes `allim.1` and a page for each command into a folder.
pub(super) fn manual(folder: &Path) -> anyhow::Result<()> {
    let told = || format!("the manual pages can't be written into {}", folder.display());
    std::fs::create_dir_all(folder).with_context(told)?;
    clap_mangen::generate_to(Arguments::command(), folder).with_context(told)
}

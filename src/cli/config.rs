//! `allim config`: the configuration in effect, and the commented example.

use super::{Context, print};
use crate::config::show;

/// What is done with the configuration.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Prints the configuration in effect, with defaults and environment, without secrets.
    Show,
    /// Prints the commented example: every key, its meaning and its default.
    Example,
    /// Prints the JSON Schema of the configuration, by which editors complete and check `allim.toml`.
    Schema,
}

/// The commented example, which is the manual.
const EXAMPLE: &str = include_str!("../../config/allim.toml");

/// Prints the example; needs no configuration.
pub(super) fn example() -> anyhow::Result<()> {
    print::line(EXAMPLE.trim_end());
    Ok(())
}

/// Prints the schema; needs no configuration.
pub(super) fn schema() -> anyhow::Result<()> {
    print::json(&crate::config::schema())
}

pub(super) fn show(context: &Context) -> anyhow::Result<()> {
    if context.json {
        let text = show::redacted(&context.config.file)?;
        let value: toml::Table = text.parse()?;
        return print::json(&value);
    }
    print::line(show::redacted(&context.config.file)?.trim_end());
    Ok(())
}

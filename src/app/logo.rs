//! The pictures of the site's theme: read once, at the start.

use crate::config::Config;
use crate::render::logo::Logo;
use crate::render::theme::Theme;
use anyhow::Context as _;
use std::path::Path;

/// The theme with its pictures.
///
/// # Errors
/// When one can't be read or isn't a logo; names the key and the file.
pub fn theme(config: &Config) -> anyhow::Result<Theme> {
    let table = &config.file.site.theme;
    let read = |key: &'static str, path: &Path| {
        let path = config.base.join(path);
        let place = || format!("site.theme.{key}: {}", path.display());
        let bytes = std::fs::read(&path).with_context(place)?;
        Logo::read(bytes).with_context(place)
    };
    Ok(Theme {
        logo: table.logo.as_deref().map(|path| read("logo", path)).transpose()?,
        logo_dark: table.logo_dark.as_deref().map(|path| read("logo_dark", path)).transpose()?,
        ..config.theme.clone()
    })
}

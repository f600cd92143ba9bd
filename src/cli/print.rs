//! What commands print: results on standard output, as tables for people or as JSON for scripts.

use crate::domain::clock::UnixMillis;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::Write as _;

/// A line of a result.
pub(super) fn line(text: impl std::fmt::Display) {
    let written = writeln!(std::io::stdout().lock(), "{text}");
    if written.is_err_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe) {
        // Whoever reads has seen enough, as `head` does.
        std::process::exit(0);
    }
}

/// A result for scripts.
pub(super) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(serde_json::to_string_pretty(value)?);
    Ok(())
}

/// A rule under the header and nothing else: rows can be searched and cut by other programs.
const RULED: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Rows for people. An empty table is said to be empty.
pub(super) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
    let mut table = Table::new();
    table.load_style(RULED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.to_vec());
    for row in rows {
        table.add_row(row.into_iter().map(|cell| visible(&cell)).collect::<Vec<_>>());
    }
    if table.is_empty() {
        eprintln!("none");
    } else {
        line(table);
    }
}

/// The fields of one thing for people; empty ones are left out.
pub(super) fn fields(rows: &[(&str, String)]) {
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        line(format!("{name:width$}  {}", visible(value)));
    }
}

/// A bar for long work, on standard error and only on a terminal.
pub(super) fn progress(doing: &'static str, of: &str) -> ProgressBar {
    let template = format!("{{msg}} {{bar:40}} {{human_pos}}/{{human_len}} {of} {{per_sec}}");
    // The template is ours; one that can't be read falls back to the library's own.
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(doing)
}

/// An instant in the site's zone.
pub(super) fn at(instant: UnixMillis, zone: &jiff::tz::TimeZone) -> String {
    instant.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S%:z").to_string()
}

/// An instant that may be missing.
pub(super) fn at_opt(instant: Option<UnixMillis>, zone: &jiff::tz::TimeZone) -> String {
    instant.map(|instant| at(instant, zone)).unwrap_or_default()
}

/// Text from outside with its control characters made visible, so that no post can steer the operator's terminal.
pub(super) fn visible(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => c.to_string(),
        c if c.is_control() => c.escape_unicode().to_string(),
        c => c.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(visible("가\u{1b}[2J\n\u{9b}x"), "가\\u{1b}[2J\n\\u{9b}x");
    }
}

//! Sample posts for trying allim out: taken in once, at the first start on a state folder. Their dates are written
//! relative to that start, so that they are news whenever somebody tries.

use super::App;
use crate::config::Config;
use crate::config::file::Quickstart;
use crate::domain::clock::UnixMillis;
use crate::intake::accept::Verdict;
use crate::intake::post_file::{self, Kind};
use crate::plan::roster;
use crate::web::Sample;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

/// Remembers the first start, in the state folder.
const MEMORY: &str = "quickstart.json";
/// The folder of pictures beside the posts.
const PICTURES: &str = "pictures";
/// Posts in the folder at most: they are samples.
const POSTS_MAX: usize = 100;

/// What is remembered. The instant is written before anything is taken in: a start that was cut short is then repeated
/// with the same dates, hence the same posts, which the door knows already.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Memory {
    started_at: UnixMillis,
    is_done: bool,
}

/// Takes subscribers and posts in, unless that was done before.
///
/// # Errors
/// What can't be read or stored, with its place.
pub async fn load(app: &App, table: &Quickstart) -> anyhow::Result<()> {
    let memory_file = app.config.in_state(Path::new(MEMORY));
    let memory = match std::fs::read(&memory_file) {
        Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| memory_file.display().to_string())?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let memory = Memory { started_at: app.store.now().await?, is_done: false };
            remember(&memory_file, memory)?;
            memory
        }
        Err(error) => return Err(error).with_context(|| memory_file.display().to_string()),
    };
    if memory.is_done {
        return Ok(());
    }
    let readers = take_subscribers(app, &app.config.base.join(&table.subscribers)).await?;
    let posts = take_posts(app, table, memory.started_at).await?;
    remember(&memory_file, Memory { is_done: true, ..memory })?;
    tracing::info!(readers, posts, "the samples of the quickstart are taken in");
    Ok(())
}

/// Replaces the file as a whole, so that it is never half-written.
fn remember(file: &Path, memory: Memory) -> anyhow::Result<()> {
    let fresh = file.with_extension("tmp");
    let write = || {
        let mut out = std::fs::File::create(&fresh)?;
        out.write_all(&serde_json::to_vec(&memory)?)?;
        out.sync_all()?;
        std::fs::rename(&fresh, file)
    };
    let written: std::io::Result<()> = write();
    written.with_context(|| file.display().to_string())
}

/// Before the posts, since what was released before a subscription began isn't owed through it.
async fn take_subscribers(app: &App, file: &Path) -> anyhow::Result<usize> {
    let name = || file.display().to_string();
    let rows = roster::rows(&std::fs::read(file).with_context(name)?).with_context(name)?;
    let (mut wishes, rolls) = (Vec::new(), app.rolls());
    for (line, row) in rows {
        let wish = row.and_then(|row| rolls.check(&row));
        wishes.push(wish.with_context(|| format!("{}:{line}", name()))?);
    }
    Ok(rolls.write(&app.store, wishes, false).await?.len())
}

async fn take_posts(app: &App, table: &Quickstart, started_at: UnixMillis) -> anyhow::Result<usize> {
    let folder = app.config.base.join(&table.posts);
    let entries = std::fs::read_dir(&folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<_> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect();
    files.retain(|path| path.file_name().is_some_and(|name| Kind::of(name).is_some()));
    files.sort();
    anyhow::ensure!(files.len() <= POSTS_MAX, "{}: more than {POSTS_MAX} posts", folder.display());
    let mut messages = Vec::with_capacity(files.len());
    for file in &files {
        let name = || file.display().to_string();
        let mut message = post_file::read(file, &table.source).with_context(name)?;
        let text = String::from_utf8(message.bytes).with_context(name)?;
        message.bytes = filled(&text, &app.config, started_at).with_context(name)?.into_bytes();
        messages.push(message);
    }
    let receipts = app.intake.accept(messages).await?;
    for (file, receipt) in files.iter().zip(&receipts) {
        if let Verdict::Quarantined { reason, path, detail, .. } = &receipt.verdict {
            anyhow::bail!("{}: {reason} at {path}: {detail}", file.display());
        }
    }
    Ok(receipts.len())
}

/// The text with its marks filled in: `{{public_url}}`, `{{now-3h}}` (an instant) and `{{day+14d}}` (a day in the site's zone).
fn filled(text: &str, config: &Config, now: UnixMillis) -> anyhow::Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (mark, after) = after.split_once("}}").context("a mark isn't closed with `}}`")?;
        out.push_str(before);
        out.push_str(&value(mark.trim(), config, now)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn value(mark: &str, config: &Config, now: UnixMillis) -> anyhow::Result<String> {
    if mark == "public_url" {
        let own = || format!("http://{}", config.file.web.listen);
        return Ok(config.site.public_url.clone().unwrap_or_else(own));
    }
    let unknown = || format!("`{{{{{mark}}}}}` is no mark; write `public_url`, `now-3h` or `day+14d`");
    let (base, shift) = mark.split_at_checked(3).with_context(unknown)?;
    let at = shifted(now, shift).with_context(unknown)?.timestamp().to_zoned(config.zone.clone());
    match base {
        "now" => Ok(at.strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()),
        "day" => Ok(at.date().to_string()),
        _ => anyhow::bail!("{}", unknown()),
    }
}

/// An instant moved by `+14d`, `-3h`, `+1m`, `-20s`, or not at all.
fn shifted(now: UnixMillis, shift: &str) -> Option<UnixMillis> {
    if shift.is_empty() {
        return Some(now);
    }
    let (sign, span) = shift.split_at_checked(1)?;
    let (number, unit) = span.split_at_checked(span.len().checked_sub(1)?)?;
    let unit_s = match unit {
        "d" => 86_400,
        "h" => 3_600,
        "m" => 60,
        "s" => 1,
        _ => return None,
    };
    let span = Duration::from_secs(number.parse::<u64>().ok()?.checked_mul(unit_s)?);
    match sign {
        "+" => Some(now.plus(span)),
        "-" => Some(now.minus(span)),
        _ => None,
    }
}

/// The pictures that the samples show, by file name, for `/quickstart/{name}`. Empty without a `[quickstart]`.
///
/// # Errors
/// When a picture can't be read.
pub fn pictures(config: &Config) -> anyhow::Result<BTreeMap<String, Sample>> {
    let mut pictures = BTreeMap::new();
    let Some(table) = &config.file.quickstart else { return Ok(pictures) };
    let folder = config.base.join(&table.posts).join(PICTURES);
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let media_type = match path.extension().and_then(|ending| ending.to_str()) {
            Some("png") => "image/png",
            Some("jpg") => "image/jpeg",
            _ => continue,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?.into();
        pictures.insert(name, Sample { media_type, bytes });
    }
    Ok(pictures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config/quickstart.toml"));
        crate::config::load(path, std::iter::empty()).expect("the quickstart's configuration")
    }

    #[test]
    fn marks_become_dates_in_the_sites_zone() {
        let (config, now) = (config(), UnixMillis(1_776_816_000_000)); // 2026-04-22T00:00:00Z
        let filled = |text: &str| filled(text, &config, now).map_err(|error| error.to_string());
        assert_eq!(filled("a {{now}} b").as_deref(), Ok("a 2026-04-22T09:00:00+09:00 b"));
        assert_eq!(
            filled("{{now-30m}}|{{ now+10s }}").as_deref(),
            Ok("2026-04-22T08:30:00+09:00|2026-04-22T09:00:10+09:00")
        );
        assert_eq!(filled("{{day+14d}}T14:00").as_deref(), Ok("2026-05-06T14:00"));
        assert_eq!(filled("{{public_url}}/x").as_deref(), Ok("http://127.0.0.1:8025/x"));
        for wrong in ["{{now", "{{noon}}", "{{now*3h}}", "{{now+3}}", "{{now+가}}", "{{}}"] {
            assert!(filled(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_picture_of_the_samples_is_there() {
        let config = config();
        let pictures = pictures(&config).expect("readable");
        let folder = config.base.join("quickstart");
        let mut named = 0;
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            for rest in text.split("{{public_url}}/quickstart/").skip(1) {
                let name: String = rest.chars().take_while(|c| *c != '"').collect();
                assert!(pictures.contains_key(&name), "{}: {name}", path.display());
                named += 1;
            }
        }
        assert!(named >= 2 && pictures.len() >= 2);
    }
}

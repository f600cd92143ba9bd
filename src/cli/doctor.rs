//! `allim doctor`: `check`, and the state of what was promised, with a verdict in words.

use super::{check, print};
use crate::app::{self, Purpose, World, promises};
use crate::config::{Config, ConfigError};
use crate::domain::promise::{Promise, Said, State, worst};
use serde::Serialize;
use std::path::Path;

/// Its own text is for whoever runs the command line, which speaks English throughout.
const LANGUAGE: &str = "en";

#[derive(Serialize)]
struct Report {
    verdict: String,
    points: Vec<check::Finding>,
    promises: Vec<Standing>,
}

#[derive(Serialize)]
struct Standing {
    promise: &'static str,
    state: State,
    #[serde(flatten)]
    said: Said,
}

/// Looks at everything and says how it is. Fails unless all is well.
pub(super) async fn run(loaded: Result<Config, ConfigError>, path: &Path, json: bool) -> anyhow::Result<()> {
    let config = loaded.as_ref().ok().cloned();
    // First what is there as it is: building the app makes what is missing.
    let points = check::findings(loaded, path).await;
    let judged = match config {
        Some(config) => look(config).await,
        None => Err(anyhow::anyhow!("the configuration can't be read")),
    };
    let promises = judged.as_deref().unwrap_or_default();
    let verdict = verdict(&points, judged.as_ref().map(Vec::as_slice));
    let standing =
        promises.iter().map(|one| Standing { promise: one.kind.word(), state: one.state, said: one.say(LANGUAGE) });
    let report = Report { verdict: verdict.words, points, promises: standing.collect() };
    if json {
        print::json(&report)?;
    } else {
        check::show(&report.points);
        print::line("");
        let row = |one: &Standing| {
            let state = format!("{:?}", one.state).to_lowercase();
            vec![one.said.name.clone(), state, one.said.found.clone(), one.said.fix.clone()]
        };
        print::table(&["promise", "state", "found", "fix"], report.promises.iter().map(row));
        print::line(format!("\n{}", report.verdict));
    }
    anyhow::ensure!(verdict.is_well, "not everything is well");
    Ok(())
}

async fn look(config: Config) -> anyhow::Result<Vec<Promise>> {
    let app = app::build(config, World::system(), Purpose::Command).await?;
    Ok(promises::judged(&app).await?.1)
}

struct Verdict {
    words: String,
    is_well: bool,
}

fn verdict(points: &[check::Finding], judged: Result<&[Promise], &anyhow::Error>) -> Verdict {
    let failed: Vec<String> = points.iter().filter_map(check::Finding::failure).collect();
    let promises = match judged {
        Ok(promises) => promises,
        Err(error) => {
            let words = format!("broken: the promises can't be looked at, because {error:#}; {}", failed.join("; "));
            return Verdict { words, is_well: false };
        }
    };
    let unkept = promises.iter().filter(|one| one.state != State::Kept).map(|one| {
        let said = one.say(LANGUAGE);
        format!("{}; {}", said.found, said.fix)
    });
    let mut sentences: Vec<String> = unkept.collect();
    sentences.extend(failed.iter().cloned());
    if sentences.is_empty() {
        return Verdict { words: "All is well: everything that was promised is kept.".to_owned(), is_well: true };
    }
    let word = if !failed.is_empty() || worst(promises) == State::Broken { "broken" } else { "late" };
    Verdict { words: format!("{word}: {}", sentences.join("\n  ")), is_well: false }
}

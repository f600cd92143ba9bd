//! Alerts and panels: that they can be read, fire for what they are for, and name nothing that isn't there.
#![allow(missing_docs, reason = "a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const RULES: &str = include_str!("../../deploy/prometheus/allim.rules.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/allim.json");
const DOCUMENT: &str = include_str!("../../docs/alerts.md");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of metrics in a text.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.split(|c| !word(c)).filter(|name| name.starts_with("allim_")).map(str::to_owned).collect()
}

/// The names of metrics that the program makes, that is, the literals that its macros get.
fn made(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            made(&path, found);
        } else {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            for part in text.split("metrics::").skip(1) {
                let name = part.split('"').nth(1).unwrap_or_default();
                found.extend(name.starts_with("allim_").then(|| name.to_owned()));
            }
        }
    }
}

#[test]
fn rules_panels_and_the_document_name_only_metrics_that_are_made() {
    let mut known = BTreeSet::new();
    made(&root().join("src"), &mut known);
    for (file, text) in [("rules", RULES), ("dashboard", DASHBOARD), ("document", DOCUMENT)] {
        let unknown: Vec<_> = named(text).difference(&known).cloned().collect();
        assert!(named(text).len() > 5 && unknown.is_empty(), "the {file} names {unknown:?}");
    }
    serde_json::from_str::<serde_json::Value>(DASHBOARD).expect("the dashboard is JSON");
}

#[test]
fn every_alert_is_in_the_document() {
    let alerts: Vec<&str> = RULES.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 8);
    for alert in alerts {
        assert!(DOCUMENT.contains(&format!("\n## {alert}\n")), "{alert} isn't in docs/alerts.md");
        let link = format!("runbook: docs/alerts.md#{}", alert.to_lowercase());
        assert!(RULES.contains(&link), "{alert} has no {link}");
    }
}

/// `promtool` of Debian's package `prometheus`, which `tests/run.sh` installs; `PROMTOOL` names another.
fn promtool(arguments: &[&str]) {
    let tool = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let output = Command::new(&tool).args(arguments).current_dir(root()).output();
    let output = output.expect("promtool, of the package prometheus, is needed");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn the_rules_can_be_read() {
    promtool(&["check", "rules", "deploy/prometheus/allim.rules.yml"]);
}

#[test]
fn each_outage_fires_its_alert_and_no_other_and_ends_it() {
    promtool(&["test", "rules", "tests/promises/allim.rules.test.yml"]);
}

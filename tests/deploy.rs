//! What lies under `deploy/`, as far as it can be judged without the machines it is for.
#![allow(missing_docs, reason = "a test")]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn deploy(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(deploy(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// Debian has systemd; elsewhere there is nobody to ask.
#[test]
fn the_unit_exposes_next_to_nothing() {
    let asked = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=20", "--no-pager"])
        .arg(deploy("systemd/allim.service"))
        .output();
    let Ok(output) = asked else {
        assert!(std::env::var_os("ALLIM_TEST_REQUIRE_SERVICES").is_none(), "systemd-analyze is missing");
        return;
    };
    let out = String::from_utf8_lossy(&output.stdout);
    let level = out.lines().find(|line| line.contains("Overall exposure level")).unwrap_or_else(|| panic!("{out}"));
    let number: f64 =
        level.rsplit(": ").next().and_then(|rest| rest.split(' ').next()).expect("a number").parse().expect("a number");
    assert!(number < 2.0, "{level}");
    assert!(output.status.success(), "{out}");
}

/// The daemon's own attempts take up to 30 s at its end, and it says nothing to the watchdog meanwhile.
#[test]
fn the_unit_gives_the_daemon_time_to_end() {
    let unit = text("systemd/allim.service");
    let seconds = |key: &str| -> u64 {
        let line =
            unit.lines().find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap_or_else(|| panic!("{key}"));
        line.parse().expect("seconds")
    };
    assert!(seconds("TimeoutStopSec") > 75 && seconds("WatchdogSec") > 75);
    for line in ["Type=notify", "DynamicUser=yes", "StateDirectory=allim", "ExecReload=/bin/kill -HUP $MAINPID"] {
        assert!(unit.lines().any(|own| own == line), "{line}");
    }
}

#[test]
fn the_brokers_definitions_are_what_the_daemon_would_declare() {
    let definitions: Value = serde_json::from_str(&text("rabbitmq/definitions.json")).expect("JSON");
    let config = container();
    let settings = allim::app::queue(&config).expect("a queue is configured");
    let find = |kind: &str, name: &str| {
        let all = definitions[kind].as_array().expect("a list");
        all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("{kind} {name}")).clone()
    };
    let (queue, dead) = (find("queues", &settings.queue), find("queues", &settings.dead()));
    let exchange = find("exchanges", &settings.dead());
    let arguments = serde_json::json!({
        "x-queue-type": "quorum", "x-delivery-limit": settings.delivery_limit, "x-dead-letter-exchange": settings.dead(),
    });
    assert_eq!(queue["arguments"], arguments);
    assert_eq!(dead["arguments"], serde_json::json!({ "x-queue-type": "quorum" }));
    assert_eq!((&exchange["type"], &exchange["durable"]), (&"fanout".into(), &true.into()));
    let binding = &definitions["bindings"][0];
    assert_eq!((&binding["source"], &binding["destination"]), (&exchange["name"], &dead["name"]));
    assert!(definitions.get("users").is_none(), "no password lies in the repository");
}

fn container() -> allim::config::Config {
    allim::config::load(&deploy("container/allim.toml"), std::iter::empty()).expect("it can be")
}

#[test]
fn the_containers_configuration_can_be_and_the_proxies_ask_what_is_there() {
    assert!(container().file.web.listen.ends_with(":8025"));
    assert!(text("proxy/Caddyfile").contains("health_uri /readyz"));
    assert!(text("container/compose.yaml").contains("read_only: true"));
    let containerfile = text("container/Containerfile");
    assert!(containerfile.contains("USER 65532:65532"), "not root");
    assert!(containerfile.contains("--release --locked"));
}

/// The manifests as JSON: `python3-yaml` reads them.
fn manifests() -> Vec<Value> {
    let read = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let file = deploy("kubernetes/allim.yaml");
    let output = Command::new("/usr/bin/python3").args(["-c", read]).arg(file).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn the_manifests_fit_each_other_and_the_daemon() {
    let all = manifests();
    let of = |kind: &str| all.iter().find(|one| one["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("allim.toml");
    std::fs::write(&file, of("ConfigMap")["data"]["allim.toml"].as_str().expect("a text")).expect("written");
    let config = allim::config::load(&file, std::iter::empty()).expect("it can be");
    let pod = &of("StatefulSet")["spec"]["template"];
    let container = &pod["spec"]["containers"][0];
    let port = container["ports"][0]["containerPort"].as_u64().expect("a port");
    assert!(config.file.web.listen.ends_with(&format!(":{port}")));
    for (probe, path) in [("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
        assert_eq!(container[probe]["httpGet"]["path"], path);
    }
    let labels = &pod["metadata"]["labels"];
    for (kind, at) in [
        ("StatefulSet", "/spec/selector/matchLabels"),
        ("Service", "/spec/selector"),
        ("PodDisruptionBudget", "/spec/selector/matchLabels"),
        ("NetworkPolicy", "/spec/podSelector/matchLabels"),
    ] {
        assert_eq!(of(kind).pointer(at), Some(labels), "{kind}");
    }
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(pod["spec"]["securityContext"]["runAsNonRoot"], true);
    // What the configuration reads from files is mounted where it looks.
    let mounts = container["volumeMounts"].as_array().expect("mounts");
    for folder in ["/etc/allim", "/run/secrets/allim", "/var/lib/allim"] {
        assert!(mounts.iter().any(|mount| mount["mountPath"] == folder), "{folder}");
    }
}

//! What editors, shells and `man` are given: the schema of the configuration, completions, manual pages.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use support::{Setting, server};

/// Says `fits` or what is wrong of each configuration that comes in, one JSON string a line.
const JUDGE: &str = "
import json, sys, tomllib, jsonschema_rs
schema, *texts = [json.loads(line) for line in sys.stdin]
judge = jsonschema_rs.validator_for(schema)
for text in texts:
    errors = list(judge.iter_errors(tomllib.loads(text)))
    print(json.dumps([str(error.message) for error in errors]))
";

/// What a validator that isn't ours says of configurations, by our schema.
fn judged(tools: &str, schema: &str, texts: &[String]) -> Vec<Vec<String>> {
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", Path::new(tools).join("schemathesis")).args(["-c", JUDGE]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python");
    let schema: serde_json::Value = serde_json::from_str(schema).expect("JSON");
    let mut lines = format!("{schema}\n");
    for text in texts {
        lines.push_str(&format!("{}\n", serde_json::json!(text)));
    }
    child.stdin.take().expect("piped").write_all(lines.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The example with every key that may be left out put in.
fn whole(example: &str) -> String {
    let put_in = |line: &str| match line.strip_prefix('#') {
        Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key.to_owned(),
        _ => line.to_owned(),
    };
    example.lines().map(put_in).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_schema_takes_what_the_program_takes_and_refuses_what_it_refuses() {
    let Some(tools) = server("ALLIM_TEST_TOOLS") else { return };
    let setting = Setting::new();
    let schema = setting.run(&["config", "schema"]);
    let example = setting.run(&["config", "example"]);
    let quickstart = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/quickstart.toml"));
    let good = [example.clone(), whole(&example), quickstart.expect("there")];
    for (text, errors) in good.iter().zip(judged(&tools, &schema, &good)) {
        assert!(errors.is_empty(), "{errors:?} in: {text}");
    }
    let spoilt = |from: &str, to: &str| {
        let text = whole(&example);
        assert!(text.contains(from), "the example has no `{from}` any more");
        text.replacen(from, to, 1)
    };
    let bad = [
        (spoilt("[web]\n", "[web]\nlistne = \"127.0.0.1:1\"\n"), "listne"),
        (spoilt("grace = \"", "grace = \"soon "), "soon"),
        (spoilt("[people]\n", "[people]\nconsent_kept = 5\n").replacen("\nconsent_kept = \"", "\n# \"", 1), "5"),
        (spoilt("tls = \"", "tls = \"perhaps-"), "perhaps-"),
    ];
    let texts: Vec<String> = bad.iter().map(|(text, _)| text.clone()).collect();
    for ((_, word), errors) in bad.iter().zip(judged(&tools, &schema, &texts)) {
        assert!(errors.len() == 1 && errors[0].contains(word), "`{word}`: {errors:?}");
    }
}

#[test]
fn the_schema_tells_what_each_key_is() {
    let schema: serde_json::Value = serde_json::from_str(&Setting::new().run(&["config", "schema"])).expect("JSON");
    let tables = schema["$defs"].as_object().expect("tables").values().chain([&schema]);
    let mut keys = 0;
    for table in tables {
        for (name, key) in table["properties"].as_object().into_iter().flatten() {
            assert!(key["description"].as_str().is_some_and(|text| text.len() > 3), "`{name}` is not explained");
            keys += 1;
        }
    }
    assert!(keys > 150, "only {keys} keys were looked at");
}

#[test]
fn shells_complete_every_command_and_man_explains_it() {
    let setting = Setting::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = setting.run(&["completions", shell]);
        assert!(["doctor", "quarantine", "completions"].iter().all(|word| script.contains(word)), "{shell}: {script}");
    }
    // Bash reads it, and offers what begins like what was typed.
    let script = setting.path().join("completions");
    std::fs::write(&script, setting.run(&["completions", "bash"])).expect("written");
    let ask = format!(
        "source {} && COMP_WORDS=(allim quar) COMP_CWORD=1 && _allim allim quar allim; echo \"${{COMPREPLY[@]}}\"",
        script.display()
    );
    let output = Command::new("bash").args(["-c", &ask]).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "quarantine");
    let folder = setting.path().join("man");
    setting.run(&["man", folder.to_str().expect("a path")]);
    let page = std::fs::read_to_string(folder.join("allim-partner-rotate.1")).expect("a page of a command below");
    assert!(page.starts_with(".ie") && page.contains("rotate"), "{page}");
    assert!(std::fs::read_to_string(folder.join("allim.1")).expect("the first page").contains("doctor"));
}

//! The HTTP interface against its own OpenAPI document, as schemathesis makes up requests from it: no answer that the document
//! doesn't tell, none that says we failed, and no route that is open without its token.
#![allow(missing_docs, reason = "a test")]

mod support;

use std::path::Path;
use std::process::Command;
use support::{Setting, TOKEN, server};

/// What is asked of each operation at most: a small version; `ALLIM_CONTRACT_EXAMPLES` asks for more.
const EXAMPLES: &str = "3";

/// Runs schemathesis with a token, and returns what it says when it isn't content.
fn faults(tools: &str, setting: &Setting, token: &str, phases: &str) -> Option<String> {
    let examples = std::env::var("ALLIM_CONTRACT_EXAMPLES").unwrap_or_else(|_| EXAMPLES.to_owned());
    let mut command = Command::new("/usr/bin/python3");
    command.env("PYTHONPATH", Path::new(tools).join("schemathesis"));
    command.env("SCHEMATHESIS_HOOKS", Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contract.py"));
    command.env("NO_COLOR", "1").current_dir(setting.path());
    command.args(["-m", "schemathesis.cli", "run", &setting.url("/api/openapi.json"), "--url", &setting.url("")]);
    command.args(["-H", &format!("Authorization: Bearer {token}"), "--max-examples", &examples, "--seed", "7"]);
    let checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                  response_schema_conformance,ignored_auth";
    command.args(["--phases", phases, "--checks", checks, "--request-timeout", "20"]);
    let output = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Test cases:"), "schemathesis did not come to its end: {said}");
    (!output.status.success()).then_some(said)
}

#[test]
fn the_interface_keeps_its_word_to_whoever_asks() {
    let Some(tools) = server("ALLIM_TEST_TOOLS") else { return };
    let mut setting = Setting::new();
    let token = |name: &str, lines: &str| {
        let hash = allim::domain::ids::content_hash(name.as_bytes());
        format!("[[intake.token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\nsource = \"cms\"\n{lines}\n")
    };
    setting.extra.push('\n');
    setting.extra.push_str(&token("operator", "partners = true"));
    setting.extra.push_str(&token("relay", "inbound = true"));
    let _daemon = setting.start();
    let partner = setting.run(&["--json", "partner", "add", "academy", "--url", "https://partner.example.org/hook"]);
    let partner: serde_json::Value = serde_json::from_str(&partner).expect("JSON");
    let partner = partner["token"].as_str().expect("a token").to_owned();
    // Every limit of every field once with each kind of token that opens much; the others are for what is closed to them.
    let (whole, short) = ("examples,coverage,fuzzing", "examples,fuzzing");
    for (token, phases) in
        [("operator", whole), (&*partner, whole), (TOKEN, short), ("relay", short), ("nobody", short)]
    {
        if let Some(said) = faults(&tools, &setting, token, phases) {
            panic!("with the token of {token}: {said}");
        }
    }
}

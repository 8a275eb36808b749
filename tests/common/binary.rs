//! Running the real binary, for the tests of the command line.
#![allow(dead_code, reason = "each test file uses its share")]

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The binary with these arguments, away from the caller's settings.
pub fn gale(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gale"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("GALE_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

pub fn run(arguments: &[&str]) -> Output {
    gale(arguments).output().expect("the binary starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("output is UTF-8")
}

/// A run that must succeed; its stdout.
pub fn ok(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", stderr(&output));
    stdout(&output)
}

/// A run that must fail with `code`; its stderr.
pub fn fails(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", stderr(&output));
    assert_eq!(stdout(&output), "", "nothing goes to stdout when a command fails at once");
    stderr(&output)
}

pub fn json(text: &str) -> Value {
    assert_eq!(text.lines().count(), 1, "one line of JSON: {text}");
    serde_json::from_str(text).expect("stdout is JSON")
}

pub fn path(path: &Path) -> &str {
    path.to_str().expect("test folders have plain names")
}

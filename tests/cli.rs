//! The command line as its users meet it: the real binary, its output, its exit codes.
//!
//! These tests need no server; those of a whole market are in `tests/demo.rs`.

use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "common/binary.rs"]
mod binary;

use binary::{fails, json, ok, path, run, stderr, stdout};

const COMMANDS: [&str; 17] = [
    "serve",
    "demo",
    "generate",
    "import",
    "clear",
    "watch",
    "explain",
    "indicators",
    "guidance",
    "scenario",
    "china",
    "export",
    "verify",
    "solve",
    "bench",
    "reproduce",
    "calibrate",
];

/// An address where nobody listens: port 1 is reserved and needs privileges.
const NOBODY: &str = "http://127.0.0.1:1";

/// Goal: a stranger finds every command, an example of it, and what exit codes mean.
#[test]
fn help_is_complete() {
    let help = ok(&["--help"]);
    assert!(help.contains("Exit codes:"), "{help}");
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
        let help = ok(&[command, "--help"]);
        assert!(help.contains("Example:\n  gale "), "{command} has no example: {help}");
    }
}

/// Goal: wrong usage is exit code 2 and says what to write instead.
#[test]
fn wrong_usage_is_code_2() {
    fails(&[], 2);
    fails(&["frobnicate"], 2);
    fails(&["generate"], 2);
    assert!(fails(&["generate", "--out", "/nowhere", "--metros", "394"], 2).contains("1..393"));
    assert!(fails(&["generate", "--out", "/nowhere", "--scale", "2"], 2).contains("decimal"));
    assert!(fails(&["watch", "--from", "yesterday"], 2).contains("REVISION[:INDEX]"));
    assert!(fails(&["watch", "--kinds", "matched,sacked"], 2).contains("sacked"));
    let refusal = fails(&["serve", "--listen", "0.0.0.0:0", "--admin", "127.0.0.1:0"], 2);
    assert!(refusal.contains("--allow-anonymous"), "{refusal}");
}

/// Goal: a server that is not there is exit code 3, with the address and a hint.
#[test]
fn an_unreachable_server_is_code_3() {
    for command in [&["clear"][..], &["verify"], &["watch"], &["explain", "w"]] {
        let error = fails(&[command, &["--server", NOBODY]].concat(), 3);
        assert!(error.contains(NOBODY) && error.contains("gale serve"), "{error}");
    }
    let error = fails(&["export", "--out", "/nowhere", "--admin", NOBODY], 3);
    assert!(error.contains(NOBODY) && error.contains("--admin"), "{error}");
}

/// Goal: a plan gives the same files byte for byte, and another seed gives others.
#[test]
fn generated_files_are_reproducible() {
    let folder = tempfile::tempdir().unwrap();
    let generate = |name: &str, seed: &str| -> (PathBuf, Value) {
        let out = folder.path().join(name);
        let plan = ["--metros", "3", "--scale", "0.001", "--seed", seed, "--json"];
        let report = ok(&[&["generate", "--out", path(&out)][..], &plan].concat());
        (out, json(&report))
    };
    let (first, report) = generate("first", "7");
    let (second, _) = generate("second", "7");
    let (other, _) = generate("other", "8");
    for file in ["market.json", "regions.jsonl", "cities.jsonl", "workers.jsonl", "vacancies.jsonl"]
    {
        let read = |directory: &Path| fs::read(directory.join(file)).unwrap();
        assert_eq!(read(&first), read(&second), "{file}");
    }
    let workers = |directory: &Path| fs::read_to_string(directory.join("workers.jsonl")).unwrap();
    assert_ne!(workers(&first), workers(&other));
    assert_eq!(workers(&first).lines().count() as u64, report["workers"].as_u64().unwrap());
    assert_eq!(report["cities"], 3);
    assert!(workers(&first).lines().all(|line| line.contains(r#""generated":"true""#)));
}

/// Goal: directories that are not markets are told apart from markets, with the file
/// and the line.
#[test]
fn unreadable_markets_are_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let directory = path(folder.path());
    assert!(fails(&["import", directory], 1).contains("market.json"));
    fs::write(folder.path().join("market.json"), r#"{"id":"m"}"#).unwrap();
    fs::write(folder.path().join("cities.jsonl"), "{\"id\":\"a\"}\n\n{\"idd\":\"b\"}\n").unwrap();
    let error = fails(&["import", directory], 1);
    assert!(error.contains("cities.jsonl:3: unknown field `idd`"), "{error}");
}

/// Goal: every published case gets its source's answer from `gale solve`.
#[test]
fn published_cases_are_solved() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases");
    let mut solved = 0;
    for name in ["gale_shapley_1962", "textbook_oyamad_jl", "daffidwilde_matching"] {
        let file = folder.join(format!("{name}.json"));
        solved += check(&file, &[], "worker_optimal");
        solved += check(&file, &["--side", "worker"], "worker_optimal");
        solved += check(&file, &["--side", "vacancy"], "vacancy_optimal");
    }
    let file = folder.join("regional_caps_kamada_kojima.json");
    solved += check(&file, &[], "plain_da");
    solved += check(&file, &["--caps", "targets"], "flexible_da");
    assert_eq!(solved, 3 * 12 + 2, "some cases are missing");
    let refusal = fails(&["solve", path(&file), "--caps", "targets", "--side", "vacancy"], 2);
    assert!(refusal.contains("TARGETS"), "{refusal}");
}

/// Solves a file and compares each case's matching with its member `answer`.
fn check(file: &Path, options: &[&str], answer: &str) -> usize {
    let cases: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let answers: HashMap<_, _> = cases["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["id"].as_str().unwrap(), &case[answer]))
        .collect();
    let solutions = json(&ok(&[&["solve", path(file)], options].concat()));
    let solutions = solutions["cases"].as_array().unwrap();
    for solution in solutions {
        let expected = answers[solution["id"].as_str().unwrap()];
        assert_eq!(&solution["matching"], expected, "{} {options:?}", solution["id"]);
    }
    assert_eq!(solutions.len(), answers.len());
    solutions.len()
}

/// Writes the golden market of the preference model as a directory; its file.
fn golden(directory: &Path) -> Value {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/cases/preferences_golden.json");
    let golden: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    fs::write(directory.join("market.json"), golden["market"].to_string()).unwrap();
    for name in ["cities", "move_costs", "workers", "vacancies"] {
        let records = golden[name].as_array().unwrap();
        let lines: String = records.iter().map(|record| format!("{record}\n")).collect();
        fs::write(directory.join(format!("{name}.jsonl")), lines).unwrap();
    }
    golden
}

/// Goal: a market directory is cleared offline, exactly as the preference model was
/// worked by hand, workers in the file's order, for either side.
#[test]
fn the_golden_market_is_solved() {
    let folder = tempfile::tempdir().unwrap();
    let golden = golden(folder.path());
    for (side, answer) in [("worker", "worker_optimal"), ("vacancy", "vacancy_optimal")] {
        let rows = ok(&["solve", path(folder.path()), "--side", side]);
        let rows: Vec<Value> =
            rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let workers = golden["workers"].as_array().unwrap();
        assert_eq!(rows.len(), workers.len());
        for (row, worker) in rows.iter().zip(workers) {
            assert_eq!(row["worker_id"], worker["id"]);
            let id = worker["id"].as_str().unwrap();
            assert_eq!(row["vacancy_id"], golden[answer][id], "{side} {id}");
        }
    }
}

/// Goal: half a market is not solved: the first record that is wrong is named.
#[test]
fn a_wrong_record_is_not_solved_around() {
    let folder = tempfile::tempdir().unwrap();
    golden(folder.path());
    let file = folder.path().join("workers.jsonl");
    let good = fs::read_to_string(&file).unwrap();
    let lines = good.lines().count();
    let worker = |id: char, rest: &str| {
        format!(r#"{{"id":"c0000000-0000-4000-8000-00000000000{id}","expectedSalary":1,{rest}}}"#)
    };
    for (line, complaint) in [
        (worker('1', r#""homeCity":"atlantis""#), "atlantis"),
        (worker('1', r#""homeCity":"nyc","skills":[{"skill":"a","level":101}]"#), "level"),
        (worker('x', r#""homeCity":"nyc""#), "UUID"),
        ("{".to_owned(), "column"),
    ] {
        fs::write(&file, format!("{good}\n{line}\n")).unwrap();
        let error = fails(&["solve", path(folder.path())], 1);
        let place = format!("workers.jsonl:{}: ", lines + 2);
        assert!(error.contains(&place) && error.contains(complaint), "{error}");
    }
}

/// Goal: cases that make no sense are refused with the place, and nothing panics.
#[test]
fn nonsensical_cases_are_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cases.json");
    for (case, complaint) in [
        (r#""workers":[[1]],"vacancies":[[0]],"capacities":[1]"#, "workers[0] names 1"),
        (r#""workers":[[0,0]],"vacancies":[[0]],"capacities":[1]"#, "twice"),
        (r#""workers":[[0]],"vacancies":[[0]],"capacities":[]"#, "capacities has 0 entries"),
        (r#""workers":[[0]],"vacancies":[[0]],"capacities":[1000001]"#, "over 1000000"),
        (
            r#""workers":[[0]],"vacancies":[[0]],"capacities":[1],"region_of_vacancy":[0]"#,
            "regional_caps",
        ),
    ] {
        fs::write(&file, format!(r#"{{"cases":[{{"id":"bad",{case}}}]}}"#)).unwrap();
        let error = fails(&["solve", path(&file)], 1);
        assert!(error.contains("case bad: ") && error.contains(complaint), "{error}");
    }
    fs::write(&file, "{").unwrap();
    assert!(fails(&["solve", path(&file)], 1).contains("cases.json:1: "));
    assert!(fails(&["solve", "/nowhere/cases.json"], 1).contains("/nowhere/cases.json"));
}

/// Goal: colours and progress never get into a pipe.
#[test]
fn pipes_get_plain_text() {
    let folder = tempfile::tempdir().unwrap();
    let output =
        run(&["generate", "--out", path(folder.path()), "--metros", "2", "--scale", "0.001"]);
    assert_eq!(stderr(&output), "", "no progress where stderr is not a terminal");
    assert!(!stdout(&output).contains('\x1b'), "no colours");
    let widths: Vec<_> =
        stdout(&output).lines().filter(|line| line.starts_with(['|', '+'])).map(str::len).collect();
    assert!(widths.len() > 4 && widths.iter().all(|width| *width == widths[0]), "{widths:?}");
}

/// Goal: the founders' case runs without a server, in words and as JSON, and says of wages
/// that they are no data; what it says is in `docs/CHINA.md`, to the last digit.
#[test]
fn the_founders_case_is_printed() {
    let text = ok(&["china"]);
    assert!(text.contains("wages are modelled, not data"), "{text}");
    let document = include_str!("../docs/CHINA.md");
    for line in text.lines().filter(|line| line.starts_with('|')) {
        assert!(document.contains(line), "docs/CHINA.md lacks: {line}");
    }
    let found = json(&ok(&["china", "--json", "--wage-elasticity", "0.19"]));
    assert_eq!(found["wages"], "modelled");
    assert_eq!(found["comparison"]["cities"].as_array().map(Vec::len), Some(356));
    assert!(found["comparison"]["correlation"].is_f64());
    assert!(fails(&["china", "--wage-elasticity", "2"], 2).contains("from 0 to 1"));
    assert!(fails(&["generate", "--out", "/nowhere", "--country", "fr"], 2).contains("us or cn"));
}

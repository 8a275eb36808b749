//! `gale scenario parameters`: the parameters of the feedback, with their sources.

use crate::cli::error::Error;
use crate::cli::output::{Column, Output, Table};
use crate::grpc::parameters_in_full;
use crate::planning::scenario::Parameters;

/// Prints the parameters with their ranges and sources; with --json a file to change.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
What is marked * is an assumption and no published estimate: vary it.

Example:
  gale scenario parameters --json > parameters.json
  gale scenario run policy.json --parameters parameters.json")]
pub struct Args {}

/// Prints them.
pub fn run(_: &Args, output: Output) -> Result<(), Error> {
    if output.json {
        return output.json(&parameters_in_full(&Parameters::default()));
    }
    let mut table = Table::new(&[
        Column::Text("parameter"),
        Column::Number("default"),
        Column::Number("range"),
        Column::Text("source"),
    ]);
    for entry in Parameters::TABLE {
        let mark = if entry.is_assumed() { " *" } else { "" };
        table.row([
            format!("{}{mark}", entry.name),
            entry.default.to_string(),
            format!("{}..{}", entry.low, entry.high),
            folded(entry.source),
        ]);
    }
    output.line(table)?;
    output.line("* an assumption, not a published estimate: vary it. Rates are per period.")
}

/// Columns that a source takes before it goes on in the next line.
const SOURCE_COLUMNS: usize = 46;

/// A text in lines of at most [`SOURCE_COLUMNS`], broken between words.
fn folded(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= SOURCE_COLUMNS => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join("\n")
}

//! How commands speak: lines and tables on stdout, one line of JSON with `--json`,
//! progress on stderr and only to a terminal, colour only where it is wanted.

use super::error::Error;
use comfy_table::{CellAlignment, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// Where a command writes and how.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether stdout gets JSON in place of text.
    pub json: bool,
    colour: bool,
}

impl Output {
    /// Output for this process's stdout. Colour needs a terminal and no `NO_COLOR`.
    pub fn new(json: bool) -> Self {
        Self { json, colour: !json && wants_colour(&io::stdout()) }
    }

    /// Writes one line to stdout.
    pub fn line(&self, text: impl Display) -> Result<(), Error> {
        write(|stdout| writeln!(stdout, "{text}"))
    }

    /// Writes one line of JSON to stdout.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(value)
            .map_err(|error| Error::Failed(format!("cannot write JSON: {error}")))?;
        self.line(text)
    }

    /// A heading.
    pub fn heading(&self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Good news.
    pub fn good(&self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Bad news.
    pub fn bad(&self, text: &str) -> String {
        self.paint("31", text)
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Whether a stream shows colours: a terminal, and `NO_COLOR` (no-color.org) unset or empty.
pub fn wants_colour(stream: &impl IsTerminal) -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
    stream.is_terminal() && !refused && !dumb
}

/// Writes to stdout. A reader who has left (`| head`) is not an error of ours.
pub fn write(
    body: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'static>>) -> io::Result<()>,
) -> Result<(), Error> {
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let result = body(&mut stdout).and_then(|()| stdout.flush());
    result.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => {
            // What is left in the buffer would be written again, and fail again, on drop.
            let _ = stdout.into_parts();
            Error::OutputClosed
        }
        _ => Error::File { path: "stdout".into(), source: error },
    })
}

/// How a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Words.
    Text(&'static str),
    /// Numbers, aligned right.
    Number(&'static str),
}

/// A table with plain borders whose numbers align.
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with these columns.
    pub fn new(columns: &[Column]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_FULL_CONDENSED);
        table.set_header(columns.iter().map(|column| match column {
            Column::Text(name) | Column::Number(name) => *name,
        }));
        for (index, column) in columns.iter().enumerate() {
            if let (Column::Number(_), Some(column)) = (column, table.column_mut(index)) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self(table)
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.add_row(cells.into_iter().collect::<Vec<_>>());
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A whole number with thousands separators: `-1,234,567`.
pub fn thousands(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `part` of `whole` as a percentage with one decimal; a dash of nothing.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    format!("{:.1}%", 100.0 * part as f64 / whole as f64)
}

/// One thing or several: `1 item`, `2,000 items`.
pub fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", thousands(number))
}

/// A bar for `total` units of work, on stderr; invisible where stderr is no terminal.
pub fn bar(label: &str, total: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:<24} [{bar:32}] {human_pos}/{human_len} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
    ProgressBar::new(total).with_style(style).with_message(label.to_owned())
}

/// A spinner for work of unknown length, on stderr; invisible where stderr is no terminal.
pub fn spinner(label: &str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(label.to_owned());
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: numbers are grouped from the right, signs and small ones included.
    #[test]
    fn numbers_are_grouped() {
        let cases =
            [(0, "0"), (999, "999"), (1_000, "1,000"), (-1_234_567, "-1,234,567"), (-12, "-12")];
        for (number, text) in cases {
            assert_eq!(thousands(number), text);
        }
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!((percent(1, 3).as_str(), percent(0, 0).as_str()), ("33.3%", "-"));
        assert_eq!(
            (count(1, "item"), count(2_000, "item")),
            ("1 item".into(), "2,000 items".into())
        );
    }

    /// Goal: columns of numbers align at their right, and all lines are equally long.
    #[test]
    fn tables_align() {
        let mut table = Table::new(&[Column::Text("city"), Column::Number("workers")]);
        table.row(["Austin".to_owned(), thousands(7)]);
        table.row(["New York".to_owned(), thousands(12_345)]);
        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines.contains(&"| Austin   |       7 |"), "{text}");
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
    }
}

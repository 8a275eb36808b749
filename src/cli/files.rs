//! Market directories: `market.json` and files of one proto3 JSON message a line.
//!
//! Reading takes what people write by hand: field names in lowerCamelCase or
//! snake_case, enum values with or without their prefix (`LISTED`,
//! `SCOPE_LISTED`), blank lines. Writing is canonical: the same records give the
//! same bytes.

use super::error::Error;
use crate::proto::v1::{City, Market, MoveCost, Region, Vacancy, Worker};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// The market's own file.
pub const MARKET_FILE: &str = "market.json";

/// Enum fields by both of their names, with the prefix of their values.
const ENUM_FIELDS: [(&str, &str); 7] = [
    ("proposingSide", "PROPOSING_SIDE_"),
    ("proposing_side", "PROPOSING_SIDE_"),
    ("capOrder", "CAP_ORDER_"),
    ("cap_order", "CAP_ORDER_"),
    ("confirmations", "CONFIRMATIONS_"),
    ("mode", "MODE_"),
    ("scope", "SCOPE_"),
];

/// A message with a file of its own in a market directory.
pub trait Record: DeserializeOwned + Serialize + Send + 'static {
    /// The file's name.
    const FILE: &'static str;
}

impl Record for Region {
    const FILE: &'static str = "regions.jsonl";
}

impl Record for City {
    const FILE: &'static str = "cities.jsonl";
}

impl Record for MoveCost {
    const FILE: &'static str = "move_costs.jsonl";
}

impl Record for Worker {
    const FILE: &'static str = "workers.jsonl";
}

impl Record for Vacancy {
    const FILE: &'static str = "vacancies.jsonl";
}

/// One record of a file.
#[derive(Debug)]
pub struct Line<T> {
    /// Its line, from 1.
    pub number: u64,
    /// The record, or why the line is not one.
    pub record: Result<T, String>,
}

/// The records of one file, or of a generator: how many lines, and the lines.
pub struct Records<T> {
    /// How many there are, bad ones included.
    pub total: u64,
    /// The records in order. An error means that the file cannot be read any further.
    pub lines: Box<dyn Iterator<Item = Result<Line<T>, Error>> + Send>,
}

impl<T: Record> Records<T> {
    /// Records that are in memory, numbered from 1.
    pub fn of(records: impl ExactSizeIterator<Item = T> + Send + 'static) -> Self {
        let total = records.len() as u64;
        let line = |(index, record)| Ok(Line { number: index as u64 + 1, record: Ok(record) });
        Self { total, lines: Box::new(records.enumerate().map(line)) }
    }

    /// All records, with their lines; the first bad line is an error of `file`.
    pub fn all(self, file: &Path) -> Result<Vec<(u64, T)>, Error> {
        let mut all = Vec::new();
        for line in self.lines {
            let Line { number, record } = line?;
            let record = record.map_err(|message| Error::Content {
                path: file.to_owned(),
                line: number,
                message,
            })?;
            all.push((number, record));
        }
        Ok(all)
    }
}

/// A market directory.
#[derive(Clone, Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// The directory at `path`, which need not exist.
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// A file in it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Reads `market.json`.
    pub fn market(&self) -> Result<Market, Error> {
        let path = self.path(MARKET_FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::file(&path))?;
        parse(&text).map_err(|message| Error::Content { path, line: 1, message })
    }

    /// Opens the file of one kind of record; a missing file has no records.
    pub fn records<T: Record>(&self) -> Result<Records<T>, Error> {
        let path = self.path(T::FILE);
        if !path.exists() {
            return Ok(Records { total: 0, lines: Box::new(std::iter::empty()) });
        }
        let total = count_lines(&path)?;
        let file = File::open(&path).map_err(Error::file(&path))?;
        let lines = Lines { path, reader: BufReader::with_capacity(1 << 16, file), number: 0 };
        Ok(Records { total, lines: Box::new(lines.map(|line| line.map(parse_line))) })
    }

    /// Creates the directory if need be and writes `market.json`.
    pub fn write_market(&self, market: &Market) -> Result<(), Error> {
        std::fs::create_dir_all(&self.0).map_err(Error::file(&self.0))?;
        let path = self.path(MARKET_FILE);
        let text = serde_json::to_string_pretty(market).map_err(|error| not_json(&path, &error))?;
        std::fs::write(&path, text + "\n").map_err(Error::file(&path))
    }

    /// Starts the file of one kind of record; an older one is replaced.
    pub fn create<T: Record>(&self) -> Result<RecordWriter<T>, Error> {
        let path = self.path(T::FILE);
        let file = File::create(&path).map_err(Error::file(&path))?;
        Ok(RecordWriter {
            path,
            file: BufWriter::with_capacity(1 << 16, file),
            written: 0,
            record: std::marker::PhantomData,
        })
    }

    /// Removes the file of a kind of record that the market has none of.
    pub fn remove<T: Record>(&self) -> Result<(), Error> {
        let path = self.path(T::FILE);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::File { path, source: error })
            }
            _ => Ok(()),
        }
    }
}

/// Writes one file of records.
pub struct RecordWriter<T> {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    record: std::marker::PhantomData<T>,
}

impl<T: Record> RecordWriter<T> {
    /// Writes one line.
    pub fn write(&mut self, record: T) -> Result<(), Error> {
        let mut text =
            serde_json::to_string(&record).map_err(|error| not_json(&self.path, &error))?;
        text.push('\n');
        self.written += 1;
        self.file.write_all(text.as_bytes()).map_err(Error::file(&self.path))
    }

    /// Completes the file; how many records it has.
    pub fn finish(mut self) -> Result<u64, Error> {
        self.file.flush().map_err(Error::file(&self.path))?;
        Ok(self.written)
    }
}

fn not_json(path: &Path, error: &serde_json::Error) -> Error {
    Error::Content { path: path.to_owned(), line: 0, message: error.to_string() }
}

/// The lines of a file that are not blank.
struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    number: u64,
}

impl Iterator for Lines {
    type Item = Result<(u64, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut text = Vec::new();
            match self.reader.read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) => self.number += 1,
                Err(source) => return Some(Err(Error::File { path: self.path.clone(), source })),
            }
            if !text.trim_ascii().is_empty() {
                return Some(Ok((self.number, text)));
            }
        }
    }
}

fn parse_line<T: DeserializeOwned>((number, text): (u64, Vec<u8>)) -> Line<T> {
    let record = match std::str::from_utf8(&text) {
        Ok(text) => parse(text),
        Err(error) => Err(error.to_string()),
    };
    Line { number, record }
}

fn count_lines(path: &Path) -> Result<u64, Error> {
    let file = File::open(path).map_err(Error::file(path))?;
    let lines =
        Lines { path: path.to_owned(), reader: BufReader::with_capacity(1 << 16, file), number: 0 };
    let mut total = 0;
    for line in lines {
        line?;
        total += 1;
    }
    Ok(total)
}

/// Reads one message. The canonical form is tried first, since files are long and
/// almost all of them are canonical.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let refusal = match serde_json::from_str(text) {
        Ok(message) => return Ok(message),
        Err(error) => error,
    };
    let Ok(mut value) = serde_json::from_str::<Value>(text) else {
        return Err(without_line(&refusal));
    };
    if !complete_enums(&mut value) {
        return Err(without_line(&refusal));
    }
    serde_json::from_value(value).map_err(|error| without_line(&error))
}

/// Puts the prefixes before enum values that lack them; whether any did.
fn complete_enums(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |any, item| complete_enums(item) | any),
        Value::Object(fields) => complete_enums_of(fields),
        _ => false,
    }
}

fn complete_enums_of(fields: &mut Map<String, Value>) -> bool {
    let mut any = false;
    for (name, value) in fields {
        if name == "labels" {
            continue;
        }
        let prefix = ENUM_FIELDS.iter().find(|(field, _)| field == name).map(|(_, prefix)| prefix);
        match (prefix, &mut *value) {
            (Some(prefix), Value::String(text)) if !text.starts_with(prefix) => {
                *text = format!("{prefix}{text}");
                any = true;
            }
            _ => any |= complete_enums(value),
        }
    }
    any
}

/// The message without serde's "at line 1": the caller knows the line of the file.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) if error.column() > 0 => {
            format!("{message} (column {})", error.column())
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{self, mobility::Scope};

    /// Goal: files written by hand are read whichever way their names are spelt, and
    /// labels that look like enum fields are left alone.
    #[test]
    fn both_spellings_are_read() {
        let camel = r#"{"id":"w","homeCity":"a","expectedSalary":"5","mobility":{"scope":"LISTED","costPercent":0},"labels":{"scope":"LISTED"}}"#;
        let snake = r#"{"id":"w","home_city":"a","expected_salary":5,"mobility":{"scope":"SCOPE_LISTED","cost_percent":0},"labels":{"scope":"LISTED"}}"#;
        let (camel, snake): (Worker, Worker) = (parse(camel).unwrap(), parse(snake).unwrap());
        assert_eq!(camel, snake);
        assert_eq!(camel.mobility.as_ref().unwrap().scope(), Scope::Listed);
        assert_eq!(camel.labels["scope"], "LISTED");

        let market = r#"{"id":"m","settings":{"capOrder":"TARGETS","proposing_side":"WORKER","confirmations":"EITHER","clearing":{"mode":"INTERVAL","intervalSeconds":5}}}"#;
        let settings = parse::<Market>(market).unwrap().settings.unwrap();
        assert_eq!(settings.cap_order(), v1::CapOrder::Targets);
        assert_eq!(settings.proposing_side(), v1::ProposingSide::Worker);
        assert_eq!(settings.confirmations(), v1::Confirmations::Either);
        assert_eq!(settings.clearing.unwrap().mode(), v1::clearing::Mode::Interval);
    }

    /// Goal: what is wrong in a line is said with its column, and nothing is guessed.
    #[test]
    fn bad_lines_say_what_is_wrong() {
        assert!(parse::<Worker>(r#"{"id":"w","homeTown":"a"}"#).unwrap_err().contains("homeTown"));
        assert!(parse::<Worker>("{").unwrap_err().contains("column"));
        let scope = parse::<Worker>(r#"{"mobility":{"scope":"NOWHERE"}}"#).unwrap_err();
        assert!(scope.contains("SCOPE_NOWHERE"), "{scope}");
    }

    /// Goal: what is written is read back the same, and labels come in order.
    #[test]
    fn written_records_are_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::at(folder.path());
        let labels = [("b", "2"), ("a", "1"), ("c", "3")];
        let vacancy = Vacancy {
            id: "v".into(),
            openings: 2,
            labels: labels.map(|(key, value)| (key.into(), value.into())).into(),
            ..Vacancy::default()
        };
        let mut writer = directory.create().unwrap();
        writer.write(vacancy.clone()).unwrap();
        writer.write(Vacancy { id: String::new(), openings: 0, ..vacancy.clone() }).unwrap();
        assert_eq!(writer.finish().unwrap(), 2);
        let path = directory.path(Vacancy::FILE);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(r#"{"id":"v","openings":2,"labels":{"a":"1","b":"2","c":"3"}}"#));
        let read = directory.records::<Vacancy>().unwrap().all(&path).unwrap();
        assert_eq!(read[0], (1, vacancy));
        assert_eq!(read[1].1.labels.len(), 3);
    }
}

//! `gale export`: writes cities and flows of a running server's market as files.

use super::error::Error;
use super::http::{Admin, Answer};
use super::output::{Column, Output, Table, bar, thousands};
use clap::ValueEnum;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes of the list of markets that are read.
const INDEX_BYTES: usize = 1 << 20;

/// Which files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// locations.csv and flows.csv, for flowmap.blue, pandas and spreadsheets
    Flowmap,
    /// flows_kepler.csv, for kepler.gl
    Kepler,
    /// cities.geojson and flows.geojson, for GIS
    Geojson,
}

impl Format {
    /// Its files, and whether they are of flows.
    fn files(self) -> &'static [(&'static str, bool)] {
        match self {
            Self::Flowmap => &[("locations.csv", false), ("flows.csv", true)],
            Self::Kepler => &[("flows_kepler.csv", true)],
            Self::Geojson => &[("cities.geojson", false), ("flows.geojson", true)],
        }
    }
}

/// Writes cities and flows as files for maps, data frames and spreadsheets.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Reads from the admin port of a running server. All files are of one revision; the columns
are in docs/EXPORTS.md. A file appears under its name once it is complete.

Example:
  gale export --market us --out /tmp/us
  gale export --out /tmp/nurses --format flowmap,geojson \\
      --group-label occupation --group 29-1141 --min-count 5
  gale export --out /tmp/fields --by occupation --by-prefix 2")]
pub struct Args {
    /// Directory to write to; made if it does not exist.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Which files.
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "flowmap")]
    format: Vec<Format>,
    /// Address of the server's admin port, with or without `http://`.
    #[arg(
        long,
        value_name = "URL",
        env = "GALE_ADMIN",
        default_value = "http://127.0.0.1:7401",
        hide_env_values = true
    )]
    admin: String,
    /// Id of the market; needed if the server has more than one.
    #[arg(long, value_name = "ID", env = "GALE_MARKET", hide_env_values = true)]
    market: Option<String>,
    #[command(flatten)]
    people: People,
    /// With a byte order mark and without formulas, for spreadsheets (CSV alone).
    #[arg(long)]
    bom: bool,
}

/// Which people are meant.
#[derive(Debug, clap::Args)]
struct People {
    /// Only matches that this round made: its id, or `last`.
    #[arg(long, value_name = "ROUND")]
    round: Option<String>,
    /// Only matches made at this revision or later.
    #[arg(long, value_name = "REVISION", conflicts_with = "round")]
    since_revision: Option<u64>,
    /// Only matches made at this revision or earlier.
    #[arg(long, value_name = "REVISION", conflicts_with = "round")]
    until_revision: Option<u64>,
    /// Only held matches, or only placed ones.
    #[arg(long, value_name = "STATUS", value_parser = ["held", "placed"])]
    status: Option<String>,
    /// Only people with this label.
    #[arg(long, value_name = "KEY")]
    group_label: Option<String>,
    /// The label's value.
    #[arg(long, value_name = "VALUE", requires = "group_label", conflicts_with = "group_prefix")]
    group: Option<String>,
    /// How the label's value begins.
    #[arg(long, value_name = "TEXT", requires = "group_label")]
    group_prefix: Option<String>,
    /// Leave out flows of fewer people.
    #[arg(long, value_name = "N")]
    min_count: Option<u64>,
    /// Only people who live in this city (flows alone).
    #[arg(long, value_name = "CITY")]
    origin: Option<String>,
    /// Only jobs in this city (flows alone).
    #[arg(long, value_name = "CITY")]
    dest: Option<String>,
    /// Break flows down by this label's value.
    #[arg(long, value_name = "KEY")]
    by: Option<String>,
    /// How many characters of it count.
    #[arg(long, value_name = "N", requires = "by")]
    by_prefix: Option<u64>,
}

impl People {
    /// The query of a file.
    fn query(&self, of_flows: bool, bom: bool, revision: Option<u64>) -> String {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let mut pairs = vec![
            ("round", self.round.clone()),
            ("since_revision", number(self.since_revision)),
            ("until_revision", number(self.until_revision)),
            ("status", self.status.clone()),
            ("group_label", self.group_label.clone()),
            ("group", self.group.clone()),
            ("group_prefix", self.group_prefix.clone()),
            ("min_count", number(self.min_count)),
            ("revision", number(revision)),
            ("bom", bom.then(|| "1".to_owned())),
        ];
        if of_flows {
            pairs.extend([
                ("origin", self.origin.clone()),
                ("dest", self.dest.clone()),
                ("by", self.by.clone()),
                ("by_prefix", number(self.by_prefix)),
            ]);
        }
        let pairs = pairs.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let pairs = pairs.map(|(name, value)| format!("{name}={}", crate::http::encoded(&value)));
        pairs.collect::<Vec<_>>().join("&")
    }
}

/// A file that was written.
struct Written {
    path: PathBuf,
    bytes: u64,
    suppressed_cells: u64,
}

/// Writes the files one by one, all at the revision of the first.
pub async fn run(args: Args, output: Output) -> Result<(), Error> {
    let mut admin = Admin::connect(&args.admin).await?;
    let market = match args.market {
        Some(market) => market,
        None => only_market(&mut admin).await?,
    };
    fs::create_dir_all(&args.out).map_err(Error::file(&args.out))?;
    let mut formats = args.format;
    formats.dedup();
    let mut revision = None;
    let mut files = Vec::new();
    for (name, of_flows) in formats.iter().flat_map(|format| format.files()) {
        let bom = args.bom && name.ends_with(".csv");
        let query = args.people.query(*of_flows, bom, revision);
        let target = format!("/export/{}/{name}?{query}", crate::http::encoded(&market));
        let mut answer = admin.get(&target).await?;
        revision = revision.or(number(&answer, "gale-revision"));
        let path = args.out.join(name);
        let bytes = write(&mut answer, &target, &path).await?;
        let suppressed_cells = number(&answer, "gale-suppressed-cells").unwrap_or(0);
        files.push(Written { path, bytes, suppressed_cells });
    }
    report(&market, revision, &files, output)
}

/// The server's only market.
async fn only_market(admin: &mut Admin) -> Result<String, Error> {
    let mut answer = admin.get("/export").await?;
    let text = answer.text("/export", INDEX_BYTES).await?;
    let index: Value = serde_json::from_str(&text).unwrap_or_default();
    let names = index["markets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names: Vec<_> = names.iter().filter_map(Value::as_str).collect();
    match names.as_slice() {
        [market] => Ok((*market).to_owned()),
        [] => Err(Error::Failed(
            "the server has no market yet (load one with `gale import DIR`)".to_owned(),
        )),
        several => Err(Error::Usage(format!(
            "the server has several markets, choose one with --market: {}",
            several.join(", ")
        ))),
    }
}

fn number(answer: &Answer, header: &str) -> Option<u64> {
    answer.headers.get(header)?.to_str().ok()?.parse().ok()
}

/// Writes the body beside its place, and puts it there once it is complete.
async fn write(answer: &mut Answer, target: &str, path: &Path) -> Result<u64, Error> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let mut file = BufWriter::new(File::create(&beside).map_err(Error::file(&beside))?);
    let progress = bar(&path.file_name().unwrap_or_default().to_string_lossy(), 0);
    let mut bytes = 0;
    while let Some(piece) = answer.piece(target).await? {
        file.write_all(&piece).map_err(Error::file(&beside))?;
        bytes += piece.len() as u64;
        progress.set_position(bytes);
    }
    file.flush().map_err(Error::file(&beside))?;
    progress.finish_and_clear();
    fs::rename(&beside, path).map_err(Error::file(path))?;
    Ok(bytes)
}

fn report(
    market: &str,
    revision: Option<u64>,
    files: &[Written],
    output: Output,
) -> Result<(), Error> {
    if output.json {
        let files: Vec<_> = files
            .iter()
            .map(|file| {
                json!({
                    "path": file.path,
                    "bytes": file.bytes,
                    "suppressed_cells": file.suppressed_cells,
                })
            })
            .collect();
        let document = json!({ "market": market, "revision": revision, "files": files });
        return output.json(&document);
    }
    let revision = revision.map(|revision| format!(" at revision {revision}")).unwrap_or_default();
    output.line(format!("market {market}{revision}"))?;
    let columns =
        [Column::Text("file"), Column::Number("bytes"), Column::Number("suppressed cells")];
    let mut table = Table::new(&columns);
    for file in files {
        let path = file.path.display().to_string();
        table.row([path, thousands(file.bytes), thousands(file.suppressed_cells)]);
    }
    output.line(table)
}

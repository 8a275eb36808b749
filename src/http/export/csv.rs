//! Tables as CSV (RFC 4180, UTF-8), for flowmap.blue, kepler.gl, pandas and spreadsheets.

use super::body;
use super::table::{CITY_COLUMNS, Cell, FLOW_COLUMNS, Table, name};
use crate::domain::CityIx;
use axum::body::Body;

/// What a spreadsheet recognises UTF-8 by.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// Columns of flows for kepler.gl, before those of every table of flows but the ids, the
/// count and the time, which stand here already.
pub const KEPLER_COLUMNS: [&str; 10] = [
    "origin_lat",
    "origin_lng",
    "dest_lat",
    "dest_lng",
    "origin",
    "dest",
    "count",
    "time",
    "origin_name",
    "dest_name",
];

/// How many of [`FLOW_COLUMNS`] those are.
const IN_KEPLER: usize = 4;

/// How rows are written.
#[derive(Clone, Copy)]
pub struct Dialect {
    /// For spreadsheets: with a byte order mark, and no cell that they would compute.
    pub spreadsheet: bool,
}

impl Dialect {
    fn begin(self, columns: &[&str]) -> Vec<u8> {
        let mut head = if self.spreadsheet { BOM.to_vec() } else { Vec::new() };
        self.record(columns.iter().copied(), &mut head);
        head
    }

    fn row(self, cells: &[Cell], out: &mut Vec<u8>) {
        self.record(cells.iter().map(|cell| self.written(cell)), out);
    }

    fn record<T: AsRef<[u8]>>(self, fields: impl Iterator<Item = T>, out: &mut Vec<u8>) {
        let mut writer = csv::WriterBuilder::new().buffer_capacity(512).from_writer(out);
        writer.write_record(fields).expect("a vector takes all that is written");
        // Dropped, it hands over what is left.
    }

    fn written(self, cell: &Cell) -> String {
        match cell {
            Cell::Text(text) if self.spreadsheet && computes(text) => format!("'{text}"),
            Cell::Text(text) => text.to_string(),
            Cell::Whole(number) => number.to_string(),
            // With a point, so that a column of numbers is read as numbers of one kind.
            Cell::Real(number) => format!("{number:?}"),
            Cell::None => String::new(),
        }
    }
}

/// Whether a spreadsheet takes the text for a formula.
fn computes(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// `locations.csv`.
pub fn locations(table: Table, dialect: Dialect) -> Body {
    let cities = table.view.head.geography.cities.len();
    body::rows(
        dialect.begin(&CITY_COLUMNS),
        0..cities,
        move |at, out| dialect.row(&table.city_row(CityIx::from_offset(at)), out),
        b"",
    )
}

/// `flows.csv`.
pub fn flows(table: Table, dialect: Dialect) -> Body {
    let head = dialect.begin(&table.flow_columns());
    let count = table.survey.flows.flows.len();
    let write = move |at: usize, out: &mut Vec<u8>| {
        dialect.row(&table.flow_row(&table.survey.flows.flows[at]), out);
    };
    body::rows(head, 0..count, write, b"")
}

/// `flows_kepler.csv`.
pub fn kepler(table: Table, dialect: Dialect) -> Body {
    debug_assert_eq!(FLOW_COLUMNS[..IN_KEPLER], KEPLER_COLUMNS[4..8]);
    let columns = table.flow_columns();
    let columns: Vec<_> = KEPLER_COLUMNS.into_iter().chain(columns[IN_KEPLER..].to_vec()).collect();
    let head = dialect.begin(&columns);
    let count = table.survey.flows.flows.len();
    let write = move |at: usize, out: &mut Vec<u8>| {
        let flow = &table.survey.flows.flows[at];
        let (origin, dest) = (table.city(flow.origin), table.city(flow.destination));
        let mut cells = vec![
            Cell::Real(origin.latitude),
            Cell::Real(origin.longitude),
            Cell::Real(dest.latitude),
            Cell::Real(dest.longitude),
        ];
        let mut row = table.flow_row(flow);
        let rest = row.split_off(IN_KEPLER);
        cells.append(&mut row);
        cells.extend([Cell::text(name(origin)), Cell::text(name(dest))]);
        cells.extend(rest);
        dialect.row(&cells, out);
    };
    body::rows(head, 0..count, write, b"")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: names come out as they are, whatever is in them, and in a spreadsheet's dialect
    /// none is a formula. Method: written, then read by the same rules of CSV.
    #[test]
    fn names_survive_and_are_not_computed() {
        let names = ["北京", "a,b", "say \"x\"", "two\nlines", "=1+1", "-2", "@x", "O'Brien", ""];
        for spreadsheet in [false, true] {
            let dialect = Dialect { spreadsheet };
            let mut text = dialect.begin(&["name", "n"]);
            for name in names {
                dialect.row(&[Cell::text(name), Cell::Whole(-5)], &mut text);
            }
            assert_eq!(text.starts_with(BOM), spreadsheet);
            let text = if spreadsheet { &text[BOM.len()..] } else { &text[..] };
            let read: Vec<(String, i64)> =
                csv::Reader::from_reader(text).deserialize().collect::<Result<_, _>>().unwrap();
            let formula = |name: &str| spreadsheet && ["=1+1", "-2", "@x"].contains(&name);
            let wanted = names
                .map(|name| (if formula(name) { format!("'{name}") } else { name.to_owned() }, -5));
            assert_eq!(read, wanted, "numbers stay numbers");
        }
    }

    /// Goal: numbers with a fraction keep their kind, and nothing is nothing.
    #[test]
    fn numbers_keep_their_kind() {
        let mut text = Vec::new();
        let cells = [Cell::Real(30.0), Cell::Real(-0.125), Cell::Whole(30), Cell::None];
        Dialect { spreadsheet: false }.row(&cells, &mut text);
        assert_eq!(text, b"30.0,-0.125,30,\n");
    }
}

//! Published numbers, computed again: the parts of `gale reproduce` that take seconds.
//!
//! The rest takes a minute and is run by the command (`docs/REPRODUCE.md`).

use gale::reproduce::{PARTS, Part, Plan, Row};

#[path = "common/binary.rs"]
mod binary;

use binary::{fails, json, ok};

fn rows(part: Part, plan: &Plan) -> Vec<Row> {
    let cleared = std::sync::atomic::AtomicU64::new(0);
    let rows = part.rows(plan, &|| {
        cleared.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(cleared.into_inner(), part.markets(plan), "progress ends at its total");
    rows.unwrap()
}

fn small(threads: usize) -> Plan {
    Plan { size_max: 100, threads, ..Plan::default() }
}

/// Goal: Azevedo and Leshno's cutoffs, Kamada and Kojima's example, and Ashlagi, Kanoria
/// and Leshno's ranks at 100 vacancies come out within tolerance.
#[test]
fn published_numbers_come_out() {
    for (part, count) in [(Part::Cutoffs, 3), (Part::Caps, 6), (Part::Ranks, 17)] {
        let rows = rows(part, &small(2));
        assert_eq!(rows.len(), count, "{part:?}");
        for row in rows {
            assert!(row.holds(), "{row:?}");
        }
    }
}

/// Goal: threads change no number, another seed does. Method: the part that draws fastest.
#[test]
fn a_seed_decides_every_number() {
    let known = rows(Part::Cutoffs, &small(1));
    assert_eq!(rows(Part::Cutoffs, &small(3)), known);
    assert_ne!(rows(Part::Cutoffs, &Plan { seed: 2, ..small(2) }), known);
}

/// Goal: names and parts are one to one.
#[test]
fn parts_have_names() {
    for part in PARTS {
        assert_eq!(Part::named(part.name()), Some(part));
    }
    assert_eq!(Part::named("everything"), None);
}

/// Goal: the command prints every number with its source, as a table and as JSON.
#[test]
fn the_command_tells_what_it_compares() {
    let report = json(&ok(&["reproduce", "caps", "cutoffs", "--json"]));
    assert_eq!(report["ok"], true);
    let rows = report["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 9);
    assert_eq!(rows[0]["part"], "caps");
    assert_eq!((&rows[0]["reference"], &rows[0]["found"]), (&10.0.into(), &10.0.into()));
    for row in rows {
        assert!(row["source"].as_str().unwrap().contains("201"), "{row}");
        assert_eq!(row["ok"], true, "{row}");
    }
    let table = ok(&["reproduce", "caps"]);
    assert!(table.contains("Kamada") && table.contains("all 6 numbers are within"), "{table}");
    assert!(fails(&["reproduce", "everything"], 2).contains("must be one of cutoffs, caps"));
    assert!(fails(&["reproduce", "--size-max", "50"], 2).contains("100..=1000"));
}

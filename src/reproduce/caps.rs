//! Kamada and Kojima's example 1: a regional cap by flexible deferred acceptance, and by
//! capacities shaved down to the targets.

use super::market::{problem, vacancy, worker, worker_id};
use super::{Basis, Claim, Part, Row};
use crate::domain::{CapOrder, Settings, Side, Vacancy, Worker};
use crate::matching::{CapSet, Control, Error, Problem, certify, clear};

pub(super) const SOURCE: &str = "Y. Kamada and F. Kojima, \"Efficient Matching under \
Distributional Constraints: Theory and Applications\", American Economic Review 105 (2015), \
example 1: two hospitals with 10 places each in a region with a cap of 10 and targets of 5; \
of ten doctors three want only the first, seven only the second";

/// Markets cleared.
pub(super) const MARKETS: u64 = 2;
const DOCTORS: u32 = 10;
/// The region's cap.
const CAP: u64 = 10;
/// Each hospital's target.
const TARGET: u32 = 5;
/// Where the paper's flexible deferred acceptance has each doctor.
const FLEXIBLE: [Option<u32>; 10] =
    [Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), Some(1), Some(1), Some(1), Some(1)];
/// Where the Japanese mechanism, with capacities of 5 each, has each doctor.
const SHAVED: [Option<u32>; 10] =
    [Some(0), Some(0), Some(0), Some(1), Some(1), Some(1), Some(1), Some(1), None, None];

pub(super) fn rows(cleared: &(dyn Fn() + Sync)) -> Result<Vec<Row>, Error> {
    let mut flexible = hospitals(10);
    flexible.settings = Settings { cap_order: CapOrder::Targets, ..Settings::default() }.into();
    flexible.sets = vec![CapSet { parent: None, capacity: CAP }];
    flexible.set_of_city = vec![Some(0)];
    for post in &mut flexible.vacancies {
        post.target = TARGET;
    }
    let cases = [
        ("flexible deferred acceptance", flexible, FLEXIBLE),
        ("capacities shaved to the targets", hospitals(TARGET), SHAVED),
    ];
    let mut rows = Vec::new();
    for (name, problem, printed) in cases {
        let matching = clear(&problem, Side::Worker, &Control::default())?.matching;
        let certificate = certify(&problem, &matching, &Control::default())?;
        let blocking = certificate.blocking_pairs as usize + certificate.infeasible.len();
        cleared();
        let alike =
            matching.vacancy_of.iter().zip(printed).filter(|(held, printed)| **held == *printed);
        let row = |quantity: &str, reference: usize, basis, found: usize| Row {
            part: Part::Caps,
            quantity: format!("{name}: {quantity}"),
            claim: Claim::near(reference as f64, 0.0),
            basis,
            found: found as f64,
        };
        let (matched, printed_matched) =
            (matching.pairs().count(), printed.iter().flatten().count());
        rows.push(row("matched", printed_matched, Basis::Printed, matched));
        rows.push(row("doctors as printed", printed.len(), Basis::Printed, alike.count()));
        rows.push(row("pairs that block", 0, Basis::Theorem, blocking));
    }
    Ok(rows)
}

/// The example without its cap; both hospitals prefer doctors in the order of their numbers.
fn hospitals(places: u32) -> Problem {
    let doctor = |number: u32| -> Worker { worker(number, &[u32::from(number >= 3)]) };
    let hospital = |number: u32| Vacancy {
        ranking: Some((0..DOCTORS).map(worker_id).collect()),
        ..vacancy(number, places)
    };
    problem((0..DOCTORS).map(doctor).collect(), vec![hospital(0), hospital(1)], 0)
}

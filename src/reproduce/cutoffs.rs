//! Azevedo and Leshno's example: the cutoffs of two colleges in a continuum of students.

use super::draws::Draws;
use super::market::{problem, vacancy, worker};
use super::sample::{Sample, draw};
use super::{Basis, Claim, Part, Plan, Row};
use crate::domain::{Level, Requirement, SkillIx, Vacancy, Worker};
use crate::matching::{Control, Cutoff, Error, Means, PAIRS_AUDITED, certify_with, clear_with};

pub(super) const SOURCE: &str = "E. M. Azevedo and J. D. Leshno, \"A Supply and Demand Framework \
for Two-Sided Matching Markets\", Journal of Political Economy 124 (2016): two colleges with \
places for 1/4 and 1/2 of the students, scores uniform and independent, each college the \
favourite of half";

/// Markets drawn.
pub(super) const DRAWS: u32 = 60;
/// Students in each.
const STUDENTS: u32 = 20_000;
/// The scores are whole basis points, rounded down at most twice.
const ROUNDING: f64 = 0.000_2;

pub(super) fn rows(plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Result<Vec<Row>, Error> {
    let drawn = draw(DRAWS, plan.threads, cleared, |number| market(plan.seed, number));
    let drawn = drawn.into_iter().collect::<Result<Vec<Found>, Error>>()?;
    let root = libm::sqrt(17.0);
    let mut rows = Vec::new();
    for (college, known) in [(root + 1.0) / 8.0, (root - 1.0) / 8.0].into_iter().enumerate() {
        let sample = Sample::of(drawn.iter().map(|found| found.cutoffs[college]));
        let places = ["1/4", "1/2"][college];
        rows.push(Row {
            part: Part::Cutoffs,
            quantity: format!("cutoff of the college with places for {places}"),
            claim: Claim::near(known, sample.three_errors() + ROUNDING),
            basis: Basis::Formula,
            found: sample.mean,
        });
    }
    rows.push(Row {
        part: Part::Cutoffs,
        quantity: format!("pairs that block, {DRAWS} markets of {STUDENTS} students"),
        claim: Claim::near(0.0, 0.0),
        basis: Basis::Theorem,
        found: drawn.iter().map(|found| found.blocking).sum(),
    });
    Ok(rows)
}

/// What one market gives.
struct Found {
    /// As scores between 0 and 1.
    cutoffs: [f64; 2],
    blocking: f64,
}

fn market(seed: u64, number: u32) -> Result<Found, Error> {
    let students = (0..STUDENTS).map(|student| {
        let draws = Draws::of(seed, &[1, u64::from(number), u64::from(student)]);
        scored(student, draws)
    });
    let colleges = vec![college(0, STUDENTS / 4), college(1, STUDENTS / 2)];
    let problem = problem(students.collect(), colleges, u64::from(number));
    let means = Means { threads: 1, ..Means::all() };
    let side = problem.settings.proposing_side;
    let matching = clear_with(&problem, side, &Control::default(), means)?.matching;
    let certificate = certify_with(&problem, &matching, &Control::default(), means, PAIRS_AUDITED)?;
    let score = |cutoff: &Cutoff| match cutoff {
        Cutoff::Key { score, .. } => *score as f64 / 10_000.0,
        Cutoff::Open => 0.0,
        Cutoff::Closed { .. } => 1.0,
    };
    Ok(Found {
        cutoffs: [score(&certificate.cutoffs[0]), score(&certificate.cutoffs[1])],
        blocking: certificate.blocking_pairs as f64 + certificate.infeasible.len() as f64,
    })
}

/// A student with a uniform score at each college, written as the two digits to base 100
/// that the college's two requirements weigh 100 to 1, and a favourite.
fn scored(student: u32, draws: Draws) -> Worker {
    let level = |skill: u16| Level {
        skill: SkillIx(skill),
        level: draws.below(u64::from(skill), 100) as u8,
    };
    let ranking = if draws.bits(4) & 1 == 0 { [0, 1] } else { [1, 0] };
    Worker { skills: (0..4).map(level).collect(), ..worker(student, &ranking) }
}

fn college(number: u16, places: u32) -> Vacancy {
    let digit = |skill, weight| Requirement {
        skill: SkillIx(skill),
        weight,
        desired_level: 99,
        minimum_level: None,
    };
    let requirements = [digit(2 * number, 100), digit(2 * number + 1, 1)];
    Vacancy { requirements: requirements.into(), ..vacancy(number.into(), places) }
}

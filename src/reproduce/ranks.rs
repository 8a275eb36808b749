//! Average ranks in random markets whose sides are about equal: one more on a side decides
//! who chooses.

use super::draws::Draws;
use super::sample::{Sample, draw};
use super::{Basis, Claim, Part, Plan, Row};
use crate::matching::lists::{Lists, Ranks, Solution, UNMATCHED, random, solve};

pub(super) const SOURCE: &str = "I. Ashlagi, Y. Kanoria and J. D. Leshno, \"Unbalanced Random \
Matching Markets: The Stark Effect of Competition\", Journal of Political Economy 125 (2017): \
the design of its tables 1 and 2 and the estimate of its table 1; B. Pittel, \"The Average \
Number of Stable Matchings\", SIAM Journal on Discrete Mathematics 2 (1989), and \"On Likely \
Solutions of the Stable Matching Problem with Unequal Numbers of Men and Women\", Mathematics \
of Operations Research 44 (2019): ln n and n/ln n; the program's means are of 2,000, 1,000, 400 \
and 200 draws";

/// How far from its limit a market of 1,000 may be, as a share of it.
const LIMIT: f64 = 0.1;

/// A market size, the draws of it, and what an independent program found.
struct Size {
    vacancies: u32,
    draws: u32,
    program: Program,
}

/// Means of an independent program, for each number of workers more than vacancies.
struct Program {
    draws: u32,
    means: [Means; 5],
}

/// How many more workers there are than vacancies; the mean rank of the workers' vacancies,
/// worker- and vacancy-proposing; and the percentage of workers with more than one stable
/// partner, where it is known and all workers are matched (it is not known whether the program
/// counts those who are not).
type Means = (i32, f64, f64, Option<f64>);

#[expect(clippy::approx_constant, reason = "3.14 is a mean rank")]
const SIZES: [Size; 4] = [
    Size {
        vacancies: 100,
        draws: 1_000,
        program: Program {
            draws: 2_000,
            means: [
                (-10, 2.47, 2.53, Some(2.3)),
                (-1, 4.10, 4.90, Some(14.8)),
                (0, 5.00, 20.25, Some(75.2)),
                (1, 20.22, 23.52, None),
                (10, 32.16, 32.78, None),
            ],
        },
    },
    Size {
        vacancies: 200,
        draws: 500,
        program: Program {
            draws: 1_000,
            means: [
                (-10, 3.07, 3.14, None),
                (-1, 4.81, 5.73, None),
                (0, 5.74, 35.64, None),
                (1, 35.52, 40.97, None),
                (10, 55.91, 57.02, None),
            ],
        },
    },
    Size {
        vacancies: 500,
        draws: 100,
        program: Program {
            draws: 400,
            means: [
                (-10, 3.93, 4.02, None),
                (-1, 5.75, 6.63, None),
                (0, 6.82, 75.91, None),
                (1, 75.31, 86.95, None),
                (10, 116.89, 119.20, None),
            ],
        },
    },
    Size {
        vacancies: 1_000,
        draws: 50,
        program: Program {
            draws: 200,
            means: [
                (-10, 4.60, 4.69, Some(1.8)),
                (-1, 6.42, 7.39, Some(11.9)),
                (0, 7.33, 137.15, Some(94.6)),
                (1, 135.48, 155.68, None),
                (10, 206.94, 210.88, None),
            ],
        },
    },
];

fn sizes(plan: &Plan) -> impl Iterator<Item = &'static Size> + use<> {
    let size_max = plan.size_max;
    SIZES.iter().filter(move |size| size.vacancies <= size_max)
}

pub(super) fn markets(plan: &Plan) -> u64 {
    sizes(plan).map(|size| 5 * u64::from(size.draws)).sum()
}

pub(super) fn rows(plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Vec<Row> {
    let mut rows = Vec::new();
    for size in sizes(plan) {
        for means in &size.program.means {
            let found = draw(size.draws, plan.threads, cleared, |number| {
                let what = [4, u64::from(size.vacancies), means.0 as u64, u64::from(number)];
                Found::of(size.vacancies, means.0, Draws::of(plan.seed, &what).bits(0))
            });
            rows.extend(compare(size, means, &found));
        }
    }
    rows
}

/// What one market gives its workers.
#[derive(Clone, Copy)]
struct Found {
    /// Their mean rank if they propose, over those who are matched.
    proposing: f64,
    /// The same if the vacancies propose.
    courted: f64,
    /// Percentage of workers whose vacancy differs between the two.
    several: f64,
}

impl Found {
    fn of(vacancies: u32, more: i32, seed: u64) -> Self {
        let workers = vacancies.saturating_add_signed(more);
        let lists = random(workers, vacancies, 1, vacancies, seed);
        let proposing = solve(&lists, &Ranks::of(&lists, 1));
        let courted = by_vacancies(&lists);
        let pairs = proposing.vacancy_of.iter().zip(&courted);
        let several = pairs.filter(|(best, worst)| best != worst).count();
        Self {
            proposing: mean_rank(&ranks(&lists, &proposing.vacancy_of)),
            courted: mean_rank(&ranks(&lists, &courted)),
            several: 100.0 * several as f64 / f64::from(workers),
        }
    }
}

/// By worker: the vacancy of the matching in which the vacancies propose.
fn by_vacancies(lists: &Lists) -> Vec<u32> {
    let (workers, vacancies) = (lists.workers().clone(), lists.vacancies().clone());
    let mut vacancy_of = vec![UNMATCHED; workers.len()];
    let ones = vec![1; workers.len()];
    let mirrored = Lists::new(vacancies, workers, ones).expect("lists of each other");
    let Solution { vacancy_of: worker_of, .. } = solve(&mirrored, &Ranks::of(&mirrored, 1));
    for (v, w) in (0..).zip(worker_of) {
        if w != UNMATCHED {
            vacancy_of[w as usize] = v;
        }
    }
    vacancy_of
}

/// The ranks, from 1, that matched workers give to their vacancies.
fn ranks(lists: &Lists, vacancy_of: &[u32]) -> Vec<u32> {
    let matched = (0..).zip(vacancy_of).filter(|(_, v)| **v != UNMATCHED);
    matched.map(|(w, v)| place(lists.workers().at(w), *v)).collect()
}

/// Where a vacancy stands on a list that has it, from 1.
pub(super) fn place(list: &[u32], vacancy: u32) -> u32 {
    let at = list.iter().position(|entry| *entry == vacancy);
    at.expect("a match is on the worker's list") as u32 + 1
}

/// The mean of ranks.
pub(super) fn mean_rank(ranks: &[u32]) -> f64 {
    ranks.iter().map(|rank| f64::from(*rank)).sum::<f64>() / ranks.len() as f64
}

fn compare(size: &Size, means: &Means, found: &[Found]) -> Vec<Row> {
    let (more, proposing, courted, several) = *means;
    let name = format!(
        "{} workers, {} vacancies",
        size.vacancies.saturating_add_signed(more),
        size.vacancies
    );
    let row = |quantity: &str, claim, basis, found| Row {
        part: Part::Ranks,
        quantity: format!("{name}: {quantity}"),
        claim,
        basis,
        found,
    };
    let best = Sample::of(found.iter().map(|found| found.proposing));
    let worst = Sample::of(found.iter().map(|found| found.courted));
    let core = Sample::of(found.iter().map(|found| found.several));
    let mut rows = Vec::new();
    for (quantity, sample, program, rounding) in [
        ("mean rank, workers propose", best, Some(proposing), 0.005),
        ("mean rank, vacancies propose", worst, Some(courted), 0.005),
        ("% with several stable partners", core, several, 0.05),
    ] {
        if let Some(mean) = program {
            let tolerance = sample.three_errors_beside(size.program.draws) + rounding;
            rows.push(row(quantity, Claim::near(mean, tolerance), Basis::Program, sample.mean));
        }
    }
    for (quantity, claim, sample) in limits(size.vacancies, more, best, worst) {
        rows.push(row(quantity, claim, Basis::Limit, sample.mean));
    }
    rows
}

/// What is proved of large markets: the estimate bounds every stable matching, the best for
/// the workers and the worst; with one more or one less, and with equal sides for the side that
/// proposes, ranks tend to ln n and n/ln n.
fn limits(
    vacancies: u32,
    more: i32,
    best: Sample,
    worst: Sample,
) -> Vec<(&'static str, Claim, Sample)> {
    let mut limits = Vec::new();
    if more < 0 {
        let bound = (1.0 + LIMIT) * estimate(vacancies, more);
        let claim = Claim::at_most(bound, worst.three_errors());
        limits.push(("in any stable matching, up to 1.1 x estimate", claim, worst));
    }
    if more > 0 {
        let bound = estimate(vacancies, more) / (1.0 + LIMIT);
        let claim = Claim::at_least(bound, best.three_errors());
        limits.push(("in any stable matching, from estimate / 1.1", claim, best));
    }
    if vacancies == 1_000 {
        let n = f64::from(vacancies);
        let (few, many) = (libm::log(n), n / libm::log(n));
        let (of_best, of_worst) = match more {
            -1 => (few, few),
            0 => (few, many),
            1 => (many, many),
            _ => return limits,
        };
        let near =
            |limit, sample: Sample| Claim::near(limit, LIMIT * limit + sample.three_errors());
        limits.push(("ln n or n/ln n, workers propose", near(of_best, best), best));
        limits.push(("ln n or n/ln n, vacancies propose", near(of_worst, worst), worst));
    }
    limits
}

/// The paper's estimate of the workers' mean rank where the sides are unequal.
fn estimate(vacancies: u32, more: i32) -> f64 {
    let (v, w) = (f64::from(vacancies), f64::from(vacancies) + f64::from(more));
    if w < v { v / w * libm::log(v / (v - w)) } else { v / (1.0 + w / v * libm::log(w / (w - v))) }
}

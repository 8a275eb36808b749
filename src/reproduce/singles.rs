//! Menzel's limit: who stays single in a large market with an outside option.

use super::draws::Draws;
use super::sample::{Sample, draw};
use super::{Basis, Claim, Part, Plan, Row};
use crate::matching::lists::{Csr, Lists, Ranks, UNMATCHED, solve};

pub(super) const SOURCE: &str = "K. Menzel, \"Large Matching Markets as Two-Sided Demand \
Systems\", Econometrica 83 (2015), for sides of equal size and one type: the share s of singles \
solves 1 - s = exp(U + V) s^2, where the outside option is the best of the square root of n \
draws";

/// Workers, and vacancies, of the two sizes, with the markets drawn of each. The second is
/// four times the first: the share's distance from its limit goes as the square root of 1/n,
/// so that twice the second less the first is the limit.
const SIZES: [(u32, u32); 2] = [(400, 400), (1_600, 100)];
/// U + V, half of it each side's.
const SURPLUSES: [f64; 2] = [0.0, 1.0];

pub(super) fn markets() -> u64 {
    SURPLUSES.len() as u64 * SIZES.iter().map(|(_, draws)| u64::from(*draws)).sum::<u64>()
}

pub(super) fn rows(plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Vec<Row> {
    let row = |surplus: f64| {
        let [small, large] = SIZES.map(|(size, draws)| {
            let shares = draw(draws, plan.threads, cleared, |number| {
                let what = [5, surplus as u64, u64::from(size), u64::from(number)];
                single_share(size, Draws::of(plan.seed, &what), surplus)
            });
            Sample::of(shares.iter().copied())
        });
        let tolerance = libm::hypot(2.0 * large.three_errors(), small.three_errors());
        Row {
            part: Part::Singles,
            quantity: format!(
                "share of singles at U + V = {surplus}, extrapolated from n = {} and {}",
                SIZES[0].0, SIZES[1].0
            ),
            claim: Claim::near(limit(surplus), tolerance),
            basis: Basis::Limit,
            found: 2.0 * large.mean - small.mean,
        }
    };
    SURPLUSES.into_iter().map(row).collect()
}

/// The positive solution of 1 - s = exp(surplus) s².
fn limit(surplus: f64) -> f64 {
    let factor = libm::exp(surplus);
    (libm::sqrt(1.0 + 4.0 * factor) - 1.0) / (2.0 * factor)
}

fn single_share(size: u32, draws: Draws, surplus: f64) -> f64 {
    let side = |side: u64| {
        let list = |agent: u32| {
            let mine = Draws::of(draws.bits(side), &[u64::from(agent)]);
            list(size, mine, surplus / 2.0)
        };
        Csr::of(&(0..size).map(list).collect::<Vec<_>>()).expect("fewer entries than pairs")
    };
    let lists = Lists::new(side(0), side(1), vec![1; size as usize]).expect("ids below the size");
    let solution = solve(&lists, &Ranks::of(&lists, 1));
    let single = solution.vacancy_of.iter().filter(|v| **v == UNMATCHED).count();
    single as f64 / f64::from(size)
}

/// Whom an agent likes better than the outside option, best first. Tastes are extreme-value
/// draws -ln(-ln x) of uniform x, so that somebody worth `utility` more than the outside
/// option is liked better if their x is above the option's to the power exp(utility).
fn list(size: u32, draws: Draws, utility: f64) -> Vec<u32> {
    let options = libm::round(libm::sqrt(f64::from(size))) as u64;
    let best = (0..options).map(|option| draws.unit(u64::from(size) + option));
    let bar = libm::pow(best.fold(0.0, f64::max), libm::exp(utility));
    let mut liked: Vec<(f64, u32)> = (0..size)
        .map(|other| (draws.unit(u64::from(other)), other))
        .filter(|(taste, _)| *taste > bar)
        .collect();
    liked.sort_by(|a, b| b.0.total_cmp(&a.0));
    liked.into_iter().map(|(_, other)| other).collect()
}

//! Menzel's limit: who stays single in a large market with an outside option.

use super::draws::Draws;
use super::sample::{Sample, draw};
use super::{Basis, Claim, Part, Plan, Row};
use crate::matching::lists::{Csr, Lists, Ranks, UNMATCHED, solve};

pub(super) const SOURCE: &str = "K. Menzel, \"Large Matching Markets as Two-Sided Demand \
Systems\", Econometrica 83 (2015), for sides of equal size and one type: the share s of singles \
solves 1 - s = exp(U + V) s^2, where the outside option is the best of the square root of n \
draws";

/// Markets drawn for each joint surplus.
const DRAWS: u32 = 30;
/// Workers, and vacancies.
const SIZE: u32 = 3_200;
/// How far from the limit a market of this size may be.
const LIMIT: f64 = 0.005;
/// U + V, half of it each side's.
const SURPLUSES: [f64; 2] = [0.0, 1.0];

pub(super) fn markets() -> u64 {
    SURPLUSES.len() as u64 * u64::from(DRAWS)
}

pub(super) fn rows(plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Vec<Row> {
    let row = |surplus: f64| {
        let shares = draw(DRAWS, plan.threads, cleared, |number| {
            single_share(Draws::of(plan.seed, &[5, surplus as u64, u64::from(number)]), surplus)
        });
        let sample = Sample::of(shares.iter().copied());
        Row {
            part: Part::Singles,
            quantity: format!("share of singles at U + V = {surplus}, n = {SIZE}"),
            claim: Claim::near(limit(surplus), LIMIT + sample.three_errors()),
            basis: Basis::Limit,
            found: sample.mean,
        }
    };
    SURPLUSES.into_iter().map(row).collect()
}

/// The positive solution of 1 - s = exp(surplus) s².
fn limit(surplus: f64) -> f64 {
    let factor = libm::exp(surplus);
    (libm::sqrt(1.0 + 4.0 * factor) - 1.0) / (2.0 * factor)
}

fn single_share(draws: Draws, surplus: f64) -> f64 {
    let side = |side: u64| {
        Csr::of(&(0..SIZE).map(|agent| list(draws, side, agent, surplus / 2.0)).collect::<Vec<_>>())
    };
    let lists = [side(0), side(1)].map(|lists| lists.expect("fewer entries than pairs"));
    let [workers, vacancies] = lists;
    let lists = Lists::new(workers, vacancies, vec![1; SIZE as usize]).expect("ids in range");
    let solution = solve(&lists, &Ranks::of(&lists, 1));
    let single = solution.vacancy_of.iter().filter(|v| **v == UNMATCHED).count();
    single as f64 / f64::from(SIZE)
}

/// Whom an agent likes better than the outside option, best first. Tastes are extreme-value
/// draws -ln(-ln x) of uniform x, so that an option worth `utility` more than the outside
/// option's y is one whose x is above y to the power exp(utility).
fn list(draws: Draws, side: u64, agent: u32, utility: f64) -> Vec<u32> {
    let mine = Draws::of(draws.bits(side), &[u64::from(agent)]);
    let outside = libm::round(libm::sqrt(f64::from(SIZE))) as u64;
    let best = (0..outside).map(|option| mine.unit(u64::from(SIZE) + option)).fold(0.0, f64::max);
    let bar = libm::pow(best, libm::exp(utility));
    let mut liked: Vec<(f64, u32)> = (0..SIZE)
        .map(|other| (mine.unit(u64::from(other)), other))
        .filter(|(taste, _)| *taste > bar)
        .collect();
    liked.sort_by(|a, b| b.0.total_cmp(&a.0));
    liked.into_iter().map(|(_, other)| other).collect()
}

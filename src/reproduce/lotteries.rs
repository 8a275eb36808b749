//! Ties that a lottery breaks: one draw per worker for all vacancies, or one per pair.

use super::draws::Draws;
use super::market::{problem, vacancy, worker};
use super::ranks::{mean_rank, place};
use super::sample::{Sample, draw};
use super::{Basis, Claim, Part, Plan, Row};
use crate::domain::Side;
use crate::matching::lists::{Ranks, random, solve};
use crate::matching::{Control, Error, Means, clear_with};

pub(super) const SOURCE: &str = "a single lottery where all ties are ties of everybody is \
random serial dictatorship, whose ranks have a closed form; A. Abdulkadiroglu, P. A. Pathak and \
A. E. Roth, \"Strategy-proofness versus Efficiency in Matching with Indifferences\", American \
Economic Review 99 (2009), compare it with multiple lotteries";

/// Markets drawn for each kind of lottery.
pub(super) const DRAWS: u32 = 200;
/// Workers, vacancies, and the length of each worker's ranking.
const SIZE: u32 = 500;

pub(super) fn rows(plan: &Plan, cleared: &(dyn Fn() + Sync)) -> Result<Vec<Row>, Error> {
    let single = draw(DRAWS, plan.threads, cleared, |number| single(plan.seed, number));
    let single = single.into_iter().collect::<Result<Vec<Found>, Error>>()?;
    let multiple = draw(DRAWS, plan.threads, cleared, |number| multiple(plan.seed, number));
    let n = f64::from(SIZE);
    let harmonic: f64 = (1..=SIZE + 1).map(|k| 1.0 / f64::from(k)).sum();
    let [mean, first] = [(n + 1.0) / n * (harmonic - 1.0), (n + 1.0) / (2.0 * n)];
    let row = |quantity: &str, claim, found| Row {
        part: Part::Lotteries,
        quantity: format!("{quantity}, n = {SIZE}"),
        claim,
        basis: Basis::Formula,
        found,
    };
    let [ranks, firsts] = samples(&single);
    let [multiple_ranks, multiple_firsts] = samples(&multiple);
    Ok(vec![
        row("single lottery: mean rank", Claim::near(mean, ranks.three_errors()), ranks.mean),
        row(
            "single lottery: share with their first choice",
            Claim::near(first, firsts.three_errors()),
            firsts.mean,
        ),
        row(
            "multiple lotteries: mean rank, above the single lottery's",
            Claim::at_least(mean, 0.0),
            multiple_ranks.mean,
        ),
        row(
            "multiple lotteries: share with their first choice, below it",
            Claim::at_most(first, 0.0),
            multiple_firsts.mean,
        ),
    ])
}

/// What one market gives its workers.
struct Found {
    mean_rank: f64,
    first_choices: f64,
}

fn samples(found: &[Found]) -> [Sample; 2] {
    [
        Sample::of(found.iter().map(|found| found.mean_rank)),
        Sample::of(found.iter().map(|found| found.first_choices)),
    ]
}

/// By the engine's own tie-breaking: vacancies that ask for nothing know only the lottery.
fn single(seed: u64, number: u32) -> Result<Found, Error> {
    let of = |what: u64| Draws::of(seed, &[2, u64::from(number), what]);
    let rankings: Vec<Vec<u32>> = (0..SIZE).map(|w| of(w.into()).order(SIZE)).collect();
    let workers = rankings.iter().enumerate().map(|(w, ranking)| worker(w as u32, ranking));
    let vacancies = (0..SIZE).map(|v| vacancy(v, 1)).collect();
    let problem = problem(workers.collect(), vacancies, of(u64::MAX).bits(0));
    let means = Means { threads: 1, ..Means::all() };
    let cleared = clear_with(&problem, Side::Worker, &Control::default(), means)?;
    let held = cleared.matching.pairs().map(|(w, v)| place(&rankings[w as usize], v));
    Ok(of_ranks(&held.collect::<Vec<_>>()))
}

/// By lists that every vacancy shuffles for itself.
fn multiple(seed: u64, number: u32) -> Found {
    let seed = Draws::of(seed, &[3, u64::from(number)]).bits(0);
    let lists = random(SIZE, SIZE, 1, SIZE, seed);
    let solution = solve(&lists, &Ranks::of(&lists, 1));
    let held = (0..SIZE).zip(&solution.vacancy_of);
    of_ranks(&held.map(|(w, v)| place(lists.workers().at(w), *v)).collect::<Vec<_>>())
}

fn of_ranks(ranks: &[u32]) -> Found {
    let first = ranks.iter().filter(|rank| **rank == 1).count();
    Found { mean_rank: mean_rank(ranks), first_choices: first as f64 / ranks.len() as f64 }
}

//! Gale's own flows: generated markets cleared by the exact engine, and who of the matched
//! has to move from where to where.

use super::observed::Pair;
use crate::domain::{Geography, Side, Violation};
use crate::generate::{Generator, Moving, Plan};
use crate::matching::{Control, Kernels, Means, Problem, clear_with};
use crate::planning::generated;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

/// Who moves in one clearing, or in several together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    cities: usize,
    /// By origin, then destination; 0 where they are the same.
    between: Vec<u64>,
    /// Workers who seek.
    pub workers: u64,
    /// Workers who are matched.
    pub matched: u64,
    /// Workers who are matched in another city.
    pub moved: u64,
}

impl Moves {
    fn none(cities: usize) -> Self {
        Self { cities, between: vec![0; cities * cities], workers: 0, matched: 0, moved: 0 }
    }

    /// The moves of a worker-proposing clearing.
    fn of(problem: &Problem) -> Self {
        let means = Means { threads: 1, kernels: Kernels::widest() };
        let cleared = clear_with(problem, Side::Worker, &Control::default(), means)
            .expect("nobody cancels, and workers may always propose");
        let mut moves = Self::none(problem.geography.cities.len());
        moves.workers = problem.workers.len() as u64;
        for (w, v) in cleared.matching.pairs() {
            let origin = problem.workers[w as usize].worker.home;
            let destination = problem.vacancies[v as usize].vacancy.city;
            moves.matched += 1;
            if origin != destination {
                moves.moved += 1;
                moves.between[origin.at() * moves.cities + destination.at()] += 1;
            }
        }
        moves
    }

    /// The moves of several clearings together.
    pub fn together<'a>(all: impl IntoIterator<Item = &'a Self>, cities: usize) -> Self {
        let mut sum = Self::none(cities);
        for moves in all {
            sum.between.iter_mut().zip(&moves.between).for_each(|(sum, count)| *sum += count);
            sum.workers += moves.workers;
            sum.matched += moves.matched;
            sum.moved += moves.moved;
        }
        sum
    }

    /// The moves between these pairs, in their order.
    pub fn on(&self, pairs: &[Pair]) -> Vec<f64> {
        let count = |pair: &Pair| self.between[pair.origin * self.cities + pair.destination];
        pairs.iter().map(|pair| count(pair) as f64).collect()
    }
}

/// Markets that differ in their seed alone. Every draw of a person is a hash of who it is for,
/// so under other ways of moving they are the same people with the same draws (common random
/// numbers): flows change only where the change of the rules reaches.
#[derive(Clone, Debug)]
pub struct Model {
    /// At least one.
    markets: Vec<Generator>,
    threads: usize,
}

impl Model {
    /// So many markets of `plan`, at least one, whose seeds are the plan's and those after it,
    /// cleared on so many threads.
    pub fn new(plan: &Plan, markets: u32, threads: usize) -> Result<Self, Violation> {
        let seeds = (0..u64::from(markets.max(1))).map(|number| plan.seed.wrapping_add(number));
        let market = |seed| Generator::new(&Plan { seed, ..*plan });
        Ok(Self { markets: seeds.map(market).collect::<Result<_, _>>()?, threads })
    }

    /// Cities of each market.
    pub fn cities(&self) -> usize {
        self.markets[0].metros()
    }

    /// The places with their published price levels, the same in all markets.
    pub fn geography(&self) -> Result<Geography, Violation> {
        let frame = self.markets[0].clone().with_moving(Moving::default())?.frame();
        generated::geography(&frame.regions, &frame.cities)
    }

    /// Clears every market with people who move like this, in the order of the seeds; `done`
    /// hears of each clearing.
    pub fn moves(&self, moving: Moving, done: impl Fn() + Sync) -> Result<Vec<Moves>, Violation> {
        let next = AtomicUsize::new(0);
        let clear = |market: &Generator| {
            let problem = generated::problem(&market.clone().with_moving(moving)?, |_| ())?;
            let moves = Moves::of(&problem);
            done();
            Ok(moves)
        };
        let work = || {
            let mut made = Vec::new();
            loop {
                let at = next.fetch_add(1, Relaxed);
                let Some(market) = self.markets.get(at) else { return Ok(made) };
                made.push((at, clear(market)?));
            }
        };
        let made: Result<Vec<Vec<_>>, Violation> = thread::scope(|scope| {
            let threads = self.threads.clamp(1, self.markets.len());
            let crew: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            crew.into_iter().map(|one| one.join().expect("a clearing does not panic")).collect()
        });
        let mut made: Vec<_> = made?.into_iter().flatten().collect();
        made.sort_unstable_by_key(|(at, _)| *at);
        Ok(made.into_iter().map(|(_, moves)| moves).collect())
    }
}

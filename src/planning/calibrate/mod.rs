//! Calibration: how people of generated markets move is fitted to half of the observed flows
//! and compared, on the other half, with gravity fitted to the same.
//!
//! * [`observed`]: the bundled flows between metropolitan areas, and the two halves;
//! * [`gravity`]: the baseline, by Poisson pseudo-maximum likelihood;
//! * [`effects`]: the same with an effect of every origin and destination;
//! * [`model`]: Gale's flows, from clearings of generated markets;
//! * [`fit`]: what of Gale is fitted, and to what; [`search`]: how;
//! * [`agreement`]: how well flows agree.
//!
//! `docs/CALIBRATION.md` has the results and what they do and do not show.

pub mod agreement;
pub mod effects;
pub mod fit;
pub mod gravity;
pub mod model;
pub mod observed;
pub mod search;

use crate::domain::{Geography, Violation};
use crate::generate::{Moving, Plan};
use crate::planning::figure::Undefined;
use agreement::{Agreement, advantage, common_part};
use effects::Effects;
use fit::{Fit, Turned};
use gravity::{Ppml, Unfit, regressors, regressors_with_prices};
use model::{Model, Moves};
use observed::Pair;
use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Evaluations of the search that fits gravity to Gale's objective; each is cheap.
const GRAVITY_EVALUATIONS: u32 = 600;
/// The largest power that the same search considers.
const GRAVITY_POWER_MAX: f64 = 3.0;

/// What to fit, and how hard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The markets; its seed is the first of the search, its way of moving the start.
    pub plan: Plan,
    /// Which half of the pairs is held out.
    pub split_seed: u64,
    /// Evaluations of the search.
    pub evaluations: u32,
    /// Markets cleared for each evaluation, with seeds from the plan's on: at least 2.
    pub search_markets: u32,
    /// Markets cleared for the report, with seeds that the search has not seen: at least 1.
    pub report_markets: u32,
    /// Threads; nothing depends on it but time.
    pub threads: usize,
}

/// Why there is no calibration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan is not one.
    #[error(transparent)]
    Plan(#[from] Violation),
    /// The baseline cannot be fitted to these pairs.
    #[error("gravity cannot be fitted to the training half: {0}")]
    Gravity(#[from] Unfit),
    /// The halves cannot be compared.
    #[error("the models cannot be compared on the held-out half: {0}")]
    Comparison(Undefined),
}

/// How far a calibration is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// So many evaluations of the search are made, the best objective so far.
    Searching(u32, f64),
    /// So many dials have been turned, of twice as many as there are.
    Turning(u32),
    /// So many markets of the report are cleared, of twice the number asked for.
    Reporting(u32),
}

/// A model's agreement with the observed flows.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Which model, for people.
    pub model: &'static str,
    /// Numbers in it that the training half has chosen.
    pub parameters: usize,
    /// On the half that it was fitted to.
    pub training: Agreement,
    /// On the other.
    pub held_out: Agreement,
}

/// What a calibration found.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Pairs of cities that the source does not show, and so nobody is compared on.
    pub unobserved: usize,
    /// The observed flows beside themselves, for their exponent and mean distance.
    pub observed: Row,
    /// The baseline's coefficients: constant, populations of origin and destination, distance.
    pub gravity: Ppml<4>,
    /// The same with the price levels of origin and destination at the end.
    pub gravity_with_prices: Ppml<6>,
    /// The fitted way of moving.
    pub fitted: Moving,
    /// The objective on the training half: where the search began, and what it found.
    pub objective: (f64, f64),
    /// What each dial matters to it.
    pub turned: Vec<Turned>,
    /// Gravity, Gale before and after the fit, then other forms of gravity.
    pub rows: Vec<Row>,
    /// Held out: by how much the common part of fitted Gale is above the gravity baseline's,
    /// and the middle 95% of it over resamples of the pairs.
    pub advantage: (f64, f64, f64),
    /// The moves of all markets of the report, fitted.
    pub moves: Moves,
    /// Those of them that are between pairs that the source shows.
    pub moves_on_observed: u64,
}

/// Fits both models and compares them. `on` hears of the progress.
pub fn run(options: &Options, on: impl FnMut(Progress) + Send) -> Result<Report, Error> {
    let on = Mutex::new(on);
    let tell = |progress| (on.lock().expect("a listener does not panic"))(progress);
    let Options { plan, threads, .. } = *options;
    let search_markets = options.search_markets.max(2);
    let searched = Model::new(&plan, search_markets, threads)?;
    let fresh = Plan { seed: plan.seed.wrapping_add(u64::from(search_markets)), ..plan };
    let shown = Model::new(&fresh, options.report_markets, threads)?;
    let halves = Halves::of(&searched.geography()?, options.split_seed);
    let baselines = Baselines::fit(&halves.training, searched.cities())?;

    let fit = Fit { model: &searched, training: &halves.training };
    let begun = fit.objective(plan.moving)?;
    let (fitted, found) = fit.search(plan.moving, options.evaluations, |made, best| {
        tell(Progress::Searching(made, best));
    })?;
    let mut turns = 0;
    let turned = fit.turn(fitted, || {
        turns += 1;
        tell(Progress::Turning(turns));
    })?;
    let cleared = AtomicU32::new(0);
    let moves = |moving| -> Result<Moves, Error> {
        let done = || tell(Progress::Reporting(cleared.fetch_add(1, Relaxed) + 1));
        Ok(Moves::together(&shown.moves(moving, done)?, shown.cities()))
    };
    let (before, after) = (moves(plan.moving)?, moves(fitted)?);
    let gale = after.on(&halves.held_out);
    let gravity = baselines.gravity_on(&halves.held_out);
    Ok(Report {
        unobserved: halves.unobserved(searched.cities()),
        observed: halves.row("observed", 0, people),
        gravity: baselines.gravity,
        gravity_with_prices: baselines.with_prices,
        fitted,
        objective: (begun, found),
        turned,
        rows: rows(&halves, &baselines, &before, &after),
        advantage: advantage(&halves.held_out, &gale, &gravity).map_err(Error::Comparison)?,
        moves_on_observed: halves.count(&after),
        moves: after,
    })
}

/// Every model's agreement: the baseline, Gale, and the other forms of gravity.
fn rows(halves: &Halves, baselines: &Baselines, before: &Moves, after: &Moves) -> Vec<Row> {
    let effects = &baselines.effects;
    vec![
        halves.row("gravity", 4, |pairs| baselines.gravity_on(pairs)),
        halves.row("Gale, not fitted", 0, |pairs| before.on(pairs)),
        halves.row("Gale, fitted", fit::DIALS, |pairs| after.on(pairs)),
        halves.row("gravity, fitted as Gale is", 3, |pairs| power_flows(pairs, &baselines.powers)),
        halves.row("gravity, with price levels", 6, |pairs| {
            let flow = |pair| baselines.with_prices.predict(&regressors_with_prices(pair));
            pairs.iter().map(flow).collect()
        }),
        halves.row("gravity, effects of each city", effects.parameters(), |pairs| {
            pairs.iter().map(|pair| effects.predict(pair)).collect()
        }),
    ]
}

/// The observed pairs.
struct Halves {
    training: Vec<Pair>,
    held_out: Vec<Pair>,
}

impl Halves {
    fn of(geography: &Geography, split_seed: u64) -> Self {
        let pairs = observed::pairs(geography, split_seed).into_iter();
        let (held_out, training) = pairs.partition(|pair| pair.held_out);
        Self { training, held_out }
    }

    /// Pairs of so many cities that are in neither half.
    fn unobserved(&self, cities: usize) -> usize {
        cities * cities.saturating_sub(1) - self.training.len() - self.held_out.len()
    }

    /// Moves between observed pairs.
    fn count(&self, moves: &Moves) -> u64 {
        let on = |pairs| moves.on(pairs).iter().sum::<f64>() as u64;
        on(&self.training) + on(&self.held_out)
    }

    fn row(
        &self,
        model: &'static str,
        parameters: usize,
        flows: impl Fn(&[Pair]) -> Vec<f64>,
    ) -> Row {
        let on = |pairs: &[Pair]| Agreement::of(pairs, &flows(pairs));
        Row { model, parameters, training: on(&self.training), held_out: on(&self.held_out) }
    }
}

fn people(pairs: &[Pair]) -> Vec<f64> {
    pairs.iter().map(|pair| pair.people).collect()
}

/// Gravity in four forms.
struct Baselines {
    gravity: Ppml<4>,
    /// With what Gale knows of prices.
    with_prices: Ppml<6>,
    effects: Effects,
    /// Powers of both populations and of distance that give the highest common part on the
    /// training half: the baseline with Gale's objective in place of its own.
    powers: [f64; 3],
}

impl Baselines {
    fn fit(training: &[Pair], cities: usize) -> Result<Self, Unfit> {
        let rows: Vec<_> = training.iter().map(regressors).collect();
        let observed = people(training);
        let gravity = Ppml::fit(&rows, &observed)?;
        let rows: Vec<_> = training.iter().map(regressors_with_prices).collect();
        let with_prices = Ppml::fit(&rows, &observed)?;
        let effects = Effects::fit(training, cities)?;
        let powers = |point: &[f64; 3]| point.map(|share| share * GRAVITY_POWER_MAX);
        let start = [1.0 / GRAVITY_POWER_MAX; 3];
        let Ok(found) = search::minimise(start, GRAVITY_EVALUATIONS, |point| {
            let flows = power_flows(training, &powers(point));
            Ok::<_, Infallible>(-common_part(&observed, &flows).unwrap_or(0.0))
        });
        Ok(Self { gravity, with_prices, effects, powers: powers(&found.point) })
    }

    fn gravity_on(&self, pairs: &[Pair]) -> Vec<f64> {
        pairs.iter().map(|pair| self.gravity.predict(&regressors(pair))).collect()
    }
}

fn power_flows(pairs: &[Pair], powers: &[f64; 3]) -> Vec<f64> {
    let flow = |pair: &Pair| {
        let [_, origin, destination, km] = regressors(pair);
        libm::exp(powers[0] * origin + powers[1] * destination - powers[2] * km)
    };
    pairs.iter().map(flow).collect()
}

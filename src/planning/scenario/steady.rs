//! Steady states of the macro mode, whether there is more than one, and how far the
//! feedback is from running away.

use super::aggregate::Economy;

/// Where periods lead.
#[derive(Clone, Debug, PartialEq)]
pub struct Steady {
    /// Residents there.
    pub residents: Vec<f64>,
    /// Largest relative change that one more choice of everybody would make.
    pub residual: f64,
    /// Steps taken.
    pub iterations: u32,
    /// Whether the residual came down to [`TOLERANCE`].
    pub converged: bool,
}

/// Relative residual at which a state counts as steady.
pub const TOLERANCE: f64 = 1e-10;
/// Steps after which the search for a steady state is given up.
pub const ITERATIONS_MAX: u32 = 20_000;
/// Share of the people who choose in a step of the search. A steady state does not depend
/// on it, and half of them keeps a step from overshooting.
const STEP: f64 = 0.5;
/// Steady states whose sizes differ relatively by more than this somewhere are two.
const DISTINCT: f64 = 1e-3;

/// Steps from `start` until nothing changes.
pub fn solve(economy: &Economy, start: &[f64]) -> Steady {
    let kept = economy.kept();
    let mut residents = start.to_vec();
    let mut residual = f64::INFINITY;
    for iterations in 0..ITERATIONS_MAX {
        let next = economy.step_by(&kept, &residents, STEP).residents;
        residual = change(&residents, &next, economy.least) / STEP;
        if residual <= TOLERANCE {
            return Steady { residents, residual, iterations, converged: true };
        }
        residents = next;
    }
    Steady { residents, residual, iterations: ITERATIONS_MAX, converged: false }
}

/// Largest relative difference, with sizes below `least` counted as `least`.
fn change(a: &[f64], b: &[f64], least: f64) -> f64 {
    let pairs = a.iter().zip(b);
    pairs.map(|(a, b)| (b - a).abs() / a.max(least)).fold(0.0, f64::max)
}

/// The distinct steady states found from several starts: the one from `residents` first,
/// then from equal sizes, from each of the three largest cities with nearly everybody, and
/// from sizes turned upside down. More than one means that history decides.
pub fn distinct(economy: &Economy, residents: &[f64]) -> Vec<Steady> {
    let mut found: Vec<Steady> = Vec::new();
    for start in starts(residents) {
        let steady = solve(economy, &start);
        let known = found
            .iter()
            .any(|other| change(&other.residents, &steady.residents, economy.least) <= DISTINCT);
        if !known {
            found.push(steady);
        }
    }
    found
}

/// See [`distinct`].
fn starts(residents: &[f64]) -> Vec<Vec<f64>> {
    let n = residents.len();
    let total: f64 = residents.iter().sum();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| residents[*b].total_cmp(&residents[*a]).then(a.cmp(b)));
    let mut starts = vec![residents.to_vec(), vec![total / n as f64; n]];
    for &largest in order.iter().take(3) {
        let rest = 0.05 * total / n as f64;
        let mut start = vec![rest; n];
        start[largest] += total - rest * n as f64;
        starts.push(start);
    }
    let mut turned = vec![0.0; n];
    for (rank, &city) in order.iter().enumerate() {
        turned[city] = residents[order[n - 1 - rank]];
    }
    starts.push(turned);
    starts
}

/// How far the feedback is from running away, and from swinging, as if all cities were
/// alike (`docs/SCENARIOS.md` has the derivation).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Margin {
    /// `1 - ε (1 + κ)(λ - γ)`, of a registry `1 - ε (1 - κ²)(λ - γ)`: below 0 a city that is
    /// a little larger than others grows on, and history decides which.
    pub runaway: f64,
    /// `2 - ρ (1 - κ)(1 - ε (1 + κ)(λ - γ))`: below 0 sizes swing to and fro.
    pub swing: f64,
}

impl Margin {
    /// Of `cities` cities with one barrier between any two, people choosing from where they
    /// live.
    pub fn symmetric(
        cities: usize,
        barrier: f64,
        income: f64,
        density_less_cost: f64,
        reconsider: f64,
    ) -> Self {
        let kappa = attachment(cities, barrier, income);
        let runaway = 1.0 - income * (1.0 + kappa) * density_less_cost;
        Self { runaway, swing: 2.0 - reconsider * (1.0 - kappa) * runaway }
    }

    /// The same with people choosing from where they are registered.
    pub fn registry(
        cities: usize,
        barrier: f64,
        income: f64,
        density_less_cost: f64,
        reconsider: f64,
    ) -> Self {
        let kappa = attachment(cities, barrier, income);
        let runaway = 1.0 - income * (1.0 - kappa * kappa) * density_less_cost;
        Self { runaway, swing: 2.0 - reconsider * runaway }
    }

    /// Whether small differences die out.
    pub fn is_stable(&self) -> bool {
        self.runaway > 0.0 && self.swing > 0.0
    }
}

/// `κ = (1 - μ^-ε) / (1 + (C - 1) μ^-ε)`: how much likelier people are to stay than to go
/// to any one other city, of alike ones.
pub fn attachment(cities: usize, barrier: f64, income: f64) -> f64 {
    let kept = libm::pow(barrier, -income);
    (1.0 - kept) / (1.0 + (cities as f64 - 1.0) * kept)
}

/// Steps of the power iteration of [`growth`].
const POWER_STEPS: u32 = 200;
/// Steps at its end over which growth is averaged, so that complex pairs are told too.
const POWER_TAIL: u32 = 50;

/// The factor by which a small difference of sizes grows in a period at those residents:
/// the largest modulus of an eigenvalue of the period among shifts that add up to 0. Below
/// 1 the state is stable. By power iteration on differences.
pub fn growth(economy: &Economy, residents: &[f64]) -> f64 {
    let n = residents.len();
    if n < 2 {
        return 0.0;
    }
    let kept = economy.kept();
    let total: f64 = residents.iter().sum();
    let size = 1e-6 * total / n as f64;
    // Any direction does that is not by chance free of the largest eigenvector.
    let mut shift: Vec<f64> = (0..n).map(|i| libm::sin(1.0 + i as f64 * 1.7)).collect();
    let (mut grown, mut counted) = (0.0, 0_u32);
    for step in 0..POWER_STEPS {
        centre(&mut shift);
        let norm = norm(&shift);
        if norm == 0.0 {
            return 0.0;
        }
        shift.iter_mut().for_each(|s| *s *= size / norm);
        let moved = |sign: f64| -> Vec<f64> {
            let at: Vec<f64> = residents.iter().zip(&shift).map(|(r, s)| r + sign * s).collect();
            economy.step_by(&kept, &at, economy.elasticities.reconsider).residents
        };
        let (up, down) = (moved(1.0), moved(-1.0));
        shift = up.iter().zip(&down).map(|(up, down)| (up - down) / 2.0).collect();
        if step >= POWER_STEPS - POWER_TAIL {
            grown += libm::log(self::norm(&shift) / size);
            counted += 1;
        }
    }
    libm::exp(grown / f64::from(counted))
}

fn centre(shift: &mut [f64]) {
    let mean = shift.iter().sum::<f64>() / shift.len() as f64;
    shift.iter_mut().for_each(|s| *s -= mean);
}

fn norm(shift: &[f64]) -> f64 {
    libm::sqrt(shift.iter().map(|s| s * s).sum())
}

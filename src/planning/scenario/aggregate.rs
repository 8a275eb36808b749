//! The macro mode: residents move between cities by a logit of real income, and a city's
//! size feeds back on its wages and its prices.
//!
//! With N residents, productivity and prices of a city are
//!
//! ```text
//! w_d  = A_d (N_d / Nref_d)^λ · exp(spill Σ_c e^(-δ km) ln(N_c / Nref_c))
//! P_d  = Pref_d (N_d / K_d)^γ
//! v_od = ln w_d - ln P_d + B_d + ln(1 + σ_od / w_d) - ln μ_od
//! P_od = exp(ε v_od) / Σ_k exp(ε v_ok)
//! N'_d = (1 - ρ) N_d + ρ Σ_o N_o P_od
//! ```
//!
//! where `o` is where people live now, or where they are registered ([`Origin`]). Caps on
//! the inflow scale the probabilities of a full city down, for all origins alike, and what
//! is refused is spread over the rest in proportion. Pure: the same economy always goes the
//! same way, on every machine (`libm`).

use super::steady::{self, Steady};

/// From where people choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// From where they live.
    #[default]
    Residence,
    /// From where they are registered, wherever they live: a household registry.
    Registry,
}

/// One city of an [`Economy`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Wage at the reference size: `A_d`.
    pub wage: f64,
    /// Residents at which the wage is `wage`: `Nref_d`, more than 0.
    pub reference: f64,
    /// Prices where residents equal capacity: `Pref_d`, more than 0.
    pub prices: f64,
    /// Residents that the city has room for: `K_d`, more than 0.
    pub capacity: f64,
    /// What else draws people there, in log points of income: `B_d`.
    pub amenity: f64,
    /// Most movers who come in within one period.
    pub cap: Option<f64>,
}

impl Default for Place {
    fn default() -> Self {
        Self { wage: 1.0, reference: 1.0, prices: 1.0, capacity: 1.0, amenity: 0.0, cap: None }
    }
}

/// The feedback's elasticities; see [`super::Parameters`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elasticities {
    /// ε.
    pub income: f64,
    /// λ.
    pub density: f64,
    /// γ.
    pub cost: f64,
    /// ρ.
    pub reconsider: f64,
}

/// Cities with what lies between them. Matrices are by rows: origin, then destination.
#[derive(Clone, Debug, PartialEq)]
pub struct Economy {
    /// The cities.
    pub places: Vec<Place>,
    /// Barriers `μ_od`, 1 or more; 1 on the diagonal. Infinite: nobody moves that way.
    pub barriers: Vec<f64>,
    /// Subsidies `σ_od` in the unit of wages a period; empty for none.
    pub subsidies: Vec<f64>,
    /// Spillovers `spill · e^(-δ km)`, by rows of the city that gains, 0 on the diagonal;
    /// empty for none.
    pub spillovers: Vec<f64>,
    /// Elasticities.
    pub elasticities: Elasticities,
    /// From where people choose.
    pub origin: Origin,
    /// Residents by registry; only read for [`Origin::Registry`].
    pub registry: Vec<f64>,
    /// Least residents that the logarithms see.
    pub least: f64,
}

/// One period.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Residents after it.
    pub residents: Vec<f64>,
    /// `m_od`: those of origin `o` who live in `d` after it, among those who reconsider.
    pub flows: Vec<f64>,
    /// Wages before it.
    pub wages: Vec<f64>,
    /// Prices before it.
    pub prices: Vec<f64>,
    /// By city: what the cap takes off in log points of income (its shadow price); 0 where
    /// the cap is slack or there is none.
    pub shadow: Vec<f64>,
}

impl Step {
    /// Those who come in from other cities, by city.
    pub fn inflows(&self) -> Vec<f64> {
        let n = self.residents.len();
        (0..n).map(|d| (0..n).filter(|o| *o != d).map(|o| self.flows[o * n + d]).sum()).collect()
    }

    /// Those who leave for other cities, by city.
    pub fn outflows(&self) -> Vec<f64> {
        let n = self.residents.len();
        (0..n).map(|o| (0..n).filter(|d| *d != o).map(|d| self.flows[o * n + d]).sum()).collect()
    }
}

/// Rounds of proportional scaling until every cap holds to [`CAP_TOLERANCE`].
const CAP_ROUNDS_MAX: usize = 10_000;
/// Relative excess over a cap that counts as none.
const CAP_TOLERANCE: f64 = 1e-12;

impl Economy {
    /// Cities with one barrier between any two, no subsidies and no spillovers.
    pub fn uniform(places: Vec<Place>, barrier: f64, elasticities: Elasticities) -> Self {
        let n = places.len();
        let barrier_of = |at: usize| if at / n == at % n { 1.0 } else { barrier };
        Self {
            barriers: (0..n * n).map(barrier_of).collect(),
            places,
            subsidies: Vec::new(),
            spillovers: Vec::new(),
            elasticities,
            origin: Origin::Residence,
            registry: Vec::new(),
            least: 1.0,
        }
    }

    /// How many cities there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are no cities.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Wages at those residents.
    pub fn wages(&self, residents: &[f64]) -> Vec<f64> {
        let n = self.len();
        let growth: Vec<f64> = self
            .places
            .iter()
            .zip(residents)
            .map(|(place, number)| libm::log(number.max(self.least) / place.reference))
            .collect();
        let wage = |d: usize| {
            let spilled: f64 = match self.spillovers.get(d * n..(d + 1) * n) {
                Some(row) => row.iter().zip(&growth).map(|(share, growth)| share * growth).sum(),
                None => 0.0,
            };
            self.places[d].wage * libm::exp(self.elasticities.density * growth[d] + spilled)
        };
        (0..n).map(wage).collect()
    }

    /// Prices at those residents.
    pub fn prices(&self, residents: &[f64]) -> Vec<f64> {
        let price = |(place, number): (&Place, &f64)| {
            place.prices
                * libm::pow(number.max(self.least) / place.capacity, self.elasticities.cost)
        };
        self.places.iter().zip(residents).map(price).collect()
    }

    /// `P_od` at those wages and prices, without caps.
    pub fn shares(&self, wages: &[f64], prices: &[f64]) -> Vec<f64> {
        self.shares_by(&self.kept(), wages, prices)
    }

    /// The same with the barriers' powers, which never change, at hand.
    fn shares_by(&self, kept: &[f64], wages: &[f64], prices: &[f64]) -> Vec<f64> {
        let n = self.len();
        let income = self.elasticities.income;
        // In logarithms, and relative to the best city, so that no power overflows.
        let drawn: Vec<f64> =
            (0..n).map(|d| libm::log(wages[d] / prices[d]) + self.places[d].amenity).collect();
        let top = drawn.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let drawn: Vec<f64> = drawn.iter().map(|v| libm::exp(income * (v - top))).collect();
        let mut shares = vec![0.0; n * n];
        for o in 0..n {
            let row = &mut shares[o * n..(o + 1) * n];
            for d in 0..n {
                row[d] = drawn[d] * kept[o * n + d] * self.lift(o, d, wages[d]);
            }
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|share| *share /= sum);
        }
        shares
    }

    /// `μ_od^-ε`.
    pub(super) fn kept(&self) -> Vec<f64> {
        let power = |barrier: &f64| match *barrier {
            1.0 => 1.0,
            barrier => libm::pow(barrier, -self.elasticities.income),
        };
        self.barriers.iter().map(power).collect()
    }

    /// `(1 + σ_od / w_d)^ε`.
    fn lift(&self, o: usize, d: usize, wage: f64) -> f64 {
        match self.subsidies.get(o * self.len() + d) {
            None | Some(0.0) => 1.0,
            Some(subsidy) => libm::pow(1.0 + subsidy / wage, self.elasticities.income),
        }
    }

    /// Those who choose, by origin.
    fn choosers<'a>(&'a self, residents: &'a [f64]) -> &'a [f64] {
        match self.origin {
            Origin::Residence => residents,
            Origin::Registry => &self.registry,
        }
    }

    /// One period from those residents.
    pub fn step(&self, residents: &[f64]) -> Step {
        self.step_by(&self.kept(), residents, self.elasticities.reconsider)
    }

    /// Periods one after the other.
    pub fn run(&self, residents: &[f64], periods: u32) -> Vec<Step> {
        let kept = self.kept();
        let mut steps: Vec<Step> = Vec::new();
        for _ in 0..periods {
            let from = steps.last().map_or(residents, |step| &step.residents);
            let step = self.step_by(&kept, from, self.elasticities.reconsider);
            steps.push(step);
        }
        steps
    }

    /// One period in which a share `reconsider` chooses; see [`Self::kept`].
    pub(super) fn step_by(&self, kept: &[f64], residents: &[f64], reconsider: f64) -> Step {
        let n = self.len();
        let (wages, prices) = (self.wages(residents), self.prices(residents));
        let mut shares = self.shares_by(kept, &wages, &prices);
        let choosers = self.choosers(residents);
        let shadow = self.hold_caps(&mut shares, choosers, reconsider);
        let mut flows = shares;
        for (o, row) in flows.chunks_mut(n).enumerate() {
            row.iter_mut().for_each(|share| *share *= reconsider * choosers[o]);
        }
        let mut next: Vec<f64> = residents.iter().map(|r| (1.0 - reconsider) * r).collect();
        for row in flows.chunks(n) {
            next.iter_mut().zip(row).for_each(|(next, flow)| *next += flow);
        }
        Step { residents: next, flows, wages, prices, shadow }
    }

    /// Scales the entry into full cities down until no cap is exceeded; the shadow prices.
    fn hold_caps(&self, shares: &mut [f64], choosers: &[f64], reconsider: f64) -> Vec<f64> {
        let n = self.len();
        let capped: Vec<(usize, f64)> =
            (0..n).filter_map(|d| Some((d, self.places[d].cap?))).collect();
        let mut scale = vec![1.0; n];
        if capped.is_empty() {
            return vec![0.0; n];
        }
        let free = shares.to_vec();
        for _ in 0..CAP_ROUNDS_MAX {
            let mut worst = 0.0_f64;
            for &(d, cap) in &capped {
                let movers = (0..n).filter(|o| *o != d);
                let inflow: f64 =
                    movers.map(|o| reconsider * choosers[o] * shares[o * n + d]).sum();
                if inflow > 0.0 {
                    let fitted = (scale[d] * cap / inflow).min(1.0);
                    worst = worst.max((fitted - scale[d]).abs());
                    scale[d] = fitted;
                }
            }
            rescale(shares, &free, &scale);
            if worst <= CAP_TOLERANCE {
                break;
            }
        }
        let price = |scale: f64| match scale {
            1.0 => 0.0,
            scale => -libm::log(scale) / self.elasticities.income,
        };
        scale.into_iter().map(price).collect()
    }

    /// The amenities at which nobody's number changes: `F(N) = N` at those residents. The
    /// market as it is becomes a steady state, from which a policy departs. By the
    /// proportional fitting of shares to sizes; the relative residual that is left.
    pub fn settle(&mut self, residents: &[f64]) -> f64 {
        let n = self.len();
        let (wages, prices) = (self.wages(residents), self.prices(residents));
        let income = self.elasticities.income;
        let choosers = self.choosers(residents).to_vec();
        let kept = self.kept();
        let mut residual = f64::INFINITY;
        for _ in 0..SETTLE_ROUNDS_MAX {
            let shares = self.shares_by(&kept, &wages, &prices);
            residual = 0.0;
            for d in 0..n {
                let drawn: f64 = (0..n).map(|o| choosers[o] * shares[o * n + d]).sum();
                let wanted = residents[d].max(self.least);
                residual = residual.max((drawn / wanted - 1.0).abs());
                self.places[d].amenity += libm::log(wanted / drawn) / income;
            }
            if residual <= SETTLE_TOLERANCE {
                break;
            }
        }
        residual
    }

    /// The steady state that periods lead to from `start`; see [`steady::solve`].
    pub fn steady(&self, start: &[f64]) -> Steady {
        steady::solve(self, start)
    }
}

/// Rounds of [`Economy::settle`].
const SETTLE_ROUNDS_MAX: usize = 5_000;
/// Relative residual at which [`Economy::settle`] ends.
const SETTLE_TOLERANCE: f64 = 1e-11;

/// `free` with the entry of movers into each city scaled, rows adding up to 1 again.
fn rescale(shares: &mut [f64], free: &[f64], scale: &[f64]) {
    let n = scale.len();
    for o in 0..n {
        let row = &mut shares[o * n..(o + 1) * n];
        for d in 0..n {
            row[d] = free[o * n + d] * if o == d { 1.0 } else { scale[d] };
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|share| *share /= sum);
    }
}

/// A counterfactual from shares alone (exact hat algebra): `shares` are those observed, by
/// rows, and `change(o, d)` is the factor by which real income of `d` for `o` changes.
pub fn hat(
    shares: &[f64],
    income_elasticity: f64,
    change: impl Fn(usize, usize) -> f64,
) -> Vec<f64> {
    let n = (shares.len() as f64).sqrt().round() as usize;
    let mut hat = vec![0.0; n * n];
    for o in 0..n {
        let row = &mut hat[o * n..(o + 1) * n];
        for d in 0..n {
            row[d] = shares[o * n + d] * libm::pow(change(o, d), income_elasticity);
        }
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|share| *share /= sum);
    }
    hat
}

#[cfg(test)]
#[path = "aggregate_tests.rs"]
mod tests;

//! The founders' case: does the feedback between people, wages and prices say which Chinese
//! cities grew from 2010 to 2020, and which guidance would narrow the disparity at which
//! cost?
//!
//! Populations and coordinates are census data; **wages are modelled, not data**: they are
//! proportional to a power of the city's size, the agglomeration elasticity. The model is
//! the aggregate one ([`super::scenario::aggregate`]) of whole prefectures, a period is a
//! year, and a city of twice the people is twice as many places to go to. Whatever it says
//! is printed; `docs/CHINA.md` has it, with what it does not say.

use super::figure::{Undefined, Value, ratio};
use super::indices::inequality::{Point, gini, theil};
use super::scenario::aggregate::{Economy, Elasticities, Place, Step};
use crate::generate::china::CensusCity;
use std::cmp::Ordering;

/// What the model assumes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Assumptions {
    /// Elasticity of wages to a city's population (λ). Literature: 0.04 to 0.05 in advanced
    /// economies; 0.19 by ordinary least squares in China (Chauvin et al., by the World Bank).
    pub wage_elasticity: f64,
    /// Elasticity of prices to it (γ): 0.03 to 0.08 (Combes, Duranton and Gobillon 2019).
    pub cost_elasticity: f64,
    /// Elasticity of the choice of a city to real income (ε): 1.5 (Tombe and Zhu 2019).
    pub income_elasticity: f64,
    /// Barrier of a move within a province (μ): nearly 3 (the same, 2000).
    pub barrier_within: f64,
    /// Barrier of a move between provinces: 25 (the same, 2000).
    pub barrier_between: f64,
    /// Share of the people who reconsider where they live in a year (ρ); an assumption.
    pub reconsider: f64,
    /// Years from 2010.
    pub years: u32,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            wage_elasticity: 0.05,
            cost_elasticity: 0.05,
            income_elasticity: 1.5,
            barrier_within: 3.0,
            barrier_between: 25.0,
            reconsider: 0.1,
            years: 10,
        }
    }
}

/// Classes of cities by population of the whole prefecture in 2010, largest first: name and
/// least population. The official classes are by the urban population alone.
pub const CLASSES: [(&str, f64); 5] = [
    ("10 million or more", 10e6),
    ("5 to 10 million", 5e6),
    ("3 to 5 million", 3e6),
    ("1 to 3 million", 1e6),
    ("under 1 million", 0.0),
];

/// Population below which a city counts as small for policies.
const SMALL: f64 = 3e6;
/// Population from which on a city counts as crowded for policies.
const LARGE: f64 = 10e6;

/// The class of a population.
pub fn class_of(population: f64) -> usize {
    CLASSES.iter().position(|(_, least)| population >= *least).unwrap_or(CLASSES.len() - 1)
}

/// The cities of the study with what the censuses counted.
#[derive(Clone, Debug)]
pub struct China {
    /// The cities: those with both populations, without Hong Kong and Macau, to which
    /// nobody may simply move.
    pub cities: Vec<CensusCity>,
    /// Residents in 2010.
    pub before: Vec<f64>,
    /// Residents in 2020.
    pub after: Vec<f64>,
}

impl China {
    /// The bundled cities.
    pub fn of(census: Vec<CensusCity>) -> Self {
        let counted = |city: &CensusCity| city.tier.is_some() && city.population_2010.is_some();
        let cities: Vec<_> = census.into_iter().filter(counted).collect();
        let number = |population: i64| population as f64;
        let before = cities.iter().filter_map(|city| city.population_2010).map(number).collect();
        let after = cities.iter().map(|city| number(city.population_2020)).collect();
        Self { cities, before, after }
    }

    /// Change of each city's residents from 2010 to 2020 beyond that of all together: what
    /// it has gained from others, births and deaths being alike everywhere.
    pub fn gained(&self) -> Vec<f64> {
        let growth = sum(&self.after) / sum(&self.before);
        self.before.iter().zip(&self.after).map(|(b, a)| a - b * growth).collect()
    }

    /// The sum over the cities whose residents in 2010 were as many as `counts`.
    fn in_class(&self, values: &[f64], counts: impl Fn(f64) -> bool) -> f64 {
        let cities = self.before.iter().zip(values);
        cities.filter(|(people, _)| counts(**people)).map(|(_, value)| value).sum()
    }

    /// The economy of 2010.
    pub fn economy(&self, assumed: &Assumptions) -> Economy {
        let mean = sum(&self.before) / self.before.len() as f64;
        let place = |people: &f64| Place {
            reference: mean,
            capacity: mean,
            amenity: libm::log(people / mean) / assumed.income_elasticity,
            ..Place::default()
        };
        let elasticities = Elasticities {
            income: assumed.income_elasticity,
            density: assumed.wage_elasticity,
            cost: assumed.cost_elasticity,
            reconsider: assumed.reconsider,
        };
        let places = self.before.iter().map(place).collect();
        let mut economy = Economy::uniform(places, assumed.barrier_between, elasticities);
        let n = self.cities.len();
        for (o, d) in (0..n * n).map(|at| (at / n, at % n)).filter(|(o, d)| o != d) {
            if self.cities[o].province == self.cities[d].province {
                economy.barriers[o * n + d] = assumed.barrier_within;
            }
        }
        economy
    }
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// The model's net flows beside the censuses'.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The model's assumptions.
    pub assumed: Assumptions,
    /// Net inflow of each city, in people, by the model.
    pub modelled: Vec<f64>,
    /// Spearman's rank correlation of net inflow per resident and real gain per resident.
    pub correlation: Value,
    /// Cities in which both have the same sign.
    pub same_direction: usize,
    /// By [`CLASSES`].
    pub classes: [ClassRow; CLASSES.len()],
}

/// The cities of one size class.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ClassRow {
    /// Cities.
    pub cities: usize,
    /// Residents in 2010.
    pub residents: f64,
    /// Net inflow by the model.
    pub modelled: f64,
    /// Gain beyond the country's growth by the censuses.
    pub gained: f64,
    /// Cities that gain by the model.
    pub gaining_modelled: usize,
    /// Cities that gained.
    pub gaining: usize,
    /// Cities in which both have the same sign.
    pub same_direction: usize,
}

/// Runs the feedback from 2010 and compares the direction of each city's net flow.
pub fn compare(china: &China, assumed: &Assumptions) -> Comparison {
    let steps = china.economy(assumed).run(&china.before, assumed.years);
    let modelled: Vec<f64> =
        end(china, &steps).iter().zip(&china.before).map(|(e, b)| e - b).collect();
    let gained = china.gained();
    let rate = |flows: &[f64]| -> Vec<f64> {
        flows.iter().zip(&china.before).map(|(flow, people)| flow / people).collect()
    };
    let mut classes = [ClassRow::default(); CLASSES.len()];
    for (city, people) in china.before.iter().enumerate() {
        let row = &mut classes[class_of(*people)];
        row.cities += 1;
        row.residents += people;
        row.modelled += modelled[city];
        row.gained += gained[city];
        row.gaining_modelled += usize::from(modelled[city] > 0.0);
        row.gaining += usize::from(gained[city] > 0.0);
        row.same_direction += usize::from((modelled[city] > 0.0) == (gained[city] > 0.0));
    }
    Comparison {
        assumed: *assumed,
        correlation: spearman(&rate(&modelled), &rate(&gained)),
        same_direction: classes.iter().map(|row| row.same_direction).sum(),
        classes,
        modelled,
    }
}

/// Spearman's rank correlation of size in 2010 with the gain per resident: what knowing
/// the sizes alone says, to hold the model against.
pub fn size_alone(china: &China) -> Value {
    let gained = china.gained();
    let rates: Vec<f64> = gained.iter().zip(&china.before).map(|(g, b)| g / b).collect();
    spearman(&china.before, &rates)
}

/// Spearman's rank correlation, -1..1; equal values share the mean of their ranks.
///
/// # Errors
/// [`Undefined::TooFew`] below three pairs, [`Undefined::ZeroDenominator`] if all values of
/// a side are equal.
pub fn spearman(a: &[f64], b: &[f64]) -> Value {
    if a.len() < 3 || a.len() != b.len() {
        return Err(Undefined::TooFew);
    }
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() + 1) as f64 / 2.0;
    let product = |x: &[f64], y: &[f64]| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum()
    };
    let spread = libm::sqrt(product(&a, &a) * product(&b, &b));
    ratio(product(&a, &b), spread, Undefined::ZeroDenominator)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|x, y| values[*x].total_cmp(&values[*y]));
    let mut ranks = vec![0.0; values.len()];
    for equal in order.chunk_by(|x, y| values[*x].total_cmp(&values[*y]) == Ordering::Equal) {
        let first = order.iter().position(|at| *at == equal[0]).unwrap_or(0);
        let rank = first as f64 + (equal.len() + 1) as f64 / 2.0;
        equal.iter().for_each(|at| ranks[*at] = rank);
    }
    ranks
}

/// A policy from 2010 on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Guidance {
    /// None.
    None,
    /// Whoever moves into a city of under 3 million gets this share of the mean wage, once.
    Subsidy(f64),
    /// Cities of 10 million or more take in this share of what they would.
    Cap(f64),
    /// Productivity rises by this share in all cities of under 3 million.
    Clusters(f64),
    /// The same in one of them in each province, the one with the most market potential
    /// among those. It stands in for comparative advantage, which cannot be computed: there
    /// are no open data of industries by city.
    BestPlaced(f64),
}

/// What a policy comes to after the years of the run, money in mean wages of a year.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The policy.
    pub guidance: Guidance,
    /// Theil index of wages between cities, by residents.
    pub wage_theil: Value,
    /// Gini coefficient of cities' sizes.
    pub size_gini: Value,
    /// Share of the people in cities of 10 million or more in 2010.
    pub large_share: f64,
    /// People in cities of under 3 million in 2010, beyond what there would be without.
    pub small_gain: f64,
    /// Wages earned in the last year, against none, as a share.
    pub output_change: f64,
    /// Money spent in all: subsidies, or what the rise of productivity adds to wages.
    pub cost: f64,
    /// People kept out of capped cities in all.
    pub kept_out: f64,
}

/// Tries a policy.
pub fn guide(china: &China, assumed: &Assumptions, guidance: Guidance) -> Effect {
    let free = china.economy(assumed);
    let without = free.run(&china.before, assumed.years);
    let economy = guided(china, &free, &without, guidance);
    let with = economy.run(&china.before, assumed.years);
    let (alone, guided) = (end(china, &without), end(china, &with));
    let output = |economy: &Economy, residents: &[f64]| {
        economy.wages(residents).iter().zip(residents).map(|(w, r)| w * r).sum::<f64>()
    };
    let wages = economy.wages(guided);
    let points = wages.iter().zip(guided);
    let points: Vec<_> =
        points.map(|(wage, people)| Point { weight: *people, value: *wage }).collect();
    Effect {
        guidance,
        wage_theil: theil(&points),
        size_gini: gini(&Point::each(guided)),
        large_share: china.in_class(guided, |people| people >= LARGE) / sum(guided),
        small_gain: china.in_class(guided, |people| people < SMALL)
            - china.in_class(alone, |people| people < SMALL),
        output_change: output(&economy, guided) / output(&free, alone) - 1.0,
        cost: spent(china, &free, &economy, &with) / mean_wage(&free, &china.before),
        kept_out: match guidance {
            Guidance::Cap(_) => {
                inflow_into_large(china, &without) - inflow_into_large(china, &with)
            }
            _ => 0.0,
        },
    }
}

/// The economy under a policy.
fn guided(china: &China, free: &Economy, without: &[Step], guidance: Guidance) -> Economy {
    let mut economy = free.clone();
    let n = china.cities.len();
    let small = |city: &usize| china.before[*city] < SMALL;
    match guidance {
        Guidance::None => {}
        Guidance::Subsidy(share) => {
            let subsidy = share * mean_wage(free, &china.before);
            let paid = |at: usize| at / n != at % n && small(&(at % n));
            let subsidies = (0..n * n).map(|at| if paid(at) { subsidy } else { 0.0 });
            economy.subsidies = subsidies.collect();
        }
        Guidance::Cap(share) => {
            let inflows = without.first().map_or(vec![0.0; n], Step::inflows);
            for city in (0..n).filter(|city| china.before[*city] >= LARGE) {
                economy.places[city].cap = Some(share * inflows[city]);
            }
        }
        Guidance::Clusters(rise) => {
            (0..n).filter(small).for_each(|city| economy.places[city].wage *= 1.0 + rise);
        }
        Guidance::BestPlaced(rise) => {
            best_placed(china).into_iter().for_each(|c| economy.places[c].wage *= 1.0 + rise);
        }
    }
    economy
}

/// What a policy has spent: subsidies to movers, and what the rise of productivity adds to
/// the wages of the cities that have it.
fn spent(china: &China, free: &Economy, economy: &Economy, with: &[Step]) -> f64 {
    let mut cost = 0.0;
    let mut from = &china.before;
    for step in with {
        cost += step.flows.iter().zip(&economy.subsidies).map(|(f, s)| f * s).sum::<f64>();
        for (city, residents) in from.iter().enumerate() {
            let risen = economy.places[city].wage / free.places[city].wage;
            cost += residents * step.wages[city] * (1.0 - 1.0 / risen);
        }
        from = &step.residents;
    }
    cost
}

/// People who come into the large cities in all years.
fn inflow_into_large(china: &China, steps: &[Step]) -> f64 {
    steps.iter().map(|step| china.in_class(&step.inflows(), |people| people >= LARGE)).sum()
}

/// Residents at the end.
fn end<'s>(china: &'s China, steps: &'s [Step]) -> &'s [f64] {
    steps.last().map_or(&china.before, |step| &step.residents)
}

fn mean_wage(economy: &Economy, residents: &[f64]) -> f64 {
    let wages = economy.wages(residents);
    wages.iter().zip(residents).map(|(w, r)| w * r).sum::<f64>() / sum(residents)
}

/// In each province the city of under 3 million with the most market potential: people
/// elsewhere by the inverse of the distance.
fn best_placed(china: &China) -> Vec<usize> {
    let potential = |city: usize| -> f64 {
        let others = (0..china.cities.len()).filter(|other| *other != city);
        let far = |other: usize| china.cities[city].km_to(&china.cities[other]).max(1.0);
        others.map(|other| china.before[other] / far(other)).sum()
    };
    let mut best: Vec<(&str, f64, usize)> = Vec::new();
    for city in (0..china.cities.len()).filter(|city| china.before[*city] < SMALL) {
        let (province, found) = (&*china.cities[city].province, potential(city));
        match best.iter_mut().find(|(name, ..)| *name == province) {
            Some(most) if most.1 >= found => {}
            Some(most) => *most = (province, found, city),
            None => best.push((province, found, city)),
        }
    }
    best.into_iter().map(|(.., city)| city).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::china::census;

    /// Goal: rank correlation of small cases by hand, ties and what has none.
    #[test]
    fn rank_correlation_by_hand() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[10.0, 20.0, 90.0]), Ok(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Ok(-1.0));
        // Ranks 1.5, 1.5, 3, 4 and 1, 2, 4, 3: 4 / sqrt(4.5 * 5).
        let found = spearman(&[5.0, 5.0, 6.0, 7.0], &[0.0, 1.0, 9.0, 8.0]).unwrap();
        assert!((found - 3.5 / libm::sqrt(4.5 * 5.0)).abs() < 1e-12, "{found}");
        assert_eq!(spearman(&[1.0, 2.0], &[1.0, 2.0]), Err(Undefined::TooFew));
        assert_eq!(spearman(&[1.0; 4], &[1.0, 2.0, 3.0, 4.0]), Err(Undefined::ZeroDenominator));
    }

    /// Goal: people are conserved, classes add up, and a policy that is none changes nothing.
    #[test]
    fn people_are_conserved_and_no_policy_is_none() {
        let china = China::of(census());
        assert_eq!(china.cities.len(), 356);
        let found = compare(&china, &Assumptions::default());
        assert!(sum(&found.modelled).abs() < 1.0, "nobody is made or lost");
        assert!(sum(&china.gained()).abs() < 1.0);
        assert_eq!(found.classes.iter().map(|row| row.cities).sum::<usize>(), 356);
        let assumed = Assumptions::default();
        let none = guide(&china, &assumed, Guidance::None);
        assert_eq!((none.small_gain, none.output_change, none.cost), (0.0, 0.0, 0.0));
        for same in [Guidance::Subsidy(0.0), Guidance::Clusters(0.0), Guidance::BestPlaced(0.0)] {
            assert_eq!(Effect { guidance: Guidance::None, ..guide(&china, &assumed, same) }, none);
        }
        let capped = guide(&china, &assumed, Guidance::Cap(0.5));
        assert!(capped.kept_out > 0.0 && capped.large_share < none.large_share);
        let subsidised = guide(&china, &assumed, Guidance::Subsidy(0.1));
        assert!(subsidised.cost > 0.0 && subsidised.small_gain > 0.0);
    }

    /// Goal: at an infinite barrier nobody moves, so no city gains or loses.
    #[test]
    fn nobody_moves_at_an_infinite_barrier() {
        let china = China::of(census());
        let shut = Assumptions {
            barrier_within: f64::INFINITY,
            barrier_between: f64::INFINITY,
            ..Assumptions::default()
        };
        assert!(compare(&china, &shut).modelled.iter().all(|flow| flow.abs() < 1e-6));
    }
}

//! Indicators of a market: what [`census`](super::census) has counted and what the engine
//! answers, put into the formulas of [`indices`](super::indices). docs/INDICATORS.md lists
//! them for readers; the comments of `indicator.proto` say what each field means.
//!
//! | file | what is measured |
//! |---|---|
//! | [`pools`] | who seeks, what is open, how well they came together |
//! | [`choices`] | what each seeker would choose first |
//! | [`mismatch`] | matches lost to where seekers and openings are |
//! | [`split`] | the same by cause: place, skill, pay |
//! | [`disparity`] | how unequal cities are, in pay, tightness and size |
//! | [`migration`] | who moves |
//! | [`cutoffs`] | what it takes to get in |
//! | [`structure`] | what a city's jobs are, and which city does the same |
//! | [`reach`] | coupling of industry, employment and population; market potential |
//! | [`differential`] | what it would take for a city to become acceptable |

pub mod choices;
pub mod cutoffs;
pub mod differential;
pub mod disparity;
pub mod migration;
pub mod mismatch;
pub mod pools;
pub mod reach;
pub mod split;
pub mod structure;

use super::Error;
use super::census::{Census, Grouping};
use super::figure::{Figure, Value};
use super::indices::specialisation;
use crate::domain::limits::{
    DIFFERENTIAL_PAIRS_MAX, DIFFERENTIAL_SEEKERS_MIN, FIRST_CHOICES_MAX, INDICATOR_ROWS_MAX,
    SPLIT_SEEKERS_MAX,
};
use crate::domain::{CityIx, RegionIx};
use crate::matching::Control;
use crate::state::{Bars, View};
use choices::Choices;
use cutoffs::{Cutoffs, Scores};
use differential::{Differential, Differentials};
use disparity::{Disparity, Sizes};
use migration::{Migration, System};
use mismatch::Mismatch;
use pools::Pools;
use reach::{Coupling, Reach};
use split::Split;
use std::cmp::{Ordering, Reverse};
use std::ops::Range;
use structure::{Specialisation, Structure};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// What makes a group.
    pub grouping: Grouping,
    /// Groups in the answer, the largest.
    pub groups: usize,
    /// Whether everybody is asked for their first choice.
    pub first_choices: bool,
    /// Whether mismatch is split by cause.
    pub split: bool,
    /// Whether differentials of cities are looked for.
    pub differentials: bool,
    /// Groups in which a city specialises.
    pub specialities: usize,
    /// How many are looked at where all would take too long.
    pub most: Most,
}

/// How many are looked at where all would take too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Most {
    /// Seekers asked for their first choice.
    pub first_choices: usize,
    /// Seekers cleared to split mismatch.
    pub split: usize,
    /// Pairs of a seeker and a city looked at for differentials.
    pub differential_pairs: usize,
    /// Seekers looked at for them, however many cities there are.
    pub differential_seekers_min: usize,
}

impl Default for Most {
    fn default() -> Self {
        Self {
            first_choices: FIRST_CHOICES_MAX,
            split: SPLIT_SEEKERS_MAX,
            differential_pairs: DIFFERENTIAL_PAIRS_MAX,
            differential_seekers_min: DIFFERENTIAL_SEEKERS_MIN,
        }
    }
}

/// How many were drawn, where not all were looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Workers drawn.
    pub workers: u64,
    /// Of so many.
    pub workers_of: u64,
    /// Openings drawn; 0 where all were taken.
    pub openings: u64,
    /// Of so many.
    pub openings_of: u64,
}

/// The market, its regions and its groups.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The market as a whole.
    pub market: Market,
    /// The largest regions, largest first.
    pub regions: Vec<Region>,
    /// The largest groups, largest first.
    pub groups: Vec<Group>,
    /// How many regions there are.
    pub regions_total: usize,
    /// How many groups there are.
    pub groups_total: usize,
}

/// The market as a whole.
#[derive(Clone, Debug)]
pub struct Market {
    /// Who seeks and what is open.
    pub pools: Pools,
    /// Cities.
    pub cities: usize,
    /// People in them.
    pub population: i64,
    /// Over cities.
    pub mismatch_by_city: Mismatch,
    /// Over groups.
    pub mismatch_by_group: Mismatch,
    /// Over both.
    pub mismatch_by_cell: Mismatch,
    /// By cause, if wanted.
    pub split: Option<Split>,
    /// Of the mean real pay.
    pub pay: Disparity,
    /// Of tightness.
    pub tightness: Disparity,
    /// Of population.
    pub sizes: Sizes,
    /// Who moves.
    pub migration: System,
    /// What it takes to get in.
    pub cutoffs: Cutoffs,
    /// Who was asked for first choices, if not all.
    pub sample: Option<Sample>,
}

/// A region with all that is inside it.
#[derive(Clone, Debug)]
pub struct Region {
    /// Which.
    pub ix: RegionIx,
    /// Cities inside.
    pub cities: usize,
    /// People in them.
    pub population: i64,
    /// Who seeks and what is open.
    pub pools: Pools,
    /// Across its border.
    pub migration: Migration,
    /// Cities inside that gain more than they lose.
    pub gaining: usize,
    /// Cities inside that lose more than they gain.
    pub losing: usize,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// The label's value, or its prefix.
    pub name: Box<str>,
    /// Who seeks and what is open.
    pub pools: Pools,
    /// Over cities.
    pub mismatch: Mismatch,
    /// How concentrated its jobs are.
    pub concentration: Figure,
}

/// Cities.
#[derive(Clone, Debug)]
pub struct Cities {
    /// The cities of the range, in order.
    pub cities: Vec<City>,
    /// Who was asked for first choices, if not all.
    pub choices_sample: Option<Sample>,
    /// Who was looked at for differentials, if not all.
    pub differentials_sample: Option<Sample>,
}

/// A city.
#[derive(Clone, Debug)]
pub struct City {
    /// Which.
    pub ix: CityIx,
    /// Who seeks and what is open.
    pub pools: Pools,
    /// Who moves.
    pub migration: Migration,
    /// Share of all seekers who would come first of all here, if wanted.
    pub attractiveness: Option<Figure>,
    /// What its jobs are.
    pub specialisation: Specialisation,
    /// Of industry, employment and population.
    pub coupling: Coupling,
    /// Real pay within reach.
    pub potential: Figure,
    /// What it takes to get in.
    pub cutoffs: Cutoffs,
    /// What it would take to come, if wanted.
    pub differential: Option<Differential>,
}

/// Measures the market, its regions and its groups.
///
/// # Errors
/// [`Error::Cancelled`] when `control` says so; refused if there are too many groups.
pub fn market(view: &View, wanted: &Wanted, control: &Control) -> Result<Measured, Error> {
    let census = Census::of(view, &wanted.grouping, control)?;
    let choices = asked(view, &census, wanted, control)?;
    let split = match wanted.split {
        true => Some(split::split(view, wanted.most.split, control)?),
        false => None,
    };
    let scores = Scores::of(view, &Bars::of(view), control)?;
    let geography = &*view.head.geography;
    let market = Market {
        pools: Pools::of(&census.total, choices.as_ref().map(Choices::everybody)),
        cities: geography.cities.len(),
        population: geography.cities.iter().map(|city| city.population).sum(),
        mismatch_by_city: mismatch::by_city(&census),
        mismatch_by_group: mismatch::by_group(&census),
        mismatch_by_cell: mismatch::by_cell(&census),
        split,
        pay: disparity::pay(&census, geography),
        tightness: disparity::tightness(&census, geography),
        sizes: disparity::sizes(geography),
        migration: migration::system(&census, geography),
        cutoffs: scores.all(),
        sample: choices.as_ref().and_then(Choices::sample),
    };
    control.check()?;
    Ok(Measured {
        market,
        regions: regions(view, &census, choices.as_ref()),
        groups: groups(&census, choices.as_ref(), wanted.groups),
        regions_total: geography.regions.len(),
        groups_total: census.groups.len(),
    })
}

/// Measures the cities of a range.
///
/// # Errors
/// As [`market`].
pub fn cities(
    view: &View,
    wanted: &Wanted,
    range: Range<usize>,
    control: &Control,
) -> Result<Cities, Error> {
    let census = Census::of(view, &wanted.grouping, control)?;
    let choices = asked(view, &census, wanted, control)?;
    let differentials = wanted.differentials.then(|| Differentials::among(view, wanted.most));
    let scores = Scores::of(view, &Bars::of(view), control)?;
    let geography = &*view.head.geography;
    let structure = Structure::of(&census, geography);
    let reach = Reach::of(&census, geography);
    let mut cities = Vec::with_capacity(range.len());
    for ix in range.map(CityIx::from_offset) {
        control.check()?;
        let (at, tally) = (ix.at(), &census.cities[ix.at()]);
        cities.push(City {
            ix,
            pools: Pools::of(tally, choices.as_ref().map(|choices| choices.by_home[at])),
            migration: Migration::of(census.balances[at], geography.city(ix).population),
            attractiveness: choices.as_ref().map(|choices| choices.attractiveness(ix)),
            specialisation: structure.city(ix, wanted.specialities),
            coupling: reach.coupling(ix),
            potential: reach.potential(ix),
            cutoffs: scores.city(ix),
            differential: match &differentials {
                Some(differentials) => Some(differentials.city(ix, control)?),
                None => None,
            },
        });
    }
    Ok(Cities {
        cities,
        choices_sample: choices.as_ref().and_then(Choices::sample),
        differentials_sample: differentials.as_ref().and_then(Differentials::sample),
    })
}

/// First choices, if they are wanted.
fn asked(
    view: &View,
    census: &Census,
    wanted: &Wanted,
    control: &Control,
) -> Result<Option<Choices>, Error> {
    match wanted.first_choices {
        true => {
            let most = wanted.most.first_choices;
            Ok(Some(Choices::of(view, census, &wanted.grouping, most, control)?))
        }
        false => Ok(None),
    }
}

fn regions(view: &View, census: &Census, choices: Option<&Choices>) -> Vec<Region> {
    let geography = &*view.head.geography;
    let mut order: Vec<RegionIx> =
        (0..geography.regions.len()).map(RegionIx::from_offset).collect();
    order.sort_by_cached_key(|ix| {
        let tally = &census.regions[ix.at()];
        (Reverse(tally.seekers() + tally.jobs()), geography.region(*ix).id.clone())
    });
    order.truncate(INDICATOR_ROWS_MAX);
    let mut inside = vec![Vec::new(); geography.regions.len()];
    for (at, city) in geography.cities.iter().enumerate() {
        for region in geography.ancestry(city.region) {
            inside[region.at()].push(at);
        }
    }
    let measured = order.into_iter().map(|ix| {
        let cities = &inside[ix.at()];
        let population = cities.iter().map(|at| geography.cities[*at].population).sum();
        let signs = |sign: Ordering| {
            cities.iter().filter(|at| census.balances[**at].sign() == sign).count()
        };
        let first = choices.map(|choices| choices.of_homes(cities));
        Region {
            ix,
            cities: cities.len(),
            population,
            pools: Pools::of(&census.regions[ix.at()], first),
            migration: Migration::of(census.region_balances[ix.at()], population),
            gaining: signs(Ordering::Greater),
            losing: signs(Ordering::Less),
        }
    });
    measured.collect()
}

fn groups(census: &Census, choices: Option<&Choices>, most: usize) -> Vec<Group> {
    let mut order: Vec<usize> = (0..census.groups.len()).collect();
    order.sort_by_key(|at| {
        let tally = &census.groups[*at].1;
        (Reverse(tally.seekers() + tally.jobs()), *at)
    });
    order.truncate(most);
    let mut shown = vec![None; census.groups.len()];
    for (place, at) in order.iter().enumerate() {
        shown[*at] = Some(place);
    }
    let mut cells = vec![Vec::new(); order.len()];
    for ((city, group), cell) in &census.cells {
        if let Some(place) = shown[*group as usize] {
            cells[place].push((*city, *cell));
        }
    }
    let all: Vec<f64> = census.cities.iter().map(|tally| tally.jobs() as f64).collect();
    let measured = order.into_iter().zip(cells).map(|(at, cells)| {
        let (name, tally) = &census.groups[at];
        let mut here = vec![0.0; all.len()];
        for (city, cell) in &cells {
            here[city.at()] = cell.jobs as f64;
        }
        Group {
            name: name.clone(),
            pools: Pools::of(tally, choices.map(|choices| choices.by_group[at])),
            mismatch: mismatch::of_cells(cells.iter().map(|(_, cell)| cell), tally.held),
            concentration: figure(
                specialisation::hoover(&here, &all),
                &[("jobs", tally.jobs() as f64), ("jobs_of_all", census.total.jobs() as f64)],
            ),
        }
    });
    measured.collect()
}

/// A figure with its inputs.
fn figure(value: Value, inputs: &[(&'static str, f64)]) -> Figure {
    Figure::new(value, inputs.iter().copied())
}

/// The least of the sorted values that so many per cent of them are at or below.
fn percentile<T: Copy>(sorted: &[T], percent: usize) -> Option<T> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.max(1) - 1).copied()
}

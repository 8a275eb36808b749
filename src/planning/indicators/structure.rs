//! What the jobs of a city are, by group, and which city near it does the same.

use super::figure;
use crate::domain::{CityIx, Geography};
use crate::planning::census::Census;
use crate::planning::figure::{Figure, Undefined};
use crate::planning::indices::specialisation::{
    Redundancy, herfindahl, krugman, location_quotient, similarity,
};
use std::cmp::{Ordering, Reverse};

/// Kilometres within which a city is a neighbour.
pub const NEIGHBOUR_KM: u32 = 300;
/// Repeated groups that are named.
const REPEATED_MAX: usize = 5;

/// What a city's jobs are.
#[derive(Clone, Debug)]
pub struct Specialisation {
    /// Jobs: openings and those that are filled.
    pub jobs: u64,
    /// Krugman's index.
    pub krugman: Figure,
    /// Herfindahl-Hirschman index.
    pub herfindahl: Figure,
    /// Groups with more jobs than the market's structure would give the city, the largest
    /// surplus first.
    pub specialities: Vec<Speciality>,
    /// The neighbour whose jobs are most alike.
    pub twin: Option<CityIx>,
    /// How alike they are.
    pub similarity: Figure,
    /// Groups that both have and neither has an advantage in, if they are alike; the most
    /// jobs first.
    pub repeated: Vec<Box<str>>,
    /// Whether there are any.
    pub redundant: bool,
}

/// A group in which a city has an advantage.
#[derive(Clone, Debug)]
pub struct Speciality {
    /// The group.
    pub group: Box<str>,
    /// The city's jobs in it.
    pub jobs: u64,
    /// Its location quotient.
    pub quotient: Figure,
}

/// The jobs of all cities by group.
pub struct Structure<'c> {
    census: &'c Census,
    geography: &'c Geography,
    /// By city: (group, jobs), groups ascending, no zeros; and the square root of the sum
    /// of the squares.
    cities: Vec<(Vec<(u32, u64)>, f64)>,
    /// By group, in all cities.
    all: Vec<f64>,
}

impl<'c> Structure<'c> {
    /// Of a census.
    pub fn of(census: &'c Census, geography: &'c Geography) -> Self {
        let cities = (0..geography.cities.len()).map(CityIx::from_offset).map(|city| {
            let cells = census.cells_of(city).filter(|(_, cell)| cell.jobs > 0);
            let jobs: Vec<(u32, u64)> = cells.map(|(group, cell)| (group, cell.jobs)).collect();
            let squares: f64 = jobs.iter().map(|(_, jobs)| (*jobs as f64) * (*jobs as f64)).sum();
            (jobs, libm::sqrt(squares))
        });
        let all = census.groups.iter().map(|(_, tally)| tally.jobs() as f64).collect();
        Self { census, geography, cities: cities.collect(), all }
    }

    /// Of one city, with so many specialities at most.
    pub fn city(&self, city: CityIx, specialities: usize) -> Specialisation {
        let jobs = self.census.cities[city.at()].jobs();
        let mut here = vec![0.0; self.all.len()];
        for (group, jobs) in &self.cities[city.at()].0 {
            here[*group as usize] = *jobs as f64;
        }
        let inputs = [("jobs", jobs as f64), ("jobs_of_all", self.census.total.jobs() as f64)];
        let twin = self.twin(city);
        let alike = twin.map_or(Err(Undefined::TooFew), |twin| self.similarity(city, twin));
        let alike = if jobs == 0 { Err(Undefined::Empty) } else { alike };
        let mut repeated = twin.map_or(Vec::new(), |twin| self.repeated(city, twin, alike));
        let redundant = !repeated.is_empty();
        repeated.truncate(REPEATED_MAX);
        let km = twin.map(|twin| ("km", f64::from(self.geography.km(city, twin))));
        Specialisation {
            jobs,
            krugman: figure(krugman(&here, &self.all), &inputs),
            herfindahl: figure(herfindahl(&here), &inputs[..1]),
            specialities: self.specialities(city, specialities),
            twin,
            similarity: figure(alike, km.as_slice()),
            repeated: repeated.into_iter().map(|group| self.name(group)).collect(),
            redundant,
        }
    }

    fn name(&self, group: u32) -> Box<str> {
        self.census.groups[group as usize].0.clone()
    }

    fn specialities(&self, city: CityIx, most: usize) -> Vec<Speciality> {
        let (all, here) = (self.census.total.jobs(), self.census.cities[city.at()].jobs());
        let surplus = |(group, jobs): &(u32, u64)| {
            let of_group = self.census.groups[*group as usize].1.jobs();
            i128::from(*jobs) * i128::from(all) - i128::from(here) * i128::from(of_group)
        };
        let mut above: Vec<(u32, u64)> =
            self.cities[city.at()].0.iter().copied().filter(|cell| surplus(cell) > 0).collect();
        above.sort_by_key(|cell| (Reverse(surplus(cell)), cell.0));
        above.truncate(most);
        let speciality = |(group, jobs): (u32, u64)| {
            let of_group = self.all[group as usize];
            let inputs = [
                ("jobs", jobs as f64),
                ("jobs_of_city", here as f64),
                ("jobs_of_group", of_group),
                ("jobs_of_all", all as f64),
            ];
            let quotient = location_quotient(jobs as f64, here as f64, of_group, all as f64);
            Speciality { group: self.name(group), jobs, quotient: figure(quotient, &inputs) }
        };
        above.into_iter().map(speciality).collect()
    }

    /// The neighbour whose jobs are most alike; of several the one whose id comes first.
    fn twin(&self, city: CityIx) -> Option<CityIx> {
        let cities = (0..self.cities.len()).map(CityIx::from_offset);
        let near = cities
            .filter(|other| *other != city && self.geography.km(city, *other) <= NEIGHBOUR_KM);
        let alike = near.filter_map(|other| Some((self.cosine(city, other)?, other)));
        let best = alike.max_by(|(a, one), (b, other)| {
            let id = |ix: &CityIx| &self.geography.city(*ix).id;
            a.total_cmp(b).then_with(|| id(other).cmp(id(one)))
        });
        best.map(|(_, other)| other)
    }

    /// The cosine of the jobs of two cities, where both have any: for choosing among many,
    /// without writing out the groups that they do not have.
    fn cosine(&self, one: CityIx, other: CityIx) -> Option<f64> {
        let ((one, length), (other, other_length)) =
            (&self.cities[one.at()], &self.cities[other.at()]);
        let lengths = length * other_length;
        let products: f64 = shared(one, other).map(|(_, a, b)| (a as f64) * (b as f64)).sum();
        (lengths > 0.0).then(|| products / lengths)
    }

    fn similarity(&self, one: CityIx, other: CityIx) -> crate::planning::figure::Value {
        let dense = |city: CityIx| {
            let mut jobs = vec![0.0; self.all.len()];
            self.cities[city.at()]
                .0
                .iter()
                .for_each(|(group, n)| jobs[*group as usize] = *n as f64);
            jobs
        };
        similarity(&dense(one), &dense(other))
    }

    /// Groups in which both of two cities that are alike have jobs and neither has an
    /// advantage, the most jobs of the first first.
    fn repeated(&self, one: CityIx, other: CityIx, alike: super::Value) -> Vec<u32> {
        let rule = Redundancy::default();
        let all = self.census.total.jobs() as f64;
        let weak = |city: CityIx, group: u32, jobs: u64| {
            let here = self.census.cities[city.at()].jobs() as f64;
            let quotient = location_quotient(jobs as f64, here, self.all[group as usize], all);
            rule.alerts(alike, quotient) == Ok(true)
        };
        let both = shared(&self.cities[one.at()].0, &self.cities[other.at()].0);
        let mut groups: Vec<(u32, u64)> = both
            .filter(|(group, a, b)| weak(one, *group, *a) && weak(other, *group, *b))
            .map(|(group, jobs, _)| (group, jobs))
            .collect();
        groups.sort_by_key(|(group, jobs)| (Reverse(*jobs), *group));
        groups.into_iter().map(|(group, _)| group).collect()
    }
}

/// What two ascending lists have in common: (group, jobs of one, jobs of the other).
fn shared<'l>(
    one: &'l [(u32, u64)],
    other: &'l [(u32, u64)],
) -> impl Iterator<Item = (u32, u64, u64)> + 'l {
    let mut rest = other;
    one.iter().filter_map(move |(group, jobs)| {
        let before = rest.partition_point(|(their, _)| their.cmp(group) == Ordering::Less);
        rest = &rest[before..];
        let (their, theirs) = rest.first()?;
        (their == group).then_some((*group, *jobs, *theirs))
    })
}

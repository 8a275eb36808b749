//! Cutoffs as shadow prices: what a worker must beat to get in where something is full.

use super::{figure, percentile};
use crate::domain::{CityIx, VacancySlot};
use crate::matching::Control;
use crate::planning::Error;
use crate::planning::figure::{Figure, Undefined, ratio};
use crate::state::{Bars, Full, VacancyStatus, View};

/// Cutoffs of a market or a city.
#[derive(Clone, Debug)]
pub struct Cutoffs {
    /// Open vacancies.
    pub vacancies: u64,
    /// Of these, full of their own.
    pub full: u64,
    /// Not full, but in a place at its intake cap.
    pub capped: u64,
    /// Of the full and the capped, those that nobody gets into.
    pub closed: u64,
    /// Mean of the cutoffs that can be beaten, in basis points.
    pub mean: Figure,
    /// Their 10th percentile.
    pub p10: Figure,
    /// Their median.
    pub p50: Figure,
    /// Their 90th percentile.
    pub p90: Figure,
}

/// What was found in one city.
#[derive(Clone, Debug, Default)]
struct Found {
    vacancies: u64,
    full: u64,
    capped: u64,
    closed: u64,
    scores: Vec<i64>,
}

/// The cutoffs of all open vacancies, by city.
#[derive(Clone, Debug)]
pub struct Scores(Vec<Found>);

impl Scores {
    /// Of a snapshot's matching.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `control` says so.
    pub fn of(view: &View, bars: &Bars, control: &Control) -> Result<Self, Error> {
        let mut cities = vec![Found::default(); view.head.geography.cities.len()];
        control.check()?;
        for (at, row) in view.vacancies.iter().enumerate() {
            if row.status != VacancyStatus::Open {
                continue;
            }
            let found = &mut cities[row.vacancy.city.at()];
            found.vacancies += 1;
            let bar = bars.bar(VacancySlot::from_offset(at));
            match bar.binding {
                None => continue,
                Some(Full::Openings) => found.full += 1,
                Some(Full::Place(_)) => found.capped += 1,
            }
            match bar.closed {
                true => found.closed += 1,
                false => found.scores.push(bar.score),
            }
        }
        Ok(Self(cities))
    }

    /// Of one city.
    pub fn city(&self, city: CityIx) -> Cutoffs {
        summed(std::slice::from_ref(&self.0[city.at()]))
    }

    /// Of all cities together.
    pub fn all(&self) -> Cutoffs {
        summed(&self.0)
    }
}

fn summed(cities: &[Found]) -> Cutoffs {
    let mut scores: Vec<i64> = cities.iter().flat_map(|found| &found.scores).copied().collect();
    scores.sort_unstable();
    let sum = scores.iter().map(|score| i128::from(*score)).sum::<i128>() as f64;
    let binding = scores.len() as f64;
    let at = |percent| {
        let score = percentile(&scores, percent);
        let value = score.map(|score| score as f64).ok_or(Undefined::TooFew);
        figure(value, &[("binding", binding)])
    };
    let count = |of: fn(&Found) -> u64| cities.iter().map(of).sum();
    Cutoffs {
        vacancies: count(|found| found.vacancies),
        full: count(|found| found.full),
        capped: count(|found| found.capped),
        closed: count(|found| found.closed),
        mean: figure(
            ratio(sum, binding, Undefined::TooFew),
            &[("cutoffs_bp", sum), ("binding", binding)],
        ),
        p10: at(10),
        p50: at(50),
        p90: at(90),
    }
}

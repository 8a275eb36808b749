//! What each seeker would choose first: their favourite of all vacancies that are
//! acceptable on both sides and could take anybody. It is what the engine answers while
//! nobody holds anything.

use super::{Sample, figure};
use crate::domain::CityIx;
use crate::matching::{Control, Engine};
use crate::planning::Error;
use crate::planning::census::{Census, Grouping};
use crate::planning::draw::Draw;
use crate::planning::figure::{Figure, Undefined, ratio};
use crate::state::View;
use std::ops::AddAssign;

/// Questions between two looks at whether to go on.
const ASKED_AT_ONCE: usize = 64;

/// Of matched seekers who were asked, those who hold their first choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Matched seekers who were asked.
    pub matched: u64,
    /// Of these, who hold their first choice.
    pub first: u64,
}

impl AddAssign for Share {
    fn add_assign(&mut self, other: Self) {
        self.matched += other.matched;
        self.first += other.first;
    }
}

/// First choices of those who were asked.
#[derive(Clone, Debug)]
pub struct Choices {
    /// By home city.
    pub by_home: Vec<Share>,
    /// By number of the group in the census.
    pub by_group: Vec<Share>,
    /// By city: first choices there, and of these those of people who live elsewhere.
    attracted: Vec<(u64, u64)>,
    asked: u64,
    seekers: u64,
}

impl Choices {
    /// Asks the seekers, or about `most` of them.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when `control` says so.
    pub fn of(
        view: &View,
        census: &Census,
        grouping: &Grouping,
        most: usize,
        control: &Control,
    ) -> Result<Self, Error> {
        let mut problem = view.problem();
        let seekers = problem.workers.len();
        let draw = Draw::at_most(most, seekers);
        problem.workers.retain(|seeker| draw.takes(seeker.worker.id.bytes()));
        let cities = census.cities.len();
        let mut choices = Self {
            by_home: vec![Share::default(); cities],
            by_group: vec![Share::default(); census.groups.len()],
            attracted: vec![(0, 0); cities],
            asked: problem.workers.len() as u64,
            seekers: seekers as u64,
        };
        control.check()?;
        let mut engine = Engine::new(&problem);
        for (number, seeker) in problem.workers.iter().enumerate() {
            if number.is_multiple_of(ASKED_AT_ONCE) {
                control.check()?;
            }
            let offer = engine.demand(number as u32);
            let favourite =
                offer.map(|offer| &problem.vacancies[engine.vacancy_at(offer.place) as usize]);
            let home = seeker.worker.home;
            if let Some(post) = favourite {
                let (all, elsewhere) = &mut choices.attracted[post.vacancy.city.at()];
                *all += 1;
                *elsewhere += u64::from(home != post.vacancy.city);
            }
            let Some(held) = view.worker(seeker.slot).held else { continue };
            let first = favourite.is_some_and(|post| post.slot == held.vacancy);
            let share = Share { matched: 1, first: u64::from(first) };
            choices.by_home[home.at()] += share;
            let group = grouping.group_of(&seeker.worker.labels);
            if let Ok(group) = census.groups.binary_search_by(|(name, _)| (**name).cmp(group)) {
                choices.by_group[group] += share;
            }
        }
        Ok(choices)
    }

    /// Of the whole market.
    pub fn everybody(&self) -> Share {
        self.sum(self.by_home.iter())
    }

    /// Of those who live in these cities.
    pub fn of_homes(&self, cities: &[usize]) -> Share {
        self.sum(cities.iter().map(|at| &self.by_home[*at]))
    }

    fn sum<'s>(&self, shares: impl Iterator<Item = &'s Share>) -> Share {
        shares.fold(Share::default(), |mut sum, share| {
            sum += *share;
            sum
        })
    }

    /// Share of those asked whose first choice is in the city.
    pub fn attractiveness(&self, city: CityIx) -> Figure {
        let (all, elsewhere) = self.attracted[city.at()];
        let (all, elsewhere, asked) = (all as f64, elsewhere as f64, self.asked as f64);
        let inputs = [("first_choices", all), ("from_elsewhere", elsewhere), ("asked", asked)];
        figure(ratio(all, asked, Undefined::NoSeekers), &inputs)
    }

    /// How many were asked, if not all.
    pub fn sample(&self) -> Option<Sample> {
        (self.asked < self.seekers).then(|| Sample {
            workers: self.asked,
            workers_of: self.seekers,
            ..Sample::default()
        })
    }
}

//! The market as those see it who have the same skills.
//!
//! The same vacancies could take any of them. A *lens* is turned to some workers of one
//! *craft* (set of skills), who ask one after the other. City by city, and once more for all
//! cities together, it lists the places that could take the best of them, best real salary
//! first, as far as somebody looks, with screens of their own in which the cutoffs are
//! built in. Meanwhile cutoffs only rise: what refuses now refuses for good, and what the
//! lens knows of a cutoff may be too low, but not too high.

use super::demand::Question;
use super::index::{Cell, Index, Place, Top};
use super::kernels::{Bounds, LANES, Levels, prefetch};
use super::key::Key;
use super::moves::Moves;
use super::screens::{Screens, Shift, bar, fit_of};
use super::standing::Standing;
use crate::domain::{CityIx, Mobility};
use crate::mutants;
use std::cmp::Reverse;
use std::collections::HashMap;

/// Those who look at a city from which on it pays to share what is seen.
const SHARED_MIN: u32 = 4;
/// Screens of the index that are looked through at once, at least.
const STEP: usize = 4;
/// How many cells or places ahead memory is asked for.
const AHEAD: usize = 8;

/// See the module. By default it is turned to nobody.
#[derive(Default)]
pub(super) struct Lens {
    views: HashMap<Option<CityIx>, View, foldhash::fast::FixedState>,
    /// The best level of any of them, by skill.
    ceiling: Levels,
}

/// What the lens shows of a city, or of all.
pub(super) struct View {
    /// The city; all, if there is none.
    city: Option<CityIx>,
    /// How many look at it.
    lookers: u32,
    /// The best rank among them.
    rank: u32,
    /// No place that pays more takes any of them.
    top: i64,
    /// Screens of the index that have been looked through.
    looked_through: usize,
    /// Cells that may have something, and the bounds on the fit.
    cells: Vec<(u32, u32)>,
    /// Places found there, of which others yet to be found may pay more.
    found: Vec<Sight>,
    /// Best real salary first.
    shown: Vec<Sight>,
    screens: Screens,
    ends: Vec<Ends>,
}

/// A place that could take somebody.
#[derive(Clone, Copy)]
pub(super) struct Sight {
    pub at: Place,
    pub place: u32,
    pub city: CityIx,
    bar: u16,
}

/// What the places behind a screen pay.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub top_salary: i64,
    pub top_real: i64,
    pub bottom_real: i64,
}

impl Lens {
    /// Turns it to workers who have the same skills.
    pub fn focus(&mut self, index: &Index, moves: &mut Moves, group: &[Question]) {
        self.views.clear();
        self.ceiling = index.numbering.without_skills();
        for question in group {
            let worker = &*index.problem.workers[question.worker as usize].worker;
            index.numbering.raise(&mut self.ceiling, worker);
            let (terms, home, below) = (index.terms(), worker.home, question.below);
            let rank = index.ranks.worker(question.worker);
            self.expect(Some(home), rank, below);
            match &worker.mobility {
                Mobility::HomeOnly => {}
                Mobility::Listed(cities) => {
                    for city in cities.iter().copied().filter(|city| *city != home) {
                        let annual = terms.annual_move(worker, city);
                        self.expect(Some(city), rank, below.saturating_add(annual));
                    }
                }
                Mobility::Any => {
                    let (_, most) = moves.range(home, |city| terms.move_cost(home, city));
                    let annual = terms.annual_cost(most, worker.cost_percent);
                    self.expect(None, rank, below.saturating_add(annual));
                }
            }
        }
        self.views.retain(|_, view| view.lookers >= SHARED_MIN);
    }

    /// Forgets what it has shown.
    pub fn forget(&mut self) {
        self.views.clear();
    }

    /// One more will look there, for places that pay no more than `top`.
    fn expect(&mut self, city: Option<CityIx>, rank: u32, top: i64) {
        let view = self.views.entry(city).or_insert_with(|| View::of(city));
        view.lookers += 1;
        view.rank = view.rank.min(rank);
        view.top = view.top.max(top);
    }

    /// Whether it shows a city, or all cities together.
    #[inline]
    pub fn shows(&self, city: Option<CityIx>) -> bool {
        !self.views.is_empty() && self.views.contains_key(&city)
    }

    /// A city that it shows, if there is anything behind screen number `screen`.
    pub fn view<S: Standing>(
        &mut self,
        index: &Index,
        standing: &S,
        city: Option<CityIx>,
        screen: usize,
    ) -> Option<&mut View> {
        let view = self.views.get_mut(&city)?;
        while screen >= view.ends.len() {
            if !view.look_further(index, standing, &self.ceiling) {
                return None;
            }
        }
        Some(view)
    }

    /// The best real salary from a screen on, as far as it is known; `None` if there is
    /// nothing.
    pub fn top_real(&self, index: &Index, city: Option<CityIx>, screen: usize) -> Option<i64> {
        let view = self.views.get(&city)?;
        let shown = view.ends.get(screen).map(|ends| ends.top_real);
        let found = || view.found.iter().map(|sight| sight.at.real).max();
        shown.or_else(|| found().max(view.unseen(index)))
    }
}

impl View {
    fn of(city: Option<CityIx>) -> Self {
        Self {
            city,
            lookers: 0,
            rank: u32::MAX,
            top: i64::MIN,
            looked_through: 0,
            cells: Vec::new(),
            found: Vec::new(),
            shown: Vec::new(),
            screens: Screens::default(),
            ends: Vec::new(),
        }
    }

    /// What the places behind a screen pay.
    pub fn ends(&self, screen: usize) -> Ends {
        self.ends[screen]
    }

    /// The place behind a lane of a screen.
    #[inline]
    pub fn sight(&self, screen: usize, lane: usize) -> Sight {
        self.shown[screen * LANES + lane]
    }

    /// The screens.
    pub fn screens(&self) -> &Screens {
        &self.screens
    }

    /// The first screen behind which something pays so little.
    pub fn first_paying(&self, real: i64) -> usize {
        self.ends.partition_point(|ends| ends.bottom_real > real)
    }

    /// The cutoff behind a lane is now that.
    pub fn note(&mut self, screen: usize, lane: usize, cutoff: Key) {
        self.screens.set_bar(screen, lane, bar(cutoff.score()));
    }

    /// The screens of the index to look through, the best first.
    fn tops<'i>(&self, index: &'i Index) -> &'i [Top] {
        match self.city {
            Some(city) => &index.quarters[city.at()].tops,
            None => &index.parade,
        }
    }

    /// The best real salary behind screens that have not been looked through.
    fn unseen(&self, index: &Index) -> Option<i64> {
        self.tops(index).get(self.looked_through).map(|top| top.real)
    }

    /// Shows at least one screen more; false if there is nothing more to show.
    fn look_further<S: Standing>(&mut self, index: &Index, standing: &S, best: &Levels) -> bool {
        let (tops, shown) = (self.tops(index), self.ends.len());
        let mut step = STEP.max(self.looked_through / 2);
        while self.ends.len() == shown {
            if self.looked_through == tops.len() && self.found.is_empty() {
                return false;
            }
            let end = tops.len().min(self.looked_through + step);
            for top in &tops[self.looked_through..end] {
                if top.bottom <= self.top {
                    self.look_through(index, top, best);
                }
            }
            self.looked_through = end;
            self.look_at_cells(index, standing);
            self.show(index);
            step *= 2;
        }
        true
    }

    /// Notes the cells behind a screen that could take the best.
    fn look_through(&mut self, index: &Index, top: &Top, best: &Levels) {
        let (quarter, block) = (&index.quarters[top.city.at()], top.block as usize);
        let mut bounds = Bounds([0; LANES]);
        let screens = &quarter.screens;
        let mut passed = screens.screen(block, index.kernels, best, &mut bounds, Shift::NONE);
        while passed != 0 {
            let lane = passed.trailing_zeros();
            passed &= passed - 1;
            let cell = quarter.cells.start + (block * LANES) as u32 + lane;
            self.cells.push((cell, fit_of(&bounds, lane as usize)));
        }
    }

    /// Finds places in the cells noted. Cells lie far apart: the processor is told where it
    /// goes next, and takes no branches on what it waits for.
    fn look_at_cells<S: Standing>(&mut self, index: &Index, standing: &S) {
        let mut cells = std::mem::take(&mut self.cells);
        let best = |fit: u32| Key::new(index.terms().score(fit, 0, true), self.rank);
        let mut open = 0;
        for at in 0..cells.len() {
            if let Some((ahead, _)) = cells.get(at + 2 * AHEAD) {
                standing.expect_cell(*ahead);
            }
            cells.swap(open, at);
            let (cell, fit) = cells[open];
            open += usize::from(best(fit) > standing.cell_floor(cell));
        }
        cells.truncate(open);
        for (at, (cell, fit)) in cells.iter().enumerate() {
            if let Some((ahead, _)) = cells.get(at + 2 * AHEAD) {
                prefetch(&index.cells, *ahead as usize);
            }
            if let Some((ahead, _)) = cells.get(at + AHEAD) {
                let places = &index.cells[*ahead as usize].places;
                prefetch(&index.places, places.start as usize);
                prefetch(&index.places, places.end as usize - 1);
                standing.expect(places.start);
            }
            let cell = &index.cells[*cell as usize];
            find(&mut self.found, cell, index, standing, best(*fit), self.top);
        }
        cells.clear();
        self.cells = cells;
    }

    /// Shows what has been found, as far as nothing that pays more can come.
    fn show(&mut self, index: &Index) {
        let unseen = self.unseen(index).unwrap_or(i64::MIN);
        let mut ready = 0;
        for at in 0..self.found.len() {
            if self.found[at].at.real >= unseen {
                self.found.swap(ready, at);
                ready += 1;
            }
        }
        self.found[..ready].sort_unstable_by_key(|sight| (Reverse(sight.at.real), sight.place));
        if unseen > i64::MIN {
            // The last screen is filled when there is more.
            ready -= ready % LANES;
        }
        let ready: Vec<Sight> = self.found.drain(..ready).collect();
        for alike in ready.chunks(LANES) {
            for (lane, sight) in alike.iter().enumerate() {
                if let Some(ahead) = alike.get(lane + 2 * AHEAD) {
                    prefetch(&index.fitting.profiles, ahead.at.profile as usize);
                }
                if let Some(ahead) = alike.get(lane + AHEAD) {
                    index.fitting.expect(ahead.at.profile);
                }
                let list = &index.fitting.profiles[sight.at.profile as usize];
                self.screens.push(&index.numbering, &index.fitting, lane, list);
                self.screens.set_bar(self.ends.len(), lane, sight.bar);
                self.shown.push(*sight);
            }
            self.ends.push(Ends {
                top_salary: alike.iter().map(|sight| sight.at.salary).max().unwrap_or(0),
                top_real: alike[0].at.real,
                bottom_real: alike[alike.len() - 1].at.real,
            });
        }
    }
}

/// Adds the places of a cell that take somebody with that key and pay no more than `top`.
fn find<S: Standing>(
    found: &mut Vec<Sight>,
    cell: &Cell,
    index: &Index,
    standing: &S,
    best: Key,
    top: i64,
) {
    let Cell { places, city, .. } = cell;
    let inside = &index.places[places.start as usize..places.end as usize];
    let own = standing.own(places.clone());
    // What is full around the city refuses with it.
    let set = match mutants::active("full-city-unseen") {
        false => standing.city_bar(index, *city).key,
        true => Key::NONE,
    };
    let unfair = 600 * u16::from(mutants::active("bar-too-high"));
    let sights = places.clone().zip(inside).zip(own).map(|((place, at), own)| {
        let bar = bar(own.max(&set).score()).saturating_add(unfair);
        (Sight { at: *at, place, city: *city, bar }, best > *own && best >= set && at.real <= top)
    });
    for (sight, opens) in sights {
        found.push(sight);
        found.truncate(found.len() - usize::from(!opens));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who asks again begins at the first screen behind which anything pays little enough,
    /// and not one too low. Method: every border between screens.
    #[test]
    fn first_screen_that_pays_little_enough() {
        let mut view = View::of(None);
        for bottom_real in [90, 70, 70, 40] {
            let (top_salary, top_real) = (bottom_real + 9, bottom_real + 9);
            view.ends.push(Ends { top_salary, top_real, bottom_real });
        }
        let first = |real| view.first_paying(real);
        assert_eq!([first(99), first(90), first(89), first(70)], [0, 0, 1, 1]);
        assert_eq!([first(69), first(40), first(39)], [3, 3, 4]);
    }
}

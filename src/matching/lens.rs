//! The market as those see it who have the same skills.
//!
//! The same vacancies could take any of them. A *lens* is turned to some workers of one
//! *craft* (set of skills), who ask one after the other. City by city, and once more for all
//! cities together, it lists the places that could take the best of them, best real salary
//! first, as far as somebody looks, with screens of their own in which the cutoffs are
//! built in. Meanwhile cutoffs stand still.

use super::demand::Question;
use super::found::Found;
use super::index::{Cell, Index, Sight, Top};
use super::kernels::{Bounds, LANES, Levels, SKILLS, lanes, prefetch};
use super::key::Key;
use super::moves::Moves;
use super::pay_order::PayOrder;
use super::screens::{Screens, Shift, Stakes, bar, fit_of, pay};
use super::standing::Standing;
use crate::domain::limits::FIT_MAX;
use crate::domain::{CityIx, Mobility};
use crate::mutants;
use std::ops::Range;

/// Those who look at a city from which on it pays to share what is seen.
const SHARED_MIN: u32 = 3;
/// Screens of the index that are looked through at once, at least.
const STEP: usize = 4;
/// And one in so many of those that have been looked through: the more that is, the less of what
/// the last step finds is for nobody.
const STEP_ONE_IN: usize = 16;
/// How many cells or places ahead memory is asked for.
const AHEAD: usize = 8;

/// See the module.
pub(super) struct Lens {
    /// By city, and one more for all cities together: what is shown.
    views: Vec<Option<Box<View>>>,
    /// The same: those who look there.
    crowds: Vec<Crowd>,
    /// Where anybody looks.
    looked_at: Vec<u32>,
}

/// Those who look at a city, or at all.
#[derive(Clone)]
struct Crowd {
    /// How many.
    lookers: u32,
    /// The best rank among them.
    rank: u32,
    /// No place that pays more takes any of them.
    top: i64,
    /// Whether any of them lives there: the others have no bonus.
    local: bool,
    /// The best level of any of them, by skill.
    ceiling: Levels,
}

impl Crowd {
    const NOBODY: Self = Self {
        lookers: 0,
        rank: u32::MAX,
        top: i64::MIN,
        local: false,
        ceiling: Levels([0; SKILLS]),
    };

    /// One more, who takes no place that pays more than `top`.
    fn join(&mut self, rank: u32, top: i64, levels: &Levels) {
        self.lookers += 1;
        self.rank = self.rank.min(rank);
        self.top = self.top.max(top);
        if mutants::active("ceiling-of-the-first") && self.lookers > 1 {
            return;
        }
        for (best, level) in self.ceiling.0.iter_mut().zip(&levels.0) {
            *best = (*best).max(*level);
        }
    }
}

/// What the lens shows of a city, or of all.
pub(super) struct View {
    /// The city; all, if there is none.
    city: Option<CityIx>,
    crowd: Crowd,
    /// Screens of the index that have been looked through.
    looked_through: usize,
    /// Cells that may have something, and the bounds on the fit.
    cells: Vec<(u32, u32)>,
    /// The turn of the first place in the order of pay.
    start: u32,
    /// Turns of places found there, from then on, that are not shown yet.
    found: Found,
    /// Best real salary first.
    shown: Vec<Sight>,
    /// Of all cities together: where they are and what they pay, side by side.
    pays: Vec<(CityIx, i64)>,
    screens: Screens,
    ends: Vec<Ends>,
}

/// What the places behind a screen pay.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub top_salary: i64,
    pub top_real: i64,
    pub bottom_real: i64,
}

impl Lens {
    /// One that is turned to nobody, among so many cities.
    pub fn among(cities: usize) -> Self {
        Self {
            views: (0..=cities).map(|_| None).collect(),
            crowds: vec![Crowd::NOBODY; cities + 1],
            looked_at: Vec::new(),
        }
    }

    /// Turns it to workers who have the same skills.
    pub fn focus(&mut self, index: &Index, moves: &mut Moves, group: &[Question]) {
        if group.len() < SHARED_MIN as usize {
            return;
        }
        for (at, question) in group.iter().enumerate() {
            index.expect_workers(|ahead| group.get(at + ahead).map(|ahead| ahead.worker));
            let worker = &*index.problem.workers[question.worker as usize].worker;
            let (terms, home, below) = (index.terms(), worker.home, question.below);
            let (rank, levels) =
                (index.ranks.worker(question.worker), index.numbering.levels(worker));
            let crowd = self.crowd(Some(home));
            crowd.join(rank, below, &levels);
            crowd.local = !mutants::active("nobody-is-local");
            match &worker.mobility {
                Mobility::HomeOnly => {}
                Mobility::Listed(cities) => {
                    for city in cities.iter().copied().filter(|city| *city != home) {
                        let annual = terms.annual_move(worker, city);
                        let top = below.saturating_add(annual);
                        self.crowd(Some(city)).join(rank, top, &levels);
                    }
                }
                Mobility::Any => {
                    let (_, most) = moves.range(home, |city| terms.move_cost(home, city));
                    let annual = terms.annual_cost(most, worker.cost_percent);
                    self.crowd(None).join(rank, below.saturating_add(annual), &levels);
                }
            }
        }
        for at in &self.looked_at {
            let crowd = std::mem::replace(&mut self.crowds[*at as usize], Crowd::NOBODY);
            if crowd.lookers >= SHARED_MIN {
                let is_all = *at as usize + 1 == self.views.len();
                let city = (!is_all).then(|| CityIx::from_offset(*at as usize));
                let turns = match city {
                    Some(city) => index.quarters[city.at()].places.clone(),
                    None => 0..index.pay_in_all.len(),
                };
                self.views[*at as usize] = Some(Box::new(View::of(city, turns, crowd)));
            }
        }
    }

    /// Forgets what it has shown.
    pub fn forget(&mut self) {
        self.looked_at.drain(..).for_each(|at| self.views[at as usize] = None);
    }

    /// Those who will look there.
    fn crowd(&mut self, city: Option<CityIx>) -> &mut Crowd {
        let at = self.number(city);
        if self.crowds[at].lookers == 0 {
            self.looked_at.push(at as u32);
        }
        &mut self.crowds[at]
    }

    /// Where the view of a city stands, or that of all.
    #[inline]
    fn number(&self, city: Option<CityIx>) -> usize {
        city.map_or(self.views.len() - 1, CityIx::at)
    }

    /// Whether it shows a city, or all cities together.
    #[inline]
    pub fn shows(&self, city: Option<CityIx>) -> bool {
        self.views[self.number(city)].is_some()
    }

    /// The view of a city that it shows, or that of all.
    #[inline]
    pub fn view(&self, city: Option<CityIx>) -> Option<&View> {
        self.views[self.number(city)].as_deref()
    }

    /// Takes out the view of a city that it shows, to be put back.
    pub fn take(&mut self, city: Option<CityIx>) -> Option<Box<View>> {
        let at = self.number(city);
        self.views[at].take()
    }

    /// Puts it back.
    pub fn put_back(&mut self, view: Box<View>) {
        let at = self.number(view.city);
        self.views[at] = Some(view);
    }
}

impl View {
    /// Of a city, or all, whose places have these turns in the order of pay.
    fn of(city: Option<CityIx>, turns: Range<u32>, crowd: Crowd) -> Self {
        Self {
            city,
            crowd,
            looked_through: 0,
            cells: Vec::new(),
            start: turns.start,
            found: Found::among(turns.len()),
            shown: Vec::new(),
            pays: Vec::new(),
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

    /// Where the place behind a lane of a screen of all cities is, and its real salary.
    #[inline]
    pub fn pay(&self, screen: usize, lane: usize) -> (CityIx, i64) {
        self.pays[screen * LANES + lane]
    }

    /// The screens.
    pub fn screens(&self) -> &Screens {
        &self.screens
    }

    /// The first screen behind which something pays so little.
    pub fn first_paying(&self, real: i64) -> usize {
        self.ends.partition_point(|ends| ends.bottom_real > real)
    }

    /// The best real salary from a screen on, as far as it is known; `None` if there is
    /// nothing.
    #[inline]
    pub fn top_real(&self, index: &Index, screen: usize) -> Option<i64> {
        let shown = self.ends.get(screen).map(|ends| ends.top_real);
        let ripe = || Some(index.places[self.place(index, self.found.first()?) as usize].real);
        shown.or_else(ripe).or_else(|| Some(self.unseen(index)?.real))
    }

    /// The order in which it shows places.
    fn order<'i>(&self, index: &'i Index) -> &'i PayOrder {
        match self.city {
            Some(_) => &index.pay_in_cities,
            None => &index.pay_in_all,
        }
    }

    /// The place that was found with that turn.
    fn place(&self, index: &Index, turn: u32) -> u32 {
        self.order(index).place(self.start + turn)
    }

    /// The screens of the index to look through, the best first.
    fn tops<'i>(&self, index: &'i Index) -> &'i [Top] {
        match self.city {
            Some(city) => &index.quarters[city.at()].tops,
            None => &index.parade,
        }
    }

    /// The best of the screens that have not been looked through.
    fn unseen<'i>(&self, index: &'i Index) -> Option<&'i Top> {
        self.tops(index).get(self.looked_through)
    }

    /// Shows so much that there is something behind screen number `screen`; false if nothing is.
    pub fn reaches<S: Standing>(&mut self, index: &Index, standing: &S, screen: usize) -> bool {
        while screen >= self.ends.len() {
            if self.found.ripe() < LANES {
                self.look_further(index, standing);
            }
            if self.found.ripe() == 0 {
                return false;
            }
            self.show(index, standing);
        }
        true
    }

    /// Looks through more of the index, until there is enough for a screen or nothing is left.
    fn look_further<S: Standing>(&mut self, index: &Index, standing: &S) {
        let tops = self.tops(index);
        let mut step = STEP.max(self.looked_through / STEP_ONE_IN);
        while self.found.ripe() < LANES && self.looked_through < tops.len() {
            let end = tops.len().min(self.looked_through + step);
            for at in self.looked_through..end {
                let top = &tops[at];
                if let Some(ahead) = tops.get(at + AHEAD / 2) {
                    index.quarters[ahead.city.at()].screens.expect(ahead.block as usize);
                }
                if top.bottom <= self.crowd.top {
                    self.look_through(index, standing, top);
                }
            }
            self.looked_through = end;
            self.look_at_cells(index, standing);
            // Whatever pays more than what has not been looked through has been found.
            let early = if mutants::active("ripe-too-early") { LANES as u32 } else { 0 };
            let end = self.unseen(index).map_or(u32::MAX, |top| top.before + early);
            self.found.ripen(end.min(self.found.len()));
            step *= 2;
        }
    }

    /// Notes the cells behind a screen that could take the best.
    fn look_through<S: Standing>(&mut self, index: &Index, standing: &S, top: &Top) {
        let (quarter, block) = (&index.quarters[top.city.at()], top.block as usize);
        let mut bounds = Bounds([0; LANES]);
        let (screens, best) = (&quarter.screens, &self.crowd.ceiling);
        let passed = screens.screen(block, index.kernels, best, &mut bounds, Shift::NONE);
        for lane in lanes(passed) {
            let cell = quarter.cells.start + (block * LANES + lane) as u32;
            standing.expect_cell(cell);
            self.cells.push((cell, fit_of(&bounds, lane)));
        }
    }

    /// Finds places in the cells noted. Cells lie far apart: the processor is told where it
    /// goes next, and takes no branches on what it waits for.
    fn look_at_cells<S: Standing>(&mut self, index: &Index, standing: &S) {
        let mut cells = std::mem::take(&mut self.cells);
        let Crowd { local, rank, .. } = self.crowd;
        let best = |fit| Key::new(index.terms().score(fit, 0, local), rank);
        let mut open = 0;
        for at in 0..cells.len() {
            cells.swap(open, at);
            let (cell, fit) = cells[open];
            prefetch(&index.cells, cell as usize);
            open += usize::from(best(fit) > standing.cell_floor(cell));
        }
        cells.truncate(open);
        let turns = self.order(index).turns();
        for (at, (cell, fit)) in cells.iter().enumerate() {
            if let Some((ahead, _)) = cells.get(at + AHEAD) {
                let places = &index.cells[*ahead as usize].places;
                for place in [places.start, places.end - 1] {
                    prefetch(turns, place as usize);
                    standing.expect(place);
                }
            }
            self.find(index, standing, turns, &index.cells[*cell as usize], best(*fit));
        }
        cells.clear();
        self.cells = cells;
    }

    /// Notes the places of a cell that take somebody with that key and pay no more than anybody
    /// is to find.
    fn find<S: Standing>(
        &mut self,
        index: &Index,
        standing: &S,
        turns: &[u32],
        cell: &Cell,
        best: Key,
    ) {
        // What is full around the city refuses with it.
        if best < standing.city_bar(index, cell.city).key && !mutants::active("full-city-unseen") {
            return;
        }
        let mut places = cell.places.clone();
        if cell.top_real > self.crowd.top {
            let inside = &index.places[places.start as usize..places.end as usize];
            places.start += inside.partition_point(|at| at.real > self.crowd.top) as u32;
        }
        let turns = &turns[places.start as usize..places.end as usize];
        for (own, turn) in standing.own(places).iter().zip(turns) {
            self.found.note(turn - self.start, best > *own);
        }
    }

    /// Shows one screen more.
    fn show<S: Standing>(&mut self, index: &Index, standing: &S) {
        let start = self.shown.len();
        let mut places = [0; LANES];
        let mut len = 0;
        while let Some(turn) = (len < LANES).then(|| self.found.take()).flatten() {
            places[len] = self.place(index, turn);
            prefetch(&index.places, places[len] as usize);
            standing.expect(places[len]);
            len += 1;
        }
        for place in places[..len].iter().filter(|_| self.city.is_none()) {
            prefetch(&index.cells, index.places[*place as usize].cell as usize);
        }
        for place in &places[..len] {
            let sight = self.sight_of(index, standing, *place);
            index.fitting.expect(sight.profile);
            self.shown.push(sight);
        }
        let alike = &self.shown[start..];
        if self.city.is_none() {
            self.pays.extend(alike.iter().map(|sight| (sight.city, sight.real)));
        }
        let profile = |sight: &Sight| &index.fitting.profiles[sight.profile as usize];
        self.screens.add(&index.numbering, &index.fitting, alike.iter().map(profile));
        let ends = Ends::of(alike);
        self.screens.stake(stakes(index, standing, alike, &ends));
        self.ends.push(ends);
    }

    fn sight_of<S: Standing>(&self, index: &Index, standing: &S, place: u32) -> Sight {
        let city = self.city.unwrap_or_else(|| index.city(place));
        let own = standing.own(place..place + 1)[0];
        Sight::of(place, &index.places[place as usize], city, own)
    }
}

/// What is at stake behind a screen.
fn stakes<S: Standing>(index: &Index, standing: &S, sights: &[Sight], ends: &Ends) -> Stakes {
    let (mut stakes, whole) = (Stakes::NONE, index.terms().fit_worth(FIT_MAX));
    let unfair = 600 * u16::from(mutants::active("bar-too-high"));
    for (lane, sight) in sights.iter().enumerate() {
        let set = match mutants::active("full-city-unseen") {
            false => standing.city_bar(index, sight.city).key,
            true => Key::NONE,
        };
        stakes.bars[lane] = bar(sight.own.max(set).score()).saturating_add(unfair);
        stakes.pays[lane] = pay(sight.real - ends.bottom_real, whole);
    }
    stakes
}

impl Ends {
    fn of(sights: &[Sight]) -> Self {
        Self {
            top_salary: sights.iter().map(|sight| sight.salary).max().unwrap_or(0),
            top_real: sights[0].real,
            bottom_real: sights[sights.len() - 1].real,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: who asks again begins at the first screen behind which anything pays little enough,
    /// and not one too low. Method: every border between screens.
    #[test]
    fn first_screen_that_pays_little_enough() {
        let mut view = View::of(None, 0..0, Crowd::NOBODY);
        for bottom_real in [90, 70, 70, 40] {
            let (top_salary, top_real) = (bottom_real + 9, bottom_real + 9);
            view.ends.push(Ends { top_salary, top_real, bottom_real });
        }
        let first = |real| view.first_paying(real);
        assert_eq!([first(99), first(90), first(89), first(70)], [0, 0, 1, 1]);
        assert_eq!([first(69), first(40), first(39)], [3, 3, 4]);
    }
}

//! A search through a lens (see `lens`): the same vacancies, found at less cost.

use super::super::index::Sight;
use super::super::kernels::lanes;
use super::super::key::{Key, Worth};
use super::super::lens::{Ends, View};
use super::super::screens::{Shift, bar, fit_of, wanted};
use super::super::standing::Standing;
use super::menu::Basket;
use super::{Front, Locality, Node, Scratch, Search};
use crate::domain::CityIx;
use crate::mutants;
use crate::preferences::Terms;

impl<S: Standing, B: Basket> Search<'_, '_, S, B> {
    /// Whether the lens shows a city; or all of them, to those who would move anywhere.
    pub(super) fn is_shown(&self, city: Option<CityIx>) -> bool {
        self.scratch.lens.shows(city)
    }

    /// What the lens shows.
    pub(super) fn open_view(&mut self, city: Option<CityIx>) {
        let Some(view) = self.scratch.lens.view(city) else { return };
        let Some(top_real) = view.top_real(self.index, 0) else { return };
        let reach = top_real + self.view_worth(city);
        self.push(Node::View(city), 0, 0, reach);
    }

    /// What a view is worth at most besides its real salaries.
    fn view_worth(&mut self, city: Option<CityIx>) -> i64 {
        let annual = match city {
            Some(city) => self.locality(city).annual,
            None => self.away.least_annual,
        };
        let short = if mutants::active("view-worth-too-low") { 100 } else { 0 };
        self.fit_worth_max - annual - short
    }

    /// Screen by screen, as long as no other front promises more.
    pub(super) fn search_view(&mut self, city: Option<CityIx>, from: usize) {
        let Some(mut view) = self.scratch.lens.take(city) else { return };
        let worth = self.view_worth(city);
        let mut at = from;
        while view.reaches(self.index, self.standing, at) {
            let next = match city {
                Some(city) => self.search_city_view(&view, city, at, worth),
                None => self.search_whole_view(&view, at, worth),
            };
            let Some(next) = next else { break };
            let Some(top_real) = view.top_real(self.index, next) else { break };
            let reach = top_real + worth;
            if reach < self.basket.threshold().value {
                break;
            }
            let front = Front { reach, node: Node::View(city), from: next as u32, fit: 0 };
            if self.scratch.fronts.peek().is_some_and(|rival| front < *rival) {
                self.scratch.fronts.push(front);
                break;
            }
            at = next;
        }
        self.scratch.lens.put_back(view);
    }

    /// What is behind a screen of a city, where places are worth so much at most besides their
    /// real salaries; returns the next screen, if it need be looked at.
    fn search_city_view(
        &mut self,
        view: &View,
        city: CityIx,
        at: usize,
        worth: i64,
    ) -> Option<usize> {
        let (locality, ends) = (self.locality(city), view.ends(at));
        if ends.bottom_real - locality.annual > self.below {
            return Some(view.first_paying(self.below + locality.annual));
        }
        if ends.top_salary < locality.least {
            return None;
        }
        let bonus = self.terms.score(0, 0, locality.local);
        let least_shortfall = Terms::shortfall_bp(locality.asking, ends.top_salary);
        let wanted = self.wanted(&ends, locality.annual);
        let passed = self.screen_view(view, at, bonus, least_shortfall, wanted);
        self.expect(view, at, passed);
        for lane in lanes(passed) {
            let sight = view.sight(at, lane);
            if sight.real + worth < self.basket.threshold().value {
                break;
            }
            if self.is_worthwhile(&sight, locality.annual, lane) {
                self.look_at(&sight, &locality, lane);
            }
        }
        Some(at + 1)
    }

    /// The same of all cities but home, for those who would move anywhere.
    fn search_whole_view(&mut self, view: &View, at: usize, worth: i64) -> Option<usize> {
        let ends = view.ends(at);
        if ends.top_real < self.away.need {
            return None;
        }
        if ends.bottom_real - self.away.most_annual > self.below {
            return Some(view.first_paying(self.below + self.away.most_annual));
        }
        // The asking salary `a` satisfies `1000 a/κ >= asked`, and every salary `s` behind the
        // screen `1000 s/κ < top_real + 1`.
        let asked = self.terms.real_salary(self.worker.expected_salary, self.worker.home);
        let asked = asked + self.away.least_annual;
        let least_shortfall = Terms::shortfall_bp(asked, ends.top_real + 1);
        let wanted = self.wanted(&ends, self.away.least_annual);
        let passed = self.screen_view(view, at, 0, least_shortfall, wanted);
        let passed = self.worth_a_move(view, at, passed);
        self.expect(view, at, passed);
        for lane in lanes(passed) {
            let sight = view.sight(at, lane);
            if sight.real + worth < self.basket.threshold().value {
                break;
            }
            let annual = self.annual_away(sight.city);
            if self.is_worthwhile(&sight, annual, lane) {
                let locality = self.locality(sight.city);
                self.look_at(&sight, &locality, lane);
            }
        }
        Some(at + 1)
    }

    /// Of places behind a screen of all cities those that are worth moving to, for all that their
    /// real salaries and the ways there tell.
    fn worth_a_move(&self, view: &View, at: usize, passed: u64) -> u64 {
        let (home, below) = (self.worker.home, self.below);
        let threshold = self.basket.threshold().value;
        let mut worth = 0;
        for lane in lanes(passed) {
            let (city, real) = view.pay(at, lane);
            let annual = self.away.annual(self.scratch.moves.cost(home, city));
            let most =
                real - annual.start + self.terms.fit_worth(fit_of(&self.scratch.bounds, lane));
            let open = city != home
                && most >= threshold
                && real - annual.end <= below
                && self.away.could_do(real, annual.start);
            worth |= u64::from(open) << lane;
        }
        worth
    }

    /// What pay and fit must come to behind a screen, where a move costs so much a year at least.
    fn wanted(&self, ends: &Ends, annual: i64) -> u16 {
        let real = self.basket.threshold().value.saturating_add(annual);
        let more = if mutants::active("wanted-too-much") { 100 } else { 0 };
        wanted(real.saturating_sub(ends.bottom_real).saturating_add(more), self.fit_worth_max)
    }

    /// Who could take her behind a screen: with that bonus, and at best that shortfall; and what
    /// could be worth so much to her.
    fn screen_view(
        &mut self,
        view: &View,
        at: usize,
        bonus: i64,
        least_shortfall: i64,
        wanted: u16,
    ) -> u64 {
        let lost = -self.terms.score(0, least_shortfall, false);
        let lost = if mutants::active("loss-too-high") { lost + 100 } else { lost };
        let shift = Shift { allowed: bar(bonus), lost: bar(lost), wanted };
        let Scratch { numbered, bounds, .. } = &mut *self.scratch;
        view.screens().screen(at, self.index.kernels, numbered, bounds, shift)
    }

    /// These will be looked at: what they ask for lies all over the memory.
    fn expect(&self, view: &View, at: usize, passed: u64) {
        lanes(passed).for_each(|lane| self.index.fitting.expect(view.sight(at, lane).profile));
    }

    /// Whether a place could be worth more than the best few, and no more than what she asks
    /// for.
    #[inline]
    fn is_worthwhile(&self, sight: &Sight, annual: i64, lane: usize) -> bool {
        let net = sight.real - annual;
        let most = net + self.terms.fit_worth(fit_of(&self.scratch.bounds, lane));
        Worth::new(most, sight.rank) > self.basket.threshold() && net <= self.below
    }

    /// A place in which her fit is at most what the screen has found.
    fn look_at(&mut self, sight: &Sight, locality: &Locality, lane: usize) {
        if sight.salary < locality.least {
            return;
        }
        let fit = fit_of(&self.scratch.bounds, lane);
        let shortfall = Terms::shortfall_bp(locality.asking, sight.salary);
        let key = Key::new(self.terms.score(fit, shortfall, locality.local), self.rank);
        let unseen = mutants::active("full-city-unseen");
        if key > sight.own && (key >= locality.bar.key || unseen) {
            self.evaluate(sight, locality, shortfall);
        }
    }

    /// What a move costs her a year who would move anywhere.
    pub(super) fn annual_away(&self, city: CityIx) -> i64 {
        let cost = self.scratch.moves.cost(self.worker.home, city);
        self.terms.annual_cost(cost, self.worker.cost_percent)
    }
}

impl Scratch {
    /// Turns the lens to workers who have the same skills and ask next, one after the other.
    pub(super) fn focus(&mut self, index: &super::Index, group: &[super::Question]) {
        let Self { lens, moves, .. } = self;
        lens.focus(index, moves, group);
    }

    /// They have asked; cutoffs may change again.
    pub(super) fn blur(&mut self) {
        self.lens.forget();
    }
}
